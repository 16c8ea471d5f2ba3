//! The state of a node, for people: for the simulator that looks at a moment of a run, and for an
//! operator's page. Plain data; nothing is decided by it, and looking changes nothing.

use alloc::vec::Vec;

use super::{Node, Readiness};
use crate::coordinator::OperationSnapshot;
use crate::deadline::Deadline;
use crate::founding::FoundingSnapshot;
use crate::handoff::HandoffSnapshot;
use crate::membership::MembershipSnapshot;
use crate::recall::RecallSnapshot;
use crate::repair::RepairSnapshot;
use crate::replica::ReplicaSnapshot;
use crate::store::KeptHints;
use crate::time::Time;
use crate::types::{Key, NodeId, OperationId, PartitionId};

/// The whole state of a node's core. The contents of its storage are no part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSnapshot {
    /// Tells whether the node takes new work, and if not, why.
    pub activity: Activity,
    /// The founding of the cluster, as this node knows it.
    pub founding: FoundingSnapshot,
    /// The peers that seem to be down.
    pub down: Vec<NodeId>,
    /// The owners for which somebody keeps hints: they may lack acknowledged writes.
    pub behind: Vec<NodeId>,
    /// The partitions that the node owns.
    pub owned: Vec<PartitionId>,
    /// The owned partitions in which the node is complete; it has yet to copy the others.
    pub complete: Vec<PartitionId>,
    /// The client operations in flight, the oldest first.
    pub operations: Vec<OperationSnapshot>,
    /// The node's part as a replica.
    pub replica: ReplicaSnapshot,
    /// The node's view of the other members.
    pub membership: MembershipSnapshot,
    /// The hints that the node keeps.
    pub handoff: HandoffSnapshot,
    /// The node's repair with other owners.
    pub repair: RepairSnapshot,
    /// The node's own log, held against what others remember of it.
    pub recall: RecallSnapshot,
    /// The open deadlines, the earliest first.
    pub deadlines: Vec<Deadline>,
}

/// A node's readiness for new work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// The node waits until it knows that its cluster is founded.
    Waiting,
    /// The node takes new work.
    Serving,
    /// The node was told to stop, and ends what is in flight.
    Stopping,
    /// The node's disk failed: it says nothing any more.
    Failed,
}

impl Node {
    /// The hints that the node counts, by target and then by partition.
    pub fn hints_counted(&self) -> impl Iterator<Item = KeptHints> + '_ {
        self.handoff.counted()
    }

    /// The key of a coordinator's operation in flight; none, if it has ended.
    pub fn key_of(&self, operation: OperationId) -> Option<&Key> {
        self.coordinator.key_of(operation)
    }

    /// The state of the node when its monotonic clock shows this time.
    pub fn inspect(&self, now: Time) -> NodeSnapshot {
        let owned = self.local.topology().owned_by(self.local.me()).to_vec();
        let complete = owned.iter().copied().filter(|at| self.local.is_complete(*at)).collect();
        NodeSnapshot {
            founding: self.founding.inspect(),
            activity: match self.state {
                Readiness::Serving if !self.founding.is_founded() => Activity::Waiting,
                Readiness::Serving => Activity::Serving,
                Readiness::Stopping => Activity::Stopping,
                Readiness::Failed => Activity::Failed,
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
            recall: self.recall.inspect(),
            deadlines: self.deadlines(),
        }
    }

    fn deadlines(&self) -> Vec<Deadline> {
        let mut deadlines: Vec<_> = self.open_deadlines().collect();
        deadlines.sort_by_key(|deadline| deadline.at);
        deadlines
    }

    /// The open deadlines of all machines that may be called: those of the founding before the
    /// cluster is founded, those of the others after that.
    pub(super) fn open_deadlines(&self) -> impl Iterator<Item = Deadline> + '_ {
        let Self { founding, coordinator, membership, handoff, repair, recall, state, .. } = self;
        let serves = *state != Readiness::Failed && founding.is_founded();
        let waits = *state != Readiness::Failed && !founding.is_founded();
        let of_background = membership.deadlines().chain(handoff.deadlines());
        let of_repair = repair.deadlines().filter(|_| recall.is_settled());
        let of_background = of_background.chain(of_repair).chain(recall.deadlines());
        let all = coordinator.deadlines().chain(of_background);
        let of_founding = founding.deadlines().filter(move |_| waits);
        all.filter(move |_| serves).chain(of_founding)
    }
}
