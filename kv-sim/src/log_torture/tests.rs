//! A few thousand histories, and what they must have met.

use super::*;

#[test]
fn no_history_breaks_a_rule_and_each_fault_and_verdict_is_met() {
    let plan = TorturePlan { seeds: 0..4_000, jobs: None, failures_max: None };
    let summary = torture_all(&plan);
    assert_eq!(summary.failures, []);
    assert_eq!(summary.runs, 4_000);
    for fault in TortureFault::ALL {
        let count = summary.faults.get(fault.name()).copied().unwrap_or(0);
        assert!(count > 0, "{} never happened", fault.name());
    }
    for verdict in ["clean", "torn", "corrupt"] {
        assert!(summary.verdicts[verdict] > 100, "{:?}", summary.verdicts);
    }
    let unwitnessed: u64 = summary.unwitnessed.values().sum();
    assert!(unwitnessed > 0 && unwitnessed < summary.verdicts["corrupt"], "{unwitnessed}");
}

#[test]
fn a_seed_gives_the_same_history_each_time() {
    for seed in 0..50 {
        assert_eq!(torture(seed), torture(seed));
    }
    assert_ne!(torture(1), torture(2));
}
