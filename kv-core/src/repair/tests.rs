//! Two or three nodes that repair each other, over real storage commands.

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
use crate::testing::world::{Machine, World};
use crate::time::HybridTime;
use crate::types::{ContentHash, Epoch};
use crate::version::{Actor, Container, Content, Dot, Version};

impl Machine for Repair {
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

const IDLE: [Kind; 2] = [Kind::Repair(RepairKind::Compare), Kind::Repair(RepairKind::Compared)];

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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn one_pass_makes_both_sides_equal_whatever_they_held(
        changes in changes(),
        batch in prop_oneof![Just(256_u64), Just(1_000), Just(65_536)],
    ) {
        let mut world = world(2, Config { repair_batch_bytes: batch, ..config() });
        let held = play(&changes);
        for (&number, pair) in &held {
            for (node, container) in (1..).zip(pair) {
                if !container.is_empty() {
                    world.puts(node, &key(number), container.clone());
                }
            }
        }
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
        let found = world.events.iter().map(|(_, event)| match event {
            Event::RepairDiffered { keys, .. } => *keys,
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
        assert_eq!(world.kinds(), [IDLE, IDLE].concat());
    }
    assert_eq!(world.events, []);
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
    world.sent.clear();
    for _ in 0..4 {
        round(&mut world);
        assert_eq!(world.kinds(), IDLE.repeat(3));
    }
}

#[test]
fn a_write_in_flight_during_the_pause_is_not_repaired() {
    let mut world = world(2, config());
    world.puts(1, &key(1), written(1, 1));
    while !world.kinds().contains(&Kind::Repair(RepairKind::RootsDiffer)) {
        world.wait();
    }
    world.puts(2, &key(1), written(1, 1));
    round(&mut world);
    let expected: BTreeSet<Kind> =
        [IDLE[0], IDLE[1], Kind::Repair(RepairKind::Roots), Kind::Repair(RepairKind::RootsDiffer)]
            .into();
    assert!(world.kinds().iter().all(|kind| expected.contains(kind)));
    let is_difference = |event: &Event| matches!(event, Event::RepairDiffered { .. });
    assert!(!world.events.iter().any(|(_, event)| is_difference(event)));
}

#[test]
fn what_was_pushed_is_acknowledged_when_it_is_durable_and_not_before() {
    let mut world = world(2, Config { repair_settle_ms: 0, ..config() });
    world.puts(1, &key(1), written(1, 1));
    world.held.insert(NodeId(2));
    while !world
        .sent
        .iter()
        .any(|message| message.body.kind() == Kind::Repair(RepairKind::Exchange))
    {
        world.wait();
    }
    assert!(!world.kinds().contains(&Kind::Repair(RepairKind::Exchanged)));
    world.release(2);
    assert!(world.kinds().contains(&Kind::Repair(RepairKind::Exchanged)));
    assert_eq!(world.holds(2, &key(1)), written(1, 1));
}

#[test]
fn a_silent_peer_is_given_up_and_the_next_session_works() {
    for kind in [
        Kind::Repair(RepairKind::Compared),
        Kind::Repair(RepairKind::RootsDiffer),
        Kind::Repair(RepairKind::BranchesDiffer),
        Kind::Repair(RepairKind::LeavesDiffer),
        Kind::Repair(RepairKind::Summarized),
        Kind::Repair(RepairKind::Exchanged),
    ] {
        let mut world = world(2, config());
        world.puts(1, &key(1), written(1, 1));
        world.puts(2, &key(2), written(2, 1));
        world.is_lost = Box::new(move |message| message.body.kind() == kind);
        round(&mut world);
        assert!(world.kinds().contains(&kind), "{kind:?} was reached");
        assert!(world.nodes.values().all(|member| member.machine.session.is_none()));
        world.is_lost = Box::new(|_| false);
        round(&mut world);
        round(&mut world);
        assert_eq!(roots(&world).len(), 1, "{kind:?}");
    }
}

#[test]
fn a_partner_that_is_silent_or_down_does_not_keep_the_others_waiting() {
    let mut world = world(3, config());
    world.is_lost = Box::new(|message| message.header.to == NodeId(2));
    world.member(1).local.peers.down.insert(NodeId(3));
    round(&mut world);
    round(&mut world);
    let asked = |world: &mut World<Repair>| -> BTreeSet<NodeId> {
        let by_first = world.sent.drain(..).filter(|message| message.header.from == NodeId(1));
        let compares =
            by_first.filter(|message| message.body.kind() == Kind::Repair(RepairKind::Compare));
        compares.map(|message| message.header.to).collect()
    };
    assert_eq!(asked(&mut world), [NodeId(2)].into());
    world.member(1).local.peers.down.clear();
    round(&mut world);
    round(&mut world);
    assert_eq!(asked(&mut world), [NodeId(2), NodeId(3)].into());
}

#[test]
fn a_stale_peer_is_compared_next() {
    let mut world = world(3, config());
    for _ in 0..2 {
        round(&mut world);
    }
    let last = |world: &mut World<Repair>| {
        let mut by_first = world.sent.drain(..).filter(|message| message.header.from == NodeId(1));
        by_first
            .rfind(|message| message.body.kind() == Kind::Repair(RepairKind::Compare))
            .map(|it| it.header.to)
    };
    let peer = last(&mut world).expect("it has compared");
    assert!(world.member(1).machine.clean_since(peer).is_some());
    world.member(1).machine.on_stale(peer);
    round(&mut world);
    assert_eq!(last(&mut world), Some(peer));
}
