//! Scenarios that are valid, and the words that an author reads when one makes no sense.

use insta::assert_snapshot;
use kv_core::message::{CoordinatorKind, Kind, ReplicaKind};
use kv_core::quorum::{Level, Mode};
use kv_core::time::Span;

use super::*;

const VALID: &str = r#"title = "a scenario"
nodes = 5
"#;

/// Each kind of fault in its longest forms.
const FAULTS_OF_MANY_KEYS: &str = r#"
[[fault]]
kind = "partition"
from_ms = 1
until_ms = 1000
groups = [["n1", "n2"], ["n4", "n5"]]
bridge = ["n3"]
flap_ms = 200
messages = ["hint", "hint-delivery"]
[[fault]]
kind = "partition"
from_ms = 1
until_ms = 1000
ring = ["n5", "n4", "n3", "n2"]
[[fault]]
kind = "clog"
from_ms = 1
until_ms = 2
order = "drawn"
to = ["n1"]
messages = ["merge"]
[[fault]]
kind = "swizzle"
from_ms = 1
until_ms = 2
[[fault]]
kind = "corrupt"
from_ms = 1
until_ms = 2
probability = 0.05
from = ["n1"]
to = ["n2"]
[[fault]]
kind = "slow-link"
from_ms = 1
until_ms = 2
delay_ms_mean = 20
tail_share = 0.01
tail_ms = 900
[[fault]]
kind = "slow-link"
from_ms = 1
until_ms = 2
factor = 1
[[fault]]
kind = "kill"
from_ms = 1
until_ms = 2
nodes = ["n1"]
at = "sync"
[[fault]]
kind = "clock-drift"
from_ms = 1
until_ms = 2
nodes = ["n1"]
drift_ppm = -100
clock = "monotonic"
[[fault]]
kind = "clock-freeze"
from_ms = 1
until_ms = 2
nodes = ["n1", "n2"]
clock = "wall"
[[fault]]
kind = "datacenter-outage"
from_ms = 1
until_ms = 2
datacenter = "dc1"
[[fault]]
kind = "rack-outage"
from_ms = 1
until_ms = 2
rack = "r1"
how = "power"
"#;

/// Two data centers with two racks each; `a` is a rack in both.
const PLACES: &str = r#"
title = "places"
quorum = { n = { east = 1, west = 1 }, r = 1, w = 1 }
nodes = [
    { name = "n1", datacenter = "east", rack = "a" },
    { name = "n2", datacenter = "east", rack = "b" },
    { name = "n3", datacenter = "west", rack = "a" },
    { name = "n4", datacenter = "west", rack = "c" },
]
"#;

/// A scenario with a place that fails from 1 s to 2 s, in the cluster of [`PLACES`].
fn with_outage(kind: &str, keys: &str) -> String {
    format!("{PLACES}[[fault]]\nkind = \"{kind}\"\nfrom_ms = 1000\nuntil_ms = 2000\n{keys}\n")
}

/// Parses the scenario made of the usual first lines and these.
fn scenario(rest: &str) -> Scenario {
    let text = format!("{VALID}{rest}");
    match Scenario::parse("scenarios/example.toml", &text) {
        Ok(scenario) => scenario,
        Err(error) => panic!("{}", error.render(Colour::Plain)),
    }
}

/// The error of a whole text, which must be refused.
fn refused_text(text: &str) -> String {
    match Scenario::parse("scenarios/example.toml", text) {
        Ok(_) => panic!("this was not refused:\n{text}"),
        Err(error) => error.render(Colour::Plain),
    }
}

/// The error of the usual first lines and these, which must be refused.
fn refused(rest: &str) -> String {
    refused_text(&format!("{VALID}{rest}"))
}

/// The error of a partition from 1 s to 2 s with these further keys, which must be refused.
fn refused_partition(keys: &str) -> String {
    refused(&format!("[[fault]]\nkind = \"partition\"\nfrom_ms = 1000\nuntil_ms = 2000\n{keys}\n"))
}

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
    assert_eq!(scenario.expect.checks.len(), Check::ALL.len());
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
fn the_quorum_may_stand_in_the_table_of_the_node() {
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
fn every_kind_of_fault_can_be_said() {
    let keys = [
        ("partition", "groups = [[\"n1\"], [\"n2\", \"n3\"]]"),
        ("clog", "order = \"drawn\"\nfrom = [\"n1\"]"),
        ("swizzle", ""),
        ("kill", "nodes = [\"n1\"]"),
        ("pause", "random = 2"),
        ("loss", "probability = 0.1\nfrom = [\"n1\"]"),
        ("duplicate", "probability = 0.1"),
        ("reorder", "probability = 0.1"),
        ("corrupt", "probability = 0.01\nmessages = [\"merge\"]"),
        ("slow-link", "factor = 10\nto = [\"n2\"]"),
        ("clock-step", "nodes = [\"n1\"]\nstep_ms = -5000"),
        ("clock-drift", "nodes = [\"n1\"]\ndrift_ppm = 200"),
        ("clock-freeze", "random = 1"),
        ("lost-sync", "nodes = [\"n1\"]"),
        ("wipe", "random = 1"),
        ("datacenter-outage", "datacenter = \"dc1\""),
        ("rack-outage", "rack = \"r1\""),
        ("torn-write", "random = 1"),
        ("bit-rot", "random = 1\nshare = 0.5\nkinds = [\"hints\", \"values\"]"),
        ("io-error", "random = 1\nfails = \"commit\""),
        ("disk-full", "random = 1"),
        ("slow-disk", "random = 1\nsync_ms_mean = 500"),
        ("clone-disk", "from = \"n2\"\nnodes = [\"n1\"]"),
        ("rollback-disk", "random = 1"),
    ];
    let tables: String = keys
        .iter()
        .map(|(kind, rest)| {
            format!("[[fault]]\nkind = \"{kind}\"\nfrom_ms = 1\nuntil_ms = 2\n{rest}\n")
        })
        .collect();
    let scenario = scenario(&tables);
    let names: Vec<_> = scenario.faults.iter().map(|fault| fault.kind.name()).collect();
    assert_eq!(names, FAULTS.iter().map(|word| word.name).collect::<Vec<_>>());
}

#[test]
fn faults_of_disks_say_what_is_wrong_with_them() {
    let refused = |kind: &str, keys: &str| {
        let fault = format!("[[fault]]\nkind = \"{kind}\"\nfrom_ms = 1\nuntil_ms = 2\n{keys}\n");
        let text = refused(&fault);
        text.lines()
            .find(|line| line.contains('×'))
            .expect("it says what is wrong")
            .trim()
            .to_owned()
    };
    assert_eq!(refused("bit-rot", "random = 1"), "× how much rots?");
    assert_eq!(refused("bit-rot", "random = 1\nshare = 0.0"), "× nothing rots");
    assert_eq!(
        refused("bit-rot", "random = 1\nshare = 0.1\nrecords = 2"),
        "× either a number or a share of records rots"
    );
    assert_eq!(refused("bit-rot", "random = 1\nrecords = 1\nkinds = []"), "× nothing rots");
    assert_eq!(refused("slow-disk", "random = 1"), "× how slow?");
    assert_eq!(
        refused("clone-disk", "nodes = [\"n1\"]\nfrom = \"n1\""),
        "× a disk is copied onto itself"
    );
    assert_eq!(refused("disk-full", ""), "× this fault hits nobody");
}

#[test]
fn bit_rot_has_no_end_that_must_be_said() {
    let scenario =
        scenario("[[fault]]\nkind = \"bit-rot\"\nrandom = 1\nrecords = 3\nfrom_ms = 5\n");
    assert_eq!(scenario.faults[0].until, None);
    assert_eq!(scenario.faults_end(), Span::from_ms(5));
}

#[test]
fn a_fault_that_repeats_occurs_as_often_as_it_says() {
    let scenario = scenario(
        "[[fault]]\nkind = \"kill\"\nrandom = 1\nfrom_ms = 100\nuntil_ms = 200\nevery_ms = 500\ntimes = 3\n",
    );
    let fault = &scenario.faults[0];
    let times: Vec<_> = fault
        .occurrences()
        .map(|occurrence| (occurrence.from.as_ms(), occurrence.until.map(Span::as_ms)))
        .collect();
    assert_eq!(times, [(100, Some(200)), (600, Some(700)), (1_100, Some(1_200))]);
    assert_eq!(fault.end(), Span::from_ms(1_200));
    assert_eq!(scenario.faults_end(), Span::from_ms(1_200));
}

#[test]
fn a_partition_drops_what_goes_between_groups_and_nothing_else() {
    let [n1, n2, n3, n4] = [0, 1, 2, 3].map(NodeIndex);
    let groups = Cut::Groups(vec![vec![n1], vec![n2, n3]]);
    assert!(groups.drops(n1, n2) && groups.drops(n3, n1));
    assert!(!groups.drops(n2, n3) && !groups.drops(n4, n1) && !groups.drops(n1, n4));
    let one_way = Cut::OneWay { from: vec![n1], to: vec![n2] };
    assert!(one_way.drops(n1, n2));
    assert!(!one_way.drops(n2, n1) && !one_way.drops(n1, n3));
}

#[test]
fn a_fault_of_messages_hits_all_kinds_unless_it_names_some() {
    let faults = scenario(
        "[[fault]]\nkind = \"loss\"\nfrom_ms = 1\nuntil_ms = 2\nprobability = 0.5\n\
         messages = [\"hint\", \"read-reply\"]\n\
         [[fault]]\nkind = \"clog\"\nfrom_ms = 1\nuntil_ms = 2\n",
    )
    .faults;
    let (FaultKind::Loss(loss), FaultKind::Clog(clog)) = (&faults[0].kind, &faults[1].kind) else {
        panic!("a loss and a clog");
    };
    assert_eq!(
        loss.links.messages,
        Kinds::of(&[
            Kind::Replica(ReplicaKind::Hint),
            Kind::Coordinator(CoordinatorKind::ReadReply)
        ])
    );
    assert_eq!((clog.links.messages, clog.order), (Kinds::ALL, ClogOrder::Sent));
}

#[test]
fn an_outage_hits_all_nodes_of_its_place_and_no_other() {
    let outage = |kind, keys| {
        let scenario = Scenario::parse("places.toml", &with_outage(kind, keys)).expect("valid");
        match scenario.faults[0].kind.clone() {
            FaultKind::Outage(Outage { nodes, how, .. }) => {
                (nodes.into_iter().map(|NodeIndex(at)| at).collect::<Vec<_>>(), how)
            }
            other => panic!("no outage: {other:?}"),
        }
    };
    let datacenter = outage("datacenter-outage", "datacenter = \"west\"\nhow = \"network\"");
    assert_eq!(datacenter, (vec![2, 3], OutageKind::Network));
    let rack = outage("rack-outage", "datacenter = \"east\"\nrack = \"a\"");
    assert_eq!(rack, (vec![0], OutageKind::Power));
    assert_eq!(outage("rack-outage", "rack = \"c\""), (vec![3], OutageKind::Power));
}

#[test]
fn faults_say_for_people_what_they_do() {
    let scenario = scenario(FAULTS_OF_MANY_KEYS);
    let lines: Vec<_> = scenario
        .faults
        .iter()
        .map(|fault| format!("{}: {}", fault.kind.name(), fault.kind.describe(&scenario.cluster)))
        .collect();
    assert_snapshot!(lines.join("\n"));
}

#[test]
fn a_panic_is_always_a_failed_check() {
    let scenario = scenario("[expect]\nchecks = [\"durability\"]\n");
    assert_eq!(scenario.expect.checks, [Check::Durability, Check::Crash].into());
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
fn an_unknown_node_is_answered_with_the_nearest_one() {
    assert_snapshot!(refused_partition("groups = [[\"n1\", \"n22\"], [\"n3\"]]"));
}

#[test]
fn an_empty_group_is_refused() {
    assert_snapshot!(refused_partition("groups = [[\"n1\"], []]"));
}

#[test]
fn a_single_group_is_refused() {
    assert_snapshot!(refused_partition("groups = [[\"n1\", \"n2\"]]"));
}

#[test]
fn overlapping_groups_are_refused() {
    assert_snapshot!(refused_partition("groups = [[\"n1\", \"n2\"], [\"n2\", \"n3\"]]"));
}

#[test]
fn a_partition_that_parts_nobody_is_refused() {
    assert_snapshot!(refused_partition(""));
}

#[test]
fn half_a_one_way_partition_is_refused() {
    assert_snapshot!(refused_partition("from = [\"n1\"]"));
}

#[test]
fn a_bridge_without_groups_is_refused() {
    assert_snapshot!(refused_partition("bridge = [\"n3\"]"));
}

#[test]
fn a_bridge_that_stands_in_a_group_is_refused() {
    assert_snapshot!(refused_partition("groups = [[\"n1\"], [\"n2\"]]\nbridge = [\"n2\"]"));
}

#[test]
fn a_node_that_stands_neither_in_a_group_nor_in_the_bridge_is_refused() {
    assert_snapshot!(refused_partition("groups = [[\"n1\", \"n2\"], [\"n4\"]]\nbridge = [\"n3\"]"));
}

#[test]
fn a_ring_of_three_parts_nobody() {
    assert_snapshot!(refused_partition("ring = [\"n1\", \"n2\", \"n3\"]"));
}

#[test]
fn a_ring_of_an_unknown_word_is_refused() {
    assert_snapshot!(refused_partition("ring = \"al\""));
}

#[test]
fn a_ring_that_comes_by_a_node_twice_is_refused() {
    assert_snapshot!(refused_partition("ring = [\"n1\", \"n2\", \"n3\", \"n1\"]"));
}

#[test]
fn a_ring_beside_groups_is_refused() {
    assert_snapshot!(refused_partition("groups = [[\"n1\"], [\"n2\"]]\nring = \"all\""));
}

#[test]
fn a_partition_that_flaps_too_fast_is_refused() {
    assert_snapshot!(refused_partition("ring = \"all\"\nflap_ms = 5"));
}

#[test]
fn an_unknown_kind_of_message_is_answered_with_the_nearest_one() {
    assert_snapshot!(refused_partition("ring = \"all\"\nmessages = [\"hnt\"]"));
}

#[test]
fn an_empty_list_of_kinds_of_messages_is_refused() {
    assert_snapshot!(refused_partition("ring = \"all\"\nmessages = []"));
}

#[test]
fn an_order_of_a_clog_that_does_not_exist_is_refused() {
    assert_snapshot!(refused(
        "[[fault]]\nkind = \"clog\"\nfrom_ms = 1\nuntil_ms = 2\norder = \"drown\"\n"
    ));
}

#[test]
fn a_slow_link_must_say_how_slow() {
    assert_snapshot!(refused("[[fault]]\nkind = \"slow-link\"\nfrom_ms = 1\nuntil_ms = 2\n"));
}

#[test]
fn a_tail_without_a_length_is_refused() {
    assert_snapshot!(refused(
        "[[fault]]\nkind = \"slow-link\"\nfrom_ms = 1\nuntil_ms = 2\ntail_share = 0.1\n"
    ));
}

#[test]
fn a_tail_of_nobody_is_refused() {
    assert_snapshot!(refused(
        "[[fault]]\nkind = \"slow-link\"\nfrom_ms = 1\nuntil_ms = 2\ntail_ms = 100\n"
    ));
}

#[test]
fn a_tail_of_two_lengths_is_refused() {
    assert_snapshot!(refused(
        "[[fault]]\nkind = \"slow-link\"\nfrom_ms = 1\nuntil_ms = 2\n\
         tail_share = 0.1\ntail_ms = 100\ntail_factor = 3\n"
    ));
}

#[test]
fn an_unknown_data_center_is_answered_with_the_nearest_one() {
    assert_snapshot!(refused_text(&with_outage("datacenter-outage", "datacenter = \"est\"")));
}

#[test]
fn an_unknown_rack_of_a_data_center_is_answered_with_those_that_it_has() {
    assert_snapshot!(refused_text(&with_outage(
        "rack-outage",
        "datacenter = \"east\"\nrack = \"c\""
    )));
}

#[test]
fn a_rack_of_several_data_centers_must_say_which() {
    assert_snapshot!(refused_text(&with_outage("rack-outage", "rack = \"a\"")));
}

#[test]
fn a_place_that_holds_everybody_cannot_be_cut_off() {
    assert_snapshot!(refused(
        "[[fault]]\nkind = \"rack-outage\"\nfrom_ms = 1\nuntil_ms = 2\nrack = \"r1\"\n\
         how = \"network\"\n"
    ));
}

#[test]
fn an_unknown_step_of_a_kill_is_answered_with_the_nearest_one() {
    assert_snapshot!(refused(
        "[[fault]]\nkind = \"kill\"\nfrom_ms = 1\nuntil_ms = 2\nrandom = 1\nat = \"excute\"\n"
    ));
}

#[test]
fn an_unknown_clock_is_answered_with_the_nearest_one() {
    assert_snapshot!(refused(
        "[[fault]]\nkind = \"clock-freeze\"\nfrom_ms = 1\nuntil_ms = 2\nrandom = 1\n\
         clock = \"monotone\"\n"
    ));
}

#[test]
fn a_clock_that_drifts_by_nothing_is_refused() {
    assert_snapshot!(refused(
        "[[fault]]\nkind = \"clock-drift\"\nfrom_ms = 1\nuntil_ms = 2\nrandom = 1\n\
         drift_ppm = 0\n"
    ));
}

#[test]
fn a_fault_that_ends_before_it_begins_is_refused() {
    assert_snapshot!(refused(
        "[[fault]]\nkind = \"kill\"\nfrom_ms = 2000\nuntil_ms = 2000\nrandom = 1\n"
    ));
}

#[test]
fn a_fault_without_an_end_is_refused() {
    assert_snapshot!(refused("[[fault]]\nkind = \"kill\"\nfrom_ms = 2000\nrandom = 1\n"));
}

#[test]
fn a_fault_that_hits_more_nodes_than_there_are_is_refused() {
    assert_snapshot!(refused(
        "[[fault]]\nkind = \"kill\"\nfrom_ms = 1\nuntil_ms = 2\nrandom = 6\n"
    ));
}

#[test]
fn a_fault_that_begins_again_before_it_ends_is_refused() {
    assert_snapshot!(refused(
        "[[fault]]\nkind = \"kill\"\nfrom_ms = 1\nuntil_ms = 100\nrandom = 1\nevery_ms = 50\ntimes = 2\n"
    ));
}

#[test]
fn an_unknown_fault_is_answered_with_the_nearest_one() {
    assert_snapshot!(refused("[[fault]]\nkind = \"partitions\"\nfrom_ms = 1\nuntil_ms = 2\n"));
}

#[test]
fn a_fault_of_a_later_version_is_refused_as_such() {
    assert_snapshot!(refused("[[fault]]\nkind = \"upgrade\"\nfrom_ms = 1\nuntil_ms = 2\n"));
}

#[test]
fn a_fault_without_a_kind_is_refused() {
    assert_snapshot!(refused("[[fault]]\nfrom_ms = 1\nuntil_ms = 2\n"));
}

#[test]
fn an_unknown_check_is_answered_with_the_nearest_one() {
    assert_snapshot!(refused("[expect]\nchecks = [\"durable\"]\n"));
}

#[test]
fn a_check_of_a_later_version_is_refused_as_such() {
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
