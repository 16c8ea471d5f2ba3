//! The cluster of a scenario in words: its nodes, its quorums, its links, and its clients.

use kv_core::quorum::Mode;
use kv_core::time::Span;

use crate::scenario::{Scenario, Workload, level_words};
use crate::story::words::{counted, thousands};

/// Writes what a scenario runs, one thing a line.
pub(super) fn of(scenario: &Scenario) -> Vec<String> {
    let machines = scenario.cluster.machines();
    let places = match machines.len() {
        1 => format!("{} machines", machines.values().sum::<u64>()),
        _ => {
            let each = machines.iter().map(|(name, count)| format!("{count} in {name}"));
            format!("machines, {}", each.collect::<Vec<_>>().join(" and "))
        }
    };
    let (nodes, partitions) = (scenario.cluster.nodes.len(), scenario.cluster.partitions);
    let mut lines =
        vec![format!("{nodes} nodes on {places}; the ring is cut into {partitions} partitions")];
    lines.extend(quorum_words(scenario));
    lines.push(network_words(scenario));
    lines.extend(scenario.workloads.iter().map(|workload| workload_words(workload, scenario)));
    lines
}

fn quorum_words(scenario: &Scenario) -> [String; 2] {
    let quorum = &scenario.quorum;
    let copies = match quorum.replicas.len() {
        1 => format!("N={}", quorum.owners()),
        _ => {
            let each = quorum.replicas.iter().map(|(name, copies)| format!("{name} {copies}"));
            format!("N={} ({})", quorum.owners(), each.collect::<Vec<_>>().join(", "))
        }
    };
    let (read, write) = (level_words(quorum.read), level_words(quorum.write));
    let mode = match quorum.mode {
        Mode::Sloppy => "sloppy: other nodes are fallbacks of owners that do not answer",
        Mode::Strict => "strict: only answers of owners count",
    };
    [
        format!(
            "{copies} copies of a key; a read waits for R={read}, a write for W={write} durable copies"
        ),
        mode.to_owned(),
    ]
}

fn network_words(scenario: &Scenario) -> String {
    let network = &scenario.network;
    let ms = |span: Span| span.0 as f64 / 1_000.0;
    let mut words = format!(
        "messages take {} ms on average, at least {}",
        ms(network.delay_mean),
        ms(network.delay_min)
    );
    if network.distances.is_some() {
        words.push_str(", and as the scenario says between some places");
    }
    let misfortunes = [
        (network.loss_ppm, "are lost"),
        (network.duplicate_ppm, "arrive twice"),
        (network.reorder_ppm, "are held back"),
    ];
    for (ppm, what) in misfortunes.iter().filter(|(ppm, _)| *ppm > 0) {
        words += &format!(", {} % {what}", f64::from(*ppm) / 10_000.0);
    }
    words
}

fn workload_words(workload: &Workload, scenario: &Scenario) -> String {
    let Workload { clients, keys, nodes, .. } = workload;
    let at = if nodes.len() == scenario.cluster.nodes.len() {
        String::new()
    } else {
        format!(" at {}", scenario.cluster.names(nodes))
    };
    let (kind, operations) = (workload.kind.name(), thousands(workload.operations));
    let clients = counted(u64::from(*clients), "client");
    let keys = counted(u64::from(*keys), "key");
    format!("{clients}{at}, {operations} operations together ({kind}), on {keys}")
}
