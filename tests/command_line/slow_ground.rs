//! What a scenario stands on may be slow without any fault: no check takes that for a mistake of the cluster.

use crate::folder::{Folder, json};

/// Clients at work for long enough that nothing can be put down to the start of the cluster.
const WORK: &str = "[[workload]]\nkind = \"put-get\"\nclients = 4\noperations = 80\n";

/// Names of slow scenarios, and what makes them slow.
const SLOW: &[(&str, &str)] = &[
    ("links", "network = { delay_ms_mean = 500 }"),
    ("links-that-never-vary", "network = { delay_ms_min = 500, delay_ms_mean = 500 }"),
    ("links-beside-time-outs", "network = { delay_ms_mean = 500 }\n[node]\ntimeout_ms = 60_000"),
    ("links-that-hold-back", "network = { reorder = 1.0, reorder_ms = 2000 }"),
    ("links-that-lose", "network = { loss = 0.9 }"),
    ("links-that-double", "network = { duplicate = 1.0 }"),
    ("clocks", "clocks = { drift_ppm_max = 500_000, offset_ms_max = 100_000_000 }"),
    ("syncs", "disk = { sync_us_mean = 400_000 }"),
    ("commands", "disk = { execute_us_mean = 50_000 }"),
    ("commands-of-400-ms", "disk = { execute_us_mean = 400_000 }"),
    ("gossip", "[node]\ngossip_interval_ms = 60_000"),
    ("time-outs", "[node]\ntimeout_ms = 10"),
];

fn scenario(mode: &str, slow: &str) -> String {
    format!(
        "title = \"slow without a fault\"\nnodes = 5\n\
         quorum = {{ n = 3, r = 2, w = 2, mode = \"{mode}\" }}\n{slow}\n{WORK}"
    )
}

#[test]
fn slow_links_disks_and_gossip_without_a_fault_violate_nothing() {
    for mode in ["sloppy", "strict"] {
        let texts: Vec<_> = SLOW
            .iter()
            .map(|(name, slow)| (format!("{name}.toml"), scenario(mode, slow)))
            .collect();
        let files: Vec<_> = texts.iter().map(|(name, text)| (&**name, &**text)).collect();
        let folder = Folder::with(&format!("slow-{mode}"), &files);
        let names = SLOW.iter().map(|(name, _)| *name);
        let arguments: Vec<_> =
            ["sweep", "--seeds", "1..3", "--scenario"].into_iter().chain(names).collect();
        let ended = folder.kv_sim(&arguments);
        assert_eq!(ended.code, Some(0), "{mode}: {}{}", ended.out, ended.error);
    }
}

#[test]
fn an_answer_in_time_is_demanded_of_slow_links_that_are_fast_enough() {
    let fast_enough = scenario("strict", "network = { delay_ms_min = 200, delay_ms_mean = 200 }");
    let too_slow = scenario("strict", "network = { delay_ms_min = 500, delay_ms_mean = 500 }");
    let folder = Folder::with(
        "fast-enough",
        &[("fast-enough.toml", &fast_enough), ("too-slow.toml", &too_slow)],
    );
    let run = |name: &str| {
        let ended = folder.kv_sim(&["--scenario", name, "--json"]);
        assert_eq!(ended.code, Some(0), "{}", ended.error);
        let result = json(&ended.out);
        let number = |value: &serde_json::Value| value.as_u64().expect("a number");
        let check = &result["checks"]["availability"];
        (
            number(&result["outcomes"]["unknown"]),
            number(&check["examined"]),
            number(&check["weakened"]),
        )
    };
    assert_eq!(run("fast-enough"), (0, 80, 0), "all are answered");
    let (unknown, examined, weakened) = run("too-slow");
    assert_eq!((examined, weakened), (80, unknown), "each is looked at, and none is owed");
    assert!(unknown > 0);
}
