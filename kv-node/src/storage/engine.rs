//! What lies below the overlay: records that outlive the process.

use std::collections::BTreeMap;

use bytes::Bytes;
use kv_core::store::{Damage, Fault, Visitor};
use thiserror::Error;

/// What a group of batches comes to: of each key the last thing that was written to it. `None`
/// deletes.
pub type Records = BTreeMap<Bytes, Option<Bytes>>;

/// How far a write must have come before it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// To the operating system: it survives the end of the process, not that of the machine.
    Written,
    /// To the disk.
    Synced,
}

/// An ordered map of bytes that outlives the process.
///
/// It is read and written by two threads at once. A group that is being applied shows either wholly
/// or not at all in one scan; a point read may see it a moment before [`Engine::apply`] returns,
/// but never before it has come as far as was asked.
pub trait Engine: Send + Sync + 'static {
    /// The record under this key.
    ///
    /// # Errors
    /// [`Damage`], if there is or may be one that cannot be read.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Damage>;

    /// Visits records as [`kv_core::store::Store::scan`] does.
    ///
    /// Of a stretch that cannot be read not even the keys are known. It is shown once, as damage
    /// under the least key that it may hold, and the scan ends there.
    fn scan(&self, prefix: &[u8], after: &[u8], visit: &mut Visitor<'_>);

    /// Writes a group: all of it or nothing, also after a crash.
    ///
    /// # Errors
    /// [`EngineError`]. Nobody knows then what a restart will find of the group, so nothing more
    /// is written.
    fn apply(&self, records: &Records, reach: Reach) -> Result<(), EngineError>;

    /// Makes all that was written reach the disk.
    ///
    /// # Errors
    /// [`EngineError`]. What was not synced may be lost even if a later sync succeeds.
    fn sync(&self) -> Result<(), EngineError>;
}

/// Why an engine did not write, with the words of whoever refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{fault}: {message}")]
pub struct EngineError {
    /// What it means for the node.
    pub fault: Fault,
    /// What the engine or the system said.
    pub message: String,
}
