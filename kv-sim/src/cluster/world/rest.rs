//! The look whether the cluster has come to rest: all owners equal, no hint left, nothing still to
//! be copied.
//!
//! Where something is broken for ever, that is demanded of what is left: owners become equal that
//! can make each other so, and hints are kept that cannot be delivered.

use std::collections::BTreeSet;

use kv_core::storage::{self, StoredRecord};
use kv_core::store::Store as _;
use kv_core::time::Span;
use kv_core::types::{NodeId, PartitionId};

use crate::checks::Restless;
use crate::cluster::disk::RecordKey;
use crate::cluster::node::{Process, SimNode};
use crate::cluster::scene::Scene;
use crate::scenario::RepairBy;

/// The things that keep the cluster from rest; none, if it is at rest.
pub(super) fn restless(scene: &Scene, repair_by: RepairBy, within: Span) -> Option<Restless> {
    let mut restless = Restless { within, ..Restless::default() };
    let working: BTreeSet<NodeId> =
        scene.groups().into_iter().flat_map(|group| group.nodes).collect();
    let can_do_its_part =
        |node: NodeId| working.contains(&node) && scene.can_make_equal(node, node);
    for partition in scene.ring.partitions() {
        let owners = scene.ring.owners(partition);
        let unequal = unequal(scene, partition);
        if !unequal.is_empty() {
            restless.partitions.push((partition, unequal));
        }
        let is_incomplete = |owner: &&NodeId| {
            let process = scene.node(scene.index_of(**owner)).process();
            let lacks = |process: &Process| {
                !process.partitions.is_complete(partition) || !process.core.is_recalled()
            };
            can_do_its_part(**owner) && process.is_some_and(lacks)
        };
        let incomplete = owners.iter().filter(is_incomplete);
        restless.incomplete.extend(incomplete.map(|&owner| (owner, partition)));
    }
    for node in scene.nodes.iter().filter(|node| can_do_its_part(node.id)) {
        let count = corruption(scene, node);
        if count > 0 {
            restless.corrupt.push((node.id, count));
        }
    }
    for node in scene.nodes.iter().filter(|node| can_do_its_part(node.id)) {
        let other = remembering(scene, node);
        restless.unaware.extend(other.map(|other| (node.id, other)));
    }
    let Restless { partitions, incomplete, corrupt, unaware, .. } = &restless;
    let is_well = partitions.is_empty() && incomplete.is_empty() && corrupt.is_empty();
    if !is_well || !unaware.is_empty() {
        return Some(restless);
    }
    // Hints are counted by a scan: only when all else is well.
    for node in scene.nodes.iter().filter(|node| repair_by.hints && can_do_its_part(node.id)) {
        let hints = deliverable_hints(scene, node);
        if hints > 0 {
            restless.hints.push((node.id, hints));
        }
    }
    let is_idle = |node: &SimNode| {
        let image = node.disk.image();
        node.disk.is_idle() && image.newest() == image.reported()
    };
    let mut at_work = scene.nodes.iter().filter(|node| can_do_its_part(node.id));
    let is_at_rest = restless.hints.is_empty() && at_work.all(is_idle);
    (!is_at_rest).then_some(restless)
}

/// A node that was told of more than a node's disk held when it started, and that this one hears.
fn remembering(scene: &Scene, node: &SimNode) -> Option<NodeId> {
    let (at, image) = (scene.index_of(node.id), node.disk.image());
    let remembering = scene.remembering(at, scene.now, |life, log| image.lacks(life, log));
    remembering.into_iter().find(|&other| scene.hear_each_other(at, scene.index_of(other)))
}

/// The owners of a partition that differ from another one with which they can make each other
/// equal.
fn unequal(scene: &Scene, partition: PartitionId) -> Vec<NodeId> {
    let owners = scene.ring.owners(partition);
    let root = |owner: NodeId| {
        let process = scene.node(scene.index_of(owner)).process();
        process.map(|process| process.partitions.root(partition))
    };
    let differs_from_some = |&&owner: &&NodeId| {
        let differs = |other: &NodeId| root(owner) != root(*other);
        owners.iter().any(|other| differs(other) && scene.can_make_equal(owner, *other))
    };
    owners.iter().filter(differs_from_some).copied().collect()
}

/// Counts the records that a node owns and cannot read, and the keys that are not repaired. Each is
/// repaired or given up.
fn corruption(scene: &Scene, node: &SimNode) -> u64 {
    let is_due = |key: &&RecordKey| match storage::parse_record_key(key) {
        Some(
            StoredRecord::Owned { partition, .. }
            | StoredRecord::Leaf { partition, .. }
            | StoredRecord::Marker { partition },
        ) => scene.ring.owns(node.id, partition),
        // Hints are counted by themselves. A record of the founding is learned anew at the next
        // start.
        Some(
            StoredRecord::Hint { .. }
            | StoredRecord::HintOrder { .. }
            | StoredRecord::Corrupt { .. }
            | StoredRecord::Founded
            | StoredRecord::Runs
            | StoredRecord::Pledge { .. },
        )
        | None => false,
    };
    let corrupt = node.disk.image().corrupt().filter(is_due).count();
    let lost = node.process().map_or(0, |process| process.partitions.corrupt().count());
    (corrupt + lost) as u64
}

/// Counts the hints that a node keeps for nodes that could take them.
fn deliverable_hints(scene: &Scene, node: &SimNode) -> u64 {
    let partitions = scene.ring.layout().partitions;
    let opened = {
        let image = node.disk.image();
        storage::open(node.id, &scene.config, partitions, image, image.log())
    };
    let (_, recovered) = opened.expect("the node has started on it");
    let can_take = |target| scene.can_make_equal(node.id, target);
    let kept = recovered.hints.iter().filter(|kept| can_take(kept.target));
    kept.map(|kept| kept.count).sum()
}
