//! PeerQueues over TCP: one connection to each member, on which this node sends, and one from each, on
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
mod limits;
mod outgoing;
mod presence;
pub mod queue;
pub mod refusal;
pub mod room;
mod sender;
mod shared;
mod stream;
#[cfg(all(test, not(madsim)))]
mod testing;
mod visit;

use std::collections::BTreeMap;
use std::sync::Arc;

use kv_core::cx::Identity;
use kv_core::message::Message;
use kv_core::types::NodeId;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::core_loop::CoreHandle;
use crate::draws::Draws;
use crate::log::LogLimiter;
use crate::metrics::Metrics;
use crate::stop::Stopping;
use crate::tasks::Tasks;
use dialer::Dialer;
use outgoing::Outgoing;
use presence::Presence;
use queue::{Queue, Sum};
use room::Room;
use sender::Sender;
use shared::PeersShared;

pub use limits::PeerLimits;

/// The queues of all peers, into which the core's messages go.
#[derive(Clone, Debug)]
pub struct PeerQueues {
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

impl PeerQueues {
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
        let shared = PeersShared {
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
