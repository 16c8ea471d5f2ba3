//! The owners that reads asked in a run, and how many they needed.
//!
//! Where no fault is at work and nothing takes long, a read asks as many owners as it needs, and seldom
//! one more: in a tenth of the reads, as the budget of each coordinator allows, and of the owners that it
//! takes for gone, as they answer nothing for longer than most of their answers take. So a quarter
//! more than were needed is too many, however the answers fall.

use kv_core::store::{Command, CopyKind, ReplicaAction, StoreCommand};

use super::operation::Operation;

/// The owners that reads asked, and the answers that they needed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Readers {
    asked: u64,
    needed: u64,
}

/// More owners were asked than reads needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooManyReaders {
    /// The number of owners that were asked.
    pub(super) asked: u64,
    /// The number of answers that were needed.
    pub(super) needed: u64,
    /// The number of owners that may be asked for so many.
    pub(super) limit: u64,
}

/// The spare questions of a run of few reads, in which a quarter is not much.
const SPARES: u64 = 32;

impl Readers {
    /// Takes a storage command that was executed.
    pub(super) fn on_execution(&mut self, command: &StoreCommand) {
        if let Command::Replica(command) = &command.command
            && let ReplicaAction::Read { copy: CopyKind::Owned, .. } = command.action
        {
            self.asked += 1;
        }
    }

    /// Takes a client's operation that ended.
    pub(super) fn on_end(&mut self, operation: &Operation) {
        self.needed += operation.terms.reads.as_ref().map_or(0, |reads| reads.total() as u64);
    }

    /// Tells whether too many were asked in a calm run.
    pub(super) const fn too_many(&self) -> Option<TooManyReaders> {
        let &Self { asked, needed } = self;
        let limit = needed + needed / 4 + SPARES;
        if asked > limit { Some(TooManyReaders { asked, needed, limit }) } else { None }
    }
}
