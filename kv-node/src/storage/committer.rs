//! Groups on their way to the disk, as durable as was promised.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kv_core::types::LogPosition;

use super::engine::{Engine, EngineError, Reach};
use super::group::Group;

/// The promise that a `Durable` event makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The disk has it: every group ends with a sync. Nothing that was acknowledged is lost.
    #[default]
    Always,
    /// The operating system has it, and the disk will have it soon. Nothing is lost when the
    /// process dies; when the machine does, what was acknowledged in the last interval is, and what
    /// was while the sync was under way that ends it.
    Interval {
        /// The time for which written groups may stay without a sync.
        every: Duration,
    },
    /// The operating system has it. Nothing is lost when the process dies; when the machine does,
    /// all is that the system had not yet written out. A clean end syncs.
    Never,
}

/// Writes groups to the engine, and syncs them when that is due.
#[derive(Debug)]
pub(super) struct Committer<E> {
    engine: Arc<E>,
    durability: Durability,
    /// The time of the first write after the last sync, if there was one.
    unsynced_since: Option<Instant>,
}

impl<E: Engine> Committer<E> {
    pub(super) const fn new(engine: Arc<E>, durability: Durability) -> Self {
        Self { engine, durability, unsynced_since: None }
    }

    /// Appends a group. When it returns, the group is as durable as was promised.
    pub(super) fn append(&mut self, group: &Group) -> Result<(), EngineError> {
        match self.durability {
            Durability::Always => self.engine.append(group, Reach::Synced),
            Durability::Interval { .. } | Durability::Never => {
                self.engine.append(group, Reach::Written)?;
                self.unsynced_since.get_or_insert_with(Instant::now);
                Ok(())
            }
        }
    }

    /// The time until [`Committer::sync`] is due, or `None` if there is nothing to sync by
    /// interval.
    pub(super) fn sync_due_in(&self) -> Option<Duration> {
        match (self.durability, self.unsynced_since) {
            (Durability::Interval { every }, Some(since)) => {
                Some(every.saturating_sub(since.elapsed()))
            }
            (Durability::Always | Durability::Interval { .. } | Durability::Never, _) => None,
        }
    }

    /// Syncs if the interval is over.
    pub(super) fn sync_if_due(&mut self) -> Result<(), EngineError> {
        if self.sync_due_in() == Some(Duration::ZERO) { self.sync() } else { Ok(()) }
    }

    /// Syncs what was written and is not synced.
    pub(super) fn sync(&mut self) -> Result<(), EngineError> {
        if self.unsynced_since.is_some() {
            self.engine.sync()?;
            self.unsynced_since = None;
        }
        Ok(())
    }

    /// The position at which the log ends, with all that was appended.
    pub(super) fn log_end(&self) -> LogPosition {
        self.engine.log_end()
    }

    /// Checks whether a group would be taken now.
    pub(super) fn check(&self) -> Result<(), EngineError> {
        self.engine.check()
    }

    /// Tells whether the engine has something to do ahead of later groups.
    pub(super) fn prepare_is_due(&self) -> bool {
        self.engine.prepare_is_due()
    }

    /// Ends the log: all that was appended is synced.
    pub(super) fn close(&self) -> Result<(), EngineError> {
        self.engine.close()
    }
}
