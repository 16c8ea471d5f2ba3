//! Clusters of machines in a queue of events, and single machines against what may be sent to them.

mod clocks;
mod world;

use alloc::collections::BTreeSet;
use alloc::vec;
use core::mem;

use proptest::prelude::*;

use self::world::{Draws, GossipWorld, WALL_SECONDS, local_of, membership_of};
use super::*;
use crate::cx::Effect;
use crate::event::RejectReason;
use crate::message::GossipMessage;
use crate::message::gossip::State;
use crate::testing::effects::{observe, probe, send};
use crate::time::{Now, Span, WallTime};
use crate::types::Generation;

const SECOND: Span = Span::from_ms(1_000);
const YEAR_SECONDS: u64 = 365 * 24 * 3_600;

/// One node of three, with the effects that it had.
struct Alone {
    membership: Membership,
    local: NodeContext,
    now: Now,
    draws: Draws,
    out: Vec<Effect>,
}

impl Alone {
    /// Makes node 1, which has had its first deadline and its first round.
    fn new() -> Self {
        let local = local_of(1, 3);
        let now = Now { monotonic: Time(0), wall: WallTime(WALL_SECONDS * 1_000_000) };
        let mut alone = Self {
            membership: membership_of(&local),
            local,
            now,
            draws: Draws::new(1),
            out: vec![],
        };
        alone.on_deadline(Span::ZERO);
        alone.on_deadline(SECOND);
        alone.out.clear();
        alone
    }

    fn call(
        &mut self,
        input: impl FnOnce(&mut Membership, &mut Cx<'_>, &NodeContext) -> Vec<Opinion>,
    ) -> Vec<Opinion> {
        let Self { membership, local, now, draws, out } = self;
        let opinions = input(membership, &mut Cx { now: *now, draw: draws, out }, local);
        membership.invariants(local);
        opinions
    }

    fn on_deadline(&mut self, later: Span) -> Vec<Opinion> {
        self.now.monotonic = self.now.monotonic + later;
        self.now.wall = self.now.wall + later;
        self.call(|membership, cx, local| membership.on_deadline(cx, local))
    }

    fn on_syn(&mut self, from: u64, known: Vec<Known>) -> Vec<Opinion> {
        self.call(|membership, cx, local| {
            membership.on_syn(cx, local, NodeId(from), RequestId(7), Syn { known })
        })
    }

    fn on_ack2(&mut self, from: u64, deltas: Vec<Delta>) -> Vec<Opinion> {
        self.call(|membership, cx, local| {
            membership.on_ack2(cx, local, NodeId(from), Ack2 { deltas })
        })
    }

    /// The effects since the last call, in order.
    fn take(&mut self) -> Vec<Effect> {
        mem::take(&mut self.out)
    }

    /// Sends gossip to a peer.
    fn says(&self, to: u64, request: RequestId, message: GossipMessage) -> Effect {
        let message = self.local.message(NodeId(to), request, Body::Gossip(message));
        send(self.now.monotonic, message)
    }

    /// Answers a SYN.
    fn acks(&self, to: u64, deltas: Vec<Delta>, wanted: Vec<Known>) -> Effect {
        self.says(to, RequestId(7), GossipMessage::Ack(Ack { deltas, wanted }))
    }

    fn knows_of(&self, node: u64) -> (u64, u64) {
        let known = self.membership.known().find(|known| known.node == NodeId(node));
        let known = known.expect("it is a member");
        (known.generation.0, known.version)
    }
}

fn rejected(from: u64, reason: RejectReason) -> Effect {
    observe(Event::Rejected { from: NodeId(from), reason })
}

fn known(node: u64, generation: u64, version: u64) -> Known {
    Known { node: NodeId(node), generation: Generation(generation), version }
}

fn delta(node: u64, generation: u64, heartbeat: u64) -> Delta {
    Delta {
        node: NodeId(node),
        generation: Generation(generation),
        since: 0,
        heartbeat,
        age_ms: 0,
        states: vec![],
    }
}

fn state(key: u8, version: u64, value: &'static str) -> State {
    State { key: StateKey(key), version, value: Bytes::from_static(value.as_bytes()) }
}

fn values(membership: &Membership, key: u8) -> Vec<(u64, Bytes)> {
    membership.states(StateKey(key)).map(|(node, value)| (node.0, value.clone())).collect()
}

/// The time from a node's death until the last of the others suspects it, in a cluster that has run
/// for a while.
fn detection_time(nodes: u64, seed: u64) -> Span {
    let mut world = GossipWorld::new(nodes, 1..=10, seed);
    world.run(Span::from_ms(30_000 + seed * 137 % 1_000));
    world.kill(0);
    let killed = world.now;
    world.run(Span::from_ms(10_000));
    assert_eq!(world.suspecting(0), nodes as usize - 1);
    assert_eq!(world.convictions(), nodes as usize - 1, "nobody else was ever suspected");
    let last = |host: &world::Host| host.opinions.last().map(|&(at, _)| at);
    let last = world.hosts.iter().filter_map(last).max().expect("everybody suspects it");
    last.since(killed)
}

#[test]
fn a_silent_node_is_suspected_within_five_seconds_at_3_30_and_150_nodes() {
    for (nodes, seeds) in [(3, 40), (30, 20), (150, 2)] {
        let slowest = (1..=seeds).map(|seed| detection_time(nodes, seed)).max();
        let slowest = slowest.expect("there are seeds");
        assert!(slowest < Span::from_ms(5_000), "{nodes} nodes took {slowest:?}");
    }
}

#[test]
fn nobody_is_suspected_falsely_in_10_000_seconds_of_tenfold_jitter() {
    let mut world = GossipWorld::new(5, 10..=100, 1);
    world.run(SECOND.times(10_000));
    assert_eq!(world.convictions(), 0);
    let rounds = world.hosts.iter().flat_map(|host| host.membership.known());
    assert!(rounds.map(|known| known.version).all(|heartbeat| heartbeat > 9_990));
}

#[test]
fn a_node_that_never_came_is_given_the_benefit_first_and_then_suspected() {
    let mut world = GossipWorld::new(3, 1..=10, 1);
    world.kill(0);
    world.run(Span::from_ms(4_000));
    assert_eq!(world.suspecting(0), 0);
    world.run(Span::from_ms(1_000));
    assert_eq!(world.suspecting(0), 2);
}

#[test]
fn a_restarted_node_is_trusted_again_and_trusts_the_others() {
    let mut world = GossipWorld::new(5, 1..=10, 1);
    world.run(SECOND.times(20));
    world.kill(0);
    world.run(SECOND.times(20));
    assert_eq!(world.suspecting(0), 4);
    world.restart(0);
    world.run(SECOND.times(3));
    assert_eq!(world.suspecting(0), 0);
    assert_eq!(world.convictions(), 4, "the restarted node suspected nobody");
    for host in &world.hosts[1..] {
        // How often one that is down is tried is drawn; all else that a node tells is compared.
        let tried = Event::Probe(Probe::DownPeerProbed);
        let told = host.events.iter().filter(|&event| *event != tried);
        let peer = NodeId(1);
        assert!(told.eq(&[Event::Suspected { peer }, Event::Trusted { peer }]));
    }
}

#[test]
fn a_paused_node_that_wakes_convicts_nobody() {
    for seed in 1..=20 {
        for messages_first in [false, true] {
            for pause_ms in [300, 700, 1_500, 2_900, 8_000, 60_000] {
                let mut world = GossipWorld::new(5, 1..=10, seed);
                world.run(Span::from_ms(20_000 + 50 * seed));
                world.pause(0);
                world.run(Span::from_ms(pause_ms));
                world.resume(0, messages_first);
                world.run(SECOND.times(10));
                let [paused, others @ ..] = &world.hosts[..] else { panic!("there are five") };
                assert_eq!(paused.opinions, [], "after {pause_ms} ms, seed {seed}");
                match &paused.events[..] {
                    [Event::Stalled { .. }] => {}
                    events => assert!(events.is_empty() && pause_ms < 900, "{events:?}"),
                }
                assert!(others.iter().all(|host| host.membership.seems_up(NodeId(1))));
            }
        }
    }
}

#[test]
fn a_node_that_stalls_while_another_dies_still_finds_out() {
    let mut world = GossipWorld::new(3, 1..=10, 1);
    world.run(SECOND.times(20));
    world.kill(1);
    world.pause(0);
    world.run(SECOND.times(20));
    world.resume(0, false);
    world.run(SECOND.times(5));
    assert_eq!(world.suspecting(1), 2);
}

#[test]
fn the_sides_of_a_healed_partition_find_each_other_again() {
    let mut world = GossipWorld::new(10, 1..=10, 1);
    world.run(SECOND.times(20));
    for (a, b) in (1..=5).flat_map(|a| (6..=10).map(move |b| (NodeId(a), NodeId(b)))) {
        world.cut.extend([(a, b), (b, a)]);
    }
    world.run(SECOND.times(600));
    assert_eq!(world.convictions(), 50);
    world.cut.clear();
    world.run(SECOND.times(10));
    assert!((0..10).all(|index| world.suspecting(index) == 0));
    world.kill(0);
    world.run(SECOND.times(5));
    assert_eq!(world.suspecting(0), 9, "its absence has not made the others patient");
}

#[test]
fn messages_per_node_and_second_are_as_many_at_150_nodes_as_at_10_whoever_is_down() {
    for (nodes, seconds) in [(10, 200), (150, 10)] {
        let mut world = GossipWorld::new(nodes, 1..=10, 1);
        world.run(SECOND.times(5));
        let before = world.sent;
        world.run(SECOND.times(seconds));
        let sent = world.sent - before;
        // Three SYN, three ACK, and three ACK2 unless nothing was asked for.
        let rounds = nodes * seconds;
        assert!(sent * 10 > 79 * rounds && sent * 10 < 91 * rounds, "{sent} in {rounds} rounds");
    }
    let mut world = GossipWorld::new(10, 1..=10, 1);
    (1..10).for_each(|index| world.kill(index));
    world.run(SECOND.times(100));
    assert!((297..=303).contains(&world.sent), "{} SYN in a hundred rounds", world.sent);
}

#[test]
fn a_node_whose_peers_live_has_a_deadline_per_turn_and_no_other() {
    let mut world = GossipWorld::new(10, 1..=10, 1);
    world.run(SECOND.times(1_000));
    for host in &world.hosts {
        assert!((2_995..=3_005).contains(&host.deadlines), "{}", host.deadlines);
    }
}

#[test]
fn what_a_node_says_about_itself_reaches_everybody_even_those_that_restart() {
    let mut world = GossipWorld::new(10, 1..=10, 1);
    world.hosts[0].membership.set_state(StateKey(1), Bytes::from_static(b"old"));
    world.run(SECOND.times(10));
    world.hosts[0].membership.set_state(StateKey(1), Bytes::from_static(b"new"));
    world.hosts[0].membership.set_state(StateKey(2), Bytes::from_static(b"more"));
    world.kill(5);
    world.restart(5);
    world.run(SECOND.times(10));
    for host in &world.hosts {
        assert_eq!(values(&host.membership, 1), [(1, Bytes::from_static(b"new"))]);
        assert_eq!(values(&host.membership, 2), [(1, Bytes::from_static(b"more"))]);
    }
    world.kill(0);
    world.restart(0);
    world.run(SECOND.times(10));
    for host in &world.hosts {
        assert_eq!(values(&host.membership, 1), [], "a new run has said nothing yet");
    }
}

#[test]
fn a_node_started_from_a_cloned_disk_is_not_believed_and_told() {
    let mut world = GossipWorld::new(4, 1..=10, 1);
    world.run(SECOND.times(100));
    world.hosts[0].membership = membership_of(&world.hosts[0].local);
    world.run(SECOND.times(20));
    let future =
        |event: &&Event| matches!(event, Event::Rejected { reason: RejectReason::Future, .. });
    let told = world.hosts[0].events.iter().filter(future).count();
    assert!(told >= 20, "{told}");
    assert_eq!(world.suspecting(0), 3);
    let own = world.hosts[0].membership.known().last().expect("it knows itself");
    assert!(own.version < 22, "it adopted nothing");
}

#[test]
fn the_first_deadline_is_at_once_and_the_first_round_within_an_interval() {
    let local = local_of(1, 3);
    let mut membership = membership_of(&local);
    assert_eq!(membership.next_deadline(), Some(Time(0)));
    let now = Now { monotonic: Time(5_000_000), wall: WallTime(WALL_SECONDS * 1_000_000) };
    let mut out = vec![];
    membership.on_deadline(&mut Cx { now, draw: &mut Draws::new(1), out: &mut out }, &local);
    assert_eq!(out, []);
    let first = membership.next_deadline().expect("there always is one");
    assert!(Time(5_000_000) < first && first < Time(6_000_000), "{first:?}");
}

#[test]
fn a_syn_is_answered_with_what_the_other_lacks_and_what_it_is_asked_for() {
    let mut alone = Alone::new();
    alone.on_ack2(3, vec![delta(2, 50, 5), delta(3, 50, 9)]);
    assert_eq!(alone.take(), []);
    alone.on_syn(2, vec![known(1, 0, 0), known(2, 50, 8), known(3, 50, 4)]);
    let deltas = vec![Delta { since: 4, ..delta(3, 50, 9) }, delta(1, WALL_SECONDS, 1)];
    assert_eq!(alone.take(), [alone.acks(2, deltas, vec![known(2, 50, 5)])]);
}

#[test]
fn an_ack_is_answered_with_what_was_asked_for_and_not_at_all_if_nothing_was() {
    let mut alone = Alone::new();
    let ack = |wanted| Ack { deltas: vec![delta(2, 50, 5)], wanted };
    let from = NodeId(3);
    alone
        .call(|it, cx, local| it.on_ack(cx, local, from, RequestId(7), ack(vec![known(2, 50, 4)])));
    let deltas = vec![Delta { since: 4, ..delta(2, 50, 5) }];
    let answer = GossipMessage::Ack2(Ack2 { deltas });
    assert_eq!(alone.take(), [alone.says(3, RequestId(7), answer)]);
    alone.call(|it, cx, local| it.on_ack(cx, local, from, RequestId(7), ack(vec![])));
    assert_eq!(alone.take(), []);
}

#[test]
fn no_two_rounds_have_one_request_not_even_over_a_restart() {
    let request = |generation, heartbeat| {
        let generation = Generation(generation);
        request_of(NodeId(3), Stamp { generation, heartbeat })
    };
    let rounds = [(7, 1), (7, 2), (8, 1), (8, 2), (WALL_SECONDS, 1)];
    let requests: BTreeSet<RequestId> = rounds.iter().map(|&(g, h)| request(g, h)).collect();
    assert_eq!(requests.len(), rounds.len());
    assert!(requests.iter().all(|request| request.0 >> 64 == 3));
}

#[test]
fn old_news_of_one_that_fell_silent_is_no_sign_of_life() {
    let mut alone = Alone::new();
    alone.on_ack2(3, vec![delta(2, 50, 5), delta(3, 50, 5)]);
    let convicted: Vec<Opinion> =
        (0..20).flat_map(|_| alone.on_deadline(Span::from_ms(333))).collect();
    assert_eq!(convicted, [Opinion::Down(NodeId(2)), Opinion::Down(NodeId(3))]);
    // Whom it calls in so many rounds is drawn; all else that it tells is compared.
    let called = |effect: &Effect| match effect {
        Effect::Send(_) | Effect::Observe(Event::Probe(Probe::DownPeerProbed)) => true,
        Effect::Observe(_)
        | Effect::Reply { .. }
        | Effect::AdminReply { .. }
        | Effect::Store { .. } => false,
    };
    let told: Vec<Effect> = alone.take().into_iter().filter(|effect| !called(effect)).collect();
    let suspected = |peer| observe(Event::Suspected { peer: NodeId(peer) });
    assert_eq!(told, [suspected(2), suspected(3)]);
    let old = Delta { age_ms: 6_000, ..delta(2, 50, 6) };
    assert_eq!(alone.on_ack2(3, vec![old]), []);
    assert_eq!(alone.take(), [probe(Probe::StaleNews)]);
    assert_eq!(alone.on_ack2(3, vec![delta(2, 50, 7)]), [Opinion::Up(NodeId(2))]);
    assert_eq!(alone.take(), [observe(Event::Trusted { peer: NodeId(2) })]);
}

#[test]
fn a_stranger_is_ignored_whether_it_speaks_or_is_spoken_of() {
    let mut alone = Alone::new();
    alone.on_syn(9, vec![known(2, 50, 5)]);
    assert_eq!(alone.take(), [rejected(9, RejectReason::Stranger)]);
    alone.on_ack2(9, vec![delta(2, 50, 5)]);
    assert_eq!(alone.take(), [rejected(9, RejectReason::Stranger)]);
    alone.on_ack2(1, vec![delta(2, 50, 5)]);
    assert_eq!(alone.take(), [rejected(1, RejectReason::Stranger)]);
    assert_eq!(alone.knows_of(2), (0, 0));
    alone.on_ack2(2, vec![delta(9, 50, 5), delta(8, 50, 5), delta(3, 50, 5)]);
    assert_eq!(alone.take(), [rejected(2, RejectReason::Stranger)], "told once per message");
    assert_eq!(alone.knows_of(3), (50, 5), "the rest counts");
    assert_eq!(alone.membership.known().count(), 3);
    assert!(!alone.membership.seems_up(NodeId(9)));
}

#[test]
fn a_generation_more_than_a_year_ahead_is_refused() {
    let mut alone = Alone::new();
    let limit = alone.now.wall.as_seconds() + YEAR_SECONDS;
    alone.on_ack2(3, vec![delta(2, limit + 1, 0)]);
    assert_eq!(alone.take(), [rejected(3, RejectReason::Future)]);
    assert_eq!(alone.knows_of(2), (0, 0));
    alone.on_ack2(3, vec![delta(2, limit, 0)]);
    assert_eq!(alone.take(), []);
    assert_eq!(alone.knows_of(2), (limit, 0));
}

#[test]
fn a_heartbeat_past_what_the_age_of_its_generation_allows_is_refused() {
    let mut alone = Alone::new();
    let limit = alone.now.wall.as_seconds() + YEAR_SECONDS - WALL_SECONDS;
    alone.on_ack2(3, vec![delta(2, WALL_SECONDS, limit + 1)]);
    assert_eq!(alone.take(), [rejected(3, RejectReason::Future)]);
    alone.on_syn(3, vec![known(2, WALL_SECONDS, u64::MAX)]);
    assert_eq!(alone.take(), [alone.acks(3, vec![], vec![]), rejected(3, RejectReason::Future)]);
    assert_eq!(alone.knows_of(2), (0, 0));
}

#[test]
fn a_state_newer_than_its_heartbeat_is_refused() {
    let mut alone = Alone::new();
    let states = vec![state(1, 6, "from the future")];
    alone.on_ack2(3, vec![Delta { states, ..delta(2, 50, 5) }]);
    assert_eq!(alone.take(), [rejected(3, RejectReason::Future)]);
    assert_eq!(alone.knows_of(2), (0, 0));
}

#[test]
fn what_others_say_of_this_nodes_own_future_is_told_and_never_adopted() {
    let mut alone = Alone::new();
    let own = alone.knows_of(1);
    let [unsaid, refused] = [probe(Probe::UnsaidNews), rejected(2, RejectReason::Future)];
    for (generation, heartbeat) in [(own.0 + 1, 0), (own.0, own.1 + 1)] {
        alone.on_ack2(2, vec![delta(1, generation, heartbeat)]);
        assert_eq!(alone.take(), [unsaid.clone(), refused.clone()]);
        alone.on_syn(2, vec![known(1, generation, heartbeat)]);
        assert_eq!(alone.take(), [alone.acks(2, vec![], vec![]), unsaid.clone(), refused.clone()]);
        assert_eq!(alone.knows_of(1), own);
    }
    alone.on_ack2(2, vec![delta(1, own.0, own.1), delta(1, own.0 - 1, 1_000_000)]);
    assert_eq!(alone.take(), [], "an earlier run may have lived longer");
}

fn any_number() -> impl Strategy<Value = u64> {
    prop_oneof![0_u64..10, Just(WALL_SECONDS), Just(u64::MAX), any::<u64>()]
}

fn any_known() -> impl Strategy<Value = Known> {
    (0_u64..6, any_number(), any_number())
        .prop_map(|(node, generation, version)| known(node, generation, version))
}

fn any_delta() -> impl Strategy<Value = Delta> {
    let states = prop::collection::vec((0_u8..3, any_number()), 0..4);
    (0_u64..6, any_number(), any_number(), any_number(), any::<u32>(), states).prop_map(
        |(node, generation, since, heartbeat, age_ms, states)| {
            let states = states.into_iter().map(|(key, version)| state(key, version, "x"));
            let states = states.collect();
            Delta { since, age_ms, states, ..delta(node, generation, heartbeat) }
        },
    )
}

proptest! {
    #[test]
    fn whatever_is_sent_does_no_harm(
        inputs in prop::collection::vec(
            (
                (0_u8..4, 0_u64..6, any_number()),
                prop::collection::vec(any_known(), 0..20),
                prop::collection::vec(any_delta(), 0..20),
            ),
            0..30,
        ),
    ) {
        let mut alone = Alone::new();
        for ((input, from, time), known, deltas) in inputs {
            // Clocks may say anything from call to call.
            alone.now.monotonic = Time(time);
            alone.now.wall = WallTime(time.rotate_left(17));
            let before = alone.knows_of(1);
            let (from, request) = (NodeId(from), RequestId(7));
            alone.out.clear();
            alone.call(|it, cx, local| match input {
                0 => it.on_syn(cx, local, from, request, Syn { known }),
                1 => it.on_ack(cx, local, from, request, Ack { deltas, wanted: known }),
                2 => it.on_ack2(cx, local, from, Ack2 { deltas }),
                _ => it.on_deadline(cx, local),
            });
            // Drawn: that there is at most one message, and nothing but events beside it.
            let mut messages = vec![];
            for effect in alone.take() {
                match effect {
                    Effect::Send(message) => messages.push(message),
                    Effect::Observe(_) => {}
                    other => panic!("not for membership: {other:?}"),
                }
            }
            prop_assert!(messages.len() <= 1);
            for message in messages {
                let entries = match message.body {
                    Body::Gossip(GossipMessage::Syn(syn)) => syn.known.len(),
                    Body::Gossip(GossipMessage::Ack(ack)) => ack.deltas.len() + ack.wanted.len(),
                    Body::Gossip(GossipMessage::Ack2(ack2)) => ack2.deltas.len(),
                    other => panic!("not gossip: {other:?}"),
                };
                prop_assert!(entries <= 3);
            }
            prop_assert_eq!(alone.membership.known().count(), 3);
            prop_assert!(alone.knows_of(1) == before || input == 3);
        }
    }
}
