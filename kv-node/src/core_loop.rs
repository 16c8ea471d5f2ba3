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
//! One task owns the core. In a real node it has a thread for itself; in the deterministic runtime
//! it is one of many. It sleeps until an input comes or the core's deadline is due.
//!
//! Events of the storage never wait: they free room. New work waits while the storage has enough;
//! so the whole node slows down with its disk instead of piling up what the disk has not done.

use std::collections::BTreeMap;
use std::sync::Arc;

use kv_core::admin::{AdminCommand, AdminReply};
use kv_core::client::{ClientOperation, Reply, Verb};
use kv_core::cx::{Cx, Effect, Input, LinkState};
use kv_core::event::Event;
use kv_core::message::Message;
use kv_core::node::Node;
use kv_core::quorum::Mode;
use kv_core::store::StoreCommand;
use kv_core::types::{AdminRequest, ClientRequest, NodeId, Ticket};
use tokio::sync::{mpsc, oneshot};

use crate::clock::Clock;
use crate::draws::Draws;
use crate::inspection::{DefaultQuorums, Inspection, PeerWatch, StorageFact, TurnCounts};
use crate::log::EventLog;
use crate::metrics::Metrics;
use crate::peers::room::Share;
use crate::storage::{EngineError, StorageEvent};

/// The number of inputs of one turn, at most, so that effects do not wait for long.
const INPUTS_PER_TURN: usize = 1_024;

/// The least time, in milliseconds, after which a silent peer counts as not heard.
const HEARD_WITHIN_MS_MIN: u64 = 10_000;

/// The number of calls at deadlines in one turn, at most. A call at a deadline makes progress or
/// moves it, so that a few are enough; should the core spin, peers and clients still get their
/// turn.
const DEADLINES_PER_TURN: usize = 64;

/// The id of a client's connection, for the life of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// The id of a request within its connection: comes back with the reply.
pub type Tag = u32;

/// The channel for the replies of one connection.
pub type Replies = mpsc::UnboundedSender<Vec<(Tag, Reply)>>;

/// An input that makes work for the core. It waits when the core has enough.
#[derive(Debug)]
pub enum Work {
    /// A client sends operations.
    Client {
        /// The client's connection.
        connection: ConnectionId,
        /// The operations in order. Tags are unique among those that are not answered.
        operations: Vec<(Tag, ClientOperation)>,
    },
    /// A peer has sent messages.
    Peer {
        /// The messages in the order in which they arrived.
        messages: Vec<Message>,
        /// The room that large messages take until the core has them.
        share: Share,
    },
}

/// An input that the core must learn at once.
#[derive(Debug)]
pub enum Urgent {
    /// A connection will send operations.
    Opened {
        /// The id of the connection.
        connection: ConnectionId,
        /// The channel for the connection's replies.
        replies: Replies,
    },
    /// A connection sends no more operations, and is owed nothing.
    Closed(ConnectionId),
    /// Storage has executed commands, or made them durable.
    Storage(Vec<StorageEvent>),
    /// The connection to a peer changed.
    Link {
        /// The peer at the other end.
        peer: NodeId,
        /// The new state of the connection.
        state: LinkState,
    },
    /// An operator gives an order.
    Admin {
        /// The operator's order.
        command: AdminCommand,
        /// The channel for the answer.
        answer: oneshot::Sender<AdminReply>,
    },
    /// This node refuses to speak with a peer.
    Refused {
        /// The peer that is refused.
        peer: NodeId,
        /// The reason in one word.
        reason: &'static str,
    },
    /// A request for the state of the core, with the channel for the answer.
    Inspect(oneshot::Sender<Inspection>),
    /// The node stops: the core takes nothing new.
    Stop,
    /// The node is done, and owes nothing: the loop ends.
    End,
}

/// The handle by which other tasks speak to the core.
#[derive(Clone, Debug)]
pub struct CoreHandle {
    work: mpsc::Sender<Work>,
    urgent: mpsc::UnboundedSender<Urgent>,
}

/// The error that the core has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the node is stopping")]
pub struct Ended;

impl CoreHandle {
    /// Gives the core work; waits while it has enough.
    ///
    /// # Errors
    /// [`Ended`]: nothing was done.
    pub async fn work(&self, work: Work) -> Result<(), Ended> {
        self.work.send(work).await.map_err(|_| Ended)
    }

    /// Gives the core an urgent input. Ignored once the core has ended.
    pub fn tell(&self, urgent: Urgent) {
        let _ended = self.urgent.send(urgent);
    }

    /// Gives the core an operator's order, and waits for the answer.
    ///
    /// # Errors
    /// [`Ended`]: it is not known whether the order was carried out.
    pub async fn admin(&self, command: AdminCommand) -> Result<AdminReply, Ended> {
        let (answer, answered) = oneshot::channel();
        self.tell(Urgent::Admin { command, answer });
        answered.await.map_err(|_| Ended)
    }

    /// Asks the core for its state. Answered between two turns: no answer means that it hangs.
    ///
    /// # Errors
    /// [`Ended`].
    pub async fn inspect(&self) -> Result<Inspection, Ended> {
        let (answer, answered) = oneshot::channel();
        self.tell(Urgent::Inspect(answer));
        answered.await.map_err(|_| Ended)
    }
}

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

/// The core with its clock, its metrics and its log.
#[derive(Debug)]
pub struct Core {
    node: Node,
    clock: Clock,
    draws: Draws,
    metrics: Arc<Metrics>,
    log: EventLog,
    effects: Vec<Effect>,
    peers: PeerWatch,
    storage: StorageFact,
}

/// The output of a turn, sorted by destination.
#[derive(Debug, Default)]
pub struct TurnOutput {
    /// The replies by connection, in the order in which they were given.
    pub replies: BTreeMap<ConnectionId, Vec<(Tag, Reply)>>,
    /// The answers to operators.
    pub admin: Vec<(AdminRequest, AdminReply)>,
    /// The messages by addressee, in the order in which they were sent.
    pub messages: BTreeMap<NodeId, Vec<Message>>,
    /// The commands for the storage, in the order in which they must be executed.
    pub commands: Vec<(Ticket, StoreCommand)>,
    /// True if the core has learned that its storage failed.
    pub storage_failed: bool,
    /// The peers that seem to be down, and did not before.
    pub suspected: Vec<NodeId>,
}

impl Core {
    /// Creates a core that has not output anything yet.
    pub fn new(
        node: Node,
        clock: Clock,
        draws: Draws,
        metrics: Arc<Metrics>,
        log: EventLog,
    ) -> Self {
        let (effects, peers) = (Vec::new(), PeerWatch::default());
        let storage = StorageFact::default();
        metrics.on_storage_state(storage.word());
        Self { node, clock, draws, metrics, log, effects, peers, storage }
    }

    /// Handles all inputs, and the deadlines that are due.
    pub fn turn(&mut self, inputs: impl IntoIterator<Item = Input>) -> TurnOutput {
        let mut output = TurnOutput::default();
        for input in inputs {
            self.handle(input, &mut output);
        }
        for _ in 0..DEADLINES_PER_TURN {
            let now = self.clock.now().monotonic;
            if self.node.next_deadline().is_none_or(|deadline| deadline > now) {
                break;
            }
            self.handle(Input::Deadline, &mut output);
        }
        self.metrics.on_turn(&self.counts());
        output
    }

    /// Sets the state of the storage from now on.
    fn on_storage(&mut self, storage: StorageFact) {
        self.storage = storage;
        self.metrics.on_storage_state(storage.word());
    }

    /// Notes which peers are heard. Their messages may be rejected all the same, in the same turn.
    fn notice_speakers(&mut self, work: &[Work]) {
        let now = self.clock.now().monotonic;
        for given in work {
            // What is given at once comes from one connection, and so from one peer.
            if let Work::Peer { messages, share: _ } = given
                && let Some(message) = messages.first()
            {
                self.peers.on_heard(message.header.from, now);
            }
        }
    }

    fn counts(&self) -> TurnCounts {
        let local = self.node.local();
        TurnCounts {
            partitions_owned: local.topology().owned_by(local.me()).len() as u64,
            partitions_complete: local.complete.len() as u64,
            hints_pending: self.node.pending_hints(),
            operations: self.node.operations() as u64,
            peers_down: local.peers.down.len() as u64,
            peers: local.topology().members().len() as u64 - 1,
        }
    }

    /// Collects the state of the core.
    pub fn inspect(&mut self) -> Inspection {
        let (now, storage, local) = (self.clock.now().monotonic, self.storage, self.node.local());
        let peers = self.peers.peers(local, now);
        let config = &local.config;
        let mode = match config.mode {
            Mode::Sloppy => "sloppy",
            Mode::Strict => "strict",
        };
        Inspection {
            counts: self.counts(),
            is_founded: self.node.is_founded(),
            partitions: local.topology().partitions().count() as u64,
            quorums: DefaultQuorums { read: config.read_quorum, write: config.write_quorum, mode },
            out_of_reach: self.peers.out_of_reach(&self.node, &peers, storage),
            partitions_loss_undecided: self.node.undecided().len() as u64,
            corrupt_keys: self.node.corrupt_keys() as u64,
            storage,
            heard_within_ms: HEARD_WITHIN_MS_MIN.max(10 * config.gossip_interval_ms),
            peers,
        }
    }

    fn handle(&mut self, input: Input, output: &mut TurnOutput) {
        let mut cx = Cx { now: self.clock.now(), draw: &mut self.draws, out: &mut self.effects };
        self.node.handle(&mut cx, input);
        for effect in self.effects.drain(..) {
            match effect {
                Effect::Reply { request, reply } => {
                    let (connection, tag) = parts_of(request);
                    output.replies.entry(connection).or_default().push((tag, reply));
                }
                Effect::AdminReply { request, reply } => output.admin.push((request, reply)),
                Effect::Send(message) => {
                    output.messages.entry(message.header.to).or_default().push(message);
                }
                Effect::Store { ticket, command } => output.commands.push((ticket, command)),
                Effect::Observe(event) => {
                    if event == Event::StoreFailed {
                        self.storage = StorageFact::Failed;
                        self.metrics.on_storage_state(self.storage.word());
                        output.storage_failed = true;
                    }
                    if let Event::Rejected { from, reason } = event {
                        self.peers.on_rejected(from, reason);
                    }
                    if let Event::Suspected { peer } = event {
                        output.suspected.push(peer);
                    }
                    self.metrics.on_event(&event);
                    self.log.log(&event);
                }
            }
        }
    }
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

/// The inputs that the core has not handled yet.
#[derive(Debug)]
pub struct Inboxes {
    work: mpsc::Receiver<Work>,
    urgent: mpsc::UnboundedReceiver<Urgent>,
}

/// Creates the handle for other tasks, and the inboxes behind it, in which `work_max` batches of
/// work may wait.
pub fn inboxes(work_max: usize) -> (CoreHandle, Inboxes) {
    let (work, work_inbox) = mpsc::channel(work_max);
    let (urgent, urgent_inbox) = mpsc::unbounded_channel();
    (CoreHandle { work, urgent }, Inboxes { work: work_inbox, urgent: urgent_inbox })
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
pub const TAG_MAX: Tag = (1 << TAG_BITS) - 1;

fn request_of(connection: ConnectionId, tag: Tag) -> ClientRequest {
    assert!(tag <= TAG_MAX, "tags count from 0 to TAG_MAX");
    ClientRequest((connection.0 << TAG_BITS) | u64::from(tag))
}

fn parts_of(request: ClientRequest) -> (ConnectionId, Tag) {
    let tag = (request.0 & u64::from(TAG_MAX)) as Tag;
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
