//! What a coordinator is at, for people.

use alloc::vec::Vec;

use super::Coordinator;
use super::fallbacks::Assignment;
use super::operation::{Kind, Operation, Phase};
use crate::deadline::{Deadline, Reason};
use crate::quorum::Mode;
use crate::tally::{Answer, OwnerSet};
use crate::time::Time;
use crate::types::{ClientRequest, Key, NodeId, RequestId};

/// An operation in flight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationSnapshot {
    /// Its request, under which the cluster knows it.
    pub request: RequestId,
    /// The key.
    pub key: Key,
    /// What it is for.
    pub task: Task,
    /// How far it has come.
    pub stage: Stage,
    /// Whose answers count.
    pub mode: Mode,
    /// The client that waits; nobody, once it was answered or if none asked.
    pub client: Option<ClientRequest>,
    /// What the present phase needs.
    pub needs: Vec<OwnerSet>,
    /// The answers that count so far.
    pub answers: Vec<Answer>,
    /// Answers of owners that may be behind: they count only if no better one comes.
    pub in_doubt: Vec<NodeId>,
    /// Those that did not do what they were asked.
    pub refused: Vec<NodeId>,
    /// Those that were asked and have not answered.
    pub awaited: Vec<NodeId>,
    /// Who was asked in whose place.
    pub fallbacks: Vec<AssignedFallback>,
    /// When it asks again, or is given up, by the node's monotonic clock.
    pub wakes_at: Time,
    /// When it is given up.
    pub expires_at: Time,
}

/// What an operation is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// A client reads.
    Get,
    /// A client writes.
    Put,
    /// What others hold of a key that is corrupt here.
    Gather,
}

/// How far an operation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Replicas are asked what they hold.
    Reading,
    /// A replica is to mint.
    Naming,
    /// Replicas are sent what they are to hold.
    Spreading,
}

/// That a node was asked in the place of an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AssignedFallback {
    /// The owner.
    pub owner: NodeId,
    /// The node.
    pub node: NodeId,
}

impl Coordinator {
    /// The operations in flight, the oldest first.
    pub fn inspect(&self) -> Vec<OperationSnapshot> {
        self.operations.iter().map(|(_, operation)| operation.inspect()).collect()
    }

    /// What it waits for.
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
