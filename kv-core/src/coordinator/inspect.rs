//! A coordinator's operations in flight, for people.

use alloc::vec::Vec;

use super::Coordinator;
use super::fallbacks::Assignment;
use super::operation::{Kind, Operation, Phase};
use crate::deadline::{Deadline, Reason};
use crate::quorum::Mode;
use crate::tally::{Answer, OwnerSet};
use crate::time::Time;
use crate::types::{ClientRequest, Key, NodeId, RequestId};

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
    pub answers: Vec<Answer>,
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
    Reading,
    /// A replica is asked to mint.
    Naming,
    /// Replicas are sent the container that they are to hold.
    Spreading,
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

    /// The open deadlines: one per operation, its next hedge or its expiry.
    pub fn deadlines(&self) -> impl Iterator<Item = Deadline> + '_ {
        self.operations.iter().map(|(_, operation)| operation.deadline())
    }
}

impl Operation {
    fn deadline(&self) -> Deadline {
        let request = self.request;
        let reason = if self.wake_at < self.expires_at {
            Reason::Hedge { request }
        } else {
            Reason::Expiry { request }
        };
        Deadline { at: self.wake_at, reason }
    }

    fn inspect(&self) -> OperationSnapshot {
        let task = match self.kind {
            Kind::Get { .. } => Task::Get,
            Kind::Put { .. } => Task::Put,
            Kind::Gather { .. } => Task::Gather,
        };
        let (stage, tally, refused, in_doubt, fallbacks) = match &self.phase {
            Phase::Reading(reading) => {
                let mut in_doubt: Vec<_> = reading.behind.iter().map(|answer| answer.by).collect();
                in_doubt.dedup();
                let refused = reading.refused.clone();
                (Stage::Reading, &reading.tally, refused, in_doubt, &reading.fallbacks)
            }
            Phase::Writing(writing) => {
                let stage = match writing.container {
                    None => Stage::Naming,
                    Some(_) => Stage::Spreading,
                };
                let refused = writing.refused_to_mint().to_vec();
                (stage, &writing.tally, refused, Vec::new(), &writing.fallbacks)
            }
        };
        let fallbacks = fallbacks.assigned().iter();
        let fallbacks: Vec<_> = fallbacks
            .map(|&Assignment { owner, fallback: node }| AssignedFallback { owner, node })
            .collect();
        let owners = tally.sets().iter().flat_map(|set| set.owners.iter().copied());
        let mut awaited: Vec<_> = owners.chain(fallbacks.iter().map(|one| one.node)).collect();
        awaited.retain(|&node| self.waits_for(node) && !refused.contains(&node));
        awaited.sort_unstable();
        awaited.dedup();
        OperationSnapshot {
            request: self.request,
            key: self.key.clone(),
            task,
            stage,
            mode: self.mode,
            client: self.client,
            needs: tally.sets().to_vec(),
            answers: tally.answers().to_vec(),
            in_doubt,
            refused,
            awaited,
            fallbacks,
            wakes_at: self.wake_at,
            expires_at: self.expires_at,
        }
    }
}
