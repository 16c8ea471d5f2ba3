//! Faults of links: what they part, and the words that an author reads when one makes no sense.

use insta::assert_snapshot;
use kv_core::message::{CoordinatorKind, Kind, ReplicaKind};

use super::*;

/// The error of a partition from 1 s to 2 s with these further keys, which must be refused.
fn refused_partition(keys: &str) -> String {
    refused(&format!("[[fault]]\nkind = \"partition\"\nfrom_ms = 1000\nuntil_ms = 2000\n{keys}\n"))
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
    let faults = scenario_of_five(
        "[[fault]]\nkind = \"loss\"\nfrom_ms = 1\nuntil_ms = 2\nprobability = 0.5\n\
         messages = [\"hint\", \"read-reply\"]\n\
         [[fault]]\nkind = \"clog\"\nfrom_ms = 1\nuntil_ms = 2\n",
    )
    .faults;
    let (FaultKind::Loss(loss), FaultKind::Clog(clog)) = (&faults[0].kind, &faults[1].kind) else {
        panic!("a loss and a clog");
    };
    assert_eq!(
        loss.0.links.messages,
        Kinds::of(&[
            Kind::Replica(ReplicaKind::Hint),
            Kind::Coordinator(CoordinatorKind::ReadReply)
        ])
    );
    assert_eq!((clog.links.messages, clog.order), (Kinds::ALL, ClogOrder::Sent));
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
