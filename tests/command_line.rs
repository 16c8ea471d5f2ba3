//! The command line of the simulator, from the outside: what people script must not change.

#[path = "command_line/first_minute.rs"]
mod first_minute;
#[path = "command_line/folder.rs"]
mod folder;
#[path = "command_line/log_torture.rs"]
mod log_torture;
#[path = "command_line/nothing_examined.rs"]
mod nothing_examined;
#[path = "command_line/saved_failure.rs"]
mod saved_failure;
#[path = "command_line/slow_ground.rs"]
mod slow_ground;

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use folder::{Ended, Folder, json};

/// A cluster that does nothing: valid, and over at once.
const IDLE: &str = "title = \"nobody does anything\"\nnodes = 3\n[expect]\nchecks = [\"crash\"]\n";

/// The same, with an expectation that nothing can meet.
const DEMANDING: &str = "title = \"nobody does anything, and it should\"\nnodes = 3\n\
                         [expect]\nchecks = [\"crash\"]\n\
                         [expect.outcomes]\nacknowledged_min = 1\n";

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().expect("a table").keys().map(String::as_str).collect()
}

#[test]
fn a_run_that_holds_ends_with_passed_and_zero() {
    let folder = Folder::with("holds", &[("idle.toml", IDLE)]);
    let ended = folder.kv_sim(&["--scenario", "idle.toml"]);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    assert!(ended.out.starts_with("nobody does anything\n"), "{}", ended.out);
    assert!(ended.out.ends_with("PASSED\n"), "{}", ended.out);
    assert!(!ended.out.contains('\u{1b}'), "no colours where nobody sees them");
}

#[test]
fn the_seed_of_the_command_line_wins() {
    let text = format!("seed = 7\n{IDLE}");
    let folder = Folder::with("seed", &[("idle.toml", &text)]);
    let seed = |arguments: &[&str]| json(&folder.kv_sim(arguments).out)["seed"].as_u64();
    assert_eq!(seed(&["--scenario", "idle", "--json"]), Some(7));
    assert_eq!(seed(&["--scenario", "idle", "--json", "--seed", "8"]), Some(8));
}

#[test]
fn the_json_of_a_run_has_the_keys_of_the_contract() {
    let folder = Folder::with("json", &[("idle.toml", IDLE)]);
    let ended = folder.kv_sim(&["--scenario", "scenarios/idle.toml", "--json"]);
    let result = json(&ended.out);
    let contract = [
        "acknowledged",
        "checks",
        "digest",
        "events",
        "faults",
        "marks",
        "messages",
        "operations",
        "probes",
        "scenario",
        "seed",
        "simulated_ms",
        "verdict",
        "wall_ms",
    ];
    for key in contract {
        assert!(keys(&result).contains(&key), "{key} is missing:\n{}", ended.out);
    }
    assert_eq!((&result["scenario"], &result["verdict"]), (&"idle".into(), &"pass".into()));
    assert_eq!(result["digest"].as_str().map(str::len), Some(32));
    assert!(result["wall_ms"].is_f64());
    for check in result["checks"].as_object().expect("a table").values() {
        assert_eq!(keys(check), ["examined", "verdict", "weakened"]);
    }
}

#[test]
fn a_run_that_fails_ends_with_one_and_the_command_that_replays_it() {
    let folder = Folder::with("fails", &[("demanding.toml", DEMANDING)]);
    let ended = folder.kv_sim(&["--scenario", "demanding", "--seed", "5", "--keep", "kept"]);
    assert_eq!(ended.code, Some(1), "{}", ended.error);
    assert!(ended.out.contains("acknowledged = 0, expected at least 1"), "{}", ended.out);
    let replay = "  kv-sim --scenario scenarios/demanding.toml --seed 5\n";
    assert!(ended.out.contains(replay), "{}", ended.out);
    let report = "  kv-sim report scenarios/demanding.toml --seed 5 -o report.html\n";
    assert!(ended.out.contains(report), "{}", ended.out);
    assert!(ended.out.ends_with("FAILED\n"), "{}", ended.out);

    assert!(ended.error.contains("kept/demanding-5.json"), "{}", ended.error);
    let saved = json(&folder.read("kept/demanding-5.json"));
    assert_eq!(saved["format"], 1);
    assert_eq!((&saved["scenario"], &saved["seed"]), (&"demanding".into(), &5.into()));
    assert_eq!((&saved["check"], &saved["text"]), (&"outcomes".into(), &DEMANDING.into()));
    let files = fs::read_dir(folder.0.join("kept")).expect("the folder is there").count();
    assert_eq!(files, 1, "nothing else is left behind");
}

#[test]
fn a_run_that_holds_is_not_kept() {
    let folder = Folder::with("not-kept", &[("idle.toml", IDLE)]);
    assert_eq!(folder.kv_sim(&["--scenario", "idle", "--keep", "kept"]).code, Some(0));
    assert!(!folder.0.join("kept").exists());
}

#[test]
fn what_makes_no_sense_ends_with_two_and_says_why() {
    let folder = Folder::with("usage", &[("idle.toml", IDLE)]);
    fs::create_dir(folder.0.join("scenarios/folder.toml")).expect("a new folder");
    let cases: &[(&[&str], &str)] = &[
        (&[], "Usage:"),
        (&["--scenario"], "--scenario"),
        (&["--scenario", "idel"], "did you mean `idle`?"),
        (&["--scenario", "elsewhere/idle.toml"], "there is no scenario `elsewhere/idle.toml`"),
        (&["--scenario", "scenarios/folder.toml"], "cannot be read"),
        (&["--scenario", "idle", "--seed", "seven"], "--seed"),
        (&["--scenario", "idle", "--trace", "no/such/folder"], "cannot be written"),
        (&["sweep", "--scenario", "idle"], "--seeds"),
        (&["sweep", "--seeds", "0..5"], "--scenario"),
        (&["sweep", "--scenario", "idle", "--seeds", "5..5"], "the range is empty"),
        (&["sweep", "--scenario", "idle", "--seeds", "0..5", "--shard", "5/3"], "counted from 0"),
        (&["sweep", "--scenario", "idle", "--seeds", "0..5", "--jobs", "0"], "--jobs"),
        (&["sweep", "--scenario", "idle", "--seeds", "0..5", "--for", "10"], "90s, 10m or 8h"),
        (&["sweep", "--scenario", "idle", "--seeds", "0..5", "--json", "no/file"], "no/file"),
        (
            &["sweep", "--scenario", "idle", "--seeds", "0..5", "--json", "-", "--junit", "-"],
            "cannot both",
        ),
        (&["list", "nothing"], "nothing"),
    ];
    for (arguments, reason) in cases {
        let ended = folder.kv_sim(arguments);
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.error);
        assert!(ended.error.contains(reason), "{arguments:?}: {}", ended.error);
    }
}

#[test]
fn every_scenario_that_is_wrong_is_shown_and_nothing_is_run() {
    let wrong = [("one.toml", "title = \"one\"\nnodes = 0\n"), ("two.toml", "nodes = 3\n")];
    let folder = Folder::with("wrong", &[wrong[0], wrong[1], ("idle.toml", IDLE)]);
    let arguments =
        ["sweep", "--scenario", "one", "idle", "two", "--seeds", "0..3", "--json", "out.json"];
    let ended = folder.kv_sim(&arguments);
    assert_eq!(ended.code, Some(2));
    for place in ["scenarios/one.toml:2:9", "scenarios/two.toml:1:1"] {
        assert!(ended.error.contains(place), "{}", ended.error);
    }
    assert!(!folder.0.join("out.json").exists());
}

#[test]
fn a_sweep_says_the_same_whatever_the_number_of_jobs() {
    let folder = Folder::with("jobs", &[("idle.toml", IDLE), ("demanding.toml", DEMANDING)]);
    let summary = |jobs: &str| {
        let arguments = ["sweep", "--scenario", "idle", "demanding", "--seeds", "10..30"];
        let options = ["--jobs", jobs, "--json", "-"];
        let ended = folder.kv_sim(&[&arguments[..], &options[..]].concat());
        assert_eq!(ended.code, Some(1), "{}", ended.error);
        let mut summary = json(&ended.out);
        for key in ["jobs", "wall_ms"] {
            summary.as_object_mut().expect("a table").remove(key);
        }
        summary
    };
    let one = summary("1");
    assert_eq!(one, summary("3"));
    assert_eq!(
        (&one["runs"], &one["passed"], &one["failed"]),
        (&40.into(), &20.into(), &20.into())
    );
    let failures = one["failures"].as_array().expect("a list");
    let seeds: Vec<_> = failures.iter().filter_map(|failure| failure["seed"].as_u64()).collect();
    assert_eq!(seeds, (10..30).collect::<Vec<_>>());
    assert_eq!(keys(&failures[0]), ["check", "scenario", "seed"]);
}

#[test]
fn a_sweep_groups_failures_by_check_and_saves_and_reports_each() {
    let folder = Folder::with("reports", &[("demanding.toml", DEMANDING)]);
    let ended = folder.kv_sim(&[
        "sweep",
        "--scenario",
        "demanding.toml",
        "--seeds",
        "0..3",
        "--json",
        "summary.json",
        "--junit",
        "junit.xml",
        "--keep",
        "kept",
    ]);
    assert_eq!(ended.code, Some(1), "{}", ended.error);
    assert!(ended.out.contains("outcomes was violated in 3 runs"), "{}", ended.out);
    assert!(ended.out.contains("kv-sim --scenario scenarios/demanding.toml --seed 2\n"));
    assert!(ended.out.ends_with("FAILED\n"), "{}", ended.out);
    let failures = &json(&folder.read("summary.json"))["failures"];
    assert_eq!(failures[1]["artefact"], "kept/demanding-1.json");
    assert!(folder.0.join("kept/demanding-2.json").is_file());
    let xml = folder.read("junit.xml");
    assert!(xml.contains("tests=\"3\"") && xml.contains("failures=\"3\""), "{xml}");
    assert!(xml.contains("type=\"outcomes\""), "{xml}");
}

#[test]
fn a_sweep_stops_after_as_many_failures_as_it_was_told() {
    let folder = Folder::with("until", &[("demanding.toml", DEMANDING)]);
    let arguments = ["sweep", "--scenario", "demanding", "--seeds", "0..1000", "--jobs", "1"];
    let ended = folder.kv_sim(&[&arguments[..], &["--until-failures", "2"]].concat());
    assert_eq!(ended.code, Some(1));
    assert!(ended.out.contains("998 runs not made"), "{}", ended.out);
}

#[test]
fn a_sweep_passes_over_scenarios_that_say_so_and_says_it() {
    let large = format!("sweep = false\n{IDLE}");
    let folder = Folder::with("passed-over", &[("idle.toml", IDLE), ("large.toml", &large)]);
    let ended = folder.kv_sim(&["sweep", "--scenario", "idle", "large", "--seeds", "0..3"]);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    assert!(ended.error.contains("sweep = false: scenarios/large.toml"), "{}", ended.error);
    assert!(ended.out.starts_with("3 runs of idle"), "{}", ended.out);

    let ended = folder.kv_sim(&["sweep", "--scenario", "large", "--seeds", "0..3"]);
    assert_eq!(ended.code, Some(2), "a sweep of nothing proves nothing");
}

#[test]
fn shards_make_the_whole_sweep_together() {
    let folder = Folder::with("shards", &[("demanding.toml", DEMANDING)]);
    let seeds = |shard: &str| -> Vec<u64> {
        let arguments = ["sweep", "--scenario", "demanding", "--seeds", "0..10", "--json", "-"];
        let ended = folder.kv_sim(&[&arguments[..], &["--shard", shard]].concat());
        let summary = json(&ended.out);
        let failures = summary["failures"].as_array().expect("a list");
        failures.iter().filter_map(|failure| failure["seed"].as_u64()).collect()
    };
    let mut all = [seeds("0/3"), seeds("1/3"), seeds("2/3")].concat();
    all.sort_unstable();
    assert_eq!(all, (0..10).collect::<Vec<_>>());
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let folder = Folder::with("pipe", &[("idle.toml", IDLE)]);
    let commands: [&[&str]; 3] = [
        &["list", "faults"],
        &["--scenario", "idle", "--json"],
        &["sweep", "--scenario", "idle", "--seeds", "0..3"],
    ];
    for arguments in commands {
        let mut child = folder
            .command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        drop(child.stdout.take());
        let mut error = String::new();
        let stderr = child.stderr.as_mut().expect("it is piped");
        stderr.read_to_string(&mut error).expect("text");
        let status = child.wait().expect("it ends");
        assert_eq!((status.code(), error.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn what_can_be_named_is_listed_with_what_it_does() {
    let folder = Folder::with("list", &[("idle.toml", IDLE), ("demanding.toml", DEMANDING)]);
    let listed = |what: &str| folder.kv_sim(&["list", what]).out;
    assert!(listed("faults").contains("\nkill  "), "{}", listed("faults"));
    assert!(listed("checks").contains("durability  "), "{}", listed("checks"));
    let probes = listed("probes");
    assert!(probes.contains("\ntwins-minted "), "{probes}");
    assert!(probes.contains("died-before-sync "), "{probes}");
    let scenarios = "scenarios/demanding.toml  nobody does anything, and it should\n\
                     scenarios/idle.toml       nobody does anything\n";
    assert_eq!(listed("scenarios"), scenarios);
}

#[test]
fn the_shipped_scenarios_are_found_by_a_bare_name() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let output = Command::new(env!("CARGO_BIN_EXE_kv-sim"))
        .current_dir(top)
        .args(["list", "scenarios"])
        .output()
        .expect("the program starts");
    let ended = Ended::from(output);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    assert!(ended.out.contains("scenarios/partition.toml"), "{}", ended.out);
}

/// Clients that make siblings under many faults, and a scenario that allows none.
const NO_SIBLINGS: &str = "title = \"nobody writes at the same time\"\nnodes = 5\nseed = 3\n\
    network = { loss = 0.01, reorder = 0.05 }\n\
    [[workload]]\nkind = \"blind-put\"\nclients = 6\noperations = 200\nkeys = 4\nread_share = 0.5\n\
    [[fault]]\nkind = \"kill\"\nrandom = 1\nfrom_ms = 100\nuntil_ms = 300\nevery_ms = 400\ntimes = 5\n\
    [[fault]]\nkind = \"pause\"\nrandom = 1\nfrom_ms = 200\nuntil_ms = 400\n\
    [expect]\nchecks = [\"crash\"]\n[expect.outcomes]\nsiblings_max = 0\n";

/// A cluster that starts, and declares what it does and what it never does.
const DECLARING: &str = "title = \"a cluster that only idles\"\nnodes = 3\n\
                         [expect]\nchecks = [\"crash\"]\n\
                         [probes]\nread-repair = 3\nrepair-clean = 1_000\n";

#[test]
fn a_sweep_fails_if_a_branch_is_not_reached_within_the_seeds_that_are_declared_to_be_enough() {
    let folder = Folder::with("probes", &[("declaring.toml", DECLARING)]);
    let sweep = |seeds: &str, more: &[&str]| {
        let arguments = ["sweep", "--scenario", "declaring", "--seeds", seeds];
        folder.kv_sim(&[&arguments[..], more].concat())
    };
    let few = sweep("0..2", &["--json", "few.json"]);
    assert_eq!(few.code, Some(0), "{}{}", few.out, few.error);
    assert!(few.out.ends_with("PASSED\n"), "{}", few.out);
    assert_eq!(json(&folder.read("few.json"))["reachability"][0]["verdict"], "not-judged");

    let ended = sweep("0..3", &["--json", "out.json", "--junit", "out.xml"]);
    assert_eq!(ended.code, Some(1), "{}{}", ended.out, ended.error);
    let line = "read-repair was not reached in 3 seeds of declaring, which declares it reachable within 3\n";
    assert!(ended.out.contains(line), "{}", ended.out);
    let next = "nothing leads there any more:\n  kv-sim sweep --scenario scenarios/declaring.toml --seeds 3..18\n";
    assert!(ended.out.contains(next), "{}", ended.out);
    assert!(ended.out.ends_with("3 passed, 0 failed\nFAILED\n"), "{}", ended.out);
    let summary = json(&folder.read("out.json"));
    let verdicts = serde_json::json!([
        { "scenario": "declaring", "probe": "read-repair", "mark": "read-repair", "within": 3, "seeds": 3, "reached": 0,
          "verdict": "unreached" },
        { "scenario": "declaring", "probe": "repair-clean", "mark": "repair-clean", "within": 1000, "seeds": 3, "reached": 0,
          "verdict": "not-judged" },
    ]);
    assert_eq!((&summary["reachability"], &summary["failed"]), (&verdicts, &0.into()));
    let xml = folder.read("out.xml");
    assert!(xml.contains("tests=\"4\"") && xml.contains("failures=\"1\""), "{xml}");
    assert!(xml.contains("read-repair within 3 seeds"), "{xml}");

    // One run alone, or a part of a sweep, is too little to tell; the parts together are not.
    assert_eq!(folder.kv_sim(&["--scenario", "declaring"]).code, Some(0));
    for part in ["0/2", "1/2"] {
        let file = format!("part-{}.json", &part[..1]);
        assert_eq!(sweep("0..4", &["--shard", part, "--json", &file]).code, Some(0));
    }
    let merged = folder.kv_sim(&["merge", "part-0.json", "part-1.json", "-o", "whole.json"]);
    assert_eq!(merged.code, Some(1), "{}{}", merged.out, merged.error);
    assert!(merged.out.contains("read-repair was not reached in 4 seeds"), "{}", merged.out);
    assert_eq!(json(&folder.read("whole.json"))["reachability"][0]["seeds"], 4);
}

#[test]
fn a_sweep_says_how_often_each_rare_branch_was_taken_and_in_how_many_runs() {
    let reached = NO_SIBLINGS.replace("siblings_max = 0", "siblings_max = 999")
        + "[probes]\npeer-restarted = 1\n";
    let folder = Folder::with("probe-counts", &[("busy.toml", &reached)]);
    let arguments = ["sweep", "--scenario", "busy", "--seeds", "0..4", "--json", "out.json"];
    let ended = folder.kv_sim(&arguments);
    assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.error);
    let summary = json(&folder.read("out.json"));
    assert_eq!(summary["mark_runs"]["epoch-at-start"], 4);
    assert!(summary["probes"]["epoch-at-start"].as_u64() > Some(4), "{}", summary["probes"]);
    let verdict = &summary["reachability"][0];
    assert_eq!((&verdict["verdict"], &verdict["reached"]), (&"reached".into(), &4.into()));
    let row = ended.out.lines().find(|line| line.starts_with(" peer-restarted ")).expect("a row");
    assert!(row.ends_with(" 4  within 1"), "{row}");
    assert!(ended.out.contains(" never: "), "{}", ended.out);
}

#[test]
fn the_parts_of_a_sweep_are_joined_into_the_whole() {
    let folder = Folder::with("merge", &[("demanding.toml", DEMANDING)]);
    let sweep = |output: &str, more: &[&str]| {
        let arguments = ["sweep", "--scenario", "demanding", "--seeds", "0..7", "--json", output];
        assert_eq!(folder.kv_sim(&[&arguments[..], more].concat()).code, Some(1));
    };
    sweep("whole.json", &[]);
    sweep("0.json", &["--shard", "0/2"]);
    sweep("1.json", &["--shard", "1/2"]);
    let ended = folder.kv_sim(&["merge", "0.json", "1.json", "-o", "joined.json"]);
    assert_eq!(ended.code, Some(1), "{}", ended.error);
    assert!(ended.out.contains("7 runs in 2 parts: 0 passed, 7 failed"), "{}", ended.out);
    let (mut joined, mut whole) =
        (json(&folder.read("joined.json")), json(&folder.read("whole.json")));
    for value in [&mut joined, &mut whole] {
        let table = value.as_object_mut().expect("a table");
        table.remove("wall_ms");
        table.remove("jobs");
    }
    assert_eq!(joined, whole);

    fs::write(folder.0.join("torn.json"), "{ \"runs\": 7, ").expect("a new file");
    for (part, problem) in [("torn.json", "or a corrupt one"), ("none.json", "cannot be read")] {
        let ended = folder.kv_sim(&["merge", "0.json", part, "-o", "never.json"]);
        assert_eq!(ended.code, Some(2));
        assert!(ended.error.contains(problem), "{}", ended.error);
        assert!(!folder.0.join("never.json").exists());
    }
}
