//! The look whether the cluster has come to rest: all owners equal, no hint left, nothing still to
//! be copied.

use std::collections::BTreeMap;

use kv_core::storage::{self, StoredRecord};
use kv_core::store::Store as _;
use kv_core::time::Span;

use crate::checks::Restless;
use crate::cluster::disk::RecordKey;
use crate::cluster::node::{Process, SimNode};
use crate::cluster::scene::Scene;

/// The things that keep the cluster from rest; none, if it is at rest.
pub(super) fn restless(scene: &Scene, within: Span) -> Option<Restless> {
    let mut restless = Restless { within, ..Restless::default() };
    let running: BTreeMap<_, _> =
        scene.nodes.iter().filter_map(|node| Some((node.id, node.process()?))).collect();
    for partition in scene.ring.partitions() {
        let owners = scene.ring.owners(partition);
        let mut roots = owners.iter().map(|owner| {
            running.get(owner).map(|process: &&Process| process.partitions.root(partition))
        });
        let first = roots.next();
        if !roots.all(|root| Some(root) == first) {
            restless.partitions.push((partition, owners.to_vec()));
        }
        let is_unsynced = |process: &&Process| !process.partitions.is_complete(partition);
        let incomplete = owners.iter().filter(|owner| running.get(owner).is_some_and(is_unsynced));
        restless.incomplete.extend(incomplete.map(|&owner| (owner, partition)));
    }
    for node in &scene.nodes {
        let count = corruption(scene, node);
        if count > 0 {
            restless.corrupt.push((node.id, count));
        }
    }
    let Restless { partitions, incomplete, corrupt, .. } = &restless;
    if !partitions.is_empty() || !incomplete.is_empty() || !corrupt.is_empty() {
        return Some(restless);
    }
    // Hints are counted by a scan: only when all else is well.
    for node in &scene.nodes {
        let hints = hints(scene, node);
        if hints > 0 {
            restless.hints.push((node.id, hints));
        }
    }
    let is_idle = |node: &SimNode| {
        let image = node.disk.image();
        node.disk.is_idle() && image.newest() == image.reported()
    };
    let is_at_rest = restless.hints.is_empty() && scene.nodes.iter().all(is_idle);
    (!is_at_rest).then_some(restless)
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
            | StoredRecord::Pledge { .. },
        )
        | None => false,
    };
    let corrupt = node.disk.image().corrupt().filter(is_due).count();
    let lost = node.process().map_or(0, |process| process.partitions.corrupt().count());
    (corrupt + lost) as u64
}

fn hints(scene: &Scene, node: &SimNode) -> u64 {
    let partitions = scene.ring.layout().partitions;
    let opened = storage::open(node.id, &scene.config, partitions, node.disk.image());
    let (_, recovered) = opened.expect("the node has started on it");
    recovered.hints.iter().map(|kept| kept.count).sum()
}
