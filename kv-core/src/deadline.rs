//! What a node waits for, and why: each of its open deadlines, for people.
//!
//! The machines keep their deadlines as plain fields and name the earliest of them
//! ([`crate::node::Node::next_deadline`]); this is the whole list, made when somebody asks
//! ([`crate::node::Node::inspect`]). Nothing is decided by it.
//!
//! Invariant: the earliest of a node's open deadlines is the one that it names.

use crate::time::Time;
use crate::types::{NodeId, RequestId};

/// A moment at which a node wants to be called, if nothing comes before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// When, by the node's monotonic clock.
    pub at: Time,
    /// What for.
    pub reason: Reason,
}

/// Why a deadline is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// An operation asks again those that are silent, and somebody else too.
    Hedge {
        /// The operation's request.
        request: RequestId,
    },
    /// An operation is given up.
    Expiry {
        /// The operation's request.
        request: RequestId,
    },
    /// The next peer is gossiped with.
    GossipTurn,
    /// A silence will have lasted too long before the next turn.
    Conviction {
        /// Whose; nobody's, if all were heard of since.
        peer: Option<NodeId>,
    },
    /// Hints are read, to be delivered.
    HintReplay {
        /// Whom they are for.
        target: NodeId,
    },
    /// A delivery of hints is given up, to be tried again later.
    HintTimeout {
        /// Whom they are for.
        target: NodeId,
    },
    /// The next round of repair.
    RepairRound,
    /// What differed is looked at a second time: writes in flight were given time to arrive.
    RepairSecondLook {
        /// With whom it is compared.
        peer: NodeId,
    },
    /// Members that wait for the founding of the cluster are asked what they know.
    FoundingRound,
    /// A comparison is given up.
    RepairTimeout {
        /// Who is silent.
        peer: NodeId,
    },
}
