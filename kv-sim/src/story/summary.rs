//! The result of a run as people read it: the cluster, the faults, what clients saw, and what held.
//!
//! Takes a scenario and the result of a run and makes text with escape sequences for colour;
//! whoever prints it strips them where they are not wanted.

use std::fmt::{self, Write as _};

use kv_core::quorum::Mode;
use kv_core::time::Span;

use crate::checks::CheckVerdict;
use crate::scenario::{Scenario, Workload, level_words};
use crate::story::result::{RunResult, Verdict};
use crate::story::words::{BAD, DOUBT, FAINT, GOOD, HEADING, counted, seconds, thousands};

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
        let Self { scenario, .. } = self;
        let machines = scenario.cluster.machines();
        let places = match machines.len() {
            1 => format!("{} machines", machines.values().sum::<u64>()),
            _ => {
                let each = machines.iter().map(|(name, count)| format!("{count} in {name}"));
                format!("machines: {}", each.collect::<Vec<_>>().join(", "))
            }
        };
        heading(f, "The cluster")?;
        let (nodes, partitions) = (scenario.cluster.nodes.len(), scenario.cluster.partitions);
        writeln!(f, "  {nodes} nodes on {places}; the ring is cut into {partitions} partitions")?;
        writeln!(f, "  {}", quorum_words(scenario))?;
        writeln!(f, "  {}", network_words(scenario))?;
        for workload in &scenario.workloads {
            writeln!(f, "  {}", workload_words(workload, scenario))?;
        }
        writeln!(f)
    }

    fn injected(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        heading(f, "What was injected")?;
        let lines = if self.result.timeline.is_empty() { self.planned() } else { self.happened() };
        if lines.is_empty() {
            writeln!(f, "  nothing but the ordinary delays")?;
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
    fn planned(&self) -> Vec<(Span, String)> {
        let mut lines: Vec<_> = self
            .scenario
            .faults
            .iter()
            .flat_map(|fault| fault.occurrences().map(move |occurrence| (fault, occurrence)))
            .map(|(fault, occurrence)| {
                let from = seconds(occurrence.from);
                let until = occurrence.until.map_or_else(|| "the end".to_owned(), seconds);
                let (name, who) = (fault.kind.name(), fault.kind.describe(&self.scenario.cluster));
                (occurrence.from, format!("{from:>9} to {until:>9}  {name}: {who}"))
            })
            .collect();
        lines.sort_by_key(|(at, _)| *at);
        lines
    }

    fn happened(&self) -> Vec<(Span, String)> {
        let moments = self.result.timeline.iter();
        moments
            .map(|moment| (moment.at, format!("{:>9}  {}", seconds(moment.at), moment.what)))
            .collect()
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
        if counts.is_empty() {
            return Ok(());
        }
        heading(f, "What the nodes did")?;
        for (count, words) in counts {
            writeln!(f, "  {:>9} {words}", thousands(count))?;
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
        let Self { result, replay, .. } = self;
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
        writeln!(f, "To see it again:\n  {replay}\n\n{BAD}FAILED{BAD:#}")
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

fn quorum_words(scenario: &Scenario) -> String {
    let quorum = &scenario.quorum;
    let copies = match quorum.replicas.len() {
        1 => format!("N={}", quorum.owners()),
        _ => {
            let each = quorum.replicas.iter().map(|(name, copies)| format!("{name} {copies}"));
            format!("N={} ({})", quorum.owners(), each.collect::<Vec<_>>().join(", "))
        }
    };
    let (read, write) = (level_words(quorum.read), level_words(quorum.write));
    let mode = match quorum.mode {
        Mode::Sloppy => "sloppy: other nodes are fallbacks of owners that do not answer",
        Mode::Strict => "strict: only answers of owners count",
    };
    format!(
        "{copies} copies of a key; a read waits for R={read}, a write for W={write} durable copies\n  {mode}"
    )
}

fn network_words(scenario: &Scenario) -> String {
    let network = &scenario.network;
    let ms = |span: Span| span.0 as f64 / 1_000.0;
    let mut words = format!(
        "messages take {} ms on average, at least {}",
        ms(network.delay_mean),
        ms(network.delay_min)
    );
    if network.distances.is_some() {
        words.push_str(", and as the scenario says between some places");
    }
    let misfortunes = [
        (network.loss_ppm, "are lost"),
        (network.duplicate_ppm, "arrive twice"),
        (network.reorder_ppm, "are held back"),
    ];
    for (ppm, what) in misfortunes.iter().filter(|(ppm, _)| *ppm > 0) {
        words += &format!(", {} % {what}", f64::from(*ppm) / 10_000.0);
    }
    words
}

fn workload_words(workload: &Workload, scenario: &Scenario) -> String {
    let Workload { clients, keys, nodes, .. } = workload;
    let at = if nodes.len() == scenario.cluster.nodes.len() {
        String::new()
    } else {
        format!(" at {}", scenario.cluster.names(nodes))
    };
    let (kind, operations) = (workload.kind.name(), thousands(workload.operations));
    let clients = counted(u64::from(*clients), "client");
    let keys = counted(u64::from(*keys), "key");
    format!("{clients}{at}, {operations} operations together ({kind}), on {keys}")
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
        let summary = RunSummary { scenario: &scenario, result: &result, replay };
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
