//! A first minute: the demonstration, and what the README tells people to type.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::folder::{Folder, json};

/// The top of the repository.
fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("packages lie at the top").to_path_buf()
}

fn scenario(name: &str) -> String {
    fs::read_to_string(top().join("scenarios").join(name)).expect("the scenario is there")
}

#[test]
fn the_demonstration_finds_a_failure_and_each_of_its_commands_does_what_it_did() {
    let (register, swarm) = (scenario("register.toml"), scenario("swarm.toml"));
    let folder = Folder::with("demo", &[("register.toml", &register), ("swarm.toml", &swarm)]);
    let ended = folder.kv_sim(&["demo"]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.error);
    let text: Vec<_> = ended.out.lines().map(without_times).collect();
    insta::assert_snapshot!("demo", text.join("\n"));

    // It is a real failure of the sound build, and a small one.
    let replayed = folder.kv_sim(&["replay", "demo/small.toml"]);
    assert_eq!(replayed.code, Some(1), "{}", replayed.error);
    assert!(replayed.out.contains("linearizability violated"), "{}", replayed.out);
    let run = json(&folder.kv_sim(&["--scenario", "demo/small.toml", "--json"]).out);
    assert!(run["operations"].as_u64() <= Some(12), "{run}");
    assert_eq!(run["faults"], serde_json::json!({}), "nothing was broken");

    // What it tells people to type gives the same files.
    let commands = ended.out.lines().filter_map(|line| line.trim().strip_prefix("kv-sim "));
    let commands: Vec<_> = commands.map(|line| line.split("    ").next().unwrap_or(line)).collect();
    assert_eq!(commands.len(), 4, "{commands:?}");
    let made = ["demo/small.toml", "demo/report.html"].map(|file| folder.read(file));
    for command in &commands[..3] {
        let ended = folder.kv_sim(&command.split(' ').collect::<Vec<_>>());
        // A sweep that finds something fails.
        let expected = if command.starts_with("sweep") { Some(1) } else { Some(0) };
        assert_eq!(ended.code, expected, "{command}: {}", ended.error);
    }
    assert_eq!(["demo/small.toml", "demo/report.html"].map(|file| folder.read(file)), made);
    let replayed = folder.kv_sim(&commands[3].split(' ').collect::<Vec<_>>());
    assert!(replayed.out.contains("it is the very same run"), "{}", replayed.out);
}

/// A line without what differs from run to run: times, the folder, and how many runs were under way at
/// once when one of them failed.
fn without_times(line: &str) -> String {
    if line.contains(" together, in ") {
        return "   …".to_owned();
    }
    let words = line.split(' ').map(|word| match word.parse::<f64>() {
        Ok(_) if word.contains('.') && !word.ends_with('.') => "…",
        Ok(_) | Err(_) if word.starts_with("file://") => "file://…/demo/report.html",
        Ok(_) | Err(_) => word,
    });
    words.collect::<Vec<_>>().join(" ")
}

/// The commands of the simulator in the README, each without what stands before its arguments.
fn commands() -> Vec<String> {
    const BEFORE: &[&str] =
        &["cargo sim ", "cargo quick ", "cargo run --release -p kv-sim -- ", "kv-sim "];
    let readme = fs::read_to_string(top().join("README.md")).expect("there is a README");
    let mut commands = Vec::new();
    let mut is_shell = false;
    for line in readme.lines() {
        if let Some(kind) = line.strip_prefix("```") {
            is_shell = !is_shell && kind == "sh";
            continue;
        }
        let line = line.split("  #").next().unwrap_or_default().trim();
        let arguments = BEFORE.iter().find_map(|before| line.strip_prefix(before));
        if let Some(arguments) = arguments.filter(|_| is_shell) {
            commands.push(arguments.to_owned());
        }
    }
    commands
}

/// What a test has found to be printed.
fn snapshot(path: &str) -> String {
    let text = fs::read_to_string(top().join("tests").join(path)).expect("the snapshot is there");
    text.splitn(3, "---\n").last().unwrap_or_default().to_owned()
}

#[test]
fn the_readme_shows_what_its_commands_print() {
    let readme = fs::read_to_string(top().join("README.md")).expect("there is a README");
    let digest = snapshot("snapshots/scenarios__partition_digest.snap");
    assert!(readme.contains(&format!("digest {digest}")), "of partition.toml: {digest}");
    let demonstrated = snapshot("command_line/snapshots/command_line__first_minute__demo.snap");
    let printed: BTreeSet<_> = demonstrated.lines().collect();
    let shown = readme.split("```text\n").find(|block| block.starts_with("1. Look for trouble"));
    let shown = shown.and_then(|block| block.split("```").next()).expect("it shows it");
    for line in shown.lines().map(without_times).filter(|line| !line.contains(" events together")) {
        assert!(printed.contains(&*line), "the demonstration does not print: {line}");
    }
}

#[test]
fn what_the_readme_tells_people_to_type_exists() {
    let folder = Folder::with("readme", &[]);
    let commands = commands();
    assert!(commands.len() > 15, "{commands:?}");
    // What the demonstration leaves behind, and what earlier lines write.
    let demonstrated = snapshot("command_line/snapshots/command_line__first_minute__demo.snap");
    let words = demonstrated.split_whitespace().filter(|word| word.starts_with("demo/"));
    let mut made: BTreeSet<String> = words.map(Into::into).collect();
    for command in commands {
        let words: Vec<_> = command.split_whitespace().collect();
        let subcommand = words[0];
        let known =
            if subcommand.starts_with("--") { vec!["--help"] } else { vec![subcommand, "--help"] };
        let help = folder.kv_sim(&known);
        assert_eq!(help.code, Some(0), "`{command}`: there is no `{subcommand}`");
        for (at, word) in words.iter().enumerate() {
            if word.starts_with("--") {
                assert!(help.out.contains(word), "`{command}`: there is no {word}");
            }
            let is_written =
                at > 0 && matches!(words[at - 1], "-o" | "--json" | "--junit" | "--trace");
            if is_written {
                made.insert((*word).to_owned());
                continue;
            }
            let is_file = [".toml", ".json", ".html"].iter().any(|ending| word.ends_with(ending));
            let exists = || {
                let path = top().join(word);
                path.exists()
                    || top().join("scenarios").join(word).exists()
                    || word.ends_with("/*.toml") && path.parent().is_some_and(Path::is_dir)
            };
            assert!(
                !is_file || made.contains(*word) || exists(),
                "`{command}`: there is no {word}"
            );
        }
    }
}

#[test]
fn the_short_forms_of_commands_are_what_the_program_says_they_are() {
    let aliases = fs::read_to_string(top().join(".cargo/config.toml")).expect("it is there");
    for alias in ["demo", "quick", "sim"] {
        assert!(aliases.contains(&format!("\n{alias} = \"run ")), "there is no `cargo {alias}`");
    }
    let manifest = fs::read_to_string(top().join("Cargo.toml")).expect("it is there");
    assert!(manifest.contains("[profile.quick]"));
}
