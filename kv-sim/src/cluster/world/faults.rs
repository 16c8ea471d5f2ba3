//! Faults: when they begin, take their steps and end, and whom they hit. What each does then is
//! said by its file in [`crate::faults`], and done by the verbs in `target`.

use std::collections::BTreeMap;

use super::{SETUP, World, number};
use crate::cluster::event_queue::SimEvent;
use crate::cluster::probes::WorldProbe;
use crate::cluster::world_time::WorldTime;
use crate::faults::{DiskLoss, FaultKind, RuleName, StorageStep, Strike, Target as _, Victim};
use crate::random::address::Address;
use crate::scenario::{Fault, NodeIndex};
use crate::story::digest::DigestTag;
use crate::story::result::Moment;

/// The faults of a scenario, and those at work.
#[derive(Clone, Debug)]
pub(super) struct Chaos {
    faults: Vec<Fault>,
    /// The nodes that each rolling fault goes through, in their order, once it has begun.
    orders: BTreeMap<u32, Vec<NodeIndex>>,
    active: Vec<Strike>,
    /// The number of beginnings and ends that are still to come.
    pending: usize,
}

impl Chaos {
    pub(super) fn new(faults: &[Fault]) -> Self {
        Self { faults: faults.to_vec(), orders: BTreeMap::new(), active: Vec::new(), pending: 0 }
    }

    fn kind(&self, fault: u32) -> FaultKind {
        self.faults[fault as usize].kind.clone()
    }

    /// Finds the place of an occurrence among those at work.
    fn position(&self, name: RuleName) -> Option<usize> {
        self.active.iter().position(|strike| strike.name == name)
    }

    /// The faults at work, with those whom they hit, and the time at which each ends, if it does.
    pub(super) fn at_work(&self) -> impl Iterator<Item = (FaultKind, Option<WorldTime>)> + '_ {
        self.active.iter().filter_map(|strike| {
            let (fault, occurrence) = strike.name;
            let fault = &self.faults[fault as usize];
            let times = fault.occurrences().nth(occurrence as usize)?;
            let kind = fault.kind.of_these(strike.nodes().collect());
            Some((kind, times.until.map(|until| WorldTime(0) + SETUP + until)))
        })
    }

    /// Counts something else that is planned and must happen before the chaos is done.
    pub(super) const fn expect_one(&mut self) {
        self.pending += 1;
    }

    /// Takes note that something that was expected has happened.
    pub(super) const fn on_expected(&mut self) {
        self.pending -= 1;
    }

    /// True if every fault has ended.
    pub(super) const fn is_done(&self) -> bool {
        self.pending == 0
    }
}

impl World {
    pub(super) fn plan_faults(&mut self) {
        let since = self.scene.now;
        for (fault, plan) in (0..).zip(&self.chaos.faults) {
            for (occurrence, times) in (0..).zip(plan.occurrences()) {
                let begins = SimEvent::FaultBegins { fault, occurrence };
                self.event_queue.plan(since + times.from, begins);
                self.chaos.pending += 1;
                if let Some(until) = times.until {
                    self.event_queue.plan(since + until, SimEvent::FaultEnds { fault, occurrence });
                    self.chaos.pending += 1;
                }
            }
        }
    }

    #[cold]
    #[inline(never)]
    pub(super) fn begin_fault(&mut self, fault: u32, occurrence: u32) {
        let (name, kind) = ((fault, occurrence), self.chaos.kind(fault));
        self.look_at_loads();
        let victims = self.choose_victims(name, &kind);
        self.tell_of_fault(&kind, DigestTag::FaultBegins, fault, &victims);
        *self.tally.faults.entry(kind.name()).or_default() += 1;
        self.record_fault(name, &kind, &victims);
        if let Some(rule) = kind.rule(&victims, self.scene.nodes.len()) {
            self.scene.network.add(self.scene.now, name, &rule);
        }
        let victim = |node| Victim { node, life: self.scene.node(node).life() };
        let victims = victims.into_iter().map(victim).collect();
        let lasts = self.chaos.faults[fault as usize].lasts();
        let strike = Strike { name, victims, lasts };
        kind.begin(self, &strike);
        self.chaos.active.push(strike);
        self.pass_fault();
    }

    /// Takes one of the steps of a fault, unless the fault has ended.
    #[cold]
    #[inline(never)]
    pub(super) fn step_fault(&mut self, name: RuleName, step: u32) {
        let Some(at) = self.chaos.position(name) else { return };
        let strike = self.chaos.active[at].clone();
        self.scene.changed_at = self.scene.now;
        self.chaos.kind(name.0).step(self, &strike, step);
    }

    #[cold]
    #[inline(never)]
    pub(super) fn end_fault(&mut self, fault: u32, occurrence: u32) {
        self.look_at_loads();
        let (name, kind) = ((fault, occurrence), self.chaos.kind(fault));
        let at = self.chaos.position(name).expect("what ends has begun");
        let strike = self.chaos.active.swap_remove(at);
        let nodes: Vec<_> = strike.nodes().collect();
        self.tell_of_fault(&kind, DigestTag::FaultEnds, fault, &nodes);
        self.record_fault_ended(name);
        self.scene.network.remove(self.scene.now, name);
        kind.end(self, &strike);
        self.pass_fault();
    }

    fn pass_fault(&mut self) {
        self.scene.changed_at = self.scene.now;
        self.chaos.pending -= 1;
        self.heal_if_all_is_done();
    }

    fn choose_victims(
        &mut self,
        (fault, occurrence): RuleName,
        kind: &FaultKind,
    ) -> Vec<NodeIndex> {
        let address = Address::Fault { fault: fault as usize };
        let nodes = self.scene.nodes.len();
        let Some(victims) = kind.victims() else { return Vec::new() };
        if !self.chaos.faults[fault as usize].rolling {
            return victims.choose(&mut self.draws, address, nodes);
        }
        let orders = &mut self.chaos.orders;
        let order =
            orders.entry(fault).or_insert_with(|| victims.order(&mut self.draws, address, nodes));
        let (candidates, at_once) = victims.in_turn(nodes);
        let first = occurrence as usize * at_once;
        (first..first + at_once).map(|at| order[at % candidates]).collect()
    }

    /// Lets a node die if a fault wants it to at this step of its disk. Returns whether it did.
    pub(super) fn dies_at(&mut self, node: NodeIndex, step: StorageStep) -> bool {
        let Some((fault, _)) = self.scene.node_mut(node).take_kill_at(step) else { return false };
        self.note(DigestTag::FaultBegins, fault, &[node]);
        let (kind, name) = (self.chaos.kind(fault), self.scene.name(node));
        self.tell_of_moment(format!("{}: {name} dies, {}", kind.name(), step.words()));
        self.tally.probes.count(WorldProbe::died_at(step));
        self.take_down(node, DiskLoss::Nothing);
        true
    }

    fn tell_of_fault(
        &mut self,
        kind: &FaultKind,
        tag: DigestTag,
        fault: u32,
        victims: &[NodeIndex],
    ) {
        self.note(tag, fault, victims);
        let verb = if tag == DigestTag::FaultBegins { "begins" } else { "ends" };
        let what = kind.of_these(victims.to_vec()).describe(&self.scene.cluster);
        self.tell_of_moment(format!("{} {verb}: {what}", kind.name()));
    }

    /// Writes the nodes that a fault hits into the digest.
    pub(super) fn note(&mut self, tag: DigestTag, fault: u32, nodes: &[NodeIndex]) {
        let mut entry = self.digest.event(self.scene.now, tag, fault);
        for &node in nodes {
            entry = entry.number(number(node).into());
        }
    }

    /// Adds a change of the cluster to the timeline that people read.
    pub(super) fn tell_of_moment(&mut self, what: String) {
        self.trace(|_| format!("#### {what}"));
        self.tally.timeline.push(Moment { at: self.scene.now, what });
    }
}
