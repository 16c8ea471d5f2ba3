//! The result of a run as people read it: the cluster, the faults, what clients saw, and what held.
//!
//! Takes a scenario and the result of a run and makes text with escape sequences for colour;
//! whoever prints it strips them where they are not wanted.

use std::fmt::{self, Write as _};

use kv_core::time::Span;

use crate::checks::CheckVerdict;
use crate::cluster::world::SETUP;
use crate::cluster::world_time::WorldTime;
use crate::scenario::Scenario;
use crate::story::cluster_words;
use crate::story::result::{Moment, RunResult, Verdict};
use crate::story::words::{BAD, DOUBT, FAINT, GOOD, HEADING, seconds, thousands};

/// The most lines of the timeline that are shown.
const TIMELINE_LINES_MAX: usize = 20;

/// The summary of a run, with what its reader needs to go on from it. Its `Display` is the text.
#[derive(Clone, Copy, Debug)]
pub struct RunSummary<'a> {
    /// The scenario that was run.
    pub scenario: &'a Scenario,
    /// The result of the run.
    pub result: &'a RunResult,
    /// The command that runs it again.
    pub replay: &'a str,
    /// The command that shows what happened in it.
    pub report: &'a str,
}

impl fmt::Display for RunSummary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scenario, result, .. } = self;
        writeln!(f, "{HEADING}{}{HEADING:#}", scenario.title)?;
        let (path, seed, digest) = (scenario.path(), result.seed, result.digest);
        writeln!(f, "{FAINT}{path}, seed {seed}, digest {digest}{FAINT:#}\n")?;
        self.cluster(f)?;
        self.injected(f)?;
        self.seen(f)?;
        self.done(f)?;
        self.checks(f)?;
        self.verdict(f)
    }
}

impl RunSummary<'_> {
    fn cluster(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        heading(f, "The cluster")?;
        for line in cluster_words::of(self.scenario) {
            writeln!(f, "  {line}")?;
        }
        writeln!(f)
    }

    fn injected(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        heading(f, "What was injected")?;
        let lines = if self.result.timeline.is_empty() { self.planned() } else { self.happened() };
        if lines.is_empty() {
            writeln!(f, "  nothing but the ordinary delays")?;
        } else {
            let chaos = WorldTime(0) + SETUP;
            writeln!(
                f,
                "  {FAINT}in seconds since the first node started; the scenario counts from {chaos}{FAINT:#}"
            )?;
        }
        for (_, line) in lines.iter().take(TIMELINE_LINES_MAX) {
            writeln!(f, "  {line}")?;
        }
        if let Some(more @ 1..) = lines.len().checked_sub(TIMELINE_LINES_MAX) {
            writeln!(f, "  {FAINT}and {more} more{FAINT:#}")?;
        }
        if !self.result.faults.is_empty() {
            let counts = self.result.faults.iter().map(|(name, count)| format!("{count} {name}"));
            writeln!(f, "  {FAINT}together: {}{FAINT:#}", counts.collect::<Vec<_>>().join(", "))?;
        }
        writeln!(f)
    }

    /// The faults that the scenario plans, for a run that kept no timeline of its own.
    fn planned(&self) -> Vec<(WorldTime, String)> {
        let mut lines: Vec<_> = self
            .scenario
            .faults
            .iter()
            .flat_map(|fault| fault.occurrences().map(move |occurrence| (fault, occurrence)))
            .map(|(fault, occurrence)| {
                let at = |span: Span| WorldTime(0) + SETUP + span;
                let from = at(occurrence.from);
                let until = occurrence.until.map(at);
                let until = until.map_or_else(|| "the end".to_owned(), |until| until.to_string());
                let (name, who) = (fault.kind.name(), fault.kind.describe(&self.scenario.cluster));
                (from, format!("{from:>11} to {until:>11}  {name}: {who}"))
            })
            .collect();
        lines.sort_by_key(|(at, _)| *at);
        lines
    }

    fn happened(&self) -> Vec<(WorldTime, String)> {
        let moments = self.result.timeline.iter();
        let line = |Moment { at, what }: &Moment| (*at, format!("{at:>11}  {what}"));
        moments.map(line).collect()
    }

    fn seen(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { result, .. } = self;
        let outcomes = result.outcomes;
        heading(f, "What clients did and saw")?;
        let line = |f: &mut fmt::Formatter<'_>, count: u64, what: &str| {
            writeln!(f, "  {:>9} {what}", thousands(count))
        };
        line(f, result.operations, "operations, of which")?;
        line(f, outcomes.acknowledged, "were acknowledged")?;
        line(f, outcomes.unknown, "timed out: they may have happened or not")?;
        line(f, outcomes.refused, "were refused: they did not happen")?;
        if outcomes.misused > 0 {
            line(f, outcomes.misused, "made no sense and were refused, as they had to be")?;
        }
        line(
            f,
            outcomes.siblings,
            "reads returned siblings: writes that did not know of each other",
        )?;
        let simulated = seconds(Span::from_ms(result.simulated_ms));
        let (events, messages) = (thousands(result.events), thousands(result.messages));
        let wall = result.wall_ms / 1_000.0;
        writeln!(
            f,
            "  {FAINT}{simulated} simulated in {wall:.3} s: {events} events, {messages} messages{FAINT:#}\n"
        )
    }

    /// Writes what the nodes did, as far as it is worth telling.
    fn done(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = COUNTS.iter().filter_map(|(probe, words)| {
            let count = self.result.probes.get(*probe)?;
            Some((*count, words))
        });
        let counts: Vec<_> = counts.collect();
        let RunResult { merges, operations, .. } = *self.result;
        if counts.is_empty() && merges == 0 {
            return Ok(());
        }
        heading(f, "What the nodes did")?;
        for (count, words) in counts {
            writeln!(f, "  {:>9} {words}", thousands(count))?;
        }
        if let Some(tenths) = (merges * 10).checked_div(operations) {
            let each = format!("{}.{}", tenths / 10, tenths % 10);
            let merges = thousands(merges);
            writeln!(f, "  {merges:>9} containers joined into copies, {each} for each operation")?;
        }
        writeln!(f)
    }

    fn checks(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        heading(f, "What was checked")?;
        for (name, check) in &self.result.checks {
            let (style, word) = match (check.verdict, check.examined) {
                (CheckVerdict::Fail, _) => (BAD, "violated"),
                (CheckVerdict::Pass, 0) => (DOUBT, "nothing to examine"),
                (CheckVerdict::Pass, _) => (GOOD, "held"),
            };
            let mut counts = String::new();
            if check.examined > 0 {
                write!(counts, "{} examined", thousands(check.examined))?;
            }
            if check.weakened > 0 {
                let weakened = thousands(check.weakened);
                write!(counts, ", {weakened} with a weaker promise, as faults exceeded it")?;
            }
            // Padded after the word, not within its style, and only if something follows.
            let gap = if counts.is_empty() { 0 } else { 10_usize.saturating_sub(word.len()) };
            writeln!(f, "  {name:<14} {style}{word}{style:#}{:gap$}{counts}", "")?;
            for line in check.violation.iter().flat_map(|violation| violation.lines()) {
                writeln!(f, "    {line}")?;
            }
        }
        writeln!(f)
    }

    fn verdict(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { result, replay, report, .. } = self;
        match result.verdict {
            Verdict::Pass => return writeln!(f, "{GOOD}PASSED{GOOD:#}"),
            Verdict::Fail => {}
            Verdict::Nondeterministic => {
                writeln!(f, "Something decides that is not in the seed.")?;
                if let Some(difference) = &result.difference {
                    writeln!(f, "{difference}\n")?;
                }
            }
        }
        writeln!(f, "To see it again:\n  {replay}\nTo see what happened:\n  {report}\n")?;
        writeln!(f, "{BAD}FAILED{BAD:#}")
    }
}

/// The probes of a run that tell a newcomer what the cluster was doing, in words.
const COUNTS: &[(&str, &str)] = &[
    ("peer-suspected", "times a node took another for dead"),
    ("peer-trusted", "times it found it alive again"),
    ("loop-stalled", "times a node noticed that it had stood still itself"),
    ("hint-stored", "hints kept for owners that did not answer"),
    ("hints-delivered", "batches of hints applied by their owners"),
    ("hint-dropped", "hints given up: their owners were left to repair"),
    ("read-repair", "replicas brought up because a read found them behind"),
    ("repair-differed", "partitions in which a comparison of trees found a difference"),
    ("partition-complete", "partitions copied back to an owner that had lost its data"),
    ("epoch-at-start", "new epochs after a start"),
    ("epoch-after-hint-deleted", "new epochs after a hint was deleted"),
    ("epoch-shown-ahead", "new epochs because others knew more than a replica of itself"),
    ("clock-ahead", "versions stamped too far ahead, kept and reported"),
];

fn heading(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    writeln!(f, "{HEADING}{text}{HEADING:#}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::CheckResult;
    use crate::story::result::Outcomes;

    fn summary(change: impl FnOnce(&mut RunResult)) -> String {
        let text = include_str!("../../../scenarios/partition.toml");
        let scenario = Scenario::parse("scenarios/partition.toml", text).expect("it is valid");
        let mut result = RunResult::new(&scenario, 7);
        result.operations = 2_000;
        result.outcomes =
            Outcomes { acknowledged: 1_990, unknown: 6, refused: 4, misused: 0, siblings: 31 };
        result.simulated_ms = 12_345;
        result.events = 1_234_567;
        result.messages = 45_000;
        result.wall_ms = 789.4;
        for check in result.checks.values_mut() {
            check.examined = 1_000;
        }
        change(&mut result);
        let result = result.concluded(&scenario.expect.outcomes);
        let replay = "kv-sim --scenario scenarios/partition.toml --seed 7";
        let report = "kv-sim report scenarios/partition.toml --seed 7 -o report.html";
        let summary = RunSummary { scenario: &scenario, result: &result, replay, report };
        anstream::adapter::strip_str(&summary.to_string()).to_string()
    }

    #[test]
    fn a_run_that_passed_says_what_happened_and_ends_with_passed() {
        insta::assert_snapshot!(summary(|_| ()));
    }

    #[test]
    fn a_run_that_failed_says_what_was_violated_and_how_to_see_it_again() {
        insta::assert_snapshot!(summary(|result| {
            let mut check =
                CheckResult::violated(88, "put 17 of client 3 was acknowledged\nn1 has lost it");
            check.weakened = 3;
            result.checks.insert("durability".to_owned(), check);
        }));
    }

    #[test]
    fn a_check_that_examined_nothing_does_not_say_that_it_held() {
        let text = summary(|result| {
            result.checks.insert("durability".to_owned(), CheckResult::held(0));
        });
        assert!(text.contains("durability     nothing to examine"), "{text}");
    }
}
