//! Faults: when they begin and end, whom they hit, and how they change a machine. Their effects on
//! links are in [`crate::cluster::network`].

use super::disk_faults::DiskLoss;
use super::messages::time;

use super::steps::Step;
use super::{SETUP, World, number};
use crate::cluster::disk::Ailment;
use crate::cluster::event_queue::SimEvent;
use crate::cluster::network::{RuleName, Way};
use crate::cluster::node::ClockFaults;
use crate::cluster::probes::WorldProbe;
use crate::cluster::world_time::WorldTime;
use crate::random::address::{Address, Aspect};
use crate::scenario::{
    Clog, ClogOrder, Fault, FaultKind, Kill, NodeIndex, Outage, OutageKind, StorageStep, Victims,
    WhichClock,
};
use crate::story::digest::Tag;
use crate::story::result::Moment;

/// The reasons why a node does not work, in a record.
const DOWN: &str = "down";
const PAUSED: &str = "paused";

/// The faults of a scenario, and those at work.
#[derive(Clone, Debug)]
pub(super) struct Chaos {
    pub(super) faults: Vec<Fault>,
    pub(super) active: Vec<Active>,
    /// The number of beginnings and ends that are still to come.
    pending: usize,
}

/// A fault at work.
#[derive(Clone, Debug)]
pub(super) struct Active {
    fault: u32,
    occurrence: u32,
    /// The nodes that the fault hit, each with the life that it hit.
    victims: Vec<(NodeIndex, u32)>,
    /// The fault's steps between its beginning and its end, by number.
    pub(super) steps: Vec<Step>,
}

impl Chaos {
    pub(super) fn new(faults: &[Fault]) -> Self {
        Self { faults: faults.to_vec(), active: Vec::new(), pending: 0 }
    }

    /// Finds the place of a fault among those at work.
    pub(super) fn position(&self, name: RuleName) -> Option<usize> {
        self.active.iter().position(|active| (active.fault, active.occurrence) == name)
    }

    /// The faults at work, with those whom they hit, and the time at which each ends, if it does.
    pub(super) fn at_work(&self) -> impl Iterator<Item = (FaultKind, Option<WorldTime>)> + '_ {
        self.active.iter().filter_map(|active| {
            let fault = &self.faults[active.fault as usize];
            let mut kind = fault.kind.clone();
            if let Some(victims) = victims_of(&mut kind) {
                *victims = Victims::These(active.victims.iter().map(|&(node, _)| node).collect());
            }
            let times = fault.occurrences().nth(active.occurrence as usize)?;
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
        let kind = self.chaos.faults[fault as usize].kind.clone();
        self.look_at_loads();
        let victims = self.victims(fault, &kind);
        self.tell_of_fault(&kind, Tag::FaultBegins, fault, &victims);
        *self.tally.faults.entry(kind.name()).or_default() += 1;
        self.record_fault((fault, occurrence), &kind, &victims);
        self.scene.network.begin((fault, occurrence), &kind);
        for &node in &victims {
            match kind {
                FaultKind::Kill(Kill { at: None, .. })
                | FaultKind::Outage(Outage { how: OutageKind::Power, .. }) => {
                    self.take_down(node, DiskLoss::Nothing)
                }
                FaultKind::Kill(Kill { at: Some(step), .. }) => {
                    self.scene.node_mut(node).kill_at((fault, occurrence), step);
                }
                FaultKind::Wipe(_) => self.take_down(node, DiskLoss::Wiped),
                FaultKind::Pause(_) => self.pause(node),
                FaultKind::LostSync(_) => {
                    self.scene.node_mut(node).disk.afflict(Ailment::Lies, true);
                }
                FaultKind::Disk { fault: ref what, .. } => {
                    self.begin_disk_fault(node, what, (fault, occurrence));
                }
                FaultKind::ClockStep { step_us, .. } => {
                    self.step_clock(node, step_us);
                }
                FaultKind::ClockDrift { drift_ppm, clock, .. } => {
                    self.change_clocks(node, clock, |faults| faults.drift_ppm += drift_ppm);
                }
                FaultKind::ClockFreeze { clock, .. } => {
                    self.change_clocks(node, clock, |faults| faults.freezes += 1);
                }
                FaultKind::Partition(_)
                | FaultKind::Clog(_)
                | FaultKind::Swizzle(_)
                | FaultKind::Loss(_)
                | FaultKind::Duplicate(_)
                | FaultKind::Reorder(_)
                | FaultKind::Corrupt(_)
                | FaultKind::SlowLink(_)
                | FaultKind::Outage(Outage { how: OutageKind::Network, .. }) => {}
            }
        }
        let steps = self.plan_steps((fault, occurrence), &kind, &victims);
        let with_life = |&node: &NodeIndex| (node, self.scene.node(node).life());
        let victims = victims.iter().map(with_life).collect();
        self.chaos.active.push(Active { fault, occurrence, victims, steps });
        self.pass_fault();
    }

    #[cold]
    #[inline(never)]
    pub(super) fn end_fault(&mut self, fault: u32, occurrence: u32) {
        self.look_at_loads();
        let kind = self.chaos.faults[fault as usize].kind.clone();
        let at = self.chaos.position((fault, occurrence)).expect("what ends has begun");
        let Active { victims, .. } = self.chaos.active.swap_remove(at);
        let nodes: Vec<_> = victims.iter().map(|&(node, _)| node).collect();
        self.tell_of_fault(&kind, Tag::FaultEnds, fault, &nodes);
        self.record_fault_ended((fault, occurrence));
        self.scene.network.end((fault, occurrence));
        for (node, life) in victims {
            match kind {
                FaultKind::Kill(Kill { at: None, .. })
                | FaultKind::Wipe(_)
                | FaultKind::Outage(Outage { how: OutageKind::Power, .. }) => self.bring_up(node),
                FaultKind::Kill(Kill { at: Some(_), .. }) => {
                    if !self.scene.node_mut(node).do_not_kill_at((fault, occurrence)) {
                        self.bring_up(node);
                    }
                }
                FaultKind::Pause(_) => self.resume(node, life),
                FaultKind::LostSync(_) => {
                    self.scene.node_mut(node).disk.afflict(Ailment::Lies, false);
                }
                FaultKind::Disk { fault: ref what, .. } => self.end_disk_fault(node, what),
                FaultKind::ClockStep { step_us, .. } => {
                    self.step_clock(node, -step_us);
                }
                FaultKind::ClockDrift { drift_ppm, clock, .. } => {
                    self.change_clocks(node, clock, |faults| faults.drift_ppm -= drift_ppm);
                }
                FaultKind::ClockFreeze { clock, .. } => {
                    self.change_clocks(node, clock, |faults| faults.freezes -= 1);
                }
                FaultKind::Partition(_)
                | FaultKind::Clog(_)
                | FaultKind::Swizzle(_)
                | FaultKind::Loss(_)
                | FaultKind::Duplicate(_)
                | FaultKind::Reorder(_)
                | FaultKind::Corrupt(_)
                | FaultKind::SlowLink(_)
                | FaultKind::Outage(Outage { how: OutageKind::Network, .. }) => {}
            }
        }
        if let FaultKind::Clog(Clog { order, .. }) = kind {
            self.let_go(order);
        } else if let FaultKind::Swizzle(_) = kind {
            self.let_go(ClogOrder::Sent);
        }
        self.pass_fault();
    }

    fn pass_fault(&mut self) {
        self.scene.changed_at = self.scene.now;
        self.chaos.pending -= 1;
        self.heal_if_all_is_done();
    }

    fn victims(&mut self, fault: u32, kind: &FaultKind) -> Vec<NodeIndex> {
        if let FaultKind::Outage(Outage { nodes, .. }) = kind {
            return nodes.clone();
        }
        let mut kind = kind.clone();
        let Some(victims) = victims_of(&mut kind) else { return Vec::new() };
        let address = Address::Fault { fault: fault as usize };
        let mut left: Vec<_> = (0..self.scene.nodes.len()).map(NodeIndex).collect();
        let number = match victims {
            Victims::These(nodes) => return nodes.clone(),
            Victims::Random(number) => *number,
            Victims::AnyNumber => {
                let turn = self.draws.next(&address);
                1 + self.draws.index(turn, Aspect::Victims, left.len())
            }
        };
        let draw = |_| {
            let turn = self.draws.next(&address);
            left.remove(self.draws.index(turn, Aspect::Only, left.len()))
        };
        (0..number).map(draw).collect()
    }

    /// Kills a node, if it runs, and keeps it down. Its disk may lose records besides.
    pub(super) fn take_down(&mut self, node: NodeIndex, loss: DiskLoss) {
        let left = self.what_is_left(node, loss);
        let machine = self.scene.node_mut(node);
        machine.downs += 1;
        let did_run = machine.process().is_some();
        let backlog = machine.kill(left);
        self.record_outage_ended(node, Some(PAUSED));
        self.record_outage(node, DOWN);
        self.record_copies(node);
        if did_run {
            if let Some(checks) = &mut self.checks {
                checks.on_stopped(self.scene.node(node).id);
            }
            self.drop_backlog(backlog);
            self.reset_clients_of(node);
            self.spread_news(node, false);
        }
    }

    /// Lets a node start again, unless another fault keeps it down.
    pub(super) fn bring_up(&mut self, node: NodeIndex) {
        let machine = self.scene.node_mut(node);
        machine.downs -= 1;
        if machine.downs == 0 {
            self.boot(node);
            self.spread_news(node, true);
        }
    }

    /// Tells nodes that can be reached that the connection to a node broke or stands again; in the
    /// latter case the node itself as well.
    fn spread_news(&mut self, node: NodeIndex, up: bool) {
        for peer in (0..self.scene.nodes.len()).map(NodeIndex).filter(|&peer| peer != node) {
            if self.scene.node(peer).process().is_none() {
                continue;
            }
            self.plan_news(node, peer, up);
            if up {
                self.plan_news(peer, node, up);
            }
        }
    }

    fn plan_news(&mut self, of: NodeIndex, to: NodeIndex, up: bool) {
        let way = Way { from: of, to, kind: None };
        if !self.scene.network.is_cut(way) {
            let after = self.scene.network.news_delay(&mut self.draws, way);
            let what = SimEvent::Link { node: number(to), peer: number(of), up };
            self.put_on_its_way(way, what, after);
        }
    }

    fn pause(&mut self, node: NodeIndex) {
        if let Some(process) = self.scene.node_mut(node).process_mut() {
            process.pauses += 1;
            if let Some(checks) = &mut self.checks {
                checks.on_paused(time(self.scene.now), self.scene.node(node).id);
            }
            self.record_outage(node, PAUSED);
        }
    }

    /// Lets a paused process go on with what has waited. One that was killed meanwhile does not.
    fn resume(&mut self, node: NodeIndex, life: u32) {
        let machine = self.scene.node_mut(node);
        if machine.life() != life {
            return;
        }
        if machine.process().is_none() {
            return;
        }
        for what in machine.resume() {
            self.event_queue.plan(self.scene.now, what);
        }
        if self.scene.node(node).is_awake() {
            if let Some(checks) = &mut self.checks {
                checks.on_woke(time(self.scene.now), self.scene.node(node).id);
            }
            self.record_outage_ended(node, Some(PAUSED));
        }
        self.plan_call(node);
    }

    fn step_clock(&mut self, node: NodeIndex, by_us: i64) {
        self.record_clocks(node);
        self.scene.node_mut(node).clock.step(by_us);
        self.record_clocks(node);
    }

    fn change_clocks(
        &mut self,
        node: NodeIndex,
        which: WhichClock,
        change: impl Fn(&mut ClockFaults),
    ) {
        self.record_clocks(node);
        let now = self.scene.now;
        let machine = self.scene.node_mut(node);
        if which.is_wall() {
            change(&mut machine.wall);
        }
        if which.is_monotonic() {
            change(&mut machine.monotonic);
        }
        let ran = machine.clock.measures();
        machine.set_clocks(now);
        let (id, runs) = (machine.id, machine.clock.measures());
        if let Some(checks) = &mut self.checks
            && runs != ran
        {
            checks.on_clock(time(now), id, runs);
        }
        self.plan_call(node);
    }

    /// Lets a node die if a fault wants it to at this step of its disk. Returns whether it did.
    pub(super) fn dies_at(&mut self, node: NodeIndex, step: StorageStep) -> bool {
        let Some((fault, _)) = self.scene.node_mut(node).take_kill_at(step) else { return false };
        self.note(Tag::FaultBegins, fault, &[node]);
        self.tell_of_moment(format!("kill: {} dies, {}", self.scene.name(node), step.words()));
        self.tally.probes.count(WorldProbe::died_at(step));
        self.scene.changed_at = self.scene.now;
        self.take_down(node, DiskLoss::Nothing);
        true
    }

    fn tell_of_fault(&mut self, kind: &FaultKind, tag: Tag, fault: u32, victims: &[NodeIndex]) {
        self.note(tag, fault, victims);
        let verb = if tag == Tag::FaultBegins { "begins" } else { "ends" };
        let mut kind = kind.clone();
        if let Some(drawn) = victims_of(&mut kind) {
            *drawn = Victims::These(victims.to_vec());
        }
        self.tell_of_moment(format!(
            "{} {verb}: {}",
            kind.name(),
            kind.describe(&self.scene.cluster)
        ));
    }

    /// Writes the nodes that a fault hits into the digest.
    pub(super) fn note(&mut self, tag: Tag, fault: u32, nodes: &[NodeIndex]) {
        let mut entry = self.digest.event(self.scene.now, tag, fault);
        for &node in nodes {
            entry = entry.number(number(node).into());
        }
    }

    /// Adds a change of the cluster to the timeline that people read.
    pub(super) fn tell_of_moment(&mut self, what: String) {
        self.trace(|_| format!("#### {what}"));
        let at = self.scene.now.since(WorldTime(0) + SETUP);
        self.tally.timeline.push(Moment { at, what });
    }
}

/// The victims of a fault of nodes; none, for a fault of links or of a place.
const fn victims_of(kind: &mut FaultKind) -> Option<&mut Victims> {
    match kind {
        FaultKind::Kill(Kill { victims, .. })
        | FaultKind::Pause(victims)
        | FaultKind::Swizzle(victims)
        | FaultKind::LostSync(victims)
        | FaultKind::Wipe(victims)
        | FaultKind::ClockStep { victims, .. }
        | FaultKind::ClockDrift { victims, .. }
        | FaultKind::ClockFreeze { victims, .. }
        | FaultKind::Disk { victims, .. } => Some(victims),
        FaultKind::Partition(_)
        | FaultKind::Clog(_)
        | FaultKind::Loss(_)
        | FaultKind::Duplicate(_)
        | FaultKind::Reorder(_)
        | FaultKind::Corrupt(_)
        | FaultKind::SlowLink(_)
        | FaultKind::Outage(_) => None,
    }
}
