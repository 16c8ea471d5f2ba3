//! The values of the labels of metrics.

use thiserror::Error;

/// The verb of a client's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestVerb {
    /// The request read a key.
    Get,
    /// The request wrote a value.
    Put,
    /// The request wrote a tombstone.
    Delete,
}

/// The outcome of a client's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestOutcome {
    /// The request was done.
    Done,
    /// The request was refused, and nothing was done.
    Refused,
    /// The time was up, and the outcome is not known.
    Unknown,
}

/// The direction of bytes and messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The direction to this node.
    In,
    /// The direction from this node.
    Out,
}

/// The reason why a large message of a peer was discarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discarded {
    /// The message was larger than is accepted.
    TooLarge,
    /// The room was taken by other large messages.
    NoRoom,
}

impl RequestVerb {
    pub(super) const ALL: [Self; 3] = [Self::Get, Self::Put, Self::Delete];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Put => "put",
            Self::Delete => "delete",
        }
    }
}

impl RequestOutcome {
    pub(super) const ALL: [Self; 3] = [Self::Done, Self::Refused, Self::Unknown];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }
}

impl Discarded {
    pub(super) const ALL: [Self; 2] = [Self::TooLarge, Self::NoRoom];

    /// The reason in one word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TooLarge => "too-large",
            Self::NoRoom => "no-room",
        }
    }
}

impl Direction {
    pub(super) const ALL: [Self; 2] = [Self::In, Self::Out];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }
}

/// The reason why a connection is dropped, in words that follow the name of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ConnectionDropReason {
    /// The client has sent nothing for long.
    #[error("was idle for limits.idle_timeout_ms")]
    Idle,
    /// The client does not take its replies.
    #[error("has not taken any of the replies that wait for it for limits.stalled_ms")]
    SlowReader,
    /// The client does not send the rest of a request.
    #[error("has sent nothing more of an unfinished request for limits.stalled_ms")]
    Unfinished,
    /// The connection is the largest slow one where all together hold too much.
    #[error("holds the most of all slow clients, which together hold limits.client_bytes")]
    Memory,
}

impl ConnectionDropReason {
    /// All reasons.
    pub const ALL: [Self; 4] = [Self::Idle, Self::SlowReader, Self::Unfinished, Self::Memory];

    /// The name of the reason in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::SlowReader => "slow_reader",
            Self::Unfinished => "unfinished",
            Self::Memory => "memory",
        }
    }
}
