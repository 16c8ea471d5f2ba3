//! Peers over TCP: one connection to each member, on which this node sends, and one from each, on
//! which it receives.
//!
//! ```text
//!   core ─► Queue ─► sender ─► wire, frame ─► socket ═══► socket ─► frame, assembly, wire ─► visit ─► core
//! ```
//! - `frame.rs`, `assembly.rs`, `hello.rs`, `refusal.rs`: the bytes, pure.
//! - `queue.rs`: the messages that wait for one peer, in lanes; bounded, drops the oldest.
//! - `outgoing.rs`: dials (`dialer.rs`), sends (`sender.rs`), and dials again with growing pauses.
//! - `incoming.rs`: listens; `visit.rs`: checks the hello, hands messages to the core.
//! - `presence.rs`: the run of each peer that is connected. `room.rs`: the bound on large messages.
//!
//! Messages go from the one who dialled to the one who listens. The other way go only signs of life
//! (*beats*), of which each says that something was received since the last one; an idle connection
//! is asked for one each second. So a link that counts as up has been heard from within seconds, in
//! both directions, whatever the operating system believes; and there is no deadline for a
//! transfer, only for its progress.
//!
//! There is one connection and not two, one for what is urgent and one for data: large messages are
//! cut into parts and the system is kept from taking much that it cannot send, which is as good,
//! and one connection has one state.
//!
//! A message may be lost where a connection breaks or a queue is full, doubled where a batch was
//! not known to have left, and overtaken by one that is more urgent or smaller. The core is made
//! for all of these.

pub mod assembly;
mod dialer;
mod error;
pub mod frame;
pub mod hello;
mod incoming;
mod outgoing;
mod presence;
pub mod queue;
pub mod refusal;
pub mod room;
mod sender;
mod stream;
#[cfg(all(test, not(madsim)))]
mod testing;
mod visit;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kv_core::config::Config;
use kv_core::cx::Identity;
use kv_core::message::Message;
use kv_core::time::WallTime;
use kv_core::types::{KEY_BYTES_MAX, NodeId};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::config::Limits;
use crate::core_loop::CoreHandle;
use crate::draws::Draws;
use crate::log::{LogLimiter, Named};
use crate::metrics::Metrics;
use crate::stop::Stopping;
use crate::tasks::Tasks;
use dialer::Dialer;
use error::LinkError;
use hello::{Hello, REPLACED, Run};
use outgoing::Outgoing;
use presence::Presence;
use queue::{Queue, QueueLimits, Sum};
use room::Room;
use sender::Sender;

/// The limits on the traffic with peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerLimits {
    /// The limits on the queue of one peer.
    pub queue: QueueLimits,
    /// The bytes that may wait for all peers together.
    pub queues_bytes: usize,
    /// The largest message, in bytes.
    pub message_bytes: usize,
    /// The bytes of large messages, of all peers together, that are being received or wait for the
    /// core.
    pub receive_bytes: usize,
    /// The number of connections whose peers have not said hello yet.
    pub connections: usize,
}

impl PeerLimits {
    /// Takes the limits of a node, and raises them so that no message of its core is too large: a
    /// container of as many siblings as a key may have, and twice as many where replicas that had
    /// different ones meet, in the last place of a batch.
    pub fn new(limits: &Limits, core: &Config) -> Self {
        /// Room for names, times and vectors beside each value.
        const VERSION_BYTES: u64 = 1_024;
        let version = core.value_bytes_max.saturating_add(VERSION_BYTES);
        let container = core.siblings_max.saturating_mul(2).saturating_mul(version);
        let batch = core.hint_batch_bytes.max(core.repair_batch_bytes);
        let largest = container.saturating_add(batch).saturating_add(2 * KEY_BYTES_MAX as u64);
        let largest = usize::try_from(largest).unwrap_or(usize::MAX);
        Self {
            queue: QueueLimits {
                messages: limits.peer_queue_messages,
                bytes: limits.peer_queue_bytes,
            },
            queues_bytes: limits.peer_queue_bytes_total,
            message_bytes: largest.max(limits.peer_frame_bytes),
            receive_bytes: limits.peer_receive_bytes,
            connections: limits.peer_connections,
        }
    }
}

/// The time within which a connected peer must say hello.
const HELLO_TIMEOUT: Duration = Duration::from_secs(3);

/// The state that all connections with peers share.
#[derive(Clone, Debug)]
struct Shared {
    identity: Identity,
    /// A random number that tells this run from one of another process that began in the same
    /// second.
    nonce: u64,
    limits: PeerLimits,
    clock: Clock,
    core: CoreHandle,
    metrics: Arc<Metrics>,
    log_limiter: Arc<LogLimiter>,
    presence: Presence,
    room: Room,
    stopping: Stopping,
}

impl Shared {
    fn wall(&self) -> WallTime {
        self.clock.now().wall
    }

    /// The hello with which this node opens a connection to a peer.
    fn hello(&self, to: NodeId) -> Hello {
        let run = Run { generation: self.identity.generation, nonce: self.nonce };
        Hello::new(&self.identity, run.told_at(self.wall()), to)
    }

    /// Names a node as people know it.
    fn name_of(&self, node: NodeId) -> String {
        Named::new(self.identity.topology.newest(), node).to_string()
    }

    /// Logs a fault of a peer: one line per kind, then a count.
    fn complain(&self, peer: &str, kind: &str, what: String) {
        let subject = peer.to_owned();
        self.log_limiter.tell(peer, kind, move |repeated| {
            tracing::warn!(repeated, "peer {subject}: {what}");
        });
    }

    /// Logs the error that ended a connection.
    fn complain_of(&self, peer: &str, error: &LinkError) {
        match error {
            LinkError::Refused(refusal) if refusal.reason == REPLACED => {
                let (subject, text) = (peer.to_owned(), refusal.text.clone());
                self.log_limiter.tell(peer, "refused as replaced", move |repeated| {
                    tracing::error!(
                        repeated,
                        "peer {subject} does not speak to this node any more: {text}"
                    );
                });
            }
            LinkError::Refused(refusal) => {
                self.complain(peer, &format!("refused: {}", refusal.reason), error.to_string());
            }
            error => {
                let text = error.to_string();
                // A stranger chooses the numbers in the text, but not the word.
                self.complain(peer, error.word().unwrap_or(&text), text.clone());
            }
        }
    }
}

/// The queues of all peers, into which the core's messages go.
#[derive(Clone, Debug)]
pub struct Peers {
    ways: BTreeMap<NodeId, Way>,
    metrics: Arc<Metrics>,
}

/// The core's link to the task of one peer.
#[derive(Clone, Debug)]
struct Way {
    queue: Arc<Queue>,
    suspected: Arc<Notify>,
}

/// The arguments for connecting to peers.
#[derive(Debug)]
pub struct PeerSetup {
    /// The identity of this node.
    pub identity: Identity,
    /// The address at which each other member listens.
    pub addresses: BTreeMap<NodeId, String>,
    /// The limits on the traffic with the peers.
    pub limits: PeerLimits,
    /// The core that receives the peers' messages.
    pub core: CoreHandle,
    /// The metrics that count the traffic.
    pub metrics: Arc<Metrics>,
    /// The limiter that keeps the log short.
    pub log_limiter: Arc<LogLimiter>,
}

impl Peers {
    /// Creates queues for all peers, to which nobody is connected yet.
    pub fn new(setup: &PeerSetup) -> Self {
        let sum = Arc::new(Sum::new(setup.limits.queues_bytes, setup.addresses.len()));
        let way = |peer: &NodeId| {
            let queue = Arc::new(Queue::new(setup.limits.queue, Arc::clone(&sum)));
            (*peer, Way { queue, suspected: Arc::default() })
        };
        let ways = setup.addresses.keys().map(way).collect();
        Self { ways, metrics: Arc::clone(&setup.metrics) }
    }

    /// Begins to listen and to dial.
    pub fn connect(
        &self,
        setup: PeerSetup,
        listener: TcpListener,
        draws: &mut Draws,
        stopping: &Stopping,
        tasks: &mut Tasks,
    ) {
        let PeerSetup { identity, addresses, limits, core, metrics, log_limiter } = setup;
        let shared = Shared {
            identity,
            nonce: draws.below(u64::MAX),
            limits,
            clock: Clock::start(),
            core,
            metrics,
            log_limiter,
            presence: Presence::default(),
            room: Room::new(limits.receive_bytes),
            stopping: stopping.clone(),
        };
        for (peer, address) in addresses {
            let Way { queue, suspected } = self.ways[&peer].clone();
            let jitter = draws.below(u64::MAX);
            let dialer = Dialer::new(peer, address, shared.clone());
            let sender = Sender::new(queue, Arc::clone(&shared.metrics));
            let outgoing = Outgoing::new(dialer, sender, suspected, jitter, shared.clone());
            tasks.spawn(outgoing.run());
        }
        tasks.spawn(incoming::listen(listener, shared));
    }

    /// Appends messages to a peer's queue.
    pub fn send(&self, peer: NodeId, messages: Vec<Message>) {
        self.metrics.messages_queued.inc_by(messages.len() as u64);
        let dropped = match self.ways.get(&peer) {
            Some(way) => way.queue.push(messages),
            // The core speaks to members only; one without an address is not reachable.
            None => messages.len() as u64,
        };
        self.metrics.messages_dropped.inc_by(dropped);
    }

    /// Notes that a peer seems to be down: a connection on which nothing is heard from it is
    /// replaced.
    pub fn suspect(&self, peer: NodeId) {
        if let Some(way) = self.ways.get(&peer) {
            way.suspected.notify_one();
        }
    }
}
