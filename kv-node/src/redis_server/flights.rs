//! The operations of one connection that the core works on.

use std::time::Instant;

use kv_core::client::{ClientOperation, Verb};
use kv_core::version::Content;

use super::read_gate::Charge;
use crate::core_loop::OperationTag;
use crate::metrics::RequestVerb;
use crate::redis::{Ask, PipelineTicket};

/// The operations in flight. Tags are places in a table: the most that were ever in flight at once.
#[derive(Debug, Default)]
pub(super) struct Flights {
    flights: Vec<Option<Flight>>,
    free: Vec<OperationTag>,
}

/// One operation in flight.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) ticket: PipelineTicket,
    pub(super) verb: RequestVerb,
    pub(super) begun: Instant,
    /// The charge of a read.
    pub(super) charge: Charge,
}

impl Flights {
    /// Begins an operation, and returns its tag.
    pub(super) fn begin(&mut self, ask: &Ask, charge: Charge) -> OperationTag {
        let verb = verb_of(&ask.operation);
        let flight = Flight { ticket: ask.ticket, verb, begun: Instant::now(), charge };
        match self.free.pop() {
            Some(tag) => {
                self.flights[tag as usize] = Some(flight);
                tag
            }
            None => {
                self.flights.push(Some(flight));
                OperationTag::try_from(self.flights.len() - 1)
                    .expect("limits.pipeline is far smaller")
            }
        }
    }

    /// Ends an operation.
    ///
    /// # Panics
    /// If there is no such operation: the core answers each one once.
    pub(super) fn end(&mut self, tag: OperationTag) -> Flight {
        self.free.push(tag);
        self.flights[tag as usize].take().expect("the core answers each operation once")
    }

    /// Tells whether the core works on no operation.
    pub(super) fn is_empty(&self) -> bool {
        self.free.len() == self.flights.len()
    }
}

const fn verb_of(operation: &ClientOperation) -> RequestVerb {
    match &operation.verb {
        Verb::Get => RequestVerb::Get,
        Verb::Put { content: Content::Value(_), .. } => RequestVerb::Put,
        Verb::Put { content: Content::Tombstone, .. } => RequestVerb::Delete,
    }
}
