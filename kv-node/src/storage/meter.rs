//! The counters of a running storage, which others read while it works.

use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::engine::{Engine, EngineSizes};
#[cfg(not(madsim))]
use super::room;
use super::state::{DiskRoom, States, StorageState};

/// The counters and the state of a storage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StorageCounts {
    /// The number of commands that were submitted and are not executed yet.
    pub waiting: usize,
    /// The number of commands that were executed.
    pub executed: u64,
    /// The number of groups that were written.
    pub groups: u64,
    /// The time spent on writing groups, syncs included.
    pub writing: Duration,
    /// The state that tells whether writes are taken.
    pub state: StorageState,
    /// The estimated bytes of the tables in memory.
    pub memory_bytes: usize,
    /// The sizes of what lies on the disk.
    pub sizes: EngineSizes,
    /// The room on the disk; `None` without a disk, or if the system does not say.
    pub disk: Option<DiskRoom>,
}

/// A look at a storage from outside, at any time. Clones look at the same.
#[derive(Clone, Debug, Default)]
pub struct StorageWatch {
    meter: Arc<Meter>,
    /// The directory whose disk is asked for its room.
    data: Option<Arc<Path>>,
}

/// The counters that are kept while storage runs.
#[derive(Default)]
pub(super) struct Meter {
    /// The engine, as long as it is open.
    engine: Option<Weak<dyn Engine>>,
    waiting: AtomicUsize,
    executed: AtomicU64,
    groups: AtomicU64,
    writing_us: AtomicU64,
    memory_bytes: AtomicUsize,
    pub(super) states: States,
}

impl StorageWatch {
    pub(super) const fn new(meter: Arc<Meter>, data: Option<Arc<Path>>) -> Self {
        Self { meter, data }
    }

    /// Returns the counters so far and the present state. It asks the system for the room on the
    /// disk, which may take as long as the disk does.
    pub fn counts(&self) -> StorageCounts {
        let Meter { engine, waiting, executed, groups, writing_us, memory_bytes, states } =
            &*self.meter;
        let engine = engine.as_ref().and_then(Weak::upgrade);
        StorageCounts {
            waiting: waiting.load(Ordering::Relaxed),
            executed: executed.load(Ordering::Relaxed),
            groups: groups.load(Ordering::Relaxed),
            writing: Duration::from_micros(writing_us.load(Ordering::Relaxed)),
            state: states.now(),
            memory_bytes: memory_bytes.load(Ordering::Relaxed),
            sizes: engine.map(|engine| engine.sizes()).unwrap_or_default(),
            disk: self.data.as_deref().and_then(room),
        }
    }
}

impl Meter {
    pub(super) fn new(engine: Weak<dyn Engine>) -> Self {
        Self { engine: Some(engine), ..Self::default() }
    }

    pub(super) fn set_memory_bytes(&self, bytes: usize) {
        self.memory_bytes.store(bytes, Ordering::Relaxed);
    }

    pub(super) fn set_waiting(&self, commands: usize) {
        self.waiting.store(commands, Ordering::Relaxed);
    }

    pub(super) fn on_executed(&self, commands: u64) {
        self.executed.fetch_add(commands, Ordering::Relaxed);
    }

    pub(super) fn on_written(&self, took: Duration) {
        self.groups.fetch_add(1, Ordering::Relaxed);
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.writing_us.fetch_add(us, Ordering::Relaxed);
    }
}

#[cfg(not(madsim))]
fn room(data: &Path) -> Option<DiskRoom> {
    room::room(data).ok()
}

#[cfg(madsim)]
fn room(_data: &Path) -> Option<DiskRoom> {
    None
}

impl std::fmt::Debug for Meter {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Meter").field("states", &self.states).finish_non_exhaustive()
    }
}
