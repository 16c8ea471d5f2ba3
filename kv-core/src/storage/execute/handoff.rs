//! The commands of hinted handoff, executed.

use crate::storage::notes::Notes;
use crate::storage::partitions::PartitionState;
use crate::storage::{hints, owned};
use crate::store::{HandoffAnswer, HandoffCommand, Store};

/// Executes a command of hinted handoff.
pub(super) fn execute<S: Store>(
    state: &mut PartitionState,
    store: &mut S,
    command: &HandoffCommand,
    notes: &mut Notes,
) -> HandoffAnswer {
    match command {
        &HandoffCommand::Read { target, bytes } => {
            let result = hints::batch(state, store, target, bytes, notes);
            HandoffAnswer::Read { target, result }
        }
        HandoffCommand::Drop { target, reason, items } => {
            let result = hints::drop(state, store, *target, items, notes);
            HandoffAnswer::Dropped { target: *target, reason: *reason, result }
        }
        HandoffCommand::Receive { receipt, items } => {
            let result = owned::merge(state, store, items, notes);
            HandoffAnswer::Received { receipt: *receipt, result }
        }
    }
}
