//! The form of a check: its name, and what it does on each occasion on which something happens.
//!
//! A check is told everything in the order in which it happens, through methods that do nothing
//! unless the check says otherwise. What checks share (histories, operations under way, the pace of
//! the world) is kept by [`Checks`](super::Checks) and comes with the occasion; what one check alone
//! keeps, it keeps itself.

use super::findings::Findings;
use super::occasions::{
    Execution, GossipPassed, HintDropReported, HintsDropped, KeyEnd, KeyLoss, NodeChange,
    NodeEvent, NodeLoad, OperationEnd, ReadReplySent, RefusalSent, RestVerdict, RunEnd, Trust,
    WriteMint,
};
use super::operation::Operation;
use super::{IdleWindow, Setting, WorldView};

/// A property that runs are judged by. It never influences the run, counts what it examined, and
/// judges by what happened, not by what a node claims.
pub(super) trait Check {
    /// The name in scenarios and reports.
    const NAME: &'static str;
    /// The promise that the check verifies, in one line.
    const ABOUT: &'static str;
    /// True if some level of this version promises it. If none does, the check judges all the same,
    /// and no scenario may name it.
    const IS_PROMISED: bool = true;

    /// Creates the check of a run in which nothing has happened yet.
    fn new(setting: &Setting) -> Self;

    /// The findings so far.
    fn findings(&self) -> &Findings;

    /// Takes an operation that a client begins.
    fn on_begin(&mut self, _: &Operation) {}

    /// Takes a client's operation that ended: answered, refused, or given up.
    fn on_end(&mut self, _: &mut OperationEnd<'_, impl WorldView>) {}

    /// Takes a storage command that was executed at a node. A dot that it minted is told apart, by
    /// [`Check::on_minted`].
    fn on_execution(&mut self, _: &mut Execution<'_, impl WorldView>) {}

    /// Takes a refusal that a replica sends to the coordinator of an operation under way.
    fn on_refusal_sent(&mut self, _: &RefusalSent<'_, impl WorldView>) {}

    /// Takes the answer of a replica to a read that a client waits for, as it is sent to another node.
    fn on_read_reply(&mut self, _: &ReadReplySent<'_, impl WorldView>) {}

    /// Takes a dot that a replica minted for a write.
    fn on_minted(&mut self, _: &WriteMint<'_>) {}

    /// Takes hints that a node is about to delete.
    fn on_hints_dropped(&mut self, _: &HintsDropped<'_, impl WorldView>) {}

    /// Takes a hint that a node says it gave up.
    fn on_hint_drop_reported(&mut self, _: &HintDropReported<'_>) {}

    /// Takes a gossip message that a node sends or reads.
    fn on_gossip(&mut self, _: &GossipPassed<'_>) {}

    /// Takes an event that a node reports.
    fn on_event(&mut self, _: &NodeEvent<'_, impl WorldView>) {}

    /// Takes a change that something outside the protocol makes to a node.
    fn on_node_change(&mut self, _: &NodeChange) {}

    /// Takes a look at the load of a node.
    fn on_load(&mut self, _: &NodeLoad<'_>) {}

    /// Takes a key of which a fault is about to destroy what a node had reported durable. Each key
    /// that was ever asked for is told once, after [`ChangeKind::LosesData`](super::occasions::ChangeKind).
    fn before_loss(&mut self, _: &mut KeyLoss<'_, impl WorldView>) {}

    /// Takes a node that learned that its disk has lost some of what it had reported durable.
    fn on_loss_learned(&mut self) {}

    /// Takes a node that trusts a disk which has lost some of what it had reported durable.
    fn on_trusted(&mut self, _: &Trust<'_, impl WorldView>) {}

    /// Takes the verdict on whether the cluster came to rest in time.
    fn on_rest(&mut self, _: &RestVerdict<'_>) {}

    /// Takes a partition that could never be copied back, and was given up.
    fn on_loss_accepted(&mut self) {}

    /// Takes the two windows, one after the other, for which the idle cluster was watched.
    fn on_idle(&mut self, _: [&IdleWindow; 2]) {}

    /// Takes a key once the run is over and all that could be repaired has been.
    fn at_end_of_key(&mut self, _: &KeyEnd<'_, impl WorldView>) {}

    /// Takes the end of the run, after that of every key.
    fn at_end(&mut self, _: &RunEnd<'_, impl WorldView>) {}
}
