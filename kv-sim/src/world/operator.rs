//! The operator: what people must do when more was lost than copies can bring back.
//!
//! An owner that lost its data, or what it held of a key, answers no reads of it until it has asked
//! enough others. Where so many owners lost theirs that nobody can ever do that, nothing gives the
//! loss up silently: an operator must (SEMANTICS §4). Here the operator comes when the faults are over.

use std::collections::BTreeMap;

use kv_core::cx::{AdminCommand, Input};
use kv_core::types::{Key, NodeId, PartitionId};

use super::{World, number};
use crate::digest::Tag;
use crate::node::Process;
use crate::scenario::NodeIndex;

impl World {
    /// Gives up what can never be copied back.
    pub(super) fn accept_losses(&mut self) {
        for (node, partitions) in self.stuck() {
            let numbers: Vec<_> = partitions.iter().map(|at| at.0.to_string()).collect();
            let name = self.scene.name(node);
            let what = format!("the operator gives up partitions {} of {name}", numbers.join(", "));
            self.tell_of_moment(what);
            for partition in partitions {
                let entry = self.digest.event(self.scene.now, Tag::Operator, number(node));
                entry.number(partition.0.into());
                if let Some(checks) = &mut self.checks {
                    checks.on_loss_accepted();
                }
                self.input(node, Input::Admin(AdminCommand::AcceptLoss { partition }));
            }
        }
    }

    /// Owners that can never copy a partition back: too few are left that have it.
    fn stuck(&self) -> BTreeMap<NodeIndex, Vec<PartitionId>> {
        let scene = &self.scene;
        let mut stuck: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for partition in scene.ring.partitions() {
            let owners = scene.ring.owners(partition).iter().map(|&owner| scene.index_of(owner));
            let is_synced = |node: &NodeIndex| {
                let process = scene.node(*node).process();
                process.is_some_and(|process| process.partitions.is_synced(partition))
            };
            let (synced, unsynced): (Vec<_>, Vec<_>) = owners.partition(is_synced);
            if synced.len() < self.sources_needed(synced.len() + unsynced.len()) {
                for node in unsynced {
                    stuck.entry(node).or_default().push(partition);
                }
            }
        }
        for node in scene.cluster.indices() {
            let lost = scene.node(node).process().map(|process| process.partitions.lost());
            for key in lost.into_iter().flatten() {
                let partition = scene.ring.partition_of(key.token());
                let of_node = stuck.entry(node).or_default();
                if !of_node.contains(&partition) && self.can_never_be_whole(node, key) {
                    of_node.push(partition);
                }
            }
        }
        stuck.retain(|_, partitions| !partitions.is_empty());
        stuck
    }

    /// Whether too few other owners of a key have all of it.
    fn can_never_be_whole(&self, node: NodeIndex, key: &Key) -> bool {
        let scene = &self.scene;
        let partition = scene.ring.partition_of(key.token());
        let owners = scene.ring.owners(partition);
        let has_all = |owner: &&NodeId| {
            let index = scene.index_of(**owner);
            let process = scene.node(index).process();
            let has_all = |process: &Process| {
                let partitions = &process.partitions;
                partitions.is_synced(partition) && partitions.lost().all(|lost| lost != key)
            };
            index != node && process.is_some_and(has_all)
        };
        owners.iter().filter(has_all).count() < self.sources_needed(owners.len())
    }

    /// How many owners must have a partition, so that another can be sure to copy all that was
    /// acknowledged: a write that waited for W of N copies is missing on N - W. Where W is 1, all
    /// others are the best there is; where N is 1, there are none.
    fn sources_needed(&self, owners: usize) -> usize {
        let w = usize::try_from(self.scene.config.write_quorum).unwrap_or(owners).min(owners);
        (owners - w + 1).min(owners - 1).max(1)
    }
}
