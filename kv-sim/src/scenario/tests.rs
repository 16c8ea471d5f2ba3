//! Scenarios that are valid, and the words that an author reads when one makes no sense.

mod faults;

use insta::assert_snapshot;
use kv_core::message::{HandoffKind, Kind, RepairKind, ReplicaKind};
use kv_core::quorum::{Level, Mode};
use kv_core::time::Span;

use super::*;
use crate::checks::CheckName;
use crate::testing::{VALID, refused, refused_text, scenario_of_five as scenario};

#[test]
fn what_is_not_said_has_a_default() {
    let scenario = scenario("");
    assert_eq!(scenario.name(), "example");
    assert_eq!((scenario.seed, scenario.sweep), (1, true));
    assert_eq!(scenario.cluster.partitions, 64);
    assert_eq!(scenario.quorum.owners(), 3);
    assert_eq!((scenario.quorum.read, scenario.quorum.write), (Level::Count(2), Level::Count(2)));
    assert_eq!(
        (scenario.network.delay_min, scenario.network.delay_mean),
        (Span(1_000), Span(5_000))
    );
    let promised = CheckName::ALL.iter().filter(|check| check.is_promised());
    assert_eq!(scenario.expect.checks, promised.copied().collect());
    assert_eq!(scenario.expect.converged_within, Span::from_ms(30_000));
    assert_eq!(scenario.node, kv_core::config::Config::default());
}

#[test]
fn a_number_of_nodes_stands_for_that_many_machines() {
    let scenario = scenario("");
    let names: Vec<_> = scenario.cluster.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["n1", "n2", "n3", "n4", "n5"]);
    assert_eq!(scenario.cluster.machines(), [("dc1", 5)].into());
}

#[test]
fn nodes_may_be_given_names_and_places() {
    let text = r#"
title = "two data centers"
quorum = { n = { east = 2, west = 1 }, r = "local_quorum", w = "each_quorum" }
[[nodes]]
name = "a"
datacenter = "east"
rack = "top"
[[nodes]]
name = "b"
datacenter = "east"
machine = "big"
weight = 2
[[nodes]]
name = "c"
datacenter = "west"
"#;
    let scenario = Scenario::parse("two.toml", text).expect("it is valid");
    assert_eq!(scenario.cluster.machines(), [("east", 2), ("west", 1)].into());
    assert_eq!(scenario.cluster.nodes[0].machine, "a");
    assert_eq!(scenario.cluster.nodes[1].machine, "big");
    assert_eq!(scenario.cluster.nodes[1].weight, 2);
    assert_eq!(scenario.quorum.replicas, [("east".to_owned(), 2), ("west".to_owned(), 1)].into());
    assert_eq!(
        (scenario.quorum.read, scenario.quorum.write),
        (Level::LocalQuorum, Level::EachQuorum)
    );
    assert_eq!((scenario.node.read_quorum, scenario.node.write_quorum), (1, 3));
}

#[test]
fn probabilities_become_parts_per_million_and_delays_microseconds() {
    let scenario = scenario(
        "network = { delay_ms_min = 0.25, delay_ms_mean = 1.5, loss = 0.01, duplicate = 1, reorder = 0.000001 }",
    );
    assert_eq!(scenario.network.delay_min, Span(250));
    assert_eq!(scenario.network.delay_mean, Span(1_500));
    assert_eq!(scenario.network.loss_ppm, 10_000);
    assert_eq!(scenario.network.duplicate_ppm, PPM);
    assert_eq!(scenario.network.reorder_ppm, 1);
    assert_eq!(scenario.network.reorder_max, Span::from_ms(50));
}

#[test]
fn the_quorum_of_a_scenario_is_what_its_nodes_are_told() {
    let scenario = scenario("quorum = { n = 3, r = 1, w = \"all\", mode = \"strict\" }");
    assert_eq!((scenario.node.read_quorum, scenario.node.write_quorum), (1, 3));
    assert_eq!((scenario.node.mode, scenario.quorum.mode), (Mode::Strict, Mode::Strict));
}

#[test]
fn the_quorum_may_be_given_in_the_table_of_the_node() {
    let scenario = scenario("[node]\nread_quorum = 3\nhedge_ms = 50\n");
    assert_eq!(scenario.quorum.read, Level::Count(3));
    assert_eq!((scenario.node.read_quorum, scenario.node.hedge_ms), (3, 50));
}

#[test]
fn a_workload_may_ask_for_something_else_than_its_scenario() {
    let text = r#"
[[workload]]
kind = "blind-put"
clients = 2
operations = 10
r = "one"
mode = "strict"
at = ["n5", "n1"]
read_share = 0.1
[[workload]]
kind = "put-get-delete"
clients = 1
operations = 5
"#;
    let scenario = scenario(text);
    let [first, second] = &scenario.workloads[..] else { panic!("two workloads") };
    assert_eq!((first.read, first.write, first.mode), (Level::One, Level::Count(2), Mode::Strict));
    assert_eq!(first.nodes, [NodeIndex(0), NodeIndex(4)]);
    assert_eq!(first.read_share_ppm, 100_000);
    assert_eq!((second.kind, second.nodes.len()), (WorkloadKind::PutGetDelete, 5));
    assert_eq!((second.timeout, second.keys), (Span::from_ms(1_000), 32));
}

#[test]
fn a_panic_is_always_a_failed_check() {
    let scenario = scenario("[expect]\nchecks = [\"durability\"]\n");
    assert_eq!(scenario.expect.checks, [CheckName::Durability, CheckName::Crash].into());
}

#[test]
fn outcomes_are_bounded_on_the_side_that_was_given() {
    let outcomes =
        scenario("[expect.outcomes]\nunknown_max = 3\nsiblings_min = 1\n").expect.outcomes;
    assert!(outcomes.unknown.allows(3) && !outcomes.unknown.allows(4));
    assert!(outcomes.siblings.allows(u64::MAX) && !outcomes.siblings.allows(0));
    assert!(outcomes.refused.allows(0) && outcomes.refused.allows(u64::MAX));
}

#[test]
fn a_decision_is_an_address_and_a_value() {
    let scenario = scenario("[[decision]]\nat = \"disk n1 17\"\nvalue = 900\n");
    assert_eq!(scenario.decisions, [Decision { at: "disk n1 17".to_owned(), value: 900 }]);
}

#[test]
fn an_unknown_key_is_answered_with_the_nearest_one() {
    assert_snapshot!(refused("network = { delay_ms_men = 5 }"));
}

#[test]
fn an_unknown_key_at_the_top_is_answered_with_the_nearest_one() {
    assert_snapshot!(refused("[[faults]]\nkind = \"kill\"\n"));
}

#[test]
fn a_key_of_another_kind_of_fault_is_refused() {
    assert_snapshot!(refused(
        "[[fault]]\nkind = \"loss\"\nfrom_ms = 1\nuntil_ms = 2\nprobability = 0.1\ngroups = [[\"n1\"]]\n"
    ));
}

#[test]
fn a_wrong_type_is_named_in_plain_words() {
    assert_snapshot!(refused("seed = \"seven\""));
}

#[test]
fn a_negative_number_is_refused_in_plain_words() {
    assert_snapshot!(refused("partitions = -4"));
}

#[test]
fn broken_toml_is_shown_where_it_breaks() {
    assert_snapshot!(refused("quorum = { n = 3, r = }"));
}

#[test]
fn a_scenario_without_a_title_is_refused() {
    assert_snapshot!(refused_text("nodes = 3\n"));
}

#[test]
fn an_empty_title_is_refused() {
    assert_snapshot!(refused_text("title = \" \"\nnodes = 3\n"));
}

#[test]
fn a_cluster_of_no_nodes_is_refused() {
    assert_snapshot!(refused_text("title = \"nobody\"\nnodes = 0\n"));
}

#[test]
fn two_nodes_of_one_name_are_refused() {
    assert_snapshot!(refused_text(
        "title = \"twins\"\n[[nodes]]\nname = \"a\"\n[[nodes]]\nname = \"a\"\n"
    ));
}

#[test]
fn a_ring_of_a_number_of_partitions_that_is_no_power_of_two_is_refused() {
    assert_snapshot!(refused("partitions = 100"));
}

#[test]
fn more_copies_than_machines_are_refused() {
    assert_snapshot!(refused("quorum = { n = 6, r = 2, w = 2 }"));
}

#[test]
fn two_nodes_on_one_machine_count_once_for_copies() {
    assert_snapshot!(refused_text(
        "title = \"crowded\"\nquorum = { n = 2, r = 1, w = 1 }\n\
         nodes = [{ name = \"a\", machine = \"m\" }, { name = \"b\", machine = \"m\" }]\n"
    ));
}

#[test]
fn the_default_number_of_copies_needs_as_many_machines() {
    assert_snapshot!(refused_text("title = \"small\"\nnodes = 2\n"));
}

#[test]
fn a_write_quorum_above_the_number_of_copies_is_refused() {
    assert_snapshot!(refused("quorum = { n = 3, r = 2, w = 4 }"));
}

#[test]
fn a_read_quorum_of_nobody_is_refused() {
    assert_snapshot!(refused("quorum = { n = 3, r = 0, w = 2 }"));
}

#[test]
fn an_unknown_level_is_answered_with_the_nearest_one() {
    assert_snapshot!(refused("quorum = { r = \"local_quorm\" }"));
}

#[test]
fn copies_in_a_data_center_that_does_not_exist_are_refused() {
    assert_snapshot!(refused("quorum = { n = { dc2 = 3 } }"));
}

#[test]
fn a_quorum_in_both_places_is_refused() {
    assert_snapshot!(refused("quorum = { r = 2 }\n[node]\nread_quorum = 1\n"));
}

#[test]
fn a_number_of_the_node_that_is_out_of_range_is_shown_with_its_range() {
    assert_snapshot!(refused("[node]\nmonotonic_reads = true\nhedge_ms = 0\n"));
}

#[test]
fn an_unknown_key_of_the_node_is_answered_with_the_nearest_one() {
    assert_snapshot!(refused("[node]\nhedge_m = 10\n"));
}

#[test]
fn a_probability_above_one_is_refused() {
    assert_snapshot!(refused("network = { loss = 5 }"));
}

#[test]
fn a_mean_below_the_smallest_delay_is_refused() {
    assert_snapshot!(refused("network = { delay_ms_min = 10, delay_ms_mean = 5 }"));
}

#[test]
fn an_unknown_kind_of_workload_is_answered_with_the_nearest_one() {
    assert_snapshot!(refused("[[workload]]\nkind = \"put-gets\"\nclients = 1\noperations = 1\n"));
}

#[test]
fn a_workload_without_clients_is_refused() {
    assert_snapshot!(refused("[[workload]]\nkind = \"put-get\"\nclients = 0\noperations = 1\n"));
}

#[test]
fn a_workload_whose_quorum_cannot_be_reached_is_refused() {
    assert_snapshot!(refused(
        "[[workload]]\nkind = \"put-get\"\nclients = 1\noperations = 1\nw = 4\n"
    ));
}

#[test]
fn an_unknown_check_is_answered_with_the_nearest_one() {
    assert_snapshot!(refused("[expect]\nchecks = [\"durable\"]\n"));
}

#[test]
fn a_check_that_no_level_promises_is_refused_as_such() {
    assert_snapshot!(refused("[expect]\nchecks = [\"linearizability\"]\n"));
}

#[test]
fn outcomes_that_no_number_can_meet_are_refused() {
    assert_snapshot!(refused("[expect.outcomes]\nunknown_min = 5\nunknown_max = 4\n"));
}

#[test]
fn every_problem_of_a_file_is_shown_in_the_order_of_the_file() {
    assert_snapshot!(refused(
        "quorum = { w = 9 }\nnetwork = { loss = 2 }\n\
         [[fault]]\nkind = \"kill\"\nfrom_ms = 1\nuntil_ms = 2\nnodes = [\"n9\"]\n"
    ));
}

#[test]
fn the_scenarios_that_are_shipped_are_valid() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shipped = all(here);
    assert!(shipped.len() >= 2, "found only {shipped:?}");
    for path in shipped {
        if let Err(error) = load(&path.to_string_lossy(), here) {
            panic!("{}", error.render(Colour::Plain));
        }
    }
}

#[test]
fn a_bare_name_is_looked_for_in_the_folder_of_scenarios_upwards() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in ["partition", "partition.toml"] {
        assert_eq!(load(name, here).expect("it is shipped").name(), "partition");
    }
}

#[test]
fn a_name_that_does_not_exist_is_answered_with_the_nearest_one() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let error = find("partitoin.toml", here).expect_err("it does not exist");
    let ScenarioError::NotFound { nearest, .. } = &error else { panic!("{error}") };
    assert_eq!(nearest.as_deref(), Some("partition"));
}

#[test]
fn an_unknown_probe_is_answered_with_the_nearest_one() {
    assert_snapshot!(refused("[probes]\nread-repair = 50\ntwins-mintet = 200\n"));
}

#[test]
fn former_names_are_understood_and_not_beside_the_present_ones() {
    let text = format!("{VALID}calm = [\"loss\"]\n[marks]\nstand-in-minted = 50\n");
    let scenario = Scenario::parse("former.toml", &text).expect("former names are understood");
    assert!(scenario.nominal.contains(&Aspect::Loss));
    assert_eq!(scenario.reachable[0].branch.name(), "fallback-minted");
    let told = refused("marks = {}\nprobes = {}\n");
    assert!(told.contains("`marks` is the former name of `probes`"), "{told}");
}

#[test]
fn within_no_seeds_nothing_is_reached() {
    let text = refused("[probes]\nread-repair = 0\n");
    assert!(text.contains("must lie in 1..=1000000000"), "{text}");
    let text = refused("probes = [\"read-repair\"]\n");
    assert!(text.contains("this must be a table"), "{text}");
    let text = refused("[probes]\nread-repair = \"soon\"\n");
    assert!(text.contains("expected"), "{text}");
}

#[test]
fn a_disk_that_syncs_in_no_time_is_refused() {
    let told = refused("disk = { sync_us_mean = 0 }\n");
    assert!(told.contains("a sync takes time") && told.contains("must be at least 1"), "{told}");
}

#[test]
fn owners_are_repaired_by_all_ways_unless_the_file_names_some() {
    let named = |text: &str| scenario(text).repair_by;
    assert_eq!(named(""), RepairBy { reads: true, hints: true, comparison: true });
    let by_reads = named("repair_by = [\"reads\"]\n");
    assert_eq!(by_reads, RepairBy { reads: true, hints: false, comparison: false });
    let off = by_reads.off();
    assert!(off.contain(Kind::Handoff(HandoffKind::Deliver)));
    assert!(off.contain(Kind::Repair(RepairKind::Compare)));
    assert!(!off.contain(Kind::Replica(ReplicaKind::Merge)));
}

#[test]
fn who_wants_no_repair_by_reads_must_not_read() {
    let reads = "[[workload]]\nkind = \"blind-put\"\nclients = 1\noperations = 9\n";
    let told = refused(&format!("repair_by = [\"hints\"]\n{reads}"));
    assert!(told.contains("a workload reads") && told.contains("read_share = 0"), "{told}");
    scenario(&format!("repair_by = [\"hints\"]\n{reads}read_share = 0\n"));
    assert!(refused("repair_by = []\n").contains("name at least one way"));
    assert!(refused("repair_by = [\"gossip\"]\n").contains("comparison"));
}
