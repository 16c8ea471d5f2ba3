//! The counters of a running storage, which others read while it works.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

#[cfg(not(madsim))]
use super::fjall_engine;
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
#[derive(Debug, Default)]
pub(super) struct Meter {
    waiting: AtomicUsize,
    executed: AtomicU64,
    groups: AtomicU64,
    writing_us: AtomicU64,
    pub(super) states: States,
}

impl StorageWatch {
    pub(super) const fn new(meter: Arc<Meter>, data: Option<Arc<Path>>) -> Self {
        Self { meter, data }
    }

    /// Returns the counters so far and the present state. It asks the system for the room on the
    /// disk, which may take as long as the disk does.
    pub fn counts(&self) -> StorageCounts {
        let Meter { waiting, executed, groups, writing_us, states } = &*self.meter;
        StorageCounts {
            waiting: waiting.load(Ordering::Relaxed),
            executed: executed.load(Ordering::Relaxed),
            groups: groups.load(Ordering::Relaxed),
            writing: Duration::from_micros(writing_us.load(Ordering::Relaxed)),
            state: states.now(),
            disk: self.data.as_deref().and_then(room),
        }
    }
}

impl Meter {
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
    fjall_engine::room(data).ok()
}

#[cfg(madsim)]
fn room(_data: &Path) -> Option<DiskRoom> {
    None
}
