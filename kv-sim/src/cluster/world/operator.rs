//! The operator: people must act when more was lost than copies can bring back.
//!
//! An owner that lost its data, or its copy of a key, answers no reads of it until it has asked
//! enough others. Where so many owners lost theirs that nobody can ever do that, nothing gives the
//! loss up silently: an operator must (semantics.md §4). Here the operator comes when the faults
//! are over.

use std::collections::{BTreeMap, BTreeSet};

use kv_core::admin::AdminCommand;
use kv_core::cx::Input;
use kv_core::types::{AdminRequest, Key, NodeId, PartitionId};

use super::{World, number};
use crate::cluster::event_queue::SimEvent;
use crate::cluster::node::Process;
use crate::scenario::NodeIndex;
use crate::story::digest::DigestTag;

impl World {
    /// Plans the orders to found the cluster.
    pub(super) fn plan_orders(&mut self) {
        let since = self.scene.now;
        for (order, init) in (0..).zip(&self.inits) {
            self.event_queue.plan(since + init.at, SimEvent::Init { order });
            self.chaos.expect_one();
        }
    }

    /// Gives an order of the scenario. A node that does not run does not hear it.
    pub(super) fn give_order(&mut self, order: u32) {
        self.chaos.on_expected();
        let init = self.inits[order as usize].clone();
        if self.scene.node(init.node).is_awake() {
            self.tell_to_found(init.node, init.without);
        }
        self.heal_if_all_is_done();
    }

    /// Tells a node to found the cluster, if every node that runs waits for another that knows it:
    /// the faults have taken all disks, or no order of the scenario was carried out.
    pub(super) fn found_anew(&mut self) {
        let scene = &self.scene;
        let mut nodes = scene.cluster.indices().filter(|node| scene.node(*node).is_awake());
        let founded = |node: NodeIndex| {
            scene.node(node).process().is_some_and(|process| process.core.is_founded())
        };
        let Some(first) = nodes.next() else { return };
        if !founded(first) && !nodes.any(founded) {
            self.tell_to_found(first, Vec::new());
        }
    }

    fn tell_to_found(&mut self, node: NodeIndex, without: Vec<NodeIndex>) {
        let name = self.scene.name(node);
        let but = match &without[..] {
            [] => String::new(),
            left_out => format!(" without {}", self.scene.cluster.names(left_out)),
        };
        self.tell_of_moment(format!("the operator tells {name} to found the cluster{but}"));
        self.digest.event(self.scene.now, DigestTag::Init, number(node));
        let without = without.into_iter().map(|node| self.scene.node(node).id).collect();
        let command = AdminCommand::Init { without };
        self.input(node, Input::Admin { request: AdminRequest(0), command });
    }

    /// Gives up partitions that can never be copied back.
    pub(super) fn accept_losses(&mut self) {
        for (node, partitions) in self.stuck() {
            let numbers: Vec<_> = partitions.iter().map(|at| at.0.to_string()).collect();
            let name = self.scene.name(node);
            let what = format!("the operator gives up partitions {} of {name}", numbers.join(", "));
            self.tell_of_moment(what);
            for partition in partitions {
                let entry = self.digest.event(self.scene.now, DigestTag::Operator, number(node));
                entry.number(partition.0.into());
                if let Some(checks) = &mut self.checks {
                    checks.on_loss_accepted();
                }
                let command = AdminCommand::AcceptLoss { partition };
                self.input(node, Input::Admin { request: AdminRequest(0), command });
            }
        }
    }

    /// Finds owners that can never copy a partition back, as too few are left that have it, and
    /// that report so. The operator believes no loss that the node itself does not report: so one
    /// that kept silent would never converge. Only of nodes that are gone for ever does the operator
    /// know more than the nodes, which go on waiting for them.
    fn stuck(&self) -> BTreeMap<NodeIndex, Vec<PartitionId>> {
        let scene = &self.scene;
        let works: BTreeSet<_> = scene.groups().into_iter().flat_map(|group| group.nodes).collect();
        let can_act = |node: NodeIndex| {
            let id = scene.node(node).id;
            works.contains(&id) && scene.can_make_equal(id, id)
        };
        let can_tell = |node: NodeIndex, other: NodeIndex| {
            scene.can_learn_from(scene.node(node).id, scene.node(other).id)
        };
        let mut stuck: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for partition in scene.ring.partitions() {
            let owners = scene.ring.owners(partition).iter().map(|&owner| scene.index_of(owner));
            let owners: Vec<NodeIndex> = owners.collect();
            let is_complete = |node: &NodeIndex| {
                let process = scene.node(*node).process();
                process.is_some_and(|process| process.partitions.is_complete(partition))
            };
            let root = |node: NodeIndex| {
                scene.node(node).process().map(|process| process.partitions.root(partition))
            };
            for &node in owners.iter().filter(|node| !is_complete(node) && can_act(**node)) {
                let heard = owners.iter().filter(|other| can_tell(node, **other));
                let sources = heard.clone().filter(|other| is_complete(other));
                let is_lost = if heard.count() == owners.len() {
                    let process = scene.node(node).process();
                    process.is_some_and(|process| process.core.undecided().contains(&partition))
                } else {
                    // All that can still be copied is copied first.
                    sources.clone().all(|source| root(*source) == root(node))
                };
                if is_lost && sources.count() < self.sources_needed(owners.len()) {
                    stuck.entry(node).or_default().push(partition);
                }
            }
        }
        for node in scene.cluster.indices().filter(|node| can_act(*node)) {
            let lost = scene.node(node).process().map(|process| process.partitions.corrupt());
            for key in lost.into_iter().flatten() {
                let partition = scene.ring.partition_of(key.token());
                let of_node = stuck.entry(node).or_default();
                if !of_node.contains(&partition) && self.can_never_be_whole(node, key) {
                    of_node.push(partition);
                }
            }
        }
        stuck.retain(|_, partitions| !partitions.is_empty());
        stuck
    }

    /// Tells whether too few other owners of a key have all of it.
    fn can_never_be_whole(&self, node: NodeIndex, key: &Key) -> bool {
        let scene = &self.scene;
        let partition = scene.ring.partition_of(key.token());
        let owners = scene.ring.owners(partition);
        let has_all = |owner: &&NodeId| {
            let index = scene.index_of(**owner);
            let process = scene.node(index).process();
            let has_all = |process: &Process| {
                let partitions = &process.partitions;
                partitions.is_complete(partition)
                    && partitions.corrupt().all(|corrupt| corrupt != key)
            };
            index != node
                && process.is_some_and(has_all)
                && scene.can_learn_from(scene.node(node).id, **owner)
        };
        owners.iter().filter(has_all).count() < self.sources_needed(owners.len())
    }

    /// The number of owners that must have a partition, so that another can be sure to copy all
    /// that was acknowledged: a write that waited for W of N copies, or for a majority where W is more, is
    /// missing on N - W. Where W is 1, all others are the best there is; where N is 1, there are none.
    fn sources_needed(&self, owners: usize) -> usize {
        let w =
            usize::try_from(self.scene.config.write_quorum).unwrap_or(owners).min(owners / 2 + 1);
        (owners - w + 1).min(owners - 1).max(1)
    }
}
