//! Helpers that the tests of connections share.

use std::sync::Arc;

use kv_core::config::Config;
use kv_core::cx::Identity;
use kv_core::layout::Layout;
use kv_core::ring::Ring;
use kv_core::topology::Topology;
use kv_core::types::{ClusterId, Generation, NodeId};

use super::PeerLimits;
use super::presence::Presence;
use super::room::Room;
use super::shared::PeersShared;
use crate::clock::Clock;
use crate::config::Limits;
use crate::log::LogLimiter;
use crate::metrics::Metrics;
use crate::{core_loop, stop};

/// Creates the shared state of a node of a cluster of two.
pub(super) fn shared(node: u64) -> PeersShared {
    let nodes = (1..=2).map(|id| (NodeId(id), format!("n{id}")));
    let ring = Ring::new(Layout::single_datacenter(16, 2, nodes)).expect("a sound layout");
    let identity = Identity {
        node: NodeId(node),
        generation: Generation(1),
        cluster: ClusterId(1),
        topology: Arc::new(Topology::new(Arc::new(ring))),
    };
    PeersShared {
        identity,
        nonce: 1,
        limits: PeerLimits::new(&Limits::default(), &Config::default()),
        clock: Clock::start(),
        core: core_loop::inboxes(1).0,
        metrics: Arc::new(Metrics::new()),
        log_limiter: Arc::new(LogLimiter::default()),
        presence: Presence::default(),
        room: Room::new(1 << 20),
        stopping: stop::channel().1,
    }
}
