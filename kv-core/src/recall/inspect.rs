//! The state of recall, for people.

use alloc::vec::Vec;

use super::{Recall, RecallState};
use crate::deadline::{Deadline, Reason};
use crate::types::NodeId;

/// What a node knows of its own log by asking others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecallSnapshot {
    /// The stage that the node has reached.
    pub stage: RecallStage,
}

/// The stage that a node has reached with its own log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecallStage {
    /// The node asks what others remember of its log, and answers no reads as an owner.
    Asking {
        /// The members that have not answered; empty before the first is asked.
        awaited: Vec<NodeId>,
    },
    /// Others remember more of its log than there is: the node takes its data markers away.
    Forgetting {
        /// The number of markers that still stand.
        markers_left: usize,
    },
    /// The node has asked.
    Settled,
}

impl Recall {
    /// The state of recall now.
    pub fn inspect(&self) -> RecallSnapshot {
        let stage = match &self.stage {
            RecallState::New => RecallStage::Asking { awaited: Vec::new() },
            RecallState::Asking { awaited, .. } => {
                RecallStage::Asking { awaited: awaited.iter().copied().collect() }
            }
            RecallState::Forgetting { marked, .. } => {
                RecallStage::Forgetting { markers_left: marked.len() }
            }
            RecallState::Settled => RecallStage::Settled,
        };
        RecallSnapshot { stage }
    }

    /// The open deadline, if there is one.
    pub(crate) fn deadlines(&self) -> impl Iterator<Item = Deadline> {
        self.next_deadline().map(|at| Deadline { at, reason: Reason::Recall }).into_iter()
    }
}
