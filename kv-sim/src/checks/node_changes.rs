//! The changes that something outside the protocol makes to nodes, as the world tells the checks of
//! them.

use kv_core::time::Time;
use kv_core::types::{NodeId, PartitionId};

use super::Checks;
use super::occasions::{ChangeKind, NodeChange};

impl Checks {
    /// Notes that a process starts.
    pub fn on_started(&mut self, at: Time, node: NodeId) {
        self.all.on_node_change(&NodeChange { node, change: ChangeKind::Starts(at) });
    }

    /// Notes that a fault has spoilt a record of a partition on the disk of a node, or has brought one
    /// there.
    pub fn on_rot(&mut self, at: Time, node: NodeId, partition: PartitionId) {
        self.all.on_node_change(&NodeChange { node, change: ChangeKind::Rots(at, partition) });
    }

    /// Notes that a fault touches a clock of a node.
    pub fn on_clock_strayed(&mut self, at: Time, node: NodeId) {
        self.all.on_node_change(&NodeChange { node, change: ChangeKind::ClockStrays(at) });
    }

    /// Notes that the clock with which a node measures time stands still from now on, or runs
    /// again.
    pub fn on_clock(&mut self, at: Time, node: NodeId, runs: bool) {
        let change = if runs { ChangeKind::ClockRuns(at) } else { ChangeKind::ClockStands(at) };
        self.all.on_node_change(&NodeChange { node, change });
    }

    /// Notes that a process stands still from now on.
    pub fn on_paused(&mut self, at: Time, node: NodeId) {
        self.all.on_node_change(&NodeChange { node, change: ChangeKind::Pauses(at) });
    }

    /// Notes that a process that stood still goes on.
    pub fn on_woke(&mut self, at: Time, node: NodeId) {
        self.all.on_node_change(&NodeChange { node, change: ChangeKind::Wakes(at) });
    }

    /// Notes that a process ended.
    pub fn on_stopped(&mut self, node: NodeId) {
        self.all.on_node_change(&NodeChange { node, change: ChangeKind::Stops });
    }
}
