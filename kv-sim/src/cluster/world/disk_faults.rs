//! Faults of disks: when they set in, what they leave of the records, and what is lost by them.

use kv_core::storage;

use super::messages::time;
use super::{SETUP, World};
use crate::cluster::disk::{Ailment, Image, RecordKey};
use crate::cluster::world_time::WorldTime;
use crate::random::address::{Address, Aspect};
use crate::scenario::{DiskFault, LogStep, NodeIndex, RecordKind, Rot};

/// The loss of a node that stops, beside the end of what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DiskLoss {
    /// No records are lost.
    Nothing,
    /// All records are deleted.
    Wiped,
    /// A copy of another node's data replaces the records.
    Replaced {
        /// The node whose data is copied.
        by: NodeIndex,
    },
    /// The records that were safe at an earlier moment replace the present ones.
    RolledBack {
        /// The number of the moment, of those that are remembered.
        to: usize,
    },
}

impl World {
    pub(super) fn begin_disk_fault(
        &mut self,
        node: NodeIndex,
        fault: &DiskFault,
        (number, occurrence): (u32, u32),
    ) {
        if let Some(ailment) = ailment(fault) {
            return self.scene.node_mut(node).disk.afflict(ailment, true);
        }
        let address = Address::Fault { fault: number as usize };
        match fault {
            DiskFault::BitRot(rot) => self.rot(node, rot, address),
            DiskFault::SlowDisk(slowness) => {
                let plan = &self.chaos.faults[number as usize];
                let times = plan.occurrences().nth(occurrence as usize).expect("it happens now");
                let until = times.until.expect("a slow disk becomes fast again");
                let until = WorldTime(0) + SETUP + until;
                self.scene.node_mut(node).disk.begin_slowness(*slowness, until);
            }
            DiskFault::CloneDisk { from } => {
                let others = || self.scene.cluster.indices().filter(|&other| other != node);
                let turn = self.draws.next(&address);
                let at = self.draws.index(turn, Aspect::Donor, others().count());
                let drawn = others().nth(at).expect("a clone has a model");
                let by = from.filter(|&from| from != node).unwrap_or(drawn);
                // The data that was copied there might be this node's own.
                let is_a_copy = self.scene.node(by).disk.image().is_foreign();
                let loss = if is_a_copy { DiskLoss::Wiped } else { DiskLoss::Replaced { by } };
                self.take_down(node, loss);
            }
            DiskFault::RollbackDisk => {
                let moments = self.scene.node(node).disk.image().moments();
                let turn = self.draws.next(&address);
                let to = self.draws.index(turn, Aspect::Moment, moments);
                self.take_down(node, DiskLoss::RolledBack { to });
            }
            DiskFault::TornWrite | DiskFault::IoError(_) | DiskFault::DiskFull => {}
        }
    }

    pub(super) fn end_disk_fault(&mut self, node: NodeIndex, fault: &DiskFault) {
        if let Some(ailment) = ailment(fault) {
            self.scene.node_mut(node).disk.afflict(ailment, false);
        }
        match fault {
            DiskFault::SlowDisk(_) => {
                let now = self.scene.now;
                self.scene.node_mut(node).disk.end_slowness(now);
            }
            DiskFault::CloneDisk { .. } | DiskFault::RollbackDisk => self.bring_up(node),
            DiskFault::IoError(_) => self.restart_if_disk_is_well(node),
            DiskFault::BitRot(_) | DiskFault::TornWrite | DiskFault::DiskFull => {}
        }
    }

    /// Ends the process of a node that reported that its disk failed. It starts again when the disk
    /// works.
    pub(super) fn on_store_failed(&mut self, node: NodeIndex) {
        self.scene.changed_at = self.scene.now;
        self.scene.node_mut(node).has_failed = true;
        self.take_down(node, DiskLoss::Nothing);
        self.restart_if_disk_is_well(node);
    }

    fn restart_if_disk_is_well(&mut self, node: NodeIndex) {
        let machine = self.scene.node_mut(node);
        if machine.has_failed && !machine.disk.is_failing() {
            machine.has_failed = false;
            self.bring_up(node);
        }
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

    fn rot(&mut self, node: NodeIndex, rot: &Rot, address: Address) {
        let mut left = self.scene.node(node).disk.image().clone();
        let may_rot = |key: &&RecordKey| {
            let kind = storage::parse_record_key(key).as_ref().and_then(RecordKind::of);
            kind.is_some_and(|kind| rot.kinds.contains(&kind))
        };
        let mut sound: Vec<_> = left.sound().filter(may_rot).cloned().collect();
        let corrupt: Vec<_> = (0..rot.amount.of(sound.len()))
            .map(|_| {
                let turn = self.draws.next(&address);
                sound.swap_remove(self.draws.index(turn, Aspect::Record, sound.len()))
            })
            .collect();
        self.trace(|scene| {
            let records = corrupt.iter().map(|key| {
                storage::parse_record_key(key)
                    .map_or_else(String::new, |record| format!("{record:?}"))
            });
            let records: Vec<_> = records.collect();
            format!("on the disk of {} rot: {}", scene.name(node), records.join(", "))
        });
        left.rot(corrupt);
        self.tell_of_loss(node, &left);
        *self.scene.node_mut(node).disk.image_mut() = left;
        self.record_copies(node);
    }

    fn tell_of_loss(&mut self, node: NodeIndex, left: &Image) {
        let Some(checks) = &mut self.checks else { return };
        let (at, scene) = (time(self.scene.now), &self.scene);
        let id = scene.node(node).id;
        let lines = checks.before_loss(at, id, scene, &|key| scene.left_in(id, left, key));
        for line in lines {
            self.record_excuse(&line);
            self.trace(|_| line);
        }
    }
}

const fn ailment(fault: &DiskFault) -> Option<Ailment> {
    match fault {
        DiskFault::TornWrite => Some(Ailment::Tears),
        DiskFault::DiskFull => Some(Ailment::IsFull),
        DiskFault::IoError(LogStep::Commit) => Some(Ailment::FailsCommits),
        DiskFault::IoError(LogStep::Sync) => Some(Ailment::FailsSyncs),
        DiskFault::BitRot(_)
        | DiskFault::SlowDisk(_)
        | DiskFault::CloneDisk { .. }
        | DiskFault::RollbackDisk => None,
    }
}
