//! The node's disk: takes commands, and tells of each twice, when it is executed and when it is
//! durable.
//!
//! ```text
//!   submit ─▶ waiting ─▶ execute_next ─▶ CommandDone, at once
//!                             │ commit: a group, all that was committed while the disk was busy
//!                             ▼
//!                         committer ───▶ Durable (once per group, when it is as durable as was
//!                      (its own thread)           promised)
//! ```
//!
//! Commands are executed by the core's own code, in the order in which they came, against an
//! [`Overlay`], and on the thread of whoever calls [`Storage::execute_next`]: a command costs no
//! hand-off. One write and one sync of the [`Engine`] then pay for a whole group on the thread of
//! the committer, and commands are executed into the next group meanwhile (group commit).
//!
//! - The outcome of a command comes before the `Durable` that covers it. Nothing may be
//!   acknowledged in between.
//! - Back-pressure: [`Storage::submit`] never blocks. Whoever submits asks [`Storage::is_full`]
//!   before taking work from clients and peers. Behind a busy disk at most
//!   [`StorageOptions::unsynced_bytes_max`] are executed; what is submitted then waits for the disk,
//!   and new work is not taken.
//! - When the disk is full, `Refusing` comes once. Commits are refused, and reads go on. The group
//!   that was under way is kept and written again, as a whole, until the disk takes it; then
//!   `Writable` comes, and all goes on where it was. What was executed is never forgotten while the
//!   process lives, so no actor ever claims what it lost. The same goes for file descriptors.
//! - When a write or a sync fails for another reason, `Failed` comes once. All later commits are
//!   refused; what was executed and not durable will never be.
//! - A limit: the engine reads on the thread that executes. Whoever shares that thread waits while a
//!   read waits: for a table that is not in memory, for the engine while it is opened anew after a
//!   full disk, or for a file descriptor.
//!
//! The committer is one loop ([`CommitLoop`]): a thread runs it ([`Storage::open`],
//! [`Storage::on_thread`]), or, where there are no threads, a task ([`Storage::new`]).

#[cfg(not(madsim))]
mod advice;
mod commit_loop;
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
mod meter;
#[cfg(not(madsim))]
mod open_error;
mod overlay;
#[cfg(not(madsim))]
mod pinned;
mod recovery;
#[cfg(not(madsim))]
mod sealed;
mod state;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kv_core::config::Config;
use kv_core::ring::Ring;
use kv_core::store::{Recovered, StoreCommand};
use kv_core::types::{NodeId, Ticket};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

#[cfg(not(madsim))]
use crate::log::LogLimiter;

pub use commit_loop::CommitLoop;
pub use committer::Durability;
#[cfg(not(madsim))]
pub use directory::{Directory, DirectoryError};
pub use engine::{Engine, EngineError, Reach, Records};
pub use event::{CommandDone, StorageEvent};
#[cfg(not(madsim))]
pub use fjall_engine::{FILES_CACHED, FjallEngine};
#[cfg(not(madsim))]
pub use identity::StoredIdentity;
pub use memory_engine::{MemoryDisk, MemoryEngine};
pub use meter::{StorageCounts, StorageWatch};
#[cfg(not(madsim))]
pub use open_error::OpenError;
pub use overlay::{Group, Overlay};
#[cfg(not(madsim))]
pub use pinned::Pinned;
pub use recovery::RecoveryError;
pub use state::{DiskRoom, StorageState};

use commit_loop::Reporter;
use committer::Committer;
use executor::Executor;
use meter::Meter;

/// A callback that is told what becomes of groups, in order, from the thread of the committer. It
/// must not block.
pub type Report = Arc<dyn Fn(StorageEvent) + Send + Sync>;

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

/// A running storage. It ends as it should with [`Storage::close`]; what is executed and not handed to
/// the committer when it is dropped instead is forgotten, as in a crash.
#[derive(Debug)]
pub struct Storage<E> {
    executor: Executor<E>,
    /// The groups for the committer, which ends when this is dropped.
    groups: UnboundedSender<Group>,
    /// Closed when the committer has ended.
    ended: oneshot::Receiver<()>,
    meter: Arc<Meter>,
    queue_commands_max: usize,
    /// The directory whose disk is asked for its room.
    data: Option<Arc<Path>>,
}

#[cfg(not(madsim))]
impl Storage<FjallEngine> {
    /// Opens the data of a claimed directory, and keeps the directory locked until the end.
    ///
    /// # Errors
    /// [`OpenError`]; the node must not start.
    pub fn open(
        directory: Directory,
        cache_bytes: u64,
        opening: &Opening<'_>,
        log_limiter: Arc<LogLimiter>,
        report: Report,
    ) -> Result<(Self, Recovered), OpenError> {
        let data = directory.data();
        let reserve_bytes = opening.options.disk_reserve_bytes;
        let engine = FjallEngine::open(&data, cache_bytes, reserve_bytes, log_limiter)?;
        let (mut storage, committing, recovered) =
            Self::new(engine, opening, Duration::ZERO, report)?;
        storage.data = Some(data.into());
        committing.spawn_thread(Some(directory));
        Ok((storage, recovered))
    }
}

impl<E: Engine> Storage<E> {
    /// Starts storage with the committer on a thread.
    ///
    /// # Errors
    /// [`RecoveryError`]; the node must not start.
    ///
    /// # Panics
    /// If the system has no more threads.
    #[cfg(not(madsim))]
    pub fn on_thread(
        engine: E,
        opening: &Opening<'_>,
        report: Report,
    ) -> Result<(Self, Recovered), RecoveryError> {
        let (storage, committing, recovered) = Self::new(engine, opening, Duration::ZERO, report)?;
        committing.spawn_thread(None);
        Ok((storage, recovered))
    }

    /// Starts storage with a committer that the caller runs; to abort it is a crash. A group becomes
    /// durable `sync_time` after it began.
    ///
    /// # Errors
    /// [`RecoveryError`]; the node must not start.
    pub fn new(
        engine: E,
        opening: &Opening<'_>,
        sync_time: Duration,
        report: Report,
    ) -> Result<(Self, CommitLoop<E>, Recovered), RecoveryError> {
        let engine = Arc::new(engine);
        let recovery = recovery::recover(&engine, opening)?;
        let StorageOptions {
            durability,
            unsynced_bytes_max,
            queue_commands_max,
            disk_reserve_bytes: _,
        } = opening.options;
        let overlay = Overlay::new(Arc::clone(&engine));
        let executor = Executor::new(recovery.partitions, overlay, unsynced_bytes_max);
        let (groups, incoming) = unbounded_channel();
        let (ends, ended) = oneshot::channel();
        let meter = Arc::new(Meter::default());
        let committing = CommitLoop::new(
            Committer::new(engine, durability),
            incoming,
            sync_time,
            Reporter::new(report, Arc::clone(&meter)),
            ends,
        );
        let storage = Self { executor, groups, ended, meter, queue_commands_max, data: None };
        Ok((storage, committing, recovery.recovered))
    }

    /// Hands a command over, to be executed after all that were handed over before.
    pub fn submit(&mut self, ticket: Ticket, command: StoreCommand) {
        self.executor.queue(ticket, command);
        self.meter.set_waiting(self.executor.waiting());
    }

    /// Executes the command that has waited the longest. `None` if there is none, or if the disk is
    /// to catch up first.
    pub fn execute_next(&mut self) -> Option<CommandDone> {
        let done = self.executor.execute_next()?;
        self.meter.on_executed(1);
        self.meter.set_waiting(self.executor.waiting());
        Some(done)
    }

    /// Hands all that was committed since the last group to the committer, unless that group is
    /// still under way.
    pub fn commit(&mut self) {
        if let Some(group) = self.executor.begin_commit() {
            // A committer that ended has failed, and its last word is on its way.
            let _ = self.groups.send(group);
        }
    }

    /// Learns what the committer has reported.
    pub fn on_event(&mut self, event: &StorageEvent) {
        self.executor.on_event(event);
    }

    /// Tells whether [`Storage::execute_next`] would execute anything.
    pub fn has_work(&self) -> bool {
        self.executor.waiting() > 0 && !self.executor.is_held_up()
    }

    /// Tells whether no new work should be taken: because so many commands wait, or because so much
    /// is executed that the disk is to catch up first.
    pub fn is_full(&self) -> bool {
        self.executor.is_held_up() || self.executor.waiting() >= self.queue_commands_max
    }

    /// Returns a look at the counters and the state, for others.
    pub fn watch(&self) -> StorageWatch {
        StorageWatch::new(Arc::clone(&self.meter), self.data.clone())
    }

    /// Ends storage: executes and writes all that was submitted, syncs, and waits for the committer.
    /// Commands that only read are dropped, since nobody hears the answers.
    pub async fn close(self) {
        let Self { executor, groups, ended, meter, queue_commands_max: _, data: _ } = self;
        let (executed, last) = executor.finish();
        meter.on_executed(executed);
        meter.set_waiting(0);
        if let Some(group) = last {
            // A committer that ended has failed, and has said so.
            let _ = groups.send(group);
        }
        drop(groups);
        // It ends without a word.
        let _ = ended.await;
    }
}

#[cfg(all(test, not(madsim)))]
mod tests;
