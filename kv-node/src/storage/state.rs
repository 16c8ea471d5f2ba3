//! Whether storage takes writes, as operators see it.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use kv_core::store::Fault;

use super::StorageEvent;
use super::engine::EngineError;

/// Whether storage takes writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StorageState {
    /// It does.
    #[default]
    Writable,
    /// It refuses them for a while, and goes on reading. It takes them again by itself.
    Refusing {
        /// Why.
        fault: Fault,
        /// Since when.
        since: Instant,
    },
    /// Its disk failed. The node stops.
    Failed,
}

impl StorageState {
    /// The state in one word, for health checks and metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Writable => "writable",
            Self::Refusing { fault: Fault::Full, .. } => "full",
            Self::Refusing { fault: Fault::OutOfFiles, .. } => "out-of-files",
            Self::Refusing { fault: Fault::Failed, .. } | Self::Failed => "failed",
        }
    }

    /// All words that [`StorageState::word`] says.
    pub const WORDS: [&'static str; 4] = ["writable", "full", "out-of-files", "failed"];
}

/// How much room the disk under the data has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskRoom {
    /// Bytes that this user may still write.
    pub free_bytes: u64,
    /// Bytes of the whole disk.
    pub total_bytes: u64,
}

/// The state as it changes. Each change is an event, and nothing else is.
#[derive(Debug, Default)]
pub(super) struct States {
    state: Mutex<StorageState>,
}

impl States {
    pub(super) fn now(&self) -> StorageState {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes are refused. The event, if that or its reason is news.
    pub(super) fn on_refused(&self, error: &EngineError) -> Option<StorageEvent> {
        let since = match self.now() {
            StorageState::Refusing { fault, .. } if fault == error.fault => return None,
            StorageState::Refusing { since, .. } => since,
            StorageState::Writable | StorageState::Failed => Instant::now(),
        };
        self.set(StorageState::Refusing { fault: error.fault, since });
        Some(StorageEvent::Refusing(error.clone()))
    }

    /// A write was taken, or would be. The event, if that is news.
    pub(super) fn on_taken(&self) -> Option<StorageEvent> {
        let StorageState::Refusing { since, .. } = self.now() else { return None };
        self.set(StorageState::Writable);
        Some(StorageEvent::Writable { after: since.elapsed() })
    }

    /// The disk failed.
    pub(super) fn on_failed(&self) {
        self.set(StorageState::Failed);
    }

    fn set(&self, state: StorageState) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}
