//! Check `suspicion`: a node takes a peer for dead only after a real silence, for alive only upon
//! news, and believes that it stood still only if it did.
//!
//! The silence is measured by when the peer raised the newest heartbeat that had reached the node, by
//! the world's own time: what the node heard since then was older. Whatever the history of the gaps,
//! φ = 8 allows a silence of more than two intervals (semantics.md §6), since the mean of gaps is no
//! less than one and their deviation is never taken for less than a quarter. So whoever suspects after
//! less did so without a cause. Nodes of which a fault has touched a clock are spared: they measure
//! silences by that clock, and refuse heartbeats by the date.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use kv_core::event::Event;
use kv_core::message::gossip::{Delta, GossipMessage, Known};
use kv_core::time::{Span, Time};
use kv_core::types::{Generation, NodeId};

use super::check::Check;
use super::findings::Findings;
use super::occasions::{ChangeKind, GossipPassed, NodeChange, NodeEvent, Passage};
use super::story::{Names, when};
use super::{Setting, WorldView};

/// The number of intervals that any silence is allowed.
const INTERVALS: u64 = 2;

/// The number of heartbeats of a node of which it is remembered when they were raised.
const HEARTBEATS: usize = 64;

/// The difference of two generations beyond which one node may refuse what the other says: half of
/// the year that gossip believes.
const SECONDS_APART_MAX: u64 = 15_768_000;

/// The `suspicion` check.
#[derive(Clone, Debug)]
pub(super) struct Suspicion {
    /// The findings so far, counted in suspicions, in returns to trust and in stalls.
    findings: Findings,
    /// The interval in which each node raises its heartbeat once.
    interval: Span,
    /// The newest heartbeats of each node, each with the time at which it was first said.
    raised: BTreeMap<NodeId, VecDeque<(Heartbeat, Time)>>,
    /// The newest heartbeat of a peer that has reached a node, by node and peer.
    heard: BTreeMap<(NodeId, NodeId), HeardHeartbeat>,
    /// The time at which each process started.
    started: BTreeMap<NodeId, Time>,
    /// The nodes of which a fault has touched a clock.
    strayed: BTreeSet<NodeId>,
    /// The nodes whose process has stood still.
    paused: BTreeSet<NodeId>,
}

/// A heartbeat of a node: its run, and the count in it.
type Heartbeat = (Generation, u64);

/// The newest heartbeat of a peer that has reached a node.
#[derive(Clone, Copy, Debug, Default)]
struct HeardHeartbeat {
    newest: Heartbeat,
    /// The time at which the peer raised it.
    raised: Time,
    /// The time at which it reached the node.
    at: Time,
}

impl Check for Suspicion {
    const NAME: &'static str = "suspicion";
    const ABOUT: &'static str = "only a peer that was really silent is taken for dead";

    fn new(setting: &Setting) -> Self {
        Self {
            findings: Findings::default(),
            interval: setting.config.gossip_interval(),
            raised: BTreeMap::new(),
            heard: BTreeMap::new(),
            started: BTreeMap::new(),
            strayed: BTreeSet::new(),
            paused: BTreeSet::new(),
        }
    }

    fn findings(&self) -> &Findings {
        &self.findings
    }

    fn on_gossip(&mut self, gossip: &GossipPassed<'_>) {
        let &GossipPassed { at, node, message, passage } = gossip;
        match (passage, message) {
            (Passage::Leaves, GossipMessage::Syn(syn)) => {
                let own = syn.known.iter().find(|known| known.node == node);
                if let Some(&Known { generation, version, .. }) = own {
                    self.on_raised(node, (generation, version), at);
                }
            }
            (Passage::Arrives, GossipMessage::Ack(ack)) => self.on_heard(node, &ack.deltas, at),
            (Passage::Arrives, GossipMessage::Ack2(ack2)) => self.on_heard(node, &ack2.deltas, at),
            (Passage::Leaves, GossipMessage::Ack(_) | GossipMessage::Ack2(_))
            | (Passage::Arrives, GossipMessage::Syn(_)) => {}
        }
    }

    fn on_event(&mut self, event: &NodeEvent<'_, impl WorldView>) {
        let &NodeEvent { at, node, event, names, .. } = event;
        match *event {
            Event::Suspected { peer } => self.on_suspected(node, peer, at, names),
            Event::Trusted { peer } => self.on_trusted(node, peer, at, names),
            Event::Stalled { ms } => self.on_stalled(node, ms, at, names),
            _ => {}
        }
    }

    fn on_node_change(&mut self, &NodeChange { node, change }: &NodeChange) {
        match change {
            ChangeKind::Starts(at) => {
                self.started.insert(node, at);
                self.heard.retain(|&(by, _), _| by != node);
                self.paused.remove(&node);
            }
            ChangeKind::Pauses(_) => {
                self.paused.insert(node);
            }
            ChangeKind::ClockStrays(_) => {
                self.strayed.insert(node);
            }
            ChangeKind::ClockStands(_)
            | ChangeKind::ClockRuns(_)
            | ChangeKind::Wakes(_)
            | ChangeKind::Stops
            | ChangeKind::Rots(..)
            | ChangeKind::LosesData(_) => {}
        }
    }
}

impl Suspicion {
    /// Notes that a node says its heartbeat, for the first time or again.
    fn on_raised(&mut self, node: NodeId, heartbeat: Heartbeat, at: Time) {
        let raised = self.raised.entry(node).or_default();
        if raised.back().is_some_and(|&(newest, _)| newest == heartbeat) {
            return;
        }
        if raised.len() == HEARTBEATS {
            raised.pop_front();
        }
        raised.push_back((heartbeat, at));
    }

    /// Notes what has reached a node, unless it builds upon something that the node does not know.
    fn on_heard(&mut self, node: NodeId, deltas: &[Delta], at: Time) {
        for &Delta { node: peer, generation, since, heartbeat, .. } in deltas {
            let heard = self.heard.entry((node, peer)).or_default();
            let (run, count) = heard.newest;
            let known = if run == generation { count } else { 0 };
            if since > known || (generation, heartbeat) <= heard.newest {
                continue;
            }
            let said = self.raised.get(&peer).into_iter().flatten();
            let raised = said.rev().find(|&&(newest, _)| newest <= (generation, heartbeat));
            let raised = raised.map_or(Time(0), |&(_, raised)| raised);
            *heard = HeardHeartbeat { newest: (generation, heartbeat), raised, at };
        }
    }

    /// Judges a node that takes a peer for dead.
    fn on_suspected(&mut self, node: NodeId, peer: NodeId, at: Time, names: &Names) {
        self.findings.examined += 1;
        let heard = self.heard.get(&(node, peer)).copied().unwrap_or_default();
        let since = heard.raised.max(self.started.get(&node).copied().unwrap_or_default());
        if at.since(since) >= self.interval.times(INTERVALS) {
            return;
        }
        if self.strayed.contains(&node)
            || self.strayed.contains(&peer)
            || self.are_apart(node, peer)
        {
            self.findings.weakened += 1;
            return;
        }
        self.findings.violated(|| {
            format!(
                "a node took another for dead that was not silent\n  {} took {} for dead at {}, though \
                 it knew of a heartbeat that was raised at {} and came at {}; it is raised every {} ms",
                names.node(node),
                names.node(peer),
                when(at),
                when(heard.raised),
                when(heard.at),
                self.interval.as_ms(),
            )
        });
    }

    /// Judges a node that takes a peer for alive again. It must have heard of it just now.
    fn on_trusted(&mut self, node: NodeId, peer: NodeId, at: Time, names: &Names) {
        self.findings.examined += 1;
        let heard = self.heard.get(&(node, peer)).copied().unwrap_or_default();
        if heard.at == at {
            return;
        }
        self.findings.violated(|| {
            format!(
                "a node took another for alive of which it had no news\n  {} took {} for alive at {}; \
                 the last news was of {}",
                names.node(node),
                names.node(peer),
                when(at),
                when(heard.at),
            )
        });
    }

    /// Judges a node that believes that it stood still.
    fn on_stalled(&mut self, node: NodeId, ms: u64, at: Time, names: &Names) {
        self.findings.examined += 1;
        if !self.paused.contains(&node) && !self.strayed.contains(&node) {
            self.findings.violated(|| {
                format!(
                    "a node that never stood still believes that it did for {ms} ms\n  {} at {}",
                    names.node(node),
                    when(at),
                )
            });
        }
    }

    /// Tells whether two nodes started so far apart, by their own clocks, that one may refuse what
    /// the other says.
    fn are_apart(&self, node: NodeId, peer: NodeId) -> bool {
        let run = |node| {
            let newest = self.raised.get(&node).and_then(VecDeque::back);
            newest.map_or(0, |&((generation, _), _)| generation.0)
        };
        run(node).abs_diff(run(peer)) > SECONDS_APART_MAX
    }
}
