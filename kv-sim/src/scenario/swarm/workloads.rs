//! The workloads of a drawn scenario.

use toml::{Table, Value};

use super::cluster::DrawnCluster;
use super::dice::{Dice, integer};

const KINDS: &[&str] = &["put-get", "read-modify-write", "blind-put", "put-get-delete"];

/// Draws `[[workload]]`: one to three groups of clients, which share `operations` and often keys.
pub(super) fn draw(dice: Dice, operations: u64, cluster: &DrawnCluster) -> Vec<Value> {
    let groups = dice.one_of("groups", &[1, 1, 2, 2, 3]);
    let share = (operations / groups).max(1);
    (0..groups).map(|group| workload(dice.nth(group), group, share, cluster).into()).collect()
}

fn workload(dice: Dice, group: u64, operations: u64, cluster: &DrawnCluster) -> Table {
    let mut workload = Table::new();
    let mut put = |key: &str, value: Value| workload.insert(key.to_owned(), value);
    put("kind", dice.one_of("kind", KINDS).into());
    put("clients", integer(dice.magnitude("clients", (1, 8))));
    put("operations", integer(operations));
    put("keys", integer(dice.magnitude("keys", (1, 40))));
    if dice.chance("keys of its own", 40) {
        put("key_prefix", format!("g{group}").into());
    }
    put("think_ms_mean", Value::Float(dice.magnitude("think", (1, 60)) as f64));
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
    workload
}
