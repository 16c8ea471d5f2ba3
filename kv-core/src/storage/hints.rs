//! Hints: containers that are kept for owners which could not be reached.
//!
//! A fallback mints in one epoch per partition, whichever owner it is the fallback of. So what it mints upon is
//! the join of *all* its hints for the key: else a vector in one hint would claim an event that
//! stands only in another. And once a hint that it minted into is deleted, the epoch is over
//! (semantics.md §9.23).

use alloc::vec::Vec;
use core::ops::ControlFlow;

use bytes::Bytes;

use super::keyspace::{self, StoredRecord};
use super::notes::Notes;
use super::partitions::PartitionState;
use crate::codec::{Codec, Malformed, Reader};
use crate::event::{EpochReason, Event};
use crate::probe::Probe;
use crate::store::{
    Batch, Corrupt, Dropped, HintBatch, HintGrowth, HintTerms, KeptHints, Refusal, Store,
    StoredHint, View,
};
use crate::types::{ContentHash, Key, NodeId, PartitionId};
use crate::version::Container;

/// Everything that is kept for a key, whoever it is kept for.
pub(super) fn load_all(
    partition: PartitionId,
    store: &impl Store,
    view: View,
    key: &Key,
) -> Result<Container, Corrupt> {
    let mut joined = Ok(Container::default());
    for_each(partition, store, view, key, |hint| match (&mut joined, hint) {
        (Ok(joined), Ok(hint)) => {
            joined.join(&hint.container);
        }
        (_, Err(Corrupt)) => joined = Err(Corrupt),
        (Err(Corrupt), Ok(_)) => {}
    });
    joined
}

/// Visits everything that is kept for a key.
pub(super) fn for_each(
    partition: PartitionId,
    store: &impl Store,
    view: View,
    key: &Key,
    mut visit: impl FnMut(Result<StoredHint, Corrupt>),
) {
    let prefix = keyspace::hints_of(partition, key);
    store.scan(view, &prefix, &[], &mut |_, record| {
        visit(record.and_then(decode));
        ControlFlow::Continue(())
    });
}

/// Visits every hint that a store keeps: its partition, whom it is for, and how many bytes it takes, if
/// it can be read.
pub fn for_each_hint(
    store: &impl Store,
    mut visit: impl FnMut(PartitionId, NodeId, Result<u64, Corrupt>),
) {
    store.scan(View::Live, keyspace::ALL_HINTS, &[], &mut |record_key, record| {
        if let Some(StoredRecord::Hint { partition, target, .. }) = keyspace::parse(record_key) {
            visit(partition, target, record.map(|record| record.len() as u64));
        }
        ControlFlow::Continue(())
    });
}

/// Visits the terms of every hint that a store keeps and that can be read.
pub fn for_each_hint_terms(store: &impl Store, mut visit: impl FnMut(HintTerms)) {
    store.scan(View::Live, keyspace::ALL_HINTS, &[], &mut |_, record| {
        if let Ok(hint) = record.and_then(decode) {
            visit(hint.terms);
        }
        ControlFlow::Continue(())
    });
}

/// The hint that a store keeps for a key and target, if there is one and it can be read.
pub fn hint(
    store: &impl Store,
    partition: PartitionId,
    key: &Key,
    target: NodeId,
) -> Option<StoredHint> {
    let record = store.get(View::Live, &keyspace::hint(partition, key, target));
    record.ok().flatten().and_then(|record| decode(&record).ok())
}

/// Adds a container to the hint for a key and target.
pub(super) fn add(
    state: &mut PartitionState,
    store: &mut impl Store,
    key: &Key,
    container: &Container,
    terms: HintTerms,
    minted: bool,
) -> Result<HintGrowth, Refusal> {
    state.fallback.look_at(container.seen());
    let record_key = keyspace::hint(state.partition, key, terms.target);
    let before = store.get(View::Live, &record_key).map_err(|Corrupt| Refusal::Corrupt)?;
    let mut hint = StoredHint { key: key.clone(), container: container.clone(), terms, minted };
    let mut batch = Batch::with_capacity(128 + 3 * key.bytes().len() + container.weight());
    if let Some(record) = &before {
        let kept = decode(record).map_err(|Corrupt| Refusal::Corrupt)?;
        hint.container.join(&kept.container);
        hint.terms.created = hint.terms.created.min(kept.terms.created);
        hint.terms.expires = hint.terms.expires.max(kept.terms.expires);
        hint.terms.copies = hint.terms.copies.min(kept.terms.copies);
        hint.minted |= kept.minted;
        if hint == kept {
            return Ok(HintGrowth { target: terms.target, added: false, bytes: 0 });
        }
        batch.delete(&keyspace::hint_order(state.partition, &kept.terms, key));
    }
    let mut length = 0;
    batch.put_with(&record_key, |record| {
        let begin = record.len();
        hint.encode(record);
        length = record.len() - begin;
    });
    let length_before = before.as_ref().map_or(0, Bytes::len);
    let bytes = length as i64 - length_before as i64;
    batch.put(&keyspace::hint_order(state.partition, &hint.terms, key), &[]);
    store.commit(batch)?;
    Ok(HintGrowth { target: terms.target, added: before.is_none(), bytes })
}

/// The hints for a target, the most urgent first, up to about so many bytes. A hint that cannot be
/// read is dropped: nothing else will ever come of it, and its target is told to be stale. Nobody knows
/// how long it was, so what is left is counted anew.
pub(super) fn batch(
    state: &mut PartitionState,
    store: &mut impl Store,
    target: NodeId,
    bytes_max: u64,
    notes: &mut Notes,
) -> Result<HintBatch, Refusal> {
    let prefix = keyspace::hint_order_of(state.partition, target);
    let mut hints = Vec::new();
    let (mut bytes, mut dropped) = (0, 0);
    let mut broken = Batch::default();
    store.scan(View::Live, &prefix, &[], &mut |place, _| {
        let Some(StoredRecord::HintOrder { key, .. }) = keyspace::parse(place) else {
            return ControlFlow::Continue(());
        };
        let record_key = keyspace::hint(state.partition, &key, target);
        let read = store.get(View::Live, &record_key).and_then(|record| {
            record.map(|record| Ok((record.len() as u64, decode(&record)?))).transpose()
        });
        match read {
            Ok(Some((length, hint))) => {
                bytes += length;
                hints.push(hint);
            }
            Ok(None) => broken.delete(place),
            Err(Corrupt) => {
                dropped += 1;
                broken.delete(&record_key);
                broken.delete(place);
            }
        }
        if bytes < bytes_max { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    if bytes >= bytes_max {
        notes.probe(Probe::HintBatchFull);
    }
    if !broken.is_empty() {
        store.commit(broken)?;
    }
    let mut left = None;
    if dropped > 0 {
        let partition = state.partition;
        left = Some(kept_for(store, partition, target));
        state.fallback.forget(EpochReason::Corruption);
        notes.events.push(Event::Corrupt { partition });
        notes.events.push(Event::HintDropped { target, partition });
        notes.probe(Probe::HintCorrupt);
    }
    Ok(HintBatch { hints, left })
}

/// Counts the hints that are kept for a target in a partition.
fn kept_for(store: &impl Store, partition: PartitionId, target: NodeId) -> KeptHints {
    let mut kept = KeptHints { partition, target, count: 0, bytes: 0 };
    store.scan(View::Live, &keyspace::hint_order_of(partition, target), &[], &mut |place, _| {
        if let Some(StoredRecord::HintOrder { key, .. }) = keyspace::parse(place) {
            let record = store.get(View::Live, &keyspace::hint(partition, &key, target));
            kept.count += 1;
            kept.bytes += record.ok().flatten().map_or(0, |record| record.len() as u64);
        }
        ControlFlow::Continue(())
    });
    kept
}

/// Deletes hints, unless they have grown since the container of this hash was taken from them.
pub(super) fn drop(
    state: &mut PartitionState,
    store: &mut impl Store,
    target: NodeId,
    items: &[(Key, ContentHash)],
    notes: &mut Notes,
) -> Result<Dropped, Refusal> {
    let mut batch = Batch::default();
    let (mut count, mut bytes, mut minted) = (0, 0, false);
    for (key, hash) in items {
        let record_key = keyspace::hint(state.partition, key, target);
        let Ok(Some(record)) = store.get(View::Live, &record_key) else { continue };
        let Ok(hint) = decode(&record) else { continue };
        if hint.container.hash(key) != *hash {
            notes.probe(Probe::HintGrewInDelivery);
            continue;
        }
        batch.delete(&record_key);
        batch.delete(&keyspace::hint_order(state.partition, &hint.terms, key));
        count += 1;
        bytes += record.len() as u64;
        minted |= hint.minted;
    }
    if count > 0 {
        store.commit(batch)?;
    }
    if minted {
        state.fallback.forget(EpochReason::HintDeleted);
    }
    Ok(Dropped { count, bytes })
}

pub(super) fn decode(record: &Bytes) -> Result<StoredHint, Corrupt> {
    let mut input = Reader::sharing(record);
    let hint = StoredHint::decode(&mut input).map_err(|Malformed| Corrupt)?;
    if input.rest().is_empty() { Ok(hint) } else { Err(Corrupt) }
}
