//! Every scenario in `scenarios/` is valid and holds for its own seed; and a run is the same in
//! debug and release builds.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use kv_core::config::Config;
use kv_sim::runs::options::RunOptions;
use kv_sim::runs::run::run;
use kv_sim::scenario::{Colour, Source, all};
use kv_sim::story::result::{RunResult, Verdict};

fn scenarios() -> Vec<Source> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let load = |path: &Path| {
        let text = fs::read_to_string(folder.join(path)).expect("the scenario can be read");
        match Source::parse(&path.to_string_lossy(), &text) {
            Ok(source) => source,
            Err(error) => panic!("{}", error.render(Colour::Plain)),
        }
    };
    all(folder).iter().map(|path| load(path)).collect()
}

fn run_own_seed(source: &Source) -> RunResult {
    let scenario = source.scenario(source.seed()).expect("it fits");
    run(&scenario, &RunOptions::seeded(source.seed()))
}

#[test]
fn every_scenario_holds_for_its_own_seed() {
    let scenarios = scenarios();
    assert!(scenarios.len() >= 10, "there are scenarios");
    for scenario in scenarios {
        let result = run_own_seed(&scenario);
        assert_eq!(result.verdict, Verdict::Pass, "{}: {:?}", scenario.name(), result.violation());
    }
}

#[test]
fn a_run_is_the_same_in_every_build() {
    // The digest of one run, frozen: a debug build and a release build are both held against it,
    // and so is every machine. It changes with the protocol: then set it anew.
    let scenarios = scenarios();
    let partition = scenarios.iter().find(|scenario| scenario.name() == "partition");
    let result = run_own_seed(partition.expect("partition.toml is there"));
    insta::assert_snapshot!("partition_digest", result.digest.to_string());
}

/// The limits among the numbers of a node's configuration, each with a scenario in which it binds, and the
/// rare branch by which that is seen.
const LIMITS: &[(&str, &str, &str)] = &[
    ("timeout_ms", "partition-strict", "operation-expired"),
    ("hedge_ms", "late-twin", "another-minter-asked"),
    ("siblings_max", "limits", "too-many-siblings"),
    ("value_bytes_max", "limits", "value-too-long"),
    ("requests_max", "limits", "busy"),
    ("recent_requests", "limits", "request-forgotten"),
    ("clock_ahead_ms", "clocks", "clock-ahead"),
    ("hint_expiry_ms", "expired-hints", "hint-inherited"),
    ("hint_bytes_per_target", "read-one", "hint-over-budget"),
    ("hint_bytes_total", "hint-total", "hint-over-total"),
    ("hint_batch_bytes", "small-batches", "hint-batch-full"),
    ("hint_retry_ms", "drop-hints", "hint-delivery-timed-out"),
    ("repair_timeout_ms", "slow-sync", "repair-timed-out"),
    ("repair_batch_bytes", "small-batches", "repair-batch-full"),
    ("scrub_batch_bytes", "small-batches", "scrub-cut-off"),
];

/// The numbers that say how many, or how often: every run is ruled by them.
const PACES: &[&str] = &[
    "read_quorum",
    "write_quorum",
    "gossip_interval_ms",
    "gossip_fanout",
    "hint_pause_ms",
    "repair_interval_ms",
    "repair_settle_ms",
];

#[test]
fn every_limit_of_the_configuration_binds_in_a_scenario() {
    let limits = LIMITS.iter().map(|(knob, ..)| *knob);
    let named: BTreeSet<_> = limits.chain(PACES.iter().copied()).collect();
    let knobs: BTreeSet<_> = Config::KNOBS.iter().map(|knob| knob.name).collect();
    assert_eq!(named, knobs, "each number is either a limit or a pace");
    let scenarios = scenarios();
    for &(knob, name, branch) in LIMITS {
        let scenario = scenarios.iter().find(|scenario| scenario.name() == name);
        let result = run_own_seed(scenario.unwrap_or_else(|| panic!("{name}.toml is there")));
        let times = result.probes.get(branch).copied().unwrap_or_default();
        assert!(times > 0, "{knob} does not bind in {name}.toml: {branch} is never reached");
    }
}
