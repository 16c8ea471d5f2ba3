//! The reasons why a connection with a peer ended, or never began.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use thiserror::Error;

use super::assembly::PartError;
use super::frame::FrameError;
use super::hello::HelloError;
use super::refusal::PeerRefusal;
use kv_core::types::NodeId;
use kv_core::wire::WireError;

/// The reason why a connection ended. Printed behind the name of the peer.
#[derive(Debug, Error)]
pub(super) enum LinkError {
    #[error("its address cannot be resolved: {0}")]
    Resolve(io::Error),
    #[error("cannot be reached: {0}")]
    Dial(io::Error),
    #[error("cannot be reached at any of its addresses: {0}")]
    Addresses(Attempts),
    #[error("took longer than {} s to {what}", within.as_secs())]
    TimedOut { what: &'static str, within: Duration },
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
    #[error("closed the connection")]
    Closed,
    #[error("nothing was heard for {} s: the connection is made anew", .0.as_secs())]
    Silent(Duration),
    #[error("took nothing for {} s: the connection is made anew", .0.as_secs())]
    Stuck(Duration),
    #[error("a large message stopped half way, for {} s", .0.as_secs())]
    Stalled(Duration),
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("{0}")]
    Part(#[from] PartError),
    #[error("{0}")]
    Message(#[from] WireError),
    #[error("speaks for node {0}")]
    SpeaksFor(NodeId),
    #[error("is refused: {0}")]
    Hello(#[from] HelloError),
    #[error("refuses this node: {}", .0.text)]
    Refused(PeerRefusal),
    #[error("speaks out of turn")]
    OutOfTurn,
}

impl LinkError {
    /// Returns the reason in one word for which this node refuses the peer; `None` where the
    /// network or the peer ended the connection.
    pub(super) const fn word(&self) -> Option<&'static str> {
        match self {
            Self::Hello(error) => Some(error.word()),
            Self::Frame(FrameError::Format(_) | FrameError::Kind(_))
            | Self::Message(WireError::Format(_) | WireError::Kind(_)) => Some("format"),
            Self::Frame(FrameError::Magic | FrameError::Length { .. } | FrameError::Checksum)
            | Self::Message(WireError::Short | WireError::Malformed | WireError::Trailing(_))
            | Self::Part(_)
            | Self::OutOfTurn => Some("garbage"),
            Self::SpeaksFor(_) => Some("stranger"),
            Self::Resolve(_)
            | Self::Dial(_)
            | Self::Addresses(_)
            | Self::TimedOut { .. }
            | Self::Broken(_)
            | Self::Closed
            | Self::Silent(_)
            | Self::Stuck(_)
            | Self::Stalled(_)
            | Self::Refused(_) => None,
        }
    }

    /// Returns the reason in one word for which one of the two sides refuses the other.
    pub(super) fn refused(&self) -> Option<&'static str> {
        match self {
            Self::Hello(error) => Some(error.word()),
            Self::Refused(refusal) => Some(refusal.reason),
            Self::Addresses(Attempts(errors)) => {
                errors.iter().find_map(|(_, error)| error.refused())
            }
            Self::Resolve(_)
            | Self::Dial(_)
            | Self::TimedOut { .. }
            | Self::Broken(_)
            | Self::Closed
            | Self::Silent(_)
            | Self::Stuck(_)
            | Self::Stalled(_)
            | Self::Frame(_)
            | Self::Part(_)
            | Self::Message(_)
            | Self::SpeaksFor(_)
            | Self::OutOfTurn => None,
        }
    }

    /// Returns the refusal for the other side; `None` if it would not understand one.
    pub(super) fn refusal(&self) -> Option<PeerRefusal> {
        match self {
            Self::Frame(FrameError::Magic) => None,
            Self::Hello(error) => Some(PeerRefusal::new(error.word(), error)),
            error => error.word().map(|reason| PeerRefusal::new(reason, error)),
        }
    }
}

/// The errors at each address of a peer.
#[derive(Debug)]
pub(super) struct Attempts(pub(super) Vec<(SocketAddr, LinkError)>);

impl fmt::Display for Attempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (address, error)) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{address} {error}")?;
        }
        Ok(())
    }
}
