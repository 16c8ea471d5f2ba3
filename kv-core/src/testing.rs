//! The tools that tests of this crate share: a store in memory, draws that count up, effects as
//! expected lists name them, and nodes that run one machine each.

pub(crate) mod effects;
pub(crate) mod world;

use alloc::collections::BTreeMap;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::ops::ControlFlow;

use bytes::Bytes;

use crate::cx::{Draw, Purpose};
use crate::store::{Batch, Corrupt, Store, StoreFault, View, Visitor};
use crate::types::Seq;

/// A store in memory, of which one image is live and another durable.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryStore {
    live: BTreeMap<Bytes, Bytes>,
    durable: BTreeMap<Bytes, Bytes>,
    newest: Seq,
    /// The keys of records that cannot be read.
    pub(crate) corrupt: BTreeSet<Bytes>,
    /// The fault that the next commits return; none if they succeed.
    pub(crate) fault: Option<StoreFault>,
}

impl MemoryStore {
    pub(crate) fn sync(&mut self) {
        self.durable = self.live.clone();
    }

    pub(crate) fn crash(&mut self) {
        self.live = self.durable.clone();
        self.newest = Seq(0);
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &Bytes> {
        self.live.keys()
    }

    fn image(&self, view: View) -> &BTreeMap<Bytes, Bytes> {
        match view {
            View::Live => &self.live,
            View::Durable => &self.durable,
        }
    }
}

impl Store for MemoryStore {
    fn get(&self, view: View, key: &[u8]) -> Result<Option<Bytes>, Corrupt> {
        let record = self.image(view).get(key).cloned();
        if record.is_some() && self.corrupt.contains(key) { Err(Corrupt) } else { Ok(record) }
    }

    fn scan(&self, view: View, prefix: &[u8], after: &[u8], visit: &mut Visitor<'_>) {
        for (key, record) in self.image(view) {
            if !key.starts_with(prefix) || (!after.is_empty() && &key[..] <= after) {
                continue;
            }
            let record = if self.corrupt.contains(key) { Err(Corrupt) } else { Ok(record) };
            if visit(key, record) == ControlFlow::Break(()) {
                return;
            }
        }
    }

    fn commit(&mut self, batch: Batch) -> Result<Seq, StoreFault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        for (key, record) in batch.into_writes(Bytes::copy_from_slice) {
            self.corrupt.remove(&key);
            match record {
                Some(record) => self.live.insert(key, record),
                None => self.live.remove(&key),
            };
        }
        self.newest = self.newest.next();
        Ok(self.newest)
    }

    fn newest(&self) -> Seq {
        self.newest
    }
}

/// Draws that count up: distinct, and the same in every run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counting(pub(crate) Vec<(Purpose, u64)>);

impl Draw for Counting {
    fn u64(&mut self, purpose: Purpose, subject: u64) -> u64 {
        self.0.push((purpose, subject));
        self.0.len() as u64
    }
}
