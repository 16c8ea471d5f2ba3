//! The disk of one node: a queue of storage commands, and the records that they work on.
//!
//! Commands go in; answers come out, in order, on one channel: `Done` when a command was executed,
//! `Durable` when a sync ended. Three moments are apart, so that a kill can fall between them: a
//! command executes, a sync ends, an answer is delivered. The world decides *when*; this module,
//! what happens then.

mod image;
mod safe;

use std::collections::VecDeque;

use kv_core::storage::{self, Partitions};
use kv_core::store::{
    Answer, Command, HandoffAnswer, Outcome, RepairCommand, Store as _, StoreCommand, StoreFault,
};
use kv_core::time::Span;
use kv_core::types::{NodeId, Seq, Ticket};

pub use image::Image;
pub use safe::RecordKey;

use crate::cluster::world_time::WorldTime;
use crate::faults::{Ailment, Slowness};

/// The disk of one node.
///
/// Invariant: at most one sync is under way; it covers what was committed when it began.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    image: Image,
    queue: VecDeque<Queued>,
    answers: VecDeque<DiskAnswer>,
    answered_at: WorldTime,
    /// The time that the answer to the command at the head of the queue will take.
    answer_delay: Span,
    syncing: Option<Seq>,
    /// The time at which the oldest command was given that the sync under way makes safe.
    syncs_since: Option<WorldTime>,
    /// The time at which the oldest command was given that the next sync will make safe.
    unsynced_since: Option<WorldTime>,
    syncs: u64,
    /// The number of faults that let the disk lie about syncs.
    liars: u32,
    /// The number of faults that let syncs fail.
    sync_breakers: u32,
    /// The number of faults that let a kill leave some of what was not synced.
    tearers: u32,
    /// The slowness that each fault at work causes, with the time at which it ends.
    slow: Vec<(Slowness, WorldTime)>,
}

/// A command that waits to be executed.
#[derive(Clone, Debug)]
struct Queued {
    ticket: Ticket,
    command: StoreCommand,
    given_at: WorldTime,
}

/// An answer of a disk to its node.
#[derive(Clone, Debug)]
pub enum DiskAnswer {
    /// A command was executed.
    Done {
        /// The ticket of the command.
        ticket: Ticket,
        /// The newest position after the command.
        seq: Seq,
        /// The outcome of the command.
        outcome: Outcome,
    },
    /// Everything up to a position is safe, or so the disk reports.
    Durable {
        /// The position up to which everything is safe.
        seq: Seq,
    },
    /// A sync failed.
    Failed,
}

/// A command that was just executed.
#[derive(Clone, Debug)]
pub struct Executed {
    /// The ticket of the command.
    pub ticket: Ticket,
    /// The newest position after the command.
    pub seq: Seq,
    /// The command itself.
    pub command: StoreCommand,
    /// The outcome of the command.
    pub outcome: Outcome,
    /// The time at which the command was given.
    pub given_at: WorldTime,
}

impl Disk {
    /// The records of the disk.
    pub const fn image(&self) -> &Image {
        &self.image
    }

    /// The records of the disk, to be set up or hit by a fault.
    pub const fn image_mut(&mut self) -> &mut Image {
        &mut self.image
    }

    /// Takes a command. Returns whether it is the only one, so that its execution must be planned.
    pub fn push(&mut self, ticket: Ticket, command: StoreCommand, given_at: WorldTime) -> bool {
        self.queue.push_back(Queued { ticket, command, given_at });
        self.queue.len() == 1
    }

    /// The commands that wait to be executed, in their order.
    pub fn queue(&self) -> impl Iterator<Item = &StoreCommand> {
        self.queue.iter().map(|queued| &queued.command)
    }

    /// The number of answers that are on their way.
    pub fn answers(&self) -> usize {
        self.answers.len()
    }

    /// The bytes of hints that were deleted, and of which the node was not told yet, each time with
    /// the node that they were kept for.
    pub fn hints_dropped(&self) -> impl Iterator<Item = (NodeId, u64)> + '_ {
        self.answers.iter().filter_map(|answer| match answer {
            DiskAnswer::Done { outcome, .. } => match &outcome.answer {
                Answer::Handoff(HandoffAnswer::Dropped { target, result, .. }) => {
                    Some((*target, result.as_ref().ok()?.bytes))
                }
                Answer::Handoff(_)
                | Answer::Replica(_)
                | Answer::Repair(_)
                | Answer::Founding(_)
                | Answer::Recall(_) => None,
            },
            DiskAnswer::Durable { .. } | DiskAnswer::Failed => None,
        })
    }

    /// The position that the sync under way will make safe.
    pub const fn syncing(&self) -> Option<Seq> {
        self.syncing
    }

    /// The faults of the disk, in words.
    pub fn ailments(&self) -> impl Iterator<Item = &'static str> {
        let Image { fillers, breakers, .. } = &self.image;
        let all = [
            (self.liars, "lies about syncs"),
            (self.tearers, "would tear batches at a kill"),
            (*fillers, "is full"),
            (*breakers, "refuses commits"),
            (self.sync_breakers, "fails syncs"),
            (u32::from(!self.slow.is_empty()), "is slow"),
        ];
        all.into_iter().filter(|&(faults, _)| faults > 0).map(|(_, words)| words)
    }

    /// The ticket of the command that is executed next.
    pub fn next(&self) -> Option<Ticket> {
        self.queue.front().map(|queued| queued.ticket)
    }

    /// True if the disk has nothing to do but to look for corruption.
    pub fn is_idle(&self) -> bool {
        self.queue()
            .all(|command| matches!(command.command, Command::Repair(RepairCommand::Scrub { .. })))
    }

    /// Executes the next command.
    ///
    /// # Panics
    /// If there is no command.
    pub fn execute(&mut self, partitions: &mut Partitions) -> Executed {
        let Queued { ticket, command, given_at } =
            self.queue.pop_front().expect("an execution has a command");
        let (state, before) = (partitions.get_mut(command.partition), self.image.newest());
        let outcome = storage::execute(state, &mut self.image, &command);
        let seq = self.image.newest();
        if seq != before {
            self.unsynced_since.get_or_insert(given_at);
        }
        Executed { ticket, seq, command, outcome, given_at }
    }

    /// The time at which the oldest command was given that is not done yet, or not safe.
    pub fn waiting_since(&self) -> Option<WorldTime> {
        let queued = self.queue.front().map(|queued| queued.given_at);
        queued.into_iter().chain(self.syncs_since).chain(self.unsynced_since).min()
    }

    /// The time at which the oldest command was given that the sync under way makes safe.
    pub const fn syncs_since(&self) -> Option<WorldTime> {
        self.syncs_since
    }

    /// Puts an answer on its way, to be delivered at `at` or, if that would overtake, just after
    /// the one before. Returns the time of delivery.
    pub fn answer(&mut self, answer: DiskAnswer, at: WorldTime) -> WorldTime {
        self.answers.push_back(answer);
        self.answered_at = self.answered_at.max(at);
        self.answered_at
    }

    /// Takes the answer that is delivered now.
    ///
    /// # Panics
    /// If no answer is on its way.
    pub fn deliver(&mut self) -> DiskAnswer {
        self.answers.pop_front().expect("a delivery has an answer")
    }

    /// True if the answer that is delivered next tells of a sync.
    pub fn tells_of_sync(&self) -> bool {
        matches!(self.answers.front(), Some(DiskAnswer::Durable { .. }))
    }

    /// The time that the answer to the next command will take.
    pub const fn answer_delay(&self) -> Span {
        self.answer_delay
    }

    /// Sets the time that the answer to the next command will take.
    pub const fn set_answer_delay(&mut self, delay: Span) {
        self.answer_delay = delay;
    }

    /// The number of the last sync that was begun, over the life of the world.
    pub const fn syncs(&self) -> u64 {
        self.syncs
    }

    /// Begins a sync, if one is needed and none is under way. Returns its number.
    pub fn begin_sync(&mut self) -> Option<u64> {
        if self.syncing.is_some() || self.image.newest() == self.image.reported() {
            return None;
        }
        self.syncing = Some(self.image.newest());
        self.syncs_since = self.unsynced_since.take();
        self.syncs += 1;
        Some(self.syncs)
    }

    /// Ends the sync. Returns the position that is reported, whether or not that is true.
    ///
    /// # Errors
    /// [`StoreFault::Failed`]: what was to be synced never will be.
    ///
    /// # Panics
    /// If no sync was begun.
    pub fn end_sync(&mut self) -> Result<Seq, StoreFault> {
        let seq = self.syncing.take().expect("a sync that ends was begun");
        self.syncs_since = None;
        if self.sync_breakers > 0 {
            self.image.fail(seq);
            return Err(StoreFault::Failed);
        }
        if self.liars > 0 {
            self.image.claim(seq)
        } else {
            self.image.sync(seq)
        }
        Ok(seq)
    }

    /// Begins or ends one fault of the disk.
    pub fn afflict(&mut self, ailment: Ailment, begins: bool) {
        let count = match ailment {
            Ailment::Lies => &mut self.liars,
            Ailment::Tears => &mut self.tearers,
            Ailment::IsFull => &mut self.image.fillers,
            Ailment::FailsCommits => &mut self.image.breakers,
            Ailment::FailsSyncs => &mut self.sync_breakers,
        };
        *count = if begins { *count + 1 } else { *count - 1 };
    }

    /// Makes the disk slow from now until then.
    pub fn begin_slowness(&mut self, slowness: Slowness, until: WorldTime) {
        self.slow.push((slowness, until));
    }

    /// Undoes the [`Disk::begin_slowness`] that ends now.
    pub fn end_slowness(&mut self, now: WorldTime) {
        self.slow.retain(|&(_, until)| until > now);
    }

    /// The time at which something ends that would take this long: no later than the faults that
    /// make it slow.
    pub fn ends(&self, now: WorldTime, takes: Span) -> WorldTime {
        let one = |(slowness, until): &(Slowness, WorldTime)| {
            let slow = now + takes.times(slowness.factor.into());
            if slowness.stalls { *until } else { slow.min(*until) }
        };
        self.slow.iter().map(one).max().unwrap_or(now + takes).max(now)
    }

    /// The mean time of a sync, if a fault changes it.
    pub fn sync_mean(&self) -> Option<Span> {
        self.slow.iter().filter_map(|(slowness, _)| slowness.sync_mean).max()
    }

    /// True if the disk takes and gives at full speed what it is told. A disk that lies or tears
    /// does.
    pub fn is_well(&self) -> bool {
        !self.is_full() && !self.is_failing() && !self.is_slow()
    }

    /// True if a fault makes the disk slow.
    pub const fn is_slow(&self) -> bool {
        !self.slow.is_empty()
    }

    /// True if batches that need room are refused.
    pub const fn is_full(&self) -> bool {
        self.image.fillers > 0
    }

    /// True if commits or syncs fail.
    pub const fn is_failing(&self) -> bool {
        self.image.breakers > 0 || self.sync_breakers > 0
    }

    /// True if a kill may leave some of what was not synced.
    pub const fn tears(&self) -> bool {
        self.tearers > 0
    }

    /// Ends the process: drops the queue and the answers on their way, and takes over the records
    /// that a fault left.
    pub fn kill(&mut self, left: Image) {
        let Self { image, queue, answers, syncing, syncs_since, unsynced_since, .. } = self;
        *image = left;
        queue.clear();
        answers.clear();
        *syncing = None;
        *syncs_since = None;
        *unsynced_since = None;
    }
}

#[cfg(test)]
mod tests;
