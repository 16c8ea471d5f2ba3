//! Commands on their way through the store, executed on the thread of whoever asks.

use std::collections::VecDeque;
use std::sync::Arc;

use kv_core::storage::{self, Partitions};
use kv_core::store::{CommandFamily as _, Store as _, StoreCommand};
use kv_core::types::Ticket;

use super::engine::Engine;
use super::event::{CommandDone, StorageEvent};
use super::flush_loop::FlushOrder;
use super::group::Group;
use super::memtable::SealedMemtable;
use super::overlay::Overlay;

/// Executes commands in the order in which they came.
#[derive(Debug)]
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

    pub(super) fn queue(&mut self, ticket: Ticket, command: StoreCommand) {
        self.waiting.push_back((ticket, command));
    }

    /// The number of commands that are not executed yet.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Executes the command that has waited the longest. `None` if there is none, or if the disk is
    /// to catch up first.
    pub(super) fn execute_next(&mut self) -> Option<CommandDone> {
        if self.is_held_up() { None } else { self.execute() }
    }

    fn execute(&mut self) -> Option<CommandDone> {
        let (ticket, command) = self.waiting.pop_front()?;
        let state = self.partitions.get_mut(command.partition);
        let outcome = storage::execute(state, &mut self.overlay, &command);
        Some(CommandDone { ticket, seq: self.overlay.newest(), outcome })
    }

    /// Tells whether as many bytes as allowed are piled up behind a busy disk.
    pub(super) fn is_held_up(&self) -> bool {
        self.overlay.is_held_up(self.unsynced_bytes_max)
    }

    /// The estimated number of bytes that tables in memory take.
    pub(super) fn memory_bytes(&self) -> usize {
        self.overlay.memory_bytes()
    }

    /// Takes the next group to append, unless one is being appended.
    pub(super) fn begin_commit(&mut self) -> Option<Group> {
        self.overlay.begin_commit()
    }

    /// Takes the table in memory that is to be written now, if there is one.
    pub(super) fn begin_flush(&mut self) -> Option<Arc<SealedMemtable>> {
        self.overlay.begin_flush()
    }

    /// Learns what became of groups and tables. Returns what follows from that.
    pub(super) fn on_event(&mut self, event: &StorageEvent) -> Option<FlushOrder> {
        match event {
            StorageEvent::Durable { .. } => self.overlay.end_commit(),
            StorageEvent::Flushed => return Some(FlushOrder::Free(self.overlay.end_flush())),
            StorageEvent::Refusing(error) | StorageEvent::Failed(error) => {
                self.overlay.fail(error.fault);
            }
            StorageEvent::Writable { .. } => self.overlay.resume(),
        }
        None
    }

    /// Ends it: executes all waiting commands but those that only read, since nobody hears the
    /// answers. Returns the number of them, and the last group to write.
    pub(super) fn finish(mut self) -> (u64, Option<Group>) {
        self.waiting.retain(|(_, command)| !command.command.is_read());
        let mut executed = 0;
        while self.execute().is_some() {
            executed += 1;
        }
        (executed, self.overlay.into_last_group())
    }
}
