//! Commands, executed: a file for each family, as [`crate::store`] declares them.

mod founding;
mod handoff;
mod recall;
mod repair;
mod replica;

use super::notes::Notes;
use super::partitions::PartitionState;
use crate::store::{Command, Outcome, Store, StoreCommand};

/// Executes a command in the partition that it belongs to: reads, joins, and commits what changed.
pub fn execute<S: Store>(
    state: &mut PartitionState,
    store: &mut S,
    command: &StoreCommand,
) -> Outcome {
    assert_eq!(state.partition, command.partition, "the driver brings the right partition");
    let mut notes = Notes::default();
    let answer = match &command.command {
        Command::Replica(command) => replica::execute(state, store, command, &mut notes).into(),
        Command::Handoff(command) => handoff::execute(state, store, command, &mut notes).into(),
        Command::Repair(command) => repair::execute(state, store, command, &mut notes).into(),
        Command::Founding(command) => founding::execute(state, store, *command).into(),
        Command::Recall(command) => recall::execute(state, store, command).into(),
    };
    let Notes { events, corrupt } = notes;
    Outcome { partition: state.partition, answer, root: state.tree.root(), events, corrupt }
}
