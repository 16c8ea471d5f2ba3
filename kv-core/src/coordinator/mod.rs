//! The coordinator: client operations, from the request to the reply and to the last straggler.
//!
//! In go requests, the answers of replicas, and deadlines; out come messages to replicas (this node
//! among them, as any other) and one reply for each request. One machine of two phases, *read* then
//! *write*, serves all operations. Each phase is a type, which carries what it is for:
//!
//! | operation | read phase | write phase |
//! |---|---|---|
//! | get | `ReadFor::Answer`, then `Repair` | `WriteFor::WriteBack`, to make a monotonic answer stand |
//! | put, delete | `ReadFor::Overwrite`, in `strict` over whatever stands | `WriteFor::Put` |
//! | gathering, for a corrupt copy of this node | `ReadFor::Gather`, of the other owners | no |
//!
//! Invariants: a reply is given once. A success is counted from answers, never from nodes that seem
//! up (Riak before 1.3.1). A time-out is "unknown", never "failed". A request keeps its id through
//! every retry, so that asking twice is not writing twice (Riak #1754, #1188).

mod acks;
mod answers;
mod fallbacks;
mod hedging;
mod inspect;
mod invariants;
mod minter_search;
mod operation;
mod out_of_reach;
mod read_phase;
mod request;
mod spread;
mod write_phase;

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use self::hedging::Hedging;
pub use self::inspect::{AssignedFallback, OperationSnapshot, Stage, Task};
use self::operation::{Operation, Phase, Progress};
pub use self::out_of_reach::{Others, OutOfReach, OwnStorage};
use self::request::OperationCx;
use crate::client::{ClientOperation, Reply, RequestRefusal};
use crate::cx::{Cx, Effect, NodeContext, Purpose};
use crate::in_flight::InFlight;
use crate::message::{CoordinatorMessage, OperationId};
use crate::probe::Probe;
use crate::time::{HybridTime, Time};
use crate::types::{ClientRequest, Key, NodeId, RequestId};
use crate::version::Container;

/// The most operations whose deadlines are handled in one call; the others are handled in the next.
const WAKES_PER_CALL: usize = 256;

/// The part of a node that carries out the operations of its clients.
#[derive(Clone, Debug, Default)]
pub struct Coordinator {
    /// The operations in flight; boxed, as they are large and the table moves its entries.
    operations: InFlight<Box<Operation>>,
    /// The time at which each operation is to be called: its next hedge, or its end.
    wakes: BTreeSet<(Time, u64)>,
    requests: RequestIds,
    hedging: Hedging,
    gathered: Vec<(u64, Container)>,
}

/// The ids of requests to which clients gave none: 64 bits that were drawn for this run of the
/// node, and a counter.
#[derive(Clone, Copy, Debug, Default)]
struct RequestIds {
    half: Option<u64>,
    made: u64,
}

impl Coordinator {
    /// The number of operations in flight.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// The number of operations in flight that clients asked for.
    pub fn requests(&self) -> usize {
        self.operations.iter().filter(|(_, operation)| operation.is_request()).count()
    }

    /// Tells whether no operation is in flight.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// The time at which [`Coordinator::on_deadline`] is to be called.
    pub fn next_deadline(&self) -> Option<Time> {
        self.wakes.first().map(|&(at, _)| at)
    }

    /// Starts a client's operation, or refuses it at once. A write will be stamped with this time.
    pub fn on_client(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        (client, time): (ClientRequest, HybridTime),
        asked: ClientOperation,
    ) {
        if self.operations.len() as u64 >= local.config.requests_max {
            cx.probe(Probe::Busy);
            let refusal = RequestRefusal::Busy { max: local.config.requests_max };
            return reply(cx, client, Reply::Refused(refusal));
        }
        let request = asked.options.request.unwrap_or_else(|| self.requests.next(cx));
        match Operation::plan(cx, local, (client, request, time), asked) {
            Err(refusal) => {
                if let RequestRefusal::Value { .. } = refusal {
                    cx.probe(Probe::ValueTooLong);
                }
                reply(cx, client, Reply::Refused(refusal));
            }
            Ok(operation) => self.start(cx, local, operation),
        }
    }

    /// Asks the other owners for a key that is corrupt at this owner, so many of them that every
    /// acknowledged write is met. [`Coordinator::take_gathered`] gives what they hold together,
    /// under the number `asked`; nothing if too few answer in time.
    pub fn gather(&mut self, cx: &mut Cx<'_>, local: &NodeContext, key: Key, asked: u64) {
        let request = self.requests.next(cx);
        if let Some(operation) = Operation::gather(cx, local, request, key, asked) {
            self.start(cx, local, operation);
        }
    }

    /// Takes the containers that were gathered since the last call, each with its number.
    pub fn take_gathered(&mut self) -> Vec<(u64, Container)> {
        core::mem::take(&mut self.gathered)
    }

    fn start(&mut self, cx: &mut Cx<'_>, local: &NodeContext, operation: Operation) {
        if self.operations.next_id() == 0 {
            // An answer to a former life of this node must not meet an operation of this one,
            // even if a client uses its request id again.
            let first = cx.draw.u64(Purpose::Requests, 1) >> 16;
            self.operations = InFlight::starting_at(first.max(1));
        }
        let id = self.operations.insert(Box::new(operation));
        self.advance(cx, local, id, Phase::start);
    }

    /// Handles the answer of a replica. One for an operation that has ended, or that was another's
    /// before this process started, is dropped.
    pub fn on_message(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        (from, request): (NodeId, RequestId),
        message: CoordinatorMessage,
    ) {
        self.hedging.on_answer(from, cx.now.monotonic);
        let OperationId(id) = match &message {
            CoordinatorMessage::Minted(minted) => minted.operation,
            CoordinatorMessage::Acked(acked) => acked.operation,
            CoordinatorMessage::Refused(refused) => refused.operation,
            CoordinatorMessage::ReadReply(reply) => reply.operation,
        };
        if self.operations.get(id).is_some_and(|operation| operation.request.id == request) {
            self.advance(cx, local, id, |phase, op| phase.on_message(op, from, message));
        }
    }

    /// Hedges or ends the operations that are due: the time that [`Coordinator::next_deadline`]
    /// named has come.
    pub fn on_deadline(&mut self, cx: &mut Cx<'_>, local: &NodeContext) {
        let now = cx.now.monotonic;
        let due: Vec<u64> = self
            .wakes
            .iter()
            .take_while(|&&(at, _)| at <= now)
            .take(WAKES_PER_CALL)
            .map(|&(_, id)| id)
            .collect();
        for id in due {
            self.advance(cx, local, id, Phase::on_wake);
        }
    }

    /// Ends all operations, as the node stops: clients that wait learn that the outcome is unknown.
    pub fn abandon_all(&mut self, cx: &mut Cx<'_>) {
        for (_, operation) in self.operations.iter_mut() {
            operation.abandon(cx);
        }
        self.operations = InFlight::default();
        self.wakes.clear();
    }

    /// Makes the operations that wait for a peer hedge at once, as the connection to it broke.
    pub fn on_link_down(&mut self, cx: &mut Cx<'_>, peer: NodeId) {
        let now = cx.now.monotonic;
        self.hedging.forget(peer);
        for (id, operation) in self.operations.iter_mut() {
            let Operation { request, phase } = &mut **operation;
            if phase.waits_for(peer) {
                self.wakes.remove(&(request.wake_at, id));
                // If this call is late, its time may be up already.
                request.wake_at = now.min(request.expires_at);
                self.wakes.insert((request.wake_at, id));
                cx.probe(Probe::LinkBrokeUnderOperation);
            }
        }
    }

    /// Hands an input to an operation.
    fn advance(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        id: u64,
        input: impl FnOnce(&mut Phase, &mut OperationCx<'_, '_>) -> Progress,
    ) {
        let operation = self.operations.get_mut(id).expect("it is in flight");
        let Operation { request, phase } = &mut **operation;
        let before = request.wake_at;
        let hedging = &mut self.hedging;
        let mut op = OperationCx { cx, local, operation: OperationId(id), request, hedging };
        match input(phase, &mut op) {
            Progress::Going => {
                let after = op.request.wake_at;
                if before != after {
                    self.wakes.remove(&(before, id));
                }
                self.wakes.insert((after, id));
                return;
            }
            Progress::Over => {}
            Progress::Gathered { asked, container } => self.gathered.push((asked, container)),
        }
        self.wakes.remove(&(before, id));
        self.operations.remove(id);
    }
}

impl RequestIds {
    fn next(&mut self, cx: &mut Cx<'_>) -> RequestId {
        let half = *self.half.get_or_insert_with(|| cx.draw.u64(Purpose::Requests, 0));
        self.made += 1;
        RequestId((u128::from(half) << 64) | u128::from(self.made))
    }
}

fn reply(cx: &mut Cx<'_>, request: ClientRequest, reply: Reply) {
    cx.out.push(Effect::Reply { request, reply });
}

#[cfg(test)]
mod tests;
