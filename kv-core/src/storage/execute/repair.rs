//! The commands of repair, executed.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::ControlFlow;

use crate::merkle::{FAN_OUT, LeafId};
use crate::probe::Probe;
use crate::storage::notes::Notes;
use crate::storage::partitions::{PartitionState, mark_complete};
use crate::storage::{owned, scrub};
use crate::store::{
    Corrupt, Refusal, RepairAnswer, RepairCommand, Store, Summaries, Summary, View,
};
use crate::types::{ContentHash, Key};
use crate::version::Container;

/// Executes a command of repair.
pub(super) fn execute<S: Store>(
    state: &mut PartitionState,
    store: &mut S,
    command: &RepairCommand,
    notes: &mut Notes,
) -> RepairAnswer {
    match command {
        RepairCommand::Branches { whose } => RepairAnswer::Branches {
            whose: whose.clone(),
            result: Ok(Box::new(state.tree.branches())),
        },
        RepairCommand::Leaves { branches, whose } => {
            RepairAnswer::Leaves { whose: whose.clone(), result: Ok(leaves(state, *branches)) }
        }
        RepairCommand::Summaries { leaf, after, bytes, whose } => {
            let result = Ok(summaries(state, store, *leaf, after.as_ref(), *bytes, notes));
            RepairAnswer::Summaries { whose: *whose, result }
        }
        RepairCommand::Fetch { keys, bytes, whose } => {
            let result = Ok(fetch(state, store, keys, *bytes, notes));
            RepairAnswer::Fetched { whose: *whose, result }
        }
        RepairCommand::Join { items, whose } => {
            let result = owned::merge(state, store, items, notes);
            RepairAnswer::Joined { whose: whose.clone(), result }
        }
        RepairCommand::MarkComplete { reason } => {
            RepairAnswer::MarkedComplete { reason: *reason, result: mark_complete(state, store) }
        }
        RepairCommand::Scrub { from, bytes } => {
            RepairAnswer::Scrubbed { result: scrub::scrub(state, store, *from, *bytes, notes) }
        }
        RepairCommand::MarkRepaired { corrupt, is_unknown } => {
            let made = owned::mark_repaired(state, store, corrupt, *is_unknown, notes);
            let number = corrupt.number;
            RepairAnswer::MarkedRepaired { number, result: made.map_err(Refusal::from) }
        }
    }
}

fn leaves(state: &PartitionState, branches: u16) -> Vec<(LeafId, ContentHash)> {
    let chosen = (0..FAN_OUT).filter(|branch| branches & (1 << branch) != 0);
    let below = chosen.flat_map(|branch| branch * FAN_OUT..(branch + 1) * FAN_OUT);
    let leaves = below.map(|leaf| LeafId(u8::try_from(leaf).expect("256 leaves")));
    leaves.map(|leaf| (leaf, state.tree.leaf(leaf))).collect()
}

fn summaries<S: Store>(
    state: &mut PartitionState,
    store: &S,
    leaf: LeafId,
    after: Option<&Key>,
    bytes_max: u64,
    notes: &mut Notes,
) -> Summaries {
    let (mut entries, mut corrupt) = (Vec::new(), Vec::new());
    let (mut bytes, mut more) = (0, false);
    owned::for_each_in_leaf(state, store, leaf, after, |key, record| {
        if bytes >= bytes_max {
            more = true;
            return ControlFlow::Break(());
        }
        match record {
            Ok((hash, container)) => {
                bytes += 32 + key.bytes().len() as u64 + 24 * container.seen().len() as u64;
                entries.push(Summary { key, seen: container.seen().clone(), hash });
            }
            // A key that cannot be read is shown as unknown, so that the peer sends it.
            Err(Corrupt) => corrupt.push(key),
        }
        ControlFlow::Continue(())
    });
    for key in corrupt {
        owned::note_corrupt(state, store, &key, notes);
    }
    Summaries { entries, more }
}

fn fetch<S: Store>(
    state: &mut PartitionState,
    store: &S,
    keys: &[Key],
    bytes_max: u64,
    notes: &mut Notes,
) -> Vec<(Key, Container)> {
    let mut items = Vec::new();
    let mut bytes = 0;
    for key in keys {
        if bytes >= bytes_max {
            notes.probe(Probe::RepairBatchFull);
            break;
        }
        match owned::load(state, store, View::Live, key) {
            Ok(owned) if owned.container.is_empty() => {}
            Ok(owned) => {
                bytes += (key.bytes().len() + owned.container.weight()) as u64;
                items.push((key.clone(), owned.container));
            }
            Err(Corrupt) => owned::note_corrupt(state, store, key, notes),
        }
    }
    items
}
