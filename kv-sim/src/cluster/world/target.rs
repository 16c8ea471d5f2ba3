//! The verbs by which a fault changes the world: they change a machine, a disk, a clock or a link,
//! and tell the checks, the record and the peers of it.

use kv_core::storage::{self, StoredRecord};
use kv_core::time::Span;

use super::messages::time;
use super::{World, number};
use crate::cluster::disk::RecordKey;
use crate::cluster::event_queue::SimEvent;
use crate::cluster::network::Way;
use crate::cluster::node::ClockFaults;
use crate::faults::{
    Ailment, Change, ClogOrder, DiskLoss, LinkRule, RuleName, Slowness, StorageStep, Target,
    Victim, WhichClock,
};
use crate::random::draws::Draws;
use crate::scenario::{Cluster, NodeIndex};
use crate::story::digest::DigestTag;

/// The reasons why a node does not work, in a record.
const DOWN: &str = "down";
const PAUSED: &str = "paused";

impl Target for World {
    fn cluster(&self) -> &Cluster {
        &self.scene.cluster
    }

    fn draws(&mut self) -> &mut Draws {
        &mut self.draws
    }

    fn plan_step(&mut self, (fault, occurrence): RuleName, step: u32, after: Span) {
        let what = SimEvent::FaultStep { fault, occurrence, step };
        self.event_queue.plan(self.scene.now + after, what);
    }

    fn tell_of_step(
        &mut self,
        (fault, _): RuleName,
        change: Change,
        nodes: &[NodeIndex],
        what: String,
    ) {
        let tag = match change {
            Change::Worse => DigestTag::FaultBegins,
            Change::Better => DigestTag::FaultEnds,
        };
        self.note(tag, fault, nodes);
        self.tell_of_moment(what);
    }

    fn count_again(&mut self, fault: &'static str) {
        *self.tally.faults.entry(fault).or_default() += 1;
    }

    fn take_down(&mut self, node: NodeIndex, loss: DiskLoss) {
        self.scene.note_change(node);
        let left = self.what_is_left(node, loss);
        self.wait_anew_if_it_heals();
        let machine = self.scene.node_mut(node);
        machine.downs += 1;
        let did_run = machine.process().is_some();
        let backlog = machine.kill(left);
        self.scene.heard.forget(node);
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

    fn bring_up(&mut self, node: NodeIndex) {
        let machine = self.scene.node_mut(node);
        machine.downs -= 1;
        if machine.downs == 0 {
            self.boot(node);
            self.spread_news(node, true);
        }
    }

    fn take_down_at(&mut self, node: NodeIndex, step: StorageStep, name: RuleName) {
        self.scene.node_mut(node).kill_at(name, step);
    }

    fn spare_or_bring_up(&mut self, node: NodeIndex, name: RuleName) {
        if !self.scene.node_mut(node).do_not_kill_at(name) {
            self.bring_up(node);
        }
    }

    fn pause(&mut self, node: NodeIndex) {
        self.scene.note_change(node);
        if let Some(process) = self.scene.node_mut(node).process_mut() {
            process.pauses += 1;
            if let Some(checks) = &mut self.checks {
                checks.on_paused(time(self.scene.now), self.scene.node(node).id);
            }
            self.record_outage(node, PAUSED);
        }
    }

    fn resume(&mut self, Victim { node, life }: Victim) {
        self.scene.note_change(node);
        let machine = self.scene.node_mut(node);
        if machine.life() != life || machine.process().is_none() {
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

    fn afflict(&mut self, node: NodeIndex, ailment: Ailment) {
        self.scene.note_change(node);
        self.scene.node_mut(node).disk.afflict(ailment, true);
    }

    fn cure(&mut self, node: NodeIndex, ailment: Ailment) {
        self.scene.note_change(node);
        self.scene.node_mut(node).disk.afflict(ailment, false);
    }

    fn restart_if_disk_is_well(&mut self, node: NodeIndex) {
        let machine = self.scene.node_mut(node);
        if machine.has_failed && !machine.disk.is_failing() {
            machine.has_failed = false;
            self.bring_up(node);
        }
    }

    fn slow_disk(&mut self, node: NodeIndex, slowness: Slowness, lasts: Span) {
        self.scene.note_change(node);
        let until = self.scene.now + lasts;
        self.scene.node_mut(node).disk.begin_slowness(slowness, until);
    }

    fn end_slow_disk(&mut self, node: NodeIndex) {
        self.scene.note_change(node);
        let now = self.scene.now;
        self.scene.node_mut(node).disk.end_slowness(now);
    }

    fn sound_records(&self, node: NodeIndex) -> Vec<Vec<u8>> {
        self.scene.node(node).disk.image().sound().map(|key| key.to_vec()).collect()
    }

    fn rot(&mut self, node: NodeIndex, records: &[Vec<u8>]) {
        self.trace(|scene| {
            let records = records.iter().map(|key| {
                storage::parse_record_key(key)
                    .map_or_else(String::new, |record| format!("{record:?}"))
            });
            let records: Vec<_> = records.collect();
            format!("on the disk of {} rot: {}", scene.name(node), records.join(", "))
        });
        let mut left = self.scene.node(node).disk.image().clone();
        left.rot(records.iter().map(|key| RecordKey::from_slice(key)));
        let parsed = records.iter().filter_map(|key| storage::parse_record_key(key));
        self.tell_of_rot(node, parsed);
        self.tell_of_loss(node, &left);
        self.scene.note_change(node);
        let is_hint = |key: &Vec<u8>| {
            matches!(storage::parse_record_key(key), Some(StoredRecord::Hint { .. }))
        };
        self.scene.node_mut(node).hints_rotted |= records.iter().any(is_hint);
        *self.scene.node_mut(node).disk.image_mut() = left;
        self.record_copies(node);
    }

    fn holds_foreign_data(&self, node: NodeIndex) -> bool {
        self.scene.node(node).disk.image().is_foreign()
    }

    fn moments(&self, node: NodeIndex) -> usize {
        self.scene.node(node).disk.image().moments()
    }

    fn step_clock(&mut self, node: NodeIndex, by_us: i64) {
        self.scene.note_change(node);
        self.record_clocks(node);
        let now = self.scene.now;
        let machine = self.scene.node_mut(node);
        machine.latest_date = machine.latest_date.max(machine.clock.now(now).wall);
        machine.clock.step(by_us);
        self.note_strayed_clock(node);
        self.record_clocks(node);
    }

    fn drift_clocks(&mut self, node: NodeIndex, clock: WhichClock, by_ppm: i32) {
        self.change_clocks(node, clock, |faults| faults.drift_ppm += by_ppm);
    }

    fn freeze_clocks(&mut self, node: NodeIndex, clock: WhichClock) {
        self.change_clocks(node, clock, |faults| faults.freezes += 1);
    }

    fn thaw_clocks(&mut self, node: NodeIndex, clock: WhichClock) {
        self.change_clocks(node, clock, |faults| faults.freezes -= 1);
    }

    fn add_rule(&mut self, name: RuleName, rule: &LinkRule) {
        self.scene.network.add(self.scene.now, name, rule);
    }

    fn remove_rules(&mut self, name: RuleName) {
        self.scene.network.remove(self.scene.now, name);
    }

    fn clog(&mut self, name: RuleName, node: NodeIndex) {
        self.scene.network.clog(self.scene.now, name, node);
    }

    fn unclog(&mut self, name: RuleName, node: NodeIndex) {
        self.scene.network.unclog(self.scene.now, name, node);
    }

    fn let_go(&mut self, order: ClogOrder) {
        self.plan_freed(order);
    }
}

impl World {
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

    fn note_strayed_clock(&mut self, node: NodeIndex) {
        if let Some(checks) = &mut self.checks {
            checks.on_clock_strayed(time(self.scene.now), self.scene.node(node).id);
        }
    }

    fn change_clocks(
        &mut self,
        node: NodeIndex,
        which: WhichClock,
        change: impl Fn(&mut ClockFaults),
    ) {
        self.scene.note_change(node);
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
        self.note_strayed_clock(node);
        let machine = self.scene.node(node);
        let (id, runs) = (machine.id, machine.clock.measures());
        if let Some(checks) = &mut self.checks
            && runs != ran
        {
            checks.on_clock(time(now), id, runs);
        }
        self.plan_call(node);
    }
}
