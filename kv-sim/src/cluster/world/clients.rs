//! Clients at work: a request travels to a node, and an answer travels back. These ways are short
//! and safe; but a node may be dead, or die.

use kv_core::client::{ClientOperation, Reply};
use kv_core::cx::Input;
use kv_core::time::Span;
use kv_core::types::ClientRequest;

use super::World;
use super::messages::time;
use crate::checks::OperationNumber;
use crate::cluster::client::{Begun, Ended};
use crate::cluster::client_ids::{client_of, client_request};
use crate::cluster::event_queue::SimEvent;
use crate::random::address::{Address, Aspect};
use crate::scenario::NodeIndex;
use crate::story::digest::DigestTag;

/// The delay of the way between a client and a node.
const DELAY_MIN: Span = Span(50);
const DELAY_MEAN: Span = Span(150);

impl World {
    pub(super) fn begin_operation(&mut self, client: u32) {
        let Some(begun) = self.clients.begin(client, self.scene.now, &self.draws) else {
            return self.heal_if_all_is_done();
        };
        let Begun { operation, node, seen, until, misuse } = begun;
        if let (Some(checks), Some(asked)) =
            (&mut self.checks, self.clients.asks(client, operation))
        {
            let (at, id) = (time(self.scene.now), self.scene.node(node).id);
            let number = OperationNumber(client_request(client, operation).0);
            checks.on_invoke(at, number, id, asked, &seen);
            if let Some(misuse) = misuse {
                checks.on_misuse(number, misuse.words());
            }
        }
        if let (Some(log), Some(asked)) = (&mut self.log, self.clients.asks(client, operation)) {
            log.on_begun(self.scene.now, client, asked, &seen);
        }
        self.record_begun(client, operation, &seen);
        self.trace(|scene| {
            let Some(ClientOperation { key, verb, .. }) = self.clients.asks(client, operation)
            else {
                unreachable!("it has just begun");
            };
            format!("client {client} asks {} {operation}: {key:?} {verb:?}", scene.name(node))
        });
        let at = self.scene.now + self.client_delay(client, operation, Aspect::Delay);
        self.event_queue.plan(at, SimEvent::Ask { client, operation });
        if !self.clients.watch(client, true) {
            self.event_queue.plan(until, SimEvent::ClientTimeout { client });
        }
    }

    pub(super) fn ask(&mut self, what: SimEvent, client: u32, operation: u32) {
        let Some(node) = self.clients.whom(client, operation) else { return };
        if !self.is_awake(node, what) {
            if self.scene.node(node).process().is_none() {
                let at = self.scene.now + self.client_delay(client, operation, Aspect::Answer);
                self.event_queue.plan(at, SimEvent::Refuse { client, operation });
            }
            return;
        }
        let Some(asked) = self.clients.ask(client, operation) else { return };
        let request = client_request(client, operation);
        let entry = self.digest.event(self.scene.now, DigestTag::Ask, super::number(node));
        entry.number(request.0).bytes(asked.key.bytes());
        self.input(node, Input::Client { request, operation: asked });
    }

    /// Sends the reply that a node has given on its way to the client.
    pub(super) fn take_reply(&mut self, request: ClientRequest, reply: Reply) {
        let (client, operation) = client_of(request);
        if self.clients.take_reply(client, operation, reply) {
            let at = self.scene.now + self.client_delay(client, operation, Aspect::Answer);
            self.event_queue.plan(at, SimEvent::Reply { client, operation });
        }
    }

    pub(super) fn reply(&mut self, client: u32, operation: u32) {
        let Some(reply) = self.clients.reply(client, operation) else { return };
        let entry = self.digest.event(self.scene.now, DigestTag::Reply, client);
        entry.number(operation.into()).reply(&reply);
        if let Some(checks) = &mut self.checks {
            let number = OperationNumber(client_request(client, operation).0);
            checks.on_reply(time(self.scene.now), number, &reply, &self.scene);
        }
        self.end_operation(client, operation, &Ended::Replied(reply));
    }

    /// Ends an operation whose connection broke while it was under way.
    pub(super) fn reset(&mut self, client: u32, operation: u32) {
        self.give_up(client, operation, &Ended::Unknown);
    }

    /// Ends an operation for which no node listened.
    pub(super) fn refuse(&mut self, client: u32, operation: u32) {
        self.give_up(client, operation, &Ended::Unreachable);
    }

    pub(super) fn on_timeout(&mut self, client: u32) {
        self.clients.watch(client, false);
        let Some((operation, until)) = self.clients.timeout(client) else { return };
        if until <= self.scene.now {
            self.give_up(client, operation, &Ended::Unknown);
        } else {
            self.clients.watch(client, true);
            self.event_queue.plan(until, SimEvent::ClientTimeout { client });
        }
    }

    /// Breaks the connections of all clients that wait for a node.
    pub(super) fn reset_clients_of(&mut self, node: NodeIndex) {
        let waiting: Vec<_> = self.clients.waiting_for(node).collect();
        for (client, operation) in waiting {
            let at = self.scene.now + self.client_delay(client, operation, Aspect::Answer);
            self.event_queue.plan(at, SimEvent::Reset { client, operation });
        }
    }

    fn give_up(&mut self, client: u32, operation: u32, ended: &Ended) {
        if self.clients.whom(client, operation).is_none() {
            return;
        }
        let entry = self.digest.event(self.scene.now, DigestTag::NoReply, client);
        entry.number(operation.into());
        if let Some(checks) = &mut self.checks {
            let number = OperationNumber(client_request(client, operation).0);
            checks.on_unknown(time(self.scene.now), number, &self.scene);
        }
        self.end_operation(client, operation, ended);
    }

    fn end_operation(&mut self, client: u32, operation: u32, ended: &Ended) {
        self.tally.events += 1;
        self.record_ended(client, ended);
        if let Some(log) = &mut self.log {
            log.on_ended(self.scene.now, client, ended);
        }
        self.trace(|_| format!("client {client} is told {operation}: {ended:?}"));
        let now = self.scene.now;
        let thinks = self.clients.end((client, operation), ended, now, &self.draws);
        if thinks == Span::ZERO {
            self.begin_operation(client);
        } else {
            self.event_queue.plan(self.scene.now + thinks, SimEvent::Begin { client });
        }
    }

    fn client_delay(&self, client: u32, operation: u32, aspect: Aspect) -> Span {
        let turn = self.draws.only(Address::Client { client, operation });
        self.draws.delay(turn, aspect, DELAY_MIN, DELAY_MEAN)
    }
}
