//! A disk in memory, for tests and for the deterministic runtime: it is kept by whoever plays the
//! machine, and outlives the node that runs on it.

use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use kv_core::store::{Corrupt, StoreFault, Visitor};

use super::engine::{Engine, EngineError, Reach, Records};
use super::layers;

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk {
    platter: Arc<Mutex<Platter>>,
}

/// The disk as one life of a node sees it. Once the next life begins it refuses everything, so that
/// leftovers of this one cannot write.
#[derive(Clone, Debug)]
pub struct MemoryEngine {
    platter: Arc<Mutex<Platter>>,
    life: u64,
}

#[derive(Debug, Default)]
struct Platter {
    /// The records that survive the machine. Every record is `Some`.
    durable: Records,
    /// The records that were written since the last sync.
    written: Records,
    life: u64,
    fault: Option<StoreFault>,
    groups: u64,
    syncs: u64,
}

impl MemoryDisk {
    /// Begins a new life: the machine was switched off and on, and what was not synced is gone.
    pub fn start(&self) -> MemoryEngine {
        let mut platter = lock(&self.platter);
        platter.written.clear();
        platter.life += 1;
        MemoryEngine { platter: Arc::clone(&self.platter), life: platter.life }
    }

    /// Returns the disk as seen from outside, in the present life.
    pub fn look(&self) -> MemoryEngine {
        MemoryEngine { platter: Arc::clone(&self.platter), life: lock(&self.platter).life }
    }

    /// Deletes all data.
    pub fn wipe(&self) {
        let mut platter = lock(&self.platter);
        platter.durable.clear();
        platter.written.clear();
    }

    /// Makes all writes fail from now on, or succeed again.
    pub fn set_fault(&self, fault: Option<StoreFault>) {
        lock(&self.platter).fault = fault;
    }

    /// The number of groups that were written so far, in all lives.
    pub fn groups(&self) -> u64 {
        lock(&self.platter).groups
    }

    /// The number of syncs so far, in all lives.
    pub fn syncs(&self) -> u64 {
        lock(&self.platter).syncs
    }
}

impl Platter {
    fn get(&self, key: &[u8]) -> Option<Bytes> {
        self.written.get(key).or_else(|| self.durable.get(key)).cloned().flatten()
    }

    fn sync(&mut self) {
        self.syncs += 1;
        for (key, record) in std::mem::take(&mut self.written) {
            match record {
                Some(record) => self.durable.insert(key, Some(record)),
                None => self.durable.remove(&key),
            };
        }
    }

    fn check(&self, life: u64) -> Result<(), EngineError> {
        let message = if life != self.life {
            "the machine was restarted"
        } else if self.fault.is_some() {
            "the test says so"
        } else {
            return Ok(());
        };
        Err(EngineError {
            fault: self.fault.unwrap_or(StoreFault::Failed),
            message: message.into(),
        })
    }
}

impl Engine for MemoryEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Corrupt> {
        Ok(lock(&self.platter).get(key))
    }

    fn scan(&self, prefix: &[u8], after: &[u8], visit: &mut Visitor<'_>) {
        // Copied, because the visitor may want to read, too.
        let found: Vec<_> = {
            let platter = lock(&self.platter);
            let written = layers::range(&platter.written, prefix, after);
            let durable = layers::range(&platter.durable, prefix, after);
            let copied =
                |(key, record): (&Bytes, &Option<Bytes>)| Some((key.clone(), record.clone()?));
            layers::over(written, durable).filter_map(copied).collect()
        };
        for (key, record) in found {
            if visit(&key, Ok(&record)).is_break() {
                return;
            }
        }
    }

    fn apply(&self, records: &Records, reach: Reach) -> Result<(), EngineError> {
        let mut platter = lock(&self.platter);
        platter.check(self.life)?;
        platter.groups += 1;
        platter.written.extend(records.iter().map(|(key, record)| (key.clone(), record.clone())));
        match reach {
            Reach::Written => {}
            Reach::Synced => platter.sync(),
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), EngineError> {
        let mut platter = lock(&self.platter);
        platter.check(self.life)?;
        platter.sync();
        Ok(())
    }

    fn check(&self) -> Result<(), EngineError> {
        lock(&self.platter).check(self.life)
    }

    fn resume(&self) -> Result<(), EngineError> {
        self.check()
    }
}

fn lock(platter: &Mutex<Platter>) -> MutexGuard<'_, Platter> {
    platter.lock().expect("nothing panics while it holds the disk")
}
