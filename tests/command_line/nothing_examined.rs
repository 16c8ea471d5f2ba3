//! A success that examined nothing is none: it ends with 2, and says what was not looked at.

use std::fs;

use serde_json::Value;

use crate::IDLE;
use crate::folder::{Folder, json};

/// Three nodes that nobody asks for anything, and a check of what clients delete.
const NAMES_DELETION: &str =
    "title = \"nobody deletes\"\nnodes = 3\n[expect]\nchecks = [\"deletion\"]\n";

fn sweep(folder: &Folder, more: &[&str]) -> crate::folder::Ended {
    folder.kv_sim(&[&["sweep", "--scenario", "idle", "--seeds", "0..3"], more].concat())
}

#[test]
fn a_sweep_of_nothing_ends_with_two_says_why_and_writes_no_summary() {
    let folder = Folder::with("sweep-of-nothing", &[("idle.toml", IDLE)]);
    let cases: &[(&[&str], &str)] = &[
        (&["--for", "0s"], "in no time, nothing is run"),
        (&["--for", "0h"], "in no time, nothing is run"),
        (&["--until-failures", "0"], "with 0, nothing is run"),
        (&["--jobs", "0"], "with 0, nothing is run"),
        (&["--shard", "3/4"], "part 3/4 of the seeds 0..3 is empty: nothing was run"),
    ];
    for (options, reason) in cases {
        let ended = sweep(&folder, &[options, &["--json", "out.json"][..]].concat());
        assert_eq!(ended.code, Some(2), "{options:?}: {}{}", ended.out, ended.error);
        assert!(ended.error.contains(reason), "{options:?}: {}", ended.error);
        assert!(!ended.out.contains("PASSED"), "{options:?}: {}", ended.out);
        assert!(!folder.0.join("out.json").exists(), "{options:?}");
    }
    let ended = folder.kv_sim(&["sweep", "--scenario", "no*.toml", "--seeds", "0..3"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.error.contains("there is no scenario `no*.toml`"), "{}", ended.error);
}

#[test]
fn a_shrink_without_time_is_refused() {
    let folder = Folder::with("shrink-without-time", &[("idle.toml", IDLE)]);
    let arguments = ["shrink", "scenarios/idle.toml", "-o", "out.toml", "--for", "0s"];
    let ended = folder.kv_sim(&arguments);
    assert_eq!(ended.code, Some(2));
    assert!(ended.error.contains("in no time, nothing is run"), "{}", ended.error);
}

#[test]
fn a_sweep_has_no_more_runs_at_work_than_there_are() {
    let folder = Folder::with("jobs-clamped", &[("idle.toml", IDLE)]);
    let ended = sweep(&folder, &["--jobs", "100000", "--json", "out.json"]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.error);
    let jobs = json(&folder.read("out.json"))["jobs"].as_u64();
    assert!(jobs.is_some_and(|jobs| (1..=3).contains(&jobs)), "{jobs:?}");
    assert!(ended.error.contains("at work at once, not 100000"), "{}", ended.error);
}

#[test]
fn a_scenario_that_names_no_check_is_refused_with_the_place() {
    let text = "title = \"t\"\nnodes = 3\n[expect]\nchecks = []\n";
    let folder = Folder::with("no-checks", &[("none.toml", text), ("swarm.toml", &swarm(text))]);
    for name in ["none", "swarm"] {
        for arguments in
            [&["--scenario", name][..], &["sweep", "--scenario", name, "--seeds", "0..3"]]
        {
            let ended = folder.kv_sim(arguments);
            assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.out);
            assert!(ended.error.contains("no check is named"), "{}", ended.error);
        }
    }
}

/// The same as a swarm.
fn swarm(text: &str) -> String {
    text.replace("nodes = 3\n", "") + "[swarm]\noperations = [20, 30]\nfault_percent = 0\n"
}

#[test]
fn a_sweep_that_proves_nothing_says_how_to_see_why() {
    let folder = Folder::with("idle-next", &[("deletion.toml", NAMES_DELETION)]);
    let ended = folder.kv_sim(&["sweep", "--scenario", "deletion", "--seeds", "5..40"]);
    assert_eq!(ended.code, Some(2), "{}{}", ended.out, ended.error);
    let next = "what clients do in one of the runs:\n  kv-sim --scenario scenarios/deletion.toml --seed 5\n";
    assert!(ended.out.contains(next), "{}", ended.out);
}

#[test]
fn a_check_that_is_named_and_finds_nothing_in_a_whole_sweep_ends_it_with_two() {
    let folder = Folder::with("idle-check", &[("names.toml", NAMES_DELETION)]);
    let sweep = |seeds: &str, more: &[&str]| {
        folder.kv_sim(&[&["sweep", "--scenario", "names", "--seeds", seeds], more].concat())
    };
    // One run, or a few, may have nothing to look at; each says so.
    let one = folder.kv_sim(&["--scenario", "names"]);
    assert_eq!(one.code, Some(0), "{}", one.error);
    assert!(one.out.contains("nothing to examine"), "{}", one.out);
    assert_eq!(sweep("0..19", &[]).code, Some(0));

    let ended = sweep("0..20", &["--json", "out.json", "--junit", "out.xml"]);
    assert_eq!(ended.code, Some(2), "{}{}", ended.out, ended.error);
    let line =
        "deletion examined nothing in 20 seeds of names, which names it: it has proved nothing";
    assert!(ended.out.contains(line), "{}", ended.out);
    assert!(ended.out.ends_with("NOTHING PROVED\n"), "{}", ended.out);
    let expected = serde_json::json!([
        { "scenario": "names", "check": "deletion", "seeds": 20, "examined": 0 }
    ]);
    assert_eq!(json(&folder.read("out.json"))["checks"], expected);
    assert!(folder.read("out.xml").contains("deletion examined nothing in 20 seeds"));

    for (part, file) in [("0/2", "0.json"), ("1/2", "1.json")] {
        assert_eq!(sweep("0..20", &["--shard", part, "--json", file]).code, Some(0));
    }
    let merged = folder.kv_sim(&["merge", "0.json", "1.json", "-o", "whole.json"]);
    assert_eq!(merged.code, Some(2), "{}{}", merged.out, merged.error);
    assert!(merged.out.contains(line), "{}", merged.out);
}

#[test]
fn a_check_that_runs_because_none_is_named_may_find_nothing() {
    let text = "title = \"all checks, and no clients\"\nnodes = 3\n";
    let folder = Folder::with("unnamed-checks", &[("all.toml", text)]);
    let ended = folder.kv_sim(&["sweep", "--scenario", "all", "--seeds", "0..20"]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.error);
}

#[test]
fn parts_that_hold_no_run_or_numbers_that_do_not_add_up_are_not_merged() {
    let folder = Folder::with("merge-of-nothing", &[("idle.toml", IDLE)]);
    assert_eq!(sweep(&folder, &["--json", "good.json"]).code, Some(0));
    let good = json(&folder.read("good.json"));
    let changed = |numbers: [u64; 3]| {
        let mut part = good.clone();
        for (key, number) in ["runs", "passed", "failed"].into_iter().zip(numbers) {
            part[key] = Value::from(number);
        }
        part.to_string()
    };
    let cases = [
        ([0, 0, 0], "part.json holds no run: it proves nothing"),
        ([5, 3, 0], "5 runs are not 3 passed and 0 failed"),
        ([4, 3, 1], "with 0 failures listed"),
        ([0, u64::MAX, 1], "or a corrupt one"),
    ];
    for (numbers, reason) in cases {
        fs::write(folder.0.join("part.json"), changed(numbers)).expect("a new file");
        for parts in [&["part.json"][..], &["good.json", "part.json"]] {
            let ended = folder.kv_sim(&[&["merge"], parts, &["-o", "never.json"]].concat());
            assert_eq!(ended.code, Some(2), "{numbers:?}: {}", ended.out);
            assert!(ended.error.contains(reason), "{numbers:?}: {}", ended.error);
            assert!(!folder.0.join("never.json").exists());
        }
    }
    // A part of an earlier version says nothing of checks, and is taken.
    let mut older = good.clone();
    older.as_object_mut().expect("a table").remove("checks");
    fs::write(folder.0.join("part.json"), older.to_string()).expect("a new file");
    let ended = folder.kv_sim(&["merge", "good.json", "part.json", "-o", "whole.json"]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.error);
}
