//! A failure that was saved: replayed, shown at any moment, and shrunk.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use crate::folder::{Ended, Folder, json};
use crate::{IDLE, NO_SIBLINGS, keys};

#[test]
fn a_saved_failure_is_replayed_and_compared_with_what_was_saved() {
    let folder = Folder::with("replay", &[("no-siblings.toml", NO_SIBLINGS)]);
    let first = folder.kv_sim(&["--scenario", "no-siblings", "--keep", "kept"]);
    assert_eq!(first.code, Some(1), "{}{}", first.out, first.error);
    let saved = folder.read("kept/no-siblings-3.json");
    let replay = |name: &str, text: &str| {
        fs::write(folder.0.join(name), text).expect("a new file");
        folder.kv_sim(&["replay", name])
    };
    let same = replay("same.json", &saved);
    assert_eq!(same.code, Some(1), "{}", same.error);
    assert!(same.out.contains("it is the very same run"), "{}", same.out);
    assert!(same.out.contains("kv-sim replay same.json"), "{}", same.out);

    let another = replay("another.json", &saved.replace("pause", "kill"));
    assert!(another.out.contains("in the same check, in another run"), "{}", another.out);
    let gone = replay("gone.json", &saved.replace("siblings_max = 0", "siblings_max = 999"));
    assert_eq!(gone.code, Some(0), "{}", gone.error);
    assert!(gone.out.contains("It does not fail any more"), "{}", gone.out);
    let different = replay("different.json", &saved.replace("\"outcomes\"", "\"durability\""));
    assert!(different.out.contains("It fails in another way now"), "{}", different.out);

    for (name, text, problem) in [
        ("torn.json", &saved[..saved.len() / 2], "is no saved failure, or a corrupt one"),
        ("foreign.json", &saved.replace("\"format\": 1", "\"format\": 99"), "has format 99"),
        ("wrong.json", &saved.replace("nodes = 5", "nodez = 5"), "nodez"),
        ("more.json", &saved.replace("\"seed\"", "\"sede\""), "sede"),
    ] {
        let ended = replay(name, text);
        assert_eq!(ended.code, Some(2), "{name}: {}", ended.out);
        assert!(ended.error.contains(problem), "{name}: {}", ended.error);
    }
    let ended = folder.kv_sim(&["replay", "nowhere.json"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.error.contains("nowhere.json cannot be read"), "{}", ended.error);
}

#[test]
fn a_scenario_is_replayed_and_shrunk_with_a_seed_of_ones_own() {
    let folder = Folder::with("own-seed", &[("no-siblings.toml", NO_SIBLINGS)]);
    let swept = folder.kv_sim(&["sweep", "--scenario", "no-siblings", "--seeds", "3..4"]);
    assert_eq!(swept.code, Some(1), "{}", swept.error);
    let next = "  kv-sim shrink scenarios/no-siblings.toml --seed 3 -o shrunk.toml\n";
    assert!(swept.out.contains(next), "{}", swept.out);

    let shrunk = folder.kv_sim(&[
        "shrink",
        "scenarios/no-siblings.toml",
        "--seed",
        "3",
        "-o",
        "shrunk.toml",
        "--events",
        "3000000",
    ]);
    assert_eq!(shrunk.code, Some(0), "{}", shrunk.error);
    assert!(shrunk.out.contains("  kv-sim report shrunk.toml -o shrunk.html\n"), "{}", shrunk.out);

    let replayed = folder.kv_sim(&["replay", "scenarios/no-siblings.toml", "--seed", "3"]);
    assert_eq!(replayed.code, Some(1), "{}", replayed.error);
    let again = "kv-sim replay scenarios/no-siblings.toml --seed 3";
    assert!(replayed.out.contains(again), "{}", replayed.out);

    assert_eq!(folder.kv_sim(&["--scenario", "no-siblings", "--keep", "kept"]).code, Some(1));
    let ended = folder.kv_sim(&["replay", "kept/no-siblings-3.json", "--seed", "4"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.error.contains("has its seed in it"), "{}", ended.error);
}

#[test]
fn the_state_of_a_saved_failure_is_shown_at_any_moment() {
    let folder = Folder::with("moments", &[("no-siblings.toml", NO_SIBLINGS)]);
    assert_eq!(folder.kv_sim(&["--scenario", "no-siblings", "--keep", "kept"]).code, Some(1));
    let at = |arguments: &[&str]| {
        folder.kv_sim(&[&["replay", "kept/no-siblings-3.json"], arguments].concat())
    };

    let ended = at(&["--at", "1.35", "--node", "n2", "--key", "k1"]);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    assert!(ended.out.starts_with("At 1.350000 s, in the phase chaos"), "{}", ended.out);
    for part in ["\nn2 ", "  deadlines ", "  disk ", "\nKeys\n  \"k1\" partition "] {
        assert!(ended.out.contains(part), "no {part:?} in\n{}", ended.out);
    }
    assert!(
        !ended.out.contains("\nn1 ") && !ended.out.contains("\n  \"k2\" partition"),
        "{}",
        ended.out
    );

    // In any order, and of the scenario as well: the same moment is the same.
    let back = at(&["--at", "2s", "--at", "1350ms", "--json"]);
    assert_eq!(back.code, Some(0), "{}", back.error);
    let states: Vec<_> = back.out.lines().map(json).collect();
    assert_eq!([&states[0]["at_us"], &states[1]["at_us"]], [2_000_000, 1_350_000]);
    let scenario = ["replay", "scenarios/no-siblings.toml", "--at", "1.35", "--json"];
    assert_eq!(json(&folder.kv_sim(&scenario).out), states[1]);
    let contract = [
        "at_us",
        "changed_us",
        "chaos_since_us",
        "clients",
        "digest",
        "events",
        "faults",
        "keys",
        "links",
        "nodes",
        "phase",
        "under_way",
    ];
    assert_eq!(keys(&states[0]), contract);

    for (arguments, problem) in [
        (&["--at", "-3"][..], "time begins at 0"),
        (&["--at", "noon"], "`noon` is no moment"),
        (&["--at", "1h"], "`1h` is no moment"),
        (&["--at", "9999"], "the run ended at "),
        (&["--at", "1", "--node", "n22"], "there is no node `n22`"),
        (&["--node", "n1"], "--at"),
        (&["--json"], "--at"),
    ] {
        let ended = at(arguments);
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.out);
        assert!(ended.error.contains(problem), "{arguments:?}: {}", ended.error);
    }
}

#[test]
fn moments_are_asked_for_one_after_another() {
    let folder = Folder::with("moments-asked", &[("no-siblings.toml", NO_SIBLINGS)]);
    let answers = |arguments: &[&str], asked: &str| {
        let arguments =
            [&["replay", "scenarios/no-siblings.toml", "--at", "-"], arguments].concat();
        let mut child = folder
            .command(&arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        child.stdin.take().expect("it is piped").write_all(asked.as_bytes()).expect("it reads");
        Ended::from(child.wait_with_output().expect("it ends"))
    };
    let ended = answers(&["--json"], "2\n\nsoon\n1.5\n9999s\n 2 ");
    assert_eq!((ended.code, ended.error.as_str()), (Some(0), ""));
    let lines: Vec<_> = ended.out.lines().map(json).collect();
    let at: Vec<_> = lines.iter().map(|line| line["at_us"].as_u64()).collect();
    assert_eq!(at, [Some(2_000_000), None, Some(1_500_000), None, Some(2_000_000)]);
    assert_eq!(lines[0], lines[4], "the way there makes no difference");
    assert!(lines[1]["error"].as_str().is_some_and(|error| error.contains("no moment")));

    let ended = answers(&["--node", "n1"], "soon\n1.5\n");
    assert_eq!(ended.code, Some(0));
    assert!(ended.error.contains("`soon` is no moment"), "{}", ended.error);
    assert!(ended.out.starts_with("At 1.500000 s"), "{}", ended.out);
}

#[test]
fn a_failure_is_shrunk_to_a_scenario_that_a_person_can_read() {
    let folder = Folder::with("shrink", &[("no-siblings.toml", NO_SIBLINGS)]);
    assert_eq!(folder.kv_sim(&["--scenario", "no-siblings", "--keep", "kept"]).code, Some(1));
    let ended = folder.kv_sim(&["shrink", "kept/no-siblings-3.json", "-o", "small.toml"]);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    assert!(ended.out.contains("outcomes is still violated"), "{}", ended.out);
    assert!(ended.out.contains("nothing more can be taken away"), "{}", ended.out);

    let small = folder.read("small.toml");
    assert!(!small.contains("[[fault]]"), "{small}");
    assert!(small.starts_with("# Shrunk from a failing run: `outcomes` is violated."), "{small}");
    let replayed = folder.kv_sim(&["replay", "small.toml"]);
    assert_eq!(replayed.code, Some(1), "{}", replayed.error);
    let run = folder.kv_sim(&["--scenario", "small.toml", "--json"]);
    let operations = json(&run.out)["operations"].as_u64().expect("a number");
    assert!(operations <= 10, "{operations} operations are left of 200:\n{small}");

    // To shrink it once more changes nothing, on however many cores.
    let again = folder
        .command(&["shrink", "small.toml", "-o", "again.toml"])
        .env("RAYON_NUM_THREADS", "1")
        .output()
        .expect("the program starts");
    let again = Ended::from(again);
    assert_eq!(again.code, Some(0), "{}", again.error);
    assert_eq!(folder.read("again.toml"), small);
}

#[test]
fn a_shrink_that_its_budget_ends_says_so_and_what_an_attempt_takes() {
    let folder = Folder::with("shrink-budget", &[("no-siblings.toml", NO_SIBLINGS)]);
    let shrink = |budget: &[&str]| {
        let arguments = ["shrink", "scenarios/no-siblings.toml", "-o", "small.toml"];
        folder.kv_sim(&[&arguments[..], budget].concat())
    };
    let few = shrink(&["--events", "20000"]);
    assert_eq!(few.code, Some(0), "{}", few.error);
    assert!(
        few.error.contains("this failure needs long runs: one attempt simulates "),
        "{}",
        few.error
    );
    assert!(few.out.contains("stopped by its budget"), "{}", few.out);
    let small = folder.read("small.toml");
    assert_eq!(shrink(&["--events", "20000"]).code, Some(0));
    assert_eq!(folder.read("small.toml"), small, "a budget of events is the same on any machine");
}

#[test]
fn what_cannot_be_shrunk_is_refused_and_nothing_is_written() {
    let folder =
        Folder::with("no-shrink", &[("idle.toml", IDLE), ("no-siblings.toml", NO_SIBLINGS)]);
    let ended = folder.kv_sim(&["shrink", "scenarios/idle.toml", "-o", "small.toml"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.error.contains("nothing is violated"), "{}", ended.error);
    let arguments =
        ["shrink", "scenarios/no-siblings.toml", "--check", "crash", "-o", "small.toml"];
    let ended = folder.kv_sim(&arguments);
    assert_eq!(ended.code, Some(2));
    assert!(ended.error.contains("the check `crash` holds"), "{}", ended.error);
    assert!(!folder.0.join("small.toml").exists());
    let ended =
        folder.kv_sim(&["shrink", "scenarios/no-siblings.toml", "-o", "no/such/folder.toml"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.error.contains("cannot be written"), "{}", ended.error);
}

#[test]
fn a_swarm_saves_the_scenario_that_it_drew() {
    let swarm = "title = \"swarm\"\n[expect]\nchecks = [\"crash\"]\n\
                 [expect.outcomes]\nacknowledged_max = 0\n\
                 [swarm]\noperations = [20, 30]\nfaults = [\"kill\"]\n";
    let folder = Folder::with("swarm", &[("swarm.toml", swarm)]);
    let ended = folder.kv_sim(&[
        "sweep",
        "--scenario",
        "swarm",
        "--seeds",
        "4..6",
        "--keep",
        "kept",
        "--json",
        "-",
    ]);
    assert_eq!(ended.code, Some(1), "{}", ended.error);
    assert_eq!(json(&ended.out)["failures"][0]["scenario"], "swarm");
    let replayed = folder.kv_sim(&["replay", "kept/swarm-5.json"]);
    assert!(replayed.out.contains("it is the very same run"), "{}", replayed.out);
    assert!(
        json(&folder.read("kept/swarm-5.json"))["text"]
            .as_str()
            .is_some_and(|text| { text.contains("[[workload]]") && !text.contains("[swarm]") })
    );
}
