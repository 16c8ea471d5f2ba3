//! An owner's containers: how they are read, joined and written, with their Merkle leaf, in one
//! batch; and what becomes of those that are corrupt.
//!
//! A corrupt record is neither "not found" nor a reason to give up the whole partition. Its key is
//! *corrupt*: an exception from the data marker, refused to readers until repair has asked enough other
//! owners. Nothing is minted upon it, but merges go on; the first one puts a readable record in its
//! place, which holds too little, so the exception is written beside it. The tree counts what can
//! be read: so the other owners' trees differ from it, and a comparison brings back what they have.
//!
//! Invariant: of a key that stands corrupt, the tree counts nothing.

use alloc::vec::Vec;
use core::ops::ControlFlow;

use bytes::Bytes;

use super::keyspace;
use super::notes::Notes;
use super::partitions::PartitionState;
use crate::codec::{Codec, Malformed, Reader};
use crate::event::{EpochReason, Event};
use crate::merkle::{LeafId, leaf_of};
use crate::probe::Probe;
use crate::store::{Batch, Corrupt, CorruptKey, Refusal, Store, StoreFault, View};
use crate::types::{ContentHash, Key};
use crate::version::Container;

const HASH_BYTES: usize = 16;

/// About what the keys of the store take in a batch beside the keys that they are for.
const KEYS_BYTES: usize = 16;

/// An owner's container with the hash that its Merkle leaf counts for it.
pub(super) struct Owned {
    pub(super) container: Container,
    pub(super) hash: Option<ContentHash>,
}

/// Joins containers into the owner's own, and writes those that grow by it.
pub(super) fn merge(
    state: &mut PartitionState,
    store: &mut impl Store,
    items: &[(Key, Container)],
    notes: &mut Notes,
) -> Result<(), Refusal> {
    for (key, incoming) in items {
        state.owner.look_at(incoming.seen());
        let Owned { mut container, hash } = load_or_replace(state, store, key, notes);
        if container.join(incoming) {
            save(state, store, key, hash, &container)?;
        }
    }
    Ok(())
}

/// Reads what an owner holds of a key; empty, if it knows nothing of it.
pub(super) fn load(
    state: &PartitionState,
    store: &impl Store,
    view: View,
    key: &Key,
) -> Result<Owned, Corrupt> {
    let leaf = leaf_of(key.token(), state.partitions);
    let record_key = keyspace::owned(state.partition, leaf, key);
    Ok(match store.read(view, &record_key, decode_owned)? {
        None => Owned { container: Container::default(), hash: None },
        Some((hash, container)) => Owned { container, hash: Some(hash) },
    })
}

/// Reads as [`load`] does, for a join, which may go on without what it cannot read and then
/// replaces it.
pub(super) fn load_or_replace(
    state: &mut PartitionState,
    store: &impl Store,
    key: &Key,
    notes: &mut Notes,
) -> Owned {
    load(state, store, View::Live, key).unwrap_or_else(|Corrupt| {
        notes.probe(Probe::CorruptReplaced);
        note_corrupt(state, store, key, notes);
        Owned { container: Container::default(), hash: None }
    })
}

/// The live record of a key cannot be read: whatever was minted into it may be lost. Others of its
/// leaf may be found to be corrupt with it.
pub(super) fn note_corrupt(
    state: &mut PartitionState,
    store: &impl Store,
    key: &Key,
    notes: &mut Notes,
) {
    if state.stands_corrupt(key) {
        return;
    }
    state.owner.forget(EpochReason::Corruption);
    let corrupt = sum_up(state, store, leaf_of(key.token(), state.partitions));
    notes.events.extend(corrupt.iter().map(|_| Event::Corrupt { partition: state.partition }));
    notes.corrupt.extend(corrupt);
}

/// Lets a leaf of the tree count what can be read, and nothing else. Returns the keys of what cannot,
/// as far as that was not known.
pub(super) fn sum_up(
    state: &mut PartitionState,
    store: &impl Store,
    leaf: LeafId,
) -> Vec<CorruptKey> {
    let (mut sum, mut corrupt) = (0_u128, Vec::new());
    for_each_in_leaf(state, store, leaf, None, |key, record| {
        match record {
            Ok((hash, _)) => sum = sum.wrapping_add(hash.0),
            Err(Corrupt) => corrupt.push(key),
        }
        ControlFlow::Continue(())
    });
    state.tree.load(leaf, ContentHash(sum));
    corrupt.retain(|key| !state.stands_corrupt(key));
    corrupt.into_iter().map(|key| state.lose(key, false)).collect()
}

/// Writes what an owner now holds of a key, and the key's Merkle leaf, in one batch.
pub(super) fn save(
    state: &mut PartitionState,
    store: &mut impl Store,
    key: &Key,
    before: Option<ContentHash>,
    container: &Container,
) -> Result<(), StoreFault> {
    let leaf = leaf_of(key.token(), state.partitions);
    let hash = container.hash(key);
    let leaf_hash = state.tree.replace(leaf, before, Some(hash));
    let length = 2 * HASH_BYTES + container.weight() + key.bytes().len() + KEYS_BYTES;
    let mut batch = Batch::with_capacity(length);
    batch.put_with(&keyspace::owned(state.partition, leaf, key), |record| {
        record.extend_from_slice(&bytes_of(hash));
        container.encode(record);
    });
    batch.put(&keyspace::leaf(state.partition, leaf), &bytes_of(leaf_hash));
    let loss = state.corrupt.get_mut(key);
    if loss.is_some() {
        batch.put(&keyspace::corrupt(state.partition, key), &[]);
    }
    match store.commit(batch) {
        Ok(_) => {
            if let Some(loss) = loss {
                loss.is_overwritten = true;
            }
            Ok(())
        }
        Err(fault) => {
            state.tree.replace(leaf, Some(hash), before);
            Err(fault)
        }
    }
}

/// Believes what is held of a lost key again, unless it was lost once more since the others were
/// asked: that may have taken what came after their answers. If `is_unknown`, nothing is known of it
/// elsewhere either: what cannot be read is deleted. Returns whether the key is whole now.
pub(super) fn mark_repaired(
    state: &mut PartitionState,
    store: &mut impl Store,
    CorruptKey { key, number }: &CorruptKey,
    is_unknown: bool,
    notes: &mut Notes,
) -> Result<bool, StoreFault> {
    let is_readable = load(state, store, View::Live, key).is_ok();
    if !is_readable {
        note_corrupt(state, store, key, notes);
    }
    let is_the_one = state.corrupt.get(key).is_some_and(|corruption| corruption.number == *number);
    if !is_the_one || !is_readable && !is_unknown {
        return Ok(false);
    }
    let mut batch = Batch::default();
    batch.delete(&keyspace::corrupt(state.partition, key));
    if !is_readable {
        let leaf = leaf_of(key.token(), state.partitions);
        batch.delete(&keyspace::owned(state.partition, leaf, key));
        let leaf_hash = bytes_of(state.tree.leaf(leaf));
        batch.put(&keyspace::leaf(state.partition, leaf), &leaf_hash);
        notes.probe(Probe::CorruptDeleted);
    }
    store.commit(batch)?;
    state.corrupt.remove(key);
    Ok(true)
}

/// A hash as a record: all of that of a Merkle leaf, and the beginning of an owner's.
pub(super) const fn bytes_of(hash: ContentHash) -> [u8; HASH_BYTES] {
    hash.0.to_be_bytes()
}

/// The container of an owner's record, and its hash. Its values share the record.
///
/// # Errors
/// [`Corrupt`], if the bytes are not such a record.
pub fn decode_owned(record: &Bytes) -> Result<(ContentHash, Container), Corrupt> {
    read_owned(Reader::sharing(record))
}

/// Decodes as [`decode_owned`] does, what is said about the values: these themselves are left out.
pub(super) fn skim_owned(record: &Bytes) -> Result<(ContentHash, Container), Corrupt> {
    read_owned(Reader::skimming(record))
}

fn read_owned(mut input: Reader<'_>) -> Result<(ContentHash, Container), Corrupt> {
    let mut read = || {
        let hash = ContentHash(u128::from_be_bytes(input.array()?));
        Ok((hash, Container::decode(&mut input)?))
    };
    let owned = read().map_err(|Malformed| Corrupt)?;
    if input.rest().is_empty() { Ok(owned) } else { Err(Corrupt) }
}

/// Visits the live containers of a leaf, in the order of their keys, behind `after`.
pub(super) fn for_each_in_leaf(
    state: &PartitionState,
    store: &impl Store,
    leaf: LeafId,
    after: Option<&Key>,
    mut visit: impl FnMut(Key, Result<(ContentHash, Container), Corrupt>) -> ControlFlow<()>,
) {
    let prefix = keyspace::owned_in(state.partition, leaf);
    let after = after.map(|key| keyspace::owned(state.partition, leaf, key)).unwrap_or_default();
    store.scan(View::Live, &prefix, &after, &mut |key, record| {
        let key = Key::from(&key[prefix.len()..]);
        visit(key, record.and_then(decode_owned))
    });
}
