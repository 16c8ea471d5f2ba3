//! Two or three nodes that repair each other, over real storage commands.
//!
//! A round reads through what a node holds, and a session has dozens of steps: where the list of all
//! effects is long for that reason, all messages are compared, or all that was told, in order.

mod copying;
mod corrupt_keys;
mod messages;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::config::Config;
use crate::message::repair::{Compare, Exchange, Roots};
use crate::message::{Body, Kind, Message, RepairKind};
use crate::store::{self, Outcome, Recovered};
use crate::testing::world::{Done, Machine, World, kinds, messages, tells, told};
use crate::time::HybridTime;
use crate::types::{ContentHash, Epoch};
use crate::version::{Actor, Container, Content, Dot, Version};

impl Machine for Repair {
    const ISSUER: Issuer = Issuer::Repair;

    fn start(recovered: &Recovered) -> Self {
        Self::new(recovered.corrupt.clone())
    }

    fn next_deadline(&self) -> Option<Time> {
        self.next_deadline()
    }

    fn on_deadline(&mut self, cx: &mut Cx<'_>, local: &mut NodeContext) {
        self.on_deadline(cx, local);
    }

    fn on_message(&mut self, cx: &mut Cx<'_>, local: &mut NodeContext, message: Message) {
        let from = (message.header.from, message.header.request);
        match message.body {
            Body::Repair(message) => self.on_message(cx, local, from, message),
            other => panic!("nobody here says {other:?}"),
        }
    }

    fn on_store_done(
        &mut self,
        cx: &mut Cx<'_>,
        local: &mut NodeContext,
        seq: Seq,
        outcome: Outcome,
    ) {
        let store::Answer::Repair(answer) = outcome.answer else {
            panic!("it is not for this part")
        };
        self.on_corrupt(outcome.corrupt);
        let complete = self.on_store_done(cx, local, outcome.partition, seq, answer);
        local.complete.extend(complete);
    }

    fn on_durable(&mut self, cx: &mut Cx<'_>, local: &mut NodeContext, seq: Seq) {
        let complete = self.on_durable(cx, local, seq);
        local.complete.extend(complete);
    }

    fn invariants(&self, local: &NodeContext) {
        Self::invariants(self, local);
    }
}

/// A message by its sender, its receiver and its kind. Most carry hashes of trees, which only the
/// code under test can say.
type PeerSaid = (u64, u64, RepairKind);

/// All messages among the effects, in order.
fn said(done: &[Done]) -> Vec<PeerSaid> {
    let name = |message: &Message| match message.body.kind() {
        Kind::Repair(kind) => (message.header.from.0, message.header.to.0, kind),
        other => panic!("nobody here says {other:?}"),
    };
    messages(done).into_iter().map(name).collect()
}

/// A node asks and another answers, in turn.
fn dialogue(asks: u64, answers: u64, kinds: &[RepairKind]) -> Vec<PeerSaid> {
    let directions = [(asks, answers), (answers, asks)].into_iter().cycle();
    kinds.iter().zip(directions).map(|(&kind, (from, to))| (from, to, kind)).collect()
}

/// The messages between two nodes that are equal.
const EQUAL: &[RepairKind] = &[RepairKind::Compare, RepairKind::Compared];

/// The messages before the pause, between two nodes that differ.
const FIRST_LOOK: &[RepairKind] =
    &[RepairKind::Compare, RepairKind::Compared, RepairKind::Roots, RepairKind::RootsDiffer];

/// The messages after the pause, before the first partition is repaired.
const SECOND_LOOK: &[RepairKind] = &[RepairKind::Roots, RepairKind::RootsDiffer];

/// The messages about a partition in which one key differs.
const DESCENT: &[RepairKind] = &[
    RepairKind::Branches,
    RepairKind::BranchesDiffer,
    RepairKind::Leaves,
    RepairKind::LeavesDiffer,
    RepairKind::Summaries,
    RepairKind::Summarized,
    RepairKind::Exchange,
    RepairKind::Exchanged,
];

/// A node finds keys that differ from another's, and makes them equal.
fn repairs(node: u64, peer: u64, partition: PartitionId, keys: u64) -> [Done; 2] {
    let differed = Event::RepairDiffered { peer: NodeId(peer), partition, keys };
    [tells(NodeId(node), differed), finds_clean(node, peer, partition)]
}

fn finds_clean(node: u64, peer: u64, partition: PartitionId) -> Done {
    tells(NodeId(node), Event::RepairClean { peer: NodeId(peer), partition })
}

/// A node finds at the second look that a partition has become equal meanwhile.
fn finds_equal(node: u64, peer: u64, partition: PartitionId) -> [Done; 2] {
    let equal = Event::Probe(Probe::SecondLookEqual);
    [tells(NodeId(node), equal), finds_clean(node, peer, partition)]
}

fn times_out(node: u64) -> Done {
    tells(NodeId(node), Event::Probe(Probe::RepairTimedOut))
}

/// A round of each node, and the pause within it, end well before this.
const ROUND_MS: u64 = 10_000;

/// Rounds are far apart, so that each is over before the next.
fn config() -> Config {
    Config { repair_interval_ms: ROUND_MS, ..Config::default() }
}

/// A world that has passed its first deadlines, which only draw phases.
fn world(nodes: u64, config: Config) -> World<Repair> {
    let mut world = World::new(nodes, nodes as u8, 4, config);
    world.wait();
    world
}

fn round(world: &mut World<Repair>) {
    world.wait_ms(ROUND_MS);
}

fn key(number: usize) -> Key {
    Key::from(format!("key-{number}").as_str())
}

fn dot(node: u64, n: u64) -> Dot {
    Dot { actor: Actor { node: NodeId(node), epoch: Epoch(0) }, n }
}

fn version(n: u64) -> Version {
    Version {
        content: Content::Value(Bytes::copy_from_slice(&n.to_be_bytes())),
        time: HybridTime(n),
        expiry: None,
        request: RequestId(u128::from(n)),
        tag: None,
    }
}

fn written(node: u64, n: u64) -> Container {
    let mut container = Container::default();
    container.add(dot(node, n), version(n));
    container
}

fn roots(world: &World<Repair>) -> BTreeSet<Vec<(PartitionId, ContentHash)>> {
    let roots = world.nodes.values().map(|member| member.local.roots.clone().into_iter().collect());
    roots.collect()
}

#[derive(Clone, Debug)]
enum Change {
    /// A put at one of two replicas, upon what one of them holds.
    Put { key: usize, at: usize, seen_at: usize },
    /// One replica joins what the other holds.
    Join { key: usize, to: usize },
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let put = (0..12_usize, 0..2_usize, 0..2_usize).prop_map(|(key, at, seen_at)| Change::Put {
        key,
        at,
        seen_at,
    });
    let join = (0..12_usize, 0..2_usize).prop_map(|(key, to)| Change::Join { key, to });
    proptest::collection::vec(prop_oneof![3 => put, 1 => join], 0..60)
}

/// The containers of two replicas after these changes.
fn play(changes: &[Change]) -> BTreeMap<usize, [Container; 2]> {
    let mut held = BTreeMap::<usize, [Container; 2]>::new();
    let mut writes = 0;
    for change in changes {
        match *change {
            Change::Put { key, at, seen_at } => {
                writes += 1;
                let pair = held.entry(key).or_default();
                let seen = pair[seen_at].seen().clone();
                pair[at].discard(&seen);
                pair[at].add(dot(at as u64 + 1, writes), version(writes));
            }
            Change::Join { key, to } => {
                let pair = held.entry(key).or_default();
                let other = pair[1 - to].clone();
                pair[to].join(&other);
            }
        }
    }
    held
}

/// Lets each of two replicas hold its container of every key, if it has one.
fn put_all(world: &mut World<Repair>, held: &BTreeMap<usize, [Container; 2]>) {
    for (&number, pair) in held {
        for (node, container) in (1..).zip(pair) {
            if !container.is_empty() {
                world.puts(node, &key(number), container.clone());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// So an owner that lost its data copies all of it also from one that can take nothing.
    #[test]
    fn one_pass_brings_all_that_a_peer_holds_whose_disk_is_full(
        changes in changes(),
        batch in prop_oneof![Just(256_u64), Just(1_000), Just(65_536)],
    ) {
        let mut world = world(2, Config { repair_batch_bytes: batch, ..config() });
        let held = play(&changes);
        put_all(&mut world, &held);
        world.member(2).store.fault = Some(crate::store::StoreFault::Full);
        world.is_lost = Box::new(|message| {
            message.header.from == NodeId(2) && message.body.kind() == Kind::Repair(RepairKind::Compare)
        });
        round(&mut world);
        let mut is_one_way = false;
        for (number, [mine, theirs]) in held {
            let mut joined = mine.clone();
            joined.join(&theirs);
            prop_assert_eq!(&world.holds(1, &key(number)), &joined);
            prop_assert_eq!(&world.holds(2, &key(number)), &theirs);
            is_one_way |= joined != theirs;
        }
        // It does not count as equal until it is.
        let is_clean = world.member(1).machine.clean_since(NodeId(2)).is_some();
        prop_assert_eq!(is_clean, !is_one_way);
        // The other one asks as soon as it has room.
        world.member(2).store.fault = None;
        world.is_lost = Box::new(|_| false);
        round(&mut world);
        prop_assert_eq!(roots(&world).len(), 1);
    }

    #[test]
    fn one_pass_makes_both_sides_equal_whatever_they_held(
        changes in changes(),
        batch in prop_oneof![Just(256_u64), Just(1_000), Just(65_536)],
    ) {
        let mut world = world(2, Config { repair_batch_bytes: batch, ..config() });
        let held = play(&changes);
        put_all(&mut world, &held);
        let differing = held.values().filter(|pair| pair[0] != pair[1]).count() as u64;
        // The other side asks nothing: one pass of one side is enough.
        world.is_lost = Box::new(|message| {
            message.header.from == NodeId(2) && message.body.kind() == Kind::Repair(RepairKind::Compare)
        });
        round(&mut world);
        for (number, [mine, theirs]) in held {
            let mut joined = mine.clone();
            joined.join(&theirs);
            prop_assert_eq!(&world.holds(1, &key(number)), &joined);
            prop_assert_eq!(&world.holds(2, &key(number)), &joined);
        }
        prop_assert_eq!(roots(&world).len(), 1);
        let found = world.done().iter().map(|(_, effect)| match effect {
            Effect::Observe(Event::RepairDiffered { keys, .. }) => *keys,
            _ => 0,
        });
        prop_assert_eq!(found.sum::<u64>(), differing);
    }
}

#[test]
fn an_equal_pair_exchanges_a_comparison_and_its_answer_and_nothing_else() {
    let mut world = world(2, config());
    for node in [1, 2] {
        world.puts(node, &key(1), written(1, 1));
    }
    for _ in 0..10 {
        round(&mut world);
        let done = world.take();
        assert_eq!(said(&done), [dialogue(1, 2, EQUAL), dialogue(2, 1, EQUAL)].concat());
        assert_eq!(told(&done), []);
    }
}

#[test]
fn repairs_among_three_end_within_two_rounds() {
    let mut world = world(3, config());
    for number in 0..9 {
        world.puts(1 + number as u64 % 3, &key(number), written(1, 1));
    }
    round(&mut world);
    round(&mut world);
    assert_eq!(roots(&world).len(), 1);
    world.take();
    for _ in 0..4 {
        round(&mut world);
        // With whom each compares itself is drawn.
        let done = world.take();
        let equal = [RepairKind::Compare, RepairKind::Compared].map(Kind::Repair);
        assert_eq!(kinds(&done), equal.repeat(3));
        assert_eq!(told(&done), []);
    }
}

#[test]
fn a_write_in_flight_during_the_pause_is_not_repaired() {
    let mut world = world(2, config());
    world.puts(1, &key(1), written(1, 1));
    while !said(world.done()).contains(&(2, 1, RepairKind::RootsDiffer)) {
        world.wait();
    }
    world.puts(2, &key(1), written(1, 1));
    round(&mut world);
    let partition = world.ring().partition_of(key(1).token());
    let done = world.take();
    let dialogues = [
        dialogue(1, 2, FIRST_LOOK),
        dialogue(2, 1, FIRST_LOOK),
        dialogue(1, 2, SECOND_LOOK),
        dialogue(2, 1, SECOND_LOOK),
    ];
    assert_eq!(said(&done), dialogues.concat());
    assert_eq!(told(&done), [finds_equal(1, 2, partition), finds_equal(2, 1, partition)].concat());
}

#[test]
fn what_was_pushed_is_acknowledged_when_it_is_durable_and_not_before() {
    let mut world = world(2, Config { repair_settle_ms: 0, ..config() });
    world.puts(1, &key(1), written(1, 1));
    world.held.insert(NodeId(2));
    while !said(world.done()).contains(&(1, 2, RepairKind::Exchange)) {
        world.wait();
    }
    let (before, last) = DESCENT.split_at(DESCENT.len() - 1);
    let done = world.take();
    // The other side's own comparison is of what it holds, durable or not.
    let dialogues =
        [dialogue(1, 2, &[FIRST_LOOK, SECOND_LOOK, before].concat()), dialogue(2, 1, EQUAL)];
    assert_eq!(said(&done), dialogues.concat());
    assert_eq!(told(&done), []);
    world.release(2);
    let partition = world.ring().partition_of(key(1).token());
    let done = world.take();
    assert_eq!(said(&done), dialogue(2, 1, last));
    assert_eq!(told(&done), repairs(1, 2, partition, 1));
    assert_eq!(world.holds(2, &key(1)), written(1, 1));
}

#[test]
fn a_peer_that_takes_nothing_and_gives_nothing_is_asked_ever_more_seldom() {
    let mut world = world(2, config());
    world.puts(1, &key(1), written(1, 1));
    world.member(2).store.fault = Some(crate::store::StoreFault::Full);
    let asked = |world: &mut World<Repair>| {
        let pushes = |(node, effect): &&Done| {
            let kind = match effect {
                Effect::Send(message) => message.body.kind(),
                _ => return false,
            };
            *node == NodeId(1) && kind == Kind::Repair(RepairKind::Exchange)
        };
        world.take().iter().filter(pushes).count()
    };
    let rounds = |world: &mut World<Repair>, count: u32| {
        (0..count).for_each(|_| round(world));
        asked(world)
    };
    // The pauses are of 1, 2, 4, 8, 16 and 32 rounds, and then of 64 each.
    assert_eq!(rounds(&mut world, 64), 6);
    assert!(rounds(&mut world, 128) <= 2);
    // The other one asks as often as ever, and is brought up to date as soon as it has room.
    world.member(2).store.fault = None;
    rounds(&mut world, 1);
    assert_eq!(roots(&world).len(), 1);
}

#[test]
fn a_silent_peer_is_given_up_and_the_next_session_works() {
    for kind in [
        RepairKind::Compared,
        RepairKind::RootsDiffer,
        RepairKind::BranchesDiffer,
        RepairKind::LeavesDiffer,
        RepairKind::Summarized,
        RepairKind::Exchanged,
    ] {
        let mut world = world(2, config());
        let home = |world: &World<Repair>, number| world.ring().partition_of(key(number).token());
        let [first, second] = [home(&world, 2), home(&world, 1)];
        world.puts(1, &key(1), written(1, 1));
        world.puts(2, &key(2), written(2, 1));
        world.is_lost = Box::new(move |message| message.body.kind() == Kind::Repair(kind));
        round(&mut world);
        let done = world.take();
        // Each side gets as far as to the answer that is lost.
        let up_to = |kinds: &[RepairKind]| match kinds.iter().position(|&one| one == kind) {
            Some(lost) => kinds[..=lost].to_vec(),
            None => kinds.to_vec(),
        };
        let before = up_to(FIRST_LOOK);
        let after =
            if before.contains(&kind) { vec![] } else { [SECOND_LOOK, &up_to(DESCENT)].concat() };
        let dialogues = [
            dialogue(1, 2, &before),
            dialogue(2, 1, &before),
            dialogue(1, 2, &after),
            dialogue(2, 1, &after),
        ];
        assert_eq!(said(&done), dialogues.concat(), "{kind:?}");
        assert_eq!(told(&done), [times_out(1), times_out(2)], "{kind:?}");
        assert!(world.nodes.values().all(|member| member.machine.session.is_none()));
        world.is_lost = Box::new(|_| false);
        round(&mut world);
        round(&mut world);
        assert_eq!(roots(&world).len(), 1, "{kind:?}");
        // What was pushed has arrived, though the answer was lost.
        let differing = match kind {
            RepairKind::Exchanged => vec![second],
            _ => vec![first, second],
        };
        let done = world.take();
        let descents = DESCENT.repeat(differing.len());
        let dialogues = [
            dialogue(1, 2, FIRST_LOOK),
            dialogue(2, 1, FIRST_LOOK),
            dialogue(1, 2, &[SECOND_LOOK, &descents].concat()),
            dialogue(2, 1, SECOND_LOOK),
            dialogue(1, 2, EQUAL),
            dialogue(2, 1, EQUAL),
        ];
        assert_eq!(said(&done), dialogues.concat(), "{kind:?}");
        let repaired = differing.iter().flat_map(|&partition| repairs(1, 2, partition, 1));
        let equal = differing.iter().flat_map(|&partition| finds_equal(2, 1, partition));
        assert_eq!(told(&done), repaired.chain(equal).collect::<Vec<_>>(), "{kind:?}");
    }
}

#[test]
fn a_partner_that_is_silent_or_down_does_not_keep_the_others_waiting() {
    let mut world = world(3, config());
    world.is_lost = Box::new(|message| message.header.to == NodeId(2));
    world.member(1).local.peers.down.insert(NodeId(3));
    round(&mut world);
    round(&mut world);
    // With whom the others compare themselves is drawn.
    let asks = &[RepairKind::Compare];
    let done = world.take();
    let dialogues = [
        dialogue(1, 2, asks),
        dialogue(2, 1, EQUAL),
        dialogue(3, 1, EQUAL),
        dialogue(1, 2, asks),
        dialogue(2, 3, EQUAL),
        dialogue(3, 2, asks),
    ];
    assert_eq!(said(&done), dialogues.concat());
    assert_eq!(told(&done), [1, 2, 1, 2, 3].map(times_out));
    world.member(1).local.peers.down.clear();
    round(&mut world);
    round(&mut world);
    let done = world.take();
    let dialogues = [
        dialogue(1, 3, EQUAL),
        dialogue(2, 1, EQUAL),
        dialogue(3, 1, EQUAL),
        dialogue(1, 2, asks),
        dialogue(2, 3, EQUAL),
        dialogue(3, 2, asks),
    ];
    assert_eq!(said(&done), dialogues.concat());
    assert_eq!(told(&done), [2, 1, 2, 3].map(times_out));
}

#[test]
fn a_stale_peer_is_compared_next() {
    let mut world = world(3, config());
    for _ in 0..2 {
        round(&mut world);
    }
    let done = world.take();
    let dialogues =
        [(1, 2), (2, 1), (3, 1), (1, 3), (2, 3), (3, 2)].map(|(a, b)| dialogue(a, b, EQUAL));
    assert_eq!(said(&done), dialogues.concat());
    let peer = NodeId(3);
    assert!(world.member(1).machine.clean_since(peer).is_some());
    world.member(1).machine.on_stale(peer);
    round(&mut world);
    let done = world.take();
    let dialogues = [(1, 3), (2, 1), (3, 1)].map(|(a, b)| dialogue(a, b, EQUAL));
    assert_eq!(said(&done), dialogues.concat());
}
