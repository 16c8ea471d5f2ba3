//! The disks of the world, as the checks look at them: copies of keys, and what a fault leaves of
//! them.

use std::collections::BTreeMap;

use bytes::Bytes;
use kv_core::ring::MachineIndex;
use kv_core::store::{Corrupt, StoredHint};
use kv_core::types::{ContentHash, Key, NodeId, PartitionId};
use kv_core::version::{Container, VersionVector};

use super::datacenters::Datacenters;
/// The records of an owner's copies, by key, as far as they can be read.
pub type OwnedRecords = BTreeMap<Key, Result<Bytes, Corrupt>>;

/// The disks of the world, to be looked at.
pub trait Disks {
    /// Lists all nodes.
    fn nodes(&self) -> Vec<NodeId>;
    /// The owners of a key.
    fn owners(&self, key: &Key) -> &[NodeId];
    /// The data centers, and the copies that each of them keeps.
    fn datacenters(&self) -> &Datacenters;
    /// The partition of a key.
    fn partition_of(&self, key: &Key) -> PartitionId;
    /// The machine of a node.
    fn machine(&self, node: NodeId) -> MachineIndex;
    /// A node's copy of a key: its own container joined with the hints that it keeps for others.
    fn copy(&self, node: NodeId, key: &Key, image: WhichImage) -> Container;
    /// A node's own copy of a key as an owner, live, without what it keeps for others; empty, if it
    /// cannot be read.
    fn owned(&self, node: NodeId, key: &Key) -> Container;
    /// Tells whether a node holds a container of a key of which `has_seen` is true. The same as a
    /// look at its copy, as two containers joined have seen a dot if and only if one of them has,
    /// but without the join.
    fn has_seen(
        &self,
        node: NodeId,
        key: &Key,
        image: WhichImage,
        has_seen: impl Fn(&VersionVector) -> bool,
    ) -> bool {
        has_seen(self.copy(node, key, image).seen())
    }
    /// The hint that a node keeps for a key and target, if it can be read.
    fn hint(&self, keeper: NodeId, key: &Key, target: NodeId) -> Option<StoredHint>;
    /// The root that a node claims for the live data of a partition; none if it does not run.
    fn root(&self, node: NodeId, partition: PartitionId) -> Option<ContentHash>;
    /// The records of a node's own copies of a partition as an owner, live.
    fn owned_records(&self, node: NodeId, partition: PartitionId) -> OwnedRecords;
    /// Tells whether two nodes can make each other equal: both work, on disks that take what they
    /// are given, and they hear each other.
    fn can_make_equal(&self, a: NodeId, b: NodeId) -> bool;
}

/// An image of a node's store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhichImage {
    /// The data that was committed.
    Live,
    /// The data that the disk has reported as durable.
    Reported,
    /// The data that would really survive: less than was reported, if a sync was a lie.
    Durable,
}

/// The part of a key that a fault leaves on a node.
#[derive(Clone, Debug)]
pub struct Left {
    /// The container that can still be read.
    pub container: Container,
    /// True if the node takes the container for all that it must hold as an owner, and gives it to
    /// readers. A node that knows that it has lost something does not.
    pub is_believed: bool,
}
