//! An owner's containers: how they are read and written, with their Merkle leaf, in one batch; and
//! what becomes of those that are damaged.
//!
//! A damaged record is neither "not found" nor a reason to give up the whole partition. Its key is
//! *lost*: an exception from the data marker, refused to readers until repair has asked enough other
//! owners. Writes go on; the first one puts a readable record in its place, which holds too little,
//! so the exception is written beside it. The tree counts what can be read: so the other owners'
//! trees differ from it, and a comparison brings back what they have.
//!
//! Invariant: of a key that is lost and unreadable, the tree counts nothing.

use alloc::vec::Vec;
use core::ops::ControlFlow;

use bytes::Bytes;

use super::execute::Notes;
use super::keyspace;
use super::partitions::PartitionState;
use crate::codec::{Codec, Malformed, Reader};
use crate::event::{EpochReason, Event};
use crate::mark::Mark;
use crate::merkle::{LeafId, leaf_of};
use crate::store::{Batch, Damage, Fault, Store, View};
use crate::types::{Digest, Key};
use crate::version::Container;

const DIGEST_BYTES: usize = 16;

/// About what the keys of the store take in a batch beside the keys that they are for.
const KEYS_BYTES: usize = 16;

/// What is left of a key whose record was damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// Nothing.
    Unreadable,
    /// What was written since: some of what this owner must hold.
    Partial,
}

/// An owner's container with the digest that its Merkle leaf counts for it.
pub(super) struct Owned {
    pub(super) container: Container,
    pub(super) digest: Option<Digest>,
}

/// Reads what an owner holds of a key; empty, if it knows nothing of it.
pub(super) fn load(
    state: &PartitionState,
    store: &impl Store,
    view: View,
    key: &Key,
) -> Result<Owned, Damage> {
    let leaf = leaf_of(key.token(), state.partitions);
    let record_key = keyspace::owned(state.partition, leaf, key);
    Ok(match store.read(view, &record_key, decode_owned)? {
        None => Owned { container: Container::default(), digest: None },
        Some((digest, container)) => Owned { container, digest: Some(digest) },
    })
}

/// As [`load`], for a join, which may go on without what it cannot read and then replaces it.
pub(super) fn load_or_replace(
    state: &mut PartitionState,
    store: &impl Store,
    key: &Key,
    notes: &mut Notes,
) -> Owned {
    load(state, store, View::Live, key).unwrap_or_else(|Damage| {
        notes.mark(Mark::DamagedReplaced);
        lose(state, store, key, notes);
        Owned { container: Container::default(), digest: None }
    })
}

/// The live record of a key cannot be read: whatever was minted into it may be lost. Others of its
/// leaf may be found to be unreadable with it.
pub(super) fn lose(state: &mut PartitionState, store: &impl Store, key: &Key, notes: &mut Notes) {
    if state.lost.get(key) == Some(&Loss::Unreadable) {
        return;
    }
    state.owner.forget(EpochReason::Damage);
    let lost = sum_up(state, store, leaf_of(key.token(), state.partitions));
    notes.events.extend(lost.iter().map(|_| Event::Damaged { partition: state.partition }));
    notes.lost.extend(lost);
}

/// Lets a leaf of the tree count what can be read, and nothing else. Returns the keys of what cannot,
/// as far as that was not known.
pub(super) fn sum_up(state: &mut PartitionState, store: &impl Store, leaf: LeafId) -> Vec<Key> {
    let (mut sum, mut unreadable) = (0_u128, Vec::new());
    for_each_in_leaf(state, store, leaf, None, |key, record| {
        match record {
            Ok((digest, _)) => sum = sum.wrapping_add(digest.0),
            Err(Damage) => unreadable.push(key),
        }
        ControlFlow::Continue(())
    });
    state.tree.load(leaf, Digest(sum));
    unreadable
        .retain(|key| state.lost.insert(key.clone(), Loss::Unreadable) != Some(Loss::Unreadable));
    unreadable
}

/// Writes what an owner now holds of a key, and the key's Merkle leaf, in one batch.
pub(super) fn save(
    state: &mut PartitionState,
    store: &mut impl Store,
    key: &Key,
    before: Option<Digest>,
    container: &Container,
) -> Result<(), Fault> {
    let leaf = leaf_of(key.token(), state.partitions);
    let digest = container.digest(key);
    let leaf_digest = state.tree.replace(leaf, before, Some(digest));
    let length = 2 * DIGEST_BYTES + container.weight() + key.bytes().len() + KEYS_BYTES;
    let mut batch = Batch::with_capacity(length);
    batch.put_with(&keyspace::owned(state.partition, leaf, key), |record| {
        record.extend_from_slice(&bytes_of(digest));
        container.encode(record);
    });
    batch.put(&keyspace::leaf(state.partition, leaf), &bytes_of(leaf_digest));
    let loss = state.lost.get_mut(key);
    if loss.is_some() {
        batch.put(&keyspace::lost(state.partition, key), &[]);
    }
    match store.commit(batch) {
        Ok(_) => {
            if let Some(loss) = loss {
                *loss = Loss::Partial;
            }
            Ok(())
        }
        Err(fault) => {
            state.tree.replace(leaf, Some(digest), before);
            Err(fault)
        }
    }
}

/// Believes what is held of a lost key again. If `is_unknown`, nothing is known of it elsewhere
/// either: what cannot be read is deleted. Returns whether the key is whole now.
pub(super) fn make_whole(
    state: &mut PartitionState,
    store: &mut impl Store,
    key: &Key,
    is_unknown: bool,
    notes: &mut Notes,
) -> Result<bool, Fault> {
    let is_readable = load(state, store, View::Live, key).is_ok();
    if !is_readable {
        lose(state, store, key, notes);
        if !is_unknown {
            return Ok(false);
        }
    }
    let mut batch = Batch::default();
    batch.delete(&keyspace::lost(state.partition, key));
    if !is_readable {
        let leaf = leaf_of(key.token(), state.partitions);
        batch.delete(&keyspace::owned(state.partition, leaf, key));
        let leaf_digest = bytes_of(state.tree.leaf(leaf));
        batch.put(&keyspace::leaf(state.partition, leaf), &leaf_digest);
        notes.mark(Mark::DamagedDeleted);
    }
    store.commit(batch)?;
    state.lost.remove(key);
    Ok(true)
}

/// A digest as a record: all of that of a Merkle leaf, and the beginning of an owner's.
pub(super) const fn bytes_of(digest: Digest) -> [u8; DIGEST_BYTES] {
    digest.0.to_be_bytes()
}

/// The container of an owner's record, and its digest. Its values share the record.
///
/// # Errors
/// [`Damage`], if the bytes are not such a record.
pub fn decode_owned(record: &Bytes) -> Result<(Digest, Container), Damage> {
    read_owned(Reader::sharing(record))
}

/// As [`decode_owned`], for what is said about the values: these themselves are left out.
pub(super) fn skim_owned(record: &Bytes) -> Result<(Digest, Container), Damage> {
    read_owned(Reader::skimming(record))
}

fn read_owned(mut input: Reader<'_>) -> Result<(Digest, Container), Damage> {
    let mut read = || {
        let digest = Digest(u128::from_be_bytes(input.array()?));
        Ok((digest, Container::decode(&mut input)?))
    };
    let owned = read().map_err(|Malformed| Damage)?;
    if input.rest().is_empty() { Ok(owned) } else { Err(Damage) }
}

/// Visits the live containers of a leaf, in the order of their keys, behind `after`.
pub(super) fn for_each_in_leaf(
    state: &PartitionState,
    store: &impl Store,
    leaf: LeafId,
    after: Option<&Key>,
    mut visit: impl FnMut(Key, Result<(Digest, Container), Damage>) -> ControlFlow<()>,
) {
    let prefix = keyspace::owned_in(state.partition, leaf);
    let after = after.map(|key| keyspace::owned(state.partition, leaf, key)).unwrap_or_default();
    store.scan(View::Live, &prefix, &after, &mut |key, record| {
        let key = Key::from(&key[prefix.len()..]);
        visit(key, record.and_then(decode_owned))
    });
}
