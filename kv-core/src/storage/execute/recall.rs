//! The commands of recall, executed.

use crate::storage::partitions::PartitionState;
use crate::storage::recall::{record, unmark};
use crate::store::{RecallAnswer, RecallCommand, Store};

/// Executes a command of recall.
pub(super) fn execute<S: Store>(
    state: &mut PartitionState,
    store: &mut S,
    command: &RecallCommand,
) -> RecallAnswer {
    match command {
        RecallCommand::Record { runs } => RecallAnswer::Recorded { result: record(store, runs) },
        RecallCommand::Unmark => RecallAnswer::Unmarked { result: unmark(state, store) },
    }
}
