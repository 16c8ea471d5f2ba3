//! The health of a world, as the checks look at it: who can do what, who reaches whom, and since when.
//!
//! All of it is told from what runs, what is broken and what lies on disks. What a node says of itself
//! or of others is shown as such, as views.

use std::collections::BTreeMap;

use kv_core::message::gossip::Known;
use kv_core::message::{GossipKind, Kind};
use kv_core::storage::{self, StoredRecord};
use kv_core::time::{Span, Time, WallTime};
use kv_core::types::{Key, NodeId, PartitionId};

use crate::checks::{ClusterHealth, Disks as _, Group, MemberView, Obstacle, WhichImage};
use crate::cluster::network::Way;
use crate::cluster::node::{Process, SimNode};
use crate::cluster::scene::Scene;
use crate::scenario::NodeIndex;

impl ClusterHealth for Scene {
    fn last_change(&self) -> Time {
        Time(self.changed_at.0)
    }

    fn node_changed(&self, node: NodeId) -> Time {
        Time(self.node(self.index_of(node)).changed_at.0)
    }

    fn link_changed(&self, one: NodeId, other: NodeId) -> Time {
        Time(self.network.changed_at(self.index_of(one), self.index_of(other)).0)
    }

    fn meets(&self, node: NodeId, key: &Key, obstacle: Obstacle) -> bool {
        let machine = self.node(self.index_of(node));
        let (disk, partition) = (&machine.disk, self.partition_of(key));
        let process = || machine.process().filter(|process| process.pauses == 0);
        match obstacle {
            Obstacle::Asleep => process().is_none(),
            Obstacle::Unfounded => process().is_some_and(|process| !process.core.is_founded()),
            Obstacle::DiskSlow => disk.is_slow(),
            Obstacle::DiskFails => disk.is_failing(),
            Obstacle::DiskFull => disk.is_full(),
            Obstacle::Incomplete => {
                let is_marked = |process: &Process| {
                    process.partitions.is_complete(partition) && process.core.is_recalled()
                };
                !process().is_some_and(is_marked) || machine.is_completing(partition)
            }
            Obstacle::Corrupt => has_corrupt_record(machine, partition, key),
            Obstacle::Unrepaired => process().is_some_and(|process| {
                process.partitions.corrupt().any(|unrepaired| unrepaired == key)
            }),
            Obstacle::HintsFull(bytes) => self.may_lack_room(machine, key, bytes),
        }
    }

    fn has_corruption(&self, node: NodeId) -> bool {
        let machine = self.node(self.index_of(node));
        let is_repaired = |process: &Process| process.partitions.corrupt().next().is_none();
        machine.disk.image().corrupt().next().is_some()
            || !machine.process().is_none_or(is_repaired)
    }

    fn keeps_time(&self, node: NodeId) -> bool {
        self.node(self.index_of(node)).clock.measures()
    }

    fn lasts(&self, node: NodeId, span: Span) -> Option<Span> {
        self.node(self.index_of(node)).clock.lasts(span)
    }

    fn latest_date(&self, node: NodeId) -> WallTime {
        let node = self.node(self.index_of(node));
        node.clock.now(self.now).wall.max(node.latest_date)
    }

    fn slowest_command(&self) -> Span {
        let well = self.nodes.iter().filter(|node| node.disk.is_well() && node.is_awake());
        let waiting = well.filter_map(|node| node.disk.waiting_since());
        waiting.map(|since| self.now.since(since)).max().unwrap_or_default()
    }

    fn reaches(&self, from: NodeId, to: NodeId, kind: Kind) -> bool {
        let way = Way { from: self.index_of(from), to: self.index_of(to), kind: Some(kind) };
        let are_awake = self.node(way.from).is_awake() && self.node(way.to).is_awake();
        are_awake && (from == to || self.network.is_nominal(way))
    }

    fn groups(&self) -> Vec<Group> {
        Self::groups(self)
    }

    fn may_hear_of(&self, node: NodeId, other: NodeId) -> bool {
        let (node, other) = (self.index_of(node), self.index_of(other));
        let mut heard = vec![false; self.nodes.len()];
        let mut to_visit = vec![node];
        while let Some(at) = to_visit.pop() {
            if !self.node(at).is_awake() || std::mem::replace(&mut heard[at.0], true) {
                continue;
            }
            let all = (0..self.nodes.len()).map(NodeIndex);
            to_visit.extend(all.filter(|&next| !heard[next.0] && self.may_gossip(at, next)));
        }
        heard[other.0]
    }

    fn views(&self) -> Vec<(NodeId, Vec<MemberView>)> {
        let views = |node: &SimNode| {
            let members = node.process()?.core.members();
            let view = |(known, is_up): (Known, bool)| {
                let Known { node: of, generation, .. } = known;
                MemberView { of, generation, is_up }
            };
            Some((node.id, members.map(view).collect()))
        };
        self.nodes.iter().filter_map(views).collect()
    }
}

impl Scene {
    /// Tells whether a node may have no room for a hint for an owner of a key, into which so many
    /// bytes are written. What was deleted counts until the node is told of it.
    fn may_lack_room(&self, machine: &SimNode, key: &Key, bytes: usize) -> bool {
        let copies = self.nodes.iter().map(|node| self.copy(node.id, key, WhichImage::Live));
        // About: what was minted and lost again may be in it, and keys take room too.
        let demand = 2 * (bytes + copies.map(|copy| copy.weight()).sum::<usize>()) as u64 + 256;
        let mut kept: BTreeMap<NodeId, u64> = BTreeMap::new();
        for hints in self.load(machine).hints {
            *kept.entry(hints.target).or_default() += hints.bytes;
        }
        for (target, bytes) in machine.disk.hints_dropped() {
            *kept.entry(target).or_default() += bytes;
        }
        let of_owners = self.owners(key).iter().filter_map(|owner| kept.get(owner));
        let most = of_owners.max().copied().unwrap_or_default();
        // A hint that cannot be read counts for as many bytes as it had.
        machine.hints_rotted
            || most + demand > self.config.hint_bytes_per_target
            || kept.values().sum::<u64>() + demand > self.config.hint_bytes_total
    }

    /// Tells whether gossip may pass between two nodes that are awake, both ways.
    fn may_gossip(&self, one: NodeIndex, other: NodeIndex) -> bool {
        let passes = |from, to| {
            [GossipKind::Syn, GossipKind::Ack, GossipKind::Ack2].into_iter().any(|kind| {
                let way = Way { from, to, kind: Some(Kind::Gossip(kind)) };
                !self.network.is_cut(way) && self.network.clog_of(way).is_none()
            })
        };
        passes(one, other) && passes(other, one)
    }
}

/// Tells whether a disk has a record of a key that cannot be read: an owner's, or a hint.
fn has_corrupt_record(machine: &SimNode, partition: PartitionId, key: &Key) -> bool {
    machine.disk.image().corrupt().any(|record| match storage::parse_record_key(record) {
        Some(
            StoredRecord::Owned { partition: of, key: found, .. }
            | StoredRecord::Hint { partition: of, key: found, .. },
        ) => of == partition && found == *key,
        Some(
            StoredRecord::HintOrder { .. }
            | StoredRecord::Leaf { .. }
            | StoredRecord::Marker { .. }
            | StoredRecord::Corrupt { .. }
            | StoredRecord::Founded
            | StoredRecord::Runs
            | StoredRecord::Pledge { .. },
        )
        | None => false,
    })
}
