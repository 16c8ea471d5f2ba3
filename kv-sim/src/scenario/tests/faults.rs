//! Faults of a scenario: what can be said of each kind, whom they hit and when, and the words that
//! an author reads when one makes no sense.

use kv_core::message::{CoordinatorKind, Kind, ReplicaKind};

use super::*;

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

/// The error of a partition from 1 s to 2 s with these further keys, which must be refused.
fn refused_partition(keys: &str) -> String {
    refused(&format!("[[fault]]\nkind = \"partition\"\nfrom_ms = 1000\nuntil_ms = 2000\n{keys}\n"))
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
