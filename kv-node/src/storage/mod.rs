//! The node's disk: takes commands, and tells of each twice, when it is executed and when it is
//! durable.
//!
//! ```text
//!   submit ─▶ waiting ─▶ execute_next ─▶ CommandDone, at once
//!                             │ commit: a group, all that was committed while the disk was busy
//!                             ├─────▶ committer: appends to the log ──▶ Durable (once per group,
//!                             │       (its own thread)                  when it is as durable as was
//!                             │                                         promised)
//!                             │ now and then: the table in memory, which is large enough
//!                             └─────▶ flusher: writes tables ─────────▶ Flushed
//!                                     (its own thread)
//! ```
//!
//! Commands are executed by the core's own code, in the order in which they came, against an
//! [`Overlay`], and on the thread of whoever calls [`Storage::execute_next`]: a command costs no
//! hand-off. One write and one sync of the [`Engine`]'s log then pay for a whole group on the thread of
//! the committer, and commands are executed into the next group meanwhile (group commit). What was
//! committed stays in memory until it lies in tables; the log is what a start finds it in.
//!
//! - The outcome of a command comes before the `Durable` that covers it. Nothing may be
//!   acknowledged in between.
//! - Back-pressure: [`Storage::submit`] never blocks. Whoever submits asks [`Storage::is_full`]
//!   before taking work from clients and peers. Behind a busy disk at most
//!   [`StorageOptions::unsynced_bytes_max`] are executed, and tables in memory take at most
//!   [`StorageOptions::memory_bytes_max`]; what is submitted then waits for the disk, and new work is
//!   not taken.
//! - When the disk is full, `Refusing` comes once. Commits are refused, and reads go on. The group
//!   that was under way is kept and appended again, as a whole, until the disk takes it; then
//!   `Writable` comes, and all goes on where it was. What was executed is never forgotten while the
//!   process lives, so no actor ever claims what it lost. The same goes for file descriptors.
//! - When a write or a sync fails for another reason, `Failed` comes once. All later commits are
//!   refused; what was executed and not durable will never be.
//! - A limit: tables are read on the thread that executes. Whoever shares that thread waits while a
//!   read waits: for a block that is not in memory, for a file descriptor, or for the syncs of a list of
//!   tables, under which the `lsm-tree` crate lets nobody read.
//!
//! The committer and the flusher are loops ([`Background`]): threads run them ([`Storage::open`],
//! [`Storage::on_threads`]), or, where there are no threads, a task ([`Storage::new`]).

#[cfg(not(madsim))]
mod advice;
mod background;
mod commit_loop;
mod committer;
#[cfg(not(madsim))]
mod directory;
#[cfg(not(madsim))]
mod disk_engine;
mod engine;
mod event;
mod executor;
mod flush_loop;
mod group;
#[cfg(not(madsim))]
mod identity;
mod layers;
#[cfg(not(madsim))]
mod log_driver;
#[cfg(not(madsim))]
mod log_files;
#[cfg(not(madsim))]
mod long_keys;
mod memory_engine;
mod memtable;
mod meter;
#[cfg(not(madsim))]
mod open_error;
mod overlay;
#[cfg(not(madsim))]
mod pinned;
#[cfg(not(madsim))]
mod priority;
#[cfg(not(madsim))]
mod progress;
mod recovery;
#[cfg(not(madsim))]
mod replay_point;
mod reporter;
#[cfg(not(madsim))]
mod room;
#[cfg(not(madsim))]
mod sealed;
mod state;
#[cfg(not(madsim))]
mod tables;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kv_core::config::Config;
#[cfg(not(madsim))]
use kv_core::log::{LogRun, SegmentBytes};
use kv_core::ring::Ring;
use kv_core::store::{Recovered, StoreCommand};
use kv_core::types::{NodeId, PartitionId, Ticket};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

#[cfg(not(madsim))]
use crate::log::LogLimiter;

pub use background::Background;
pub use committer::Durability;
#[cfg(not(madsim))]
pub use directory::{Directory, DirectoryError};
#[cfg(not(madsim))]
pub use disk_engine::DiskEngine;
pub use engine::{Engine, EngineError, EngineSizes, FlushOutcome, Reach, StartFinding};
pub use event::{CommandDone, StorageEvent};
pub use group::Group;
#[cfg(not(madsim))]
pub use identity::StoredIdentity;
pub use memory_engine::{MemoryDisk, MemoryEngine};
pub use memtable::SealedMemtable;
pub use meter::{StorageCounts, StorageWatch};
#[cfg(not(madsim))]
pub use open_error::OpenError;
pub use overlay::Overlay;
#[cfg(not(madsim))]
pub use pinned::Pinned;
pub use recovery::RecoveryError;
pub use state::{DiskRoom, StorageState};
#[cfg(not(madsim))]
pub use tables::FILES_CACHED;

use background::Held;
use commit_loop::CommitLoop;
use committer::Committer;
use executor::Executor;
use flush_loop::{FlushLoop, FlushOrder};
use meter::Meter;
use reporter::{FlushFault, Reporter};
#[cfg(not(madsim))]
use tables::TableTerms;

/// A callback that is told what becomes of groups and tables, in order, from the threads that write
/// them. It must not block.
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
    /// The estimated bytes that tables in memory may take before they wait for the disk. A third of
    /// that is the size of a table that is written.
    pub memory_bytes_max: usize,
    /// The number of bytes of the disk that are left free: with less, it counts as full.
    pub disk_reserve_bytes: u64,
}

impl Default for StorageOptions {
    fn default() -> Self {
        Self {
            durability: Durability::Always,
            queue_commands_max: 16_384,
            unsynced_bytes_max: 64 << 20,
            memory_bytes_max: 96 << 20,
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

impl Opening<'_> {
    /// Tells whether other nodes hold what this one does: what is lost here can be copied from them.
    fn has_others(&self) -> bool {
        // All partitions have as many owners.
        self.ring.owners(PartitionId(0)).len() > 1
    }
}

/// A running storage. It ends as it should with [`Storage::close`]; what is executed and not handed to
/// the committer when it is dropped instead is forgotten, as in a crash.
#[derive(Debug)]
pub struct Storage<E> {
    executor: Executor<E>,
    /// The groups for the committer, which ends when this is dropped.
    groups: UnboundedSender<Group>,
    /// The orders for the flusher, which ends when the committer has, and this is dropped.
    flushes: UnboundedSender<FlushOrder>,
    /// Closed when committer and flusher have ended.
    ended: oneshot::Receiver<()>,
    meter: Arc<Meter>,
    queue_commands_max: usize,
    /// The directory whose disk is asked for its room.
    data: Option<Arc<Path>>,
}

#[cfg(not(madsim))]
impl Storage<DiskEngine> {
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
        let generation = directory.identity().map(|identity| identity.generation);
        let terms = disk_engine::Terms {
            node: opening.node,
            run: LogRun(generation.unwrap_or_default().0),
            segment_bytes: SegmentBytes::DEFAULT,
            reserve_bytes: opening.options.disk_reserve_bytes,
            tables: TableTerms { cache_bytes, log_limiter, has_others: opening.has_others() },
        };
        let engine = DiskEngine::open(&data, &terms)?;
        let (mut storage, background, recovered) =
            Self::new(engine, opening, Duration::ZERO, report)?;
        storage.data = Some(data.into());
        background.spawn_threads(Some(directory));
        Ok((storage, recovered))
    }
}

impl<E: Engine> Storage<E> {
    /// Starts storage with its loops on threads.
    ///
    /// # Errors
    /// [`RecoveryError`]; the node must not start.
    ///
    /// # Panics
    /// If the system has no more threads.
    #[cfg(not(madsim))]
    pub fn on_threads(
        engine: E,
        opening: &Opening<'_>,
        report: Report,
    ) -> Result<(Self, Recovered), RecoveryError> {
        let (storage, background, recovered) = Self::new(engine, opening, Duration::ZERO, report)?;
        background.spawn_threads(None);
        Ok((storage, recovered))
    }

    /// Starts storage with loops that the caller runs; to abort them is a crash. A group becomes
    /// durable `sync_time` after it began.
    ///
    /// # Errors
    /// [`RecoveryError`]; the node must not start.
    pub fn new(
        engine: E,
        opening: &Opening<'_>,
        sync_time: Duration,
        report: Report,
    ) -> Result<(Self, Background<E>, Recovered), RecoveryError> {
        let engine = Arc::new(engine);
        let recovery = recovery::recover(&engine, opening)?;
        let StorageOptions { durability, unsynced_bytes_max, queue_commands_max, .. } =
            opening.options;
        let executor = Executor::new(recovery.partitions, recovery.overlay, unsynced_bytes_max);
        let (groups, incoming) = unbounded_channel();
        let (flushes, orders) = unbounded_channel();
        let (ends, ended) = oneshot::channel();
        let meter = Arc::new(Meter::new(Arc::downgrade(&engine) as _));
        let reporter = || Reporter::new(Arc::clone(&report), Arc::clone(&meter));
        let fault = FlushFault::default();
        let flush = FlushLoop::new(Arc::clone(&engine), orders, reporter(), fault.clone());
        let committer = Committer::new(engine, durability);
        let commit =
            CommitLoop::new(committer, incoming, flushes.clone(), sync_time, reporter(), fault);
        let background = Background { commit, flush, held: Held::new(ends) };
        let mut storage =
            Self { executor, groups, flushes, ended, meter, queue_commands_max, data: None };
        storage.flush();
        Ok((storage, background, recovery.recovered))
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
            self.meter.set_memory_bytes(self.executor.memory_bytes());
        }
    }

    /// Learns what became of groups and tables.
    pub fn on_event(&mut self, event: &StorageEvent) {
        if let Some(order) = self.executor.on_event(event) {
            let _ = self.flushes.send(order);
            self.meter.set_memory_bytes(self.executor.memory_bytes());
        }
        self.flush();
    }

    /// Hands a sealed table to the flusher, once that may write it.
    fn flush(&mut self) {
        if let Some(sealed) = self.executor.begin_flush() {
            // A flusher that ended has failed, and its last word is on its way.
            let _ = self.flushes.send(FlushOrder::Write(sealed));
        }
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

    /// Ends storage: executes and appends all that was submitted, syncs, and waits for both loops.
    /// Commands that only read are dropped, since nobody hears the answers.
    pub async fn close(self) {
        let Self { executor, groups, flushes, ended, meter, .. } = self;
        let (executed, last) = executor.finish();
        meter.on_executed(executed);
        meter.set_waiting(0);
        if let Some(group) = last {
            // A committer that ended has failed, and has said so.
            let _ = groups.send(group);
        }
        drop((groups, flushes));
        // They end without a word.
        let _ = ended.await;
    }
}

#[cfg(all(test, not(madsim)))]
mod tests;
