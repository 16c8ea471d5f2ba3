//! The node's facts for its clients: the sections of `INFO`, and the settings of `CONFIG GET`,
//! under the names that Redis gives them.
//!
//! Every value is true. What Redis shows and this node does not know is left out: tools take a
//! missing field for an unknown one.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::process::{ProcessUse, human};
use super::shared::{RedisShared, SeenByConnection};
use crate::metrics::Direction;
use crate::redis::{ConnectionActivity, NodeInfo, Section};
use crate::storage::Durability;

type Lines = Vec<(&'static str, String)>;

/// The longest interval between syncs, in milliseconds, that is still `everysec`.
const EVERYSEC_MS: u128 = 1_000;

impl NodeInfo for SeenByConnection<'_> {
    fn info(&self) -> Vec<Section> {
        let RedisShared { setup, .. } = self.shared;
        let process = ProcessUse::look();
        let section = |name, fields| Section { name, fields };
        vec![
            section("server", self.shared.server()),
            section("clients", self.shared.clients()),
            section("memory", memory(process)),
            section("persistence", self.shared.persistence()),
            section("stats", self.shared.stats()),
            section("replication", replication()),
            section("cpu", processor(process)),
            section("modules", Lines::new()),
            section("cluster", vec![("cluster_enabled", "0".to_owned())]),
            // Nobody counts the keys of a node.
            section("keyspace", Lines::new()),
            section("kv", setup.metrics.shown()),
        ]
    }

    fn settings(&self) -> Lines {
        let RedisShared { setup, address, .. } = self.shared;
        let port = address.map_or(0, |address| address.port());
        vec![
            ("appendfsync", appendfsync(setup.durability).to_owned()),
            ("appendonly", "yes".to_owned()),
            ("kv-durability", durability(setup.durability)),
            ("maxclients", setup.limits.connections.to_string()),
            ("maxmemory-clients", setup.limits.client_bytes.to_string()),
            ("port", port.to_string()),
            ("tcp-keepalive", seconds(setup.limits.keepalive_ms)),
            ("timeout", seconds(setup.limits.idle_timeout_ms)),
        ]
    }

    fn activity(&self) -> ConnectionActivity {
        self.entry.activity(Instant::now())
    }

    fn others(&self) -> Vec<(u64, String)> {
        self.shared.registry.others(self.by, Instant::now())
    }
}

/// Converts milliseconds to whole seconds, rounded up, so that only 0 gives 0.
fn seconds(ms: usize) -> String {
    ms.div_ceil(1_000).to_string()
}

impl RedisShared {
    fn server(&self) -> Lines {
        let Self { setup, address, started, .. } = self;
        let uptime = started.elapsed().as_secs();
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        vec![
            ("node", setup.name.clone()),
            ("node_id", setup.node.to_string()),
            ("cluster", setup.cluster.clone()),
            ("os", format!("{} {}", std::env::consts::OS, std::env::consts::ARCH)),
            ("arch_bits", usize::BITS.to_string()),
            ("process_id", std::process::id().to_string()),
            ("tcp_port", address.map_or(0, |address| address.port()).to_string()),
            ("server_time_usec", time.as_micros().to_string()),
            ("uptime_in_seconds", uptime.to_string()),
            ("uptime_in_days", (uptime / 86_400).to_string()),
        ]
    }

    fn clients(&self) -> Lines {
        let Self { setup, .. } = self;
        let mut lines = vec![
            ("connected_clients", setup.metrics.connections.get().to_string()),
            ("maxclients", setup.limits.connections.to_string()),
        ];
        // No command of this store blocks, watches, tracks or subscribes.
        let none = [
            "cluster_connections",
            "blocked_clients",
            "tracking_clients",
            "pubsub_clients",
            "watching_clients",
            "clients_in_timeout_table",
        ];
        lines.extend(none.map(|name| (name, "0".to_owned())));
        lines
    }

    fn persistence(&self) -> Lines {
        let Self { setup, .. } = self;
        let written = if setup.metrics.takes_writes() { "ok" } else { "err" };
        vec![
            // Clients are not listened to before the data is open.
            ("loading", "0".to_owned()),
            ("async_loading", "0".to_owned()),
            // There are no snapshots, and no log is ever rewritten as a whole.
            ("rdb_bgsave_in_progress", "0".to_owned()),
            ("aof_enabled", "1".to_owned()),
            ("aof_rewrite_in_progress", "0".to_owned()),
            ("aof_rewrite_scheduled", "0".to_owned()),
            ("aof_last_write_status", written.to_owned()),
            ("kv_durability", durability(setup.durability)),
        ]
    }

    fn stats(&self) -> Lines {
        let Self { setup, started, rate, .. } = self;
        let metrics = &setup.metrics;
        let mut lines = vec![
            ("total_connections_received", metrics.connections_received.get().to_string()),
            ("total_commands_processed", metrics.commands.get().to_string()),
            ("instantaneous_ops_per_sec", rate.per_second(started.elapsed()).to_string()),
            ("total_net_input_bytes", metrics.client_bytes(Direction::In).to_string()),
            ("total_net_output_bytes", metrics.client_bytes(Direction::Out).to_string()),
            ("rejected_connections", metrics.connections_refused.get().to_string()),
            ("keyspace_hits", metrics.reads_found.get().to_string()),
            ("keyspace_misses", metrics.reads_not_found.get().to_string()),
        ];
        let none = [
            "expired_keys",
            "evicted_keys",
            "pubsub_channels",
            "pubsub_patterns",
            "pubsubshard_channels",
            "tracking_total_keys",
        ];
        lines.extend(none.map(|name| (name, "0".to_owned())));
        lines
    }
}

/// Lists the memory of the process: that of values is not counted apart.
fn memory(process: Option<ProcessUse>) -> Lines {
    let mut lines = Lines::new();
    if let Some(ProcessUse { resident_bytes, resident_bytes_peak, machine_bytes, .. }) = process {
        lines.extend([
            ("used_memory", resident_bytes.to_string()),
            ("used_memory_human", human(resident_bytes)),
            ("used_memory_rss", resident_bytes.to_string()),
            ("used_memory_rss_human", human(resident_bytes)),
            ("used_memory_peak", resident_bytes_peak.to_string()),
            ("used_memory_peak_human", human(resident_bytes_peak)),
            ("total_system_memory", machine_bytes.to_string()),
            ("total_system_memory_human", human(machine_bytes)),
        ]);
    }
    lines.extend([
        ("maxmemory", "0".to_owned()),
        ("maxmemory_human", "0B".to_owned()),
        ("maxmemory_policy", "noeviction".to_owned()),
        ("mem_allocator", "mimalloc".to_owned()),
    ]);
    lines
}

fn processor(process: Option<ProcessUse>) -> Lines {
    let Some(ProcessUse { user_seconds, system_seconds, .. }) = process else {
        return Lines::new();
    };
    vec![
        ("used_cpu_sys", format!("{system_seconds:.6}")),
        ("used_cpu_user", format!("{user_seconds:.6}")),
    ]
}

/// Lists the replication fields: every node takes writes, so a client that looks for the primary
/// has found one.
fn replication() -> Lines {
    vec![
        ("role", "master".to_owned()),
        ("connected_slaves", "0".to_owned()),
        ("master_failover_state", "no-failover".to_owned()),
    ]
}

/// Returns the durability in the words of Redis: never more than is kept.
fn appendfsync(durability: Durability) -> &'static str {
    match durability {
        Durability::Always => "always",
        Durability::Interval { every } if every.as_millis() <= EVERYSEC_MS => "everysec",
        Durability::Interval { .. } | Durability::Never => "no",
    }
}

/// Returns the durability in the words of this node's configuration.
fn durability(durability: Durability) -> String {
    match durability {
        Durability::Always => "always".to_owned(),
        Durability::Interval { every } => format!("interval {} ms", every.as_millis()),
        Durability::Never => "never".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn no_durability_is_shown_as_more_than_it_is() {
        let every = |ms| Durability::Interval { every: Duration::from_millis(ms) };
        let cases = [
            (Durability::Always, "always", "always"),
            (every(5), "everysec", "interval 5 ms"),
            (every(1_000), "everysec", "interval 1000 ms"),
            (every(1_001), "no", "interval 1001 ms"),
            (Durability::Never, "no", "never"),
        ];
        for (given, in_redis, own) in cases {
            assert_eq!(appendfsync(given), in_redis);
            assert_eq!(durability(given), own);
        }
    }
}
