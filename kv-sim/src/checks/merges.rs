//! The merges of a run, and how many of them its operations can have caused.
//!
//! Takes storage commands and operations that ended, and counts the containers that owners joined
//! into their copies, by what made them: a write on its way, a read that repairs, hints, comparisons.
//! Each has its limit:
//!
//! - A write is sent to each of N owners when a replica has minted it, and again with each hedge.
//!   The pause before a hedge doubles, so there are few before the time is up; a strict write hedges
//!   in each of its two phases.
//! - A read sends what it found to each owner that it found behind, once more when its time is up,
//!   and before that with each hedge if the answer must stand before it is given.
//! - A hint is delivered until that is answered. The pause doubles with each failure, and begins
//!   anew when the target comes back.
//! - A comparison brings an owner what it lacks, so it lacked it: each of N owners lacks an event
//!   once, and again when a fault or a kill took it. Comparisons with each of the N - 1 others may
//!   bring it at the same time, asked by either side.
//!
//! Where no fault is at work and nothing takes long there are no hedges, no hints, and no second
//! copies of messages: then a write takes N - 1 merges, and not one more.

use kv_core::config::Config;
use kv_core::store::{
    AnswerFamily as _, Command, HandoffCommand, JoinFor, Outcome, RepairCommand, ReplicaAction,
    Role, StoreCommand,
};
use kv_core::time::Span;

use super::WorldView;
use super::occasions::{Execution, OperationEnd};

/// The merges of a run, with what may have caused them.
#[derive(Clone, Debug, Default)]
pub(super) struct Merges {
    /// The merges by what made them.
    made: MergesMade,
    /// The number of times that a replica was asked to mint.
    mints: u64,
    /// The number of hints that were kept, or grew.
    hints: u64,
    /// The number of operations that wrote.
    writes: u64,
    /// The number of operations that read.
    reads: u64,
    /// The number of copies of a key of which a fault took something.
    losses: u64,
    /// The number of processes that ended, each perhaps with writes that were not synced.
    stops: u64,
    /// The longest time that an operation was given.
    timeout_max: Span,
}

/// The containers that owners joined into their copies, by what made them do so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct MergesMade {
    writes: u64,
    reads: u64,
    hints: u64,
    comparisons: u64,
}

/// A kind of merges of which there were more than can have been caused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooManyMerges {
    /// The thing that made them, in words.
    pub(super) by: &'static str,
    /// The number of merges.
    pub(super) merges: u64,
    /// The number of merges that can have been caused.
    pub(super) limit: u64,
}

/// The number of copies in which a message arrives, at most.
const COPIES: u64 = 2;

/// The most times that a hint is delivered in vain: with a pause that doubles from the shortest one,
/// some hours pass, or a target comes back twice in each of some seconds.
const TRIES: u64 = 24;

impl Merges {
    /// Takes a storage command that was executed.
    pub(super) fn on_execution(&mut self, execution: &Execution<'_, impl WorldView>) {
        if execution.outcome.answer.refusal().is_some() {
            return;
        }
        match &execution.command.command {
            Command::Replica(command) => match &command.action {
                ReplicaAction::Mint(mint) => {
                    self.mints += 1;
                    self.hints += u64::from(mint.role != Role::Owner);
                }
                ReplicaAction::Merge(merge) => {
                    let request = command.requester.request;
                    let is_write = execution.histories.write(request, &merge.0).is_some();
                    let made = if is_write { &mut self.made.writes } else { &mut self.made.reads };
                    *made += 1;
                }
                ReplicaAction::Hint(_) => self.hints += 1,
                ReplicaAction::Read { .. } => {}
            },
            Command::Handoff(HandoffCommand::Receive { items, .. }) => {
                self.made.hints += items.len() as u64;
            }
            Command::Repair(RepairCommand::Join { items, whose }) => match whose {
                JoinFor::Session(_) | JoinFor::Peer(..) => {
                    self.made.comparisons += items.len() as u64;
                }
                JoinFor::CorruptKey(_) => {}
            },
            Command::Handoff(_)
            | Command::Repair(_)
            | Command::Founding(_)
            | Command::Recall(_) => {}
        }
    }

    /// Takes a client's operation that ended.
    pub(super) fn on_end(&mut self, end: &OperationEnd<'_, impl WorldView>) {
        let count = if end.operation.write.is_some() { &mut self.writes } else { &mut self.reads };
        *count += 1;
        self.timeout_max = self.timeout_max.max(end.operation.terms.timeout);
    }

    /// Takes a copy of a key of which a fault takes something.
    pub(super) const fn on_loss(&mut self) {
        self.losses += 1;
    }

    /// Takes a process that ended.
    pub(super) const fn on_stop(&mut self) {
        self.stops += 1;
    }

    /// Lists the kinds of merges of which there were too many, where a key has `n` owners. If the run
    /// `is_calm`, no fault was at work and nothing took long.
    pub(super) fn too_many(&self, n: u64, config: &Config, is_calm: bool) -> Vec<TooManyMerges> {
        let &Self { made, mints, hints, writes, reads, losses, stops, .. } = self;
        let (copies, hedges) = if is_calm { (1, 0) } else { (COPIES, self.hedges_max(config)) };
        let sent = if is_calm { n - 1 } else { n };
        let repairs = if is_calm && !config.monotonic_reads { 1 } else { 2 };
        // What lay unsynced when a process ended is at most all that was written.
        let lacking = (n + stops) * mints + losses;
        let kinds = [
            ("writes", made.writes, copies * sent * (mints + writes * 2 * hedges)),
            ("reads", made.reads, copies * sent * reads * (repairs + 2 * hedges)),
            ("hints", made.hints, copies * TRIES * hints),
            ("comparisons", made.comparisons, copies * 2 * (n - 1) * lacking),
        ];
        let kinds = kinds.into_iter().filter(|(_, merges, limit)| merges > limit);
        kinds.map(|(by, merges, limit)| TooManyMerges { by, merges, limit }).collect()
    }

    /// The merges because of comparisons, if they are more than a scenario allows.
    pub(super) fn too_many_by_comparisons(&self, max: Option<u64>) -> Option<TooManyMerges> {
        let (merges, limit) = (self.made.comparisons, max?);
        (merges > limit).then_some(TooManyMerges { by: "comparisons", merges, limit })
    }

    /// The number of operations and of all merges.
    pub(super) const fn total(&self) -> (u64, u64) {
        let MergesMade { writes, reads, hints, comparisons } = self.made;
        (self.writes + self.reads, writes + reads + hints + comparisons)
    }

    /// The most times that an operation hedges in a phase: the pauses double until its time is up.
    fn hedges_max(&self, config: &Config) -> u64 {
        let pauses = self.timeout_max.0 / config.hedge().0.max(1);
        u64::from(u64::BITS - pauses.leading_zeros()) + 1
    }
}

/// The number of containers that a command has joined into an owner's copies.
pub fn merges_of(command: &StoreCommand, outcome: &Outcome) -> u64 {
    if outcome.answer.refusal().is_some() {
        return 0;
    }
    match &command.command {
        Command::Replica(command) => u64::from(matches!(command.action, ReplicaAction::Merge(_))),
        Command::Handoff(HandoffCommand::Receive { items, .. })
        | Command::Repair(RepairCommand::Join { items, .. }) => items.len() as u64,
        Command::Handoff(_) | Command::Repair(_) | Command::Founding(_) | Command::Recall(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALM: bool = true;
    const TROUBLED: bool = false;

    /// The kinds of merges of which there are too many, with so many copies of a key.
    fn too_many(n: u64, merges: &Merges, is_calm: bool) -> Vec<(&'static str, u64)> {
        let found = merges.too_many(n, &Config::default(), is_calm);
        found.into_iter().map(|found| (found.by, found.limit)).collect()
    }

    fn merges(made: MergesMade) -> Merges {
        let timeout_max = Span::from_ms(1_000);
        Merges { made, mints: 10, writes: 10, reads: 10, timeout_max, ..Merges::default() }
    }

    #[test]
    fn in_calm_a_write_takes_one_merge_for_each_other_owner() {
        let of_writes = |writes| merges(MergesMade { writes, ..MergesMade::default() });
        assert_eq!(too_many(3, &of_writes(20), CALM), []);
        assert_eq!(too_many(3, &of_writes(21), CALM), [("writes", 20)]);
        assert_eq!(too_many(3, &of_writes(21), TROUBLED), []);
        assert_eq!(too_many(1, &of_writes(0), CALM), []);
    }

    #[test]
    fn hedges_allow_for_more_as_their_pauses_double() {
        // 100, 200, 400 ms, and one that just fits: five with the rounding, in each of two phases.
        let of_writes = |writes| merges(MergesMade { writes, ..MergesMade::default() });
        assert_eq!(too_many(3, &of_writes(661), TROUBLED), [("writes", 2 * 3 * (10 + 10 * 10))]);
    }

    #[test]
    fn a_comparison_brings_what_was_lacking_and_hints_are_tried_for_a_while() {
        let compared = |comparisons| merges(MergesMade { comparisons, ..MergesMade::default() });
        assert_eq!(too_many(3, &compared(121), CALM), [("comparisons", 4 * 30)]);
        let lossy = |comparisons| Merges { losses: 5, ..compared(comparisons) };
        assert_eq!(too_many(3, &lossy(141), CALM), [("comparisons", 4 * 35)]);
        let hinted =
            Merges { hints: 1, ..merges(MergesMade { hints: 49, ..MergesMade::default() }) };
        assert_eq!(too_many(3, &hinted, TROUBLED), [("hints", 48)]);
    }
}
