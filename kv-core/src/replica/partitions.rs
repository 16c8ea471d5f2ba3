//! What storage keeps in memory beside the store, per partition; and how it is found again at
//! start.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::keyspace::{self, Record};
use super::minter::Minter;
use super::recent::RecentRequests;
use crate::config::Config;
use crate::merkle::Tree;
use crate::store::{Batch, Fault, KeptHints, Recovered, Store, View};
use crate::types::{Digest, NodeId, PartitionId};

/// All partitions of one node. Those that were never touched take no memory.
#[derive(Clone, Debug)]
pub struct Partitions {
    node: NodeId,
    recent_requests: usize,
    states: Vec<Option<Box<PartitionState>>>,
}

/// What storage knows of one partition. Commands of different partitions share nothing.
#[derive(Clone, Debug)]
pub struct PartitionState {
    pub(super) partition: PartitionId,
    /// How many partitions the ring has: says which bits of a token choose the Merkle leaf.
    pub(super) partitions: u32,
    /// The actor of this node as an owner.
    pub(super) owner: Minter,
    /// The actor of this node as a stand-in. One for all targets: see `hints.rs`.
    pub(super) stand_in: Minter,
    pub(super) recent: RecentRequests,
    pub(super) tree: Tree,
    /// Whether the data marker stands.
    pub(super) synced: bool,
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
                partition,
                partitions,
                owner: Minter::new(node),
                stand_in: Minter::new(node),
                recent: RecentRequests::new(recent_requests),
                tree: Tree::default(),
                synced: false,
            })
        })
    }

    /// The live Merkle root of this partition.
    pub fn root(&self, partition: PartitionId) -> Digest {
        let state = self.states.get(partition.0 as usize).and_then(Option::as_deref);
        state.map_or_else(|| Tree::default().root(), |state| state.tree.root())
    }

    /// Whether this node holds all that it must hold of this partition as an owner.
    pub fn is_synced(&self, partition: PartitionId) -> bool {
        let state = self.states.get(partition.0 as usize).and_then(Option::as_deref);
        state.is_some_and(|state| state.synced)
    }
}

/// Writes the data markers of a new cluster's first owners: they hold nothing because there is
/// nothing yet.
///
/// # Errors
/// [`Fault`], if the store does.
pub fn format(store: &mut impl Store, owned: &[PartitionId]) -> Result<(), Fault> {
    let mut batch = Batch::default();
    for &partition in owned {
        batch.put(keyspace::marker(partition), bytes::Bytes::new());
    }
    store.commit(batch).map(|_| ())
}

/// Takes data markers away: this owner no longer knows that it holds all that it must hold.
///
/// # Errors
/// [`Fault`], if the store does.
pub fn unmark(store: &mut impl Store, synced: &[PartitionId]) -> Result<(), Fault> {
    let mut batch = Batch::default();
    for &partition in synced {
        batch.delete(keyspace::marker(partition));
    }
    store.commit(batch).map(|_| ())
}

/// Finds out, at the start of a process, what the store holds.
pub fn open(
    node: NodeId,
    config: &Config,
    partitions: u32,
    store: &impl Store,
) -> (Partitions, Recovered) {
    let recent_requests = usize::try_from(config.recent_requests).unwrap_or(usize::MAX);
    let states = (0..partitions).map(|_| None).collect();
    let mut opened = Partitions { node, recent_requests, states };
    let mut hints = BTreeMap::<(PartitionId, NodeId), KeptHints>::new();
    for prefix in keyspace::AT_START {
        store.scan(View::Durable, prefix, &[], &mut |key, record| {
            // A record that cannot be read is met again, and mended, when it is used.
            let length = record.map_or(0, |record| record.len() as u64);
            match keyspace::parse(key) {
                Some(Record::Marker { partition }) => opened.get_mut(partition).synced = true,
                Some(Record::Leaf { partition, leaf }) => {
                    if let Some(digest) = record.ok().and_then(|bytes| bytes[..].try_into().ok()) {
                        let digest = Digest(u128::from_be_bytes(digest));
                        opened.get_mut(partition).tree.load(leaf, digest);
                    }
                }
                Some(Record::Hint { partition, target, .. }) => {
                    let none = KeptHints { partition, target, count: 0, bytes: 0 };
                    let kept = hints.entry((partition, target)).or_insert(none);
                    kept.count += 1;
                    kept.bytes += length;
                }
                Some(Record::Owned { .. } | Record::HintOrder { .. }) | None => {}
            }
            ControlFlow::Continue(())
        });
    }
    let touched = || opened.states.iter().flatten();
    let recovered = Recovered {
        synced: touched().filter(|state| state.synced).map(|state| state.partition).collect(),
        roots: touched()
            .filter(|state| !state.tree.is_empty())
            .map(|state| (state.partition, state.tree.root()))
            .collect(),
        hints: hints.into_values().collect(),
    };
    (opened, recovered)
}
