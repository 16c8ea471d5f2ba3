//! The storage commands. Everything here runs where the disk is, and is the same in every driver.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::ControlFlow;
use core::slice;

use super::partitions::{PartitionState, marker_of};
use super::{founding, hints, keyspace, owned, scrub};
use crate::event::Event;
use crate::merkle::{FAN_OUT, LeafId};
use crate::probe::Probe;
use crate::store::{
    Batch, Command, CopyKind, Corrupt, FoundingAnswer, FoundingCommand, HandoffAnswer,
    HandoffCommand, Hint, HintGrowth, Mint, MintedWrite, Outcome, Refusal, RepairAnswer,
    RepairCommand, ReplicaAction, ReplicaAnswer, ReplicaCommand, ReplicaDone, Role, Store,
    StoreCommand, Summaries, Summary, View,
};
use crate::types::{ContentHash, Key};
use crate::version::{Container, Version, VersionVector};
use crate::write::Basis;

/// The notes that a command leaves beside its result.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) events: Vec<Event>,
    /// Keys whose records were found to be corrupt.
    pub(super) corrupt: Vec<Key>,
}

impl Notes {
    /// Says that a rare branch was taken.
    pub(super) fn probe(&mut self, probe: Probe) {
        self.events.push(Event::Probe(probe));
    }
}

/// Executes a command in the partition that it belongs to: reads, joins, and commits what changed.
pub fn execute<S: Store>(
    state: &mut PartitionState,
    store: &mut S,
    command: &StoreCommand,
) -> Outcome {
    assert_eq!(state.partition, command.partition, "the driver brings the right partition");
    let mut notes = Notes::default();
    let answer = match &command.command {
        Command::Replica(command) => for_coordinator(state, store, command, &mut notes).into(),
        Command::Handoff(command) => for_handoff(state, store, command, &mut notes).into(),
        Command::Repair(command) => for_repair(state, store, command, &mut notes).into(),
        Command::Founding(command) => for_founding(state, store, *command).into(),
    };
    let Notes { events, corrupt } = notes;
    Outcome { partition: state.partition, answer, root: state.tree.root(), events, corrupt }
}

fn for_coordinator<S: Store>(
    state: &mut PartitionState,
    store: &mut S,
    ReplicaCommand { requester, action }: &ReplicaCommand,
    notes: &mut Notes,
) -> ReplicaAnswer {
    let result = match action {
        ReplicaAction::Mint(request) => mint(state, store, request, notes).map(ReplicaDone::Minted),
        ReplicaAction::Merge(item) => {
            merge(state, store, slice::from_ref(&**item), notes).map(|()| ReplicaDone::Merged)
        }
        ReplicaAction::Hint(hint) => keep_hint(state, store, hint).map(ReplicaDone::Hinted),
        ReplicaAction::Read { key, copy } => {
            read(state, store, key, *copy, notes).map(ReplicaDone::Read)
        }
    };
    ReplicaAnswer { requester: *requester, result }
}

fn for_handoff<S: Store>(
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
            let result = merge(state, store, items, notes);
            HandoffAnswer::Received { receipt: *receipt, result }
        }
    }
}

fn for_repair<S: Store>(
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
            let result = merge(state, store, items, notes);
            RepairAnswer::Joined { whose: whose.clone(), result }
        }
        RepairCommand::MarkComplete { reason } => {
            RepairAnswer::MarkedComplete { reason: *reason, result: mark_complete(state, store) }
        }
        RepairCommand::Scrub { from, bytes } => {
            RepairAnswer::Scrubbed { result: scrub::scrub(state, store, *from, *bytes, notes) }
        }
        RepairCommand::MarkRepaired { key, is_unknown, number } => {
            let made = owned::mark_repaired(state, store, key, *is_unknown, notes);
            RepairAnswer::MarkedRepaired { number: *number, result: made.map_err(Refusal::from) }
        }
    }
}

fn for_founding<S: Store>(
    state: &mut PartitionState,
    store: &mut S,
    command: FoundingCommand,
) -> FoundingAnswer {
    match command {
        FoundingCommand::Pledge { promise } => FoundingAnswer::Pledged {
            promise,
            result: founding::pledge(state.node, store, promise.founding),
        },
        FoundingCommand::MarkComplete => {
            FoundingAnswer::MarkedComplete { result: mark_complete(state, store) }
        }
        FoundingCommand::Found { founding } => {
            FoundingAnswer::Founded { result: founding::found(state.node, store, founding) }
        }
    }
}

/// Names a write and stores it, upon whatever this replica holds of the key in the role that it
/// was asked in. The dot is taken here, in the order of execution: a number given earlier and used
/// later would let a vector claim an event that is not there.
fn mint<S: Store>(
    state: &mut PartitionState,
    store: &mut S,
    mint: &Mint,
    notes: &mut Notes,
) -> Result<MintedWrite, Refusal> {
    let held = match mint.role {
        Role::Owner => owned::load(state, store, View::Live, &mint.key)
            .inspect_err(|Corrupt| owned::note_corrupt(state, store, &mint.key, notes)),
        Role::Fallback(_) => hints::load_all(state.partition, store, View::Live, &mint.key)
            .map(|container| owned::Owned { container, hash: None }),
    };
    let owned::Owned { mut container, hash } = held.map_err(|Corrupt| Refusal::Corrupt)?;
    let stands = container.made_by(mint.request);
    let known = stands.or_else(|| {
        state.recent.get(mint.request, &mint.key).filter(|&dot| container.seen().covers(dot))
    });
    if let Some(dot) = known {
        notes.probe(if stands.is_some() { Probe::MintRepeated } else { Probe::MintRemembered });
        let hinted = match mint.role {
            Role::Owner => None,
            Role::Fallback(terms) => {
                Some(hints::add(state, store, &mint.key, &container, terms, true)?)
            }
        };
        return Ok(MintedWrite { dot, container, hinted });
    }

    let newest = container.newest();
    let (context, replaces_held) = context_of(&mint.write.basis, &container);
    let minter = match mint.role {
        Role::Owner => &mut state.owner,
        Role::Fallback(_) => &mut state.fallback,
    };
    minter.look_at(&context);
    minter.look_at(container.seen());
    let overwritten = container.discard(&context);
    if container.siblings().len() as u64 >= mint.siblings_max {
        notes.probe(Probe::TooManySiblings);
        return Err(Refusal::TooManySiblings { max: mint.siblings_max });
    }
    let (dot, drawn) = minter.mint(mint.spare);
    if let Some(reason) = drawn {
        let (partition, epoch) = (state.partition, dot.actor.epoch);
        notes.events.push(Event::EpochDrawn { partition, epoch, reason });
    }
    let version = Version {
        content: mint.write.content.clone(),
        time: newest.map_or(mint.time, |newest| mint.time.max(newest.next())),
        expiry: mint.write.expiry,
        request: mint.request,
        tag: None,
    };
    container.add(dot, version);
    let hinted = match mint.role {
        Role::Owner => {
            owned::save(state, store, &mint.key, hash, &container)?;
            None
        }
        Role::Fallback(terms) => {
            Some(hints::add(state, store, &mint.key, &container, terms, true)?)
        }
    };
    state.recent.insert(mint.request, &mint.key, dot);
    notes.events.push(Event::Minted {
        key: mint.key.clone(),
        dot,
        request: mint.request,
        replaced: if replaces_held { overwritten } else { Vec::new() },
    });
    Ok(MintedWrite { dot, container, hinted })
}

/// The events that a write overwrites here, and whether they include all that is held.
fn context_of(basis: &Basis, held: &Container) -> (VersionVector, bool) {
    match basis {
        Basis::Given(seen) => (seen.clone(), false),
        Basis::Held(seen) => {
            let mut context = held.seen().clone();
            context.merge(seen);
            (context, true)
        }
    }
}

fn merge<S: Store>(
    state: &mut PartitionState,
    store: &mut S,
    items: &[(Key, Container)],
    notes: &mut Notes,
) -> Result<(), Refusal> {
    for (key, incoming) in items {
        state.owner.look_at(incoming.seen());
        let owned::Owned { mut container, hash } = owned::load_or_replace(state, store, key, notes);
        if container.join(incoming) {
            owned::save(state, store, key, hash, &container)?;
        }
    }
    Ok(())
}

fn keep_hint<S: Store>(
    state: &mut PartitionState,
    store: &mut S,
    hint: &Hint,
) -> Result<HintGrowth, Refusal> {
    hints::add(state, store, &hint.key, &hint.container, hint.terms, false)
}

fn read<S: Store>(
    state: &mut PartitionState,
    store: &S,
    key: &Key,
    copy: CopyKind,
    notes: &mut Notes,
) -> Result<Container, Refusal> {
    let read = match copy {
        CopyKind::Owned if !state.complete => return Err(Refusal::Incomplete),
        CopyKind::Owned if state.corrupt.contains_key(key) => Err(Corrupt),
        CopyKind::Owned => owned::load(state, store, View::Durable, key)
            .map(|owned| owned.container)
            .inspect_err(|Corrupt| {
                // It may have been replaced, and that is not durable yet.
                if owned::load(state, store, View::Live, key).is_err() {
                    owned::note_corrupt(state, store, key, notes);
                }
            }),
        CopyKind::Hinted => hints::load_all(state.partition, store, View::Durable, key),
    };
    read.map_err(|Corrupt| {
        notes.probe(Probe::CorruptReadRefused);
        Refusal::Corrupt
    })
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

fn mark_complete<S: Store>(state: &mut PartitionState, store: &mut S) -> Result<(), Refusal> {
    let mut batch = Batch::default();
    batch.put(&keyspace::marker(state.partition), &marker_of(state.node));
    store.commit(batch)?;
    state.complete = true;
    Ok(())
}
