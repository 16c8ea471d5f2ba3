//! The open deadlines of a node, each with its reason, for people.
//!
//! The machines keep their deadlines as plain fields and name the earliest of them
//! ([`crate::node::Node::next_deadline`]); this is the whole list, made when somebody asks
//! ([`crate::node::Node::inspect`]). Nothing is decided by it.
//!
//! Invariant: the earliest of a node's open deadlines is the one that it names.

use crate::time::Time;
use crate::types::{NodeId, RequestId};

/// The time at which a part of a node wants to be called, with the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// The time, by the node's monotonic clock.
    pub at: Time,
    /// The reason for which the deadline is open.
    pub reason: Reason,
}

/// The reason for which a deadline is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// An operation asks the silent nodes again, and others too.
    Hedge {
        /// The request id of the operation.
        request: RequestId,
    },
    /// An operation is given up.
    Expiry {
        /// The request id of the operation.
        request: RequestId,
    },
    /// The next turn of gossip begins.
    GossipTurn,
    /// A silent peer is taken for down before the next turn.
    Conviction {
        /// The first silent peer; none, if all were heard of since.
        peer: Option<NodeId>,
    },
    /// The next batch of hints for a target is read, to be delivered.
    HintReplay {
        /// The owner that the hints are for.
        target: NodeId,
    },
    /// A delivery of hints is given up, to be tried again later.
    HintTimeout {
        /// The owner that the hints are for.
        target: NodeId,
    },
    /// The next round of repair begins.
    RepairRound,
    /// The partitions that differed are looked at a second time, as writes in flight have had time
    /// to arrive.
    RepairSecondLook {
        /// The peer that this node compares itself with.
        peer: NodeId,
    },
    /// The members are asked for what they know of the founding of the cluster.
    FoundingRound,
    /// The members are asked for what they remember of this node's log, or the storage is asked again to
    /// take a data marker away.
    Recall,
    /// A comparison is given up.
    RepairTimeout {
        /// The peer that is silent.
        peer: NodeId,
    },
}
