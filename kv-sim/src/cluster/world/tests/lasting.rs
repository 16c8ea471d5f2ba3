//! Faults that never end: what they break stays broken, and the rest of the cluster comes to rest.

use super::*;
use crate::checks::CheckName;
use crate::story::result::Verdict;

/// Some work in a cluster of five, judged by all checks.
fn with(faults: &str) -> String {
    format!(
        "nodes = 5\npartitions = 8\n[[workload]]\nkind = \"put-get\"\nclients = 4\noperations = 200\n\
         keys = 20\nthink_ms_mean = 20\n{faults}"
    )
}

fn lasting(kind: &str, keys: &str) -> String {
    format!("[[fault]]\nkind = \"{kind}\"\nfrom_ms = 300\nuntil = \"never\"\n{keys}\n")
}

/// The number of hints that a node keeps for another.
fn hints(world: &World, node: usize, target: usize) -> usize {
    let target = world.scene.nodes[target].id;
    let mut kept = 0;
    let image = world.scene.nodes[node].disk.image();
    kv_core::storage::for_each_hint(image, |_, of, _| kept += usize::from(of == target));
    kept
}

fn assert_held(world: &World, result: RunResult) {
    let result = result.concluded(&world.expect.outcomes);
    assert_eq!(result.verdict, Verdict::Pass, "{:?}", result.violation());
    assert_eq!(world.phase(), &Phase::Over);
}

#[test]
fn a_node_that_is_killed_for_ever_stays_down_and_its_hints_stay_with_the_others() {
    let (world, result) = result_of(&with(&lasting("kill", "nodes = [\"n5\"]")));
    assert!(world.scene.nodes[4].process().is_none());
    assert!((0..4).map(|node| hints(&world, node, 4)).sum::<usize>() > 0);
    assert!(result.checks["quiescence"].examined > 0, "the others came to rest");
    assert_held(&world, result);
}

#[test]
fn a_cut_that_never_ends_is_not_healed() {
    let (world, result) = result_of(&with(&lasting(
        "partition",
        "groups = [[\"n1\"], [\"n2\", \"n3\", \"n4\", \"n5\"]]",
    )));
    assert_eq!(world.scene.groups().len(), 2);
    assert!(world.scene.network.is_cut(Way { from: NodeIndex(0), to: NodeIndex(1), kind: None }));
    assert_held(&world, result);
}

#[test]
fn a_node_that_hangs_for_ever_is_not_waited_for() {
    let (world, result) = result_of(&with(&lasting("pause", "nodes = [\"n2\"]")));
    assert!(!world.scene.nodes[1].is_awake() && world.scene.nodes[1].process().is_some());
    assert_held(&world, result);
}

#[test]
fn a_disk_that_is_full_for_ever_keeps_only_its_own_node_from_being_equal() {
    let (world, result) = result_of(&with(&lasting("disk-full", "nodes = [\"n3\"]")));
    assert!(world.scene.nodes[2].is_awake() && !world.scene.is_sound());
    assert_held(&world, result);
}

#[test]
fn the_living_must_still_become_equal() {
    let mut world = world(&with(&lasting("kill", "nodes = [\"n5\"]")), 1);
    while !matches!(world.phase(), Phase::Heal { .. }) && world.step() {}
    // What one owner has lost without knowing it is not brought back by anybody here.
    world.scene.network.turn_off(crate::faults::Kinds::ALL);
    let lost = world.scene.nodes[0].disk.image().sound().cloned().collect::<Vec<_>>();
    world.scene.nodes[0].disk.image_mut().rot(lost);
    world.run();
    let found = world.checks().expect("it is checked").findings(CheckName::Convergence).violation();
    assert!(found.expect("it is violated").contains("n1"), "the first node is not whole");
}

#[test]
fn a_node_that_dies_while_the_others_heal_gives_them_their_time_anew() {
    let dies = "nodes = [\"n1\", \"n2\"]\nat = \"sync\"";
    let text = with(&format!(
        "{}{}",
        "[[fault]]\nkind = \"kill\"\nnodes = [\"n3\"]\nfrom_ms = 100\nuntil_ms = 6000\n",
        lasting("kill", dies).replace("from_ms = 300", "from_ms = 5999")
    ));
    let (world, result) = result_of(&text);
    let down = world.scene.nodes.iter().filter(|node| node.process().is_none()).count();
    assert!(down > 0, "somebody had something to sync");
    assert_held(&world, result);
}

#[test]
fn a_way_of_repair_that_is_off_carries_nothing() {
    let faults = "[[fault]]\nkind = \"kill\"\nnodes = [\"n5\"]\nfrom_ms = 100\nuntil_ms = 1500\n";
    let text = format!("repair_by = [\"reads\", \"comparison\"]\n{}", with(faults));
    let (world, result) = result_of(&text);
    assert!((0..4).map(|node| hints(&world, node, 4)).sum::<usize>() > 0, "they are kept");
    assert!(
        result.messages_by_kind["hint-delivery"] > 0
            && !result.messages_by_kind.contains_key("hint-delivered")
    );
    assert_held(&world, result);
}
