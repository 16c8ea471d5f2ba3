//! The commands for coordinators, executed.

use alloc::vec::Vec;
use core::slice;

use crate::event::Event;
use crate::probe::Probe;
use crate::storage::notes::Notes;
use crate::storage::partitions::PartitionState;
use crate::storage::{hints, owned};
use crate::store::{
    CopyKind, Corrupt, Hint, Mint, MintedWrite, Refusal, ReplicaAction, ReplicaAnswer,
    ReplicaCommand, ReplicaDone, Role, Store, View,
};
use crate::types::Key;
use crate::version::{Container, Context, Version};
use crate::write::Basis;

/// Executes a command for a coordinator.
pub(super) fn execute<S: Store>(
    state: &mut PartitionState,
    store: &mut S,
    ReplicaCommand { requester, action }: &ReplicaCommand,
    notes: &mut Notes,
) -> ReplicaAnswer {
    let result = match action {
        ReplicaAction::Mint(request) => mint(state, store, request, notes).map(ReplicaDone::Minted),
        ReplicaAction::Merge(item) => owned::merge(state, store, slice::from_ref(&**item), notes)
            .map(|()| ReplicaDone::Merged),
        ReplicaAction::Hint(hint) => {
            let Hint { key, container, terms } = &**hint;
            hints::add(state, store, key, container, *terms, false).map(ReplicaDone::Hinted)
        }
        ReplicaAction::Read { key, copy } => {
            read(state, store, key, *copy, notes).map(ReplicaDone::Read)
        }
    };
    ReplicaAnswer { requester: *requester, result }
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

    let (context, replaces_held) = context_of(&mint.write.basis, &container);
    let minter = match mint.role {
        Role::Owner => &mut state.owner,
        Role::Fallback(_) => &mut state.fallback,
    };
    minter.look_at(&context.seen);
    minter.look_at(container.seen());
    let overwritten = container.discard(&context.seen);
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
        time: mint.write.time.max(context.time.next()),
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
    if state.recent.insert(mint.request, &mint.key, dot) {
        notes.probe(Probe::RequestForgotten);
    }
    notes.events.push(Event::Minted {
        key: mint.key.clone(),
        dot,
        request: mint.request,
        replaced: if replaces_held { overwritten } else { Vec::new() },
    });
    Ok(MintedWrite { dot, container, hinted })
}

/// The context of all that a write overwrites here, and whether it covers all that is held.
fn context_of(basis: &Basis, held: &Container) -> (Context, bool) {
    match basis {
        Basis::Given(context) => (context.clone(), false),
        Basis::Held(context) => {
            let mut context = context.clone();
            context.learn(held);
            (context, true)
        }
    }
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
