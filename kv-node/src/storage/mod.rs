//! The node's disk: takes commands, and reports each twice, when it is executed and when it is
//! durable.
//!
//! ```text
//!   submit ──▶ executor ──▶ Done (each command, as soon as it is executed)
//!                 │ a group: all that was committed while the disk was busy
//!                 ▼
//!             committer ──▶ Durable (once per group, when it is as durable as was promised)
//! ```
//!
//! Commands are executed by the core's own code, in the order in which they came, against an
//! [`Overlay`]; one write and one sync of the [`Engine`] then pay for a whole group, and the next
//! group is executed meanwhile (group commit).
//!
//! - `Done` of a command comes before the `Durable` that covers it. Nothing may be acknowledged in
//!   between.
//! - Back-pressure: [`Storage::submit`] never blocks. Whoever submits asks [`Storage::is_full`]
//!   before taking work from clients and peers, and again after every event. Behind a busy disk the
//!   executor piles up [`StorageOptions::unsynced_bytes_max`] and then waits, so that the queue fills.
//! - When the disk is full, `Refusing` comes once. Commits are refused, and reads go on. The group
//!   that was under way is kept and written again, as a whole, until the disk takes it; then
//!   `Writable` comes, and all goes on where it was. What was executed is never forgotten while the
//!   process lives, so no actor ever claims what it lost. The same goes for file descriptors.
//! - When a write or a sync fails for another reason, `Failed` comes once. All later commits are
//!   refused; what was executed and not durable will never be.
//!
//! The same code runs on two threads ([`Storage::open`], [`Storage::on_threads`]) or as one task
//! ([`Storage::as_task`]), where there are no threads.

#[cfg(not(madsim))]
mod advice;
mod committer;
#[cfg(not(madsim))]
mod directory;
mod engine;
mod event;
mod executor;
#[cfg(not(madsim))]
mod fjall_engine;
#[cfg(not(madsim))]
mod identity;
mod layers;
#[cfg(not(madsim))]
mod long_keys;
mod memory_engine;
#[cfg(not(madsim))]
mod open_error;
mod overlay;
#[cfg(not(madsim))]
mod pinned;
mod recovery;
#[cfg(not(madsim))]
mod sealed;
mod state;
mod task;
#[cfg(not(madsim))]
mod threads;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use kv_core::config::Config;
use kv_core::ring::Ring;
#[cfg(not(madsim))]
use kv_core::store::StoreFault;
use kv_core::store::{Recovered, StoreCommand};
use kv_core::types::{NodeId, Ticket};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

#[cfg(not(madsim))]
use crate::log::LogLimiter;

pub use committer::Durability;
#[cfg(not(madsim))]
pub use directory::{Directory, DirectoryError};
pub use engine::{Engine, EngineError, Reach, Records};
pub use event::StorageEvent;
#[cfg(not(madsim))]
pub use fjall_engine::{FILES_CACHED, FjallEngine};
#[cfg(not(madsim))]
pub use identity::StoredIdentity;
pub use memory_engine::{MemoryDisk, MemoryEngine};
#[cfg(not(madsim))]
pub use open_error::OpenError;
pub use overlay::{Group, Overlay};
#[cfg(not(madsim))]
pub use pinned::Pinned;
pub use recovery::RecoveryError;
pub use state::{DiskRoom, StorageState};
pub use task::StorageTask;

use committer::Committer;
use executor::Executor;
use state::States;

/// A callback that is told events, in order, from the threads of the storage. It must not block;
/// the work that is submitted bounds the number of events.
pub type Report = Arc<dyn Fn(Vec<StorageEvent>) + Send + Sync>;

/// The settings of a storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StorageOptions {
    /// The promise that a `Durable` event makes.
    pub durability: Durability,
    /// The number of waiting commands at which [`Storage::is_full`]; at least 1.
    pub queue_commands_max: usize,
    /// The estimated bytes that may be executed while a group is on its way to the disk; at least
    /// 1.
    pub unsynced_bytes_max: usize,
    /// The number of bytes of the disk that are left free: with less, it counts as full.
    pub disk_reserve_bytes: u64,
}

impl Default for StorageOptions {
    fn default() -> Self {
        Self {
            durability: Durability::Always,
            queue_commands_max: 16_384,
            unsynced_bytes_max: 64 << 20,
            disk_reserve_bytes: 64 << 20,
        }
    }
}

/// The node, cluster and settings for which storage is opened.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    /// The node that owns the data.
    pub node: NodeId,
    /// The core's configuration.
    pub core: &'a Config,
    /// The ring, which says which nodes own each partition.
    pub ring: &'a Ring,
    /// The settings of the storage.
    pub options: StorageOptions,
}

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

/// A running storage. Dropping it ends it as [`Storage::close`] does.
#[derive(Debug)]
pub struct Storage {
    requests: UnboundedSender<StorageRequest>,
    meter: Arc<Meter>,
    queue_commands_max: usize,
    #[cfg(not(madsim))]
    threads: Option<threads::Threads>,
    /// The directory whose disk is asked for its room.
    #[cfg(not(madsim))]
    data: Option<std::path::PathBuf>,
}

impl Storage {
    /// Opens the data of a claimed directory, and keeps the directory locked until the end.
    ///
    /// # Errors
    /// [`OpenError`]; the node must not start.
    #[cfg(not(madsim))]
    pub fn open(
        directory: Directory,
        cache_bytes: u64,
        opening: &Opening<'_>,
        log_limiter: Arc<LogLimiter>,
        report: Report,
    ) -> Result<(Self, Recovered), OpenError> {
        let reserve_bytes = opening.options.disk_reserve_bytes;
        let engine = FjallEngine::open(&directory.data(), cache_bytes, reserve_bytes, log_limiter)?;
        let (mut storage, recovered) = Self::on_threads(engine, opening, report)?;
        storage.data = Some(directory.data());
        if let Some(threads) = &mut storage.threads {
            threads.keep(directory);
        }
        Ok((storage, recovered))
    }

    /// Starts storage on two threads.
    ///
    /// # Errors
    /// [`RecoveryError`]; the node must not start.
    ///
    /// # Panics
    /// If the system has no more threads.
    #[cfg(not(madsim))]
    pub fn on_threads<E: Engine>(
        engine: E,
        opening: &Opening<'_>,
        report: Report,
    ) -> Result<(Self, Recovered), RecoveryError> {
        let (executor, committer, recovered) = prepare(engine, opening)?;
        let (requests, incoming) = unbounded_channel();
        let meter = Arc::new(Meter::default());
        let threads = threads::Threads::start(
            executor,
            committer,
            (requests.clone(), incoming),
            &report,
            &meter,
        );
        let queue_commands_max = opening.options.queue_commands_max;
        let threads = Some(threads);
        Ok((Self { requests, meter, queue_commands_max, threads, data: None }, recovered))
    }

    /// Starts storage as a task, which the caller spawns; aborting it is a crash. A group becomes
    /// durable `sync_time` after it began.
    ///
    /// # Errors
    /// [`RecoveryError`]; the node must not start.
    pub fn as_task<E: Engine>(
        engine: E,
        opening: &Opening<'_>,
        sync_time: Duration,
        report: Report,
    ) -> Result<(Self, StorageTask<E>, Recovered), RecoveryError> {
        let (executor, committer, recovered) = prepare(engine, opening)?;
        let (requests, incoming) = unbounded_channel();
        let meter = Arc::new(Meter::default());
        let task =
            StorageTask::new(executor, committer, incoming, sync_time, report, Arc::clone(&meter));
        let storage = Self {
            requests,
            meter,
            queue_commands_max: opening.options.queue_commands_max,
            #[cfg(not(madsim))]
            threads: None,
            #[cfg(not(madsim))]
            data: None,
        };
        Ok((storage, task, recovered))
    }

    /// Hands commands over, to be executed in this order, after all that were handed over before.
    pub fn submit(&self, commands: Vec<(Ticket, StoreCommand)>) {
        self.meter.waiting.fetch_add(commands.len(), Ordering::Relaxed);
        // Storage that has ended answers nothing more, and has said so.
        let _ = self.requests.send(StorageRequest::Execute(commands));
    }

    /// Tells whether so many commands wait that no new work should be taken.
    pub fn is_full(&self) -> bool {
        self.meter.waiting.load(Ordering::Relaxed) >= self.queue_commands_max
    }

    /// Returns the counters so far and the present state.
    pub fn counts(&self) -> StorageCounts {
        let Meter { waiting, executed, groups, writing_us, states } = &*self.meter;
        StorageCounts {
            waiting: waiting.load(Ordering::Relaxed),
            executed: executed.load(Ordering::Relaxed),
            groups: groups.load(Ordering::Relaxed),
            writing: Duration::from_micros(writing_us.load(Ordering::Relaxed)),
            state: states.now(),
            disk: self.disk(),
        }
    }

    #[cfg(not(madsim))]
    fn disk(&self) -> Option<DiskRoom> {
        fjall_engine::room(self.data.as_deref()?).ok()
    }

    #[cfg(madsim)]
    fn disk(&self) -> Option<DiskRoom> {
        None
    }

    /// Asks storage to write all that was submitted, to sync, and to end; commands that only read
    /// are dropped. A task then ends by itself; [`Storage::close`] waits for threads.
    pub fn stop(&self) {
        // If it has ended already, so much the better.
        let _ = self.requests.send(StorageRequest::Stop);
    }

    /// Ends storage: writes all that was submitted, syncs, and waits for the threads.
    pub fn close(self) {
        drop(self);
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        self.stop();
        #[cfg(not(madsim))]
        if let Some(threads) = self.threads.take() {
            threads.join();
        }
    }
}

/// A request to the executor.
#[derive(Debug)]
enum StorageRequest {
    Execute(Vec<(Ticket, StoreCommand)>),
    /// The group that was under way is in the base. Sent only between the two threads.
    #[cfg(not(madsim))]
    Written,
    /// The base refuses. Sent only between the two threads.
    #[cfg(not(madsim))]
    Fault(StoreFault),
    /// The base takes writes again. Sent only between the two threads.
    #[cfg(not(madsim))]
    Resumed,
    /// Ends storage when all is done.
    Stop,
}

/// The counters that are kept while storage runs.
#[derive(Debug, Default)]
struct Meter {
    waiting: AtomicUsize,
    executed: AtomicU64,
    groups: AtomicU64,
    writing_us: AtomicU64,
    states: States,
}

impl Meter {
    fn on_executed(&self, commands: usize) {
        self.waiting.fetch_sub(commands, Ordering::Relaxed);
        self.executed.fetch_add(commands as u64, Ordering::Relaxed);
    }

    fn on_dropped(&self, commands: usize) {
        self.waiting.fetch_sub(commands, Ordering::Relaxed);
    }

    fn on_written(&self, took: Duration) {
        self.groups.fetch_add(1, Ordering::Relaxed);
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.writing_us.fetch_add(us, Ordering::Relaxed);
    }
}

fn prepare<E: Engine>(
    engine: E,
    opening: &Opening<'_>,
) -> Result<(Executor<E>, Committer<E>, Recovered), RecoveryError> {
    let engine = Arc::new(engine);
    let recovery = recovery::recover(&engine, opening)?;
    let StorageOptions {
        durability,
        unsynced_bytes_max,
        queue_commands_max: _,
        disk_reserve_bytes: _,
    } = opening.options;
    let overlay = Overlay::new(Arc::clone(&engine));
    let executor = Executor::new(recovery.partitions, overlay, unsynced_bytes_max);
    Ok((executor, Committer::new(engine, durability), recovery.recovered))
}

#[cfg(all(test, not(madsim)))]
mod tests;
