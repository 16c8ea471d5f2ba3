//! The loop around the core: inputs in batches, one *turn* for each batch, effects out in batches.
//!
//! ```text
//!   connections ─┐ work (bounded)               ┌─► replies, one batch per connection
//!   peers       ─┤          ┌───────────────┐   ├─► messages, one batch per peer
//!                ├────────► │ Core::turn    │ ──┤
//!   storage     ─┤ urgent   │  Node::handle │   ├─► commands to the storage, one batch
//!   links, stop ─┘          └───────────────┘   └─► events, to metrics and the log
//! ```
//!
//! One task owns the core, in the thread in which connections and peers are tasks too. Those that are
//! ready run before it and fill its inboxes; then it takes all of that in one turn, and what it hands
//! out is written after it. It sleeps until an input comes or the core's deadline is due.
//!
//! Events of the storage never wait: they free room. New work waits while the storage has enough;
//! so the whole node slows down with its disk instead of piling up what the disk has not done.

mod inbox;
mod turn;

pub use inbox::{CoreHandle, Ended, Inboxes, Urgent, Work, inboxes};
pub use turn::{Core, TurnOutput};

use std::collections::BTreeMap;

use kv_core::admin::AdminReply;
use kv_core::client::{ClientOperation, Reply, Verb};
use kv_core::cx::Input;
use kv_core::message::Message;
use kv_core::store::StoreCommand;
use kv_core::types::{AdminRequest, ClientRequest, NodeId, Ticket};
use tokio::sync::{mpsc, oneshot};

use crate::inspection::StorageFact;
use crate::storage::{EngineError, StorageEvent};

/// The number of inputs of one turn, at most, so that effects do not wait for long.
const INPUTS_PER_TURN: usize = 1_024;

/// The id of a client's connection, for the life of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// The id of a request within its connection: comes back with the reply.
pub type OperationTag = u32;

/// The channel for the replies of one connection.
pub type Replies = mpsc::UnboundedSender<Vec<(OperationTag, Reply)>>;

/// The destinations of a turn's effects.
pub trait Outlets: Send {
    /// Sends messages to a peer. They may be lost.
    fn send(&mut self, peer: NodeId, messages: Vec<Message>);

    /// Executes commands, in this order, after all earlier ones.
    fn store(&mut self, commands: Vec<(Ticket, StoreCommand)>);

    /// Tells whether the storage has so much to do that no new work should be taken. Asked again
    /// after every event of the storage.
    fn storage_is_full(&self) -> bool;

    /// Stops the node, whose storage has failed.
    fn on_storage_failed(&mut self);

    /// Notes that a peer seems to be down.
    fn on_suspected(&mut self, peer: NodeId);
}

/// The loop: the core, its inboxes, and the connections that it answers.
pub struct CoreLoop<O> {
    core: Core,
    outlets: O,
    work: mpsc::Receiver<Work>,
    urgent: mpsc::UnboundedReceiver<Urgent>,
    connections: BTreeMap<ConnectionId, Replies>,
    orders: Orders,
}

/// The operators who wait for an answer.
#[derive(Debug, Default)]
struct Orders {
    waiting: BTreeMap<AdminRequest, oneshot::Sender<AdminReply>>,
    given: u64,
}

/// The decision whether the loop goes on.
#[derive(PartialEq, Eq)]
enum Flow {
    On,
    End,
}

impl<O: Outlets> CoreLoop<O> {
    /// Creates a loop that has not begun.
    pub fn new(core: Core, outlets: O, inboxes: Inboxes) -> Self {
        let Inboxes { work, urgent } = inboxes;
        Self {
            core,
            outlets,
            work,
            urgent,
            connections: BTreeMap::new(),
            orders: Orders::default(),
        }
    }

    /// Runs turns until the loop is told to end.
    pub async fn run(mut self) {
        let (mut urgent, mut work) = (Vec::new(), Vec::new());
        loop {
            if self.wait(&mut urgent, &mut work).await == Flow::End {
                return;
            }
            // What was told before work was given is known before the work is done.
            while let Ok(told) = self.urgent.try_recv() {
                urgent.push(told);
            }
            let mut inputs = Vec::new();
            for told in urgent.drain(..) {
                if self.learn(told, &mut inputs) == Flow::End {
                    return;
                }
            }
            self.core.notice_speakers(&work);
            inputs.extend(work.drain(..).flat_map(|work| inputs_of(work, &self.connections)));
            let output = self.core.turn(inputs);
            self.hand_out(output);
        }
    }

    /// Waits for an input or the deadline, and takes the inputs that have arrived.
    #[cfg_attr(
        madsim,
        expect(
            clippy::useless_conversion,
            reason = "there the runtime's instants are those of std"
        )
    )]
    async fn wait(&mut self, urgent: &mut Vec<Urgent>, work: &mut Vec<Work>) -> Flow {
        let takes_work = !self.outlets.storage_is_full();
        let deadline = self.core.node.next_deadline();
        let due = deadline.map(|deadline| self.core.clock.instant_of(deadline));
        let sleep = async {
            match due {
                Some(due) => tokio::time::sleep_until(due.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            count = self.urgent.recv_many(urgent, INPUTS_PER_TURN) => {
                if count == 0 {
                    // Nobody is left who could tell or give anything.
                    return Flow::End;
                }
            }
            _ = self.work.recv_many(work, INPUTS_PER_TURN), if takes_work => {}
            () = sleep => {}
        }
        // Both inboxes are looked at in each turn: a busy disk must not keep clients waiting.
        if takes_work && work.is_empty() {
            while work.len() < INPUTS_PER_TURN
                && let Ok(given) = self.work.try_recv()
            {
                work.push(given);
            }
        }
        Flow::On
    }

    fn learn(&mut self, told: Urgent, inputs: &mut Vec<Input>) -> Flow {
        match told {
            Urgent::Opened { connection, replies } => {
                self.connections.insert(connection, replies);
            }
            Urgent::Closed(connection) => {
                self.connections.remove(&connection);
            }
            Urgent::Storage(events) => {
                for event in events {
                    match event {
                        StorageEvent::Done { ticket, seq, outcome } => {
                            inputs.push(Input::StoreDone { ticket, seq, outcome });
                        }
                        StorageEvent::Durable { seq } => inputs.push(Input::Durable { seq }),
                        // The core hears of these with every command: writes are refused, and
                        // reads go on.
                        StorageEvent::Refusing(error) => {
                            self.core.on_storage(StorageFact::from(error.fault));
                            tracing::error!(
                                "writes are refused: {error}; reads go on, and writes are taken \
                                 again by themselves when that has passed"
                            );
                        }
                        StorageEvent::Writable { after } => {
                            self.core.on_storage(StorageFact::Writable);
                            tracing::warn!("writes are taken again after {} s", after.as_secs());
                        }
                        StorageEvent::Failed(error) => {
                            inputs.push(self.on_storage_failed(&error));
                        }
                    }
                }
            }
            Urgent::Admin { command, answer } => {
                self.orders.given += 1;
                let request = AdminRequest(self.orders.given);
                self.orders.waiting.insert(request, answer);
                inputs.push(Input::Admin { request, command });
            }
            Urgent::Link { peer, state } => {
                self.core.peers.on_link(peer, state);
                inputs.push(Input::Link { peer, state });
            }
            Urgent::Refused { peer, reason } => self.core.peers.on_refused(peer, reason),
            Urgent::Inspect(answer) => {
                let _gone = answer.send(self.core.inspect());
            }
            Urgent::Stop => inputs.push(Input::Stop),
            Urgent::End => return Flow::End,
        }
        Flow::On
    }

    /// Logs the failure, stops the node, and returns the input for the core.
    fn on_storage_failed(&mut self, error: &EngineError) -> Input {
        tracing::error!("the storage: {error}");
        self.core.on_storage(StorageFact::Failed);
        self.outlets.on_storage_failed();
        Input::StoreFailed
    }

    fn hand_out(&mut self, output: TurnOutput) {
        let TurnOutput { replies, admin, messages, commands, storage_failed, suspected } = output;
        if storage_failed {
            self.outlets.on_storage_failed();
        }
        // Storage first: it takes longest.
        if !commands.is_empty() {
            self.outlets.store(commands);
        }
        for (peer, messages) in messages {
            self.outlets.send(peer, messages);
        }
        for peer in suspected {
            self.outlets.on_suspected(peer);
        }
        for (request, reply) in admin {
            if let Some(answer) = self.orders.waiting.remove(&request) {
                let _gone = answer.send(reply);
            }
        }
        for (connection, replies) in replies {
            // A client that is gone is owed nothing.
            if let Some(route) = self.connections.get(&connection) {
                let _gone = route.send(replies);
            }
        }
    }
}

/// Converts work to inputs. Reads of a client that is gone are dropped; its writes go on, as it may
/// count on them.
fn inputs_of(work: Work, connections: &BTreeMap<ConnectionId, Replies>) -> Vec<Input> {
    match work {
        Work::Client { connection, operations } => {
            let is_there = connections.contains_key(&connection);
            let is_wanted = |operation: &ClientOperation| match operation.verb {
                Verb::Get => is_there,
                Verb::Put { .. } => true,
            };
            let wanted = operations.into_iter().filter(|(_, operation)| is_wanted(operation));
            wanted
                .map(|(tag, operation)| Input::Client {
                    request: request_of(connection, tag),
                    operation: Box::new(operation),
                })
                .collect()
        }
        Work::Peer { messages, share: _ } => messages.into_iter().map(Input::Peer).collect(),
    }
}

/// The number of bits of a request's number that are its tag within the connection.
const TAG_BITS: u32 = 24;

/// The greatest tag.
pub const TAG_MAX: OperationTag = (1 << TAG_BITS) - 1;

fn request_of(connection: ConnectionId, tag: OperationTag) -> ClientRequest {
    assert!(tag <= TAG_MAX, "tags count from 0 to TAG_MAX");
    ClientRequest((connection.0 << TAG_BITS) | u64::from(tag))
}

fn parts_of(request: ClientRequest) -> (ConnectionId, OperationTag) {
    let tag = (request.0 & u64::from(TAG_MAX)) as OperationTag;
    (ConnectionId(request.0 >> TAG_BITS), tag)
}

#[cfg(test)]
mod tests {
    use kv_core::client::{Options, PutContext};
    use kv_core::types::Key;
    use kv_core::version::Content;

    use super::*;

    #[test]
    fn a_request_is_its_connection_and_its_tag() {
        for (connection, tag) in [(0, 0), (1, TAG_MAX), ((1 << 40) - 1, 7)] {
            let request = request_of(ConnectionId(connection), tag);
            assert_eq!(parts_of(request), (ConnectionId(connection), tag));
        }
    }

    #[test]
    fn nothing_is_read_for_a_client_that_is_gone_and_what_it_wrote_is_written() {
        let connection = ConnectionId(1);
        let operation =
            |verb| ClientOperation { key: Key::from("key"), verb, options: Options::default() };
        let put =
            Verb::Put { content: Content::Tombstone, expiry: None, context: PutContext::Nothing };
        let asked = |connections: &BTreeMap<ConnectionId, Replies>| {
            let operations = vec![(0, operation(Verb::Get)), (1, operation(put.clone()))];
            let inputs = inputs_of(Work::Client { connection, operations }, connections);
            let tag = |input| match input {
                Input::Client { request, .. } => parts_of(request).1,
                other => panic!("a client asked, and not {other:?}"),
            };
            inputs.into_iter().map(tag).collect::<Vec<_>>()
        };
        let (replies, _inbox) = mpsc::unbounded_channel();
        assert_eq!(asked(&BTreeMap::from([(connection, replies)])), [0, 1]);
        assert_eq!(asked(&BTreeMap::new()), [1]);
    }
}
