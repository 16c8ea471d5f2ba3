//! The hello: what two nodes say to each other before anything else, so that a stranger is found at
//! the door. Pure.
//!
//! The one who dials says hello, the one who listens answers with its own; each side checks the
//! other's. After that messages go in one direction only, from the one who dialled.

use kv_core::cx::Identity;
use kv_core::message::layout_hash;
use kv_core::types::{ClusterId, Generation, NodeId};
use kv_core::wire;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Who speaks. Frozen: a change needs another [`super::frame::FORMAT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The cluster that the speaker belongs to.
    pub cluster: ClusterId,
    /// The speaker.
    pub from: NodeId,
    /// Whom it believes to speak to.
    pub to: NodeId,
    /// Which run of the speaker.
    pub generation: Generation,
    /// The format of its messages.
    pub format: u8,
    /// The version and the content hash of its layout.
    pub layout: (u64, u64),
}

/// Why a peer is not spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Error)]
pub enum HelloError {
    /// It is no hello.
    #[error("it does not introduce itself as a peer does")]
    Malformed,
    /// The peer belongs to another cluster.
    #[error("it belongs to another cluster ({0}): check [cluster] name in both configurations")]
    Cluster(ClusterId),
    /// The peer's messages have another format.
    #[error("it writes messages of format {0}, and this node reads format {FORMAT}", FORMAT = wire::FORMAT)]
    Format(u8),
    /// The peer wants to speak to somebody else.
    #[error("it looks for node {0}, which this is not: check the addresses of the members")]
    Addressee(NodeId),
    /// The peer is no member, or not the one that was dialled.
    #[error("it is node {0}, which does not belong there: check the members and their addresses")]
    Stranger(NodeId),
    /// The peer has another layout under the same version.
    #[error(
        "its layout {version} differs from ours: the tables [cluster] and [[member]] must be the same on all nodes"
    )]
    Layout {
        /// The version that both have.
        version: u64,
    },
}

impl HelloError {
    /// The reason in one word, for metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Cluster(_) => "cluster",
            Self::Format(_) => "format",
            Self::Addressee(_) => "addressee",
            Self::Stranger(_) => "stranger",
            Self::Layout { .. } => "layout",
        }
    }
}

impl Hello {
    /// What this node says to a peer.
    pub fn new(identity: &Identity, to: NodeId) -> Self {
        Self {
            cluster: identity.cluster,
            from: identity.node,
            to,
            generation: identity.generation,
            format: wire::FORMAT,
            layout: layout_of(identity),
        }
    }

    /// The payload of its frame.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_allocvec(self).expect("numbers can be encoded")
    }

    /// Who says that he speaks, in a hello that may be refused.
    pub fn speaker(payload: &[u8]) -> Option<NodeId> {
        postcard::take_from_bytes::<Self>(payload).ok().map(|(hello, _)| hello.from)
    }

    /// Reads a peer's hello and decides whether to speak to it. `expected` is the one that was
    /// dialled; whoever listens takes every member.
    ///
    /// # Errors
    /// [`HelloError`]: the connection is to be closed.
    pub fn accept(
        payload: &[u8],
        identity: &Identity,
        expected: Option<NodeId>,
    ) -> Result<Self, HelloError> {
        let (hello, rest) =
            postcard::take_from_bytes::<Self>(payload).map_err(|_| HelloError::Malformed)?;
        let (version, _) = layout_of(identity);
        let is_member = identity.ring.member(hello.from).is_some() && hello.from != identity.node;
        if !rest.is_empty() {
            Err(HelloError::Malformed)
        } else if hello.cluster != identity.cluster {
            Err(HelloError::Cluster(hello.cluster))
        } else if hello.format != wire::FORMAT {
            Err(HelloError::Format(hello.format))
        } else if hello.to != identity.node {
            Err(HelloError::Addressee(hello.to))
        } else if expected.map_or(!is_member, |expected| expected != hello.from) {
            Err(HelloError::Stranger(hello.from))
        } else if hello.layout.0 == version && hello.layout != layout_of(identity) {
            Err(HelloError::Layout { version })
        } else {
            Ok(hello)
        }
    }
}

fn layout_of(identity: &Identity) -> (u64, u64) {
    (identity.ring.version(), layout_hash(identity.ring.digest()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kv_core::layout::Layout;
    use kv_core::ring::Ring;

    use super::*;

    fn identity(node: u64, copies: u8) -> Identity {
        let nodes = (1..=3).map(|id| (NodeId(id), format!("n{id}")));
        let layout = Layout::single_datacenter(16, copies, nodes);
        Identity {
            node: NodeId(node),
            generation: Generation(1),
            cluster: ClusterId::of("test"),
            ring: Arc::new(Ring::new(layout).expect("a sound layout")),
        }
    }

    /// What node 1 thinks of a hello of node 2, changed.
    fn heard(change: impl FnOnce(&mut Hello)) -> Result<NodeId, HelloError> {
        let mut hello = Hello::new(&identity(2, 3), NodeId(1));
        change(&mut hello);
        Hello::accept(&hello.encode(), &identity(1, 3), None).map(|hello| hello.from)
    }

    #[test]
    fn a_member_of_the_cluster_is_welcome() {
        assert_eq!(heard(|_| {}), Ok(NodeId(2)));
        assert_eq!(heard(|hello| hello.layout = (2, 7)), Ok(NodeId(2)), "layouts may change");
    }

    #[test]
    fn a_stranger_is_turned_away_and_told_apart() {
        let other = ClusterId::of("other");
        assert_eq!(heard(|hello| hello.cluster = other), Err(HelloError::Cluster(other)));
        assert_eq!(heard(|hello| hello.format = 9), Err(HelloError::Format(9)));
        assert_eq!(heard(|hello| hello.to = NodeId(3)), Err(HelloError::Addressee(NodeId(3))));
        assert_eq!(heard(|hello| hello.from = NodeId(9)), Err(HelloError::Stranger(NodeId(9))));
        assert_eq!(heard(|hello| hello.from = NodeId(1)), Err(HelloError::Stranger(NodeId(1))));
        let layout = identity(2, 2);
        let error = HelloError::Layout { version: 1 };
        assert_eq!(heard(|hello| hello.layout = layout_of(&layout)), Err(error));
    }

    #[test]
    fn the_one_who_was_dialled_must_answer() {
        let answer = Hello::new(&identity(3, 3), NodeId(1)).encode();
        let accepted = |expected| Hello::accept(&answer, &identity(1, 3), Some(NodeId(expected)));
        assert!(accepted(3).is_ok());
        assert_eq!(accepted(2), Err(HelloError::Stranger(NodeId(3))));
    }

    #[test]
    fn bytes_that_are_no_hello_are_refused() {
        for bytes in [&b""[..], b"hello", &[0xff; 40], &[0; 200]] {
            let heard = Hello::accept(bytes, &identity(1, 3), None);
            assert!(heard.is_err(), "{bytes:?}");
        }
        let mut long = Hello::new(&identity(2, 3), NodeId(1)).encode();
        long.push(0);
        assert_eq!(Hello::accept(&long, &identity(1, 3), None), Err(HelloError::Malformed));
    }
}
