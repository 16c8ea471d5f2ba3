//! What storage keeps in memory beside the store, per partition; and how it is found again at
//! start.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::ControlFlow;

use bytes::Bytes;

use super::founding;
use super::keyspace::{self, Record};
use super::minter::Minter;
use super::owned::{self, Loss};
use super::recent::RecentRequests;
use crate::config::Config;
use crate::merkle::Tree;
use crate::store::{Batch, Damage, Fault, ForeignData, KeptHints, Recovered, Store, View};
use crate::types::{Digest, FoundingId, Key, NodeId, PartitionId};

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
    pub(super) node: NodeId,
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
    /// Keys of which a record was damaged: what the marker says is not true of them.
    pub(super) lost: BTreeMap<Key, Loss>,
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
                stand_in: Minter::new(node),
                recent: RecentRequests::new(recent_requests),
                tree: Tree::default(),
                synced: false,
                lost: BTreeMap::new(),
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

    /// The keys of which this owner lost something, and which are not whole yet.
    pub fn lost(&self) -> impl Iterator<Item = &Key> {
        self.states.iter().flatten().flat_map(|state| state.lost.keys())
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
pub fn unmark(store: &mut impl Store, synced: &[PartitionId]) -> Result<(), Fault> {
    let mut batch = Batch::default();
    for &partition in synced {
        batch.delete(&keyspace::marker(partition));
    }
    store.commit(batch).map(|_| ())
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
    let (mut damaged, mut leaves, mut foreign) = (Vec::new(), Vec::new(), None);
    let mut said = founding::Said::default();
    for prefix in keyspace::AT_START {
        store.scan(View::Durable, prefix, &[], &mut |key, record| {
            // A record of a partition that the ring does not have belongs to another layout.
            let is_here = |one: &Record| one.partition().is_none_or(|at| at.0 < partitions);
            match keyspace::parse(key).filter(is_here) {
                Some(Record::Marker { partition }) => match number(record) {
                    Ok(owner) if owner == node.0 => opened.get_mut(partition).synced = true,
                    Ok(owner) => foreign = Some(ForeignData { owner: NodeId(owner) }),
                    Err(Damage) => damaged.push(partition),
                },
                Some(Record::Lost { partition, key }) => {
                    opened.get_mut(partition).lost.insert(key, Loss::Partial);
                }
                Some(Record::Leaf { partition, leaf }) => match digest(record) {
                    Ok(digest) => opened.get_mut(partition).tree.load(leaf, digest),
                    Err(Damage) => leaves.push((partition, leaf)),
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
        damaged.push(partition);
        owned::sum_up(opened.get_mut(partition), store, leaf);
    }
    let touched = || opened.states.iter().flatten();
    let recovered = Recovered {
        founding: said.record(),
        synced: touched().filter(|state| state.synced).map(|state| state.partition).collect(),
        roots: touched()
            .filter(|state| !state.tree.is_empty())
            .map(|state| (state.partition, state.tree.root()))
            .collect(),
        hints: hints.into_values().collect(),
        lost: opened.lost().cloned().collect(),
        damaged,
    };
    Ok((opened, recovered))
}

fn number(record: Result<&Bytes, Damage>) -> Result<u64, Damage> {
    Ok(u64::from_be_bytes(record?[..].try_into().map_err(|_| Damage)?))
}

fn digest(record: Result<&Bytes, Damage>) -> Result<Digest, Damage> {
    Ok(Digest(u128::from_be_bytes(record?[..].try_into().map_err(|_| Damage)?)))
}
