//! Faults: when they begin and end, whom they hit, and what they do to a machine. What they do to
//! links is for [`crate::network`] to say.

use super::messages::time;
use super::{SETUP, World, number};
use crate::address::{Address, Aspect};
use crate::agenda::Happening;
use crate::checks::Loss;
use crate::digest::Tag;
use crate::result::Moment;
use crate::scenario::{Fault, FaultKind, NodeIndex, Victims};
use crate::world_time::WorldTime;

/// The faults of a scenario.
#[derive(Clone, Debug)]
pub(super) struct Chaos {
    faults: Vec<Fault>,
    active: Vec<Active>,
    /// Beginnings and ends that are still to come.
    pending: usize,
}

/// A fault at work.
#[derive(Clone, Debug)]
struct Active {
    fault: u32,
    occurrence: u32,
    /// Whom it hit, each with the life that it hit.
    victims: Vec<(NodeIndex, u32)>,
}

impl Chaos {
    pub(super) fn new(faults: &[Fault]) -> Self {
        Self { faults: faults.to_vec(), active: Vec::new(), pending: 0 }
    }

    /// Whether every fault has ended.
    pub(super) const fn is_done(&self) -> bool {
        self.pending == 0
    }
}

impl World {
    pub(super) fn plan_faults(&mut self) {
        let since = self.scene.now;
        for (fault, plan) in (0..).zip(&self.chaos.faults) {
            for (occurrence, times) in (0..).zip(plan.occurrences()) {
                let begins = Happening::FaultBegins { fault, occurrence };
                self.agenda.plan(since + times.from, begins);
                self.chaos.pending += 1;
                if let Some(until) = times.until {
                    self.agenda.plan(since + until, Happening::FaultEnds { fault, occurrence });
                    self.chaos.pending += 1;
                }
            }
        }
    }

    pub(super) fn begin_fault(&mut self, fault: u32, occurrence: u32) {
        let kind = self.chaos.faults[fault as usize].kind.clone();
        let victims = self.victims(fault, &kind);
        self.tell_of_fault(&kind, Tag::FaultBegins, fault, &victims);
        *self.tally.faults.entry(kind.name()).or_default() += 1;
        self.scene.network.begin((fault, occurrence), &kind);
        for &node in &victims {
            match kind {
                FaultKind::Kill(_) => self.take_down(node, None),
                FaultKind::Wipe(_) => self.take_down(node, Some(Loss::Wipe)),
                FaultKind::Pause(_) => self.pause(node),
                FaultKind::LostSync(_) => self.scene.node_mut(node).disk.begin_lying(),
                FaultKind::ClockStep { step_us, .. } => {
                    self.scene.node_mut(node).clock.step(step_us);
                }
                FaultKind::ClockDrift { drift_ppm, .. } => self.add_drift(node, drift_ppm),
                FaultKind::Partition(_)
                | FaultKind::Loss(_)
                | FaultKind::Duplicate(_)
                | FaultKind::Reorder(_)
                | FaultKind::SlowLink { .. } => {}
            }
        }
        let with_life = |&node: &NodeIndex| (node, self.scene.node(node).life());
        let victims = victims.iter().map(with_life).collect();
        self.chaos.active.push(Active { fault, occurrence, victims });
        self.pass_fault();
    }

    pub(super) fn end_fault(&mut self, fault: u32, occurrence: u32) {
        let kind = self.chaos.faults[fault as usize].kind.clone();
        let is_it = |active: &Active| (active.fault, active.occurrence) == (fault, occurrence);
        let at = self.chaos.active.iter().position(is_it).expect("what ends has begun");
        let Active { victims, .. } = self.chaos.active.swap_remove(at);
        let nodes: Vec<_> = victims.iter().map(|&(node, _)| node).collect();
        self.tell_of_fault(&kind, Tag::FaultEnds, fault, &nodes);
        self.scene.network.end((fault, occurrence));
        for (node, life) in victims {
            match kind {
                FaultKind::Kill(_) | FaultKind::Wipe(_) => self.bring_up(node),
                FaultKind::Pause(_) => self.resume(node, life),
                FaultKind::LostSync(_) => self.scene.node_mut(node).disk.end_lying(),
                FaultKind::ClockStep { step_us, .. } => {
                    self.scene.node_mut(node).clock.step(-step_us);
                }
                FaultKind::ClockDrift { drift_ppm, .. } => self.add_drift(node, -drift_ppm),
                FaultKind::Partition(_)
                | FaultKind::Loss(_)
                | FaultKind::Duplicate(_)
                | FaultKind::Reorder(_)
                | FaultKind::SlowLink { .. } => {}
            }
        }
        self.pass_fault();
    }

    fn pass_fault(&mut self) {
        self.scene.changed_at = self.scene.now;
        self.chaos.pending -= 1;
        self.heal_if_all_is_done();
    }

    fn victims(&mut self, fault: u32, kind: &FaultKind) -> Vec<NodeIndex> {
        let mut kind = kind.clone();
        let Some(victims) = victims_of(&mut kind) else { return Vec::new() };
        match victims {
            Victims::These(nodes) => nodes.clone(),
            Victims::Random(number) => {
                let mut left: Vec<_> = (0..self.scene.nodes.len()).map(NodeIndex).collect();
                let address = Address::Fault { fault: fault as usize };
                let draw = |_| {
                    let turn = self.draws.next(address);
                    left.remove(self.draws.index(turn, Aspect::Only, left.len()))
                };
                (0..*number).map(draw).collect()
            }
        }
    }

    /// Kills a node, if it runs, and keeps it down.
    fn take_down(&mut self, node: NodeIndex, loss: Option<Loss>) {
        let machine = self.scene.node(node);
        // What was reported and is not safe goes with any kill.
        let unsynced = (machine.disk.image().claimed().len() > 0).then_some(Loss::Unsynced);
        if let (Some(loss), Some(checks)) = (loss.or(unsynced), &mut self.checks) {
            let (at, id) = (time(self.scene.now), machine.id);
            for line in checks.before_loss(at, id, &self.scene, loss) {
                self.trace(|_| line);
            }
        }
        let machine = self.scene.node_mut(node);
        machine.downs += 1;
        let did_run = machine.process().is_some();
        let backlog = machine.kill();
        match loss {
            Some(Loss::Wipe) => machine.disk.wipe(),
            Some(Loss::Unsynced) | None => {}
        }
        if did_run {
            self.drop_backlog(backlog);
            self.reset_clients_of(node);
            self.spread_news(node, false);
        }
    }

    /// Lets a node start again, unless another fault keeps it down.
    fn bring_up(&mut self, node: NodeIndex) {
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
        let Self { scene, draws, agenda, .. } = self;
        if !scene.network.is_cut(of, to) {
            let at = scene.now + scene.network.news_delay(draws, of, to);
            agenda.plan(at, Happening::Link { node: number(to), peer: number(of), up });
        }
    }

    fn pause(&mut self, node: NodeIndex) {
        if let Some(process) = self.scene.node_mut(node).process_mut() {
            process.pauses += 1;
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
            self.agenda.plan(self.scene.now, what);
        }
        self.plan_call(node);
    }

    fn add_drift(&mut self, node: NodeIndex, drift_ppm: i32) {
        let now = self.scene.now;
        let machine = self.scene.node_mut(node);
        machine.fault_drift_ppm += drift_ppm;
        machine.set_drift(now);
        self.plan_call(node);
    }

    fn tell_of_fault(&mut self, kind: &FaultKind, tag: Tag, fault: u32, victims: &[NodeIndex]) {
        let mut entry = self.digest.event(self.scene.now, tag, fault);
        for &victim in victims {
            entry = entry.number(number(victim).into());
        }
        drop(entry);
        let verb = if tag == Tag::FaultBegins { "begins" } else { "ends" };
        let mut kind = kind.clone();
        if let Some(drawn) = victims_of(&mut kind) {
            *drawn = Victims::These(victims.to_vec());
        }
        let whom = kind.describe(&self.scene.cluster);
        let what = format!("{} {verb}: {whom}", kind.name());
        self.tell_of_moment(what);
    }

    /// Notes for people what was done to the cluster.
    pub(super) fn tell_of_moment(&mut self, what: String) {
        self.trace(|_| format!("#### {what}"));
        let at = self.scene.now.since(WorldTime(0) + SETUP);
        self.tally.timeline.push(Moment { at, what });
    }
}

/// Whom a fault of nodes hits; nothing, for a fault of links.
const fn victims_of(kind: &mut FaultKind) -> Option<&mut Victims> {
    match kind {
        FaultKind::Kill(victims)
        | FaultKind::Pause(victims)
        | FaultKind::LostSync(victims)
        | FaultKind::Wipe(victims)
        | FaultKind::ClockStep { victims, .. }
        | FaultKind::ClockDrift { victims, .. } => Some(victims),
        FaultKind::Partition(_)
        | FaultKind::Loss(_)
        | FaultKind::Duplicate(_)
        | FaultKind::Reorder(_)
        | FaultKind::SlowLink { .. } => None,
    }
}
