//! What a node is at, for people: for the simulator that looks at a moment of a run, and for an
//! operator's page. Plain data; nothing is decided by it, and looking changes nothing.

use alloc::vec::Vec;

use super::{Node, State};
use crate::coordinator::OperationSnapshot;
use crate::deadline::Deadline;
use crate::founding::FoundingSnapshot;
use crate::handoff::HandoffSnapshot;
use crate::membership::MembershipSnapshot;
use crate::repair::RepairSnapshot;
use crate::replica::ReplicaSnapshot;
use crate::time::Time;
use crate::types::{NodeId, PartitionId};

/// The whole state of a node's core. What its storage holds is for the storage to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSnapshot {
    /// Whether it takes new work.
    pub activity: Activity,
    /// The founding of its cluster.
    pub founding: FoundingSnapshot,
    /// Those that seem to be down.
    pub down: Vec<NodeId>,
    /// Those for which somebody keeps hints: they may lack acknowledged writes.
    pub behind: Vec<NodeId>,
    /// The partitions that it owns.
    pub owned: Vec<PartitionId>,
    /// Those of them that it serves; it is still to copy the others.
    pub complete: Vec<PartitionId>,
    /// Client operations in flight, the oldest first.
    pub operations: Vec<OperationSnapshot>,
    /// What it is asked as a replica.
    pub replica: ReplicaSnapshot,
    /// What it knows and thinks of the others.
    pub membership: MembershipSnapshot,
    /// The hints that it keeps.
    pub handoff: HandoffSnapshot,
    /// What its repair is at.
    pub repair: RepairSnapshot,
    /// When it wants to be called and why, the earliest first.
    pub deadlines: Vec<Deadline>,
}

/// Whether a node takes new work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// It waits until it knows that its cluster is founded.
    Waiting,
    /// It does.
    Serving,
    /// It was told to stop, and ends what is in flight.
    Stopping,
    /// Its disk failed: it says nothing any more.
    Failed,
}

impl Node {
    /// What it is at when its monotonic clock shows this time.
    pub fn inspect(&self, now: Time) -> NodeSnapshot {
        let owned = self.local.ring().owned_by(self.local.me()).to_vec();
        let complete =
            owned.iter().copied().filter(|at| self.local.complete.contains(at)).collect();
        NodeSnapshot {
            founding: self.founding.inspect(),
            activity: match self.state {
                State::Serving if !self.founding.is_founded() => Activity::Waiting,
                State::Serving => Activity::Serving,
                State::Stopping => Activity::Stopping,
                State::Failed => Activity::Failed,
            },
            down: self.local.peers.down.iter().copied().collect(),
            behind: self.local.peers.behind.iter().copied().collect(),
            owned,
            complete,
            operations: self.coordinator.inspect(),
            replica: self.replica.inspect(),
            membership: self.membership.inspect(now),
            handoff: self.handoff.inspect(),
            repair: self.repair.inspect(),
            deadlines: self.deadlines(),
        }
    }

    fn deadlines(&self) -> Vec<Deadline> {
        let Self { founding, coordinator, membership, handoff, repair, state, .. } = self;
        if *state == State::Failed {
            return Vec::new();
        }
        if !founding.is_founded() {
            return founding.deadlines().collect();
        }
        let of_background = membership.deadlines().chain(handoff.deadlines());
        let all = coordinator.deadlines().chain(of_background).chain(repair.deadlines());
        let mut deadlines: Vec<_> = all.collect();
        deadlines.sort_by_key(|deadline| deadline.at);
        deadlines
    }
}
