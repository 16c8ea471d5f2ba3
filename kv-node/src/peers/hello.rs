//! The hello, which two nodes exchange before anything else, so that a stranger is refused at once.
//! Pure.
//!
//! The one who dials says hello, the one who listens answers with its own; each side checks the
//! other's, and whoever refuses says why (`refusal.rs`). After that messages go in one direction
//! only, from the one who dialled.

use kv_core::cx::Identity;
use kv_core::time::WallTime;
use kv_core::types::{ClusterId, Generation, NodeId};
use kv_core::wire;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::log::Named;

/// The largest payload of a hello, in bytes: it holds a few numbers.
pub const HELLO_BYTES_MAX: usize = 256;

/// The reason word of [`HelloError::Replaced`].
pub const REPLACED: &str = "replaced";

/// One life of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessRun {
    /// The second of the Unix clock in which the run began, or a later one.
    pub generation: Generation,
    /// A random number that was drawn when the run began, and that no other run has.
    pub nonce: u64,
}

impl ProcessRun {
    /// Returns the run of this process as peers are told it now. A generation that was drawn under
    /// a wrong clock, and that no peer would believe, is replaced by the present second.
    pub fn told_at(self, wall: WallTime) -> Self {
        let is_believed = self.generation.is_believed_at(wall);
        let generation = if is_believed { self.generation } else { Generation(wall.as_seconds()) };
        Self { generation, ..self }
    }

    /// Tells whether this is another process than that one, and began later; if both began within
    /// the same second, one of them counts as the later.
    pub fn is_newer_than(self, other: Self) -> bool {
        self.nonce != other.nonce && (self.generation, self.nonce) > (other.generation, other.nonce)
    }
}

/// The hello of one node to another. Frozen: a change needs another [`super::frame::FORMAT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The cluster that the speaker belongs to.
    pub cluster: ClusterId,
    /// The speaker.
    pub from: NodeId,
    /// The node to which the speaker believes to speak.
    pub to: NodeId,
    /// The run of the speaker.
    pub run: ProcessRun,
    /// The format of the speaker's messages.
    pub format: u8,
    /// The version and the content hash of the speaker's layout.
    pub layout: (u64, u64),
}

/// The reason why a peer is refused. The text is the same on both sides, and calls both nodes
/// by name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HelloError {
    /// The hello cannot be read.
    #[error("the hello cannot be read: run the same version of kv-node on all nodes")]
    Malformed,
    /// The peer belongs to another cluster.
    #[error(
        "node {from} belongs to another cluster ({theirs}) than node {me} ({ours}): check \
         [cluster] name in both configurations"
    )]
    Cluster {
        /// The peer.
        from: Named,
        /// This node.
        me: Named,
        /// The peer's cluster.
        theirs: ClusterId,
        /// This node's cluster.
        ours: ClusterId,
    },
    /// The peer's messages have another format.
    #[error(
        "node {from} writes messages of format {format}, and node {me} reads format {FORMAT}: run \
         the same version of kv-node on both",
        FORMAT = wire::FORMAT
    )]
    Format {
        /// The peer.
        from: Named,
        /// This node.
        me: Named,
        /// The peer's format.
        format: u8,
    },
    /// The peer looks for another node.
    #[error(
        "node {from} looks for node {to}, and node {me} listens here: check the addresses of the \
         members"
    )]
    Addressee {
        /// The peer.
        from: Named,
        /// The node that the peer looks for.
        to: Named,
        /// This node.
        me: Named,
    },
    /// The peer is no member, or not the one that was dialled.
    #[error(
        "node {from} is not expected by node {me}: check that [cluster] and [[member]] are the same \
         on both, and the addresses"
    )]
    Stranger {
        /// The peer.
        from: Named,
        /// This node.
        me: Named,
    },
    /// The peer claims to be this node.
    #[error(
        "both sides say that they are node {me}: two processes run as one node, or an address of \
         [[member]] leads back to the node itself"
    )]
    SameNode {
        /// This node.
        me: Named,
    },
    /// The peer has another layout.
    #[error(
        "node {from} has layout {version} ({hash:016x}), and node {me} has layout {our_version} \
         ({our_hash:016x}): the tables [cluster] and [[member]] must be the same on all nodes"
    )]
    Layout {
        /// The peer.
        from: Named,
        /// This node.
        me: Named,
        /// The version of the peer's layout.
        version: u64,
        /// The content hash of the peer's layout.
        hash: u64,
        /// The version of this node's layout.
        our_version: u64,
        /// The content hash of this node's layout.
        our_hash: u64,
    },
    /// The peer's start lies further in the future than clocks differ (CASSANDRA-8113).
    #[error(
        "node {from} says that it started in the second {generation} of the Unix clock, more than a \
         year after the time of node {me}: set the clocks of both, and start the one that was wrong \
         again"
    )]
    Future {
        /// The peer.
        from: Named,
        /// This node.
        me: Named,
        /// The peer's generation.
        generation: u64,
    },
    /// A newer run of the peer is connected.
    #[error(
        "two processes run as node {from}: one that started later is connected to node {me} from \
         {newer}. Stop one of them; two nodes must not share a name, an id or a copy of a data \
         directory"
    )]
    Replaced {
        /// The peer.
        from: Named,
        /// This node.
        me: Named,
        /// The address of the newer run.
        newer: std::net::IpAddr,
    },
}

impl HelloError {
    /// The reason in one word, for metrics.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Cluster { .. } => "cluster",
            Self::Format { .. } => "format",
            Self::Addressee { .. } => "addressee",
            Self::Stranger { .. } => "stranger",
            Self::SameNode { .. } => "same-node",
            Self::Layout { .. } => "layout",
            Self::Future { .. } => "future",
            Self::Replaced { .. } => REPLACED,
        }
    }
}

impl Hello {
    /// Creates this node's hello to a peer.
    pub fn new(identity: &Identity, run: ProcessRun, to: NodeId) -> Self {
        Self {
            cluster: identity.cluster,
            from: identity.node,
            to,
            run,
            format: wire::FORMAT,
            layout: layout_of(identity),
        }
    }

    /// Encodes the payload of the hello's frame.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_allocvec(self).expect("numbers can be encoded")
    }

    /// Reads the speaker's id from a hello that may be refused.
    pub fn speaker(payload: &[u8]) -> Option<NodeId> {
        postcard::take_from_bytes::<Self>(payload).ok().map(|(hello, _)| hello.from)
    }

    /// Reads a peer's hello and decides whether to speak to it. `expected` is the peer that was
    /// dialled; a listener passes `None` and accepts every member.
    ///
    /// # Errors
    /// [`HelloError`]: the connection is to be closed.
    pub fn accept(
        payload: &[u8],
        identity: &Identity,
        expected: Option<NodeId>,
        wall: WallTime,
    ) -> Result<Self, HelloError> {
        let (hello, rest) =
            postcard::take_from_bytes::<Self>(payload).map_err(|_| HelloError::Malformed)?;
        let named = |node| Named::new(identity.topology.newest(), node);
        let (from, me) = (named(hello.from), named(identity.node));
        let is_member = identity.topology.newest().member(hello.from).is_some();
        let (our_version, our_hash) = layout_of(identity);
        let (version, hash) = hello.layout;
        let generation = hello.run.generation;
        if !rest.is_empty() {
            Err(HelloError::Malformed)
        } else if hello.cluster != identity.cluster {
            let (theirs, ours) = (hello.cluster, identity.cluster);
            Err(HelloError::Cluster { from, me, theirs, ours })
        } else if hello.format != wire::FORMAT {
            Err(HelloError::Format { from, me, format: hello.format })
        } else if hello.from == identity.node {
            Err(HelloError::SameNode { me })
        } else if hello.to != identity.node {
            Err(HelloError::Addressee { from, to: named(hello.to), me })
        } else if expected.map_or(!is_member, |expected| expected != hello.from) {
            Err(HelloError::Stranger { from, me })
        } else if (version, hash) != (our_version, our_hash) {
            Err(HelloError::Layout { from, me, version, hash, our_version, our_hash })
        } else if !generation.is_believed_at(wall) {
            Err(HelloError::Future { from, me, generation: generation.0 })
        } else {
            Ok(hello)
        }
    }
}

fn layout_of(identity: &Identity) -> (u64, u64) {
    (identity.topology.newest().version(), identity.topology.newest().layout_hash().0)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kv_core::layout::Layout;
    use kv_core::ring::Ring;
    use kv_core::topology::Topology;

    use super::*;

    fn identity(node: u64, copies: u8) -> Identity {
        let nodes = (1..=3).map(|id| (NodeId(id), format!("n{id}")));
        let layout = Layout::single_datacenter(16, copies, nodes);
        Identity {
            node: NodeId(node),
            generation: Generation(1),
            cluster: ClusterId::of("test"),
            topology: Arc::new(Topology::new(Arc::new(Ring::new(layout).expect("a sound layout")))),
        }
    }

    const NOW_SECONDS: u64 = 1_800_000_000;

    const NOW: WallTime = WallTime(NOW_SECONDS * 1_000_000);

    const RUN: ProcessRun = ProcessRun { generation: Generation(1), nonce: 7 };

    /// Changes a hello of node 2, and returns node 1's answer to it.
    fn heard(change: impl FnOnce(&mut Hello)) -> Result<NodeId, &'static str> {
        let mut hello = Hello::new(&identity(2, 3), RUN, NodeId(1));
        change(&mut hello);
        let accepted = Hello::accept(&hello.encode(), &identity(1, 3), None, NOW);
        accepted.map(|hello| hello.from).map_err(|error| error.word())
    }

    #[test]
    fn a_member_of_the_cluster_is_welcome() {
        assert_eq!(heard(|_| {}), Ok(NodeId(2)));
        let a_month_ahead = Generation(NOW_SECONDS + 30 * 24 * 3_600);
        assert_eq!(heard(|hello| hello.run.generation = a_month_ahead), Ok(NodeId(2)));
    }

    #[test]
    fn a_stranger_is_turned_away_and_told_apart() {
        assert_eq!(heard(|hello| hello.cluster = ClusterId::of("other")), Err("cluster"));
        assert_eq!(heard(|hello| hello.format = 9), Err("format"));
        assert_eq!(heard(|hello| hello.to = NodeId(3)), Err("addressee"));
        assert_eq!(heard(|hello| hello.from = NodeId(9)), Err("stranger"));
    }

    #[test]
    fn a_hello_from_the_node_itself_is_known_for_what_it_is() {
        assert_eq!(heard(|hello| hello.from = NodeId(1)), Err("same-node"));
    }

    #[test]
    fn another_layout_is_refused_whatever_version_it_has() {
        let layout = identity(2, 2);
        assert_eq!(heard(|hello| hello.layout = layout_of(&layout)), Err("layout"));
        assert_eq!(heard(|hello| hello.layout.0 = 2), Err("layout"), "a made-up version");
    }

    #[test]
    fn a_run_that_began_after_more_than_a_year_is_refused() {
        let year_2255 = Generation(9_000_000_000);
        assert_eq!(heard(|hello| hello.run.generation = year_2255), Err("future"));
        assert_eq!(heard(|hello| hello.run.generation = Generation(u64::MAX)), Err("future"));
    }

    #[test]
    fn a_run_that_began_under_a_wrong_clock_is_told_as_it_can_be_believed() {
        let told = ProcessRun { generation: Generation(9_000_000_000), nonce: 7 }.told_at(NOW);
        assert_eq!(told, ProcessRun { generation: Generation(NOW_SECONDS), nonce: 7 });
        assert_eq!(RUN.told_at(NOW), RUN);
        assert!(!told.is_newer_than(RUN), "it is the same process");
        assert!(told.is_newer_than(ProcessRun { nonce: 8, ..RUN }));
    }

    #[test]
    fn a_refusal_names_both_nodes_and_what_to_do() {
        let mut hello = Hello::new(&identity(2, 3), RUN, NodeId(1));
        hello.layout = (5, 6);
        let error = Hello::accept(&hello.encode(), &identity(1, 3), None, NOW);
        let text = error.expect_err("the layouts differ").to_string();
        for part in ["n2 (0000000000000002) has layout 5", "n1 (", "[[member]] must be the same"] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
    }

    #[test]
    fn the_one_who_was_dialled_must_answer() {
        let answer = Hello::new(&identity(3, 3), RUN, NodeId(1)).encode();
        let accepted = |expected| {
            let expected = Some(NodeId(expected));
            Hello::accept(&answer, &identity(1, 3), expected, NOW)
        };
        assert!(accepted(3).is_ok());
        assert_eq!(accepted(2).map_err(|error| error.word()), Err("stranger"));
    }

    #[test]
    fn bytes_that_are_no_hello_are_refused() {
        for bytes in [&b""[..], b"hello", &[0xff; 40], &[0; 200]] {
            let heard = Hello::accept(bytes, &identity(1, 3), None, NOW);
            assert!(heard.is_err(), "{bytes:?}");
        }
        let mut long = Hello::new(&identity(2, 3), RUN, NodeId(1)).encode();
        long.push(0);
        let heard = Hello::accept(&long, &identity(1, 3), None, NOW);
        assert_eq!(heard, Err(HelloError::Malformed));
    }
}
