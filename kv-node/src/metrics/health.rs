//! Gauges of the node's health: each kind of problem, and the numbers behind them.

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Unit;

use super::register::Register;
use crate::health::{Code, Facts, Status, Verdict};
use crate::inspection::{Inspection, PeerState};

/// The gauges of the node's health. Set at each scrape.
pub(super) struct HealthGauges {
    ready: Gauge,
    problems: [Gauge; Code::ALL.len()],
    partitions_out_of_reach: [Gauge; 2],
    partitions_loss_undecided: Gauge,
    corrupt_keys: Gauge,
    peers_heard: Gauge,
    peer_seems_up: Family<PeerLabel, Gauge>,
    peer_connected: Family<PeerLabel, Gauge>,
    peer_refused: Family<PeerLabel, Gauge>,
    peer_silent: Family<PeerLabel, Gauge<f64, std::sync::atomic::AtomicU64>>,
}

type PeerLabel = [(&'static str, String); 2];

impl HealthGauges {
    /// Registers all gauges.
    pub(super) fn new(of: &mut Register) -> Self {
        let build: [(&str, &str); 4] = [
            ("version", env!("CARGO_PKG_VERSION")),
            ("profile", if cfg!(debug_assertions) { "debug" } else { "release" }),
            ("os", std::env::consts::OS),
            ("arch", std::env::consts::ARCH),
        ];
        of.0.register("build", "The build that runs", Info::new(build));
        let peer_seems_up = Family::default();
        of.0.register("peer_seems_up", "1 if a member seems up, by gossip", peer_seems_up.clone());
        let peer_connected = Family::default();
        of.0.register(
            "peer_connected",
            "1 while the connection to a member stands",
            peer_connected.clone(),
        );
        let peer_refused = Family::default();
        of.0.register(
            "peer_refused",
            "1 if this node refuses to speak with a member, as its layout or its identity is wrong",
            peer_refused.clone(),
        );
        let peer_silent = Family::default();
        of.0.register_with_unit(
            "peer_silent",
            "Time since the last message of a member; absent if there was none since the start",
            Unit::Seconds,
            peer_silent.clone(),
        );
        Self {
            ready: of.gauge("ready", "1 if the node can serve what it promises"),
            problems: of.gauges(
                "health_problem",
                "1 if there is a problem of this kind",
                "code",
                Code::ALL.map(Code::word),
            ),
            partitions_out_of_reach: of.gauges(
                "partitions_out_of_reach",
                "Partitions of the ring in which a default request could not be met now",
                "request",
                ["read", "write"],
            ),
            partitions_loss_undecided: of.gauge(
                "partitions_loss_undecided",
                "Partitions of which an operator must accept that writes may be lost",
            ),
            corrupt_keys: of
                .gauge("corrupt_keys", "Keys whose records are corrupt here and not repaired yet"),
            peers_heard: of.gauge("peers_heard", "Members that have been heard lately"),
            peer_seems_up,
            peer_connected,
            peer_refused,
            peer_silent,
        }
    }

    pub(super) fn set(&self, facts: &Facts, verdict: &Verdict) {
        self.ready.set(i64::from(verdict.status() != Status::NotReady));
        for (gauge, code) in self.problems.iter().zip(Code::ALL) {
            gauge.set(i64::from(verdict.has(code)));
        }
        match &facts.core {
            Some(inspection) => self.set_inspection(inspection),
            // What it said before it fell silent may be true no more.
            None => self.forget_peers(),
        }
    }

    fn set_inspection(&self, inspection: &Inspection) {
        let [reads, writes] = &self.partitions_out_of_reach;
        reads.set(inspection.out_of_reach.reads as i64);
        writes.set(inspection.out_of_reach.writes as i64);
        self.partitions_loss_undecided.set(inspection.partitions_loss_undecided as i64);
        self.corrupt_keys.set(inspection.corrupt_keys as i64);
        let heard = |peer: &&PeerState| inspection.hears(peer);
        self.peers_heard.set(inspection.peers.iter().filter(heard).count() as i64);
        self.peer_silent.clear();
        for peer in &inspection.peers {
            let label = label_of(peer);
            self.peer_seems_up.get_or_create(&label).set(i64::from(peer.seems_up));
            self.peer_connected.get_or_create(&label).set(i64::from(peer.is_connected));
            self.peer_refused.get_or_create(&label).set(i64::from(peer.refused.is_some()));
            if let Some(ms) = peer.silent_ms {
                self.peer_silent.get_or_create(&label).set(ms as f64 / 1_000.0);
            }
        }
    }

    fn forget_peers(&self) {
        self.peers_heard.set(0);
        self.peer_seems_up.clear();
        self.peer_connected.clear();
        self.peer_refused.clear();
        self.peer_silent.clear();
    }
}

fn label_of(peer: &PeerState) -> PeerLabel {
    [("peer", peer.name.clone()), ("id", peer.node.to_string())]
}
