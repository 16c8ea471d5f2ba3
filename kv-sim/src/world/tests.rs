//! Whole worlds: the same seed gives the same run, and faults do what they say and no more.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use kv_core::message::Kind;
use kv_core::store::{Store as _, View};

use super::*;
use crate::address::{Address, Aspect, Choice};
use crate::result::RunResult;
use crate::scenario::Decision;
use crate::testing::scenario;

/// Some work and a little bad luck; what is not about faults must not wait for rest.
const BUSY: &str = "
nodes = 5
network = { loss = 0.01, duplicate = 0.01, reorder = 0.05 }
[[workload]]
kind = \"put-get-delete\"
clients = 5
operations = 300
keys = 10
[expect]
checks = [\"crash\"]
converged_within_ms = 500
";

fn world_of(scenario: &Scenario, seed: u64) -> World {
    World::new(scenario, &RunOptions::seeded(seed)).expect("the scenario describes a world")
}

fn world(text: &str, seed: u64) -> World {
    world_of(&scenario(text), seed)
}

fn digest_of(mut world: World) -> u128 {
    world.run();
    world.digest()
}

fn result_of(text: &str) -> (World, RunResult) {
    let scenario = scenario(text);
    let mut world = world_of(&scenario, 1);
    world.run();
    let mut result = RunResult::new(&scenario, 1);
    world.report(&mut result);
    (world, result)
}

/// [`BUSY`] with faults; their texts stand before `[expect]` does.
fn busy_with(faults: &str) -> String {
    BUSY.replace("[expect]", &format!("{faults}\n[expect]"))
}

fn busy_nodes(world: &World) -> impl Iterator<Item = (NodeIndex, bool)> + '_ {
    let nodes = world.scene.nodes.iter().enumerate();
    nodes.map(|(at, node)| (NodeIndex(at), node.process().is_some()))
}

/// The keys of the records that a node holds.
fn records(world: &World, node: NodeIndex) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    world.scene.node(node).disk.image().scan(View::Live, &[], &[], &mut |key, _| {
        records.push(key.to_vec());
        ControlFlow::Continue(())
    });
    records
}

/// Lets a world run until this many seconds have passed in it.
fn run_until(world: &mut World, seconds: u64) {
    while world.scene.now < WorldTime(seconds * 1_000_000) && world.step() {}
}

#[test]
fn a_seed_gives_the_same_run_again_and_another_seed_another_one() {
    let first = digest_of(world(BUSY, 1));
    assert_eq!(first, digest_of(world(BUSY, 1)));
    assert_ne!(first, digest_of(world(BUSY, 2)));
}

#[test]
fn a_world_that_was_cloned_on_its_way_ends_as_the_first() {
    let mut world = world(BUSY, 1);
    for _ in 0..2_000 {
        world.step();
    }
    let clone = world.clone();
    assert_eq!(digest_of(world), digest_of(clone));
}

#[test]
fn worlds_side_by_side_do_not_meet() {
    let alone = digest_of(world(BUSY, 1));
    let (mut one, mut other) = (world(BUSY, 1), world(BUSY, 2));
    while one.step() {
        other.step();
    }
    assert_eq!(one.digest(), alone);
}

#[test]
fn checks_and_a_trace_watch_and_change_nothing() {
    let scenario = scenario(BUSY);
    let trace = Arc::new(Mutex::new(Vec::new()));
    let traced = RunOptions { trace: Some(Trace(trace.clone())), ..RunOptions::seeded(1) };
    let unchecked = RunOptions { checks: false, ..RunOptions::seeded(1) };
    let digest = |options| digest_of(World::new(&scenario, &options).expect("it is a world"));
    assert_eq!(digest(traced), digest(unchecked));
    let trace = String::from_utf8(trace.lock().expect("nobody panicked").clone());
    let trace = trace.expect("a trace is text");
    assert!(trace.contains("receives merge of"), "{}", &trace[..1_000]);
}

#[test]
fn an_override_of_what_would_have_been_chosen_anyway_changes_nothing_and_another_does() {
    let chosen = |value| {
        let mut scenario = scenario(BUSY);
        let address = Address::Client { client: 3, operation: 7 };
        let choice = Choice { address, n: 0, aspect: Aspect::Think };
        let at = choice.text(&scenario.cluster);
        scenario.decisions.push(Decision { at, value });
        digest_of(world_of(&scenario, 1))
    };
    let plain = world(BUSY, 1);
    let turn = plain.draws.only(Address::Client { client: 3, operation: 7 });
    let thinks = plain.draws.delay(turn, Aspect::Think, Span::ZERO, Span::from_ms(10)).0;
    let digest = digest_of(plain);
    assert_eq!(chosen(thinks), digest);
    assert_ne!(chosen(thinks + 1), digest);
}

#[test]
fn an_override_of_a_loss_loses_one_message() {
    let quiet = BUSY.replace("loss = 0.01, duplicate = 0.01, reorder = 0.05", "loss = 0.000001");
    let lost_with = |decisions: Vec<Decision>| {
        let mut scenario = scenario(&quiet);
        scenario.decisions = decisions;
        let mut world = world_of(&scenario, 1);
        world.run();
        world.tally.lost
    };
    // The request of the first operation of the first client, and its way to any replica.
    let request = "00000000000000010000000000000001";
    let lose = |from: usize, to: usize, kind: Kind| Decision {
        at: format!("message n{from} n{to} {} {request} 0 loss", kind.name()),
        value: 1,
    };
    let pairs = (1..=5).flat_map(|from| (1..=5).map(move |to| (from, to)));
    let first_ways = pairs.flat_map(|(from, to)| {
        [Kind::Read, Kind::Mint, Kind::Merge].map(|kind| lose(from, to, kind))
    });
    let with_one = first_ways.map(|decision| lost_with(vec![decision])).max();
    assert_eq!((lost_with(Vec::new()), with_one), (0, Some(1)));
}

#[test]
fn a_partition_cuts_messages_off_while_it_lasts() {
    let text = busy_with(
        "[[fault]]\nkind = \"partition\"\nfrom_ms = 100\nuntil_ms = 300\n\
         groups = [[\"n1\", \"n2\"], [\"n3\", \"n4\", \"n5\"]]",
    )
    .replace("loss = 0.01, duplicate = 0.01, reorder = 0.05", "loss = 0");
    let mut world = world(&text, 1);
    let mut lost_at = Vec::new();
    loop {
        let lost = world.tally.lost;
        let goes_on = world.step();
        if world.tally.lost > lost {
            lost_at.push(world.scene.now.since(WorldTime(0) + SETUP).as_ms());
        }
        if !goes_on {
            break;
        }
    }
    assert!(lost_at.len() > 20, "{lost_at:?}");
    assert!(lost_at.iter().all(|at| (100..=300).contains(at)), "{lost_at:?}");
}

#[test]
fn a_killed_node_stays_down_while_a_fault_wants_it_and_comes_back_with_what_it_had_synced() {
    let kill = |from, until| {
        let times = format!("from_ms = {from}\nuntil_ms = {until}\n");
        format!("[[fault]]\nkind = \"kill\"\nnodes = [\"n2\"]\n{times}")
    };
    let text = busy_with(&format!("{}{}", kill(200, 2_500), kill(1_000, 4_000)));
    let mut world = world(&text, 1);
    run_until(&mut world, 4);
    assert!(busy_nodes(&world).all(|(node, runs)| runs == (node != NodeIndex(1))));
    let is_written = |record: &Vec<u8>| record.first() == Some(&b'd');
    let held = records(&world, NodeIndex(1));
    assert!(held.iter().any(is_written), "it had written something");
    while world.scene.nodes[1].process().is_none() && world.step() {}
    assert_eq!(records(&world, NodeIndex(1)), held);
    world.run();
    assert_eq!(world.scene.nodes[1].life(), 2, "it started once, and once again");
}

#[test]
fn clients_of_a_killed_node_do_not_know_what_came_of_their_requests() {
    let faults = "[[fault]]\nkind = \"kill\"\nrandom = 2\nfrom_ms = 100\nuntil_ms = 150\n\
                  every_ms = 100\ntimes = 5";
    let (_, result) = result_of(&busy_with(faults));
    assert_eq!(result.faults["kill"], 5);
    assert!(result.outcomes.unknown > 0, "{:?}", result.outcomes);
    assert_eq!(result.operations, 300);
    let outcomes = result.outcomes;
    assert_eq!(outcomes.acknowledged + outcomes.unknown + outcomes.refused, 300);
}

#[test]
fn a_paused_node_answers_when_it_goes_on() {
    // Longer than the network takes and shorter than anybody's patience.
    let faults = "[[fault]]\nkind = \"pause\"\nnodes = [\"n1\", \"n2\", \"n3\", \"n4\", \"n5\"]\n\
                  from_ms = 100\nuntil_ms = 400";
    let text = busy_with(faults).replace("loss = 0.01", "loss = 0");
    let (_, result) = result_of(&text);
    assert_eq!((result.outcomes.acknowledged, result.outcomes.unknown), (300, 0));
}

#[test]
fn a_paused_node_is_called_again_at_its_deadlines_when_it_goes_on() {
    let faults = "[[fault]]\nkind = \"pause\"\nnodes = [\"n1\"]\nfrom_ms = 100\nuntil_ms = 1500";
    let scenario = scenario(&busy_with(faults));
    let trace = Arc::new(Mutex::new(Vec::new()));
    let options = RunOptions { trace: Some(Trace(trace.clone())), ..RunOptions::seeded(1) };
    World::new(&scenario, &options).expect("it is a world").run();
    let trace = String::from_utf8(trace.lock().expect("nobody panicked").clone());
    let trace = trace.expect("a trace is text");
    let calls = trace.lines().filter(|line| line.ends_with("n1 is called at its deadline"));
    let seconds: Vec<f64> = calls
        .map(|line| line.split(' ').next().expect("a time").parse().expect("a number"))
        .collect();
    assert!(seconds.iter().all(|at| !(1.1..2.5).contains(at)), "it was called while it paused");
    assert!(seconds.iter().any(|at| *at >= 2.5), "it is called again");
}

#[test]
fn a_wipe_takes_the_data_and_leaves_the_identity() {
    let faults = "[[fault]]\nkind = \"wipe\"\nnodes = [\"n1\"]\nfrom_ms = 500\nuntil_ms = 600";
    let mut world = world(&busy_with(faults), 1);
    let id = world.scene.nodes[0].id;
    let owned = world.scene.ring.owned_by(id)[0];
    while world.scene.nodes[0].life() == 1 && world.step() {}
    let machine = &world.scene.nodes[0];
    assert_eq!((machine.id, machine.life()), (id, 2));
    let process = machine.process().expect("it runs again");
    assert!(!process.partitions.is_synced(owned), "its data marker is gone");
}

#[test]
fn a_disk_that_lies_loses_at_a_kill_what_it_had_reported() {
    let faults = "[[fault]]\nkind = \"lost-sync\"\nnodes = [\"n1\"]\nfrom_ms = 0\nuntil_ms = 450\n\
                  [[fault]]\nkind = \"kill\"\nnodes = [\"n1\"]\nfrom_ms = 400\nuntil_ms = 500";
    let mut world = world(&busy_with(faults), 1);
    let claimed = |world: &World| world.scene.nodes[0].disk.image().claimed().len();
    let mut before = 0;
    while world.scene.nodes[0].process().is_some() {
        before = claimed(&world);
        world.step();
    }
    assert!(before > 0, "it had lied");
    let is_written = |record: &Vec<u8>| record.first() == Some(&b'd');
    assert!(!records(&world, NodeIndex(0)).iter().any(is_written), "nothing was safe");
    world.run();
    assert!(records(&world, NodeIndex(0)).iter().any(is_written));
    assert_eq!(claimed(&world), 0, "it lies no longer");
}

#[test]
fn a_clock_that_drifts_for_a_while_calls_its_node_as_it_shows() {
    let faults = "[[fault]]\nkind = \"clock-drift\"\nnodes = [\"n1\"]\ndrift_ppm = 400000\n\
                  from_ms = 0\nuntil_ms = 1000";
    let text = busy_with(faults).replace("[expect]", "[clocks]\ndrift_ppm_max = 0\n[expect]");
    let mut world = world(&text, 1);
    run_until(&mut world, 1);
    let shown = |world: &World| {
        let now = world.scene.now;
        let show = |node: usize| world.scene.nodes[node].clock.now(now).monotonic;
        (show(0), show(1))
    };
    let before = shown(&world);
    run_until(&mut world, 3);
    let after = shown(&world);
    let (fast, right) = (after.0.since(before.0).0, after.1.since(before.1).0);
    assert!((395_000..405_000).contains(&(fast - right)), "{fast} {right}");
}

#[test]
fn messages_as_values_arrive_as_they_do_when_encoded() {
    let scenario = scenario(BUSY);
    let plain = RunOptions { encoding: false, ..RunOptions::seeded(1) };
    let mut plain = World::new(&scenario, &plain).expect("it is a world");
    let mut encoded = world_of(&scenario, 1);
    plain.run();
    encoded.run();
    assert_eq!(plain.tally.events, encoded.tally.events);
    assert_eq!(plain.clients.outcomes, encoded.clients.outcomes);
}
