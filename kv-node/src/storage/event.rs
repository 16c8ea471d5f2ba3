//! The events that storage reports to its node.

use std::time::Duration;

use kv_core::store::Outcome;
use kv_core::types::{Seq, Ticket};

use super::engine::EngineError;

/// An event that storage reports to its node.
#[derive(Clone, Debug)]
pub enum StorageEvent {
    /// A command was executed.
    Done {
        /// The ticket of the command.
        ticket: Ticket,
        /// The newest position after the command.
        seq: Seq,
        /// The outcome of the command.
        outcome: Outcome,
    },
    /// Everything up to this position is as durable as was promised.
    Durable {
        /// The position up to which everything is durable.
        seq: Seq,
    },
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
