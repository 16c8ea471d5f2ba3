//! The number of copies that a key has, and of answers that a request waits for.
//!
//! In the file: `quorum = { n = 3, r = 2, w = 2, mode = "sloppy" }`, where `n` may be a table of
//! data centers and `r` and `w` may be the name of a level. Quorums that can never be reached are
//! refused.

use std::collections::BTreeMap;
use std::fmt;

use kv_core::quorum::{Level, Mode};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Unexpected, Visitor};
use toml::Spanned;

use super::cluster::Cluster;
use super::error::{Problem, plural};
use super::key_doc::{KeyDoc, ValueDoc};

/// The most copies that a key may have, over all data centers.
pub const REPLICAS_MAX: u64 = 16;

const LEVELS: &[(&str, Level)] = &[
    ("one", Level::One),
    ("quorum", Level::Quorum),
    ("all", Level::All),
    ("local_quorum", Level::LocalQuorum),
    ("each_quorum", Level::EachQuorum),
];

/// The kind of value of `r` and `w`.
pub(super) const LEVEL: ValueDoc = ValueDoc::Other(
    "a whole number 1 to N, or `\"one\"`, `\"quorum\"`, `\"all\"`, `\"local_quorum\"`, `\"each_quorum\"`",
);

/// The kind of value of a mode.
pub(super) const MODE: ValueDoc = ValueDoc::Word(&["sloppy", "strict"]);

/// The keys of `quorum`.
pub(super) const KEYS_DOC: &[KeyDoc] = &[
    KeyDoc::new(
        "n",
        ValueDoc::Other(
            "a whole number 1 to 16, or one for each data center: `{ east = 3, west = 2 }`",
        ),
        "copies of a key, on distinct machines",
    )
    .or_else("3, if there is one data center"),
    KeyDoc::new("r", LEVEL, "answers that a read waits for")
        .or_else("2, or all where there are fewer"),
    KeyDoc::new("w", LEVEL, "durable copies that a write waits for")
        .or_else("2, or all where there are fewer"),
    KeyDoc::new("mode", MODE, "whose answers count: also those of fallbacks, or owners' only")
        .or("\"sloppy\""),
];

/// The copies of a key, and the answers that a request waits for unless its workload sets others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quorum {
    /// N: the copies per data center, each at least 1 and at most its distinct machines.
    pub replicas: BTreeMap<String, u8>,
    /// R: the answers that a read waits for. Always reachable when all owners are up.
    pub read: Level,
    /// W: the copies that a write waits for. Always reachable when all owners are up.
    pub write: Level,
    /// The mode, which says whose answers count.
    pub mode: Mode,
}

impl Quorum {
    /// The number of owners of a key: N over all data centers.
    pub fn owners(&self) -> u8 {
        self.replicas.values().sum()
    }

    /// The number of answers that a level takes, for a coordinator in the data center that has the
    /// fewest.
    pub fn needed(&self, level: Level) -> u8 {
        let majorities = self.replicas.values().map(|copies| copies / 2 + 1);
        match level {
            Level::Count(count) => count,
            Level::One => 1,
            Level::Quorum => self.owners() / 2 + 1,
            Level::All => self.owners(),
            Level::LocalQuorum => majorities.min().unwrap_or(1),
            Level::EachQuorum => majorities.sum(),
        }
    }
}

/// `quorum` as it stands in the file.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table such as { n = 3, r = 2, w = 2 }")]
pub(super) struct QuorumKeys {
    pub(super) n: Option<Spanned<ReplicasKey>>,
    pub(super) r: Option<Spanned<LevelKey>>,
    pub(super) w: Option<Spanned<LevelKey>>,
    pub(super) mode: Option<Spanned<Mode>>,
}

/// `n` as it stands in the file.
pub(super) enum ReplicasKey {
    Count(u64),
    PerDatacenter(BTreeMap<Spanned<String>, Spanned<u64>>),
}

/// `r` or `w` as it stands in the file.
pub(super) enum LevelKey {
    Count(u64),
    Named(String),
}

/// Parses N of each data center. `nodes` is the place of the cluster's size in the text.
pub(super) fn replicas(
    key: Option<&Spanned<ReplicasKey>>,
    cluster: &Cluster,
    nodes: std::ops::Range<usize>,
) -> Result<BTreeMap<String, u8>, Problem> {
    let machines = cluster.machines();
    let span = key.map_or(nodes, Spanned::span);
    let replicas = match (key.map(Spanned::get_ref), machines.iter().next()) {
        (Some(ReplicasKey::PerDatacenter(table)), _) => per_datacenter(table, &machines)?,
        (Some(ReplicasKey::Count(wanted)), Some((datacenter, machines_here)))
            if machines.len() == 1 =>
        {
            let copies = copies(span.clone(), *wanted, *machines_here, datacenter)?;
            BTreeMap::from([((*datacenter).to_owned(), copies)])
        }
        (None, Some((datacenter, machines_here))) if machines.len() == 1 => {
            let copies =
                copies(span.clone(), 3, *machines_here, datacenter).map_err(|problem| {
                    problem.help(
                        "n is 3 when nothing is said: give quorum = { n = .., r = .., w = .. }",
                    )
                })?;
            BTreeMap::from([((*datacenter).to_owned(), copies)])
        }
        _ => {
            let each: Vec<_> = machines.keys().map(|name| format!("{name} = 3")).collect();
            return Err(Problem::at(span, "the copies of each data center must be given")
                .label("there are several data centers")
                .help(format!("such as n = {{ {} }}", each.join(", "))));
        }
    };
    let total: u64 = replicas.values().map(|copies| u64::from(*copies)).sum();
    if !(1..=REPLICAS_MAX).contains(&total) {
        return Err(Problem::at(span, format!("{total} copies of each key"))
            .label(format!("all data centers together: 1..={REPLICAS_MAX}")));
    }
    Ok(replicas)
}

fn per_datacenter(
    table: &BTreeMap<Spanned<String>, Spanned<u64>>,
    machines: &BTreeMap<&str, u64>,
) -> Result<BTreeMap<String, u8>, Problem> {
    let mut replicas = BTreeMap::new();
    for (name, wanted) in table {
        let Some(machines_here) = machines.get(name.get_ref().as_str()) else {
            let known: Vec<_> = machines.keys().collect();
            return Err(Problem::unknown_word(name.span(), "data center", name.get_ref(), &known));
        };
        let copies = copies(wanted.span(), *wanted.get_ref(), *machines_here, name.get_ref())?;
        replicas.insert(name.get_ref().clone(), copies);
    }
    Ok(replicas)
}

fn copies(
    span: std::ops::Range<usize>,
    wanted: u64,
    machines: u64,
    datacenter: &str,
) -> Result<u8, Problem> {
    if wanted == 0 {
        return Err(Problem::at(span, "n = 0 keeps no copy at all").label("at least 1"));
    }
    if wanted > machines {
        let message =
            format!("n = {wanted}, but `{datacenter}` has {}", plural(machines, "machine"));
        return Err(Problem::at(span, message)
            .label(format!("at most {machines}"))
            .help("copies of a key lie on distinct machines: add nodes, or lower n"));
    }
    // Larger numbers are refused by the sum over all data centers.
    Ok(u8::try_from(wanted).unwrap_or(u8::MAX / 2))
}

/// Parses a level, which these copies must be able to reach. `key` is `r` or `w`.
pub(super) fn level(
    key: &str,
    value: &Spanned<LevelKey>,
    replicas: &BTreeMap<String, u8>,
    cluster: &Cluster,
) -> Result<Level, Problem> {
    let owners: u64 = replicas.values().map(|copies| u64::from(*copies)).sum();
    match value.get_ref() {
        LevelKey::Count(0) => Err(Problem::at(value.span(), format!("{key} = 0 asks nobody"))
            .label("at least 1")
            .help("a request that waits for no answer has learnt nothing")),
        LevelKey::Count(count) if *count > owners => {
            let owners_here = plural(owners, "owner");
            let message = format!("{key} = {count} can never be reached: a key has {owners_here}");
            Err(Problem::at(value.span(), message)
                .label(format!("at most n = {owners}"))
                .help(format!("lower {key}, or raise n")))
        }
        LevelKey::Count(count) => Ok(Level::Count(u8::try_from(*count).unwrap_or(u8::MAX))),
        LevelKey::Named(word) => named_level(word, value.span(), replicas, cluster),
    }
}

fn named_level(
    word: &str,
    span: std::ops::Range<usize>,
    replicas: &BTreeMap<String, u8>,
    cluster: &Cluster,
) -> Result<Level, Problem> {
    let Some((_, level)) = LEVELS.iter().find(|(name, _)| *name == word) else {
        let known: Vec<_> = LEVELS.iter().map(|(name, _)| *name).collect();
        return Err(Problem::unknown_word(span, "level", word, &known));
    };
    let without = cluster.machines().into_keys().find(|name| !replicas.contains_key(*name));
    match (level, without) {
        (Level::LocalQuorum, Some(name)) => {
            Err(Problem::at(span, format!("`{name}` has no copies for a local quorum"))
                .label("can never be reached there")
                .help(format!("give `{name}` copies in n, or use another level")))
        }
        _ => Ok(*level),
    }
}

impl<'de> Deserialize<'de> for ReplicasKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EitherForm;

        impl<'de> Visitor<'de> for EitherForm {
            type Value = ReplicasKey;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of copies, or a table such as { east = 3, west = 2 }")
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<ReplicasKey, E> {
                u64::try_from(number)
                    .map(ReplicasKey::Count)
                    .map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ReplicasKey, A::Error> {
                let mut table = BTreeMap::new();
                while let Some((datacenter, copies)) = map.next_entry()? {
                    table.insert(datacenter, copies);
                }
                Ok(ReplicasKey::PerDatacenter(table))
            }
        }

        deserializer.deserialize_any(EitherForm)
    }
}

impl<'de> Deserialize<'de> for LevelKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EitherForm;

        impl Visitor<'_> for EitherForm {
            type Value = LevelKey;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of answers, or the name of a level")
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<LevelKey, E> {
                u64::try_from(number)
                    .map(LevelKey::Count)
                    .map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
            }

            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<LevelKey, E> {
                Ok(LevelKey::Named(word.to_owned()))
            }
        }

        deserializer.deserialize_any(EitherForm)
    }
}

/// The word for a level in a scenario: `2`, `local_quorum`.
pub fn level_words(level: Level) -> String {
    match level {
        Level::Count(count) => count.to_string(),
        Level::One | Level::Quorum | Level::All | Level::LocalQuorum | Level::EachQuorum => LEVELS
            .iter()
            .find(|(_, known)| *known == level)
            .map_or_else(String::new, |(name, _)| (*name).to_owned()),
    }
}
