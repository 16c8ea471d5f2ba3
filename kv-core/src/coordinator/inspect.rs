//! A coordinator's operations in flight, for people.

use alloc::vec::Vec;

use super::Coordinator;
use super::acks::Acks;
use super::fallbacks::Assignment;
use super::operation::{Operation, Phase};
use super::read_phase::ReadFor;
use super::request::Request;
use super::spread::WriteFor;
use super::write_phase::{WritePhase, WriteState};
use crate::deadline::{Deadline, Reason};
use crate::quorum::Mode;
use crate::tally::{OwnerSet, TallyAnswer};
use crate::time::Time;
use crate::types::{ClientRequest, Key, NodeId, OperationId, RequestId};

/// An operation in flight at a coordinator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationSnapshot {
    /// The request id, by which the cluster knows the operation.
    pub request: RequestId,
    /// The key that the operation reads or writes.
    pub key: Key,
    /// The purpose of the operation.
    pub task: Task,
    /// The stage that the operation has reached.
    pub stage: Stage,
    /// The mode, which says whether fallbacks count.
    pub mode: Mode,
    /// The client that waits; none once it was answered, or if no client asked.
    pub client: Option<ClientRequest>,
    /// The sets of owners whose answers the present phase needs.
    pub needs: Vec<OwnerSet>,
    /// The answers so far.
    pub answers: Vec<TallyAnswer>,
    /// The owners that answered and may be behind: they count only if no better answer comes.
    pub in_doubt: Vec<NodeId>,
    /// The nodes that refused what they were asked.
    pub refused: Vec<NodeId>,
    /// The nodes that were asked and have not answered.
    pub awaited: Vec<NodeId>,
    /// The fallbacks that were asked, each with its owner.
    pub fallbacks: Vec<AssignedFallback>,
    /// The time at which the operation asks again, or is given up, by the node's monotonic clock.
    pub wakes_at: Time,
    /// The time at which the operation is given up, by the same clock.
    pub expires_at: Time,
}

/// The purpose of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// A client's read.
    Get,
    /// A client's write.
    Put,
    /// The gathering of what other owners hold of a key that is corrupt here.
    Gather,
}

/// The stage that an operation has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Replicas are asked what they hold of the key.
    Read,
    /// A replica is asked to mint.
    Mint,
    /// Replicas are sent the container that they are to hold.
    Spread,
}

/// A node that was asked as the fallback of an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AssignedFallback {
    /// The owner that has the fallback.
    pub owner: NodeId,
    /// The fallback itself.
    pub node: NodeId,
}

impl Coordinator {
    /// The operations in flight, the oldest first.
    pub fn inspect(&self) -> Vec<OperationSnapshot> {
        self.operations.iter().map(|(_, operation)| operation.inspect()).collect()
    }

    /// The key of an operation in flight; none, if it has ended.
    pub fn key_of(&self, operation: OperationId) -> Option<&Key> {
        self.operations.get(operation.0).map(|operation| &operation.request.key)
    }

    /// The open deadlines: one per operation, its next hedge or its expiry.
    pub fn deadlines(&self) -> impl Iterator<Item = Deadline> + '_ {
        self.operations.iter().map(|(_, operation)| operation.deadline())
    }
}

impl Operation {
    fn deadline(&self) -> Deadline {
        let Request { id: request, wake_at: at, expires_at, .. } = self.request;
        let reason =
            if at < expires_at { Reason::Hedge { request } } else { Reason::Expiry { request } };
        Deadline { at, reason }
    }

    fn inspect(&self) -> OperationSnapshot {
        let Self { request, phase } = self;
        let (task, stage, tally, refused, in_doubt, fallbacks) = match phase {
            Phase::Read(read) => {
                let task = match read.purpose {
                    ReadFor::Answer { .. } | ReadFor::Repair => Task::Get,
                    ReadFor::Overwrite { .. } => Task::Put,
                    ReadFor::Gather { .. } => Task::Gather,
                };
                let mut in_doubt: Vec<_> = read.behind.iter().map(|answer| answer.by).collect();
                in_doubt.dedup();
                (task, Stage::Read, &read.tally, read.refused.clone(), in_doubt, &read.fallbacks)
            }
            Phase::Write(WritePhase { acks: Acks { tally, fallbacks }, state }) => {
                let (task, stage, refused) = match state {
                    WriteState::Search(search) => (Task::Put, Stage::Mint, search.refused.to_vec()),
                    WriteState::Spread(spread) => {
                        let task = match spread.purpose {
                            WriteFor::Put => Task::Put,
                            WriteFor::WriteBack { .. } => Task::Get,
                        };
                        (task, Stage::Spread, Vec::new())
                    }
                };
                (task, stage, tally, refused, Vec::new(), fallbacks)
            }
        };
        let fallbacks = fallbacks.assigned().iter();
        let fallbacks: Vec<_> = fallbacks
            .map(|&Assignment { owner, fallback: node }| AssignedFallback { owner, node })
            .collect();
        let owners = tally.sets().iter().flat_map(|set| set.owners.iter().copied());
        let mut awaited: Vec<_> = owners.chain(fallbacks.iter().map(|one| one.node)).collect();
        awaited.retain(|&node| phase.waits_for(node) && !refused.contains(&node));
        awaited.sort_unstable();
        awaited.dedup();
        OperationSnapshot {
            request: request.id,
            key: request.key.clone(),
            task,
            stage,
            mode: request.mode,
            client: request.client,
            needs: tally.sets().to_vec(),
            answers: tally.answers().to_vec(),
            in_doubt,
            refused,
            awaited,
            fallbacks,
            wakes_at: request.wake_at,
            expires_at: request.expires_at,
        }
    }
}
