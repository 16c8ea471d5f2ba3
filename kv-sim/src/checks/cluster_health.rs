//! The health of the cluster, as the checks look at it: who is well, who reaches whom, and who is
//! believed to be up.

use kv_core::message::Kind;
use kv_core::time::{Span, Time, WallTime};
use kv_core::types::{Key, NodeId};

use super::MemberView;

/// Nodes that work, and hear of each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The nodes, in their order.
    pub nodes: Vec<NodeId>,
    /// True if each of them hears every other directly. If not, some hear of others through third
    /// ones, or one way.
    pub is_whole: bool,
}

/// The health of the cluster, to be looked at.
pub trait ClusterHealth {
    /// The time at which anything last changed: a node started, stopped, paused, lost its data or
    /// had copied it back; a link or a disk broke, slowed down, or was repaired.
    fn last_change(&self) -> Time;
    /// The time at which a node last changed so, or its disk or clock.
    fn node_changed(&self, node: NodeId) -> Time;
    /// The time at which the link between two nodes last changed so, in either direction.
    fn link_changed(&self, one: NodeId, other: NodeId) -> Time;
    /// Tells whether something keeps a node from doing its part for a key.
    fn meets(&self, node: NodeId, key: &Key, obstacle: Obstacle) -> bool;
    /// Tells whether a node reads or keeps any record that is corrupt, or not repaired yet.
    fn has_corruption(&self, node: NodeId) -> bool;
    /// Tells whether time passes for a node, so that it notices if a peer does not answer.
    fn keeps_time(&self, node: NodeId) -> bool;
    /// The time of the world that `span` on a node's clock lasts; none, if it never passes.
    fn lasts(&self, node: NodeId, span: Span) -> Option<Span>;
    /// The latest date that the wall clock of a node has shown.
    fn latest_date(&self, node: NodeId) -> WallTime;
    /// The age of the oldest storage command that is not done or not durable yet, on any disk that
    /// no fault slows down.
    fn slowest_command(&self) -> Span;
    /// Tells whether messages of a kind from one node reach another, promptly and unharmed.
    fn reaches(&self, from: NodeId, to: NodeId, kind: Kind) -> bool;
    /// Tells whether a node may hear that another one lives, by whatever way gossip takes.
    fn may_hear_of(&self, node: NodeId, other: NodeId) -> bool;
    /// The nodes that work, in groups between which no news passes. As a rule they are one.
    fn groups(&self) -> Vec<Group>;
    /// The view that each running node has of all members, itself included.
    fn views(&self) -> Vec<(NodeId, Vec<MemberView>)>;
}

/// Something that keeps a node from doing its part in an operation on a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The node does not run, or stands still.
    Asleep,
    /// The node waits for its cluster to be founded, and hears nobody.
    Unfounded,
    /// The disk takes longer than it should.
    DiskSlow,
    /// The disk fails: the node will stop.
    DiskFails,
    /// The disk has no room.
    DiskFull,
    /// The owner has not copied back yet what it lost of the key's partition.
    Incomplete,
    /// A record of the key cannot be read.
    Corrupt,
    /// A record of the key could not be read. It was replaced, and may lack some of what it held.
    Unrepaired,
    /// There is no room for a hint that takes so many bytes and what is held of the key already.
    HintsFull(usize),
}
