//! The state of a founding, for people.

use alloc::vec::Vec;

use super::{Founding, Stage};
use crate::deadline::{Deadline, Reason};
use crate::types::{FoundingId, NodeId};

/// How far the founding has come at one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundingSnapshot {
    /// How far it has come.
    pub stage: FoundingStage,
    /// Foundings before which the store is known to have been new.
    pub pledges: Vec<FoundingId>,
}

/// See [`FoundingSnapshot::stage`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FoundingStage {
    /// Nobody has said that the cluster is founded.
    Waiting,
    /// This member was told to found it, and waits for the others.
    Initiating {
        /// The founding.
        founding: FoundingId,
        /// Members whose pledges are missing.
        awaited: Vec<NodeId>,
    },
    /// It is founded, and that is being written down.
    Writing {
        /// The founding.
        founding: FoundingId,
        /// Data markers that are not written yet.
        markers_left: usize,
    },
    /// It is founded.
    Founded {
        /// The founding.
        founding: FoundingId,
    },
}

impl Founding {
    /// Describes the state.
    pub fn inspect(&self) -> FoundingSnapshot {
        let stage = match &self.stage {
            Stage::Waiting => FoundingStage::Waiting,
            Stage::Initiating(attempt) => FoundingStage::Initiating {
                founding: attempt.founding,
                awaited: attempt.awaited.iter().copied().collect(),
            },
            Stage::Writing(writing) => FoundingStage::Writing {
                founding: writing.founding,
                markers_left: writing.markers_left(),
            },
            Stage::Founded(founding) => FoundingStage::Founded { founding: *founding },
        };
        FoundingSnapshot { stage, pledges: self.pledges.iter().copied().collect() }
    }

    /// Names the deadline that is open, and why it is.
    pub(crate) fn deadlines(&self) -> impl Iterator<Item = Deadline> {
        let round = |at| Deadline { at, reason: Reason::FoundingRound };
        self.next_deadline().map(round).into_iter()
    }
}
