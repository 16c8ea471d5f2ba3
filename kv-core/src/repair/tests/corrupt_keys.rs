//! Corrupt keys: when they are repaired, and how corruption is found that nobody asked for.

use super::*;
use crate::merkle::LeafId;
use crate::testing::world::{answers, executes};

/// The keys that the machine of the first node wants to be gathered now. A node asks a coordinator
/// for them; here the answers are played by hand.
fn wanted(world: &mut World<Repair>, now: u64) -> Vec<CorruptKey> {
    world.member(1).machine.corrupt_keys.ask(Time(now), Span::from_ms(10))
}

/// The first node writes something under a key, and finds the record to be corrupt.
fn corrupt(world: &mut World<Repair>, key: &Key) {
    world.puts(1, key, written(1, 1));
    corrupt_record(world, key);
    let partition = world.ring().partition_of(key.token());
    let scrub = RepairCommand::Scrub { from: LeafId(0), bytes: 1 };
    let found = world.execute(1, partition, scrub).corrupt;
    world.call(NodeId(1), |machine, _, _| machine.on_corrupt(found));
}

/// The record of a key on the disk of the first node cannot be read any more.
fn corrupt_record(world: &mut World<Repair>, key: &Key) {
    let is_it = |record: &&Bytes| {
        let record = crate::storage::parse_record_key(record);
        matches!(record, Some(crate::storage::StoredRecord::Owned { key: of, .. }) if of == *key)
    };
    let store = &mut world.member(1).store;
    let record = store.keys().find(is_it).cloned().expect("it was written");
    store.corrupt.insert(record);
}

fn gather(world: &mut World<Repair>, number: u64, container: Container) {
    world.call(NodeId(1), |machine, cx, local| machine.on_gathered(cx, local, number, container));
}

/// The first node believes its copy of a key again.
fn repaired(world: &World<Repair>, number: u64, is_unknown: bool) -> [Done; 2] {
    let (key, partition) = (key(0), world.ring().partition_of(key(0).token()));
    let corrupt = CorruptKey { key: key.clone(), number };
    let mark = RepairCommand::MarkRepaired { corrupt, is_unknown };
    [executes(NodeId(1), partition, mark), tells(NodeId(1), Event::KeyRepaired { key })]
}

fn deleted() -> Done {
    tells(NodeId(1), Event::Probe(Probe::CorruptDeleted))
}

#[test]
fn a_corrupt_key_is_repaired_when_what_enough_others_hold_is_durable_and_not_before() {
    let mut world = world(3, config());
    corrupt(&mut world, &key(0));
    let number = wanted(&mut world, 1)[0].number;
    assert!(wanted(&mut world, 2).is_empty(), "the others are given time to answer");

    world.held.insert(NodeId(1));
    gather(&mut world, number, written(2, 1));
    let items = vec![(key(0), written(2, 1))];
    let join = RepairCommand::Join { items, whose: JoinFor::CorruptKey(number) };
    let partition = world.ring().partition_of(key(0).token());
    let joined = executes(NodeId(1), partition, join);
    let replaced = tells(NodeId(1), Event::Probe(Probe::CorruptReplaced));
    assert_eq!(world.take(), [joined, replaced], "it is not durable");
    world.release(1);
    assert_eq!(world.take(), repaired(&world, number, false));
    assert!(wanted(&mut world, u64::MAX).is_empty());
    assert_eq!(world.holds(1, &key(0)), written(2, 1));
}

#[test]
fn a_corrupt_key_of_which_enough_others_know_nothing_is_repaired_at_once() {
    let mut world = world(3, config());
    corrupt(&mut world, &key(0));
    let number = wanted(&mut world, 1)[0].number;
    gather(&mut world, number, Container::default());
    let [mark, told] = repaired(&world, number, true);
    assert_eq!(world.take(), [mark, deleted(), told]);
}

#[test]
fn an_answer_from_before_a_key_was_corrupt_again_counts_for_nothing() {
    let mut world = world(3, config());
    corrupt(&mut world, &key(0));
    let number = wanted(&mut world, 1)[0].number;
    corrupt(&mut world, &key(0));
    gather(&mut world, number, written(2, 1));
    assert_eq!(world.take(), []);
}

#[test]
fn what_an_operator_gives_up_counts_as_repaired() {
    let mut world = world(3, config());
    corrupt(&mut world, &key(0));
    let partition = world.ring().partition_of(key(0).token());
    let number = wanted(&mut world, 1)[0].number;
    world.call(NodeId(1), |machine, cx, local| {
        machine.accept_loss(cx, local, AdminRequest(1), partition);
    });
    let [mark, told] = repaired(&world, number, true);
    let accepted = answers(NodeId(1), AdminRequest(1), AdminReply::LossAccepted);
    assert_eq!(world.take(), [mark, deleted(), accepted, told]);
}

#[test]
fn corruption_that_nobody_asked_for_is_found_in_time() {
    let mut world = world(3, config());
    world.puts(1, &key(0), written(2, 1));
    let root = world.member(1).local.roots.values().copied().find(|root| *root != ContentHash(0));
    assert!(root.is_some());
    corrupt_record(&mut world, &key(0));
    round(&mut world);
    round(&mut world);
    let partition = world.ring().partition_of(key(0).token());
    assert_eq!(told(&world.take()), [tells(NodeId(1), Event::Corrupt { partition })]);
}
