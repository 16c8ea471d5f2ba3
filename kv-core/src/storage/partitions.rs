//! The state that storage keeps in memory beside the store, per partition. How it is found again at
//! start is in `opening.rs`.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::keyspace;
use super::minter::Minter;
use super::recent::RecentRequests;
use crate::merkle::Tree;
use crate::store::{Batch, CorruptKey, Refusal, Store};
use crate::types::{ContentHash, Key, NodeId, PartitionId};

/// The partitions of one node. Those that were never touched take no memory.
#[derive(Clone, Debug)]
pub struct Partitions {
    pub(super) node: NodeId,
    pub(super) recent_requests: usize,
    pub(super) states: Vec<Option<Box<PartitionState>>>,
}

/// The state of storage for one partition. Commands of different partitions share nothing.
#[derive(Clone, Debug)]
pub struct PartitionState {
    pub(super) node: NodeId,
    pub(super) partition: PartitionId,
    /// The number of partitions of the ring: it says which bits of a token choose the Merkle leaf.
    pub(super) partitions: u32,
    /// The actor of this node as an owner.
    pub(super) owner: Minter,
    /// The actor of this node as a fallback. One for all targets: see `hints.rs`.
    pub(super) fallback: Minter,
    pub(super) recent: RecentRequests,
    pub(super) tree: Tree,
    /// True if the data marker stands.
    pub(super) complete: bool,
    /// Keys of which a record was corrupt: what the marker says is not true of them.
    pub(super) corrupt: BTreeMap<Key, Corruption>,
    /// The number of the last corruption. The partition is in the upper half, so that those of two
    /// partitions differ.
    pub(super) corruptions: u64,
}

/// The loss of what an owner held of a key, as its record was corrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Corruption {
    /// The number of this loss.
    pub(super) number: u64,
    /// True if something was written since: some of what this owner must hold. Otherwise the record
    /// cannot be read still.
    pub(super) is_overwritten: bool,
}

impl Partitions {
    /// The state of this partition.
    ///
    /// # Panics
    /// If the ring has no such partition: the core never asks for one.
    pub fn get_mut(&mut self, partition: PartitionId) -> &mut PartitionState {
        let (node, recent_requests) = (self.node, self.recent_requests);
        let partitions = u32::try_from(self.states.len()).expect("made from a u32");
        let slot = &mut self.states[partition.0 as usize];
        slot.get_or_insert_with(|| {
            Box::new(PartitionState {
                node,
                partition,
                partitions,
                owner: Minter::new(node),
                fallback: Minter::new(node),
                recent: RecentRequests::new(recent_requests),
                tree: Tree::default(),
                complete: false,
                corrupt: BTreeMap::new(),
                corruptions: u64::from(partition.0) << 32,
            })
        })
    }

    /// The live Merkle root of this partition.
    pub fn root(&self, partition: PartitionId) -> ContentHash {
        let state = self.states.get(partition.0 as usize).and_then(Option::as_deref);
        state.map_or_else(|| Tree::default().root(), |state| state.tree.root())
    }

    /// Tells whether this node holds all that it must hold of this partition as an owner.
    pub fn is_complete(&self, partition: PartitionId) -> bool {
        let state = self.states.get(partition.0 as usize).and_then(Option::as_deref);
        state.is_some_and(|state| state.complete)
    }

    /// The keys of which this owner lost something, and which are not whole yet.
    pub fn corrupt(&self) -> impl Iterator<Item = &Key> {
        self.states.iter().flatten().flat_map(|state| state.corrupt.keys())
    }
}

impl PartitionState {
    /// Notes that a record was corrupt, under a new number.
    pub(super) fn lose(&mut self, key: Key, is_overwritten: bool) -> CorruptKey {
        self.corruptions += 1;
        let number = self.corruptions;
        self.corrupt.insert(key.clone(), Corruption { number, is_overwritten });
        CorruptKey { key, number }
    }

    /// Tells whether a record is known to be corrupt still.
    pub(super) fn stands_corrupt(&self, key: &Key) -> bool {
        self.corrupt.get(key).is_some_and(|corruption| !corruption.is_overwritten)
    }
}

/// Writes the data marker of a partition: this owner holds all that it must hold.
pub(super) fn mark_complete(
    state: &mut PartitionState,
    store: &mut impl Store,
) -> Result<(), Refusal> {
    let mut batch = Batch::default();
    batch.put(&keyspace::marker(state.partition), &marker_of(state.node));
    store.commit(batch)?;
    state.complete = true;
    Ok(())
}

/// The record of a data marker.
pub(super) const fn marker_of(node: NodeId) -> [u8; 8] {
    node.0.to_be_bytes()
}
