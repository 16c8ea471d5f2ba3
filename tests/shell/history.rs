//! What clients were promised.
//!
//! - `durability`: a write that was acknowledged is read, or one that overwrote it. A write with a
//!   context overwrites exactly what its writer had read; a plain `SET` may overwrite whatever it
//!   can have met.
//! - `causality`: nobody reads a value that was never written to that key.
//! - `quorum`: whoever is told that a write stands is told of W machines.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// What a write overwrites, as far as its writer can say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Covers {
    /// What it met.
    Latest,
    /// These values.
    Values(BTreeSet<String>),
}

/// What its writer knows of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It stands.
    Acknowledged,
    /// It stands or not, now or later.
    Unknown,
    /// It does not stand.
    Refused,
}

#[derive(Debug)]
struct Write {
    value: String,
    covers: Covers,
    began: u64,
    ended: Option<(u64, Fate)>,
}

impl Write {
    fn is_acknowledged_before(&self, moment: u64) -> bool {
        matches!(self.ended, Some((ended, Fate::Acknowledged)) if ended < moment)
    }

    /// Whether this write can have overwritten the other.
    fn may_cover(&self, other: &Self) -> bool {
        match (&self.covers, self.ended) {
            (_, Some((_, Fate::Refused))) => false,
            (Covers::Values(values), _) => values.contains(&other.value),
            (Covers::Latest, _) => !self.is_acknowledged_before(other.began),
        }
    }
}

/// A write in the history.
#[derive(Clone, Debug)]
pub(crate) struct WriteId(String, usize);

/// Clones are the same history.
#[derive(Clone, Debug, Default)]
pub(crate) struct History(Arc<Mutex<Records>>);

#[derive(Debug, Default)]
struct Records {
    moment: u64,
    keys: BTreeMap<String, Vec<Write>>,
}

impl History {
    /// A moment later than all before.
    pub(crate) fn now(&self) -> u64 {
        self.with(|records| {
            records.moment += 1;
            records.moment
        })
    }

    /// A write is sent.
    pub(crate) fn begin(&self, key: &str, value: &str, covers: Covers) -> WriteId {
        let began = self.now();
        self.with(|records| {
            let writes = records.keys.entry(key.to_owned()).or_default();
            writes.push(Write { value: value.to_owned(), covers, began, ended: None });
            WriteId(key.to_owned(), writes.len() - 1)
        })
    }

    /// Its writer knows more of it.
    pub(crate) fn end(&self, WriteId(key, index): &WriteId, fate: Fate) {
        let ended = self.now();
        self.with(|records| {
            let writes = records.keys.get_mut(key).expect("it has begun");
            writes[*index].ended = Some((ended, fate));
        });
    }

    pub(crate) fn keys(&self) -> Vec<String> {
        self.with(|records| records.keys.keys().cloned().collect())
    }

    /// Judges a read that began at this moment and must have seen all that was acknowledged before.
    pub(crate) fn check_fresh(
        &self,
        key: &str,
        values: &BTreeSet<String>,
        began: u64,
    ) -> Result<(), String> {
        self.with(|records| {
            let writes = records.keys.get(key).map_or(&[][..], Vec::as_slice);
            let is_lost = |write: &&Write| {
                write.is_acknowledged_before(began)
                    && !values.contains(&write.value)
                    && !writes.iter().any(|other| other.may_cover(write))
            };
            match writes.iter().find(is_lost) {
                Some(lost) => {
                    Err(format!("{:?} was acknowledged, and {key} holds {values:?}", lost.value))
                }
                None => Ok(()),
            }
        })
    }

    /// Judges the values of any read.
    pub(crate) fn check_known<'a>(
        &self,
        key: &str,
        values: impl IntoIterator<Item = &'a String>,
    ) -> Result<(), String> {
        self.with(|records| {
            let writes = records.keys.get(key).map_or(&[][..], Vec::as_slice);
            let is_known = |value: &str| {
                let stands = |write: &Write| !matches!(write.ended, Some((_, Fate::Refused)));
                writes.iter().any(|write| write.value == value && stands(write))
            };
            match values.into_iter().find(|value| !is_known(value)) {
                Some(value) => {
                    Err(format!("{key} holds {value:?}, which was never written, or refused"))
                }
                None => Ok(()),
            }
        })
    }

    fn with<T>(&self, f: impl FnOnce(&mut Records) -> T) -> T {
        f(&mut self.0.lock().expect("nothing panics while it writes history"))
    }
}
