//! The state that storage keeps in memory beside the store, per partition; and how it is found
//! again at start.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::ControlFlow;

use bytes::Bytes;

use super::founding;
use super::keyspace::{self, Record};
use super::minter::Minter;
use super::owned::{self, Corruption};
use super::recent::RecentRequests;
use crate::config::Config;
use crate::merkle::Tree;
use crate::store::{
    Batch, Corrupt, Fault, ForeignData, KeptHints, Recovered, Refusal, Store, View,
};
use crate::types::{ContentHash, FoundingId, Key, NodeId, PartitionId};

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

/// Makes a store that of a first owner in a cluster that was just founded: writes the founding and the
/// data markers, since it holds nothing because there is nothing yet. A driver that has decided the
/// founding itself calls it; in a real cluster the nodes do it ([`crate::founding`]).
///
/// # Errors
/// [`Fault`], if the store does.
pub fn format(
    store: &mut impl Store,
    node: NodeId,
    founding: FoundingId,
    owned: &[PartitionId],
) -> Result<(), Fault> {
    let mut batch = Batch::default();
    founding::put_founded(&mut batch, node, founding);
    for &partition in owned {
        batch.put(&keyspace::marker(partition), &marker_of(node));
    }
    store.commit(batch).map(|_| ())
}

/// Takes data markers away: this owner no longer knows that it holds all that it must hold.
///
/// # Errors
/// [`Fault`], if the store does.
pub fn unmark(store: &mut impl Store, complete: &[PartitionId]) -> Result<(), Fault> {
    let mut batch = Batch::default();
    for &partition in complete {
        batch.delete(&keyspace::marker(partition));
    }
    store.commit(batch).map(|_| ())
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

/// Finds out, at the start of a process, what the store holds.
///
/// A marker that cannot be read is none: the partition is copied from its other owners before it is
/// read again. A Merkle leaf that cannot be read is summed up anew.
///
/// # Errors
/// [`ForeignData`], if a marker is another node's. The node must not start on it.
pub fn open(
    node: NodeId,
    config: &Config,
    partitions: u32,
    store: &impl Store,
) -> Result<(Partitions, Recovered), ForeignData> {
    let recent_requests = usize::try_from(config.recent_requests).unwrap_or(usize::MAX);
    let states = (0..partitions).map(|_| None).collect();
    let mut opened = Partitions { node, recent_requests, states };
    let mut hints = BTreeMap::<(PartitionId, NodeId), KeptHints>::new();
    let (mut corrupt_at_start, mut leaves, mut foreign) = (Vec::new(), Vec::new(), None);
    let mut said = founding::Said::default();
    for prefix in keyspace::AT_START {
        store.scan(View::Durable, prefix, &[], &mut |key, record| {
            // A record of a partition that the ring does not have belongs to another layout.
            let is_here = |one: &Record| one.partition().is_none_or(|at| at.0 < partitions);
            match keyspace::parse(key).filter(is_here) {
                Some(Record::Marker { partition }) => match number(record) {
                    Ok(owner) if owner == node.0 => opened.get_mut(partition).complete = true,
                    Ok(owner) => foreign = Some(ForeignData { owner: NodeId(owner) }),
                    Err(Corrupt) => corrupt_at_start.push(partition),
                },
                Some(Record::Corrupt { partition, key }) => {
                    opened.get_mut(partition).corrupt.insert(key, Corruption::Overwritten);
                }
                Some(Record::Leaf { partition, leaf }) => match hash(record) {
                    Ok(hash) => opened.get_mut(partition).tree.load(leaf, hash),
                    Err(Corrupt) => leaves.push((partition, leaf)),
                },
                Some(Record::Hint { partition, target, .. }) => {
                    let none = KeptHints { partition, target, count: 0, bytes: 0 };
                    let kept = hints.entry((partition, target)).or_insert(none);
                    kept.count += 1;
                    // One that cannot be read is dropped when its turn comes.
                    kept.bytes += record.map_or(0, |record| record.len() as u64);
                }
                Some(Record::Founded) => said.on_founded(record),
                Some(Record::Pledge { founding }) => said.on_pledge(founding, record),
                Some(Record::Owned { .. } | Record::HintOrder { .. }) | None => {}
            }
            ControlFlow::Continue(())
        });
    }
    let owner = said.owner().filter(|&owner| owner != node);
    foreign = foreign.or(owner.map(|owner| ForeignData { owner }));
    if let Some(foreign) = foreign {
        return Err(foreign);
    }
    for (partition, leaf) in leaves {
        corrupt_at_start.push(partition);
        owned::sum_up(opened.get_mut(partition), store, leaf);
    }
    let touched = || opened.states.iter().flatten();
    let recovered = Recovered {
        founding: said.record(),
        complete: touched().filter(|state| state.complete).map(|state| state.partition).collect(),
        roots: touched()
            .filter(|state| !state.tree.is_empty())
            .map(|state| (state.partition, state.tree.root()))
            .collect(),
        hints: hints.into_values().collect(),
        corrupt: opened.corrupt().cloned().collect(),
        corrupt_at_start,
    };
    Ok((opened, recovered))
}

fn number(record: Result<&Bytes, Corrupt>) -> Result<u64, Corrupt> {
    Ok(u64::from_be_bytes(record?[..].try_into().map_err(|_| Corrupt)?))
}

fn hash(record: Result<&Bytes, Corrupt>) -> Result<ContentHash, Corrupt> {
    Ok(ContentHash(u128::from_be_bytes(record?[..].try_into().map_err(|_| Corrupt)?)))
}
