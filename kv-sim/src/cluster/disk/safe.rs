//! The records that a kill would leave, and the slots that all keys of a disk have.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use bytes::Bytes;
use kv_core::store::Corrupt;
use kv_core::types::LogPosition;
use smallvec::SmallVec;

use crate::ledger::{self, Ledger};

/// The key of a record. Short keys lie in place.
pub type RecordKey = SmallVec<[u8; 24]>;

/// The place of a key among all that were ever written: a key is hashed once, where it comes in.
pub(super) type Slot = ledger::LedgerPlace;

/// A record as a scan reads it.
pub(super) type ScanRead<'a> = (&'a RecordKey, Result<&'a Bytes, Corrupt>);

/// The safe records. They are looked up far more often than scanned, so they lie in a table, and
/// beside it stands their order.
///
/// Invariants: `order` holds exactly the keys that have a record, and `corrupt` some of them;
/// `beginnings` counts those that are not empty.
#[derive(Clone, Debug, Default)]
pub(super) struct SafeRecords {
    /// The records by slot; none for a key whose record was deleted, or was never made safe. Such
    /// keys stay, about a hundred bytes each: most are of hints that were delivered.
    records: Ledger<RecordKey, Option<Bytes>>,
    order: BTreeMap<KeyPlace, Slot>,
    /// The number of keys that begin with each byte: most scans look for hints, and mostly there
    /// are none.
    beginnings: BTreeMap<u8, u64>,
    corrupt: BTreeSet<RecordKey>,
    /// How far the log of the disk goes.
    pub(super) log: LogPosition,
    /// The lives of the node that wrote it, each with how far it went when that life began.
    pub(super) lives: Vec<(u32, LogPosition)>,
}

/// The place of a key in the order of keys. Its first bytes, as a number, mostly decide.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct KeyPlace {
    head: u128,
    key: RecordKey,
}

impl SafeRecords {
    /// The slot of a key, if it has one.
    pub(super) fn find(&self, key: &[u8]) -> Option<Slot> {
        self.records.find(key)
    }

    /// Gives a slot to a key that has none.
    pub(super) fn add(&mut self, key: &[u8]) -> Slot {
        self.records.add(RecordKey::from_slice(key), None)
    }

    /// The key that has this slot.
    ///
    /// # Panics
    /// If no key has this slot.
    pub(super) fn key(&self, slot: Slot) -> &RecordKey {
        self.records.at(slot).0
    }

    /// The record of the key with this slot, whether it can be read or not. Panics as [`SafeRecords::key`]
    /// does.
    pub(super) fn record(&self, slot: Slot) -> Option<&Bytes> {
        self.records.at(slot).1.as_ref()
    }

    /// Reads the record of the key with this slot. Panics as [`SafeRecords::key`] does.
    ///
    /// # Errors
    /// [`Corrupt`], if the record cannot be read.
    pub(super) fn read(&self, slot: Slot) -> Result<Option<&Bytes>, Corrupt> {
        let (key, record) = self.records.at(slot);
        if self.is_corrupt(key) { Err(Corrupt) } else { Ok(record.as_ref()) }
    }

    /// Writes or deletes the record of a key.
    pub(super) fn write(&mut self, slot: Slot, record: Option<Bytes>) {
        let (key, held) = self.records.at_mut(slot);
        if !self.corrupt.is_empty() {
            self.corrupt.remove(key);
        }
        let (is_held, is_kept) = (held.is_some(), record.is_some());
        *held = record;
        if is_held == is_kept {
            return;
        }
        if let Some(&first) = key.first() {
            let count = self.beginnings.entry(first).or_default();
            *count = if is_kept { *count + 1 } else { *count - 1 };
        }
        let place = KeyPlace::of(key);
        if is_kept {
            self.order.insert(place, slot);
        } else {
            self.order.remove(&place);
        }
    }

    /// Lets records rot. A key without one is left alone.
    pub(super) fn rot(&mut self, keys: impl IntoIterator<Item = RecordKey>) {
        let is_held = |key: &RecordKey| self.records.get(key).is_some_and(Option::is_some);
        self.corrupt.extend(keys.into_iter().filter(is_held));
    }

    /// The keys of all records that can be read, in order.
    pub(super) fn sound(&self) -> impl Iterator<Item = &RecordKey> {
        self.order.keys().map(|place| &place.key).filter(|key| !self.is_corrupt(key))
    }

    /// The keys of all records that cannot be read, in order.
    pub(super) fn corrupt(&self) -> impl Iterator<Item = &RecordKey> {
        self.corrupt.iter()
    }

    /// The records from a key on, in the order of their keys; none, if none has this prefix.
    pub(super) fn from(
        &self,
        begin: Bound<&[u8]>,
        prefix: &[u8],
    ) -> impl Iterator<Item = ScanRead<'_>> {
        let is_counted = |first| self.beginnings.get(first).is_some_and(|&count| count > 0);
        let places = prefix
            .first()
            .is_none_or(is_counted)
            .then(|| self.order.range((begin.map(KeyPlace::of), Bound::Unbounded)));
        places
            .into_iter()
            .flatten()
            .filter_map(|(place, &slot)| Some((&place.key, self.read(slot).transpose()?)))
    }

    fn is_corrupt(&self, key: &RecordKey) -> bool {
        !self.corrupt.is_empty() && self.corrupt.contains(key)
    }
}

impl KeyPlace {
    fn of(key: &[u8]) -> Self {
        let mut head = [0; 16];
        let length = key.len().min(head.len());
        head[..length].copy_from_slice(&key[..length]);
        Self { head: u128::from_be_bytes(head), key: RecordKey::from_slice(key) }
    }
}
