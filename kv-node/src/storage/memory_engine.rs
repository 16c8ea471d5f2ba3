//! A disk in memory, for tests and for the deterministic runtime: it is kept by whoever plays the
//! machine, and outlives the node that runs on it.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use kv_core::store::{Batch, Corrupt, StoreFault, Visitor};
use kv_core::types::LogPosition;

use super::engine::{Engine, EngineError, EngineSizes, FlushOutcome, Reach, StartFinding};
use super::group::Group;
use super::memtable::SealedMemtable;

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
    tables: BTreeMap<Bytes, Bytes>,
    /// The groups that are not in tables, each with the life that appended it.
    log: Vec<(u64, Group)>,
    /// The bytes of all groups that were in the log and are in tables now.
    flushed_bytes: u64,
    /// The number of groups of the log that survive the machine.
    synced: usize,
    life: u64,
    fault: Option<StoreFault>,
    groups: u64,
    syncs: u64,
}

impl MemoryDisk {
    /// Begins a new life: the machine was switched off and on, and what was not synced is gone.
    pub fn start(&self) -> MemoryEngine {
        let mut platter = lock(&self.platter);
        let synced = platter.synced;
        platter.log.truncate(synced);
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
        platter.tables.clear();
        platter.log.clear();
        platter.flushed_bytes = 0;
        platter.synced = 0;
    }

    /// Makes all writes fail from now on, or succeed again.
    pub fn set_fault(&self, fault: Option<StoreFault>) {
        lock(&self.platter).fault = fault;
    }

    /// The number of groups that were appended so far, in all lives.
    pub fn groups(&self) -> u64 {
        lock(&self.platter).groups
    }

    /// The number of syncs so far, in all lives.
    pub fn syncs(&self) -> u64 {
        lock(&self.platter).syncs
    }
}

impl Platter {
    fn log_bytes(&self) -> u64 {
        self.log.iter().map(|(_, group)| group.bytes() as u64).sum()
    }

    fn sync(&mut self) {
        self.syncs += 1;
        self.synced = self.log.len();
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
        Ok(lock(&self.platter).tables.get(key).cloned())
    }

    fn scan(&self, prefix: &[u8], after: &[u8], visit: &mut Visitor<'_>) {
        // Copied, because the visitor may want to read, too.
        let found: Vec<_> = {
            let platter = lock(&self.platter);
            let is_whole = after.is_empty() || after < prefix;
            let begin = if is_whole { Bound::Included(prefix) } else { Bound::Excluded(after) };
            let behind = platter.tables.range::<[u8], _>((begin, Bound::Unbounded));
            let found = behind.take_while(|(key, _)| key.starts_with(prefix));
            found.map(|(key, record)| (key.clone(), record.clone())).collect()
        };
        for (key, record) in found {
            if visit(&key, Ok(&record)).is_break() {
                return;
            }
        }
    }

    fn replay(&self, take: &mut dyn FnMut(Batch)) -> Result<StartFinding, EngineError> {
        for (_, group) in &lock(&self.platter).log {
            for batch in group.batches() {
                take(Batch::decode(batch).expect("memory does not rot"));
            }
        }
        Ok(StartFinding::Whole)
    }

    fn log_end(&self) -> LogPosition {
        let platter = lock(&self.platter);
        LogPosition(platter.flushed_bytes + platter.log_bytes())
    }

    fn append(&self, group: &Group, reach: Reach) -> Result<(), EngineError> {
        let mut platter = lock(&self.platter);
        platter.check(self.life)?;
        platter.groups += 1;
        platter.log.push((self.life, group.clone()));
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

    fn flush(&self, sealed: &SealedMemtable) -> Result<FlushOutcome, EngineError> {
        let mut platter = lock(&self.platter);
        platter.check(self.life)?;
        for (key, record) in sealed.records.newest() {
            match record {
                Some(record) => platter.tables.insert(Bytes::copy_from_slice(key), record.clone()),
                None => platter.tables.remove(key),
            };
        }
        // What earlier lives appended was replayed into the tables of this one's memory.
        let is_flushed = |(life, group): &(u64, Group)| {
            *life < self.life || (*life == self.life && group.seq() <= sealed.up_to)
        };
        let flushed = platter.log.iter().take_while(|appended| is_flushed(appended)).count();
        let bytes =
            platter.log.drain(..flushed).map(|(_, group)| group.bytes() as u64).sum::<u64>();
        platter.flushed_bytes += bytes;
        platter.synced = platter.synced.saturating_sub(flushed);
        Ok(FlushOutcome::Written)
    }

    fn close(&self) -> Result<(), EngineError> {
        let mut platter = lock(&self.platter);
        if platter.synced == platter.log.len() {
            return Ok(());
        }
        platter.check(self.life)?;
        platter.sync();
        Ok(())
    }

    fn sizes(&self) -> EngineSizes {
        let platter = lock(&self.platter);
        let log_bytes = platter.log_bytes();
        let records = platter.tables.iter();
        let table_bytes = records.map(|(key, record)| (key.len() + record.len()) as u64).sum();
        EngineSizes { log_bytes, table_bytes, tables: usize::from(!platter.tables.is_empty()) }
    }
}

fn lock(platter: &Mutex<Platter>) -> MutexGuard<'_, Platter> {
    platter.lock().expect("nothing panics while it holds the disk")
}
