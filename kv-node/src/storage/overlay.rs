//! The store that commands see: a durable base, and over it what was committed since.
//!
//! ```text
//!            commit                begin_commit             end_commit
//!   command ───────▶ fresh layer ──────────────▶ syncing layer ─────────▶ base
//!   └─────────────────────────── View::Live ───────────────────────────┘
//!                                                       View::Durable ──┘
//! ```
//!
//! While one group is on its way to the disk, commands go on committing into the next. The two
//! layers hold what is not durable and nothing else, so a restart finds exactly the durable view.
//!
//! Invariants: at most one group is under way; what the base shows of that group while it is being
//! applied is covered by the syncing layer; during a fault nothing is committed.

use std::cell::Cell;
use std::sync::Arc;

use bytes::Bytes;
use kv_core::store::{Batch, Corrupt, Store, StoreFault, View, Visitor};
use kv_core::types::Seq;

use super::engine::{Engine, Records};
use super::layers;

/// The estimated bytes that a record costs in memory beside its own.
const RECORD_OVERHEAD_BYTES: usize = 96;

/// Writes that were committed together and become durable together.
#[derive(Clone, Debug)]
pub struct Group {
    /// The position of the group's last batch.
    pub seq: Seq,
    /// The writes of the group.
    pub records: Arc<Records>,
}

/// A [`Store`] over an [`Engine`].
#[derive(Debug)]
pub struct Overlay<E> {
    base: Arc<E>,
    syncing: Option<Arc<Records>>,
    fresh: Records,
    /// The estimated bytes of `fresh`.
    fresh_bytes: usize,
    newest: Seq,
    /// The position up to which groups have been begun.
    begun: Seq,
    fault: Option<StoreFault>,
    corrupt_seen: Cell<u64>,
}

impl<E: Engine> Overlay<E> {
    /// Creates an overlay with nothing over its base.
    pub fn new(base: Arc<E>) -> Self {
        Self {
            base,
            syncing: None,
            fresh: Records::new(),
            fresh_bytes: 0,
            newest: Seq(0),
            begun: Seq(0),
            fault: None,
            corrupt_seen: Cell::new(0),
        }
    }

    /// Takes what was committed since the last group began; `None` if there is nothing, if a group
    /// is under way, or after a fault.
    pub fn begin_commit(&mut self) -> Option<Group> {
        if self.begun == self.newest || self.is_committing() || self.fault.is_some() {
            return None;
        }
        self.begun = self.newest;
        self.fresh_bytes = 0;
        let records = Arc::new(std::mem::take(&mut self.fresh));
        self.syncing = Some(Arc::clone(&records));
        Some(Group { seq: self.begun, records })
    }

    /// Ends the overlay. Returns what was committed since the last group began, even if that one is
    /// under way; `None` if there is nothing, or after a fault.
    pub fn into_last_group(mut self) -> Option<Group> {
        self.syncing = None;
        self.begin_commit()
    }

    /// Ends the group that was under way, which the base now holds.
    pub fn end_commit(&mut self) {
        assert!(self.syncing.take().is_some(), "a group that ends has begun");
    }

    /// Notes that the base refuses. Both layers stay: they are live, and become durable when the
    /// base takes them after all, which it does only if the fault passes.
    pub fn fail(&mut self, fault: StoreFault) {
        // A disk that failed does not become merely full.
        if self.fault != Some(StoreFault::Failed) {
            self.fault = Some(fault);
        }
    }

    /// Notes that the base takes writes again. A disk that failed never does.
    pub fn resume(&mut self) {
        self.fault = self.fault.filter(|fault| !fault.is_passing());
    }

    /// Tells whether a group is under way.
    pub const fn is_committing(&self) -> bool {
        self.syncing.is_some()
    }

    /// The fault for which nothing is committed, if there is one.
    pub const fn fault(&self) -> Option<StoreFault> {
        self.fault
    }

    /// The estimated number of bytes that wait for the next group.
    pub const fn fresh_bytes(&self) -> usize {
        self.fresh_bytes
    }

    /// The number of reads that met a corrupt record.
    pub fn corrupt_seen(&self) -> u64 {
        self.corrupt_seen.get()
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
        let above = match view {
            View::Live => {
                let syncing = || self.syncing.as_ref().and_then(|syncing| syncing.get(key));
                self.fresh.get(key).or_else(syncing)
            }
            View::Durable => None,
        };
        match above {
            Some(record) => Ok(record.clone()),
            None => self.note_corrupt(self.base.get(key)),
        }
    }

    fn scan(&self, view: View, prefix: &[u8], after: &[u8], visit: &mut Visitor<'_>) {
        let scan_base = |visit: &mut Visitor<'_>| {
            self.base.scan(prefix, after, &mut |key, record| visit(key, self.note_corrupt(record)));
        };
        match view {
            View::Durable => scan_base(visit),
            View::Live => {
                let fresh = layers::range(&self.fresh, prefix, after);
                match self.syncing.as_deref() {
                    None => layers::scan_under(fresh, scan_base, visit),
                    Some(syncing) => {
                        let syncing = layers::range(syncing, prefix, after);
                        layers::scan_under(layers::over(fresh, syncing), scan_base, visit);
                    }
                }
            }
        }
    }

    fn commit(&mut self, batch: Batch) -> Result<Seq, StoreFault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        for (key, record) in batch.into_writes(Bytes::copy_from_slice) {
            let bytes = key.len() + record.as_ref().map_or(0, Bytes::len);
            self.fresh_bytes += bytes + RECORD_OVERHEAD_BYTES;
            self.fresh.insert(key, record);
        }
        self.newest = self.newest.next();
        Ok(self.newest)
    }

    fn newest(&self) -> Seq {
        self.newest
    }
}

#[cfg(test)]
mod tests;
