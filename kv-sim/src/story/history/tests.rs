use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::*;
use crate::cluster::world::World;
use crate::runs::options::RunOptions;
use crate::runs::run::run_by;
use crate::testing::scenario;

/// A short run in which operations are answered, refused, and neither.
fn log() -> OperationLog {
    let scenario = scenario(
        "nodes = 3\n[[workload]]\nkind = \"put-get-delete\"\nclients = 3\noperations = 200\n\
         keys = 4\nmisuse_share = 0.1\ntimeout_ms = 50\n\
         [[fault]]\nkind = \"partition\"\nfrom_ms = 100\nuntil_ms = 600\n\
         groups = [[\"n1\"], [\"n2\", \"n3\"]]\n",
    );
    let (_, world) = run_by(&scenario, &RunOptions::seeded(1), |world: &mut World| {
        world.log_operations();
        world.run();
    });
    world.and_then(|mut world| world.take_log()).expect("it was kept")
}

#[test]
fn a_line_for_porcupine_has_the_fields_of_its_operation() {
    let text = log().written(HistoryFormat::Porcupine);
    let lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("it is JSON")).collect();
    let last = lines.iter().filter_map(|line| line["Return"].as_u64()).max();
    let mut words = BTreeSet::new();
    for line in &lines {
        let (input, output) = (&line["Input"], &line["Output"]);
        let word = input["op"].as_str().expect("a word");
        words.insert(word);
        assert!(line["ClientId"].as_u64().is_some_and(|client| client < 3), "{line}");
        assert!(line["Call"].as_u64() < line["Return"].as_u64(), "{line}");
        assert_eq!(input["value"].is_u64(), word != "read", "{line}");
        let is_open = output.is_null();
        assert!(!is_open || word != "read", "{line}");
        assert!(!is_open || line["Return"].as_u64() == last, "{line}");
        assert!(is_open || output["siblings"].is_array(), "{line}");
    }
    assert_eq!(words, BTreeSet::from(["delete", "read", "write"]));
    assert!(lines.iter().any(|line| line["Output"].is_null()), "some writes are open");
    assert!(lines.len() < 200, "what was refused is left out");
}

#[test]
fn what_a_read_shows_for_porcupine_was_written_before_it_returned() {
    let text = log().written(HistoryFormat::Porcupine);
    let mut written = BTreeMap::new();
    let lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("it is JSON")).collect();
    for line in lines.iter().filter(|line| line["Input"]["op"] != "read") {
        let key = line["Input"]["key"].as_str().expect("a key");
        let number = line["Input"]["value"].as_u64().expect("a number");
        written.insert(number, (key, line["Call"].as_u64()));
    }
    for line in &lines {
        let newest = line["Output"]["value"].as_u64();
        let siblings = line["Output"]["siblings"].as_array().cloned().unwrap_or_default();
        for number in newest.into_iter().chain(siblings.iter().filter_map(Value::as_u64)) {
            let (key, called) = written[&number];
            assert_eq!(line["Input"]["key"], key);
            assert!(called < line["Return"].as_u64(), "{line}");
        }
    }
}

#[test]
fn a_history_for_elle_begins_and_ends_each_operation_once_and_in_order() {
    let log = log();
    let text = log.written(HistoryFormat::Elle);
    let (mut waiting, mut crashed, mut words) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
    let mut times = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let field = |name: &str| {
            let rest = line.split_once(name).unwrap_or_else(|| panic!("no {name} in {line}")).1;
            rest.trim_start().split([',', '}']).next().expect("a value").to_owned()
        };
        assert_eq!(field(":index "), index.to_string());
        let (process, word) = (field(":process "), field(":type "));
        times.push(field(":time ").parse::<u64>().expect("a time"));
        words.insert(word.clone());
        assert!(!crashed.contains(&process), "a process that crashed asks again: {line}");
        if word == ":invoke" {
            assert_eq!(waiting.insert(process, line.to_owned()), None, "{line}");
        } else {
            let begun = waiting.remove(&process).unwrap_or_else(|| panic!("not begun: {line}"));
            let micro = |line: &str| line.split_once("[[").map(|(_, rest)| rest[..2].to_owned());
            assert_eq!(micro(&begun), micro(line), "{begun} and {line}");
            if word == ":info" {
                crashed.insert(process);
            }
        }
    }
    assert!(times.is_sorted());
    assert_eq!(words, [":fail", ":info", ":invoke", ":ok"].map(ToOwned::to_owned).into());
    assert_eq!(text.lines().filter(|line| line.contains(":invoke")).count(), 200);
}

#[test]
fn a_small_history_reads_well() {
    let scenario = scenario(
        "nodes = 3\n[[workload]]\nkind = \"put-get\"\nclients = 2\noperations = 8\nkeys = 1\n",
    );
    let (_, world) = run_by(&scenario, &RunOptions::seeded(1), |world: &mut World| {
        world.log_operations();
        world.run();
    });
    let log = world.and_then(|mut world| world.take_log()).expect("it was kept");
    insta::assert_snapshot!("porcupine", log.written(HistoryFormat::Porcupine));
    insta::assert_snapshot!("elle", log.written(HistoryFormat::Elle));
}
