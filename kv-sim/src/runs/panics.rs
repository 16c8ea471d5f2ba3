//! The places of panics. A caught panic brings its message along, but not its place: only the
//! process's panic hook is told that. So the binary installs a hook that writes places down, thread
//! by thread, and prints nothing: a sweep may meet thousands of panics.

use std::collections::HashMap;
use std::fmt;
use std::panic;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

/// The places of panics that were caught and not asked about yet. Clones share one log.
#[derive(Clone, Default)]
pub struct PanicLog(Arc<Mutex<HashMap<ThreadId, String>>>);

impl PanicLog {
    /// Installs a log as the process's panic hook. For the binary alone.
    pub fn install() -> Self {
        let log = Self::default();
        let hook = log.clone();
        panic::set_hook(Box::new(move |info| {
            let place = info.location().map_or_else(String::new, ToString::to_string);
            hook.places().insert(thread::current().id(), place);
        }));
        log
    }

    /// Takes the place where this thread panicked last; none, if it has not since the last call.
    pub fn take(&self) -> Option<String> {
        self.places().remove(&thread::current().id())
    }

    fn places(&self) -> MutexGuard<'_, HashMap<ThreadId, String>> {
        // Nothing panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for PanicLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PanicLog")
    }
}
