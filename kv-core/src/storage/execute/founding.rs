//! The commands of a founding, executed.

use crate::storage::founding::{found, pledge};
use crate::storage::partitions::{PartitionState, mark_complete};
use crate::store::{FoundingAnswer, FoundingCommand, Store};

/// Executes a command of a founding.
pub(super) fn execute<S: Store>(
    state: &mut PartitionState,
    store: &mut S,
    command: FoundingCommand,
) -> FoundingAnswer {
    match command {
        FoundingCommand::Pledge { promise } => {
            FoundingAnswer::Pledged { promise, result: pledge(state.node, store, promise.founding) }
        }
        FoundingCommand::MarkComplete => {
            FoundingAnswer::MarkedComplete { result: mark_complete(state, store) }
        }
        FoundingCommand::Found { founding } => {
            FoundingAnswer::Founded { result: found(state.node, store, founding) }
        }
    }
}
