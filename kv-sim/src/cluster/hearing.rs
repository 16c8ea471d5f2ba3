//! The moments at which processes hear of each other's logs, and who could tell of a loss.

use kv_core::message::gossip::{Delta, LogState, StateKey};
use kv_core::message::{Body, CoordinatorMessage, GossipMessage, Message};
use kv_core::storage;
use kv_core::types::{Generation, LogPosition, NodeId};

use crate::cluster::disk::Image;
use crate::cluster::node::trusts_its_store;
use crate::cluster::scene::Scene;
use crate::cluster::world_time::WorldTime;
use crate::scenario::NodeIndex;

impl Scene {
    /// Takes a message that a process reads.
    pub fn hear(&mut self, listener: NodeIndex, message: &Message) {
        match &message.body {
            Body::Coordinator(CoordinatorMessage::Acked(acked)) => {
                let (from, generation) = (message.header.from, message.header.generation);
                self.hear_of(listener, from, generation, acked.log);
            }
            Body::Gossip(GossipMessage::Ack(ack)) => self.hear_gossip(listener, &ack.deltas),
            Body::Gossip(GossipMessage::Ack2(ack2)) => self.hear_gossip(listener, &ack2.deltas),
            _ => {}
        }
    }

    fn hear_gossip(&mut self, listener: NodeIndex, deltas: &[Delta]) {
        for delta in deltas {
            let of = self.index_of(delta.node);
            let Some(life) = self.node(of).life_of(delta.generation) else { continue };
            if !self.heard.is_news((listener, of), (life, delta.heartbeat), delta.since) {
                continue;
            }
            for state in delta.states.iter().filter(|state| state.key == StateKey::LOG) {
                let LogState { runs, durable } = LogState::of(&state.value);
                if let Some(generation) = runs.newest() {
                    self.hear_of(listener, delta.node, generation, durable);
                }
            }
        }
    }

    fn hear_of(&mut self, listener: NodeIndex, node: NodeId, run: Generation, log: LogPosition) {
        let of = self.index_of(node);
        if let Some(life) = self.node(of).life_of(run) {
            self.heard.hear((listener, of), (life, log), self.now);
        }
    }

    /// The nodes whose running processes were told, before a moment, of something of a node's log.
    pub fn remembering(
        &self,
        node: NodeIndex,
        before: WorldTime,
        is_it: impl Fn(u32, LogPosition) -> bool,
    ) -> Vec<NodeId> {
        let remembers =
            |other: &NodeIndex| *other != node && self.heard.any((*other, node), before, &is_it);
        let all = self.cluster.indices().filter(remembers);
        all.map(|other| self.node(other).id).collect()
    }

    /// Tells whether a node that starts on this image would trust it, if nobody told it better.
    pub fn would_trust(&self, node: NodeIndex, image: &Image) -> bool {
        let partitions = self.ring.layout().partitions;
        let id = self.node(node).id;
        let opened = storage::open(id, &self.config, partitions, image, image.log());
        opened.is_ok_and(|(_, recovered)| trusts_its_store(&recovered))
    }
}
