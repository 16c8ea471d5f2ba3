//! A fallback and the owners that it keeps hints for, over real storage commands: all that they do,
//! in order.

mod scene;

use alloc::format;

use bytes::Bytes;

use self::scene::Scene;
use super::*;
use crate::config::Config;
use crate::cx::Effect;
use crate::message::{HandoffKind, HandoffMessage, Kind};
use crate::probe::Probe;
use crate::store::StoreFault;
use crate::testing::world::{Done, kinds, messages, tells};
use crate::time::{HybridTime, WallTime};
use crate::types::Epoch;
use crate::version::{Actor, Content, Dot, Version};

fn written(n: u64) -> Container {
    let mut container = Container::default();
    let actor = Actor { node: NodeId(77), epoch: Epoch(0) };
    container.add(
        Dot { actor, n },
        Version {
            content: Content::Value(Bytes::copy_from_slice(&n.to_be_bytes())),
            time: HybridTime(n),
            expiry: None,
            request: RequestId(u128::from(n)),
            tag: None,
        },
    );
    container
}

#[test]
fn a_kept_hint_reaches_its_target_and_is_deleted() {
    let mut scene = Scene::new();
    let target = scene.owners[0];
    scene.keep(target, &written(1));
    assert_eq!(scene.handoff().targets_pending().collect::<Vec<_>>(), [NodeId(target)]);
    scene.world.wait_ms(100);
    let key = scene.key.clone();
    assert_eq!(scene.world.holds(target, &key), written(1));
    assert_eq!((scene.stored(target), scene.pending()), (0, 0));
    assert_eq!(scene.handoff().pending_bytes(), 0);
    assert_eq!(scene.handoff().next_deadline(), None);
    assert_eq!(scene.world.take(), scene.replays(0, target, &written(1)));
}

#[test]
fn hints_are_acknowledged_when_they_are_durable_and_not_before() {
    let mut scene = Scene::new();
    let target = scene.owners[0];
    scene.world.held.insert(NodeId(target));
    scene.keep(target, &written(1));
    scene.world.wait_ms(100);
    let [reads, delivers, receives, confirms, drops, told] = scene.replays(0, target, &written(1));
    assert_eq!(scene.world.take(), [reads, delivers, receives]);
    assert_eq!(scene.stored(target), 1);
    scene.world.release(target);
    assert_eq!(scene.world.take(), [confirms, drops, told]);
    assert_eq!(scene.stored(target), 0);
}

#[test]
fn a_hint_that_grew_between_delivery_and_deletion_is_kept_and_delivered_again() {
    let mut scene = Scene::new();
    let target = scene.owners[0];
    scene.world.held.insert(NodeId(target));
    scene.keep(target, &written(1));
    scene.world.wait_ms(1);
    scene.keep(target, &written(2));
    scene.world.release(target);
    let [reads, delivers, receives, confirms, drops, _] = scene.replays(0, target, &written(1));
    let grew = scene.tells(Event::Probe(Probe::HintGrewInDelivery));
    assert_eq!(scene.world.take(), [reads, delivers, receives, confirms, drops, grew]);
    assert_eq!((scene.stored(target), scene.pending()), (1, 1));
    scene.world.wait_ms(100);
    assert_eq!((scene.stored(target), scene.pending()), (0, 0));
    let (mut both, key) = (written(1), scene.key.clone());
    both.join(&written(2));
    assert_eq!(scene.world.take(), scene.replays(1, target, &both));
    assert_eq!(scene.world.holds(target, &key), both);
}

#[test]
fn replay_goes_on_for_ever_ever_more_slowly() {
    let mut scene = Scene::with(Config { hint_retry_ms: 1_000, ..Config::default() });
    let target = scene.owners[0];
    scene.lose(Kind::Handoff(HandoffKind::Deliver));
    scene.keep(target, &written(1));
    let mut tries = Vec::new();
    let start = scene.world.now.monotonic;
    let timed_out = scene.tells(Event::Probe(Probe::HintDeliveryTimedOut));
    for delivery in 0..100 {
        scene.world.wait();
        let [reads, delivers, ..] = scene.replays(delivery, target, &written(1));
        let again = (delivery > 0).then(|| timed_out.clone());
        let expected: Vec<Done> = again.into_iter().chain([reads, delivers]).collect();
        assert_eq!(scene.world.take(), expected);
        tries.push(scene.world.now.monotonic.since(start).as_ms() / 1_000);
    }
    assert_eq!(tries[..9], [0, 1, 3, 7, 15, 31, 63, 127, 191]);
    assert!(tries.windows(2).all(|pair| pair[1] - pair[0] <= 64));
    scene.lose_nothing();
    scene.world.wait_ms(65_000);
    assert_eq!(scene.pending(), 0);
    let last = scene.replays(100, target, &written(1));
    assert_eq!(scene.world.take(), [&[timed_out][..], &last[..]].concat());
}

#[test]
fn a_target_that_comes_up_is_tried_at_once_and_at_the_first_pause() {
    let mut scene = Scene::new();
    let target = scene.owners[0];
    scene.set_down(target, true);
    scene.keep(target, &written(1));
    scene.world.wait_ms(3_600_000);
    // Looked at again and again, as what has expired is to go.
    let reads = scene.reads(target);
    let done = scene.world.take();
    assert!(done.iter().all(|one| *one == reads), "nothing is sent to a target that seems down");
    scene.set_down(target, false);
    scene.lose(Kind::Handoff(HandoffKind::Delivered));
    scene.comes_up(target);
    scene.world.wait_ms(2_500);
    let [reads, delivers, receives, confirms, ..] = scene.replays(0, target, &written(1));
    let [again, redelivers, joins, reconfirms, ..] = scene.replays(1, target, &written(1));
    let timed_out = scene.tells(Event::Probe(Probe::HintDeliveryTimedOut));
    assert_eq!(
        scene.world.take(),
        [reads, delivers, receives, confirms, timed_out, again, redelivers, joins, reconfirms,]
    );
    // In the middle of a delivery, too.
    scene.lose_nothing();
    scene.comes_up(target);
    scene.world.wait_ms(1);
    assert_eq!(scene.pending(), 0);
    let restarted = scene.tells(Event::Probe(Probe::HintReplayRestarted));
    let last = scene.replays(2, target, &written(1));
    assert_eq!(scene.world.take(), [&[restarted][..], &last[..]].concat());
}

#[test]
fn caps_refuse_per_target_and_in_total_and_the_target_is_stale() {
    let config =
        Config { hint_bytes_per_target: 2_000, hint_bytes_total: 3_000, ..Config::default() };
    let mut scene = Scene::with(config);
    let [target, other, ..] = scene.owners[..] else { panic!("there are three owners") };
    scene.handoff().on_hinted(
        PartitionId(0),
        HintGrowth { target: NodeId(target), added: true, bytes: 1_500 },
    );
    let local = scene.world.member(scene.keeper).local.clone();
    let mut admits = |target, bytes| scene.handoff().admits(&local, NodeId(target), bytes);
    assert!(admits(target, 500) && !admits(target, 501));
    assert!(admits(other, 1_500) && !admits(other, 1_501));
    assert!(!admits(other, u64::MAX));
    let (keeper, partition) = (NodeId(scene.keeper), scene.partition);
    scene.world.call(keeper, |handoff, cx, _| {
        handoff.on_refused(cx, NodeId(target), partition);
    });
    assert!(scene.is_stale(target) && !scene.is_stale(other));
    let dropped = Event::HintDropped { target: NodeId(target), partition };
    assert_eq!(scene.world.take(), [tells(keeper, dropped)]);
}

#[test]
fn other_owners_take_over_an_expired_hint_of_a_target_that_is_down_which_is_stale_then() {
    let mut scene = Scene::new();
    let [target, first, second] = scene.owners[..] else { panic!("N = 3") };
    scene.set_down(target, true);
    scene.keep_for_ms(target, &written(1), 0);
    scene.world.now.wall = scene.world.now.wall + Span(1);
    assert!(!scene.is_stale(target));
    scene.world.wait_ms(100);
    assert!(scene.is_stale(target));
    assert_eq!((scene.stored(target), scene.pending()), (0, 0));
    assert_eq!(scene.held(), [Container::default(), written(1), written(1)]);
    assert_eq!(scene.world.take(), scene.hands_over(target, [first, second], &written(1)));
}

/// A sloppy write may have been acknowledged for it: here and on one owner, whose disk is lost next.
#[test]
fn an_expired_hint_is_kept_while_fewer_other_owners_are_up_than_a_write_asks_for() {
    let mut scene = Scene::new();
    let [target, other, third] = scene.owners[..] else { panic!("N = 3") };
    scene.set_down(target, true);
    scene.set_down(other, true);
    scene.keep_for_ms(target, &written(1), 0);
    scene.world.now.wall = scene.world.now.wall + Span(1);
    scene.world.wait_ms(100);
    assert_eq!((scene.stored(target), scene.is_stale(target)), (1, false));
    assert_eq!(scene.world.take(), [scene.reads(target)]);
    scene.set_down(other, false);
    scene.world.wait_ms(100_000);
    assert_eq!((scene.stored(target), scene.is_stale(target)), (0, true));
    assert_eq!(scene.world.take(), scene.hands_over(target, [other, third], &written(1)));
    assert_eq!(scene.held(), [Container::default(), written(1), written(1)]);
}

#[test]
fn an_expired_hint_of_a_target_that_is_up_is_delivered_all_the_same() {
    let mut scene = Scene::new();
    let target = scene.owners[0];
    scene.keep_for_ms(target, &written(1), 0);
    scene.world.now.wall = scene.world.now.wall + Span(1);
    scene.world.wait_ms(100);
    assert!(!scene.is_stale(target));
    assert_eq!((scene.stored(target), scene.pending()), (0, 0));
    assert_eq!(scene.world.take(), scene.replays(0, target, &written(1)));
}

#[test]
fn a_target_is_stale_until_a_comparison_that_began_later_ends_well() {
    let mut scene = Scene::new();
    let [target, owner, ..] = scene.owners[..] else { panic!("there are three owners") };
    // The keeper of this scene is an owner: only it can be compared with the target.
    scene.keeper = owner;
    let partition = scene.partition;
    scene.world.call(NodeId(owner), |handoff, cx, _| {
        handoff.on_refused(cx, NodeId(target), partition);
    });
    let dropped = Event::HintDropped { target: NodeId(target), partition };
    assert_eq!(scene.world.take(), [scene.tells(dropped)]);
    let marked = scene.world.now.monotonic;
    for (began, is_stale) in [(marked, true), (marked + Span(1), false)] {
        let local = scene.world.member(owner).local.clone();
        scene.handoff().on_repaired(&local, NodeId(target), began);
        assert_eq!(scene.is_stale(target), is_stale);
    }
}

#[test]
fn an_answer_to_an_earlier_life_deletes_nothing() {
    let mut scene = Scene::new();
    let target = scene.owners[0];
    scene.lose(Kind::Handoff(HandoffKind::Delivered));
    scene.keep(target, &written(1));
    scene.world.wait_ms(1);
    let [reads, delivers, receives, confirms, ..] = scene.replays(0, target, &written(1));
    let (_, Effect::Send(answer)) = confirms.clone() else { panic!("the target has answered") };
    assert_eq!(scene.world.take(), [reads, delivers, receives, confirms]);
    let store = scene.world.member(scene.keeper).store.clone();
    scene.world.start(NodeId(scene.keeper), store);
    assert_eq!(scene.pending(), 1, "the hint is found again");
    scene.keep(target, &written(2));
    scene.world.wait_ms(1);
    let mut both = written(1);
    both.join(&written(2));
    scene.life = 2;
    let [reads, delivers, receives, confirms, ..] = scene.replays(0, target, &both);
    assert_eq!(scene.world.take(), [reads, delivers, receives, confirms]);
    scene.world.deliver(answer);
    assert_eq!(scene.world.take(), []);
    assert_eq!(scene.stored(target), 1);
}

#[test]
fn what_the_target_cannot_keep_is_not_acknowledged() {
    let mut scene = Scene::new();
    let target = scene.owners[0];
    scene.world.member(target).store.fault = Some(StoreFault::Full);
    scene.keep(target, &written(1));
    scene.world.wait_ms(2_500);
    let timed_out = scene.tells(Event::Probe(Probe::HintDeliveryTimedOut));
    let [reads, delivers, receives, ..] = scene.replays(0, target, &written(1));
    let [again, redelivers, joins, ..] = scene.replays(1, target, &written(1));
    assert_eq!(
        scene.world.take(),
        [reads, delivers, receives, timed_out.clone(), again, redelivers, joins]
    );
    scene.world.member(target).store.fault = None;
    scene.world.wait_ms(10_000);
    assert_eq!(scene.pending(), 0);
    let last = scene.replays(2, target, &written(1));
    assert_eq!(scene.world.take(), [&[timed_out][..], &last[..]].concat());
}

#[test]
fn hints_for_a_node_that_owns_the_key_no_longer_go_to_all_that_do() {
    // The second keeper owns the key itself: it is one of those that must have it.
    for is_owner in [false, true] {
        let mut scene = Scene::new();
        let former = if is_owner { scene.keeper } else { 99 };
        scene.keeper = if is_owner { scene.owners[0] } else { scene.keeper };
        let [first, second, last] = scene.owners[..] else { panic!("N = 3") };
        scene.world.held.insert(NodeId(last));
        scene.keep(former, &written(1));
        scene.world.wait_ms(1);
        assert_eq!(scene.stored(former), 1, "one owner does not have it durably");
        let hint = written(1);
        let begun = if is_owner {
            // It neither sends to itself nor answers itself.
            vec![
                scene.reads(former),
                scene.receives(0, first, &hint),
                scene.delivers(0, second, &hint),
                scene.delivers(0, last, &hint),
                scene.receives(0, second, &hint),
                scene.confirms(0, second),
                scene.receives(0, last, &hint),
            ]
        } else {
            vec![
                scene.reads(former),
                scene.delivers(0, first, &hint),
                scene.delivers(0, second, &hint),
                scene.delivers(0, last, &hint),
                scene.receives(0, first, &hint),
                scene.confirms(0, first),
                scene.receives(0, second, &hint),
                scene.confirms(0, second),
                scene.receives(0, last, &hint),
            ]
        };
        assert_eq!(scene.world.take(), begun);
        scene.world.release(last);
        let ended = [
            scene.confirms(0, last),
            scene.drops(former, DropReason::Delivered, &hint),
            scene.tells(Event::HintsDelivered { target: NodeId(former), count: 1 }),
        ];
        assert_eq!(scene.world.take(), ended);
        assert_eq!((scene.stored(former), scene.pending()), (0, 0));
        let key = scene.key.clone();
        for owner in scene.owners.clone() {
            assert_eq!(scene.world.holds(owner, &key), written(1));
        }
    }
}

#[test]
fn what_does_not_belong_here_is_neither_joined_nor_acknowledged() {
    let mut scene = Scene::new();
    let (keeper, target) = (scene.keeper, scene.owners[0]);
    let elsewhere = PartitionId((scene.partition.0 + 1) % 4);
    let item = (scene.key.clone(), written(1));
    for (to, partition) in [
        (keeper, scene.partition),
        (target, elsewhere),
        (target, PartitionId(4)),
        (target, PartitionId(u32::MAX)),
    ] {
        let delivery = HintDelivery { delivery: 0, partition, items: vec![item.clone()] };
        let from = if to == target { keeper } else { target };
        let local = &scene.world.member(from).local;
        let body = Body::Handoff(HandoffMessage::Deliver(delivery));
        let message = local.message(NodeId(to), RequestId(0), body);
        scene.world.deliver(message);
    }
    assert_eq!(scene.world.take(), []);
    let key = scene.key.clone();
    assert!(scene.world.holds(target, &key).is_empty());
}

#[test]
fn a_count_that_was_wrong_is_corrected_by_looking() {
    let mut scene = Scene::new();
    let (target, partition) = (NodeId(scene.owners[0]), scene.partition);
    scene.handoff().on_hinted(partition, HintGrowth { target, added: true, bytes: 9 });
    scene.world.wait_ms(1);
    assert_eq!(scene.world.take(), [scene.reads(target.0)]);
    assert_eq!((scene.pending(), scene.handoff().pending_bytes()), (0, 0));
    assert_eq!(scene.handoff().next_deadline(), None);
}

#[test]
fn targets_take_turns_and_a_pause_lies_between_batches() {
    let config = Config { hint_batch_bytes: 256, hint_pause_ms: 100, ..Config::default() };
    let mut scene = Scene::with(config);
    let [a, b, ..] = scene.owners[..] else { panic!("there are three owners") };
    for target in [a, b] {
        for number in 0..40 {
            let key = Key::from(format!("key-{number}").as_str());
            if scene.world.ring().partition_of(key.token()) == scene.partition {
                scene.key = key;
                scene.keep(target, &written(1));
            }
        }
    }
    let hints = scene.pending();
    let mut turns = Vec::new();
    while scene.pending() > 0 {
        scene.world.wait();
        let now = scene.world.now.monotonic;
        // Long, and how many hints a batch holds is none of this: every message of a turn, by kind.
        let done = scene.world.take();
        let turn = [HandoffKind::Deliver, HandoffKind::Delivered].map(Kind::Handoff);
        assert_eq!(kinds(&done), turn);
        turns.push((now, messages(&done)[0].header.to));
    }
    assert!(turns.len() > 4 && (turns.len() as u64) < hints, "{} of {hints}", turns.len());
    let pause = Span::from_ms(100);
    assert!(turns.windows(2).all(|pair| pair[1].0.since(pair[0].0) >= pause));
    assert!(turns.windows(2).all(|pair| pair[0].1 != pair[1].1), "{turns:?}");
}

#[test]
fn a_wrong_wall_clock_of_zero_expires_nothing() {
    let mut scene = Scene::new();
    let target = scene.owners[0];
    scene.keep(target, &written(1));
    scene.world.now.wall = WallTime(0);
    scene.world.wait_ms(1);
    assert_eq!(scene.world.take(), scene.replays(0, target, &written(1)));
    assert!(!scene.is_stale(target));
    assert_eq!(scene.pending(), 0);
}
