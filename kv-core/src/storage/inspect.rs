//! A look at the contents of a store from outside, for checks and for operators. It changes
//! nothing.

use alloc::collections::BTreeMap;
use core::ops::ControlFlow;

use bytes::Bytes;

use super::keyspace::{StoreKey, StoredRecord};
use super::{hints, keyspace, owned};
use crate::merkle::leaf_of;
use crate::ring::Ring;
use crate::store::{Corrupt, Store, View};
use crate::types::{Key, NodeId, PartitionId};
use crate::version::{Container, VersionVector};

/// The copies that a store holds of a key, joined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// The owner's copy joined with all hints, as far as they can be read.
    pub container: Container,
    /// Tells whether the owner's copy is there and cannot be read.
    pub is_corrupt: bool,
}

/// One of the containers that a store holds, with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCopy {
    /// The key of the container.
    pub key: Key,
    /// The owner for whom the container is kept as a hint; none if it is the node's own as an
    /// owner.
    pub kept_for: Option<NodeId>,
    /// The container, if it can be read.
    pub container: Result<Container, Corrupt>,
}

/// Visits every container of a store: the node's own, then those that it keeps as hints.
pub fn for_each_copy(store: &impl Store, view: View, mut visit: impl FnMut(StoredCopy)) {
    for prefix in keyspace::OF_CONTAINERS {
        store.scan(view, prefix, &[], &mut |record_key, record| {
            match keyspace::parse(record_key) {
                Some(StoredRecord::Owned { key, .. }) => {
                    let container = record.and_then(owned::decode_owned);
                    let container = container.map(|(_, container)| container);
                    visit(StoredCopy { key, kept_for: None, container });
                }
                Some(StoredRecord::Hint { key, target, .. }) => {
                    let container = record.and_then(hints::decode);
                    let container = container.map(|hint| hint.container);
                    visit(StoredCopy { key, kept_for: Some(target), container });
                }
                Some(
                    StoredRecord::HintOrder { .. }
                    | StoredRecord::Leaf { .. }
                    | StoredRecord::Marker { .. }
                    | StoredRecord::Corrupt { .. }
                    | StoredRecord::Founded
                    | StoredRecord::Runs
                    | StoredRecord::Pledge { .. },
                )
                | None => {}
            }
            ControlFlow::Continue(())
        });
    }
}

/// Tells whether a node with this store takes its copy of a key for all that it must hold of it as
/// an owner, and gives it to readers: the data marker is there, and the key is no exception from
/// it.
pub fn is_repaired(store: &impl Store, view: View, ring: &Ring, key: &Key) -> bool {
    let partition = ring.partition_of(key.token());
    let is_marked = matches!(store.get(view, &keyspace::marker(partition)), Ok(Some(_)));
    let is_listed = store.get(view, &keyspace::corrupt(partition, key)) != Ok(None);
    is_marked && !is_listed && !held(store, view, ring, key).is_corrupt
}

/// The copies that a store holds of a key: the owner's and all hints, joined.
pub fn held(store: &impl Store, view: View, ring: &Ring, key: &Key) -> Held {
    let mut held = match owned_copy(store, view, ring, key) {
        Ok(found) => Held { container: found.unwrap_or_default(), is_corrupt: false },
        Err(Corrupt) => Held { container: Container::default(), is_corrupt: true },
    };
    held.container.join(&hinted(store, view, ring, key));
    held
}

/// Tells whether any copy that a store holds of a key has seen what is asked for, as far as copies
/// can be read. The owner's is asked first, then the hints, until one has.
pub fn any_has_seen(
    store: &impl Store,
    view: View,
    ring: &Ring,
    key: &Key,
    has_seen: impl Fn(&VersionVector) -> bool,
) -> bool {
    let partition = ring.partition_of(key.token());
    let owned = store.read(view, &owned_key(ring, key), owned::skim_owned);
    if owned.is_ok_and(|owned| owned.is_some_and(|(_, container)| has_seen(container.seen()))) {
        return true;
    }
    let mut a_hint_has = false;
    hints::for_each(partition, store, view, key, |hint| {
        a_hint_has |= hint.is_ok_and(|hint| has_seen(hint.container.seen()));
    });
    a_hint_has
}

/// The join of all hints that a store holds of a key, as far as they can be read.
pub fn hinted(store: &impl Store, view: View, ring: &Ring, key: &Key) -> Container {
    let mut hinted = Container::default();
    hints::for_each(ring.partition_of(key.token()), store, view, key, |hint| {
        if let Ok(hint) = hint {
            hinted.join(&hint.container);
        }
    });
    hinted
}

/// The records of all that a node holds of a partition as an owner, by key, as far as they can be
/// read.
pub fn owned_records(
    store: &impl Store,
    view: View,
    partition: PartitionId,
) -> BTreeMap<Key, Result<Bytes, Corrupt>> {
    let mut records = BTreeMap::new();
    store.scan(view, &keyspace::owned_of(partition), &[], &mut |record_key, record| {
        if let Some(StoredRecord::Owned { key, .. }) = keyspace::parse(record_key) {
            records.insert(key, record.cloned());
        }
        ControlFlow::Continue(())
    });
    records
}

/// A node's own copy of a key as an owner, without what it keeps for others; none, if it knows
/// nothing of it.
///
/// # Errors
/// [`Corrupt`], if the copy is there and cannot be read.
pub fn owned_copy(
    store: &impl Store,
    view: View,
    ring: &Ring,
    key: &Key,
) -> Result<Option<Container>, Corrupt> {
    let found = store.read(view, &owned_key(ring, key), owned::decode_owned)?;
    Ok(found.map(|(_, container)| container))
}

fn owned_key(ring: &Ring, key: &Key) -> StoreKey {
    let leaf = leaf_of(key.token(), ring.layout().partitions);
    keyspace::owned(ring.partition_of(key.token()), leaf, key)
}
