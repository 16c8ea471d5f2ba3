//! The state of storage as operators see it: whether it takes writes.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use kv_core::store::StoreFault;

use super::engine::EngineError;
use super::event::StorageEvent;

/// The state of storage: whether it takes writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StorageState {
    /// Writes are taken.
    #[default]
    Writable,
    /// Writes are refused for a while, and reads go on. Storage takes writes again by itself.
    Refusing {
        /// The reason for the refusal.
        fault: StoreFault,
        /// The time of the first refusal.
        since: Instant,
    },
    /// The disk failed, and the node stops.
    Failed,
}

impl StorageState {
    /// The state in one word, for health checks and metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Writable => "writable",
            Self::Refusing { fault: StoreFault::Full, .. } => "full",
            Self::Refusing { fault: StoreFault::OutOfFiles, .. } => "out-of-files",
            Self::Refusing { fault: StoreFault::Failed, .. } | Self::Failed => "failed",
        }
    }

    /// All values that [`StorageState::word`] returns.
    pub const WORDS: [&'static str; 4] = ["writable", "full", "out-of-files", "failed"];
}

/// The room on the disk under the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskRoom {
    /// The number of bytes that this user may still write.
    pub free_bytes: u64,
    /// The number of bytes of the whole disk.
    pub total_bytes: u64,
}

/// The present state, of which each change is reported as an event.
#[derive(Debug, Default)]
pub(super) struct States {
    state: Mutex<StorageState>,
}

impl States {
    pub(super) fn now(&self) -> StorageState {
        *self.state()
    }

    /// Notes that writes are refused. Returns the event if that, or the reason, is new.
    pub(super) fn on_refused(&self, error: &EngineError) -> Option<StorageEvent> {
        let mut state = self.state();
        let since = match *state {
            StorageState::Refusing { fault, .. } if fault == error.fault => return None,
            StorageState::Refusing { since, .. } => since,
            StorageState::Writable => Instant::now(),
            StorageState::Failed => return None,
        };
        *state = StorageState::Refusing { fault: error.fault, since };
        Some(StorageEvent::Refusing(error.clone()))
    }

    /// Notes that a write was taken or would be. Returns the event if that is new.
    pub(super) fn on_taken(&self) -> Option<StorageEvent> {
        let mut state = self.state();
        let StorageState::Refusing { since, .. } = *state else { return None };
        *state = StorageState::Writable;
        Some(StorageEvent::Writable { after: since.elapsed() })
    }

    /// Notes that the disk failed. Returns whether that is new.
    pub(super) fn on_failed(&self) -> bool {
        std::mem::replace(&mut *self.state(), StorageState::Failed) != StorageState::Failed
    }

    fn state(&self) -> MutexGuard<'_, StorageState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
