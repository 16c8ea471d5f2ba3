//! An owner's containers: how they are read and written, with their Merkle leaf, in one batch.

use alloc::vec::Vec;
use core::ops::ControlFlow;

use bytes::Bytes;

use super::keyspace;
use super::partitions::PartitionState;
use crate::event::{EpochReason, Event};
use crate::merkle::{LeafId, leaf_of};
use crate::store::{Batch, Damage, Fault, Store, View};
use crate::types::{Digest, Key};
use crate::version::Container;

const DIGEST_BYTES: usize = 16;

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
    match store.get(view, &keyspace::owned(state.partition, leaf, key))? {
        None => Ok(Owned { container: Container::default(), digest: None }),
        Some(record) => {
            let (digest, container) = decode_owned(&record)?;
            Ok(Owned { container, digest: Some(digest) })
        }
    }
}

/// As [`load`], for a write which may go on without what it cannot read: the record counts as
/// missing, its actor is given up, and the write that follows replaces it.
pub(super) fn load_or_replace(
    state: &mut PartitionState,
    store: &impl Store,
    key: &Key,
    events: &mut Vec<Event>,
) -> Owned {
    load(state, store, View::Live, key).unwrap_or_else(|Damage| {
        on_damage(state, events);
        Owned { container: Container::default(), digest: digest_of_unreadable(state, store, key) }
    })
}

/// What a damaged record costs: whatever was minted into it may be lost.
pub(super) fn on_damage(state: &mut PartitionState, events: &mut Vec<Event>) {
    state.owner.forget(EpochReason::Damage);
    state.stand_in.forget(EpochReason::Damage);
    events.push(Event::Damaged { partition: state.partition });
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
    let mut batch = Batch::default();
    batch.put(keyspace::owned(state.partition, leaf, key), encode(digest, container));
    let leaf_record = Bytes::copy_from_slice(&leaf_digest.0.to_be_bytes());
    batch.put(keyspace::leaf(state.partition, leaf), leaf_record);
    let committed = store.commit(batch);
    if committed.is_err() {
        state.tree.replace(leaf, Some(digest), before);
    }
    committed.map(|_| ())
}

fn encode(digest: Digest, container: &Container) -> Bytes {
    let mut record = Vec::with_capacity(DIGEST_BYTES + container.weight());
    record.extend_from_slice(&digest.0.to_be_bytes());
    Bytes::from(postcard::to_extend(container, record).expect("a vector takes every value"))
}

/// The container of an owner's record, and its digest.
///
/// # Errors
/// [`Damage`], if the bytes are not such a record.
pub fn decode_owned(record: &[u8]) -> Result<(Digest, Container), Damage> {
    let (digest, encoded) = record.split_first_chunk::<DIGEST_BYTES>().ok_or(Damage)?;
    let (container, rest) = postcard::take_from_bytes(encoded).map_err(|_| Damage)?;
    if !rest.is_empty() {
        return Err(Damage);
    }
    Ok((Digest(u128::from_be_bytes(*digest)), container))
}

/// What the leaf counts for a record that cannot be read: the leaf less all that can.
fn digest_of_unreadable(state: &PartitionState, store: &impl Store, key: &Key) -> Option<Digest> {
    let leaf = leaf_of(key.token(), state.partitions);
    let mut rest = state.tree.leaf(leaf).0;
    for_each_in_leaf(state, store, leaf, None, |_, record| {
        if let Ok((digest, _)) = record {
            rest = rest.wrapping_sub(digest.0);
        }
        ControlFlow::Continue(())
    });
    Some(Digest(rest))
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
        visit(key, record.and_then(|record| decode_owned(record)))
    });
}
