//! The metrics of a node, and their form for Prometheus.
//!
//! One registry per node, not per process: `kv-node dev` runs several in one. Counting is one
//! atomic addition: families are looked up when the node starts, not when something happens.

mod exposition;
mod health;
mod labels;
#[cfg(all(target_os = "linux", not(madsim)))]
mod process;
mod register;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use kv_core::cx::LinkState;
use kv_core::event::{Event, RejectReason};
use kv_core::message::Kind;
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::health::{Facts, Verdict};
use crate::inspection::TurnCounts;
use crate::log;
use crate::storage::{DiskRoom, EngineSizes, StorageCounts, StorageState};

pub use exposition::Exposition;
use health::HealthGauges;
pub use labels::{ConnectionDropReason, Direction, Discarded, RequestOutcome, RequestVerb};
use register::{Label, Register, Requests, counts};

/// The metrics of one node.
pub struct Metrics {
    /// The metrics of the node, under the prefix `kv`.
    registry: Registry,
    /// The metrics of the process.
    process: Registry,
    health: HealthGauges,
    requests: [[Requests; RequestOutcome::ALL.len()]; RequestVerb::ALL.len()],
    siblings: Histogram,
    /// The number of open connections of clients.
    pub connections: Gauge,
    /// The number of connections of clients that were made since the start.
    pub connections_received: Counter,
    /// The number of connections of clients that were refused because there were too many.
    pub connections_refused: Counter,
    /// The number of commands of clients that were read.
    pub commands: Counter,
    /// The number of reads that found a value.
    pub reads_found: Counter,
    /// The number of reads that found no value.
    pub reads_not_found: Counter,
    /// The number of connections of clients that were closed for a protocol error.
    pub protocol_errors: Counter,
    /// The bytes that all connections of clients hold.
    pub client_held_bytes: Gauge,
    clients_dropped: [Counter; ConnectionDropReason::ALL.len()],
    client_bytes: [Counter; 2],
    messages: [Vec<Counter>; 2],
    peer_bytes: [Counter; 2],
    /// The number of messages that the core handed over for peers. Each is sent or dropped once it
    /// no longer waits: the rest of that sum waits, and nothing else is lost on this side.
    pub messages_queued: Counter,
    /// The number of messages that were dropped because a peer's queue was full or its link was
    /// down.
    pub messages_dropped: Counter,
    messages_discarded: [Counter; 2],
    /// The number of links to peers that stand.
    pub links_up: Gauge,
    /// The number of links that were given up because the peer was silent or took nothing.
    pub links_reset: Counter,
    /// The number of connections to the HTTP interface that had to go because there were too many.
    pub http_connections_evicted: Counter,
    /// The number of times that the system refused to accept a connection to the HTTP interface.
    pub http_accept_errors: Counter,
    rejected: Family<Label, Counter>,
    refused: Family<Label, Counter>,
    rare_branches: Family<Label, Counter>,
    peers_down: Gauge,
    hints_pending: Gauge,
    operations: Gauge,
    partitions: [Gauge; 2],
    hints: [Counter; 3],
    repairs: [Counter; 2],
    read_repairs: Counter,
    epochs: Counter,
    corrupt: Counter,
    stalls: Counter,
    clock_ahead: Counter,
    turns: Counter,
    storage_commands: Counter,
    storage_groups: Counter,
    log_lines_lost: Counter,
    storage_writing_seconds: Counter<f64, AtomicU64>,
    storage_waiting: Gauge,
    storage_state: [Gauge; StorageState::WORDS.len()],
    storage_bytes: [Gauge; 3],
    storage_tables: Gauge,
    disk_bytes: [Gauge; 2],
}

impl Metrics {
    /// Creates the metrics, all at zero.
    pub fn new() -> Self {
        let mut of = Register(Registry::with_prefix("kv"));
        let directions = Direction::ALL.map(Direction::name);
        let siblings = counts();
        of.0.register("siblings", "Siblings of a key, as reads found them", siblings.clone());
        let rejected = Family::<Label, Counter>::default();
        of.0.register(
            "peer_rejected",
            "Connections and messages of peers that were refused, by reason",
            rejected.clone(),
        );
        let refused = Family::<Label, Counter>::default();
        of.0.register(
            "peer_refusals",
            "Refusals by peers of this node, by reason",
            refused.clone(),
        );
        let rare_branches = Family::<Label, Counter>::default();
        of.0.register(
            "rare_branches",
            "Rare branches that the core has taken, by probe",
            rare_branches.clone(),
        );
        let storage_writing_seconds = Counter::default();
        of.0.register_with_unit(
            "storage_writing",
            "Time that groups took to the disk, syncs included",
            Unit::Seconds,
            storage_writing_seconds.clone(),
        );
        let [reads_found, reads_not_found] = of.counters(
            "client_reads",
            "Reads of clients, by whether they found a value",
            "found",
            ["value", "nothing"],
        );
        Self {
            requests: of.requests(),
            siblings,
            connections: of.gauge("client_connections", "Connections of clients"),
            connections_received: of.counter(
                "client_connections_received",
                "Connections of clients that were made since the start",
            ),
            commands: of.counter("client_commands", "Commands of clients that were read"),
            reads_found,
            reads_not_found,
            connections_refused: of.counter(
                "client_connections_refused",
                "Connections of clients that were refused because there were too many",
            ),
            protocol_errors: of.counter(
                "client_protocol_errors",
                "Requests of clients that were no commands, or too large: the connection was closed, or the \
                 command was passed over",
            ),
            client_held_bytes: of.gauge(
                "client_held_bytes",
                "Bytes of requests and replies that connections of clients hold, as far as \
                 limits.client_bytes counts them",
            ),
            clients_dropped: of.counters(
                "client_connections_dropped",
                "Connections of clients that were dropped because they did not get on, by reason",
                "reason",
                ConnectionDropReason::ALL.map(ConnectionDropReason::name),
            ),
            client_bytes: of.counters(
                "client_bytes",
                "Bytes of clients and to them",
                "direction",
                directions,
            ),
            messages: of.messages(),
            peer_bytes: of.counters(
                "peer_bytes",
                "Bytes of peers and to them, with frames",
                "direction",
                directions,
            ),
            messages_queued: of.counter(
                "peer_messages_queued",
                "Messages for peers: each waits, or was sent or dropped",
            ),
            messages_dropped: of.counter(
                "peer_messages_dropped",
                "Messages that were dropped: the peer's queue was full or its link broke",
            ),
            messages_discarded: of.counters(
                "peer_messages_discarded",
                "Large messages of peers that were not accepted, by reason",
                "reason",
                Discarded::ALL.map(Discarded::name),
            ),
            links_up: of.gauge(
                "peer_links_up",
                "Links to peers that stand and on which the peer was heard within seconds",
            ),
            links_reset: of.counter(
                "peer_links_reset",
                "Links that were given up because the peer was silent or took nothing",
            ),
            http_connections_evicted: of.counter(
                "http_connections_evicted",
                "Connections to the HTTP interface that had to go because there were too many",
            ),
            http_accept_errors: of.counter(
                "http_accept_errors",
                "Times that the system refused to accept a connection to the HTTP interface",
            ),
            rejected,
            refused,
            rare_branches,
            peers_down: of.gauge("peers_down", "Peers that seem to be down, by gossip"),
            hints_pending: of.gauge("hints_pending", "Hints that are kept for others"),
            operations: of.gauge("operations_in_flight", "Operations of clients in flight"),
            partitions: of.gauges(
                "partitions",
                "Partitions that this node owns, and those of them that it serves reads of",
                "state",
                ["owned", "complete"],
            ),
            hints: of.counters(
                "hints",
                "Hints that were stored, delivered, or dropped (their target must be repaired)",
                "what",
                ["stored", "delivered", "dropped"],
            ),
            repairs: of.counters(
                "repairs",
                "Partitions that a repair found different, and that it left equal",
                "found",
                ["different", "equal"],
            ),
            read_repairs: of.counter("read_repairs", "Replicas that a read found behind"),
            epochs: of.counter("epochs_drawn", "Epochs that replicas drew"),
            corrupt: of.counter("records_corrupt", "Records that could not be read"),
            stalls: of.counter("stalls", "Times that the node's own loop stalled"),
            clock_ahead: of.counter(
                "clock_ahead",
                "Versions and messages that were stamped far ahead of this node's clock",
            ),
            turns: of.counter("core_turns", "Turns of the core's loop"),
            log_lines_lost: of.counter(
                "log_lines_lost",
                "Lines that the process could not write: standard error is full, or nobody reads it",
            ),
            storage_commands: of.counter("storage_commands", "Commands that were executed"),
            storage_groups: of
                .counter("storage_groups", "Groups of commands that went to the disk together"),
            storage_writing_seconds,
            health: HealthGauges::new(&mut of),
            process: process_registry(),
            storage_waiting: of.gauge("storage_waiting", "Commands that wait for the storage"),
            storage_state: of.gauges(
                "storage_state",
                "1 for the state that the storage is in: it takes writes only if writable",
                "state",
                StorageState::WORDS,
            ),
            storage_bytes: of.gauges(
                "storage_bytes",
                "Bytes that the storage takes: for records in memory (estimated), in the files of the log, \
                 and in tables",
                "where",
                ["memory", "log", "tables"],
            ),
            storage_tables: of.gauge("storage_tables", "Tables of the storage on the disk"),
            disk_bytes: of.gauges(
                "disk_bytes",
                "Bytes of the disk under the data, and those of them that are free",
                "what",
                ["free", "total"],
            ),
            registry: of.0,
        }
    }

    /// Counts a request of a client that was answered after so many seconds.
    pub fn on_request(&self, verb: RequestVerb, outcome: RequestOutcome, seconds: f64) {
        let requests = &self.requests[verb as usize][outcome as usize];
        requests.count.inc();
        requests.seconds.observe(seconds);
    }

    /// Counts the siblings that a read found.
    pub fn on_siblings(&self, siblings: usize) {
        self.siblings.observe(siblings as f64);
    }

    /// Counts a client that was dropped.
    pub fn on_client_dropped(&self, reason: ConnectionDropReason) {
        self.clients_dropped[reason as usize].inc();
    }

    /// Counts bytes of clients.
    pub fn on_client_bytes(&self, direction: Direction, bytes: usize) {
        self.client_bytes[direction as usize].inc_by(bytes as u64);
    }

    /// The number of bytes that clients sent, or were sent.
    pub fn client_bytes(&self, direction: Direction) -> u64 {
        self.client_bytes[direction as usize].get()
    }

    /// Tells whether the storage takes writes.
    pub fn takes_writes(&self) -> bool {
        self.storage_state[0].get() != 0
    }

    /// Counts bytes of peers.
    pub fn on_peer_bytes(&self, direction: Direction, bytes: usize) {
        self.peer_bytes[direction as usize].inc_by(bytes as u64);
    }

    /// Counts a message of a peer, or to one.
    pub fn on_message(&self, direction: Direction, kind: Kind) {
        let index = Kind::ALL.binary_search(&kind).expect("every kind is in the list of all");
        self.messages[direction as usize][index].inc();
    }

    /// Counts a peer or a message that was refused.
    pub fn on_rejected(&self, reason: &'static str) {
        self.rejected.get_or_create(&[("reason", reason)]).inc();
    }

    /// Counts a refusal of this node by a peer.
    pub fn on_refused(&self, reason: &'static str) {
        self.refused.get_or_create(&[("reason", reason)]).inc();
    }

    /// Counts a large message of a peer that was not accepted.
    pub fn on_discarded(&self, why: Discarded) {
        self.messages_discarded[why as usize].inc();
    }

    /// Updates the gauge of links after one came up or broke.
    pub fn on_link(&self, state: LinkState) {
        match state {
            LinkState::Up => self.links_up.inc(),
            LinkState::Down => self.links_up.dec(),
        };
    }

    /// Updates the gauges from the counts of the core.
    pub fn on_turn(&self, counts: &TurnCounts) {
        let TurnCounts {
            partitions_owned,
            partitions_complete,
            hints_pending,
            operations,
            peers_down,
            peers: _,
        } = *counts;
        self.turns.inc();
        self.partitions[0].set(partitions_owned as i64);
        self.partitions[1].set(partitions_complete as i64);
        self.hints_pending.set(hints_pending as i64);
        self.operations.set(operations as i64);
        self.peers_down.set(peers_down as i64);
    }

    /// Updates the gauges from the health of the node.
    pub fn on_health(&self, facts: &Facts, verdict: &Verdict) {
        self.health.set(facts, verdict);
    }

    /// Counts an event of the core.
    pub fn on_event(&self, event: &Event) {
        if let Some(probe) = event.probe() {
            self.rare_branches.get_or_create(&[("probe", probe.name())]).inc();
        }
        match event {
            Event::EpochDrawn { .. } => self.epochs.inc(),
            Event::Corrupt { .. } => self.corrupt.inc(),
            Event::Stalled { .. } => self.stalls.inc(),
            Event::ClockAhead { .. } => self.clock_ahead.inc(),
            Event::HintStored { .. } => self.hints[0].inc(),
            Event::HintsDelivered { count, .. } => self.hints[1].inc_by(*count),
            Event::HintDropped { .. } => self.hints[2].inc(),
            Event::RepairDiffered { .. } => self.repairs[0].inc(),
            Event::RepairClean { .. } => self.repairs[1].inc(),
            Event::ReadRepair { .. } => self.read_repairs.inc(),
            Event::Rejected { reason, .. } => {
                self.on_rejected(reject_word(*reason));
                0
            }
            // Gauges tell of these, or the requests that they belong to.
            Event::Minted { .. }
            | Event::ReadBeforeWrite { .. }
            | Event::Founded
            | Event::DataMissing
            | Event::LogFellBehind { .. }
            | Event::LossUndecided { .. }
            | Event::Suspected { .. }
            | Event::Trusted { .. }
            | Event::Completed { .. }
            | Event::KeyRepaired { .. }
            | Event::Probe(_)
            | Event::StoreFailed => 0,
        };
    }

    /// Updates the gauges from the state of the storage, given by its word.
    pub fn on_storage_state(&self, state: &str) {
        for (gauge, word) in self.storage_state.iter().zip(StorageState::WORDS) {
            gauge.set(i64::from(word == state));
        }
    }

    /// Updates the metrics from the counters of the storage.
    pub fn on_storage(&self, counts: &StorageCounts) {
        let StorageCounts {
            waiting,
            executed,
            groups,
            writing,
            state: _,
            memory_bytes,
            sizes,
            disk,
        } = *counts;
        let EngineSizes { log_bytes, table_bytes, tables } = sizes;
        for (gauge, bytes) in
            self.storage_bytes.iter().zip([memory_bytes as u64, log_bytes, table_bytes])
        {
            gauge.set(bytes as i64);
        }
        self.storage_tables.set(tables as i64);
        if let Some(DiskRoom { free_bytes, total_bytes }) = disk {
            self.disk_bytes[0].set(free_bytes as i64);
            self.disk_bytes[1].set(total_bytes as i64);
        }
        self.storage_waiting.set(waiting as i64);
        self.storage_commands.inner().store(executed, Ordering::Relaxed);
        self.storage_groups.inner().store(groups, Ordering::Relaxed);
        // A counter of floats keeps their bits.
        self.storage_writing_seconds
            .inner()
            .store(writing.as_secs_f64().to_bits(), Ordering::Relaxed);
    }

    /// The gauges that a client sees with `INFO`.
    pub fn shown(&self) -> Vec<(&'static str, String)> {
        [
            ("links_up", &self.links_up),
            ("peers_down", &self.peers_down),
            ("hints_pending", &self.hints_pending),
            ("operations_in_flight", &self.operations),
            ("partitions_owned", &self.partitions[0]),
            ("partitions_complete", &self.partitions[1]),
        ]
        .map(|(name, gauge)| (name, gauge.get().to_string()))
        .into()
    }

    /// Writes all metrics in this form.
    pub fn encode(&self, exposition: Exposition) -> String {
        self.log_lines_lost.inner().store(log::lines_lost(), Ordering::Relaxed);
        let mut encoded = String::new();
        for registry in [&self.registry, &self.process] {
            text::encode_registry(&mut encoded, registry).expect("a string takes every text");
        }
        text::encode_eof(&mut encoded).expect("a string takes every text");
        exposition.of_open_metrics(encoded)
    }
}

/// The registry of the process's metrics; empty, where the system does not report them in a known
/// way.
fn process_registry() -> Registry {
    #[cfg_attr(
        not(all(target_os = "linux", not(madsim))),
        expect(unused_mut, reason = "there is nothing to register")
    )]
    let mut registry = Registry::default();
    #[cfg(all(target_os = "linux", not(madsim)))]
    registry.register_collector(Box::new(process::ProcessCollector));
    registry
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

const fn reject_word(reason: RejectReason) -> &'static str {
    match reason {
        RejectReason::Cluster => "cluster",
        RejectReason::Addressee => "addressee",
        RejectReason::Stranger => "stranger",
        RejectReason::Layout => "layout",
        RejectReason::Future => "future",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kv_core::message::RepairKind;

    #[test]
    fn what_is_counted_is_shown_with_its_labels() {
        let metrics = Metrics::new();
        metrics.on_request(RequestVerb::Put, RequestOutcome::Done, 0.001);
        metrics.on_message(Direction::In, Kind::Repair(RepairKind::Exchanged));
        metrics.on_rejected("cluster");
        metrics.on_event(&Event::Probe(kv_core::probe::Probe::TwinsMinted));
        let shown = metrics.encode(Exposition::OpenMetrics);
        for line in [
            "kv_requests_total{verb=\"put\",outcome=\"done\"} 1",
            "kv_request_duration_seconds_count{verb=\"put\",outcome=\"done\"} 1",
            "kv_peer_messages_total{direction=\"in\",kind=\"repair-exchanged\"} 1",
            "kv_peer_rejected_total{reason=\"cluster\"} 1",
            "kv_rare_branches_total{probe=\"twins-minted\"} 1",
            "# EOF",
        ] {
            assert!(shown.lines().any(|shown| shown == line), "{line} is missing in\n{shown}");
        }
    }

    #[test]
    fn two_nodes_in_one_process_count_apart() {
        let (one, other) = (Metrics::new(), Metrics::new());
        one.messages_dropped.inc();
        assert!(one.encode(Exposition::Text).contains("kv_peer_messages_dropped_total 1"));
        assert!(other.encode(Exposition::Text).contains("kv_peer_messages_dropped_total 0"));
    }

    #[test]
    fn every_kind_of_message_has_a_counter() {
        let metrics = Metrics::new();
        for kind in Kind::ALL {
            metrics.on_message(Direction::Out, *kind);
        }
    }
}
