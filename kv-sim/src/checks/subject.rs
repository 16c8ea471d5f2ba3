//! The subject of a violation: enough for a report to show what happened to it.

use kv_core::time::Time;
use kv_core::types::Key;
use kv_core::version::Dot;

use super::OperationNumber;

/// The subject of a violation: a key and, if it concerns some writes of it, those.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The key that the violation is about.
    pub key: Key,
    /// The dots of the writes that the violation is about; none if it concerns the key alone.
    pub dots: Vec<Dot>,
    /// The time at which the first of the dots was minted.
    pub since: Option<Time>,
    /// The operations that the violation names beside those that asked for the writes, and beside the
    /// one at whose end it was noticed.
    pub operations: Vec<OperationNumber>,
}

impl Subject {
    /// The same subject, which names these operations as well.
    #[must_use]
    pub(super) fn with(mut self, operations: impl IntoIterator<Item = OperationNumber>) -> Self {
        self.operations.extend(operations);
        self
    }
}
