//! The engine below the overlay: records that outlive the process.

use std::collections::BTreeMap;
use std::io;

use bytes::Bytes;
use kv_core::store::{Corrupt, StoreFault, Visitor};
use thiserror::Error;

/// The engine of a real node and its format on disk. Another engine does not open what it wrote.
#[cfg(not(madsim))]
pub(super) const ENGINE_FORMAT: &str = "fjall 3";

/// The writes of a group of batches: the last value that was written to each key. `None` deletes.
pub type Records = BTreeMap<Bytes, Option<Bytes>>;

/// The durability that a write must have reached before it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The operating system has it: it survives the end of the process, not that of the machine.
    Written,
    /// The disk has it: it survives the end of the machine.
    Synced,
}

/// An ordered map of bytes that outlives the process.
///
/// It is read and written by two threads at once. A group that is being applied shows either wholly
/// or not at all in one scan; a point read may see it a moment before [`Engine::apply`] returns,
/// but never before it has come as far as was asked.
pub trait Engine: Send + Sync + 'static {
    /// Reads the record under this key.
    ///
    /// # Errors
    /// [`Corrupt`], if there is or may be one that cannot be read.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Corrupt>;

    /// Visits records as [`kv_core::store::Store::scan`] does.
    ///
    /// Of a stretch that cannot be read not even the keys are known. It is shown once, as corrupt
    /// under the least key that it may hold, and the scan ends there.
    fn scan(&self, prefix: &[u8], after: &[u8], visit: &mut Visitor<'_>);

    /// Writes a group: all of it or nothing, also after a crash.
    ///
    /// # Errors
    /// [`EngineError`]. Nobody knows then what will be found of the group, so nothing else is
    /// written. After a passing fault the same group is applied again, as a whole, once
    /// [`Engine::resume`] has succeeded.
    fn apply(&self, records: &Records, reach: Reach) -> Result<(), EngineError>;

    /// Makes all that was written reach the disk.
    ///
    /// # Errors
    /// [`EngineError`]. What was not synced may be lost even if a later sync succeeds.
    fn sync(&self) -> Result<(), EngineError>;

    /// Checks whether a write would be taken now.
    ///
    /// # Errors
    /// [`EngineError`]: why it would not.
    fn check(&self) -> Result<(), EngineError>;

    /// Makes an engine that refused with a passing fault ready to write again. It holds then all
    /// that it held before, as durable as it was.
    ///
    /// # Errors
    /// [`EngineError`]. If it is passing, it may be tried again.
    fn resume(&self) -> Result<(), EngineError>;
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

/// True if the error is EMFILE or ENFILE, for which std has no kinds.
pub(super) fn is_out_of_files(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(23 | 24))
}
