//! Settings of a drawn scenario: links, disks, clocks, and the configuration of the nodes.

use toml::{Table, Value};

use super::dice::{Dice, integer};

/// The range from which each knob of a node is drawn. It is a part of what is allowed: beyond it a
/// run would take hours (comparisons once an hour) or gigabytes, and the checks would wait in vain.
const KNOBS: &[(&str, (u64, u64))] = &[
    ("timeout_ms", (200, 2_000)),
    ("hedge_ms", (5, 400)),
    ("siblings_max", (2, 64)),
    ("requests_max", (4, 65_536)),
    ("recent_requests", (0, 128)),
    ("clock_ahead_ms", (0, 60_000)),
    ("gossip_interval_ms", (200, 1_000)),
    ("gossip_fanout", (2, 4)),
    ("hint_expiry_ms", (1_000, 600_000)),
    ("hint_bytes_per_target", (1_024, 1_048_576)),
    ("hint_bytes_total", (1_024, 1_048_576)),
    ("hint_batch_bytes", (256, 65_536)),
    ("hint_pause_ms", (0, 100)),
    ("hint_retry_ms", (50, 2_000)),
    ("repair_interval_ms", (50, 1_000)),
    ("repair_settle_ms", (0, 1_000)),
    ("repair_timeout_ms", (500, 4_000)),
    ("repair_batch_bytes", (256, 65_536)),
    ("scrub_batch_bytes", (256, 1_048_576)),
];

/// Knobs that are drawn elsewhere or not at all: quorums belong to the cluster, and values are not
/// large here.
#[cfg(test)]
const ELSEWHERE: &[&str] = &["read_quorum", "write_quorum", "value_bytes_max"];

/// Draws `[node]`: most knobs keep their default.
pub(super) fn node(dice: Dice) -> Table {
    let turned = KNOBS.iter().filter(|(name, _)| dice.of(name).chance("turned", 20));
    let mut node: Table = turned
        .map(|(name, bounds)| ((*name).to_owned(), integer(dice.magnitude(name, *bounds))))
        .collect();
    if dice.chance("monotonic reads", 30) {
        node.insert("monotonic_reads".to_owned(), true.into());
    }
    if dice.chance("a bucket in which the last write wins", 20) {
        let mut bucket = Table::new();
        bucket.insert("prefix".to_owned(), "k".into());
        bucket.insert("resolve".to_owned(), "lww".into());
        node.insert("buckets".to_owned(), vec![Value::Table(bucket)].into());
    }
    node
}

/// The knobs that say how often nodes do something that costs work and time while nothing happens.
const PACES: &[&str] = &["gossip_interval_ms", "gossip_fanout", "repair_interval_ms"];

/// Lets nodes of `[node]` gossip and compare no more often than by default: in a large cluster, or
/// over minutes, a run would take seconds.
pub(super) fn calm_down(node: &mut Table) {
    for pace in PACES {
        node.remove(*pace);
    }
}

/// Draws `network`.
pub(super) fn network(dice: Dice) -> Table {
    let mut network = Table::new();
    let min = dice.between("min", (0, 5));
    let mean = min + dice.between("mean", (1, 15));
    network.insert("delay_ms_min".to_owned(), Value::Float(min as f64));
    network.insert("delay_ms_mean".to_owned(), Value::Float(mean as f64));
    for (key, thousandths) in [("loss", (1, 50)), ("duplicate", (1, 50)), ("reorder", (1, 100))] {
        if dice.of(key).chance("on", 35) {
            network.insert(key.to_owned(), dice.share(key, thousandths));
        }
    }
    network
}

/// Draws `disk`: from a fast one to one that takes long to sync.
pub(super) fn disk(dice: Dice) -> Table {
    let mut disk = Table::new();
    disk.insert("execute_us_mean".to_owned(), integer(dice.magnitude("execute", (20, 2_000))));
    disk.insert("sync_us_mean".to_owned(), integer(dice.magnitude("sync", (200, 50_000))));
    disk
}

/// Draws `clocks`.
pub(super) fn clocks(dice: Dice) -> Table {
    let mut clocks = Table::new();
    clocks.insert("offset_ms_max".to_owned(), integer(dice.magnitude("offset", (0, 60_000))));
    clocks.insert("drift_ppm_max".to_owned(), integer(dice.magnitude("drift", (0, 1_000))));
    clocks
}

#[cfg(test)]
mod tests {
    use kv_core::config::Config;

    use super::*;

    #[test]
    fn every_knob_is_drawn_from_a_part_of_its_range_or_elsewhere() {
        for knob in Config::KNOBS {
            match KNOBS.iter().find(|(name, _)| *name == knob.name) {
                Some((name, (min, max))) => {
                    assert!(knob.min <= *min && *max <= knob.max, "{name}");
                }
                None => assert!(ELSEWHERE.contains(&knob.name), "{} is never drawn", knob.name),
            }
        }
    }
}
