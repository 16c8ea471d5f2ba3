//! A report as text for a terminal: with escape sequences for colour, which whoever prints it
//! strips where they are not wanted.

use std::collections::BTreeMap;
use std::fmt;

use super::narrative::{Line, Sort};
use super::{BrokenPromise, Report};
use crate::cluster::world_time::WorldTime;
use crate::story::record::fact::{CopyChange, RecordedMessage};
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
        writeln!(f, "{FAINT}{path}, seed {seed}, digest {digest}{FAINT:#}\n")?;
        self.violated(f)?;
        self.story(f)?;
        self.injected(f)?;
        self.standing_copies(f)?;
        self.last_messages(f)?;
        self.clocks(f)?;
        self.traffic(f)?;
        self.closing(f)
    }
}

impl Report<'_> {
    fn violated(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for BrokenPromise { check, at, story, .. } in &self.violations {
            writeln!(f, "{BAD}{check} is violated{BAD:#} at {at} s")?;
            for line in story.lines() {
                writeln!(f, "  {line}")?;
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
        for Line { at_us, sort, text } in &story {
            let at = WorldTime(*at_us);
            match sort {
                Sort::Violated => writeln!(f, "  {at:>11}  {BAD}{text}{BAD:#}")?,
                Sort::Fault => writeln!(f, "  {at:>11}  {FAINT}{text}{FAINT:#}")?,
                Sort::Gap => writeln!(f, "  {:>11}  {FAINT}{text}{FAINT:#}", "...")?,
                Sort::Asked | Sort::Minted | Sort::Copy | Sort::Said | Sort::Told => {
                    writeln!(f, "  {at:>11}  {text}")?;
                }
            }
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
        for BrokenPromise { at, subject, .. } in &self.violations {
            let Some(key) = subject.as_ref().map(|subject| &subject.key) else { continue };
            let Some(place) = self.record.focus.position(key) else { continue };
            if shown.contains(&key) {
                continue;
            }
            shown.push(key);
            heading(f, &format!("Where copies of {key:?} stood at {at} s"))?;
            let mut held: BTreeMap<usize, &CopyChange> = BTreeMap::new();
            for change in self.record.copies.iter() {
                if change.key == place && change.at <= *at {
                    held.insert(change.node.0, change);
                }
            }
            for change in held.values().take(NODES_MAX) {
                let node = self.node(change.node);
                let owns = self.owners[place].contains(&change.node);
                let role = if owns { "owner" } else { "fallback" };
                let live = self.names.dots(change.copy.live.iter().copied());
                let durable = if change.copy.durable == change.copy.live {
                    "all durable".to_owned()
                } else {
                    format!("durable: {}", self.names.dots(change.copy.durable.iter().copied()))
                };
                let since = change.at;
                writeln!(f, "  {node:<6} {role:<9} {live} ({durable}), since {since} s")?;
            }
            more(f, held.len().saturating_sub(NODES_MAX))?;
            writeln!(f)?;
        }
        Ok(())
    }

    /// Writes the last messages about the key of the first violation, before it was noticed.
    fn last_messages(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(BrokenPromise { at, subject: Some(subject), .. }) = self.violations.first() else {
            return Ok(());
        };
        let is_about = |message: &&RecordedMessage| {
            message.key.as_ref() == Some(&subject.key) && message.ended <= *at
        };
        let all: Vec<_> = self.record.messages.iter().filter(is_about).collect();
        let last = &all[all.len().saturating_sub(MESSAGES_MAX)..];
        heading(f, &format!("The last messages about {:?} before that", subject.key))?;
        for message in last {
            let RecordedMessage { from, to, kind, sent, ended, lost, .. } = message;
            let (from, to) = (self.node(*from), self.node(*to));
            let fate = lost.map_or_else(String::new, |how| format!("  {BAD}{how}{BAD:#}"));
            let way = format!("{from} to {to}");
            writeln!(f, "  {sent:>11} to {ended:>11}  {way:<12} {}{fate}", kind.name())?;
        }
        if last.is_empty() {
            writeln!(f, "  none")?;
        }
        writeln!(f)
    }

    fn clocks(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        heading(f, "How far the clocks were off")?;
        for (node, points) in self.record.clocks.iter().enumerate().take(NODES_MAX) {
            let range = |of: fn(&crate::story::record::fact::ClockPoint) -> i64| {
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
            "  {FAINT}messages; each bar stands for {each} s, the highest for {}{FAINT:#}",
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
