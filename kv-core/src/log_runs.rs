//! The runs of a node that wrote its log, as far as its store knows them: by them a node is held to what
//! others remember of its log (semantics.md §4).

use alloc::vec::Vec;

use crate::codec::codec;
use crate::types::{Generation, LogPosition};

/// A position in the log of a node, and a run of that node which has promised that everything up to there is
/// durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogReach {
    /// The run.
    pub generation: Generation,
    /// The position.
    pub log: LogPosition,
}

codec!(struct LogReach { generation, log });

/// The newest runs that wrote a log, in their order, each with how far the log went when it began: so
/// much the store held of what earlier runs had written. In a store that has never run there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogRuns {
    /// The runs, this one the last.
    pub begun: Vec<LogReach>,
}

codec!(struct LogRuns { begun });

/// The relation between a remembered position of a log and what later runs of its node have found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finding {
    /// A later run found all of it.
    All,
    /// A later run found less, or nothing of it.
    Less,
    /// No later run is known.
    Unknown,
}

impl LogRuns {
    /// The most runs that are kept. What is remembered of an older one is held against the oldest that
    /// is.
    const RUNS_MAX: usize = 8;

    /// The position that no log reaches: where a run begins that answers for nothing before it.
    pub const BEYOND: LogPosition = LogPosition(u64::MAX);

    /// A run that answers for nothing that earlier ones wrote: the node says already that it has lost
    /// that.
    pub fn answering_for_nothing(generation: Generation) -> Self {
        Self { begun: Vec::from([LogReach { generation, log: Self::BEYOND }]) }
    }

    /// A further run begins, on a log that goes so far.
    pub fn begin(&mut self, run: LogReach) {
        self.begun.push(run);
        let forgotten = self.begun.len().saturating_sub(Self::RUNS_MAX);
        self.begun.drain(..forgotten);
    }

    /// Tells whether the log lacks some of this: whether the run after that one began on less, or all that
    /// this run wrote is missing, which began with a record of itself. Then positions mean nothing: the log
    /// may be that of another time, before the disk was emptied.
    ///
    /// Runs stand in the order in which they were, and are told apart by their generations. These rise
    /// from run to run as long as clocks are believed; of a run that the store does not know and that a
    /// wrong clock has put behind the present one nothing is said.
    pub fn lacks(&self, remembered: LogReach) -> bool {
        self.finding(remembered) == Finding::Less
    }

    /// Tells whether a later run says that it found all of this: it need not be remembered any more.
    pub fn covers(&self, remembered: LogReach) -> bool {
        self.finding(remembered) == Finding::All
    }

    fn finding(&self, LogReach { generation, log }: LogReach) -> Finding {
        let at = self.begun.iter().position(|run| run.generation == generation);
        let found = |run: &LogReach| if run.log < log { Finding::Less } else { Finding::All };
        match (at, self.begun.first(), self.begun.last()) {
            (Some(at), ..) => self.begun.get(at + 1).map_or(Finding::Unknown, found),
            (None, Some(first), _) if generation < first.generation => found(first),
            (None, _, Some(last)) if generation < last.generation => Finding::Less,
            (None, ..) => Finding::Unknown,
        }
    }

    /// The run that writes the log now.
    pub fn newest(&self) -> Option<Generation> {
        self.begun.last().map(|run| run.generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(generation: u64, log: u64) -> LogReach {
        LogReach { generation: Generation(generation), log: LogPosition(log) }
    }

    fn runs<const N: usize>(begun: [(u64, u64); N]) -> LogRuns {
        let mut runs = LogRuns::default();
        begun.into_iter().for_each(|(generation, log)| runs.begin(reach(generation, log)));
        runs
    }

    #[test]
    fn a_log_lacks_what_the_next_run_did_not_find() {
        let runs = runs([(10, 0), (20, 100), (30, 250)]);
        assert!(!runs.lacks(reach(10, 100)), "all of it was there");
        assert!(runs.lacks(reach(10, 101)), "although the log is longer by now");
        assert!(runs.lacks(reach(15, 1)), "the store knows nothing of that run");
        assert!(!runs.lacks(reach(20, 250)));
        assert!(runs.lacks(reach(20, 251)));
        assert!(!runs.lacks(reach(30, 999)), "this run still writes");
        assert!(!runs.lacks(reach(40, 999)), "not a run of this log, or of a twin");
    }

    #[test]
    fn runs_under_a_clock_that_was_wrong_are_held_against_those_that_came_after_them() {
        let runs = runs([(10, 0), (99, 100), (20, 250), (21, 300)]);
        assert!(!runs.lacks(reach(99, 250)) && runs.covers(reach(99, 250)));
        assert!(runs.lacks(reach(99, 251)));
        assert!(runs.lacks(reach(10, 101)));
        assert!(!runs.lacks(reach(98, 999)), "who knows when that was");
    }

    #[test]
    fn a_run_that_answers_for_nothing_lacks_nothing() {
        let runs = LogRuns::answering_for_nothing(Generation(20));
        assert!(!runs.lacks(reach(10, u64::MAX)));
        assert!(!runs.lacks(reach(20, 5)));
    }

    #[test]
    fn what_is_older_than_all_runs_that_are_kept_is_held_against_the_oldest() {
        let mut runs = LogRuns::default();
        (1..=20).for_each(|run| runs.begin(reach(run, 10 * run)));
        assert_eq!(runs.begun.len(), LogRuns::RUNS_MAX);
        assert_eq!(runs.newest(), Some(Generation(20)));
        assert!(!runs.lacks(reach(1, 130)));
        assert!(runs.lacks(reach(1, 131)));
    }
}
