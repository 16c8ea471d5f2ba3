//! The state of a founding, for people.

use alloc::vec::Vec;

use super::{Founding, FoundingState};
use crate::deadline::{Deadline, Reason};
use crate::types::{FoundingId, NodeId};

/// The state of the founding at one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundingSnapshot {
    /// The stage that the founding has reached at this member.
    pub stage: FoundingStage,
    /// The foundings that this member has pledged itself to: its store was new before them.
    pub pledges: Vec<FoundingId>,
}

/// The stage that the founding has reached at a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FoundingStage {
    /// The member waits: nobody has said that the cluster is founded.
    Waiting,
    /// The member was told to found the cluster, and waits for the others.
    Initiating {
        /// The id of the founding.
        founding: FoundingId,
        /// The members whose pledges are missing.
        awaited: Vec<NodeId>,
    },
    /// The cluster is founded, and the member is writing that down.
    Writing {
        /// The id of the founding.
        founding: FoundingId,
        /// The number of data markers that are not written yet.
        markers_left: usize,
    },
    /// The cluster is founded, and the member has written that down.
    Founded {
        /// The id of the founding.
        founding: FoundingId,
    },
}

impl Founding {
    /// The state of the founding now.
    pub fn inspect(&self) -> FoundingSnapshot {
        let stage = match &self.stage {
            FoundingState::Waiting => FoundingStage::Waiting,
            FoundingState::Initiating(attempt) => FoundingStage::Initiating {
                founding: attempt.founding,
                awaited: attempt.awaited.iter().copied().collect(),
            },
            FoundingState::Writing(writing) => FoundingStage::Writing {
                founding: writing.founding,
                markers_left: writing.markers_left(),
            },
            FoundingState::Founded(founding) => FoundingStage::Founded { founding: *founding },
        };
        FoundingSnapshot { stage, pledges: self.pledges.iter().copied().collect() }
    }

    /// The open deadline: the next round, if there is one.
    pub(crate) fn deadlines(&self) -> impl Iterator<Item = Deadline> {
        let round = |at| Deadline { at, reason: Reason::FoundingRound };
        self.next_deadline().map(round).into_iter()
    }
}
