//! Whole worlds: the same seed gives the same run, and each fault has its own effects and no
//! others.

mod lasting;

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use kv_core::message::{Kind, ReplicaKind};
use kv_core::store::{Store as _, View};

use super::*;
use crate::cluster::network::Way;
use crate::random::address::{Address, Aspect, Choice};
use crate::random::draws::Decision;
use crate::story::result::RunResult;
use crate::testing::scenario;

/// Some work and a little bad luck; tests that are not about faults must not wait for rest.
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

/// Runs a whole world and returns its trace.
fn trace_of(text: &str) -> String {
    let trace = Arc::new(Mutex::new(Vec::new()));
    let options = RunOptions { trace: Some(Trace(trace.clone())), ..RunOptions::seeded(1) };
    World::new(&scenario(text), &options).expect("it is a world").run();
    let trace = String::from_utf8(trace.lock().expect("nobody panicked").clone());
    trace.expect("a trace is text")
}

/// The times of the lines of a trace that match, in milliseconds of the chaos phase.
fn times_of(trace: &str, is_it: impl Fn(&str) -> bool) -> Vec<u64> {
    let lines = trace.lines().filter(|line| is_it(line));
    let seconds = lines.map(|line| line.split(' ').next().expect("a time"));
    let ms = seconds.map(|text| text.parse::<f64>().expect("a number") * 1_000.0);
    ms.filter_map(|ms| (ms.round() as u64).checked_sub(SETUP.as_ms())).collect()
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
        [
            Kind::Replica(ReplicaKind::Read),
            Kind::Replica(ReplicaKind::Mint),
            Kind::Replica(ReplicaKind::Merge),
        ]
        .map(|kind| lose(from, to, kind))
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
    // A pause that is longer than the network takes and shorter than any timeout.
    let faults = "[[fault]]\nkind = \"pause\"\nnodes = [\"n1\", \"n2\", \"n3\", \"n4\", \"n5\"]\n\
                  from_ms = 100\nuntil_ms = 400";
    let text = busy_with(faults).replace("loss = 0.01", "loss = 0");
    let (_, result) = result_of(&text);
    assert_eq!((result.outcomes.acknowledged, result.outcomes.unknown), (300, 0));
}

#[test]
fn a_paused_node_is_called_again_at_its_deadlines_when_it_goes_on() {
    let faults = "[[fault]]\nkind = \"pause\"\nnodes = [\"n1\"]\nfrom_ms = 100\nuntil_ms = 1500";
    let trace = trace_of(&busy_with(faults));
    let calls = times_of(&trace, |line| line.ends_with("n1 is called at its deadline"));
    assert!(calls.iter().all(|at| !(100..1_500).contains(at)), "it was called while it paused");
    assert!(calls.iter().any(|at| *at >= 1_500), "it is called again");
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
    assert!(!process.partitions.is_complete(owned), "its data marker is gone");
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

#[test]
fn what_a_clog_holds_arrives_when_it_ends_in_the_order_in_which_it_was_sent() {
    let clog = |order| {
        format!(
            "[[fault]]\nkind = \"clog\"\nfrom_ms = 100\nuntil_ms = 400\nfrom = [\"n1\"]\n\
             to = [\"n2\"]\norder = \"{order}\""
        )
    };
    let quiet =
        |text: &str| text.replace("loss = 0.01, duplicate = 0.01, reorder = 0.05", "loss = 0");
    let order_of = |order| {
        let trace = trace_of(&quiet(&busy_with(&clog(order))));
        let received = |line: &&str| line.contains("n2 receives") && line.contains("from n1:");
        let gossip = times_of(&trace, |line| received(&line));
        assert!(!gossip.iter().any(|at| (150..400).contains(at)), "nothing passes: {gossip:?}");
        let waits = times_of(&trace, |line| line.contains("from n1 to n2 waits"));
        assert!(waits.len() > 5 && waits.iter().all(|at| (100..400).contains(at)), "{waits:?}");
        // The message that a line names: `merge of 00..07`.
        let message = |line: &str| {
            let words: Vec<_> = line.split(' ').collect();
            let of = words.iter().position(|&word| word == "of").expect("it names a message");
            words[of - 1..=of + 1].join(" ")
        };
        let held = trace.lines().filter(|line| line.contains("from n1 to n2 waits"));
        let held: Vec<_> = held.map(message).collect();
        let since_end = trace.lines().skip_while(|line| !line.contains("#### clog ends"));
        let arrived = since_end.filter(received).map(message);
        // A message that is sent when the clog has ended may overtake.
        let arrived: Vec<_> = arrived.filter(|message| held.contains(message)).collect();
        (held, arrived)
    };
    // Behind them come messages that were sent again.
    let (held, arrived) = order_of("sent");
    assert_eq!(held, arrived[..held.len()]);
    let (held, arrived) = order_of("drawn");
    assert_ne!(held, arrived[..held.len()], "in another order");
    let all = |messages: Vec<String>| messages.into_iter().collect::<BTreeSet<_>>();
    assert_eq!(all(held), all(arrived), "and all of it");
}

#[test]
fn a_swizzle_clogs_nodes_one_after_another_and_lets_all_go_before_it_ends() {
    let faults = "[[fault]]\nkind = \"swizzle\"\nrandom = 4\nfrom_ms = 100\nuntil_ms = 900";
    let trace = trace_of(&busy_with(faults));
    let clogged = times_of(&trace, |line| line.contains("#### swizzle clogs: "));
    let freed = times_of(&trace, |line| line.contains("#### swizzle lets go: "));
    assert_eq!((clogged.len(), freed.len()), (4, 4));
    assert!(clogged.iter().all(|at| (100..=500).contains(at)), "{clogged:?}");
    assert!(freed.iter().all(|at| (500..=900).contains(at)), "{freed:?}");
    let names = |what: &str| {
        let lines = trace.lines().filter_map(|line| line.split(what).nth(1));
        lines.map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    let (out, back) = (names("swizzle clogs: "), names("swizzle lets go: "));
    assert_ne!(out, back, "in another order");
    let mut world = world(&busy_with(faults), 1);
    world.run();
    assert!(world.waiting.is_empty(), "nothing waits for ever");
}

#[test]
fn a_partition_that_flaps_comes_and_goes_and_ends_in_time() {
    let faults = "[[fault]]\nkind = \"partition\"\nfrom_ms = 100\nuntil_ms = 2000\n\
                  groups = [[\"n1\"], [\"n2\", \"n3\", \"n4\", \"n5\"]]\nflap_ms = 100";
    let text = busy_with(faults).replace("operations = 300", "operations = 2000");
    let text = text.replace("loss = 0.01, duplicate = 0.01, reorder = 0.05", "loss = 0");
    let trace = trace_of(&text);
    let goes = times_of(&trace, |line| line.contains("#### partition goes"));
    let comes = times_of(&trace, |line| line.contains("#### partition comes again"));
    let mut moments = [&[100][..], &goes, &comes].concat();
    moments.sort_unstable();
    assert!((14..=26).contains(&moments.len()), "{moments:?}");
    let gaps: Vec<_> = moments.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.iter().all(|gap| (49..=151).contains(gap)), "{gaps:?}");
    let lost = times_of(&trace, |line| line.contains(" is cut off"));
    let is_cut = |at: u64| {
        moments.iter().rposition(|&moment| moment <= at).is_some_and(|last| last % 2 == 0)
    };
    let near = |at: u64| moments.iter().any(|moment| moment.abs_diff(at) <= 1);
    assert!(lost.len() > 10 && lost.iter().all(|&at| at <= 2_000 && (is_cut(at) || near(at))));
    let (_, result) = result_of(&text);
    assert_eq!(result.faults["partition"], 1 + comes.len() as u64);
}

#[test]
fn a_corrupt_message_is_dropped_and_counted_and_its_decoder_survives_it() {
    let faults = "[[fault]]\nkind = \"corrupt\"\nfrom_ms = 0\nuntil_ms = 1000\nprobability = 0.5";
    let (world, result) = result_of(&busy_with(faults));
    let corrupt = result.probes["message-corrupted"];
    assert!(corrupt > 100 && world.tally.lost >= corrupt, "{corrupt}");
    assert_eq!(result.faults["corrupt"], 1);
    assert!(result.probes["corruption-not-seen-by-decoder"] > 0, "so a checksum is needed");
    assert!(result.outcomes.unknown > 0, "{:?}", result.outcomes);
}

#[test]
fn a_kill_at_a_step_falls_between_what_the_disk_has_done_and_what_its_node_knows() {
    let died_at = |step: &str| {
        let faults = format!(
            "[[fault]]\nkind = \"kill\"\nat = \"{step}\"\nnodes = [\"n2\"]\nfrom_ms = 200\n\
             until_ms = 800"
        );
        let mut world = world(&busy_with(&faults), 1);
        let disk = |world: &World| {
            let image = world.scene.nodes[1].disk.image();
            (image.newest(), image.reported())
        };
        run_until(&mut world, 1);
        let mut before = disk(&world);
        while world.scene.nodes[1].process().is_some() {
            before = disk(&world);
            assert!(world.step());
        }
        assert!(world.scene.now > WorldTime(1_200_000) && world.scene.now < WorldTime(1_400_000));
        while world.scene.nodes[1].process().is_none() && world.step() {}
        assert_eq!(world.scene.now, WorldTime(1_800_000), "it restarts when the fault ends");
        world.run();
        let mut result = RunResult::new(&scenario(&busy_with(&faults)), 1);
        world.report(&mut result);
        assert_eq!((result.faults["kill"], result.probes[&format!("died-before-{step}")]), (1, 1));
        before
    };
    let (newest, reported) = died_at("sync");
    assert!(newest > reported, "something was executed and not synced");
    let (newest, reported) = died_at("answer");
    assert_eq!(newest, reported, "everything was synced");
    died_at("execute");
}

#[test]
fn a_node_that_takes_no_such_step_in_time_is_spared() {
    let faults = "[[fault]]\nkind = \"kill\"\nat = \"sync\"\nnodes = [\"n2\"]\nfrom_ms = 200\nuntil_ms = 500\n\
                  [[fault]]\nkind = \"pause\"\nnodes = [\"n2\"]\nfrom_ms = 100\nuntil_ms = 600";
    let mut world = world(&busy_with(faults), 1);
    world.run();
    assert_eq!(world.scene.nodes[1].life(), 1, "it was paused all the time");
}

#[test]
fn a_frozen_monotonic_clock_stops_what_is_done_by_the_clock_until_it_runs_again() {
    let faults = "[[fault]]\nkind = \"clock-freeze\"\nclock = \"monotonic\"\nnodes = [\"n1\"]\n\
                  from_ms = 300\nuntil_ms = 1500";
    let trace = trace_of(&busy_with(faults));
    // A node that asks to be called at once is called even so.
    let calls = times_of(&trace, |line| line.ends_with("n1 is called at its deadline"));
    assert!(calls.iter().filter(|at| (310..1_500).contains(*at)).count() < 5, "{calls:?}");
    assert!(calls.iter().any(|at| *at < 300) && calls.iter().any(|at| *at >= 1_500));
    let gossip = |line: &str| line.contains("receives gossip-syn") && line.contains("from n1:");
    let gossip = times_of(&trace, gossip);
    assert!(gossip.iter().all(|at| !(400..1_500).contains(at)), "{gossip:?}");
    assert!(gossip.iter().any(|at| *at < 300) && gossip.iter().any(|at| *at >= 1_500));
    let heard = times_of(&trace, |line| line.contains(" n1 receives "));
    assert!(heard.iter().any(|at| (400..1_400).contains(at)), "it still answers");
}

#[test]
fn clocks_can_be_frozen_and_drift_apart() {
    let fault = |kind: &str, keys: &str| {
        format!(
            "[[fault]]\nkind = \"{kind}\"\nnodes = [\"n1\"]\nfrom_ms = 0\nuntil_ms = 1000\n{keys}\n"
        )
    };
    let passed = |faults: &str| {
        let text = busy_with(faults).replace("[expect]", "[clocks]\ndrift_ppm_max = 0\n[expect]");
        let mut world = world(&text, 1);
        run_until(&mut world, 1);
        let shown = |world: &World, node: usize| {
            let now = world.scene.nodes[node].clock.now(world.scene.now);
            [now.monotonic.0, now.wall.0].map(|us| i64::try_from(us).expect("a date"))
        };
        let before = [0, 1].map(|node| shown(&world, node));
        run_until(&mut world, 3);
        let after = [0, 1].map(|node| shown(&world, node));
        // The milliseconds that n1 has run ahead of n2, on which nothing is wrong.
        let ahead = |clock: usize| {
            let passed = |node: usize| after[node][clock] - before[node][clock];
            (passed(0) - passed(1)) / 1_000
        };
        (ahead(0), ahead(1))
    };
    let about = |(monotonic, wall): (i64, i64), expected: (i64, i64)| {
        let near = |a: i64, b: i64| (a - b).abs() <= 5;
        assert!(near(monotonic, expected.0) && near(wall, expected.1), "{monotonic} {wall}");
    };
    about(passed(&fault("clock-freeze", "clock = \"wall\"")), (0, -1_000));
    about(passed(&fault("clock-freeze", "clock = \"monotonic\"")), (-1_000, 0));
    about(passed(&fault("clock-freeze", "")), (-1_000, -1_000));
    let drift = fault("clock-drift", "drift_ppm = 400000\nclock = \"wall\"");
    about(passed(&drift), (0, 400));
    let both = format!("{drift}{}", fault("clock-freeze", "clock = \"monotonic\""));
    about(passed(&both), (-1_000, 400));
}

#[test]
fn an_outage_of_power_kills_a_place_and_one_of_the_network_cuts_it_off() {
    let places = "nodes = [{ name = \"n1\", rack = \"a\" }, { name = \"n2\", rack = \"a\" }, \
                  { name = \"n3\", rack = \"b\" }, { name = \"n4\", rack = \"b\" }, \
                  { name = \"n5\", rack = \"b\" }]";
    let outage = |how: &str| {
        let faults = format!(
            "[[fault]]\nkind = \"rack-outage\"\nrack = \"a\"\nhow = \"{how}\"\nfrom_ms = 200\n\
             until_ms = 1500"
        );
        let mut world = world(&busy_with(&faults).replace("nodes = 5", places), 1);
        run_until(&mut world, 2);
        world
    };
    let power = outage("power");
    let runs: Vec<_> = busy_nodes(&power).map(|(_, runs)| runs).collect();
    assert_eq!(runs, [false, false, true, true, true]);
    let network = outage("network");
    assert!(busy_nodes(&network).all(|(_, runs)| runs));
    let is_cut = |from, to| {
        let (from, to) = (NodeIndex(from), NodeIndex(to));
        network.scene.network.is_cut(Way { from, to, kind: None })
    };
    assert!(is_cut(0, 2) && is_cut(4, 1) && !is_cut(0, 1) && !is_cut(2, 4));
}

#[test]
fn clients_that_take_keys_in_turn_ask_for_each_as_often() {
    let trace = trace_of(
        "nodes = 3\n[[workload]]\nkind = \"put-get\"\nclients = 3\noperations = 21\nkeys = 7\n\
         distribution = \"in-turn\"\n[expect]\nchecks = [\"crash\"]",
    );
    let asked = |key: u32| {
        let asks = format!("\"k{key}\" ");
        trace.lines().filter(|line| line.contains(" asks n") && line.contains(&asks)).count()
    };
    assert_eq!((0..8).map(asked).collect::<Vec<_>>(), [3, 3, 3, 3, 3, 3, 3, 0]);
}
