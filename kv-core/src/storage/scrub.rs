//! Reading everything from time to time, so that corruption is found while there are still others to
//! repair it from.

use alloc::vec::Vec;
use core::iter;
use core::ops::ControlFlow;

use super::keyspace::{self, StoredRecord};
use super::notes::Notes;
use super::owned::{self, skim_owned};
use super::partitions::{PartitionState, marker_of};
use crate::event::Event;
use crate::merkle::LeafId;
use crate::probe::Probe;
use crate::store::{Batch, Corrupt, Refusal, Store, View};
use crate::types::Key;

/// The part of a partition that was read.
#[derive(Default)]
struct Part {
    /// The last leaf that was read to its end; nothing, if all leaves were.
    until: Option<LeafId>,
    corrupt: Vec<Key>,
}

/// Reads the leaves from this one on, up to about so many bytes. Of a corrupt container the key is listed. What
/// memory knows as well, a Merkle leaf or the data marker, is written anew.
///
/// The tree does not say where to look: a leaf that counts nothing may hold what cannot be read.
pub(super) fn scrub(
    state: &mut PartitionState,
    store: &mut impl Store,
    from: LeafId,
    bytes_max: u64,
    notes: &mut Notes,
) -> Result<Option<LeafId>, Refusal> {
    let Part { until, corrupt } = read(state, store, from, bytes_max);
    for key in corrupt {
        owned::note_corrupt(state, store, &key, notes);
    }
    let mut rewritten = Batch::default();
    let leaves = keyspace::leaves_in(state.partition);
    store.scan(View::Live, &leaves, &[], &mut |record_key, record| {
        if let (Some(StoredRecord::Leaf { leaf, .. }), Err(Corrupt)) =
            (keyspace::parse(record_key), record)
        {
            let known = owned::bytes_of(state.tree.leaf(leaf));
            rewritten.put(&keyspace::leaf(state.partition, leaf), &known);
        }
        ControlFlow::Continue(())
    });
    let marker = keyspace::marker(state.partition);
    if state.complete && store.get(View::Live, &marker).is_err() {
        rewritten.put(&marker, &marker_of(state.node));
    }
    if !rewritten.is_empty() {
        notes.probe(Probe::LeafRewritten);
        let corrupt = Event::Corrupt { partition: state.partition };
        notes.events.extend(iter::repeat_n(corrupt, rewritten.len()));
        store.commit(rewritten)?;
    }
    if until.is_some() {
        notes.probe(Probe::ScrubCutOff);
    }
    Ok(until.and_then(|until| until.0.checked_add(1)).map(LeafId))
}

fn read(state: &PartitionState, store: &impl Store, from: LeafId, bytes_max: u64) -> Part {
    let mut part = Part::default();
    let (mut bytes, mut at) = (0, from);
    let all = keyspace::owned_of(state.partition);
    let before = keyspace::owned_in(state.partition, from);
    store.scan(View::Live, &all, &before, &mut |record_key, record| {
        let Some(leaf) = keyspace::leaf_of_owned(record_key) else {
            return ControlFlow::Continue(());
        };
        if leaf != at && bytes >= bytes_max {
            part.until = Some(at);
            return ControlFlow::Break(());
        }
        at = leaf;
        match record.and_then(|record| Ok((record.len(), skim_owned(record)?))) {
            Ok((length, _)) => bytes += (record_key.len() + length) as u64,
            Err(Corrupt) => {
                if let Some(StoredRecord::Owned { key, .. }) = keyspace::parse(record_key) {
                    part.corrupt.push(key);
                }
            }
        }
        ControlFlow::Continue(())
    });
    part
}
