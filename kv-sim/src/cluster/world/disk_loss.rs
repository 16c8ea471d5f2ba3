//! Losses of disks: what a node that stops leaves behind on its disk, and who is told of it.

use kv_core::storage::{self, StoredRecord};

use super::World;
use super::messages::time;
use crate::checks::Left;
use crate::cluster::disk::Image;
use crate::faults::{DiskLoss, Target as _};
use crate::random::address::{Address, Aspect};
use crate::scenario::NodeIndex;

impl World {
    /// Ends the process of a node that reported that its disk failed. It starts again when the disk
    /// works.
    pub(super) fn on_store_failed(&mut self, node: NodeIndex) {
        self.scene.node_mut(node).has_failed = true;
        self.take_down(node, DiskLoss::Nothing);
        self.restart_if_disk_is_well(node);
    }

    /// Computes the image that the disk of a node that stops now holds from then on, and tells the
    /// checks of the loss.
    pub(super) fn what_is_left(&mut self, node: NodeIndex, loss: DiskLoss) -> Image {
        let disk = &self.scene.node(node).disk;
        let mut left = disk.image().clone();
        // A batch that was reported and is not safe goes with any kill.
        let is_unsynced = left.claimed().len() > 0;
        let is_loss = match loss {
            DiskLoss::Nothing => {
                let kept = if disk.tears() {
                    let turn = self.draws.only(Address::Sync { node, number: disk.syncs() });
                    self.draws.index(turn, Aspect::Kept, left.unsynced() + 1)
                } else {
                    0
                };
                if kept > 0 {
                    let of = left.unsynced();
                    self.trace(|scene| {
                        format!(
                            "{} keeps {kept} of {of} batches that were not synced",
                            scene.name(node)
                        )
                    });
                }
                left.kill(kept);
                is_unsynced
            }
            DiskLoss::Wiped => {
                left.wipe();
                true
            }
            // The node will know the data for another's, and not start on it.
            DiskLoss::Replaced { by } => {
                self.trace(|scene| {
                    format!("{} gets the data of {}", scene.name(node), scene.name(by))
                });
                left.copy(self.scene.node(by).disk.image());
                let corrupt = left.corrupt().filter_map(|key| storage::parse_record_key(key));
                self.tell_of_rot(node, corrupt);
                self.tell_of_loss(node, &Image::default());
                return left;
            }
            DiskLoss::RolledBack { to } => {
                let of = left.moments();
                self.trace(|scene| {
                    format!("{} holds what was safe at moment {to} of {of}", scene.name(node))
                });
                left.roll_back(to);
                true
            }
        };
        if is_loss {
            self.tell_of_loss(node, &left);
        }
        left
    }

    /// Tells the checks of records on the disk of a node that cannot be read from now on.
    pub(super) fn tell_of_rot(
        &mut self,
        node: NodeIndex,
        records: impl IntoIterator<Item = StoredRecord>,
    ) {
        let Some(checks) = &mut self.checks else { return };
        let (at, id) = (time(self.scene.now), self.scene.node(node).id);
        for partition in records.into_iter().filter_map(|record| record.partition()) {
            checks.on_rot(at, id, partition);
        }
    }

    /// Tells the checks of a loss that the disk of a node is about to suffer. The node is held to know of
    /// it if others were told of what is lost.
    pub(super) fn tell_of_loss(&mut self, node: NodeIndex, left: &Image) {
        let Some(checks) = &mut self.checks else { return };
        let now = self.scene.now;
        let scene = &self.scene;
        let is_remembered = scene.would_trust(node, left)
            && !scene.remembering(node, now, |life, log| left.would_lack(life, log)).is_empty();
        self.scene.node_mut(node).is_unjudged = is_remembered;
        let (at, scene) = (time(now), &self.scene);
        let id = scene.node(node).id;
        let lines = checks.before_loss(at, id, scene, &|key| {
            let left = scene.left_in(id, left, key);
            Left { is_believed: left.is_believed && !is_remembered, ..left }
        });
        for line in lines {
            self.record_excuse(&line);
            self.trace(|_| line);
        }
    }
}
