//! Check `membership`: a node that wakes from a pause convicts nobody, and in the end all views
//! agree.
//!
//! While a node stands still it hears nobody, so its silence tells nothing of others
//! (CASSANDRA-9183). In a cluster that has settled, nodes that hear each other know each other's
//! present run and take each other for alive, and take those of whom no news can come for dead. What
//! they think of those whom they hear of through others only, or one way, is not judged. The layout
//! is fixed yet: whether a node that has left stays away cannot be checked.

use std::collections::BTreeMap;

use kv_core::event::Event;
use kv_core::time::{Span, Time};
use kv_core::types::{Generation, NodeId};

use super::check::Check;
use super::findings::Findings;
use super::occasions::{ChangeKind, NodeChange, NodeEvent, RunEnd};
use super::story::{Names, when};
use super::{Group, MemberView, Setting, WorldView};

/// The `membership` check.
#[derive(Clone, Debug)]
pub(super) struct Membership {
    /// The findings so far, counted in pauses and in pairs of nodes.
    findings: Findings,
    /// The interval in which each node gossips once.
    gossip_interval: Span,
    /// The time after the last change from which on views must agree.
    settle: Span,
    /// The time since when each paused node stands still.
    paused: BTreeMap<NodeId, Time>,
    /// The time until which a node that woke may convict nobody.
    lenient: BTreeMap<NodeId, Time>,
}

impl Check for Membership {
    const NAME: &'static str = "membership";
    const ABOUT: &'static str =
        "a node that wakes takes nobody for dead, and in the end all agree on who is alive";

    fn new(setting: &Setting) -> Self {
        Self {
            findings: Findings::default(),
            gossip_interval: setting.config.gossip_interval(),
            settle: setting.settle,
            paused: BTreeMap::new(),
            lenient: BTreeMap::new(),
        }
    }

    fn findings(&self) -> &Findings {
        &self.findings
    }

    fn on_event(&mut self, event: &NodeEvent<'_, impl WorldView>) {
        if let &Event::Suspected { peer } = event.event {
            self.on_suspected(event.node, peer, event.at, event.names);
        }
    }

    fn on_node_change(&mut self, &NodeChange { node, change }: &NodeChange) {
        match change {
            ChangeKind::Pauses(at) => {
                self.paused.entry(node).or_insert(at);
            }
            ChangeKind::Wakes(at) => self.on_woke(node, at),
            ChangeKind::Stops => {
                self.paused.remove(&node);
                self.lenient.remove(&node);
            }
            ChangeKind::Starts(_)
            | ChangeKind::ClockStands(_)
            | ChangeKind::ClockRuns(_)
            | ChangeKind::ClockStrays(_)
            | ChangeKind::Rots(..)
            | ChangeKind::LosesData(_) => {}
        }
    }

    /// Compares the views of all nodes that work.
    fn at_end(&mut self, end: &RunEnd<'_, impl WorldView>) {
        let &RunEnd { at, world, names, .. } = end;
        let views: BTreeMap<NodeId, Vec<MemberView>> = world.views().into_iter().collect();
        if world.last_change() + self.settle > at {
            self.findings.weakened += 1;
            return;
        }
        let own = |node: NodeId| {
            views.get(&node)?.iter().find(|view| view.of == node).map(|view| view.generation)
        };
        let present: BTreeMap<_, _> =
            views.keys().filter_map(|&node| Some((node, own(node)?))).collect();
        for Group { nodes, is_whole } in world.groups() {
            for &node in &nodes {
                for view in views.get(&node).into_iter().flatten() {
                    let fault = match present.get(&view.of) {
                        _ if !nodes.contains(&view.of) => {
                            view.is_up.then_some("of which no news can come")
                        }
                        _ if !is_whole && view.of != node => {
                            self.findings.weakened += 1;
                            continue;
                        }
                        Some(&generation) if view.is_up && view.generation == generation => None,
                        Some(_) => Some("which hears it and is heard"),
                        None => continue,
                    };
                    self.findings.examined += 1;
                    if let Some(which) = fault {
                        let of = present.get(&view.of);
                        self.disagrees(view, (node, which, of), (at, world.last_change()), names);
                    }
                }
            }
        }
    }
}

impl Membership {
    /// Notes that a node goes on. After twice the interval, whatever its clock did, it must know
    /// that it stood still; and it has promised three intervals of its own clock, of which one is
    /// demanded.
    fn on_woke(&mut self, node: NodeId, at: Time) {
        let Some(since) = self.paused.remove(&node) else { return };
        if at.since(since) >= self.gossip_interval.times(2) {
            self.findings.examined += 1;
            self.lenient.insert(node, at + self.gossip_interval);
        }
    }

    /// Takes note of a view that is wrong in a cluster that has settled.
    fn disagrees(
        &mut self,
        view: &MemberView,
        (node, which, present): (NodeId, &str, Option<&Generation>),
        (at, changed_at): (Time, Time),
        names: &Names,
    ) {
        self.findings.violated(|| {
            let run = present.map_or_else(|| "no run".to_owned(), |run| format!("run {}", run.0));
            format!(
                "a settled cluster does not agree on who is there\n  {} {} {}, {which}, at {}: it \
                 knows run {} of it, and there is {run}; nothing has changed since {}",
                names.node(node),
                if view.is_up { "trusts" } else { "takes for dead" },
                names.node(view.of),
                when(at),
                view.generation.0,
                when(changed_at),
            )
        });
    }

    /// Judges a node that takes a peer for dead.
    fn on_suspected(&mut self, node: NodeId, peer: NodeId, at: Time, names: &Names) {
        let Some(&until) = self.lenient.get(&node) else { return };
        if at >= until {
            self.lenient.remove(&node);
            return;
        }
        self.findings.violated(|| {
            format!(
                "a node that had stood still took another for dead as soon as it woke\n  {} took {} \
                 for dead at {}, and was to convict nobody before {}",
                names.node(node),
                names.node(peer),
                when(at),
                when(until),
            )
        });
    }
}
