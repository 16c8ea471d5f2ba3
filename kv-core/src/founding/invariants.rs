//! The invariants of the founding of the cluster between two inputs.

use alloc::collections::BTreeSet;

use super::writing::{FoundingWriting, MARKERS_AT_ONCE, Pace, RecordProgress};
use super::{Attempt, Founding, FoundingState, History};
use crate::cx::NodeContext;

impl Founding {
    /// Checks that the stage, the pledges and the store's past agree.
    ///
    /// # Panics
    /// If what must hold does not.
    pub fn invariants(&self, local: &NodeContext) {
        let Self {
            cluster: _,
            stage,
            pledges,
            history,
            left_to,
            life,
            rounds,
            round_at: _,
            commands,
            promises,
        } = self;
        promises.invariants();
        assert!(life.is_some() || *rounds == 0, "a round was begun without request ids");
        assert!(
            left_to.is_none_or(|(member, _)| member != local.me()),
            "the founding is left to this node by itself"
        );
        match history {
            History::New => {}
            History::Served => assert!(pledges.is_empty(), "a store that has served has pledged"),
        }
        match stage {
            FoundingState::Waiting => {}
            FoundingState::Initiating(Attempt { request: _, founding: _, awaited, until: _ }) => {
                assert!(!awaited.contains(&local.me()), "a founder awaits its own pledge");
            }
            FoundingState::Writing(writing) => {
                writing.invariants(local);
                let may_mark = *history == History::New && pledges.contains(&writing.founding);
                assert!(
                    may_mark || writing.complete.is_empty(),
                    "data markers are written for a founding before which nothing was pledged"
                );
                let is_executing = usize::from(writing.record == RecordProgress::Executing);
                assert!(
                    commands.in_flight() >= writing.marking + is_executing,
                    "a founding waits for the storage, which was asked for nothing"
                );
            }
            FoundingState::Founded(_) => {
                assert!(*history == History::Served, "a founded cluster has left no trace here");
            }
        }
        assert!(
            self.is_founded() || self.next_deadline().is_some(),
            "a node that waits for the founding is never called"
        );
    }
}

impl FoundingWriting {
    fn invariants(&self, local: &NodeContext) {
        let Self { founding: _, request: _, complete, news: _, to_mark, marking, .. } = self;
        let Self { record, pace, durable, .. } = self;
        assert!(complete.iter().all(|&at| local.owns(at)), "who owns nothing of it is complete");
        let (marked, distinct): (BTreeSet<_>, BTreeSet<_>) =
            (complete.iter().collect(), to_mark.iter().collect());
        assert!(distinct.len() == to_mark.len(), "a data marker is written twice");
        assert!(distinct.is_subset(&marked), "a marker of what is not complete");
        assert!(*marking <= MARKERS_AT_ONCE, "too many markers are written at once");
        let markers_left = self.markers_left();
        match record {
            RecordProgress::Due => assert!(
                *marking > 0 || *pace == Pace::Refused,
                "the record of the founding is due, and nothing is done about it"
            ),
            RecordProgress::Executing => {
                assert!(markers_left == 0, "the founding is written before its markers");
            }
            RecordProgress::Executed(seq) => {
                assert!(markers_left == 0, "the founding is written before its markers");
                assert!(seq > durable, "the founding is durable, and the node still waits");
            }
        }
    }
}
