//! The fates of messages: as often as asked for, on the right links, and of the right kinds only.

use super::*;
use crate::faults::FaultKind;
use crate::random::draws::Overrides;
use crate::testing::scenario;
use kv_core::message::ReplicaKind;

/// The network of a scenario with these settings, and the kinds of its faults.
fn network(settings: &str) -> (Network, Vec<FaultKind>) {
    let scenario = scenario(&format!("nodes = 5\n{settings}"));
    let faults = scenario.faults.into_iter().map(|fault| fault.kind).collect();
    (Network::new(5, scenario.network), faults)
}

/// Begins a fault of links.
fn begin(network: &mut Network, fault: &FaultKind) {
    network.add(WorldTime(0), (0, 0), &fault.rule(&[], network.nodes).expect("a fault of links"));
}

const fn way((from, to): (usize, usize), kind: Kind) -> Way {
    Way { from: NodeIndex(from), to: NodeIndex(to), kind: Some(kind) }
}

fn fate_of(network: &Network, request: u128, way: Way) -> Fate {
    let kind = way.kind.expect("a message has a kind");
    network.fate(&mut Draws::new(1, Overrides::default()), way, kind, RequestId(request))
}

fn fate(network: &Network, request: u128, link: (usize, usize)) -> Fate {
    fate_of(network, request, way(link, Kind::Replica(ReplicaKind::Merge)))
}

fn is_cut(network: &Network, link: (usize, usize)) -> bool {
    network.is_cut(way(link, Kind::Replica(ReplicaKind::Merge)))
}

/// The time that a message takes that is not lost.
fn after(network: &Network, request: u128, link: (usize, usize)) -> Span {
    match fate(network, request, link) {
        Fate::Arrives { first, .. } => first.after,
        Fate::Cut | Fate::Lost => panic!("nothing is lost"),
    }
}

fn share(network: &Network, what: impl Fn(Fate) -> bool) -> usize {
    (0..10_000).filter(|&request| what(fate(network, request, (0, 1)))).count()
}

#[test]
fn a_partition_cuts_links_between_groups_until_it_ends() {
    let (mut network, faults) = network(
        "[[fault]]\nkind = \"partition\"\nfrom_ms = 0\nuntil_ms = 1\n\
         groups = [[\"n1\"], [\"n2\"]]",
    );
    begin(&mut network, &faults[0]);
    assert_eq!(fate(&network, 1, (0, 1)), Fate::Cut);
    assert_eq!(fate(&network, 1, (1, 0)), Fate::Cut);
    assert!(!is_cut(&network, (0, 2)));
    network.remove(WorldTime(0), (0, 0));
    assert!(matches!(fate(&network, 1, (0, 1)), Fate::Arrives { again: None, .. }));
}

#[test]
fn a_partition_one_way_lets_answers_pass() {
    let (mut network, faults) = network(
        "[[fault]]\nkind = \"partition\"\nfrom_ms = 0\nuntil_ms = 1\n\
         from = [\"n1\"]\nto = [\"n2\", \"n3\"]",
    );
    begin(&mut network, &faults[0]);
    assert_eq!(fate(&network, 1, (0, 2)), Fate::Cut);
    assert!(matches!(fate(&network, 1, (2, 0)), Fate::Arrives { .. }));
}

#[test]
fn bad_luck_comes_as_often_as_the_scenario_and_the_faults_say_together() {
    let (mut network, faults) = network(
        "network = { loss = 0.1, duplicate = 0.2 }\n\
         [[fault]]\nkind = \"loss\"\nfrom_ms = 0\nuntil_ms = 1\nprobability = 0.5",
    );
    let lost = |network: &Network| share(network, |fate| fate == Fate::Lost);
    assert!((900..1_100).contains(&lost(&network)), "{}", lost(&network));
    begin(&mut network, &faults[0]);
    assert!((5_300..5_700).contains(&lost(&network)), "{}", lost(&network));
    network.remove(WorldTime(0), (0, 0));
    network.heal();
    assert_eq!(lost(&network), 0);
    assert_eq!(share(&network, |fate| matches!(fate, Fate::Arrives { again: Some(_), .. })), 0);
}

#[test]
fn a_slow_link_takes_its_factor_longer() {
    let (mut network, faults) = network(
        "[[fault]]\nkind = \"slow-link\"\nfrom_ms = 0\nuntil_ms = 1\nfactor = 10\nto = [\"n2\"]",
    );
    let (usual, other) = (after(&network, 1, (0, 1)), after(&network, 1, (1, 2)));
    begin(&mut network, &faults[0]);
    assert_eq!(after(&network, 1, (0, 1)), usual.times(10));
    assert_eq!(after(&network, 1, (1, 2)), other);
}

/// The network of a fault that lasts, among five nodes.
fn broken(fault: &str) -> Network {
    let (mut network, faults) = network(&format!("[[fault]]\nfrom_ms = 0\nuntil_ms = 1\n{fault}"));
    begin(&mut network, &faults[0]);
    network
}

#[test]
fn a_bridge_hears_both_sides_that_do_not_hear_each_other() {
    let network = broken(
        "kind = \"partition\"\nbridge = [\"n3\"]\n\
         groups = [[\"n1\", \"n2\"], [\"n4\", \"n5\"]]",
    );
    assert!(is_cut(&network, (0, 3)) && is_cut(&network, (4, 1)));
    assert!([(0, 2), (2, 0), (2, 4), (4, 2), (0, 1)].iter().all(|&link| !is_cut(&network, link)));
}

#[test]
fn in_a_ring_each_hears_its_two_neighbours() {
    let network = broken("kind = \"partition\"\nring = \"all\"");
    for from in 0..5 {
        let heard: Vec<_> =
            (0..5).filter(|&to| to != from && !is_cut(&network, (from, to))).collect();
        let mut neighbours = vec![(from + 1) % 5, (from + 4) % 5];
        neighbours.sort_unstable();
        assert_eq!(heard, neighbours);
    }
}

#[test]
fn a_ring_has_the_order_in_which_it_is_written_and_others_talk_to_everybody() {
    let network = broken("kind = \"partition\"\nring = [\"n1\", \"n3\", \"n2\", \"n4\"]");
    assert!(!is_cut(&network, (0, 2)) && !is_cut(&network, (3, 0)));
    assert!(is_cut(&network, (0, 1)) && is_cut(&network, (2, 3)));
    assert!(!is_cut(&network, (4, 0)) && !is_cut(&network, (1, 4)));
}

#[test]
fn a_cut_as_it_is_written_and_as_it_is_asked_for_are_the_same() {
    for keys in [
        "groups = [[\"n1\", \"n5\"], [\"n2\"], [\"n4\"]]",
        "from = [\"n1\", \"n2\"]\nto = [\"n2\", \"n3\"]",
        "ring = [\"n5\", \"n1\", \"n4\", \"n2\", \"n3\"]",
    ] {
        let (mut network, faults) =
            network(&format!("[[fault]]\nkind = \"partition\"\nfrom_ms = 0\nuntil_ms = 1\n{keys}"));
        begin(&mut network, &faults[0]);
        let FaultKind::Partition(partition) = &faults[0] else { panic!("a partition") };
        for (from, to) in (0..5).flat_map(|from| (0..5).map(move |to| (from, to))) {
            let written = partition.cut.drops(NodeIndex(from), NodeIndex(to));
            assert_eq!(is_cut(&network, (from, to)), written, "{keys}: {from} to {to}");
        }
    }
}

#[test]
fn a_fault_of_some_kinds_of_messages_lets_others_pass_and_the_news_of_connections() {
    let link = (0, 1);
    for fault in
        ["kind = \"partition\"\ngroups = [[\"n1\"], [\"n2\"]]", "kind = \"loss\"\nprobability = 1"]
    {
        let network = broken(&format!("{fault}\nmessages = [\"hint\", \"read\"]"));
        for kind in [Kind::Replica(ReplicaKind::Hint), Kind::Replica(ReplicaKind::Read)] {
            assert!(matches!(fate_of(&network, 1, way(link, kind)), Fate::Cut | Fate::Lost));
            assert!(!network.is_nominal(way(link, kind)));
        }
        assert!(matches!(fate(&network, 1, link), Fate::Arrives { .. }));
        assert!(network.is_nominal(way(link, Kind::Replica(ReplicaKind::Merge))));
        let news = Way { kind: None, ..way(link, Kind::Replica(ReplicaKind::Merge)) };
        assert!(!network.is_cut(news) && network.is_nominal(news));
    }
}

#[test]
fn a_tail_makes_its_share_of_messages_longer_and_leaves_the_others_alone() {
    let (nominal, _) = network("");
    let by_factor = broken("kind = \"slow-link\"\ntail_share = 0.1\ntail_factor = 100");
    let by_time = broken("kind = \"slow-link\"\ntail_share = 0.1\ntail_ms = 500");
    let usual = |request| after(&nominal, request, (0, 1));
    let tail: Vec<_> = (0..10_000)
        .filter(|&request| after(&by_factor, request, (0, 1)) != usual(request))
        .collect();
    assert!((900..1_100).contains(&tail.len()), "{}", tail.len());
    let mut sum = 0;
    for &request in &tail {
        assert_eq!(after(&by_factor, request, (0, 1)), usual(request).times(100));
        sum += (after(&by_time, request, (0, 1)) - usual(request)).as_ms();
    }
    let mean = sum / tail.len() as u64;
    assert!((450..550).contains(&mean), "{mean} ms");
}

#[test]
fn copies_are_corrupt_as_often_as_was_said_each_by_itself() {
    let (mut network, faults) = network(
        "network = { duplicate = 1 }\n\
         [[fault]]\nkind = \"corrupt\"\nfrom_ms = 0\nuntil_ms = 1\nprobability = 0.2",
    );
    begin(&mut network, &faults[0]);
    let corrupt = |of: fn(Trip, Trip) -> bool| {
        share(&network, |fate| match fate {
            Fate::Arrives { first, again: Some(again) } => of(first, again),
            Fate::Arrives { again: None, .. } | Fate::Cut | Fate::Lost => panic!("it is doubled"),
        })
    };
    let (first, both) = (
        corrupt(|first, _| first.corruption.is_some()),
        corrupt(|first, again| first.corruption.is_some() && again.corruption.is_some()),
    );
    assert!((1_850..2_150).contains(&first), "{first}");
    assert!((320..480).contains(&both), "{both}");
}

#[test]
fn corruption_flips_a_few_bits_and_always_some() {
    let bytes = [0_u8; 40];
    for corruption in 0..1_000 {
        let flips: u32 = flipped(&bytes, corruption).iter().map(|byte| byte.count_ones()).sum();
        assert!((1..=16).contains(&flips), "{flips} bits");
    }
    assert!(flipped(&bytes, 7) == flipped(&bytes, 7) && flipped(&bytes, 7) != flipped(&bytes, 8));
    assert!(flipped(&[], 7).is_empty());
}

#[test]
fn a_clogged_link_is_not_cut_and_not_nominal() {
    let network = broken("kind = \"clog\"\norder = \"drawn\"\nto = [\"n2\"]");
    assert_eq!(
        network.clog_of(way((0, 1), Kind::Replica(ReplicaKind::Read))),
        Some(ClogOrder::Drawn)
    );
    assert_eq!(network.clog_of(way((1, 0), Kind::Replica(ReplicaKind::Read))), None);
    assert!(
        !is_cut(&network, (0, 1))
            && !network.is_nominal(way((0, 1), Kind::Replica(ReplicaKind::Read)))
    );
}

#[test]
fn a_node_that_is_let_go_leaves_others_clogged() {
    let (mut network, _) = network("");
    let clogged = |network: &Network, link| {
        network.clog_of(way(link, Kind::Replica(ReplicaKind::Read))).is_some()
    };
    network.clog(WorldTime(0), (0, 0), NodeIndex(1));
    network.clog(WorldTime(0), (0, 0), NodeIndex(2));
    assert!(clogged(&network, (1, 0)) && clogged(&network, (0, 1)) && !clogged(&network, (0, 3)));
    network.unclog(WorldTime(0), (0, 0), NodeIndex(1));
    assert!(!clogged(&network, (0, 1)) && clogged(&network, (1, 2)));
    network.remove(WorldTime(0), (0, 0));
    assert!(!clogged(&network, (1, 2)));
}
