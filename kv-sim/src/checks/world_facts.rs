//! What the world finds out about itself for the checks: they judge it, and never measure.

use std::collections::BTreeMap;

use kv_core::message::Kind;
use kv_core::store::KeptHints;
use kv_core::time::Span;
use kv_core::types::{Generation, NodeId, PartitionId};

/// A node's view of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberView {
    /// The member that the view is of.
    pub of: NodeId,
    /// The latest run of the member that is known.
    pub generation: Generation,
    /// True if the member seems up.
    pub is_up: bool,
}

/// The load that a node carries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// The number of clients' operations that the node works on.
    pub requests: u64,
    /// The hints that it keeps on its disk, by target and partition.
    pub hints: Vec<HintLoad>,
    /// The hints as the node counts them; none if no process runs, or if the answer to a command is on
    /// its way, which changes the count.
    pub counted: Option<Vec<KeptHints>>,
}

/// The hints of one partition that a node keeps for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HintLoad {
    /// The node that the hints are kept for.
    pub target: NodeId,
    /// The partition that the hints belong to.
    pub partition: PartitionId,
    /// The number of hints.
    pub count: u64,
    /// The number of those that cannot be read.
    pub unreadable: u64,
    /// The size of those that can be read, together, in bytes.
    pub bytes: u64,
    /// The size of the largest hint, in bytes.
    pub largest: u64,
}

/// The world's verdict on the cluster after the last fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rest {
    /// The cluster came to rest in time.
    Converged {
        /// The time from the last fault until the cluster was at rest.
        after: Span,
    },
    /// The cluster did not come to rest in time.
    Restless(Restless),
}

/// The things that had not come to rest when the time was up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restless {
    /// The time that the cluster was given after the last fault.
    pub within: Span,
    /// Partitions whose owners differ, with those owners.
    pub partitions: Vec<(PartitionId, Vec<NodeId>)>,
    /// The nodes that still keep hints, each with the number of its hints.
    pub hints: Vec<(NodeId, u64)>,
    /// The partitions that owners have not copied back yet after they lost them.
    pub incomplete: Vec<(NodeId, PartitionId)>,
    /// The nodes with corrupt records or keys that are not repaired yet, each with their number.
    pub corrupt: Vec<(NodeId, u64)>,
    /// The nodes whose disks have lost what they had synced, and which have not learned that yet; each with
    /// one that it hears and that was told of it.
    pub unaware: Vec<(NodeId, NodeId)>,
}

impl Restless {
    /// Tells whether all had come to rest but hints that are still kept.
    pub fn is_of_hints(&self) -> bool {
        let Self { within: _, partitions, hints, incomplete, corrupt, unaware } = self;
        let others = partitions.is_empty() && incomplete.is_empty() && corrupt.is_empty();
        others && unaware.is_empty() && !hints.is_empty()
    }
}

/// The work of a cluster while no client asked anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdleWindow {
    /// The time for which the cluster was watched.
    pub length: Span,
    /// The numbers of messages that were sent, by kind.
    pub messages: BTreeMap<Kind, u64>,
    /// Those of them that were sent to nodes that the sender never hears.
    pub in_vain: BTreeMap<Kind, u64>,
    /// Those of them that were sent to nodes that cannot do what they are asked for, as their disk
    /// takes nothing, or that are heard through others only; and those of kinds that never pass.
    pub hindered: BTreeMap<Kind, u64>,
    /// The number of batches that were committed to stores.
    pub commits: u64,
    /// The number of storage commands that were executed, but for those that look for corruption.
    pub commands: u64,
    /// The number of times that nodes were called at deadlines.
    pub calls: u64,
    /// The number of nodes that run.
    pub running: u64,
    /// The number of all nodes.
    pub members: u64,
    /// The numbers of nodes that hear of each other: one, as a rule.
    pub groups: Vec<u64>,
    /// The number of pairs of a node and another for which it keeps hints that it cannot deliver.
    pub kept: u64,
    /// True if such hints expire in that time, so that other owners take them over.
    pub hints_expire: bool,
    /// The number of hints that could not be read when the watch began. Those for nodes that are gone
    /// are read seldom, and deleted then.
    pub corrupt_hints: u64,
}
