//! The names of things in the stories of violations.

use std::collections::BTreeMap;

use kv_core::time::Time;
use kv_core::types::NodeId;
use kv_core::version::{Actor, Dot};

/// The names by which people know the nodes. A node without one is shown by its id.
#[derive(Clone, Debug, Default)]
pub struct Names(BTreeMap<NodeId, String>);

impl Names {
    /// The name of a node, or its id if it has none.
    pub fn node(&self, node: NodeId) -> String {
        self.0.get(&node).cloned().unwrap_or_else(|| node.to_string())
    }

    /// The names of nodes, in their order, or "nobody".
    pub fn nodes(&self, nodes: &[NodeId]) -> String {
        let names: Vec<_> = nodes.iter().map(|&node| self.node(node)).collect();
        if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
    }

    /// A dot in words, as `node.epoch:n`.
    pub fn dot(&self, dot: Dot) -> String {
        format!("{}:{}", self.actor(dot.actor), dot.n)
    }

    /// An actor in words, as `node.epoch`, with the first six digits of the epoch.
    pub fn actor(&self, actor: Actor) -> String {
        let epoch = actor.epoch.to_string();
        format!("{}.{}", self.node(actor.node), &epoch[..6])
    }

    /// Dots in words, in their order, or "nothing".
    pub fn dots(&self, dots: impl IntoIterator<Item = Dot>) -> String {
        let names: Vec<_> = dots.into_iter().map(|dot| self.dot(dot)).collect();
        if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
    }
}

impl FromIterator<(NodeId, String)> for Names {
    fn from_iter<I: IntoIterator<Item = (NodeId, String)>>(names: I) -> Self {
        Self(names.into_iter().collect())
    }
}

/// A moment of the run, in seconds.
pub(super) fn when(time: Time) -> String {
    format!("{}.{:06} s", time.0 / 1_000_000, time.0 % 1_000_000)
}
