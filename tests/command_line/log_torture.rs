//! `kv-sim log`: its exit code, its last line and its JSON.

use crate::folder::{Folder, json};
use crate::keys;

#[test]
fn the_log_is_tortured_and_the_summary_has_the_keys_of_the_contract() {
    let folder = Folder::with("log", &[]);
    let ended = folder.kv_sim(&["log", "--seeds", "0..300", "--json", "log.json"]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.error);
    assert!(ended.out.ends_with("PASSED\n"), "{}", ended.out);
    let summary = json(&folder.read("log.json"));
    let contract = [
        "batches",
        "failed",
        "failures",
        "faults",
        "runs",
        "starts",
        "unwitnessed",
        "verdicts",
        "wall_ms",
    ];
    assert_eq!(keys(&summary), contract);
    assert_eq!((&summary["runs"], &summary["failed"]), (&300.into(), &0.into()));
    assert_eq!(keys(&summary["verdicts"]), ["clean", "corrupt", "refused", "torn"]);
}

#[test]
fn a_log_without_seeds_is_not_tortured() {
    let folder = Folder::with("log-usage", &[]);
    for arguments in
        [&["log"][..], &["log", "--seeds", "5..5"], &["log", "--seeds", "0..9", "--jobs", "0"]]
    {
        let ended = folder.kv_sim(arguments);
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.error);
    }
}
