//! The loop around the core: inputs in batches, one *turn* for each batch, effects out in batches.
//!
//! ```text
//!   connections ─┐ work (bounded)               ┌─► replies, one batch per connection
//!   peers       ─┤          ┌───────────────┐   ├─► messages, one batch per peer
//!                ├────────► │ Core::turn    │ ──┤
//!   committer   ─┤ urgent   │  Node::handle │   ├─► a group for the committer
//!   links, stop ─┘          │      ▲ ▼      │   └─► events, to metrics and the log
//!                           │    Storage    │
//!                           └───────────────┘
//! ```
//!
//! One task owns the core and its storage, in the thread in which connections and peers are tasks
//! too. Those that are ready run before it and fill its inboxes; then it takes all of that in one
//! turn, and what it hands out is written after it. It sleeps until an input comes or the core's
//! deadline is due.
//!
//! Storage commands are executed in the turn that asks for them, and so are those that follow from
//! their outcomes: a read is answered in the turn in which its message came. A turn is bounded; with
//! commands left it yields to the other tasks and goes on.
//!
//! News from the disk never waits: it frees room. New work waits while the storage has enough; so
//! the whole node slows down with its disk instead of piling up what the disk has not done.

mod inbox;
mod turn;

pub use inbox::{CoreHandle, Ended, Inboxes, Urgent, Work, inboxes};
pub use turn::{Core, TurnOutput};

use std::collections::BTreeMap;

use kv_core::admin::AdminReply;
use kv_core::client::{ClientOperation, Reply, Verb};
use kv_core::cx::Input;
use kv_core::message::Message;
use kv_core::types::{AdminRequest, ClientRequest, NodeId};
use tokio::sync::{mpsc, oneshot};

use crate::inspection::StorageFact;
use crate::storage::{Engine, EngineError, Storage, StorageEvent};

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

    /// Stops the node, whose storage has failed.
    fn on_storage_failed(&mut self);

    /// Notes that a peer seems to be down.
    fn on_suspected(&mut self, peer: NodeId);
}

/// The loop: the core with its storage, its inboxes, and the connections that it answers.
pub struct CoreLoop<O, E> {
    core: Core,
    storage: Storage<E>,
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

impl<O: Outlets, E: Engine> CoreLoop<O, E> {
    /// Creates a loop that has not begun.
    pub fn new(core: Core, storage: Storage<E>, outlets: O, inboxes: Inboxes) -> Self {
        let Inboxes { work, urgent } = inboxes;
        Self {
            core,
            storage,
            outlets,
            work,
            urgent,
            connections: BTreeMap::new(),
            orders: Orders::default(),
        }
    }

    /// Runs turns until the loop is told to end, and closes the storage.
    pub async fn run(mut self) {
        let (mut urgent, mut work) = (Vec::new(), Vec::new());
        while self.wait(&mut urgent, &mut work).await == Flow::On
            && self.turn(&mut urgent, &mut work) == Flow::On
        {}
        let Self { core, storage, outlets, work, urgent, connections, orders } = self;
        // Whoever waits for an answer learns at once that none will come.
        drop((core, outlets, work, urgent, connections, orders));
        storage.close().await;
    }

    /// Runs one turn on what was told and given.
    fn turn(&mut self, urgent: &mut Vec<Urgent>, work: &mut Vec<Work>) -> Flow {
        // What was told before work was given is known before the work is done.
        while let Ok(told) = self.urgent.try_recv() {
            urgent.push(told);
        }
        let mut inputs = Vec::new();
        for told in urgent.drain(..) {
            if self.learn(told, &mut inputs) == Flow::End {
                return Flow::End;
            }
        }
        self.core.notice_speakers(work);
        inputs.extend(work.drain(..).flat_map(|work| inputs_of(work, &self.connections)));
        let output = self.core.turn(inputs, &mut self.storage);
        self.hand_out(output);
        Flow::On
    }

    /// Waits for an input or the deadline, or, with commands left to execute, until the other tasks
    /// had their turn. Takes the inputs that have arrived.
    #[cfg_attr(
        madsim,
        expect(
            clippy::useless_conversion,
            reason = "there the runtime's instants are those of std"
        )
    )]
    async fn wait(&mut self, urgent: &mut Vec<Urgent>, work: &mut Vec<Work>) -> Flow {
        let takes_work = !self.storage.is_full();
        let has_work = self.storage.has_work();
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
            () = tokio::task::yield_now(), if has_work => {}
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
            Urgent::Storage(event) => {
                self.storage.on_event(&event);
                match event {
                    StorageEvent::Durable { seq, log } => inputs.push(Input::Durable { seq, log }),
                    StorageEvent::Flushed => {}
                    // The core hears of these with every command: writes are refused, and reads go
                    // on.
                    StorageEvent::Refusing(error) => {
                        self.core.on_storage(StorageFact::from(error.fault));
                        tracing::error!(
                            "writes are refused: {error}; reads go on, and writes are taken again \
                             by themselves when that has passed"
                        );
                    }
                    StorageEvent::Writable { after } => {
                        self.core.on_storage(StorageFact::Writable);
                        tracing::warn!("writes are taken again after {} s", after.as_secs());
                    }
                    StorageEvent::Failed(error) => inputs.push(self.on_storage_failed(&error)),
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
        let TurnOutput { replies, admin, messages, storage_failed, suspected } = output;
        if storage_failed {
            self.outlets.on_storage_failed();
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

#[cfg(all(test, not(madsim)))]
mod tests;
