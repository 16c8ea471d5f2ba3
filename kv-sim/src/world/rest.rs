//! Whether the cluster has come to rest: all owners equal, no hint left, nothing still to be copied.

use std::collections::BTreeMap;

use kv_core::replica;
use kv_core::store::Store as _;
use kv_core::time::Span;

use crate::checks::Restless;
use crate::node::{Process, SimNode};
use crate::scene::Scene;

/// What keeps the cluster from rest; nothing, if it is at rest.
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
        let is_unsynced = |process: &&Process| !process.partitions.is_synced(partition);
        let unsynced = owners.iter().filter(|owner| running.get(owner).is_some_and(is_unsynced));
        restless.unsynced.extend(unsynced.map(|&owner| (owner, partition)));
    }
    if !restless.partitions.is_empty() || !restless.unsynced.is_empty() {
        return Some(restless);
    }
    // To count hints takes a scan: only when all else is well.
    for node in &scene.nodes {
        let hints = hints(scene, node);
        if hints > 0 {
            restless.hints.push((node.id, hints));
        }
    }
    let is_idle = |node: &SimNode| {
        let image = node.disk.image();
        node.disk.next().is_none() && image.newest() == image.reported()
    };
    let is_at_rest = restless.hints.is_empty() && scene.nodes.iter().all(is_idle);
    (!is_at_rest).then_some(restless)
}

fn hints(scene: &Scene, node: &SimNode) -> u64 {
    let partitions = scene.ring.layout().partitions;
    let (_, recovered) = replica::open(node.id, &scene.config, partitions, node.disk.image());
    recovered.hints.iter().map(|kept| kept.count).sum()
}
