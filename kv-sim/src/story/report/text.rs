//! A report as text for a terminal: with escape sequences for colour, which whoever prints it
//! strips where they are not wanted.

use std::collections::BTreeMap;
use std::fmt;

use super::glossary::GLOSSARY;
use super::narrative::{Line, Sort};
use super::{BrokenPromise, Report};
use crate::cluster::world_time::WorldTime;
use crate::story::cluster_words;
use crate::story::record::fact::{ClockPoint, CopyChange, RecordedMessage};
use crate::story::result::Verdict;
use crate::story::words::{BAD, FAINT, GOOD, HEADING, counted, thousands};

/// The most lines of each list.
const MOMENTS_MAX: usize = 30;
const MESSAGES_MAX: usize = 40;
const NODES_MAX: usize = 40;

/// The width of the picture of the traffic, in letters.
const PICTURE_WIDTH: usize = 72;

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scenario = self.plan.scenario;
        writeln!(f, "{HEADING}{}{HEADING:#}", scenario.title)?;
        let (path, seed, digest) = (scenario.path(), self.plan.seed, self.result.digest);
        writeln!(f, "{FAINT}{path}, seed {seed}, digest {digest}")?;
        writeln!(f, "{}{FAINT:#}\n", self.time_base())?;
        self.violated(f)?;
        self.story(f)?;
        self.cluster(f)?;
        self.injected(f)?;
        self.standing_copies(f)?;
        self.last_messages(f)?;
        self.clocks(f)?;
        self.traffic(f)?;
        self.words(f)?;
        self.closing(f)
    }
}

impl Report<'_> {
    /// The origin and unit of all times, in words.
    pub(super) fn time_base(&self) -> String {
        let chaos = self.record.chaos_since();
        format!(
            "times are in seconds since the first node started; clients and faults begin at {chaos}, \
             from where the scenario counts"
        )
    }

    fn violated(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for violation in &self.violations {
            let BrokenPromise { check, at, story, details, .. } = violation;
            writeln!(f, "{BAD}{check} is violated{BAD:#} at {at}")?;
            writeln!(f, "  the promise: {}", violation.promise())?;
            for line in story.lines() {
                writeln!(f, "  {line}")?;
            }
            if !details.is_empty() {
                writeln!(f, "  in detail:")?;
            }
            for line in details {
                writeln!(f, "    {line}")?;
            }
            writeln!(f)?;
        }
        if self.violations.is_empty() {
            writeln!(f, "{GOOD}Everything held{GOOD:#}: there is no failure to explain.\n")?;
        }
        if !self.is_deterministic() {
            writeln!(
                f,
                "{BAD}Two runs with this seed differ.{BAD:#} What follows is the second.\n"
            )?;
        }
        Ok(())
    }

    fn story(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let story = self.narrative();
        if story.is_empty() {
            return Ok(());
        }
        heading(f, "How it came to that")?;
        for Line { at_us, sort, text, lie, .. } in &story {
            let at = WorldTime(*at_us);
            match (sort, lie) {
                (Sort::Violated, _) => writeln!(f, "  {at:>11}  {BAD}{text}{BAD:#}")?,
                (_, Some(truth)) => {
                    writeln!(f, "{BAD}>{BAD:#} {at:>11}  {BAD}{text}{BAD:#}")?;
                    writeln!(f, "{BAD}> not true:{BAD:#}   {BAD}{truth}{BAD:#}")?;
                }
                (Sort::Fault, None) => writeln!(f, "  {at:>11}  {FAINT}{text}{FAINT:#}")?,
                (Sort::Gap, None) => writeln!(f, "  {:>11}  {FAINT}{text}{FAINT:#}", "...")?,
                (
                    Sort::Asked
                    | Sort::Minted
                    | Sort::Copy
                    | Sort::Said
                    | Sort::Noticed
                    | Sort::Told,
                    None,
                ) => {
                    writeln!(f, "  {at:>11}  {text}")?;
                }
            }
        }
        writeln!(f)
    }

    fn cluster(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        heading(f, "The cluster")?;
        for line in self.cluster_lines() {
            writeln!(f, "  {line}")?;
        }
        writeln!(f)
    }

    /// The cluster in words, and who owns the keys that something was violated about.
    pub(super) fn cluster_lines(&self) -> Vec<String> {
        let mut lines = cluster_words::of(self.plan.scenario);
        let keys = self.record.focus.keys.iter().zip(&self.owners);
        for (key, owners) in keys.take(self.record.focus.foremost) {
            lines.push(format!("{key:?} is owned by {}", self.nodes(owners)));
        }
        lines
    }

    fn words(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        heading(f, "What the words mean")?;
        for (word, meaning) in GLOSSARY {
            writeln!(f, "  {FAINT}{word:<16} {meaning}{FAINT:#}")?;
        }
        writeln!(f)
    }

    fn injected(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (moments, left_out) = self.moments_told();
        heading(f, "What was injected")?;
        if moments.is_empty() {
            writeln!(f, "  nothing but the ordinary delays")?;
        }
        for (at, what) in moments.iter().take(MOMENTS_MAX) {
            writeln!(f, "  {at:>11}  {what}")?;
        }
        more(f, moments.len().saturating_sub(MOMENTS_MAX) + left_out)?;
        writeln!(f)
    }

    /// Writes each node's copy of the keys that something was violated about: when it was noticed,
    /// and in the end.
    fn standing_copies(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = Vec::new();
        for violation in &self.violations {
            let at = violation.at;
            let Some(key) = violation.keys().next() else { continue };
            let Some(place) = self.record.focus.position(key) else { continue };
            if shown.contains(&key) {
                continue;
            }
            shown.push(key);
            heading(f, &format!("Where copies of {key:?} stood at {at}"))?;
            let mut held: BTreeMap<usize, Option<&CopyChange>> =
                self.owners[place].iter().map(|owner| (owner.0, None)).collect();
            for change in self.record.copies.iter() {
                if change.key == place && change.at <= at {
                    held.insert(change.node.0, Some(change));
                }
            }
            for (&node, change) in held.iter().take(NODES_MAX) {
                let owns = self.owners[place].iter().any(|owner| owner.0 == node);
                let role = if owns { "owner" } else { "fallback" };
                let name = &self.plan.scenario.cluster.nodes[node].name;
                let Some(CopyChange { at, copy, .. }) = change else {
                    writeln!(f, "  {name:<6} {role:<9} nothing, and never did")?;
                    continue;
                };
                let durable = match copy.durable == copy.live {
                    _ if copy.live.is_empty() && copy.durable.is_empty() => String::new(),
                    true => ", durably".to_owned(),
                    false => format!(", and {} durably", self.writes(&copy.durable)),
                };
                let live = self.writes(&copy.live);
                let known = self.known_only(copy);
                let known = match known.is_empty() {
                    true => String::new(),
                    false => format!("; it knows of {}, and does not hold it", self.writes(&known)),
                };
                writeln!(f, "  {name:<6} {role:<9} {live}{durable}, since {at}{known}")?;
            }
            more(f, held.len().saturating_sub(NODES_MAX))?;
            writeln!(f)?;
        }
        Ok(())
    }

    /// Writes the last messages about the key of the first violation, before it was noticed.
    fn last_messages(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(violation) = self.violations.first() else { return Ok(()) };
        let Some(key) = violation.keys().next() else { return Ok(()) };
        let is_about = |message: &&RecordedMessage| {
            message.key.as_ref() == Some(key) && message.ended <= violation.at
        };
        let all: Vec<_> = self.record.messages.iter().filter(is_about).collect();
        let last = &all[all.len().saturating_sub(MESSAGES_MAX)..];
        heading(f, &format!("The last messages about {key:?} before that"))?;
        for message in last {
            let RecordedMessage { from, to, kind, sent, ended, lost, .. } = message;
            let (from, to) = (self.node(*from), self.node(*to));
            let fate = lost.map_or_else(String::new, |how| format!("  {BAD}{how}{BAD:#}"));
            let way =
                if from == to { format!("{from} to itself") } else { format!("{from} to {to}") };
            let content = self.content(message);
            writeln!(f, "  {sent:>11} to {ended:>11}  {way:<12} {}{content}{fate}", kind.name())?;
        }
        if last.is_empty() {
            writeln!(f, "  none")?;
        }
        writeln!(f)
    }

    fn clocks(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        heading(f, "How far the clocks were off")?;
        let is_right = |point: &ClockPoint| (point.wall_us, point.monotonic_us) == (0, 0);
        if self.record.clocks.iter().flatten().all(is_right) {
            return writeln!(f, "  not at all\n");
        }
        for (node, points) in self.record.clocks.iter().enumerate().take(NODES_MAX) {
            let range = |of: fn(&ClockPoint) -> i64| {
                let low = points.iter().map(of).min().unwrap_or_default();
                let high = points.iter().map(of).max().unwrap_or_default();
                format!("{:.3} to {:.3} ms", low as f64 / 1_000.0, high as f64 / 1_000.0)
            };
            let name = &self.plan.scenario.cluster.nodes[node].name;
            let (wall, monotonic) = (range(|at| at.wall_us), range(|at| at.monotonic_us));
            writeln!(f, "  {name:<6} wall clock {wall}; monotonic {monotonic}")?;
        }
        more(f, self.record.clocks.len().saturating_sub(NODES_MAX))?;
        writeln!(f)
    }

    fn traffic(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        heading(f, "How much went on")?;
        let slices = &self.record.traffic.slices;
        let wide = slices.len().div_ceil(PICTURE_WIDTH).max(1);
        let sums: Vec<u64> = slices
            .chunks(wide)
            .map(|chunk| chunk.iter().map(|slice| u64::from(slice.received + slice.lost)).sum())
            .collect();
        let most = sums.iter().max().copied().unwrap_or_default().max(1);
        let bar = |&sum: &u64| match sum {
            0 => ' ',
            _ => ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'][(sum * 7 / most) as usize],
        };
        let picture: String = sums.iter().map(bar).collect();
        writeln!(f, "  {picture}")?;
        let each = WorldTime(self.record.traffic.slice_us * wide as u64);
        writeln!(
            f,
            "  {FAINT}messages between nodes; each bar stands for {each} s, the highest for {}{FAINT:#}",
            thousands(most)
        )?;
        for (kind, count) in &self.result.messages_by_kind {
            writeln!(f, "  {:>9} {kind}", thousands(*count))?;
        }
        writeln!(f)
    }

    fn closing(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let messages = &self.record.messages;
        let operations = &self.record.operations;
        writeln!(
            f,
            "{FAINT}Looked at closely: {} of {}, {} of {}.{FAINT:#}\n",
            thousands(messages.kept.len() as u64),
            counted(messages.of, "message"),
            thousands(operations.kept.len() as u64),
            counted(operations.of, "operation"),
        )?;
        match self.verdict() {
            Verdict::Pass => writeln!(f, "{GOOD}PASSED{GOOD:#}"),
            Verdict::Fail | Verdict::Nondeterministic => {
                writeln!(f, "To see this again:\n  {}\n\n{BAD}FAILED{BAD:#}", self.plan.again)
            }
        }
    }
}

fn heading(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    writeln!(f, "{HEADING}{text}{HEADING:#}")
}

fn more(f: &mut fmt::Formatter<'_>, count: usize) -> fmt::Result {
    match count {
        0 => Ok(()),
        more => writeln!(f, "  {FAINT}and {more} more{FAINT:#}"),
    }
}
