//! A store that has lost records, and nobody can say which: it believes what it holds and nothing else.
//!
//! A batch writes a container together with the hash of its Merkle leaf, which counts all containers of
//! the leaf. If some of the batches are lost, what is left is true and does not fit together: a leaf
//! counts containers that are gone, so that a comparison with another owner finds nothing missing.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::hints;
use super::keyspace::{self, StoredRecord};
use super::owned::{bytes_of, skim_owned};
use crate::merkle::LeafId;
use crate::store::{Batch, Corrupt, Store, StoreFault, View};
use crate::types::{ContentHash, PartitionId};

/// Takes all data markers away, has each Merkle leaf count the containers that can be read, and gives
/// each hint its place in the order of replay. In batches, one for each partition at most; if not all of
/// them are committed, all is to be done again.
///
/// # Errors
/// [`StoreFault`], if the store does.
pub fn distrust(store: &mut impl Store, partitions: u32) -> Result<(), StoreFault> {
    for partition in (0..partitions).map(PartitionId) {
        let mut batch = Batch::default();
        let marker = keyspace::marker(partition);
        if store.get(View::Live, &marker) != Ok(None) {
            batch.delete(&marker);
        }
        correct_leaves(store, partition, &mut batch);
        for place in missing_places(store, partition) {
            batch.put(&place, &[]);
        }
        if !batch.is_empty() {
            store.commit(batch)?;
        }
    }
    Ok(())
}

fn correct_leaves(store: &impl Store, partition: PartitionId, batch: &mut Batch) {
    let mut held = BTreeMap::<LeafId, u128>::new();
    store.scan(View::Live, &keyspace::owned_of(partition), &[], &mut |key, record| {
        if let Some(leaf) = keyspace::leaf_of_owned(key)
            && let Ok((hash, _)) = record.and_then(skim_owned)
        {
            let sum = held.entry(leaf).or_default();
            *sum = sum.wrapping_add(hash.0);
        }
        ControlFlow::Continue(())
    });
    let mut said = BTreeMap::<LeafId, Result<Vec<u8>, Corrupt>>::new();
    store.scan(View::Live, &keyspace::leaves_in(partition), &[], &mut |key, record| {
        if let Some(StoredRecord::Leaf { leaf, .. }) = keyspace::parse(key) {
            said.insert(leaf, record.map(|record| record.to_vec()));
        }
        ControlFlow::Continue(())
    });
    let leaves: BTreeSet<_> = held.keys().chain(said.keys()).copied().collect();
    for leaf in leaves {
        let record = held.get(&leaf).map(|&sum| bytes_of(ContentHash(sum)).to_vec());
        if said.get(&leaf).cloned().transpose() != Ok(record.clone()) {
            match record {
                Some(record) => batch.put(&keyspace::leaf(partition, leaf), &record),
                None => batch.delete(&keyspace::leaf(partition, leaf)),
            }
        }
    }
}

/// The places in the order of replay that hints of a partition should have and do not.
fn missing_places(store: &impl Store, partition: PartitionId) -> Vec<keyspace::StoreKey> {
    let mut missing = Vec::new();
    store.scan(View::Live, &keyspace::hints_in(partition), &[], &mut |_, record| {
        if let Ok(hint) = record.and_then(hints::decode) {
            let place = keyspace::hint_order(partition, &hint.terms, &hint.key);
            if store.get(View::Live, &place) == Ok(None) {
                missing.push(place);
            }
        }
        ControlFlow::Continue(())
    });
    missing
}
