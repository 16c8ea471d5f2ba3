//! The progress of a start, told from time to time.

use std::time::{Duration, Instant};

/// The interval at which it is told how far a start has come.
const INTERVAL: Duration = Duration::from_secs(1);

/// A long piece of work at start.
#[derive(Debug)]
pub(super) struct StartProgress {
    what: &'static str,
    told_at: Instant,
}

impl StartProgress {
    /// A piece of work that begins now.
    pub(super) fn new(what: &'static str) -> Self {
        Self { what, told_at: Instant::now() }
    }

    /// Tells how far it has come, in bytes, unless that was told just now.
    pub(super) fn on(&mut self, done: u64, all: u64) {
        if self.told_at.elapsed() >= INTERVAL {
            self.told_at = Instant::now();
            let (done_mib, all_mib) = (done >> 20, all >> 20);
            tracing::info!(done_mib, all_mib, "recovering: {}", self.what);
        }
    }
}
