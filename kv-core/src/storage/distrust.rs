//! A store that has lost records, and nobody can say which. What is left is true, or was; what it says of
//! the rest is not.
//!
//! - A *data marker* says that all is there: it is taken away.
//! - A *Merkle leaf* counts all containers of the leaf, also those that are gone, so that a comparison
//!   with another owner would find nothing missing: it is summed up anew.
//! - A *pledge* says that the store was new, and the founding that came after it may be what was lost: it is
//!   taken away, as a node that pledges is believed to hold all of a new cluster's nothing.
//! - The *runs* that wrote the log say how much each found: the record of them goes, and the node answers
//!   for nothing that was written before.
//! - A *hint* without its place in the order of replay gets it back; a place without its hint is dropped
//!   when its turn comes.
//!
//! Containers, the founding and the notes of corrupt keys stay: each says only what it says of itself.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::hints;
use super::keyspace::{self, StoredRecord};
use super::owned::{bytes_of, skim_owned};
use crate::merkle::LeafId;
use crate::store::{Batch, Corrupt, Store, StoreFault, View};
use crate::types::{ContentHash, PartitionId};

/// Takes data markers, pledges and the record of runs away, has each Merkle leaf count the containers that can be read, and
/// gives each hint its place in the order of replay. In batches, one for each partition and one before;
/// if not all of them are committed, all is to be done again. Something is always committed.
///
/// # Errors
/// [`StoreFault`], if the store does.
pub fn distrust(store: &mut impl Store, partitions: u32) -> Result<(), StoreFault> {
    let mut of_whole = Batch::default();
    for said in [keyspace::ALL_PLEDGES, keyspace::RUNS_KEY] {
        store.scan(View::Live, said, &[], &mut |key, _| {
            of_whole.delete(key);
            ControlFlow::Continue(())
        });
    }
    if !of_whole.is_empty() {
        store.commit(of_whole)?;
    }
    for partition in (0..partitions).map(PartitionId) {
        let mut batch = Batch::default();
        batch.delete(&keyspace::marker(partition));
        correct_leaves(store, partition, &mut batch);
        for place in missing_places(store, partition) {
            batch.put(&place, &[]);
        }
        store.commit(batch)?;
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
