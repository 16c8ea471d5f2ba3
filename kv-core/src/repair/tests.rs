//! Two or three nodes that repair each other, over real storage commands.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::config::Config;
use crate::merkle::{FAN_OUT, LeafId, leaf_of};
use crate::message::repair::{Branches, Compare, Exchange, Leaves, Roots, SummariesRequest};
use crate::message::{Body, Kind, Message, RepairKind, RepairMessage};
use crate::store::{self, Outcome, Recovered, Summary};
use crate::testing::MemoryStore;
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

fn completed_events(world: &World<Repair>) -> usize {
    world.events.iter().filter(|(_, event)| matches!(event, Event::Completed { .. })).count()
}

/// A node's data, and its data alone, are gone.
fn wipe(world: &mut World<Repair>, node: u64) {
    world.start(NodeId(node), MemoryStore::default());
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

/// What two replicas hold after these changes.
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
fn a_wiped_owner_is_complete_after_enough_complete_others_and_not_before() {
    let mut world = world(3, config());
    for number in 0..20 {
        // Acknowledged by the first node and by one other.
        world.puts(1, &key(number), written(1, 1));
        world.puts(2 + number as u64 % 2, &key(number), written(1, 1));
    }
    // The others find out nothing by themselves.
    world.is_lost = Box::new(|message| {
        message.body.kind() == Kind::Repair(RepairKind::Compare) && message.header.from != NodeId(1)
    });
    wipe(&mut world, 1);
    world.wait();
    round(&mut world);
    assert_eq!((completed_events(&world), world.member(1).local.complete.len()), (0, 0));
    round(&mut world);
    assert_eq!((completed_events(&world), world.member(1).local.complete.len()), (4, 4));
    for number in 0..20 {
        assert_eq!(world.holds(1, &key(number)), written(1, 1));
    }
    let store = world.member(1).store.clone();
    world.start(NodeId(1), store);
    assert_eq!(world.member(1).local.complete.len(), 4, "the markers are durable");
}

#[test]
fn a_peer_that_has_lost_the_same_is_no_source() {
    let mut world = world(3, config());
    wipe(&mut world, 1);
    wipe(&mut world, 2);
    for _ in 0..10 {
        round(&mut world);
    }
    assert_eq!(completed_events(&world), 0);
    // With W = 3 any other that has lost nothing holds every acknowledged write.
    for member in world.nodes.values_mut() {
        member.local.config.write_quorum = 3;
    }
    for _ in 0..4 {
        round(&mut world);
    }
    assert_eq!(completed_events(&world), 8);
}

#[test]
fn a_marker_that_finds_no_room_is_written_later() {
    let mut world = world(3, config());
    wipe(&mut world, 1);
    world.member(1).store.fault = Some(crate::store::Fault::Full);
    for _ in 0..4 {
        round(&mut world);
    }
    assert_eq!(completed_events(&world), 0);
    world.member(1).store.fault = None;
    round(&mut world);
    assert_eq!((completed_events(&world), world.member(1).local.complete.len()), (4, 4));
}

#[test]
fn an_only_owner_that_lost_its_data_serves_when_an_operator_says_so() {
    let mut world = world(1, config());
    wipe(&mut world, 1);
    round(&mut world);
    round(&mut world);
    assert_eq!(world.member(1).local.complete.len(), 0);
    let undecided = [Event::LossUndecided { partitions: 4 }];
    let said = world.events.iter().filter(|(_, event)| undecided.contains(event)).count();
    assert_eq!(said, 1, "it is said once");
    for (request, partition) in [(7, 2), (8, 99), (9, 2)] {
        world.call(NodeId(1), |repair, cx, local| {
            repair.accept_loss(cx, local, AdminRequest(request), PartitionId(partition));
        });
    }
    assert_eq!(world.member(1).local.complete, [PartitionId(2)].into());
    let replies = [
        AdminReply::LossAccepted,
        AdminReply::Refused(AdminRefusal::NotOwned { partition: PartitionId(99) }),
        AdminReply::Refused(AdminRefusal::NothingLost { partition: PartitionId(2) }),
    ];
    let numbered = (7..).map(AdminRequest).zip(replies);
    let expected: Vec<_> = numbered.map(|(request, it)| (NodeId(1), request, it)).collect();
    assert_eq!(world.replies, expected);
    assert_eq!(completed_events(&world), 0, "nothing was copied");
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

#[test]
fn what_was_lost_is_copied_without_the_pause() {
    let mut world = world(3, Config { repair_settle_ms: 5_000, ..config() });
    world.puts(2, &key(1), written(1, 1));
    world.puts(3, &key(1), written(1, 1));
    wipe(&mut world, 1);
    world.wait();
    world.wait_ms(1);
    assert_eq!(world.holds(1, &key(1)), written(1, 1));
}

#[test]
fn a_partition_counts_as_copied_when_it_is_durable_and_not_before() {
    let mut world = world(2, config());
    world.puts(2, &key(1), written(1, 1));
    wipe(&mut world, 1);
    world.held.insert(NodeId(1));
    world.is_lost = Box::new(|message| {
        message.body.kind() == Kind::Repair(RepairKind::Compare) && message.header.from == NodeId(2)
    });
    world.wait();
    round(&mut world);
    assert_eq!(world.holds(1, &key(1)), written(1, 1));
    let partition = world.ring().partition_of(key(1).token());
    let clean = Event::RepairClean { peer: NodeId(2), partition };
    assert!(!world.events.contains(&(NodeId(1), clean.clone())));
    world.release(1);
    round(&mut world);
    assert!(world.events.contains(&(NodeId(1), clean)));
    assert_eq!(world.member(1).local.complete.len(), 4);
}

#[test]
fn one_that_cannot_help_does_not_keep_the_others_waiting() {
    let mut world = world(3, config());
    wipe(&mut world, 1);
    wipe(&mut world, 2);
    for _ in 0..10 {
        round(&mut world);
    }
    let asked = world.sent.iter().filter(|message| {
        let is_compare = message.body.kind() == Kind::Repair(RepairKind::Compare);
        is_compare && (message.header.from, message.header.to) == (NodeId(1), NodeId(3))
    });
    assert!(asked.count() >= 4);
}

/// Makes the answer to a step.
type Answer = Box<dyn Fn(Step) -> Body>;

/// A question that one node has asked another and that is not answered.
struct Question {
    world: World<Repair>,
    requester: NodeId,
    asked: NodeId,
    request: RequestId,
    step: Step,
}

impl Question {
    /// The first of this kind that is asked in a world in which there is something to repair.
    fn first(kind: Kind) -> Self {
        let mut world = world(3, config());
        for node in [1, 2, 3] {
            world.puts(node, &key(1), written(node, 1));
        }
        let is_question = move |message: &Message| message.body.kind() == kind;
        world.is_lost = Box::new(is_question);
        while !world.sent.iter().any(is_question) {
            world.wait();
        }
        let sent = world.sent.iter().find(|message| is_question(message)).expect("it was sent");
        let Message { header, body } = sent.clone();
        let step = match body {
            Body::Repair(RepairMessage::Roots(Roots { step, .. }))
            | Body::Repair(RepairMessage::Leaves(Leaves { step, .. }))
            | Body::Repair(RepairMessage::Summaries(SummariesRequest { step, .. }))
            | Body::Repair(RepairMessage::Exchange(Exchange { step, .. })) => step,
            other => panic!("{other:?} is not asked for here"),
        };
        Self { world, requester: header.from, asked: header.to, request: header.request, step }
    }

    fn answer(&mut self, from: NodeId, request: RequestId, body: Body) {
        let message = self.world.nodes[&from].local.message(self.requester, request, body);
        self.world.deliver(message);
    }

    /// Whether the session goes on waiting for this answer.
    fn waits(&self) -> bool {
        let session = self.world.nodes[&self.requester].machine.session.as_ref();
        session.is_some_and(|session| session.is_at(self.request, self.step))
    }
}

#[test]
fn only_the_one_that_was_asked_can_answer_and_only_what_was_asked() {
    let mut question = Question::first(Kind::Repair(RepairKind::Roots));
    let (asked, request, step) = (question.asked, question.request, question.step);
    let answer = |step| {
        Body::Repair(RepairMessage::RootsDiffer(RootsDiffer {
            step,
            partitions: vec![],
            incomplete: vec![],
        }))
    };
    let bystander = (1..=3).map(NodeId).find(|&node| node != asked && node != question.requester);
    question.answer(bystander.expect("there are three"), request, answer(step));
    assert!(question.waits());
    question.answer(asked, RequestId(7), answer(step));
    assert!(question.waits());
    question.answer(asked, request, answer(Step(step.0 + 1)));
    assert!(question.waits());
    question.answer(asked, request, answer(step));
    assert!(!question.waits());
}

#[test]
fn a_session_ends_at_the_first_answer_that_makes_no_sense() {
    let ring = world(3, config()).ring();
    let home = ring.partition_of(key(1).token());
    let stranger = (2..99).map(key).find(|key| ring.partition_of(key.token()) != home);
    let stranger = stranger.expect("not all keys lie in one partition");
    let summary =
        |key: Key| Summary { hash: ContentHash(7), seen: written(2, 3).seen().clone(), key };
    let summarized = |step, entries, more| {
        Body::Repair(RepairMessage::Summarized(Summarized { step, entries, more }))
    };
    let cases: [(Kind, Answer); 6] = [
        (
            Kind::Repair(RepairKind::Roots),
            Box::new(|step| {
                Body::Repair(RepairMessage::Exchanged(Exchanged { step, items: vec![] }))
            }),
        ),
        (
            Kind::Repair(RepairKind::Roots),
            Box::new(|step| {
                let partitions = vec![PartitionId(3), PartitionId(1)];
                Body::Repair(RepairMessage::RootsDiffer(RootsDiffer {
                    step,
                    partitions,
                    incomplete: vec![],
                }))
            }),
        ),
        (
            Kind::Repair(RepairKind::Leaves),
            Box::new(|step| {
                let leaves = vec![LeafId(9), LeafId(9)];
                Body::Repair(RepairMessage::LeavesDiffer(LeavesDiffer { step, leaves }))
            }),
        ),
        (Kind::Repair(RepairKind::Summaries), Box::new(move |step| summarized(step, vec![], true))),
        (
            Kind::Repair(RepairKind::Summaries),
            Box::new(move |step| summarized(step, vec![summary(stranger.clone())], false)),
        ),
        (
            Kind::Repair(RepairKind::Exchange),
            Box::new(|step| {
                let items = vec![(key(2), written(1, 1))];
                Body::Repair(RepairMessage::Exchanged(Exchanged { step, items }))
            }),
        ),
    ];
    for (kind, answer) in cases {
        let mut question = Question::first(kind);
        let body = answer(question.step);
        question.world.sent.clear();
        let before = roots(&question.world);
        question.answer(question.asked, question.request, body);
        assert_eq!(roots(&question.world), before, "{kind:?}");
        assert_eq!(question.world.kinds(), [], "{kind:?}");
        let machine = &question.world.nodes[&question.requester].machine;
        assert!(machine.session.is_none(), "{kind:?}");
    }
}

#[test]
fn what_the_other_does_not_own_is_none_of_its_business() {
    let mut world = World::<Repair>::new(4, 3, 4, config());
    let (ring, partition) = (world.ring(), PartitionId(0));
    let owner = ring.owners(partition)[0];
    let stranger = ring.fallbacks(partition).next().expect("one of four is no owner");
    let (step, leaf) = (Step(1), LeafId(0));
    for body in [
        Body::Repair(RepairMessage::Roots(Roots {
            step,
            roots: vec![(partition, ContentHash(1))],
        })),
        Body::Repair(RepairMessage::Branches(Branches {
            step,
            partition,
            branches: [ContentHash(1); FAN_OUT].into(),
        })),
        Body::Repair(RepairMessage::Leaves(Leaves {
            step,
            partition,
            leaves: vec![(leaf, ContentHash(1))],
        })),
        Body::Repair(RepairMessage::Summaries(SummariesRequest {
            step,
            partition,
            leaf,
            after: None,
        })),
        Body::Repair(RepairMessage::Exchange(Exchange {
            step,
            partition,
            pushed: vec![],
            wanted: vec![],
        })),
    ] {
        let message = world.nodes[&stranger].local.message(owner, RequestId(1), body);
        world.deliver(message);
    }
    assert_eq!(world.kinds(), []);
}

#[test]
fn a_key_is_never_written_where_it_does_not_belong() {
    let mut world = world(2, config());
    let home = world.ring().partition_of(key(1).token());
    let partition = PartitionId((home.0 + 1) % 4);
    let pushed = vec![(key(1), written(1, 1))];
    let body = Body::Repair(RepairMessage::Exchange(Exchange {
        step: Step(1),
        partition,
        pushed,
        wanted: vec![],
    }));
    let message = world.member(2).local.message(NodeId(1), RequestId(1), body);
    world.deliver(message);
    assert_eq!(world.kinds(), []);
    assert_eq!(world.member(1).local.roots, BTreeMap::new());
}

/// Questions and answers that no honest peer would send, and some that it would.
fn garbage() -> impl Strategy<Value = Body> {
    let step = (0_u64..12).prop_map(Step);
    let partition = prop_oneof![3 => 0_u32..4, 1 => any::<u32>()].prop_map(PartitionId);
    let partitions = || {
        proptest::collection::vec(prop_oneof![0_u32..4, any::<u32>()].prop_map(PartitionId), 0..4)
    };
    let hash = any::<u128>().prop_map(ContentHash);
    let leaf = any::<u8>().prop_map(LeafId);
    let leaves = proptest::collection::vec((leaf.clone(), hash.clone()), 0..9);
    let names = || proptest::collection::vec((0_usize..9).prop_map(key), 0..6);
    let items = || {
        names()
            .prop_map(|keys| keys.into_iter().map(|key| (key, written(1, 1))).collect::<Vec<_>>())
    };
    let summary =
        |key: Key| Summary { hash: ContentHash(7), seen: written(2, 3).seen().clone(), key };
    let summaries = names().prop_map(move |keys| keys.into_iter().map(summary).collect::<Vec<_>>());
    let s = step.clone();
    prop_oneof![
        (s.clone(), hash.clone())
            .prop_map(|(step, hash)| Body::Repair(RepairMessage::Compare(Compare { step, hash }))),
        (s.clone(), any::<bool>()).prop_map(|(step, equal)| Body::Repair(RepairMessage::Compared(
            Compared { step, equal }
        ))),
        (s.clone(), partitions()).prop_map(|(step, partitions)| {
            let roots =
                partitions.into_iter().map(|partition| (partition, ContentHash(1))).collect();
            Body::Repair(RepairMessage::Roots(Roots { step, roots }))
        }),
        (s.clone(), partitions(), partitions()).prop_map(|(step, partitions, incomplete)| {
            Body::Repair(RepairMessage::RootsDiffer(RootsDiffer { step, partitions, incomplete }))
        }),
        (s.clone(), partition.clone(), hash).prop_map(|(step, partition, hash)| {
            Body::Repair(RepairMessage::Branches(Branches {
                step,
                partition,
                branches: [hash; FAN_OUT].into(),
            }))
        }),
        (s.clone(), any::<u16>()).prop_map(|(step, branches)| Body::Repair(
            RepairMessage::BranchesDiffer(BranchesDiffer { step, branches })
        )),
        (s.clone(), partition.clone(), leaves.clone()).prop_map(|(step, partition, leaves)| {
            Body::Repair(RepairMessage::Leaves(Leaves { step, partition, leaves }))
        }),
        (s.clone(), leaves).prop_map(|(step, leaves)| {
            let leaves = leaves.into_iter().map(|(leaf, _)| leaf).collect();
            Body::Repair(RepairMessage::LeavesDiffer(LeavesDiffer { step, leaves }))
        }),
        (s.clone(), partition.clone(), leaf, proptest::option::of((0_usize..9).prop_map(key)))
            .prop_map(|(step, partition, leaf, after)| {
                Body::Repair(RepairMessage::Summaries(SummariesRequest {
                    step,
                    partition,
                    leaf,
                    after,
                }))
            }),
        (s.clone(), summaries, any::<bool>()).prop_map(|(step, entries, more)| {
            Body::Repair(RepairMessage::Summarized(Summarized { step, entries, more }))
        }),
        (s.clone(), partition, items(), names()).prop_map(|(step, partition, pushed, wanted)| {
            Body::Repair(RepairMessage::Exchange(Exchange { step, partition, pushed, wanted }))
        }),
        (s, items()).prop_map(|(step, items)| Body::Repair(RepairMessage::Exchanged(Exchanged {
            step,
            items
        }))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The garbage names the request and often the step that the session waits for.
    #[test]
    fn garbage_is_answered_or_ignored_and_never_panics(
        messages in proptest::collection::vec((garbage(), any::<bool>()), 1..40),
    ) {
        let mut world = world(2, config());
        world.puts(1, &key(1), written(1, 1));
        for (body, waits) in messages {
            if waits {
                world.wait();
            }
            let session = world.member(1).machine.session.as_ref();
            let request = session.map_or(RequestId(0), |session| session.request());
            let message = world.member(2).local.message(NodeId(1), request, body);
            world.deliver(message);
        }
        for member in world.nodes.values_mut() {
            for record_key in member.store.keys() {
                if let Some(crate::replica::Record::Owned { partition, leaf, key }) =
                    crate::replica::parse_record_key(record_key)
                {
                    let ring = member.local.topology();
                    prop_assert_eq!(ring.partition_of(key.token()), partition);
                    prop_assert_eq!(leaf_of(key.token(), 4), leaf);
                }
            }
        }
    }
}

/// What the machine of the first node wants to be gathered now. A node asks a coordinator for it;
/// here the answers are played by hand.
fn wanted(world: &mut World<Repair>, now: u64) -> Vec<Wanted> {
    world.member(1).machine.corrupt_keys.ask(Time(now), Span::from_ms(10))
}

fn note_corrupt(world: &mut World<Repair>, key: &Key) {
    let corrupt = key.clone();
    world.call(NodeId(1), |machine, _, _| machine.on_corrupt([corrupt]));
}

fn gather(world: &mut World<Repair>, number: u64, container: Container) {
    world.call(NodeId(1), |machine, cx, local| machine.on_gathered(cx, local, number, container));
}

fn is_repaired(world: &World<Repair>) -> bool {
    world.events.iter().any(|(_, event)| matches!(event, Event::KeyRepaired { .. }))
}

#[test]
fn a_corrupt_key_is_repaired_when_what_enough_others_hold_is_durable_and_not_before() {
    let mut world = world(3, config());
    note_corrupt(&mut world, &key(0));
    let number = wanted(&mut world, 1)[0].number;
    assert!(wanted(&mut world, 2).is_empty(), "the others are given time to answer");

    world.held.insert(NodeId(1));
    gather(&mut world, number, written(2, 1));
    assert!(!is_repaired(&world), "it is not durable");
    world.release(1);
    assert!(is_repaired(&world));
    assert!(wanted(&mut world, u64::MAX).is_empty());
    assert_eq!(world.holds(1, &key(0)), written(2, 1));
}

#[test]
fn a_corrupt_key_of_which_enough_others_know_nothing_is_repaired_at_once() {
    let mut world = world(3, config());
    note_corrupt(&mut world, &key(0));
    let number = wanted(&mut world, 1)[0].number;
    gather(&mut world, number, Container::default());
    assert!(is_repaired(&world));
}

#[test]
fn an_answer_from_before_a_key_was_corrupt_again_counts_for_nothing() {
    let mut world = world(3, config());
    note_corrupt(&mut world, &key(0));
    let number = wanted(&mut world, 1)[0].number;
    note_corrupt(&mut world, &key(0));
    gather(&mut world, number, written(2, 1));
    assert!(!is_repaired(&world));
}

#[test]
fn what_an_operator_gives_up_counts_as_repaired() {
    let mut world = world(3, config());
    note_corrupt(&mut world, &key(0));
    let partition = world.ring().partition_of(key(0).token());
    world.call(NodeId(1), |machine, cx, local| {
        machine.accept_loss(cx, local, AdminRequest(1), partition);
    });
    assert!(is_repaired(&world));
}

#[test]
fn corruption_that_nobody_asked_for_is_found_in_time() {
    let mut world = world(3, config());
    world.puts(1, &key(0), written(2, 1));
    let root = world.member(1).local.roots.values().copied().find(|root| *root != ContentHash(0));
    assert!(root.is_some());
    let is_owned = |key: &&Bytes| {
        let record = crate::replica::parse_record_key(key);
        matches!(record, Some(crate::replica::Record::Owned { .. }))
    };
    let store = &mut world.member(1).store;
    let record = store.keys().find(is_owned).cloned().expect("it was written");
    store.corrupt.insert(record);
    round(&mut world);
    round(&mut world);
    let corrupt = |(node, event): &(NodeId, Event)| {
        *node == NodeId(1) && matches!(event, Event::Corrupt { .. })
    };
    assert!(world.events.iter().any(corrupt));
}
