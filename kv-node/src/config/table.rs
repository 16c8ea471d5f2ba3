//! The tables of the file, read key by key: one that is wrong hides no other.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use kv_core::config::OutOfRange;
use serde::de::{DeserializeOwned, IntoDeserializer as _};
use serde::{Deserialize, Deserializer};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::ConfigProblem;
use super::{DurabilityWord, SYNC_INTERVAL_MS};

/// The places of the values of a table's keys that were given, valid or not.
pub(super) type Spans = BTreeMap<String, Range<usize>>;

/// The range of `cluster.n`.
const COPIES: std::ops::RangeInclusive<u8> = 1..=16;

/// The range of a member's weight.
const WEIGHTS: std::ops::RangeInclusive<u16> = 1..=1_024;

/// The keys of `[cluster]`. Each may be missing here; required ones are demanded later.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ClusterKeys {
    pub(super) name: Option<Spanned<String>>,
    pub(super) partitions: Option<Spanned<u32>>,
    pub(super) n: Option<Spanned<u8>>,
}

/// The keys of one `[[member]]`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct MemberKeys {
    pub(super) name: Option<Spanned<String>>,
    pub(super) address: Option<Spanned<String>>,
    pub(super) machine: Option<Spanned<String>>,
    pub(super) rack: Option<Spanned<String>>,
    pub(super) datacenter: Option<Spanned<String>>,
    pub(super) weight: Option<Spanned<u16>>,
    pub(super) id: Option<Spanned<String>>,
}

/// The keys of `[self]`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct OwnKeys {
    pub(super) name: Option<Spanned<String>>,
    pub(super) data_dir: Option<Spanned<PathBuf>>,
    #[serde(deserialize_with = "address")]
    pub(super) redis: Option<std::net::SocketAddr>,
    #[serde(deserialize_with = "address")]
    pub(super) peer: Option<std::net::SocketAddr>,
    #[serde(deserialize_with = "address")]
    pub(super) http: Option<std::net::SocketAddr>,
    pub(super) durability: Option<DurabilityWord>,
    pub(super) sync_interval_ms: Option<Spanned<u64>>,
}

fn address<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<std::net::SocketAddr>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let expected = "an address and a port, such as 127.0.0.1:7001";
    text.parse()
        .map(Some)
        .map_err(|_| serde::de::Error::invalid_value(serde::de::Unexpected::Str(&text), &expected))
}

/// A table that was taken out of the document.
pub(super) struct Table<'a> {
    span: Range<usize>,
    keys: DeTable<'a>,
}

impl<'a> Table<'a> {
    /// Reads a value as a table.
    pub(super) fn of(value: Spanned<DeValue<'a>>) -> Result<Self, ConfigProblem> {
        let span = value.span();
        match value.into_inner() {
            DeValue::Table(keys) => Ok(Self { span, keys }),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_) => {
                Err(ConfigProblem::at(Some(span), "this is no table", "expected a table"))
            }
        }
    }

    /// Reads a value as a list of tables.
    pub(super) fn list(
        value: Spanned<DeValue<'a>>,
        problems: &mut Vec<ConfigProblem>,
    ) -> Vec<Table<'a>> {
        let span = value.span();
        let DeValue::Array(values) = value.into_inner() else {
            let label = "write [[member]], with two brackets";
            problems.push(ConfigProblem::at(Some(span), "`member` is a list of tables", label));
            return Vec::new();
        };
        let tables = values.into_iter().map(Table::of);
        tables.filter_map(|table| keep(problems, table)).collect()
    }

    /// The place of the table.
    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Takes a key out, and returns the place of its value.
    pub(super) fn remove(&mut self, key: &str) -> Option<Range<usize>> {
        self.keys.remove(key).map(|value| value.span())
    }

    /// Reads the keys. One that is invalid by itself, in its form or by `check`, counts as not
    /// given.
    pub(super) fn read<T: DeserializeOwned>(
        self,
        problems: &mut Vec<ConfigProblem>,
        check: impl Fn(&T, Range<usize>) -> Result<(), ConfigProblem>,
    ) -> (T, Spans) {
        let Self { span, keys } = self;
        let table = |keys| -> Result<T, toml::de::Error> {
            let value = Spanned::new(span.clone(), DeValue::Table(keys));
            T::deserialize(value.into_deserializer())
        };
        let (mut sound, mut spans) = (DeTable::new(), Spans::new());
        for (key, value) in keys {
            let at = value.span();
            let alone: DeTable<'_> = [(key.clone(), value.clone())].into_iter().collect();
            let read = table(alone).map_err(|error| ConfigProblem::from_toml(&error, at.clone()));
            spans.insert(key.get_ref().clone().into_owned(), at.clone());
            if keep(problems, read.and_then(|alone| check(&alone, at))).is_some() {
                sound.insert(key, value);
            }
        }
        (table(sound).expect("each key can be read, and none is needed"), spans)
    }
}

/// Returns the value, or adds its problem.
pub(super) fn keep<T>(
    problems: &mut Vec<ConfigProblem>,
    result: Result<T, ConfigProblem>,
) -> Option<T> {
    result.map_err(|problem| problems.push(problem)).ok()
}

pub(super) fn check_cluster(keys: &ClusterKeys, at: Range<usize>) -> Result<(), ConfigProblem> {
    check_name("the cluster", keys.name.as_ref())?;
    match &keys.n {
        Some(n) if !COPIES.contains(n.get_ref()) => {
            let message = format!("n = {} is out of range", n.get_ref());
            Err(ConfigProblem::at(Some(at), message, "must lie in 1..=16"))
        }
        Some(_) | None => Ok(()),
    }
}

pub(super) fn check_member(keys: &MemberKeys, at: Range<usize>) -> Result<(), ConfigProblem> {
    check_name("a member", keys.name.as_ref())?;
    check_name("a machine", keys.machine.as_ref())?;
    check_name("a rack", keys.rack.as_ref())?;
    check_name("a data center", keys.datacenter.as_ref())?;
    match &keys.weight {
        Some(weight) if !WEIGHTS.contains(weight.get_ref()) => {
            let message = format!("weight = {} is out of range", weight.get_ref());
            Err(ConfigProblem::at(Some(at), message, "must lie in 1..=1024"))
        }
        Some(_) | None => Ok(()),
    }
}

/// Checks a name. Names stand in logs, metrics and replies: they are not empty, and a terminal is
/// safe from them.
fn check_name(whose: &str, name: Option<&Spanned<String>>) -> Result<(), ConfigProblem> {
    let Some(name) = name else { return Ok(()) };
    let problem = |message, label: &str| Err(ConfigProblem::at(Some(name.span()), message, label));
    if name.get_ref().trim().is_empty() {
        return problem(format!("{whose} has an empty name"), "give it one");
    }
    if name.get_ref().chars().any(char::is_control) {
        return problem(format!("{whose} has a name that cannot be printed"), "choose another");
    }
    Ok(())
}

pub(super) fn check_own(keys: &OwnKeys, at: Range<usize>) -> Result<(), ConfigProblem> {
    match &keys.sync_interval_ms {
        Some(ms) if !SYNC_INTERVAL_MS.contains(ms.get_ref()) => {
            let message = format!("sync_interval_ms = {} is out of range", ms.get_ref());
            Err(ConfigProblem::at(Some(at), message, "must lie in 1..=60000"))
        }
        Some(_) | None => Ok(()),
    }
}

/// Returns the error for a number that is out of its range, at its place.
pub(super) fn in_range(found: Option<OutOfRange>, at: Range<usize>) -> Result<(), ConfigProblem> {
    let Some(OutOfRange { knob, value, min, max }) = found else { return Ok(()) };
    let message = format!("{knob} = {value} is out of range");
    Err(ConfigProblem::at(Some(at), message, format!("must lie in {min}..={max}")))
}
