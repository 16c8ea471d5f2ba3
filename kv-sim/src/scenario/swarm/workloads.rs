//! The workloads of a drawn scenario.

use toml::{Table, Value};

use super::ChaosLength;
use super::cluster::DrawnCluster;
use super::dice::{Dice, integer};

const KINDS: &[&str] = &["put-get", "read-modify-write", "blind-put", "put-get-delete"];

/// Draws `[[workload]]`: one to three groups of clients, which share `operations` and often keys.
pub(super) fn draw(
    dice: Dice,
    operations: u64,
    chaos: ChaosLength,
    cluster: &DrawnCluster,
) -> Vec<Value> {
    let groups = dice.one_of("groups", &[1, 1, 2, 2, 3]);
    let share = (operations / groups).max(1);
    let one = |group| workload(dice.nth(group), group, share, chaos, cluster).into();
    (0..groups).map(one).collect()
}

fn workload(
    dice: Dice,
    group: u64,
    operations: u64,
    chaos: ChaosLength,
    cluster: &DrawnCluster,
) -> Table {
    let mut workload = Table::new();
    let mut put = |key: &str, value: Value| workload.insert(key.to_owned(), value);
    put("kind", dice.one_of("kind", KINDS).into());
    let clients = dice.magnitude("clients", (1, 8));
    put("clients", integer(clients));
    put("operations", integer(operations));
    put("keys", integer(dice.magnitude("keys", (1, 40))));
    if dice.chance("keys of its own", 40) {
        put("key_prefix", format!("g{group}").into());
    }
    let think_ms = dice.magnitude("think", (1, 60));
    if chaos.is_long {
        // All the while, with as many operations as ever.
        put("think_ms_mean", Value::Float((chaos.ms * clients / operations) as f64));
    } else if dice.chance("at a rate", 6) {
        put("rate_per_second", integer(dice.magnitude("rate", (10, 500))));
    } else {
        put("think_ms_mean", Value::Float(think_ms as f64));
    }
    if dice.chance("mostly reads or mostly writes", 50) {
        put("read_share", dice.share("read share", (100, 900)));
    }
    if dice.chance("values of some size", 20) {
        put("value_bytes", integer(dice.magnitude("value", (8, 4_096))));
    }
    if dice.chance("levels of its own", 30) {
        put("r", cluster.level(dice.of("r")));
        put("w", cluster.level(dice.of("w")));
    }
    if dice.chance("a mode of its own", 30) {
        put("mode", dice.one_of("mode", &["sloppy", "strict"]).into());
    }
    if dice.chance("no session", 30) {
        put("session", false.into());
    }
    if dice.chance("wandering", 30) {
        put("sticky", false.into());
    }
    let names = dice.of("names");
    if names.chance("long", 12) {
        let min = names.between("min", (20, 60));
        put("key_bytes", vec![integer(min), names.number("max", (min, 300))].into());
    }
    if names.chance("many keys", 5) {
        put("keys", names.number("keys", (100, 1_000)));
    }
    if dice.chance("values of any size", 8) {
        put("value_bytes", vec![integer(0), integer(dice.magnitude("largest", (1, 8_192)))].into());
    }
    prefer(dice.of("preferred keys"), &mut workload);
    if dice.chance("untidy", 20) {
        untidy(dice.of("how untidy"), &mut workload);
    }
    workload
}

/// Draws which keys the clients prefer.
fn prefer(dice: Dice, workload: &mut Table) {
    let is_one_key = workload.get("keys").and_then(Value::as_integer) == Some(1);
    if !dice.chance("some", 20) || is_one_key {
        return;
    }
    let distribution = dice.one_of("distribution", &["zipfian", "latest", "hot"]);
    workload.insert("distribution".to_owned(), distribution.into());
    let (key, share) = match distribution {
        "hot" => ("hot_share", dice.share("share", (300, 950))),
        _ => ("exponent", dice.share("exponent", (500, 2_000))),
    };
    workload.insert(key.to_owned(), share);
}

/// Draws what the clients do that they should not.
fn untidy(dice: Dice, workload: &mut Table) {
    let shares = [
        ("empty_share", 50, (50, 600)),
        ("repeat_share", 50, (20, 300)),
        ("reuse_share", 40, (20, 300)),
        ("misuse_share", 50, (20, 200)),
    ];
    for (key, percent, thousandths) in shares {
        if dice.of(key).chance("on", percent) {
            workload.insert(key.to_owned(), dice.of(key).share("share", thousandths));
        }
    }
    if dice.chance("retries", 50) {
        workload.insert("retries".to_owned(), dice.number("how often", (1, 3)));
    }
}
