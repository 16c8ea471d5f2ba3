//! The health of the cluster, as the checks look at it: who is well, who reaches whom, and who is
//! believed to be up.

use kv_core::message::Kind;
use kv_core::time::{Span, Time};
use kv_core::types::NodeId;

use super::MemberView;

/// The health of the cluster, to be looked at.
pub trait ClusterHealth {
    /// The time at which anything last changed: a node started, stopped, paused, lost its data or
    /// had copied it back; a link or a disk broke, slowed down, or was repaired.
    fn last_change(&self) -> Time;
    /// Tells whether a node runs at full speed on a disk that works and has lost nothing.
    fn is_well(&self, node: NodeId) -> bool;
    /// Tells whether time passes for a node, so that it notices if a peer does not answer.
    fn keeps_time(&self, node: NodeId) -> bool;
    /// The time of the world that `span` on a node's clock lasts; none, if it never passes.
    fn lasts(&self, node: NodeId, span: Span) -> Option<Span>;
    /// The age of the oldest storage command that is not done or not durable yet, on any disk that
    /// no fault slows down.
    fn slowest_command(&self) -> Span;
    /// Tells whether messages of a kind from one node reach another, promptly and unharmed.
    fn reaches(&self, from: NodeId, to: NodeId, kind: Kind) -> bool;
    /// The view that each running node has of all members, itself included.
    fn views(&self) -> Vec<(NodeId, Vec<MemberView>)>;
}
