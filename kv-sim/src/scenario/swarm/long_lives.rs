//! Long lives: scenarios that last for minutes, with few operations.
//!
//! Some mistakes show only in nodes that have run for long: a counter has grown, a hint has expired,
//! an estimate has settled, all that there was to do has been done long ago.

use toml::Value;

/// Spreads the operations of workloads over the time in which faults come and go: their clients
/// think for as long as that takes, and none comes at a rate.
pub(super) fn spread(workloads: &mut [Value], chaos_ms: u64) {
    for workload in workloads.iter_mut().filter_map(Value::as_table_mut) {
        let number = |key: &str| workload.get(key).and_then(Value::as_integer).unwrap_or(1).max(1);
        let (clients, operations) = (number("clients"), number("operations"));
        let think_ms = chaos_ms as f64 * clients as f64 / operations as f64;
        workload.remove("rate_per_second");
        workload.insert("think_ms_mean".to_owned(), Value::Float(think_ms.min(chaos_ms as f64)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clients_think_so_long_that_their_operations_fill_the_time() {
        let workload = "clients = 4\noperations = 60\nrate_per_second = 500\n";
        let table: toml::Table = toml::from_str(workload).expect("it is TOML");
        let mut workloads = [Value::Table(table)];
        spread(&mut workloads, 150_000);
        // Each client has 15 operations, and thinks after each.
        assert_eq!(workloads[0]["think_ms_mean"].as_float(), Some(10_000.0));
        assert!(workloads[0].get("rate_per_second").is_none());
    }
}
