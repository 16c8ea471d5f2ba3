//! Disks at work: commands execute, syncs end, and nodes hear of it.

use kv_core::cx::Input;
use kv_core::store::{Command, HandoffCommand, RepairCommand, StoreCommand};
use kv_core::types::Ticket;

use super::messages::time;
use super::{World, number};
use crate::checks::{DISK_FLOOR, merges_of};
use crate::cluster::disk::{DiskAnswer, Executed};
use crate::cluster::event_queue::SimEvent;
use crate::cluster::world_time::WorldTime;
use crate::faults::StorageStep;
use crate::random::address::{Address, Aspect};
use crate::scenario::NodeIndex;
use crate::story::digest::DigestTag;

impl World {
    pub(super) fn store(&mut self, node: NodeIndex, ticket: Ticket, command: StoreCommand) {
        self.trace(|scene| format!("{} asks its disk: {command:?}", scene.name(node)));
        let now = self.scene.now;
        if self.scene.node_mut(node).disk.push(ticket, command, now) {
            self.plan_execution(node, ticket);
        }
    }

    fn plan_execution(&mut self, node: NodeIndex, ticket: Ticket) {
        let now = self.scene.now;
        let life = self.scene.node(node).life();
        // Tickets start over with each life, the first of which is 1; in one life each is executed
        // once.
        let turn = self.draws.nth(Address::Command { node, ticket }, life - 1);
        let speed = &self.disk_speed;
        let after = self.draws.delay(turn, Aspect::Delay, speed.execute_min, speed.execute_mean);
        let answer = self.draws.up_to(turn, Aspect::Answer, speed.execute_min);
        let machine = self.scene.node_mut(node);
        machine.disk.set_answer_delay(answer);
        let at = machine.disk.ends(now, after);
        self.disks_busy_until = self.disks_busy_until.max(at);
        self.event_queue.plan(at, SimEvent::Execute { node: number(node), life });
    }

    pub(super) fn execute(&mut self, what: SimEvent, node: NodeIndex, life: u32) {
        if !self.is_awake_and(node, life, what) || self.dies_at(node, StorageStep::Execute) {
            return;
        }
        self.tell_of_drop(node);
        let now = self.scene.now;
        let machine = self.scene.node_mut(node);
        let id = machine.id;
        let (process, disk) = machine.process_and_disk();
        let process = process.expect("who is awake has a process");
        let Executed { ticket, seq, command, outcome, given_at } =
            disk.execute(&mut process.partitions);
        if self.paranoid {
            process.partitions.invariants(command.partition);
        }
        self.note_command(node, given_at);
        if let Some(watch) = &mut self.watch {
            watch.on_command(&command.command);
        }
        self.tally.merges += merges_of(&command, &outcome);
        let mut excuses = Vec::new();
        if let Some(checks) = &mut self.checks {
            excuses = checks.on_outcome(time(now), id, &command, &outcome, &self.scene);
        }
        for line in excuses {
            self.record_excuse(&line);
            self.trace(|_| line);
        }
        self.record_executed(node, &command, &outcome);
        if let Command::Repair(RepairCommand::MarkComplete { .. }) = command.command {
            self.scene.node_mut(node).on_marked(command.partition, seq);
        }
        self.trace(|scene| format!("{} executes {command:?}: {outcome:?}", scene.name(node)));
        let disk = &mut self.scene.node_mut(node).disk;
        let at = now + disk.answer_delay();
        let at = disk.answer(DiskAnswer::Done { ticket, seq, outcome }, at);
        let next = disk.next();
        self.event_queue.plan(at, SimEvent::Answer { node: number(node), life });
        if let Some(ticket) = next {
            self.plan_execution(node, ticket);
        }
        self.begin_sync(node);
    }

    /// Tells the checks if the next command of a disk deletes hints.
    fn tell_of_drop(&mut self, node: NodeIndex) {
        let Some(checks) = &mut self.checks else { return };
        let machine = self.scene.node(node);
        if let Some(command) = machine.disk.queue().next()
            && let Command::Handoff(HandoffCommand::Drop { .. }) = command.command
        {
            checks.before_drop(time(self.scene.now), machine.id, command, &self.scene);
        }
    }

    fn begin_sync(&mut self, node: NodeIndex) {
        let now = self.scene.now;
        let machine = self.scene.node_mut(node);
        let life = machine.life();
        let Some(sync) = machine.disk.begin_sync() else { return };
        let turn = self.draws.only(Address::Sync { node, number: sync });
        let speed = &self.disk_speed;
        let mean = machine.disk.sync_mean().unwrap_or(speed.sync_mean);
        let after = self.draws.delay(turn, Aspect::Delay, speed.sync_min, mean);
        let at = machine.disk.ends(now, after);
        self.disks_busy_until = self.disks_busy_until.max(at);
        self.event_queue.plan(at, SimEvent::SyncEnds { node: number(node), life });
    }

    pub(super) fn end_sync(&mut self, what: SimEvent, node: NodeIndex, life: u32) {
        if !self.is_awake_and(node, life, what) || self.dies_at(node, StorageStep::Sync) {
            return;
        }
        let disk = &mut self.scene.node_mut(node).disk;
        let sync = disk.syncs();
        let corrupt = disk.image().corrupt().count();
        let since = disk.syncs_since();
        let ended = disk.end_sync();
        if disk.image().corrupt().count() < corrupt {
            self.scene.note_change(node);
        }
        if let Some(since) = since {
            self.note_command(node, since);
        }
        let turn = self.draws.only(Address::Sync { node, number: sync });
        let after = self.draws.up_to(turn, Aspect::Answer, self.disk_speed.execute_min);
        let at = self.scene.now + after;
        let answer = ended.map_or(DiskAnswer::Failed, |seq| DiskAnswer::Durable { seq });
        let at = self.scene.node_mut(node).disk.answer(answer, at);
        self.event_queue.plan(at, SimEvent::Answer { node: number(node), life });
        self.record_synced(node);
        self.trace(|scene| match ended {
            Ok(seq) => format!("{} has synced up to {}", scene.name(node), seq.0),
            Err(fault) => format!("{} could not sync: {fault}", scene.name(node)),
        });
        self.begin_sync(node);
    }

    /// Tells the checks if a command took long since it was given, unless a fault makes the disk
    /// slow.
    fn note_command(&mut self, node: NodeIndex, given_at: WorldTime) {
        let took = self.scene.now.since(given_at);
        if took > DISK_FLOOR
            && self.scene.node(node).disk.is_well()
            && let Some(checks) = &mut self.checks
        {
            checks.on_command_slow(time(self.scene.now), took);
        }
    }

    pub(super) fn answer(&mut self, what: SimEvent, node: NodeIndex, life: u32) {
        if !self.is_awake_and(node, life, what) {
            return;
        }
        let tells_of_sync = self.scene.node(node).disk.tells_of_sync();
        if tells_of_sync && self.dies_at(node, StorageStep::Answer) {
            return;
        }
        let input = match self.scene.node_mut(node).disk.deliver() {
            DiskAnswer::Done { ticket, seq, outcome } => {
                let entry = self.digest.event(self.scene.now, DigestTag::Done, number(node));
                entry.number(ticket.0).number(seq.0).outcome(&outcome);
                Input::StoreDone { ticket, seq, outcome }
            }
            DiskAnswer::Durable { seq } => {
                let entry = self.digest.event(self.scene.now, DigestTag::Durable, number(node));
                entry.number(seq.0);
                if self.scene.node_mut(node).on_durable(seq) {
                    self.scene.note_change(node);
                }
                let log = self.scene.node(node).disk.image().log_at(seq);
                Input::Durable { seq, log }
            }
            DiskAnswer::Failed => {
                self.digest.event(self.scene.now, DigestTag::StoreFailed, number(node));
                Input::StoreFailed
            }
        };
        self.input(node, input);
    }
}
