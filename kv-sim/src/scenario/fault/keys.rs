//! The table `[[fault]]` as it stands in the file, and the way from it to a [`Fault`].
//!
//! The keys that a kind takes are one struct per kind, so that a key of another kind is refused by
//! name, and so are nodes, groups and times that make no sense.

use kv_core::time::Span;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IntoDeserializer};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::super::cluster::Cluster;
use super::super::error::Problem;
use super::super::quantity::{count, milliseconds};
use super::clocks::{clock_drift, clock_freeze, clock_step};
use super::disk;
use super::kill::kill;
use super::links::{clog, misfortune, slow_link};
use super::outage::{datacenter_outage, rack_outage};
use super::partition::partition;
use super::{FAULTS, Fault, FaultKind, LATER, Victims};

/// The keys that every kind of fault takes.
const COMMON: &[&str] = &["kind", "from_ms", "until_ms", "every_ms", "times"];

/// A list of names in the file.
pub(super) type Names = Spanned<Vec<Spanned<String>>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TimesKeys {
    from_ms: Spanned<u64>,
    until_ms: Option<Spanned<u64>>,
    every_ms: Option<Spanned<u64>>,
    times: Option<Spanned<u64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VictimsKeys {
    nodes: Option<Names>,
    random: Option<Spanned<u64>>,
}

/// Parses the fault that a table `[[fault]]` describes.
pub(in super::super) fn parse(
    table: Spanned<DeValue<'_>>,
    cluster: &Cluster,
) -> Result<Fault, Problem> {
    let table = Table::from_value(table)?;
    let times = &table.times;
    let (word, span) = (table.word.as_str(), table.span.clone());
    let kind = match word {
        "partition" => FaultKind::Partition(partition(&table.keys()?, span, cluster)?),
        "kill" => kill(&table.keys()?, span, cluster)?,
        "pause" => FaultKind::Pause(table.victims(cluster)?),
        "lost-sync" => FaultKind::LostSync(table.victims(cluster)?),
        "wipe" => FaultKind::Wipe(table.victims(cluster)?),
        "loss" => FaultKind::Loss(misfortune(&table.keys()?, cluster)?),
        "duplicate" => FaultKind::Duplicate(misfortune(&table.keys()?, cluster)?),
        "reorder" => FaultKind::Reorder(misfortune(&table.keys()?, cluster)?),
        "corrupt" => FaultKind::Corrupt(misfortune(&table.keys()?, cluster)?),
        "slow-link" => FaultKind::SlowLink(slow_link(&table.keys()?, span, cluster)?),
        "clog" => FaultKind::Clog(clog(&table.keys()?, cluster)?),
        "swizzle" => FaultKind::Swizzle(table.victims_or_some(cluster)?),
        "clock-step" => clock_step(&table.keys()?, span, cluster)?,
        "clock-drift" => clock_drift(&table.keys()?, span, cluster)?,
        "clock-freeze" => clock_freeze(&table.keys()?, span, cluster)?,
        "datacenter-outage" => FaultKind::Outage(datacenter_outage(&table.keys()?, cluster)?),
        "rack-outage" => FaultKind::Outage(rack_outage(&table.keys()?, cluster)?),
        _ => match disk::parse(word, &table, cluster) {
            Some(kind) => kind?,
            None => return Err(unknown_kind(&table)),
        },
    };
    scheduled(kind, times, &table)
}

/// A table `[[fault]]`, taken apart: its kind, the keys that all kinds share, and the others.
pub(super) struct Table<'i> {
    word: String,
    word_span: std::ops::Range<usize>,
    pub(super) span: std::ops::Range<usize>,
    times: TimesKeys,
    others: DeTable<'i>,
}

impl<'i> Table<'i> {
    fn from_value(table: Spanned<DeValue<'i>>) -> Result<Self, Problem> {
        let span = table.span();
        let DeValue::Table(mut others) = table.into_inner() else {
            return Err(Problem::at(span, "a fault is a table").label("write [[fault]]"));
        };
        let Some(word) = others.remove("kind") else {
            let words: Vec<_> = FAULTS.iter().map(|fault| fault.name).collect();
            return Err(Problem::at(span, "this fault has no `kind`")
                .label("what is broken?")
                .help(format!("kind is one of: {}", words.join(", "))));
        };
        let word_span = word.span();
        let DeValue::String(word) = word.into_inner() else {
            return Err(Problem::at(word_span, "the kind of a fault is a word in quotes"));
        };
        let mut shared = DeTable::new();
        for key in COMMON {
            if let Some((key, value)) = others.remove_entry(*key) {
                shared.insert(key, value);
            }
        }
        let times = deserialize(shared, &span, &[])?;
        Ok(Self { word: word.into_owned(), word_span, span, times, others })
    }

    pub(super) fn keys<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        deserialize(self.others.clone(), &self.span, COMMON)
    }

    pub(super) fn victims(&self, cluster: &Cluster) -> Result<Victims, Problem> {
        let keys: VictimsKeys = self.keys()?;
        victims(keys.nodes.as_ref(), keys.random.as_ref(), self.span.clone(), cluster)
    }

    /// Parses the victims as [`Table::victims`] does; if none are named, their number is drawn as
    /// well.
    fn victims_or_some(&self, cluster: &Cluster) -> Result<Victims, Problem> {
        match self.keys()? {
            VictimsKeys { nodes: None, random: None } => Ok(Victims::AnyNumber),
            VictimsKeys { nodes, random } => {
                victims(nodes.as_ref(), random.as_ref(), self.span.clone(), cluster)
            }
        }
    }
}

fn deserialize<T: DeserializeOwned>(
    table: DeTable<'_>,
    span: &std::ops::Range<usize>,
    also_known: &[&str],
) -> Result<T, Problem> {
    T::deserialize(Spanned::new(span.clone(), DeValue::Table(table)).into_deserializer())
        .map_err(|error| Problem::from_toml(&error, span.clone(), also_known))
}

fn unknown_kind(table: &Table<'_>) -> Problem {
    let words: Vec<_> = FAULTS.iter().map(|fault| fault.name).collect();
    if LATER.contains(&table.word.as_str()) {
        let message =
            format!("`{}` is a known fault that this version does not have yet", table.word);
        return Problem::at(table.word_span.clone(), message)
            .label("not yet")
            .help(format!("this version has: {}", words.join(", ")));
    }
    Problem::unknown_word(table.word_span.clone(), "fault", &table.word, &words)
}

fn scheduled(kind: FaultKind, times: &TimesKeys, table: &Table<'_>) -> Result<Fault, Problem> {
    let from = milliseconds(&times.from_ms)?;
    let until = match (&times.until_ms, &kind) {
        (Some(until_ms), _) => {
            let until = milliseconds(until_ms)?;
            if until <= from {
                return Err(Problem::at(until_ms.span(), "this fault ends before it begins")
                    .label(format!("must be later than from_ms = {}", from.as_ms())));
            }
            Some(until)
        }
        (None, FaultKind::ClockStep { .. }) => None,
        (None, FaultKind::Disk { fault, .. }) if fault.is_momentary() => None,
        (None, _) => {
            return Err(Problem::at(table.span.clone(), "the key `until_ms` is missing")
                .label("when does it end?")
                .help("every fault but a clock-step and bit-rot must end: after the last, convergence is demanded"));
        }
    };
    let often = match &times.times {
        Some(often) => count(often, "times", 1..=10_000)? as u32,
        None => 1,
    };
    let every = match (&times.every_ms, often) {
        (None, 1) => Span::ZERO,
        (None, _) => {
            return Err(Problem::at(table.span.clone(), format!("{often} times, but how often?"))
                .label("give every_ms"));
        }
        (Some(every_ms), 1) => {
            return Err(Problem::at(every_ms.span(), "this fault happens once")
                .label("give times as well")
                .help("times = 5 repeats it until it has happened five times"));
        }
        (Some(every_ms), _) => {
            let every = milliseconds(every_ms)?;
            if every <= until.unwrap_or(from) - from {
                return Err(Problem::at(every_ms.span(), "this fault begins again before it ends")
                    .label("must be longer than from_ms to until_ms"));
            }
            every
        }
    };
    Ok(Fault { kind, from, until, times: often, every })
}

pub(super) fn victims(
    nodes: Option<&Names>,
    random: Option<&Spanned<u64>>,
    span: std::ops::Range<usize>,
    cluster: &Cluster,
) -> Result<Victims, Problem> {
    match (nodes, random) {
        (Some(nodes), None) => Ok(Victims::These(cluster.all_named(nodes)?)),
        (None, Some(random)) => {
            let number = count(random, "random", 1..=cluster.nodes.len() as u64)?;
            Ok(Victims::Random(number as usize))
        }
        (Some(_), Some(random)) => {
            Err(Problem::at(random.span(), "either nodes are named or they are drawn")
                .label("nodes is given as well"))
        }
        (None, None) => Err(Problem::at(span, "this fault hits nobody")
            .label("give nodes or random")
            .help("nodes = [\"n1\"], or random = 1 for one drawn from the seed")),
    }
}
