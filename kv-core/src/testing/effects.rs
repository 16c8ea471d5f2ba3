//! Effects by short names, so that the list which a test expects reads like a sentence.
//!
//! A test compares everything that a machine has asked for, in order: an effect too many, one too
//! few or two in the wrong order must fail it.

use crate::admin::AdminReply;
use crate::client::Reply;
use crate::cx::{CommandCount, Effect, Issuer};
use crate::event::Event;
use crate::message::Message;
use crate::probe::Probe;
use crate::store::{Command, StoreCommand};
use crate::time::Time;
use crate::types::{AdminRequest, ClientRequest, PartitionId, Ticket};

/// Sends a message at this time.
pub(crate) fn send(at: Time, mut message: Message) -> Effect {
    message.header.sent = at;
    Effect::Send(message)
}

/// Answers a client.
pub(crate) fn reply(request: ClientRequest, reply: Reply) -> Effect {
    Effect::Reply { request, reply }
}

/// Answers an operator.
pub(crate) fn admin_reply(request: AdminRequest, reply: AdminReply) -> Effect {
    Effect::AdminReply { request, reply }
}

/// Executes a storage command under this ticket.
pub(crate) fn store(ticket: Ticket, partition: PartitionId, command: impl Into<Command>) -> Effect {
    Effect::Store { ticket, command: StoreCommand { partition, command: command.into() } }
}

/// The ticket of a part's command after so many others.
pub(crate) fn ticket(issuer: Issuer, after: usize) -> Ticket {
    let mut commands = CommandCount::default();
    for _ in 0..after {
        commands.begin(issuer);
    }
    commands.begin(issuer)
}

/// Tells people of an event.
pub(crate) fn observe(event: Event) -> Effect {
    Effect::Observe(event)
}

/// Says that a rare branch was taken.
pub(crate) fn probe(probe: Probe) -> Effect {
    observe(Event::Probe(probe))
}
