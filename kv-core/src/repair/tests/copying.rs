//! Owners that lost their data: what they copy back, from whom, and when they are complete.

use super::*;
use crate::testing::MemoryStore;

fn completed_events(world: &World<Repair>) -> usize {
    world.events.iter().filter(|(_, event)| matches!(event, Event::Completed { .. })).count()
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
