//! The end of a founding at one member: its data markers, if it is new, and after them the record which
//! says that it belongs to the cluster.
//!
//! The record comes last: until it stands, a restart finds a store that is still new, with its pledge,
//! and begins again.

use alloc::vec::Vec;

use crate::event::Event;
use crate::store::Refusal;
use crate::types::{AdminRequest, FoundingId, PartitionId, Seq};

/// Markers that are executed at once, so that a call does bounded work.
pub(super) const MARKERS_AT_ONCE: usize = 256;

/// A founding that is being written down.
#[derive(Clone, Debug)]
pub(super) struct FoundingWriting {
    /// The founding.
    pub(super) founding: FoundingId,
    /// The operator's request that this is the end of.
    pub(super) request: Option<AdminRequest>,
    /// The partitions whose markers are written.
    pub(super) complete: Vec<PartitionId>,
    /// The event that the end of it is.
    pub(super) news: Event,
    /// The partitions whose markers are still to be asked for.
    pub(super) to_mark: Vec<PartitionId>,
    /// Markers that are being executed.
    pub(super) marking: usize,
    pub(super) record: RecordProgress,
    pub(super) pace: Pace,
    pub(super) durable: Seq,
}

/// The record of the founding, on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordProgress {
    /// The record waits for the markers.
    Due,
    /// The record is being executed.
    Executing,
    /// The record is durable once the store is durable up to there.
    Executed(Seq),
}

/// The pace at which the store is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// The store is asked as fast as it answers.
    Steady,
    /// The store refused: nothing more is asked before the next round.
    Refused,
}

/// The next commands for the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// No command: the store has enough to do, or has refused.
    Nothing,
    /// Markers of these partitions.
    Markers(Vec<PartitionId>),
    /// The record.
    Record,
}

impl FoundingWriting {
    pub(super) fn new(
        founding: FoundingId,
        complete: Vec<PartitionId>,
        news: Event,
        request: Option<AdminRequest>,
    ) -> Self {
        Self {
            founding,
            request,
            to_mark: complete.clone(),
            complete,
            news,
            marking: 0,
            record: RecordProgress::Due,
            pace: Pace::Steady,
            durable: Seq(0),
        }
    }

    /// The number of markers that are not executed yet.
    pub(super) const fn markers_left(&self) -> usize {
        self.to_mark.len() + self.marking
    }

    /// Takes the next commands. The record is due once every marker was executed: the store makes
    /// durable in order.
    pub(super) fn next(&mut self) -> Next {
        if self.pace == Pace::Refused || self.marking > 0 {
            return Next::Nothing;
        }
        if !self.to_mark.is_empty() {
            let count = self.to_mark.len().min(MARKERS_AT_ONCE);
            self.marking = count;
            return Next::Markers(self.to_mark.drain(..count).collect());
        }
        if self.record == RecordProgress::Due {
            self.record = RecordProgress::Executing;
            return Next::Record;
        }
        Next::Nothing
    }

    /// Lets a store that refused be asked again.
    pub(super) const fn retry(&mut self) {
        self.pace = Pace::Steady;
    }

    /// A marker was executed or refused.
    pub(super) fn on_marker(&mut self, partition: PartitionId, result: Result<(), Refusal>) {
        self.marking -= 1;
        if result.is_err() {
            self.to_mark.push(partition);
            self.pace = Pace::Refused;
        }
    }

    /// The record was executed or refused.
    pub(super) fn on_record(&mut self, seq: Seq, result: Result<(), Refusal>) {
        self.record = if result.is_ok() {
            RecordProgress::Executed(seq)
        } else {
            self.pace = Pace::Refused;
            RecordProgress::Due
        };
    }

    /// The store is durable up to a position.
    pub(super) fn on_durable(&mut self, seq: Seq) {
        self.durable = self.durable.max(seq);
    }

    /// The partitions that are complete and the event to be told, once the record is durable.
    pub(super) fn take_result(&mut self) -> Option<(Vec<PartitionId>, Event)> {
        match self.record {
            RecordProgress::Executed(seq) if seq <= self.durable => {
                Some((core::mem::take(&mut self.complete), self.news.clone()))
            }
            RecordProgress::Due | RecordProgress::Executing | RecordProgress::Executed(_) => None,
        }
    }
}
