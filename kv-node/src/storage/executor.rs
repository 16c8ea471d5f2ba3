//! Commands on their way through the store, driven by threads or by a task.

use std::collections::VecDeque;

use kv_core::storage::{self, Partitions};
use kv_core::store::{CommandFamily as _, Store as _, StoreCommand, StoreFault};
use kv_core::types::Ticket;

use super::engine::Engine;
use super::event::StorageEvent;
use super::overlay::{Group, Overlay};

/// The number of commands that are executed before their outcomes are reported.
const TURN_COMMANDS_MAX: usize = 512;

/// Executes commands in the order in which they came.
pub(super) struct Executor<E> {
    partitions: Partitions,
    overlay: Overlay<E>,
    waiting: VecDeque<(Ticket, StoreCommand)>,
    unsynced_bytes_max: usize,
}

impl<E: Engine> Executor<E> {
    pub(super) const fn new(
        partitions: Partitions,
        overlay: Overlay<E>,
        unsynced_bytes_max: usize,
    ) -> Self {
        Self { partitions, overlay, waiting: VecDeque::new(), unsynced_bytes_max }
    }

    pub(super) fn queue(&mut self, commands: Vec<(Ticket, StoreCommand)>) {
        self.waiting.extend(commands);
    }

    /// Drops the waiting commands that only read, since nobody hears the answers when the node
    /// ends. Returns the number of them.
    pub(super) fn drop_reads(&mut self) -> usize {
        let before = self.waiting.len();
        self.waiting.retain(|(_, command)| !command.command.is_read());
        before - self.waiting.len()
    }

    /// Tells whether a turn would execute anything.
    pub(super) fn has_work(&self) -> bool {
        !self.waiting.is_empty() && !self.is_held_up()
    }

    /// Tells whether all commands are executed, and are in the base or will never be.
    pub(super) fn is_done(&self) -> bool {
        let written = !self.overlay.is_committing() || self.overlay.fault().is_some();
        self.waiting.is_empty() && written
    }

    /// Executes waiting commands, up to a bound, and returns their outcomes.
    pub(super) fn turn(&mut self) -> Vec<StorageEvent> {
        let commands = self.waiting.len().min(TURN_COMMANDS_MAX);
        let mut events = Vec::with_capacity(commands);
        while events.len() < commands && !self.is_held_up() {
            let Some((ticket, command)) = self.waiting.pop_front() else { break };
            let state = self.partitions.get_mut(command.partition);
            let outcome = storage::execute(state, &mut self.overlay, &command);
            events.push(StorageEvent::Done { ticket, seq: self.overlay.newest(), outcome });
        }
        events
    }

    /// Takes the next group to write, unless one is being written.
    pub(super) fn begin_commit(&mut self) -> Option<Group> {
        self.overlay.begin_commit()
    }

    pub(super) fn on_written(&mut self) {
        self.overlay.end_commit();
    }

    pub(super) fn on_fault(&mut self, fault: StoreFault) {
        self.overlay.fail(fault);
    }

    pub(super) fn on_resumed(&mut self) {
        self.overlay.resume();
    }

    /// Tells whether as many bytes as allowed are piled up behind a busy disk.
    fn is_held_up(&self) -> bool {
        self.overlay.is_committing()
            && self.overlay.fault().is_none()
            && self.overlay.fresh_bytes() >= self.unsynced_bytes_max
    }
}
