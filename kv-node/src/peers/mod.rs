//! Peers over TCP: one connection to each member for what this node says, and one from each for what
//! it hears.
//!
//! ```text
//!   core ─► Queue ─► outgoing.rs ─► wire, frame ─► socket ═══► socket ─► frame, wire ─► incoming.rs ─► core
//! ```
//! - `frame.rs`, `hello.rs`: the bytes, pure.
//! - `queue.rs`: what waits for one peer; bounded, drops the oldest.
//! - `outgoing.rs`: dials, says hello, sends; dials again with growing pauses.
//! - `incoming.rs`: listens, checks the hello, hands messages to the core.
//!
//! A message may be lost where a connection breaks or a queue is full, and doubled where a batch was
//! not known to have left. The core is made for both.

pub mod frame;
pub mod hello;
mod incoming;
mod outgoing;
pub mod queue;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use kv_core::cx::Identity;
use kv_core::message::Message;
use kv_core::types::NodeId;
use tokio::net::TcpListener;

use crate::core_loop::CoreHandle;
use crate::draws::Draws;
use crate::log::LogLimiter;
use crate::metrics::Metrics;
use crate::stop::Stopping;
use crate::tasks::Tasks;
use queue::{Queue, QueueLimits};

/// How peers are spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerLimits {
    /// What may wait for one peer.
    pub queue: QueueLimits,
    /// The largest message, in bytes.
    pub frame_bytes: usize,
    /// Connections of peers that are listened to at once.
    pub connections: usize,
}

/// How long anything may take that a sound peer does at once: to accept, to say hello, to take
/// bytes. After that the connection is given up.
const PATIENCE: Duration = Duration::from_secs(5);

/// What all connections with peers share.
#[derive(Clone, Debug)]
struct Shared {
    identity: Identity,
    limits: PeerLimits,
    core: CoreHandle,
    metrics: Arc<Metrics>,
    log_limiter: Arc<LogLimiter>,
    stopping: Stopping,
}

/// The queues of all peers: where the core's messages go.
#[derive(Clone, Debug)]
pub struct Peers {
    queues: BTreeMap<NodeId, Arc<Queue>>,
    metrics: Arc<Metrics>,
}

/// What must be known to speak to peers.
#[derive(Debug)]
pub struct PeerSetup {
    /// Who this node is.
    pub identity: Identity,
    /// Where each other member listens.
    pub addresses: BTreeMap<NodeId, String>,
    /// How they are spoken to.
    pub limits: PeerLimits,
    /// Who hears what they say.
    pub core: CoreHandle,
    /// Who counts.
    pub metrics: Arc<Metrics>,
    /// What keeps the log short.
    pub log_limiter: Arc<LogLimiter>,
}

impl Peers {
    /// Queues for all peers, to which nobody is connected yet.
    pub fn new(setup: &PeerSetup) -> Self {
        let queue = |peer: &NodeId| (*peer, Arc::new(Queue::new(setup.limits.queue)));
        let queues = setup.addresses.keys().map(queue).collect();
        Self { queues, metrics: Arc::clone(&setup.metrics) }
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
        let stopping = stopping.clone();
        let shared = Shared { identity, limits, core, metrics, log_limiter, stopping };
        for (peer, address) in addresses {
            let queue = Arc::clone(&self.queues[&peer]);
            let jitter = draws.below(u64::MAX);
            let outgoing = outgoing::Outgoing::new(peer, address, queue, jitter, shared.clone());
            tasks.spawn(outgoing.run());
        }
        tasks.spawn(incoming::listen(listener, shared));
    }

    /// Puts messages into a peer's queue.
    pub fn send(&self, peer: NodeId, messages: Vec<Message>) {
        self.metrics.messages_queued.inc_by(messages.len() as u64);
        let dropped = match self.queues.get(&peer) {
            Some(queue) => queue.push(messages),
            // The core speaks to members only; one without an address is not reachable.
            None => messages.len() as u64,
        };
        self.metrics.messages_dropped.inc_by(dropped);
    }
}

impl Shared {
    /// Logs what is wrong with a peer, once until it has behaved.
    fn complain(&self, peer: &str, error: &dyn Display) {
        let (subject, error) = (peer.to_owned(), error.to_string());
        let kind = error.clone();
        self.log_limiter.tell(peer, &kind, move |repeated| {
            tracing::warn!(repeated, "peer {subject}: {error}");
        });
    }
}
