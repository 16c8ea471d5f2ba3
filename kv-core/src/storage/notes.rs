//! The notes that a command leaves beside its answer.

use alloc::vec::Vec;

use crate::event::Event;
use crate::probe::Probe;
use crate::store::CorruptKey;

/// The events and the corrupt keys that a command has met.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) events: Vec<Event>,
    /// Keys whose records were found to be corrupt.
    pub(super) corrupt: Vec<CorruptKey>,
}

impl Notes {
    /// Says that a rare branch was taken.
    pub(super) fn probe(&mut self, probe: Probe) {
        self.events.push(Event::Probe(probe));
    }
}
