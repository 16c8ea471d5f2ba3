use super::*;
use crate::cluster::network::Network;
use crate::cluster::world::World;
use crate::cluster::world_time::WorldTime;
use crate::faults::RuleName;
use crate::runs::options::RunOptions;
use crate::scenario::Scenario;
use crate::testing::scenario;

/// A cluster of five that has just started, with the rules of these faults.
fn scene(faults: &str) -> Scene {
    let scenario: Scenario = scenario(&format!("nodes = 5\n{faults}"));
    let world = World::new(&scenario, &RunOptions::seeded(1)).expect("it is a world");
    let mut scene = world.scene;
    for (number, fault) in (0..).zip(&scenario.faults) {
        let name: RuleName = (number, 0);
        let rule = fault.kind.rule(&[], 5).expect("it is a fault of links");
        let network: &mut Network = &mut scene.network;
        network.add(WorldTime(0), name, &rule);
    }
    scene
}

fn cut(keys: &str) -> String {
    format!("[[fault]]\nkind = \"partition\"\nfrom_ms = 0\nuntil_ms = 1\n{keys}\n")
}

/// The numbers of the nodes in each group, each with whether all in it hear each other.
fn groups(scene: &Scene) -> Vec<(Vec<usize>, bool)> {
    let number = |id: &NodeId| scene.index_of(*id).0 + 1;
    let groups = scene.groups().into_iter();
    groups.map(|group| (group.nodes.iter().map(number).collect(), group.is_whole)).collect()
}

#[test]
fn nodes_that_nothing_parts_are_one_group() {
    let scene = scene("");
    assert!(scene.is_sound());
    assert_eq!(groups(&scene), [(vec![1, 2, 3, 4, 5], true)]);
}

#[test]
fn a_cut_makes_two_groups() {
    let scene = scene(&cut("groups = [[\"n1\", \"n4\"], [\"n2\", \"n3\", \"n5\"]]"));
    assert!(!scene.is_sound());
    assert_eq!(groups(&scene), [(vec![1, 4], true), (vec![2, 3, 5], true)]);
    let [one, two] = [scene.node(NodeIndex(0)).id, scene.node(NodeIndex(1)).id];
    assert!(!scene.can_make_equal(one, two) && scene.can_make_equal(two, two));
}

#[test]
fn a_bridge_and_a_ring_make_one_group_in_which_not_all_hear_each_other() {
    let bridged = scene(&cut("groups = [[\"n1\", \"n2\"], [\"n4\", \"n5\"]]\nbridge = [\"n3\"]"));
    assert_eq!(groups(&bridged), [(vec![1, 2, 3, 4, 5], false)]);
    assert_eq!(groups(&scene(&cut("ring = \"all\""))), [(vec![1, 2, 3, 4, 5], false)]);
}

#[test]
fn who_is_heard_one_way_only_is_not_heard() {
    let rest = "\"n2\", \"n3\", \"n4\", \"n5\"";
    let deaf = scene(&cut(&format!("from = [\"n1\"]\nto = [{rest}]")));
    assert_eq!(groups(&deaf), [(vec![1], true), (vec![2, 3, 4, 5], true)]);
    let clog = "[[fault]]\nkind = \"clog\"\nfrom_ms = 0\nuntil_ms = 1\nto = [\"n1\"]\n";
    assert_eq!(groups(&scene(clog)), [(vec![1], true), (vec![2, 3, 4, 5], true)]);
}

#[test]
fn a_cut_of_some_kinds_of_messages_parts_nobody() {
    let all = "[\"n1\", \"n2\", \"n3\", \"n4\", \"n5\"]";
    let keys = format!("from = {all}\nto = {all}\nmessages = [\"hint-delivery\"]");
    assert_eq!(groups(&scene(&cut(&keys))), [(vec![1, 2, 3, 4, 5], true)]);
}

#[test]
fn one_that_does_not_run_is_in_no_group_and_a_full_disk_makes_nobody_equal() {
    let mut scene = scene("");
    let full = NodeIndex(1);
    scene.node_mut(full).disk.afflict(crate::faults::Ailment::IsFull, true);
    let left = scene.node(NodeIndex(0)).disk.image().clone();
    scene.node_mut(NodeIndex(0)).kill(left);
    assert_eq!(groups(&scene), [(vec![2, 3, 4, 5], true)]);
    let [two, three] = [full, NodeIndex(2)].map(|node| scene.node(node).id);
    assert!(!scene.can_make_equal(two, three) && scene.hear_each_other(full, NodeIndex(2)));
    assert!(scene.can_learn_from(three, two) && !scene.can_learn_from(two, three));
}
