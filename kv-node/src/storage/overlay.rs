//! The store that commands see: tables below, and in memory over them what was committed since.
//!
//! ```text
//!            commit               seal (from time to time)              end_flush
//!   command ───────▶ memory table ──────────────────────▶ sealed table ───────────▶ tables
//!       └──────────▶ group ──begin_commit──▶ log ──end_commit──▶ it is durable
//! ```
//!
//! While one group is on its way to the disk, commands go on committing into the next. A table in
//! memory knows of each record when it was committed: [`View::Live`] shows the newest, and
//! [`View::Durable`] the newest that the log holds. A sealed table takes nothing more, and is written
//! into tables when everything in it is durable; so a restart finds exactly the durable view, in the
//! tables and in the log behind them.
//!
//! Invariants: at most one group is under way, and at most one table is sealed; during a fault nothing
//! is committed.

use std::cell::Cell;
use std::sync::Arc;

use bytes::Bytes;
use kv_core::store::{Batch, Corrupt, Store, StoreFault, View, Visitor};
use kv_core::types::Seq;

use super::engine::Engine;
use super::group::Group;
use super::layers;
use super::memtable::{Memtable, SealedMemtable, Stages};

/// The number of sealed tables that fit into the memory for all: while one is written, the next fills
/// up, and may grow to twice its size before the disk is waited for.
const SEALED_PER_MEMORY: usize = 3;

/// The number of times that a table's bytes may have gone into the log before it is sealed. Where few
/// keys are written again and again the table stays small, and yet a start must not replay for ever.
const LOGGED_PER_SEALED: usize = 4;

/// A [`Store`] over an [`Engine`].
#[derive(Debug)]
pub struct Overlay<E> {
    tables: Arc<E>,
    records: Memtable,
    sealed: Option<Arc<SealedMemtable>>,
    /// True once the sealed table was handed out to be written.
    is_flushing: bool,
    /// The batches that were committed since the last group began.
    group: Group,
    is_committing: bool,
    newest: Seq,
    stages: Stages,
    /// The bytes that went into groups since the table in memory was new.
    logged_bytes: usize,
    /// The bytes that tables in memory may take.
    memory_bytes_max: usize,
    fault: Option<StoreFault>,
    corrupt_seen: Cell<u64>,
}

impl<E: Engine> Overlay<E> {
    /// Creates an overlay with nothing over its tables, cut for so many partitions. Its tables in memory
    /// take at most about `memory_bytes_max`.
    pub fn new(tables: Arc<E>, partitions: u32, memory_bytes_max: usize) -> Self {
        Self {
            tables,
            records: Memtable::new(partitions),
            sealed: None,
            is_flushing: false,
            group: Group::default(),
            is_committing: false,
            newest: Seq(0),
            stages: Stages::default(),
            logged_bytes: 0,
            memory_bytes_max,
            fault: None,
            corrupt_seen: Cell::new(0),
        }
    }

    /// Takes a batch that the log held at start: it is durable, and no group's.
    pub(super) fn replay(&mut self, batch: Batch) {
        self.logged_bytes += batch.bytes();
        self.put(batch, Seq(0));
    }

    /// Takes what was committed since the last group began; `None` if there is nothing, if a group
    /// is under way, or after a fault. With it the table in memory is sealed, if it is large enough.
    pub fn begin_commit(&mut self) -> Option<Group> {
        if self.stages.begun == self.newest || self.is_committing || self.fault.is_some() {
            return None;
        }
        self.stages.begun = self.newest;
        self.is_committing = true;
        let group = std::mem::take(&mut self.group);
        let seal_at = self.memory_bytes_max / SEALED_PER_MEMORY;
        if self.records.bytes() >= seal_at || self.logged_bytes >= seal_at * LOGGED_PER_SEALED {
            self.seal();
        }
        Some(group)
    }

    /// Ends the overlay. Returns what was committed since the last group began, even if that one is
    /// under way; `None` if there is nothing, or after a fault.
    pub fn into_last_group(mut self) -> Option<Group> {
        self.is_committing = false;
        self.begin_commit()
    }

    /// Ends the group that was under way, which is durable now.
    pub fn end_commit(&mut self) {
        assert!(std::mem::take(&mut self.is_committing), "a group that ends has begun");
        self.stages.durable = self.stages.begun;
    }

    /// Seals the table in memory, unless the one before is still there.
    pub(super) fn seal(&mut self) {
        if self.sealed.is_none() {
            let emptied = self.records.emptied();
            let records = std::mem::replace(&mut self.records, emptied);
            self.sealed = Some(Arc::new(SealedMemtable { records, up_to: self.stages.begun }));
            self.is_flushing = false;
            self.logged_bytes = 0;
        }
    }

    /// Takes the sealed table to be written into tables, once all in it is durable.
    pub(super) fn begin_flush(&mut self) -> Option<Arc<SealedMemtable>> {
        let sealed = self.sealed.as_ref()?;
        if self.is_flushing || sealed.up_to > self.stages.durable {
            return None;
        }
        self.is_flushing = true;
        Some(Arc::clone(sealed))
    }

    /// Takes off the sealed table, which tables hold now.
    pub(super) fn end_flush(&mut self) -> Arc<SealedMemtable> {
        assert!(std::mem::take(&mut self.is_flushing), "what was flushed was to be flushed");
        self.sealed.take().expect("what is being flushed is sealed")
    }

    /// Notes that the disk refuses. What was committed stays: it is live, and becomes durable when the
    /// disk takes it after all, which it does only if the fault passes.
    pub fn fail(&mut self, fault: StoreFault) {
        // A disk that failed does not become merely full.
        if self.fault != Some(StoreFault::Failed) {
            self.fault = Some(fault);
        }
    }

    /// Notes that the disk takes writes again. A disk that failed never does.
    pub fn resume(&mut self) {
        self.fault = self.fault.filter(|fault| !fault.is_passing());
    }

    /// Tells whether the disk is to catch up before more is committed: as many bytes as `unsynced_max`
    /// wait for a group that is under way, or as many as allowed lie in memory behind a sealed table.
    pub(super) fn is_held_up(&self, unsynced_max: usize) -> bool {
        let waits_for_log = self.is_committing && self.group.bytes() >= unsynced_max;
        self.fault.is_none() && (waits_for_log || self.waits_for_tables())
    }

    fn waits_for_tables(&self) -> bool {
        let sealed = self.sealed.as_ref().map(|sealed| sealed.records.bytes());
        sealed.is_some_and(|sealed| sealed + self.records.bytes() >= self.memory_bytes_max)
    }

    /// The fault for which nothing is committed, if there is one.
    pub const fn fault(&self) -> Option<StoreFault> {
        self.fault
    }

    /// The estimated number of bytes that tables in memory take.
    pub(super) fn memory_bytes(&self) -> usize {
        let sealed = self.sealed.as_ref().map_or(0, |sealed| sealed.records.bytes());
        self.records.bytes() + sealed
    }

    /// The number of reads that met a corrupt record.
    pub fn corrupt_seen(&self) -> u64 {
        self.corrupt_seen.get()
    }

    fn put(&mut self, batch: Batch, seq: Seq) {
        let batch_bytes = batch.bytes();
        for (key, record) in batch.into_writes(|key| Box::<[u8]>::from(key)) {
            // A small record must not keep all of a large batch.
            let record = record.map(|record| match record.len() * 2 < batch_bytes {
                true => Bytes::copy_from_slice(&record),
                false => record,
            });
            self.records.put(key, record, seq, self.stages);
        }
    }

    const fn shown(&self, view: View) -> Seq {
        match view {
            View::Live => self.newest,
            View::Durable => self.stages.durable,
        }
    }

    /// Finds a key in memory as a view shows it: its record, or that it was deleted; `None` if memory
    /// does not know it.
    fn in_memory(&self, view: View, key: &[u8]) -> Option<Option<&Bytes>> {
        let up_to = self.shown(view);
        let in_sealed = || self.sealed.as_ref().and_then(|sealed| sealed.records.get(key, up_to));
        self.records.get(key, up_to).or_else(in_sealed)
    }

    fn note_corrupt<T>(&self, read: Result<T, Corrupt>) -> Result<T, Corrupt> {
        if read.is_err() {
            self.corrupt_seen.set(self.corrupt_seen.get() + 1);
        }
        read
    }
}

impl<E: Engine> Store for Overlay<E> {
    fn get(&self, view: View, key: &[u8]) -> Result<Option<Bytes>, Corrupt> {
        match self.in_memory(view, key) {
            Some(record) => Ok(record.cloned()),
            None => self.note_corrupt(self.tables.get(key)),
        }
    }

    fn read<T>(
        &self,
        view: View,
        key: &[u8],
        decode: impl FnOnce(&Bytes) -> Result<T, Corrupt>,
    ) -> Result<Option<T>, Corrupt> {
        match self.in_memory(view, key) {
            Some(record) => record.map(decode).transpose(),
            None => self.note_corrupt(self.tables.get(key))?.as_ref().map(decode).transpose(),
        }
    }

    fn scan(&self, view: View, prefix: &[u8], after: &[u8], visit: &mut Visitor<'_>) {
        let scan_tables = |visit: &mut Visitor<'_>| {
            let tables = &self.tables;
            tables.scan(prefix, after, &mut |key, record| visit(key, self.note_corrupt(record)));
        };
        let up_to = self.shown(view);
        let records = self.records.range(prefix, after, up_to);
        match &self.sealed {
            None => layers::scan_under(records, scan_tables, visit),
            Some(sealed) => {
                let sealed = sealed.records.range(prefix, after, up_to);
                layers::scan_under(layers::over(records, sealed), scan_tables, visit);
            }
        }
    }

    fn commit(&mut self, batch: Batch) -> Result<Seq, StoreFault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        self.newest = self.newest.next();
        self.logged_bytes += self.group.add(&batch, self.newest);
        self.put(batch, self.newest);
        Ok(self.newest)
    }

    fn newest(&self) -> Seq {
        self.newest
    }
}

#[cfg(test)]
mod tests;
