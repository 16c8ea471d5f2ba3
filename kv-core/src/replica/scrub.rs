//! Reading everything from time to time, so that damage is found while there are still others to
//! repair it from.

use super::execute::Notes;
use super::partitions::{PartitionState, marker_of};
use super::{keyspace, owned};
use crate::event::Event;
use crate::merkle::LeafId;
use crate::store::{Batch, Damage, Done, Refusal, Store, View};
use crate::types::Digest;

/// Reads the leaves from this one on, up to about so many bytes. A damaged container is lost. What
/// memory knows as well, a Merkle leaf or the data marker, is written anew.
pub(super) fn scrub(
    state: &mut PartitionState,
    store: &mut impl Store,
    from: LeafId,
    bytes_max: u64,
    notes: &mut Notes,
) -> Result<Done, Refusal> {
    let mut mended = Batch::default();
    let marker = keyspace::marker(state.partition);
    if state.synced && store.get(View::Live, &marker).is_err() {
        mended.put(marker, marker_of(state.node));
    }
    let (mut bytes, mut next) = (0, None);
    // Of an empty leaf there is nothing to read.
    let filled = |leaf: &LeafId| *leaf >= from && state.tree.leaf(*leaf) != Digest::default();
    let leaves: alloc::vec::Vec<LeafId> = LeafId::all().filter(filled).collect();
    for leaf in leaves {
        if bytes >= bytes_max {
            next = Some(leaf);
            break;
        }
        bytes += read_leaf(state, store, leaf, notes);
        let record_key = keyspace::leaf(state.partition, leaf);
        if store.get(View::Live, &record_key).is_err() {
            mended.put(record_key, owned::encode_leaf(state.tree.leaf(leaf)));
        }
    }
    if !mended.writes.is_empty() {
        let damaged = Event::Damaged { partition: state.partition };
        notes.events.extend(mended.writes.iter().map(|_| damaged.clone()));
        store.commit(mended)?;
    }
    Ok(Done::Scrubbed { next })
}

/// Returns how many bytes the leaf holds.
fn read_leaf(
    state: &mut PartitionState,
    store: &impl Store,
    leaf: LeafId,
    notes: &mut Notes,
) -> u64 {
    let (mut bytes, mut unreadable) = (0, alloc::vec::Vec::new());
    owned::for_each_in_leaf(state, store, leaf, None, |key, record| {
        match record {
            Ok((_, container)) => bytes += (key.bytes().len() + container.weight()) as u64,
            Err(Damage) => unreadable.push(key),
        }
        core::ops::ControlFlow::Continue(())
    });
    for key in unreadable {
        owned::lose(state, store, &key, notes);
    }
    bytes
}
