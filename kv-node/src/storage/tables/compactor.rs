//! Compaction, on a thread of its own: after each flush, until nothing is left to do.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use lsm_tree::AbstractTree as _;
use lsm_tree::compaction::Leveled;
use lsm_tree::compaction::filter::{CompactionFilter, Context, Factory, ItemAccessor, Verdict};

use super::writes::TableWrites;
use super::{NEWEST, engine_error};
use crate::log::LogLimiter;
use crate::storage::engine::EngineError;
use crate::storage::priority::yield_to_others;

/// The time after which a compaction that the disk refused is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// The thread that compacts, and the signals to it. It ends when this is dropped.
#[derive(Default)]
pub(super) struct Compactor {
    signals: Arc<CompactorSignals>,
    wakes: Option<SyncSender<()>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct CompactorSignals {
    is_stopping: AtomicBool,
    /// True once the thread has ended, or compaction met what it cannot read.
    has_given_up: AtomicBool,
    /// The reason why the disk refuses for a while, if it does.
    refused: Mutex<Option<EngineError>>,
}

impl CompactorSignals {
    fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    fn refused(&self) -> MutexGuard<'_, Option<EngineError>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says that nothing more is to be hoped for of the thread, however it ends.
struct GivesUp<'a>(&'a CompactorSignals);

impl Drop for GivesUp<'_> {
    fn drop(&mut self) {
        self.0.has_given_up.store(true, Ordering::Relaxed);
    }
}

impl Compactor {
    /// The signal that lets a compaction under way end at once, for the tree.
    pub(super) fn interrupter(&self) -> Arc<dyn Factory> {
        Arc::new(Interrupter(Arc::clone(&self.signals)))
    }

    /// Starts the thread.
    pub(super) fn start(&mut self, writes: TableWrites, log_limiter: &Arc<LogLimiter>) {
        let (wakes, woken) = sync_channel(1);
        let (signals, log_limiter) = (Arc::clone(&self.signals), Arc::clone(log_limiter));
        let run = move || {
            yield_to_others();
            run(&writes, &signals, &woken, &log_limiter);
        };
        let thread = std::thread::Builder::new().name("kv-compact".into());
        let thread = thread.spawn(run).expect("a node that is starting can have a thread");
        (self.wakes, self.thread) = (Some(wakes), Mutex::new(Some(thread)));
        self.wake();
    }

    /// Has it look whether there is something to do.
    pub(super) fn wake(&self) {
        // One that was woken and has not begun will see everything.
        let _ = self.wakes.as_ref().map(|wakes| wakes.try_send(()));
    }

    /// Tells whether it may still make progress.
    pub(super) fn is_at_work(&self) -> bool {
        let CompactorSignals { is_stopping, has_given_up, .. } = &*self.signals;
        !is_stopping.load(Ordering::Relaxed) && !has_given_up.load(Ordering::Relaxed)
    }

    /// The reason why the disk refuses what it writes, if it does.
    pub(super) fn refused(&self) -> Option<EngineError> {
        self.signals.refused().clone()
    }

    /// Ends the thread, and a compaction under way.
    pub(super) fn stop(&self) {
        self.signals.is_stopping.store(true, Ordering::Relaxed);
        self.wake();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // If it panicked, it has said so.
            let _ = thread.join();
        }
    }
}

impl Drop for Compactor {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(
    writes: &TableWrites,
    signals: &CompactorSignals,
    woken: &Receiver<()>,
    log_limiter: &LogLimiter,
) {
    let _ends = GivesUp(signals);
    while woken.recv().is_ok() && !signals.is_stopping() {
        if let Err(error) = compact(writes, signals) {
            let words = error.to_string();
            log_limiter.tell("the tables", "compaction", move |repeated| {
                tracing::error!(
                    repeated,
                    error = words,
                    "a table cannot be read or written, so tables cannot be merged: look at the disk, and \
                     start the node again: it makes new tables then of what can be read"
                );
            });
            return;
        }
    }
}

/// Compacts until there is nothing left to do, or until it is to stop.
fn compact(writes: &TableWrites, signals: &CompactorSignals) -> lsm_tree::Result<()> {
    loop {
        let before = writes.version();
        let compacted = writes.attempt(|tree| tree.compact(Arc::new(Leveled::default()), NEWEST));
        let Err(error) = compacted else {
            *signals.refused() = None;
            if signals.is_stopping() || writes.version() == before {
                return Ok(());
            }
            continue;
        };
        let refused = engine_error(&error);
        if signals.is_stopping() {
            return Ok(());
        }
        if !refused.fault.is_passing() {
            return Err(error);
        }
        // Whoever writes a table says so.
        *signals.refused() = Some(refused);
        std::thread::sleep(RETRY_PAUSE);
    }
}

/// Ends a compaction under way when the thread is to stop. It keeps every record.
struct Interrupter(Arc<CompactorSignals>);

impl Factory for Interrupter {
    fn name(&self) -> &'static str {
        "interrupter"
    }

    fn make_filter(&self, _: &Context) -> Box<dyn CompactionFilter> {
        Box::new(Self(Arc::clone(&self.0)))
    }
}

impl CompactionFilter for Interrupter {
    fn filter_item(&mut self, _: ItemAccessor<'_>, _: &Context) -> lsm_tree::Result<Verdict> {
        if self.0.is_stopping() {
            return Err(io::Error::from(io::ErrorKind::Interrupted).into());
        }
        Ok(Verdict::Keep)
    }
}
