//! Bonds between nodes: who hears whom, and who can make whom equal, with all that is broken now.
//!
//! Some faults never end. What can be demanded of the other nodes follows from what is left: nodes
//! that hear each other become equal and trust each other, and of the rest they hear nothing more.

use kv_core::types::NodeId;

use crate::checks::Group;
use crate::cluster::network::Way;
use crate::cluster::scene::Scene;
use crate::scenario::NodeIndex;

impl Scene {
    /// The nodes that work, in groups: news passes between the nodes of one, directly or through
    /// others, and never from one group to another. A node that does not know of the founding of the
    /// cluster says nothing else: so it works only if it will learn of it, from one of its group, and
    /// can write that down. Where nobody knows, the operator founds the cluster anew, as long as all
    /// nodes can take part.
    pub fn groups(&self) -> Vec<Group> {
        let mut left: Vec<NodeIndex> = self.cluster.indices().collect();
        left.retain(|&node| self.node(node).is_awake() && self.can_be_founded(node));
        let will_be_founded = || {
            let mut nodes = self.cluster.indices();
            self.is_sound() && !nodes.any(|node| self.is_founded(node))
        };
        let mut groups = Vec::new();
        while let Some(first) = left.first().copied() {
            let members = self.heard_from(first, &mut left);
            if members.iter().any(|&node| self.is_founded(node)) || will_be_founded() {
                let hear_all = |&a: &NodeIndex| members.iter().all(|&b| self.hear_each_other(a, b));
                let is_whole = self.network.is_untouched() || members.iter().all(hear_all);
                let nodes = members.iter().map(|&node| self.node(node).id).collect();
                groups.push(Group { nodes, is_whole });
            }
        }
        groups
    }

    /// Tells whether a node runs and knows that the cluster is founded.
    pub fn is_founded(&self, node: NodeIndex) -> bool {
        self.node(node).process().is_some_and(|process| process.core.is_founded())
    }

    fn can_be_founded(&self, node: NodeIndex) -> bool {
        self.is_founded(node) || self.takes_all(node)
    }

    /// Takes out of `left` the node `first` and all that hear it, directly or through others.
    fn heard_from(&self, first: NodeIndex, left: &mut Vec<NodeIndex>) -> Vec<NodeIndex> {
        if self.network.is_untouched() {
            return std::mem::take(left);
        }
        left.retain(|&node| node != first);
        let mut members = vec![first];
        let mut looked = 0;
        while let Some(&member) = members.get(looked) {
            looked += 1;
            members.extend(left.extract_if(.., |node| self.hear_each_other(member, *node)));
        }
        members.sort_unstable();
        members
    }

    /// Tells whether nothing is broken: every node works, keeps what it is given, and hears all
    /// others.
    pub fn is_sound(&self) -> bool {
        let is_sound = |node: NodeIndex| self.node(node).is_awake() && self.takes_all(node);
        self.network.is_untouched() && self.cluster.indices().all(is_sound)
    }

    /// Tells whether both nodes work, and messages between them pass both ways.
    pub fn hear_each_other(&self, a: NodeIndex, b: NodeIndex) -> bool {
        let passes = |from, to| {
            let way = Way { from, to, kind: None };
            !self.network.is_cut(way) && self.network.clog_of(way).is_none()
        };
        let are_awake = self.node(a).is_awake() && self.node(b).is_awake();
        are_awake && (a == b || self.network.is_untouched() || (passes(a, b) && passes(b, a)))
    }

    /// Tells whether two nodes can make each other equal: they hear each other, and the disks of
    /// both take what they are given.
    pub fn can_make_equal(&self, a: NodeId, b: NodeId) -> bool {
        let (a, b) = (self.index_of(a), self.index_of(b));
        self.takes_all(a) && self.takes_all(b) && self.hear_each_other(a, b)
    }

    /// Tells whether a node can learn all that another one holds, which need take nothing itself; but
    /// one that cannot even write down that the cluster is founded says nothing.
    pub fn can_learn_from(&self, node: NodeId, other: NodeId) -> bool {
        let (node, other) = (self.index_of(node), self.index_of(other));
        let tells = self.can_be_founded(other) && !self.node(other).disk.is_failing();
        self.takes_all(node) && tells && self.hear_each_other(node, other)
    }

    /// Tells whether the disk of a node takes what it is given.
    fn takes_all(&self, node: NodeIndex) -> bool {
        let disk = &self.node(node).disk;
        !disk.is_full() && !disk.is_failing()
    }
}

#[cfg(test)]
mod tests;
