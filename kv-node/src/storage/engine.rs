//! The engine below the overlay: a log, in which groups become durable, and tables, which hold what
//! memory does not.

use std::io;

use bytes::Bytes;
use kv_core::store::{Batch, Corrupt, StoreFault, Visitor};
use kv_core::types::LogPosition;
use thiserror::Error;

use super::group::Group;
use super::memtable::SealedMemtable;

/// The engine of a real node and its formats on disk. Another engine does not open what it wrote.
#[cfg(not(madsim))]
pub(super) const ENGINE_FORMAT: &str = "kv-log 1, lsm-tree 3";

/// The durability that a write must have reached before it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The operating system has it: it survives the end of the process, not that of the machine.
    Written,
    /// The disk has it: it survives the end of the machine.
    Synced,
}

/// The finding of a start about what an engine holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartFinding {
    /// All that was durable, as far as the engine can know.
    Whole,
    /// Less than was durable, and nobody can say which records are missing. It has been logged.
    Lacking,
}

/// A log and tables that outlive the process.
///
/// One thread appends groups, another one flushes and prepares, and the one that executes commands reads, all at
/// once. Reads see tables and not the log: what was appended is in memory until it is flushed.
pub trait Engine: Send + Sync + 'static {
    /// Reads the record under this key from the tables.
    ///
    /// # Errors
    /// [`Corrupt`], if there is or may be one that cannot be read.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Corrupt>;

    /// Visits records of the tables as [`kv_core::store::Store::scan`] does.
    ///
    /// Of a stretch that cannot be read not even the keys are known. It is shown once, as corrupt
    /// under the least key that it may hold, and the scan ends there.
    fn scan(&self, prefix: &[u8], after: &[u8], visit: &mut Visitor<'_>);

    /// Hands out the batches that the log holds and the tables may not, in order, and tells whether
    /// that is all. To be called once, before anything is appended.
    ///
    /// # Errors
    /// [`EngineError`]: the node must not start.
    fn replay(&self, take: &mut dyn FnMut(Batch)) -> Result<StartFinding, EngineError>;

    /// The position at which the log ends, with all that was appended for the life of the data. After a start
    /// it is where the log was found to end. To be called after [`Engine::replay`].
    fn log_end(&self) -> LogPosition;

    /// Appends a group to the log: each batch wholly or not at all, also after a crash.
    ///
    /// # Errors
    /// [`EngineError`]. Nothing else is appended then. After a passing fault the same group is given
    /// again, as a whole.
    fn append(&self, group: &Group, reach: Reach) -> Result<(), EngineError>;

    /// Makes all that was appended reach the disk.
    ///
    /// # Errors
    /// [`EngineError`]. What was not synced may be lost even if a later sync succeeds.
    fn sync(&self) -> Result<(), EngineError>;

    /// Checks whether a group would be taken now, and has the log say what it has nothing else to say
    /// it with: how far it is durable. To be called from time to time while nothing is appended.
    ///
    /// # Errors
    /// [`EngineError`]: why a group would not be taken.
    fn check(&self) -> Result<(), EngineError>;

    /// Tells, after a group was appended, whether [`Engine::prepare`] is to be called. It says so once.
    fn prepare_is_due(&self) -> bool {
        false
    }

    /// Does ahead what some later group would have to wait for, while others append.
    fn prepare(&self) {}

    /// Writes a sealed table into tables on the disk, and lets go of what the log holds of it. All of it
    /// is in the log, and as durable as was promised. Memory lets go of what was written.
    ///
    /// # Errors
    /// [`EngineError`]. After a passing fault the same table is given again.
    fn flush(&self, sealed: &SealedMemtable) -> Result<FlushOutcome, EngineError>;

    /// Ends the log cleanly: all that was appended is synced, and it is noted how far that goes.
    ///
    /// # Errors
    /// [`EngineError`]. The next start is one after a crash.
    fn close(&self) -> Result<(), EngineError>;

    /// The sizes of what the engine holds.
    fn sizes(&self) -> EngineSizes;
}

/// The outcome of a flush that was not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlushOutcome {
    /// Tables hold all of it.
    Written,
    /// The log was ended meanwhile, or failed. It may be that no table holds it.
    LogEnded,
}

/// The sizes of what an engine holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineSizes {
    /// The bytes of the log's files.
    pub log_bytes: u64,
    /// The bytes of the tables on the disk.
    pub table_bytes: u64,
    /// The number of tables on the disk.
    pub tables: usize,
}

/// The reason why an engine did not write, with the words of whoever refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{fault}: {message}")]
pub struct EngineError {
    /// The consequence for the node.
    pub fault: StoreFault,
    /// The words of the engine or the system.
    pub message: String,
}

impl EngineError {
    /// Creates an error of this kind, in these words.
    pub fn new(fault: StoreFault, message: impl Into<String>) -> Self {
        Self { fault, message: message.into() }
    }

    /// Classifies an error of the system: whether it passes by itself, or the disk failed.
    pub fn of(error: &io::Error) -> Self {
        let fault = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreFault::Full,
            _ if is_out_of_files(error) => StoreFault::OutOfFiles,
            _ => StoreFault::Failed,
        };
        Self::new(fault, error.to_string())
    }
}

/// True if the error is EMFILE or ENFILE, for which std has no kinds. Libraries wrap errors of the system
/// in words of their own, and then the words are all that is left of the number.
pub(super) fn is_out_of_files(error: &io::Error) -> bool {
    match error.raw_os_error() {
        Some(number) => matches!(number, 23 | 24),
        None => {
            let words = error.to_string();
            ["(os error 23)", "(os error 24)"].iter().any(|number| words.contains(number))
        }
    }
}
