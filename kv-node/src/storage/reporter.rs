//! The things that the loops of a storage have in common: how they tell the node what becomes of it, and
//! how they wait while the disk refuses.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kv_core::store::StoreFault;
use tokio::time::sleep;

use super::engine::EngineError;
use super::meter::Meter;
use super::{Report, StorageEvent};

/// The time after which a disk that refuses is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// The interval at which a pause checks whether storage is to end.
const PAUSE_STEP: Duration = Duration::from_millis(50);

/// Waits before a disk that refuses is tried again. Breaks if the storage ends meanwhile.
pub(super) async fn pause(is_ending: impl Fn() -> bool) -> ControlFlow<()> {
    let begun = Instant::now();
    while begun.elapsed() < RETRY_PAUSE {
        if is_ending() {
            return ControlFlow::Break(());
        }
        sleep(PAUSE_STEP).await;
    }
    ControlFlow::Continue(())
}

/// The reason why tables cannot be written for a while, if there is one.
#[derive(Clone, Debug, Default)]
pub(super) struct FlushFault {
    fault: Arc<Mutex<Option<EngineError>>>,
}

impl FlushFault {
    /// Returns the fault as an error, if there is one.
    pub(super) fn check(&self) -> Result<(), EngineError> {
        let fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone();
        fault.map_or(Ok(()), Err)
    }

    pub(super) fn set(&self, fault: Option<EngineError>) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }
}

/// The reporter of a loop to the node. A loop that panics reports through it that the disk failed: a
/// node whose storage is gone must not seem to be there.
pub(super) struct Reporter {
    report: Report,
    meter: Arc<Meter>,
}

impl Reporter {
    pub(super) const fn new(report: Report, meter: Arc<Meter>) -> Self {
        Self { report, meter }
    }

    pub(super) fn tell(&self, event: StorageEvent) {
        (self.report)(event);
    }

    /// Notes that a group was appended, and how long that took.
    pub(super) fn on_written(&self, took: Duration) {
        self.meter.on_written(took);
    }

    pub(super) fn on_refused(&self, error: &EngineError) {
        if let Some(event) = self.meter.states.on_refused(error) {
            self.tell(event);
        }
    }

    pub(super) fn on_taken(&self) {
        if let Some(event) = self.meter.states.on_taken() {
            self.tell(event);
        }
    }

    pub(super) fn on_failed(&self, error: EngineError) {
        if self.meter.states.on_failed() {
            self.tell(StorageEvent::Failed(error));
        }
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.on_failed(EngineError::new(StoreFault::Failed, "the storage panicked"));
        }
    }
}

impl std::fmt::Debug for Reporter {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Reporter").field("meter", &self.meter).finish_non_exhaustive()
    }
}
