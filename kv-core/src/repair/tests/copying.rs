//! Owners that lost their data: what they copy back, from whom, and when they are complete.

use super::*;
use crate::testing::MemoryStore;
use crate::testing::world::{answers, executes};

fn completes(node: u64, partition: u32) -> Done {
    tells(NodeId(node), Event::Completed { partition: PartitionId(partition) })
}

/// A node's data, and its data alone, are gone.
fn wipe(world: &mut World<Repair>, node: u64) {
    world.start(NodeId(node), MemoryStore::default());
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
    // Each of the others copies nothing, as its own questions are lost.
    let ring = world.ring();
    let held = |partition| {
        let here =
            |number: &usize| ring.partition_of(key(*number).token()) == PartitionId(partition);
        let keys = (0..20).filter(here);
        let (even, odd): (Vec<_>, Vec<_>) = keys.partition(|number| number % 2 == 0);
        (even.len() as u64, (even.len() + odd.len()) as u64)
    };
    let in_vain = [times_out(2), times_out(3)];
    let copied = (0..4).flat_map(|at| repairs(1, 2, PartitionId(at), held(at).0));
    assert_eq!(told(&world.take()), copied.chain(in_vain.clone()).collect::<Vec<_>>());
    assert_eq!(world.member(1).local.complete.len(), 0);
    round(&mut world);
    let copied = (0..4).flat_map(|at| {
        repairs(1, 3, PartitionId(at), held(at).1).into_iter().chain([completes(1, at)])
    });
    assert_eq!(told(&world.take()), copied.chain(in_vain).collect::<Vec<_>>());
    assert_eq!(world.member(1).local.complete.len(), 4);
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
    let undecided = |node| tells(NodeId(node), Event::LossUndecided { partitions: 4 });
    assert_eq!(told(&world.take()), [undecided(1), undecided(2)]);
    // With W = 3 any other that has lost nothing holds every write that waited for so many; but a request
    // may ask for fewer.
    for member in world.nodes.values_mut() {
        member.local.config.write_quorum = 3;
    }
    for _ in 0..4 {
        round(&mut world);
    }
    assert_eq!(told(&world.take()), []);
}

#[test]
fn a_marker_that_finds_no_room_is_written_later() {
    let mut world = world(3, config());
    wipe(&mut world, 1);
    world.member(1).store.fault = Some(crate::store::StoreFault::Full);
    for _ in 0..4 {
        round(&mut world);
    }
    // In the second of the rounds, and again in each that follows.
    let not_written = tells(NodeId(1), Event::Probe(Probe::MarkerNotWritten));
    assert_eq!(told(&world.take()), vec![not_written; 3 * 4]);
    world.member(1).store.fault = None;
    round(&mut world);
    assert_eq!(told(&world.take()), [0, 1, 2, 3].map(|at| completes(1, at)));
    assert_eq!(world.member(1).local.complete.len(), 4);
}

#[test]
fn an_only_owner_that_lost_its_data_serves_when_an_operator_says_so() {
    let mut world = world(1, config());
    wipe(&mut world, 1);
    round(&mut world);
    round(&mut world);
    assert_eq!(world.member(1).local.complete.len(), 0);
    let undecided = tells(NodeId(1), Event::LossUndecided { partitions: 4 });
    let done = world.take();
    assert_eq!(told(&done), [undecided], "it is said once");
    assert_eq!(said(&done), []);
    for (request, partition) in [(7, 2), (8, 99), (9, 2)] {
        world.call(NodeId(1), |repair, cx, local| {
            repair.accept_loss(cx, local, AdminRequest(request), PartitionId(partition));
        });
    }
    assert_eq!(world.member(1).local.complete, [PartitionId(2)].into());
    let [accepted, elsewhere] = [PartitionId(2), PartitionId(99)];
    let refused =
        |request, refusal| answers(NodeId(1), AdminRequest(request), AdminReply::Refused(refusal));
    let mark = RepairCommand::MarkComplete { reason: CompletionReason::LossAccepted };
    let expected = [
        executes(NodeId(1), accepted, mark),
        answers(NodeId(1), AdminRequest(7), AdminReply::LossAccepted),
        tells(NodeId(1), Event::Probe(Probe::LossAccepted)),
        refused(8, AdminRefusal::NotOwned { partition: elsewhere }),
        refused(9, AdminRefusal::NothingLost { partition: accepted }),
    ];
    assert_eq!(world.take(), expected, "nothing was copied");
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
    let partition = world.ring().partition_of(key(1).token());
    let done = world.take();
    let dialogues = [
        dialogue(1, 2, &[FIRST_LOOK, DESCENT].concat()),
        dialogue(2, 1, EQUAL),
        dialogue(3, 1, EQUAL),
    ];
    assert_eq!(said(&done), dialogues.concat());
    assert_eq!(told(&done), repairs(1, 2, partition, 1));
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
    let done = world.take();
    let asks = &[RepairKind::Compare];
    let dialogues = [dialogue(1, 2, &[FIRST_LOOK, DESCENT].concat()), dialogue(2, 1, asks)];
    assert_eq!(said(&done), dialogues.concat());
    assert_eq!(told(&done), [times_out(2)]);
    world.release(1);
    round(&mut world);
    let copied = partition.0;
    let equal = (0..4).filter(|&at| at != copied).map(|at| completes(1, at));
    let repaired =
        repairs(1, 2, partition, 1).into_iter().chain([completes(1, copied), times_out(2)]);
    assert_eq!(told(&world.take()), equal.chain(repaired).collect::<Vec<_>>());
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
    // Who asks whom: whoever answers has lost nothing, or the same.
    let asked = said(&world.take()).into_iter().filter(|&(_, _, kind)| kind == RepairKind::Compare);
    let by_first: Vec<u64> = asked.filter(|&(from, ..)| from == 1).map(|(_, to, _)| to).collect();
    assert_eq!(by_first, [2, 3].repeat(5));
}
