//! What storage tells its node: the outcome of each command, and what becomes of it on the disk.

use std::time::Duration;

use kv_core::store::Outcome;
use kv_core::types::{LogPosition, Seq, Ticket};

use super::engine::EngineError;

/// A command that was executed.
#[derive(Clone, Debug)]
pub struct CommandDone {
    /// The ticket of the command.
    pub ticket: Ticket,
    /// The newest position after the command.
    pub seq: Seq,
    /// The outcome of the command.
    pub outcome: Outcome,
}

/// News from the disk.
#[derive(Clone, Debug)]
pub enum StorageEvent {
    /// Everything up to this position is as durable as was promised.
    Durable {
        /// The position up to which everything is durable.
        seq: Seq,
        /// The position at which the log ended when that was durable.
        log: LogPosition,
    },
    /// The sealed table of the memory lies in tables on the disk now.
    Flushed,
    /// The disk takes no writes for a while, for the reason that is given. Reads go on.
    Refusing(EngineError),
    /// The disk takes writes again.
    Writable {
        /// The time for which writes were refused.
        after: Duration,
    },
    /// The disk failed: the node must stop.
    Failed(EngineError),
}
