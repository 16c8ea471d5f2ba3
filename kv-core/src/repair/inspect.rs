//! What repair is at, for people.

use alloc::vec::Vec;

use super::Repair;
use crate::deadline::{Deadline, Reason};
use crate::time::Time;
use crate::types::{Key, NodeId, PartitionId, RequestId};

/// What repair is at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepairSnapshot {
    /// The comparison that this node leads, if one goes on.
    pub session: Option<SessionSnapshot>,
    /// The others that own what this node owns.
    pub partners: Vec<PartnerSnapshot>,
    /// Keys of which a record was corrupt, and which are being repaired.
    pub corrupt_keys: Vec<CorruptKeySnapshot>,
    /// Partitions that are incomplete, as far as something was copied of them.
    pub copying: Vec<CopyingSnapshot>,
    /// Storage commands that have not been answered.
    pub commands: usize,
    /// What waits for the disk.
    pub awaits_sync: usize,
}

/// A comparison with one peer, as the side that asks sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionSnapshot {
    /// With whom.
    pub peer: NodeId,
    /// Under which request.
    pub request: RequestId,
    /// Since when, by the node's monotonic clock.
    pub began: Time,
    /// What it is at.
    pub stage: SessionStage,
    /// When it ceases to wait; nothing, while it waits for the own storage.
    pub until: Option<Time>,
    /// How many partitions the present look has not asked about yet.
    pub to_look: usize,
    /// Partitions that differed at the first look.
    pub again: Vec<PartitionId>,
    /// Partitions that are known to differ.
    pub to_repair: Vec<PartitionId>,
    /// Partitions that this node lost and the peer has.
    pub to_copy: Vec<PartitionId>,
}

/// What a comparison is at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionStage {
    /// One hash over everything was sent.
    Comparing,
    /// The peer was asked about the roots of so many partitions.
    Looking {
        /// How many.
        partitions: usize,
    },
    /// Writes in flight are given time to arrive.
    Settling,
    /// One partition is repaired.
    Descending {
        /// Which.
        partition: PartitionId,
        /// What is awaited.
        awaits: DescentAwaits,
        /// How many leaves are left, the present one among them.
        leaves: usize,
        /// How many keys differed so far.
        keys_that_differed: u64,
    },
}

/// What the repair of a partition waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DescentAwaits {
    /// The own storage.
    OwnStorage,
    /// The peer, which was asked about inner nodes of the tree.
    Branches,
    /// The peer, which was asked about leaves.
    Leaves,
    /// The peer, which was asked about the keys of a leaf.
    Summaries,
    /// The peer, which was sent containers and asked for others.
    Containers,
    /// The own disk: what came must be durable.
    Sync,
}

/// What is remembered of a partner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartnerSnapshot {
    /// Who.
    pub node: NodeId,
    /// When the last comparison with it ended, well or not.
    pub served_at: Option<Time>,
    /// When the last one began that ended well.
    pub clean_since: Option<Time>,
    /// Whether the last one brought nothing of what was lost here.
    pub is_fruitless: bool,
}

/// A key that is to be repaired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorruptKeySnapshot {
    /// The key.
    pub key: Key,
    /// The others are not asked again before.
    pub ask_at: Time,
}

/// What was copied of a partition that is incomplete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyingSnapshot {
    /// The partition.
    pub partition: PartitionId,
    /// From whom all of it was copied.
    pub sources: Vec<NodeId>,
    /// Whether its data marker is being written.
    pub is_marking: bool,
}

impl Repair {
    /// What it is at now.
    pub fn inspect(&self) -> RepairSnapshot {
        let partners = self.partners.iter().map(|(&node, partner)| PartnerSnapshot {
            node,
            served_at: partner.served_at,
            clean_since: partner.clean_since,
            is_fruitless: partner.fruitless,
        });
        RepairSnapshot {
            session: self.session.as_ref().map(super::Session::inspect),
            partners: partners.collect(),
            corrupt_keys: self.corrupt_keys.inspect(),
            copying: self.access.copying.inspect(),
            commands: self.access.commands.in_flight(),
            awaits_sync: self.access.waiting.len(),
        }
    }

    /// What it waits for.
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
