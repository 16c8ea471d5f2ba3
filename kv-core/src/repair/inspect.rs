//! The state of a node's repair, for people.

use alloc::vec::Vec;

use super::Repair;
use crate::deadline::{Deadline, Reason};
use crate::time::Time;
use crate::types::{Key, NodeId, PartitionId, RequestId};

/// The state of a node's repair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepairSnapshot {
    /// The comparison that this node leads, if one is going on.
    pub session: Option<SessionSnapshot>,
    /// The other owners of partitions that this node owns.
    pub partners: Vec<PartnerSnapshot>,
    /// The keys whose record was corrupt, and which are being repaired.
    pub corrupt_keys: Vec<CorruptKeySnapshot>,
    /// The incomplete partitions of which something was copied.
    pub copying: Vec<CopyingSnapshot>,
    /// The number of storage commands that have not been answered.
    pub commands: usize,
    /// The number of steps that wait until the disk is durable.
    pub awaits_sync: usize,
}

/// A comparison with one peer, as the side that leads it sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionSnapshot {
    /// The peer that this node compares itself with.
    pub peer: NodeId,
    /// The request id of the comparison.
    pub request: RequestId,
    /// The time at which the comparison began, by the node's monotonic clock.
    pub began: Time,
    /// The stage that the comparison has reached.
    pub stage: SessionStage,
    /// The time at which the comparison ceases to wait; none while it waits for this node's
    /// storage.
    pub until: Option<Time>,
    /// The number of partitions that the present look has not asked about yet.
    pub to_look: usize,
    /// The partitions that differed at the first look, which are looked at again.
    pub again: Vec<PartitionId>,
    /// The partitions that are known to differ, and wait to be repaired.
    pub to_repair: Vec<PartitionId>,
    /// The partitions that this node lost and the peer has, which wait to be copied.
    pub to_copy: Vec<PartitionId>,
}

/// The stage that a comparison has reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionStage {
    /// One hash over all shared partitions was sent to the peer.
    Comparing,
    /// The peer was asked about the roots of some partitions.
    Looking {
        /// The number of these partitions.
        partitions: usize,
    },
    /// Writes in flight are given time to arrive before the second look.
    Settling,
    /// One partition is being repaired.
    Descending {
        /// The partition that is being repaired.
        partition: PartitionId,
        /// The answer that the repair waits for.
        awaits: DescentAwaits,
        /// The number of leaves left, the present one among them.
        leaves: usize,
        /// The number of keys that differed so far.
        keys_that_differed: u64,
    },
}

/// The answer that the repair of a partition waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DescentAwaits {
    /// An answer of this node's own storage.
    OwnStorage,
    /// The peer's hashes of branches of its tree.
    Branches,
    /// The peer's hashes of leaves of its tree.
    Leaves,
    /// The peer's summaries of the keys of a leaf.
    Summaries,
    /// The peer's containers, and its word on those that it was sent.
    Containers,
    /// The sync of this node's disk: what came must be durable.
    Sync,
}

/// The history of repair with one partner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartnerSnapshot {
    /// The partner's node id.
    pub node: NodeId,
    /// The time at which the last comparison with it ended, well or not; none if there was none.
    pub served_at: Option<Time>,
    /// The time at which the last comparison that ended well began; none if there was none.
    pub clean_since: Option<Time>,
    /// Tells whether the last comparison brought nothing of what this node lost.
    pub is_fruitless: bool,
}

/// A corrupt key that is to be repaired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorruptKeySnapshot {
    /// The key that is to be repaired.
    pub key: Key,
    /// The time before which the other owners are not asked again.
    pub ask_at: Time,
}

/// The copying of an incomplete partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyingSnapshot {
    /// The partition that is incomplete.
    pub partition: PartitionId,
    /// The owners from which all of the partition was copied.
    pub sources: Vec<NodeId>,
    /// Tells whether the data marker of the partition is being written.
    pub is_marking: bool,
}

impl Repair {
    /// The state of repair now.
    pub fn inspect(&self) -> RepairSnapshot {
        let partners = self.partners.iter().map(|(&node, partner)| PartnerSnapshot {
            node,
            served_at: partner.served_at,
            clean_since: partner.clean_since,
            is_fruitless: partner.fruitless,
        });
        RepairSnapshot {
            session: self.session.as_ref().map(super::RepairSession::inspect),
            partners: partners.collect(),
            corrupt_keys: self.corrupt_keys.inspect(),
            copying: self.access.copying.inspect(),
            commands: self.access.commands.in_flight(),
            awaits_sync: self.access.waiting.len(),
        }
    }

    /// The open deadlines: the next round, and that of the comparison if it has one.
    pub fn deadlines(&self) -> impl Iterator<Item = Deadline> + '_ {
        let session = self.session.as_ref().and_then(|session| {
            let (at, peer) = (session.deadline()?, session.peer());
            let reason = if session.is_settling() {
                Reason::RepairSecondLook { peer }
            } else {
                Reason::RepairTimeout { peer }
            };
            Some(Deadline { at, reason })
        });
        let round = Deadline { at: self.round_at, reason: Reason::RepairRound };
        [round].into_iter().chain(session)
    }
}
