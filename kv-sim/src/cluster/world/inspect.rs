//! Looks at a moment, which change nothing.

use std::collections::{BTreeMap, BTreeSet};

use kv_core::message::Kind;

use super::{Phase, SETUP, World};
use crate::cluster::event_queue::SimEvent;
use crate::cluster::world_time::WorldTime;
use crate::scenario::NodeIndex;
use crate::story::result::RunDigest;
use crate::story::state::{self, FaultState, ShownLink, StateFocus, UnderWay, WorldState};

impl World {
    /// Takes the state of this world at a moment up to which all that was to happen has happened.
    pub fn state(&self, at: WorldTime, focus: &StateFocus) -> WorldState {
        let scene = &self.scene;
        let names = scene.names();
        let has_begun = self.phase != Phase::Setup;
        WorldState {
            at_us: at.0,
            chaos_since_us: has_begun.then_some(SETUP.0),
            changed_us: scene.now.0,
            phase: self.phase.name(),
            digest: RunDigest(self.digest()),
            events: self.tally.events,
            faults: self.faults_at_work(),
            links: self.links(focus),
            under_way: self.under_way(focus),
            nodes: state::nodes(scene, &names, focus, at),
            keys: state::keys(scene, &names, focus),
            clients: self.clients.states(scene, focus),
        }
    }

    /// Plans a panic of this world in the middle of the chaos phase.
    #[cfg(test)]
    pub(crate) fn plan_panic(&mut self, at: WorldTime) {
        self.event_queue.plan(at, SimEvent::Milestone);
    }

    fn links(&self, focus: &StateFocus) -> Vec<ShownLink> {
        let scene = &self.scene;
        if scene.network.is_untouched() {
            return Vec::new();
        }
        let pairs = scene.cluster.indices().flat_map(|from| {
            scene.cluster.indices().filter(move |&to| to != from).map(move |to| (from, to))
        });
        pairs
            .filter(|&(from, to)| focus.shows(from) || focus.shows(to))
            .filter_map(|(from, to)| {
                let troubles = state::troubles(&scene.network, from, to);
                let name = |node| scene.name(node).to_owned();
                let link = ShownLink { from: name(from), to: name(to), troubles };
                (!link.troubles.is_empty()).then_some(link)
            })
            .collect()
    }

    fn under_way(&self, focus: &StateFocus) -> Vec<UnderWay> {
        let held: BTreeSet<u32> = self.messages_that_wait();
        let mut counts: BTreeMap<(NodeIndex, NodeIndex, Kind), (u64, u64)> = BTreeMap::new();
        for (number, way, kind) in self.in_transit.under_way() {
            if focus.shows(way.from) || focus.shows(way.to) {
                let (messages, waiting) = counts.entry((way.from, way.to, kind)).or_default();
                *messages += 1;
                *waiting += u64::from(held.contains(&number));
            }
        }
        let name = |node| self.scene.name(node).to_owned();
        let under_way = |((from, to, kind), (messages, waiting)): ((_, _, Kind), _)| UnderWay {
            from: name(from),
            to: name(to),
            kind: kind.name(),
            messages,
            waiting,
        };
        counts.into_iter().map(under_way).collect()
    }

    /// The numbers of the messages that wait at a clog, or for a node that is paused.
    fn messages_that_wait(&self) -> BTreeSet<u32> {
        let paused = self.scene.nodes.iter().filter_map(|node| node.process());
        let of_paused = paused.flat_map(|process| process.backlog.iter().copied());
        let all = self.waiting.events().chain(of_paused);
        all.filter_map(|what| match what {
            SimEvent::Arrive { message } | SimEvent::Receive { message } => Some(message),
            _ => None,
        })
        .collect()
    }

    fn faults_at_work(&self) -> Vec<FaultState> {
        let state = |(kind, until): (crate::faults::FaultKind, Option<WorldTime>)| FaultState {
            kind: kind.name(),
            what: kind.describe(&self.scene.cluster),
            until_us: until.map(|until| until.0),
        };
        self.chaos.at_work().map(state).collect()
    }
}
