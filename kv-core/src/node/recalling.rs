//! The routes between recall and the rest of a node: what gossip says of logs, and what a node may trust.

use alloc::vec::Vec;

use super::Node;
use crate::cx::Cx;
use crate::message::GossipMessage;
use crate::message::gossip::{Delta, LogState, StateKey};
use crate::recall::Recalled;
use crate::types::{NodeId, PartitionId};

impl Node {
    /// Tells whether this node has asked what others remember of its log, and acted upon it: before that
    /// it is complete in nothing that came with its store.
    pub const fn is_recalled(&self) -> bool {
        self.recall.is_settled()
    }

    /// A node that knows that the cluster is founded asks what others remember of its log, before it does
    /// anything else.
    pub(super) fn begin_if_founded(&mut self, cx: &mut Cx<'_>) {
        if self.founding.is_founded() {
            let recalled = self.recall.begin(cx, &self.local);
            self.on_recalled(recalled);
        }
    }

    pub(super) fn on_recalled(&mut self, recalled: Recalled) {
        match recalled {
            Recalled::Nothing => {}
            Recalled::Trusted(partitions) => self.on_complete(partitions),
            Recalled::Lost(partitions) => {
                self.local.complete.retain(|partition| !partitions.contains(partition));
            }
        }
    }

    /// Partitions are complete as all was copied that must be, or as an operator has accepted the loss.
    pub(super) fn on_copied(&mut self, partitions: Vec<PartitionId>) {
        self.recall.on_copied(&partitions);
        self.on_complete(partitions);
    }

    /// Tells the others how far the log goes, if that has changed. Once in a round: what is set again before
    /// it travels hides what was set before.
    pub(super) fn say_how_far_the_log_goes(&mut self) {
        let state = self.recall.state().filter(|state| self.said_log.as_ref() != Some(state));
        if let Some(state) = state {
            self.membership.set_state(StateKey::LOG, state.encoded());
            self.said_log = Some(state);
        }
    }

    /// Takes note of what the gossip of some nodes says of their logs.
    pub(super) fn look_at_logs(&mut self, cx: &mut Cx<'_>, nodes: &[NodeId]) {
        for &node in nodes {
            if let Some(value) = self.membership.state(node, StateKey::LOG) {
                let state = LogState::of(value);
                self.recall.on_state(cx, &self.local, node, state);
            }
        }
    }
}

/// The nodes of which a gossip message says how far their logs go.
pub(super) fn told_of_logs(message: &GossipMessage) -> Vec<NodeId> {
    let deltas = match message {
        GossipMessage::Syn(_) => &[][..],
        GossipMessage::Ack(ack) => &ack.deltas,
        GossipMessage::Ack2(ack2) => &ack2.deltas,
    };
    let brings = |delta: &&Delta| delta.states.iter().any(|state| state.key == StateKey::LOG);
    deltas.iter().filter(brings).map(|delta| delta.node).collect()
}
