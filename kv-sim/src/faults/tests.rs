//! The kinds of faults: what can be said of each, whom it hits, and the words that an author reads
//! when it makes no sense.

mod links;

use insta::assert_snapshot;

use super::*;
use crate::scenario::Scenario;
use crate::testing::{refused, refused_text, scenario_of_five};

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
    let scenario = scenario_of_five(&tables);
    for ((word, _), fault) in keys.iter().zip(&scenario.faults) {
        assert_eq!(fault.kind.name(), *word);
    }
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
fn an_outage_hits_all_nodes_of_its_place_and_no_other() {
    let these = |nodes: &[usize]| Victims::These(nodes.iter().copied().map(NodeIndex).collect());
    let outage = |kind, keys| {
        let scenario = Scenario::parse("places.toml", &with_outage(kind, keys)).expect("valid");
        match scenario.faults[0].kind.clone() {
            FaultKind::DatacenterOutage(DatacenterOutage(outage))
            | FaultKind::RackOutage(RackOutage(outage)) => (outage.victims, outage.how),
            other => panic!("no outage: {other:?}"),
        }
    };
    let datacenter = outage("datacenter-outage", "datacenter = \"west\"\nhow = \"network\"");
    assert_eq!(datacenter, (these(&[2, 3]), OutageKind::Network));
    let rack = outage("rack-outage", "datacenter = \"east\"\nrack = \"a\"");
    assert_eq!(rack, (these(&[0]), OutageKind::Power));
    assert_eq!(outage("rack-outage", "rack = \"c\""), (these(&[3]), OutageKind::Power));
}

#[test]
fn faults_say_for_people_what_they_do() {
    let scenario = scenario_of_five(FAULTS_OF_MANY_KEYS);
    let lines: Vec<_> = scenario
        .faults
        .iter()
        .map(|fault| format!("{}: {}", fault.kind.name(), fault.kind.describe(&scenario.cluster)))
        .collect();
    assert_snapshot!(lines.join("\n"));
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
fn a_fault_that_hits_more_nodes_than_there_are_is_refused() {
    assert_snapshot!(refused(
        "[[fault]]\nkind = \"kill\"\nfrom_ms = 1\nuntil_ms = 2\nrandom = 6\n"
    ));
}
