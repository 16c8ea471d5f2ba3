//! The records of a disk, in layers: safe ones, ones that only seem to be, and unsynced ones.
//!
//! A batch is live when it is committed. A sync makes everything up to a position safe, and reports
//! it. A sync that lies reports and does nothing; one that fails reports that, and its batches will
//! never be safe, whatever later ones report. A kill leaves what is safe, and positions start over.
//! SafeRecords records may rot: they are there and cannot be read, until they are written again. Clones
//! share the safe records, which are copied when one of them is next synced, or takes a key that is
//! new to it.

use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use kv_core::store::{Batch, Corrupt, Store, StoreFault, View, Visitor};
use kv_core::types::{LogPosition, Seq};
use smallvec::SmallVec;

use super::safe::{RecordKey, SafeRecords, ScanRead, Slot};
use crate::hashing::Table;

/// The records of one disk.
///
/// Invariants: `log` holds exactly the batches that a sync may still make safe, in order; `fresh`
/// the newest of the writes to each key that are not safe; `claimed` the newest of those up to
/// `reported`. Slots are those of `safe`: unsafe writes are dropped before another `safe` takes its
/// place.
#[derive(Clone, Debug, Default)]
pub struct Image {
    safe: Arc<SafeRecords>,
    claimed: BTreeMap<RecordKey, Option<Bytes>>,
    fresh: Table<Slot, (Seq, Option<Bytes>)>,
    log: VecDeque<(Seq, Writes)>,
    newest: Seq,
    reported: Seq,
    /// How far the log went when the positions began.
    log_before: LogPosition,
    /// The number of faults that refuse commits that need room.
    pub(super) fillers: u32,
    /// The number of faults that refuse all commits.
    pub(super) breakers: u32,
    past: Option<Past>,
    /// True if the records are copied from another node's disk.
    is_foreign: bool,
}

/// The writes of a batch, in order. As a rule there are two: a record and its Merkle leaf.
type Writes = SmallVec<[(Slot, Option<Bytes>); 2]>;

/// The safe records of earlier moments: some of them, so that they are not too many.
#[derive(Clone, Debug, Default)]
struct Past {
    moments: Vec<Arc<SafeRecords>>,
    /// The number of syncs of which one is remembered.
    every: u64,
    syncs: u64,
}

impl Image {
    /// Makes everything up to this position safe.
    ///
    /// # Panics
    /// If more than that was reported safe before: syncs end in the order in which they begin.
    pub fn sync(&mut self, seq: Seq) {
        assert!(seq >= self.reported, "a sync covers what earlier ones covered");
        self.make_safe(|at| at <= seq);
        self.claimed.clear();
        self.reported = seq;
        if let Some(past) = &mut self.past {
            past.remember(&self.safe);
        }
    }

    /// Reports everything up to this position as safe, and does nothing.
    pub fn claim(&mut self, seq: Seq) {
        for (at, writes) in &self.log {
            if self.reported < *at && *at <= seq {
                let named = writes.iter().map(|(slot, record)| (self.safe.key(*slot), record));
                self.claimed.extend(named.map(|(key, record)| (key.clone(), record.clone())));
            }
        }
        self.reported = self.reported.max(seq);
    }

    /// Fails to make everything up to this position safe: it stays live, and nothing will ever make
    /// it safe.
    pub fn fail(&mut self, seq: Seq) {
        self.log.retain(|(at, _)| *at > seq || *at <= self.reported);
    }

    /// Drops everything that is not safe, but for the first `kept` batches.
    pub fn kill(&mut self, kept: usize) {
        let last = kept.checked_sub(1).and_then(|last| self.log.get(last).or(self.log.back()));
        if let Some(&(last, _)) = last {
            self.make_safe(|at| at <= last);
        }
        let Self { safe, is_foreign, fillers, breakers, past, .. } = std::mem::take(self);
        let log_before = safe.log;
        *self = Self { safe, log_before, is_foreign, fillers, breakers, past, ..Self::default() };
    }

    /// Takes over safe records in the place of all that is there.
    fn take_safe(&mut self, safe: Arc<SafeRecords>) {
        self.kill(0);
        self.log_before = safe.log;
        self.safe = safe;
    }

    /// How far the log goes with everything up to a position.
    pub const fn log_at(&self, seq: Seq) -> LogPosition {
        LogPosition(self.log_before.0 + seq.0)
    }

    /// How far the log goes with all that is safe.
    pub fn log(&self) -> LogPosition {
        self.safe.log
    }

    /// Notes that a life of the node begins on the safe records. It is part of them from now on: an older
    /// image does not know of it.
    pub fn begin_life(&mut self, life: u32) {
        let log = self.safe.log;
        Arc::make_mut(&mut self.safe).lives.push((life, log));
    }

    /// Notes that the node says from this life on that it lacks some of what earlier ones wrote.
    pub fn admit_loss(&mut self, life: u32) {
        Arc::make_mut(&mut self.safe).lives = vec![(life, LogPosition(u64::MAX))];
    }

    /// Tells whether a kill would leave less than what the log held once in a life of the node.
    pub fn would_lack(&self, life: u32, log: LogPosition) -> bool {
        let (is_missing, later) = self.lives_at(life);
        is_missing || later.unwrap_or(self.safe.log) < log
    }

    /// Tells whether a later life began on less than what the log held once in a life of the node.
    pub fn lacks(&self, life: u32, log: LogPosition) -> bool {
        let (is_missing, later) = self.lives_at(life);
        later.is_some_and(|later| is_missing || later < log)
    }

    /// Tells whether a life is missing behind others, and how far the log went when the next one began.
    fn lives_at(&self, life: u32) -> (bool, Option<LogPosition>) {
        let lives = &self.safe.lives;
        let behind = lives.partition_point(|&(begun, _)| begun <= life);
        let before = lives[..behind].last();
        (before.is_some_and(|&(begun, _)| begun != life), lives.get(behind).map(|&(_, log)| log))
    }

    /// Drops everything.
    pub fn wipe(&mut self) {
        self.take_safe(Arc::default());
        self.is_foreign = false;
    }

    /// Drops everything, and takes over the safe records of another node's disk.
    pub fn copy(&mut self, other: &Self) {
        self.take_safe(Arc::clone(&other.safe));
        self.is_foreign = true;
    }

    /// Notes that the disk's node has started on it: it found nothing in it that is another's.
    pub const fn take_over(&mut self) {
        self.is_foreign = false;
    }

    /// True if the records are another node's, so that the disk's own has no use for them.
    pub const fn is_foreign(&self) -> bool {
        self.is_foreign
    }

    /// Begins to remember the safe records of moments.
    pub fn keep_past(&mut self) {
        self.past = Some(Past { moments: vec![Arc::clone(&self.safe)], every: 1, syncs: 0 });
    }

    /// The number of moments that are remembered, the oldest first.
    pub fn moments(&self) -> usize {
        self.past.as_ref().map_or(0, |past| past.moments.len())
    }

    /// Drops everything, and takes back the safe records of a moment that is remembered.
    ///
    /// # Panics
    /// If the moment is not remembered.
    pub fn roll_back(&mut self, moment: usize) {
        let past = self.past.as_mut().expect("what is rolled back to is remembered");
        past.moments.truncate(moment + 1);
        let safe = Arc::clone(&past.moments[moment]);
        self.take_safe(safe);
        self.is_foreign = false;
    }

    /// Lets safe records rot. A key without one is left alone.
    pub fn rot(&mut self, keys: impl IntoIterator<Item = RecordKey>) {
        Arc::make_mut(&mut self.safe).rot(keys);
    }

    /// The keys of all safe records that can be read, in order.
    pub fn sound(&self) -> impl Iterator<Item = &RecordKey> {
        self.safe.sound()
    }

    /// The keys of all records that cannot be read, in order. One that a lying sync has reported to
    /// be written again can be, until a kill.
    pub fn corrupt(&self) -> impl Iterator<Item = &RecordKey> {
        self.safe.corrupt().filter(|key| !self.claimed.contains_key(*key))
    }

    /// The number of batches that are not safe and may become so.
    pub fn unsynced(&self) -> usize {
        self.log.len()
    }

    /// The number of records that a kill would change.
    pub fn unsynced_records(&self) -> usize {
        self.fresh.len()
    }

    /// The position up to which everything was reported as safe.
    pub const fn reported(&self) -> Seq {
        self.reported
    }

    /// The keys whose records a kill would take back although they were reported as safe.
    pub fn claimed(&self) -> impl ExactSizeIterator<Item = &RecordKey> {
        self.claimed.keys()
    }

    /// The record under this key as a kill would leave it.
    ///
    /// # Errors
    /// [`Corrupt`], if the record cannot be read.
    pub fn safe(&self, key: &[u8]) -> Result<Option<&Bytes>, Corrupt> {
        self.safe.find(key).map_or(Ok(None), |slot| self.safe.read(slot))
    }

    /// Visits the records as a kill would leave them, as [`Store::scan`] does.
    pub fn scan_safe(&self, prefix: &[u8], visit: &mut Visitor<'_>) {
        merge(self.safe.from(begin(prefix, &[]), prefix), std::iter::empty(), prefix, visit);
    }

    /// Makes the first batches safe, as long as `is_among` is true of their positions.
    fn make_safe(&mut self, is_among: impl Fn(Seq) -> bool) {
        let log_before = self.log_before;
        let safe = Arc::make_mut(&mut self.safe);
        while let Some((at, writes)) = self.log.pop_front_if(|(at, _)| is_among(*at)) {
            for (slot, record) in writes {
                if self.fresh.get(&slot).is_some_and(|(newest, _)| *newest <= at) {
                    self.fresh.remove(&slot);
                }
                safe.write(slot, record);
            }
            safe.log = LogPosition(log_before.0 + at.0);
        }
    }

    /// Tells whether a batch makes the records longer altogether.
    fn grows(&self, writes: &Writes) -> bool {
        let length = |slot: Slot, record: Option<&Bytes>| {
            record.map_or(0, |record| (self.safe.key(slot).len() + record.len()) as u64)
        };
        let before = |slot: Slot| match self.fresh.get(&slot) {
            Some((_, record)) => record.as_ref(),
            None => self.safe.record(slot),
        };
        let after: u64 = writes.iter().map(|(slot, record)| length(*slot, record.as_ref())).sum();
        after > writes.iter().map(|&(slot, _)| length(slot, before(slot))).sum()
    }

    /// The slot of a key that is to be written.
    fn slot(&mut self, key: &[u8]) -> Slot {
        match self.safe.find(key) {
            Some(slot) => slot,
            None => Arc::make_mut(&mut self.safe).add(key),
        }
    }
}

impl Past {
    /// The number of moments that are kept; beyond it, every second is forgotten.
    const MOMENTS_MAX: usize = 512;

    fn remember(&mut self, safe: &Arc<SafeRecords>) {
        self.syncs += 1;
        if self.syncs.is_multiple_of(self.every) {
            self.moments.push(Arc::clone(safe));
        }
        if self.moments.len() > Self::MOMENTS_MAX {
            let mut number = 0_u64;
            self.moments.retain(|_| {
                number += 1;
                !number.is_multiple_of(2)
            });
            self.every *= 2;
        }
    }
}

impl Store for Image {
    fn get(&self, view: View, key: &[u8]) -> Result<Option<Bytes>, Corrupt> {
        self.read(view, key, |record| Ok(record.clone()))
    }

    fn read<T>(
        &self,
        view: View,
        key: &[u8],
        decode: impl FnOnce(&Bytes) -> Result<T, Corrupt>,
    ) -> Result<Option<T>, Corrupt> {
        let Some(slot) = self.safe.find(key) else { return Ok(None) };
        let above = match view {
            View::Live => self.fresh.get(&slot).map(|(_, record)| record),
            View::Durable => self.claimed.get(key),
        };
        let record = match above {
            Some(record) => record.as_ref(),
            None => self.safe.read(slot)?,
        };
        record.map(decode).transpose()
    }

    fn scan(&self, view: View, prefix: &[u8], after: &[u8], visit: &mut Visitor<'_>) {
        let begin = begin(prefix, after);
        let below = self.safe.from(begin, prefix);
        match view {
            View::Live => {
                // Unsynced records are few, and looked up far more often than scanned.
                let is_behind = |key: &RecordKey| after.is_empty() || key[..] > *after;
                let is_in = |key: &RecordKey| key.starts_with(prefix) && is_behind(key);
                let above = self.fresh.iter();
                let above = above.map(|(&slot, (_, record))| (self.safe.key(slot), record));
                let mut above: Vec<_> = above.filter(|(key, _)| is_in(key)).collect();
                above.sort_unstable_by_key(|&(key, _)| key);
                merge(below, above.into_iter(), prefix, visit);
            }
            View::Durable => {
                let above = self.claimed.range::<[u8], _>((begin, Bound::Unbounded));
                merge(below, above, prefix, visit);
            }
        }
    }

    fn commit(&mut self, batch: Batch) -> Result<Seq, StoreFault> {
        if self.breakers > 0 {
            return Err(StoreFault::Failed);
        }
        let writes: Writes = batch.into_writes(|key| self.slot(key)).collect();
        if self.fillers > 0 && self.grows(&writes) {
            return Err(StoreFault::Full);
        }
        self.newest = self.newest.next();
        for (slot, record) in &writes {
            self.fresh.insert(*slot, (self.newest, record.clone()));
        }
        self.log.push_back((self.newest, writes));
        Ok(self.newest)
    }

    fn newest(&self) -> Seq {
        self.newest
    }
}

/// The bound at which a scan begins.
fn begin<'a>(prefix: &'a [u8], after: &'a [u8]) -> Bound<&'a [u8]> {
    if after.is_empty() || after < prefix {
        Bound::Included(prefix)
    } else {
        Bound::Excluded(after)
    }
}

/// Visits records in the order of their keys; where both layers have one, the upper one counts.
fn merge<'a>(
    below: impl Iterator<Item = ScanRead<'a>>,
    above: impl Iterator<Item = (&'a RecordKey, &'a Option<Bytes>)>,
    prefix: &[u8],
    visit: &mut Visitor<'_>,
) {
    let (mut below, mut above) = (below.peekable(), above.peekable());
    loop {
        let order = match (below.peek(), above.peek()) {
            (None, None) => return,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((a, _)), Some((b, _))) => a.cmp(b),
        };
        let lower = if order.is_le() { below.next() } else { None };
        let upper = if order.is_ge() { above.next() } else { None };
        let (key, record) = match (lower, upper) {
            (_, Some((key, Some(record)))) => (key, Ok(record)),
            (Some(lower), None) => lower,
            (_, Some((_, None))) => continue,
            (None, None) => unreachable!("one of the two was peeked at"),
        };
        if !key.starts_with(prefix) || visit(key, record).is_break() {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
