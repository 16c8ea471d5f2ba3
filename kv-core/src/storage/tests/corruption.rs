//! Corrupt records: refused, found, told of once, written over, and repaired or counted as lost.

use super::*;
use crate::event::Event;
use crate::merkle::LeafId;
use crate::probe::Probe;
use crate::store::{Batch, CorruptKey, FoundingCommand, FoundingRecord, KeptHints, Promise};

/// The key, which was corrupt for the so manieth time since the start.
fn corruption(number: u64) -> CorruptKey {
    CorruptKey { key: key(), number }
}

fn mark_repaired(is_unknown: bool) -> RepairCommand {
    RepairCommand::MarkRepaired { corrupt: corruption(1), is_unknown }
}

fn scrubbed(outcome: &Outcome) -> Result<Option<LeafId>, Refusal> {
    let Answer::Repair(RepairAnswer::Scrubbed { result }) = outcome.answer else {
        panic!("leaves were read: {outcome:?}")
    };
    result
}

fn repaired(outcome: &Outcome) -> Result<bool, Refusal> {
    let Answer::Repair(RepairAnswer::MarkedRepaired { number: 1, result }) = outcome.answer else {
        panic!("a key was to be repaired: {outcome:?}")
    };
    result
}

#[test]
fn a_corrupt_record_is_never_not_found_and_is_repaired_by_what_a_peer_sends() {
    let mut disk = Disk::new();
    let (dot, container) = {
        let outcome = disk.mint(latest(), Role::Owner);
        let (dot, container) = minted(&outcome);
        (dot, container.clone())
    };
    let is_owned = |key: &&Bytes| matches!(parse_record_key(key), Some(StoredRecord::Owned { .. }));
    let record = disk.store.keys().find(is_owned).cloned().expect("it was written");
    disk.store.sync();
    disk.store.corrupt.insert(record);
    let read = read_copy(CopyKind::Owned);
    assert_eq!(disk.run(read).answer.refusal(), Some(Refusal::Corrupt));
    assert_eq!(disk.mint(latest(), Role::Owner).answer.refusal(), Some(Refusal::Corrupt));
    disk.merge(container.clone());
    assert_eq!(disk.held(), container);
    assert_eq!(disk.partitions.root(PARTITION), disk.root_recomputed());
    let next = disk.mint(latest(), Role::Owner);
    assert_ne!(minted(&next).0.actor, dot.actor);
}

fn read() -> ReplicaCommand {
    read_copy(CopyKind::Owned)
}

/// A disk that holds one durable write, the key of the record, and what was written.
fn disk_with_one_record(is_it: impl Fn(&StoredRecord) -> bool) -> (Disk, Bytes, Container) {
    let mut disk = Disk::new();
    let container = minted(&disk.mint(latest(), Role::Owner)).1.clone();
    disk.store.sync();
    let is_it = |key: &&Bytes| parse_record_key(key).is_some_and(|record| is_it(&record));
    let record = disk.store.keys().find(is_it).cloned().expect("it was written");
    (disk, record, container)
}

fn corrupt_value() -> (Disk, Container) {
    let (mut disk, record, container) =
        disk_with_one_record(|record| matches!(record, StoredRecord::Owned { .. }));
    disk.store.corrupt.insert(record);
    (disk, container)
}

#[test]
fn a_corrupt_key_is_told_of_once_and_leaves_the_tree_so_that_a_comparison_finds_it() {
    let (mut disk, _) = corrupt_value();
    let first = disk.run(read());
    assert_eq!(first.corrupt, [corruption(1)]);
    let corrupt = Event::Corrupt { partition: PARTITION };
    assert_eq!(first.events, [corrupt, Event::Probe(Probe::CorruptReadRefused)]);
    assert_eq!(disk.partitions.root(PARTITION), ContentHash::default());
    let again = disk.run(read());
    assert_eq!((again.answer.refusal(), again.corrupt.len()), (Some(Refusal::Corrupt), 0));
}

/// Seen at seed 43 of bit-rot.toml: the second was known to the storage, and nobody repaired it.
#[test]
fn of_two_corrupt_keys_in_one_leaf_both_are_told_of() {
    let mut disk = Disk::new();
    let leaf = |key: &Key| leaf_of(key.token(), 1);
    let others = (0_u32..).map(|number| Key::from(number.to_be_bytes().to_vec()));
    let other =
        others.into_iter().find(|other| leaf(other) == leaf(&key())).expect("one shares it");
    let container = minted(&disk.mint(latest(), Role::Owner)).1.clone();
    disk.run(join(vec![(other.clone(), container)]));
    disk.store.sync();
    let is_owned = |key: &&Bytes| matches!(parse_record_key(key), Some(StoredRecord::Owned { .. }));
    let records: Vec<_> = disk.store.keys().filter(is_owned).cloned().collect();
    disk.store.corrupt.extend(records);
    let corrupt = disk.run(read()).corrupt;
    assert_ne!(corrupt[0].number, corrupt[1].number);
    let mut corrupt: Vec<_> = corrupt.into_iter().map(|corrupt| corrupt.key).collect();
    corrupt.sort();
    let mut both = vec![key(), other];
    both.sort();
    assert_eq!(corrupt, both);
    assert_eq!(disk.partitions.root(PARTITION), ContentHash::default());
}

#[test]
fn what_took_the_place_of_a_corrupt_record_is_refused_until_the_key_is_repaired() {
    let (mut disk, container) = corrupt_value();
    disk.run(read());
    disk.merge(container.clone());
    disk.store.sync();
    assert_eq!(disk.held(), container, "peers are shown what there is");
    assert_eq!(*done(&disk.run(read())), Err(Refusal::Corrupt));
    let recovered = disk.restart();
    assert_eq!(recovered.corrupt, [corruption(1)], "a restart repairs nothing");
    assert_eq!(*done(&disk.run(read())), Err(Refusal::Corrupt));
    let made = disk.run(mark_repaired(false));
    assert_eq!(repaired(&made), Ok(true));
    disk.store.sync();
    assert_eq!(*done(&disk.run(read())), Ok(ReplicaDone::Read(container)));
    assert!(disk.restart().corrupt.is_empty());
}

#[test]
fn a_store_looks_complete_where_readers_are_answered_from_it_and_nowhere_else() {
    fn agrees(disk: &mut Disk) -> bool {
        let ring = Ring::new(Layout::single_datacenter(1, 1, [(ME, "me".into())]));
        let ring = ring.expect("one node, one copy");
        disk.store.sync();
        disk.restart();
        let looks_complete = is_repaired(&disk.store, View::Durable, &ring, &key());
        assert_eq!(disk.run(read()).answer.refusal().is_none(), looks_complete);
        looks_complete
    }
    let mut unmarked = Disk::on(MemoryStore::default());
    minted(&unmarked.mint(latest(), Role::Owner));
    assert!(!agrees(&mut unmarked));
    unmarked.run(mark_complete());
    assert!(agrees(&mut unmarked));

    let (mut disk, container) = corrupt_value();
    assert!(!agrees(&mut disk));
    disk.run(read());
    disk.merge(container);
    assert!(!agrees(&mut disk), "it replaces what was corrupt, and may be less");
    disk.run(mark_repaired(false));
    assert!(agrees(&mut disk));
}

/// Seen at seed 78710 of swarm.toml: what had replaced the record since the others were asked was
/// deleted, and this owner took itself for whole.
#[test]
fn a_key_that_is_corrupt_anew_is_not_repaired() {
    for is_unknown in [false, true] {
        let (mut disk, container) = corrupt_value();
        disk.run(read());
        disk.merge(container);
        let is_owned =
            |key: &&Bytes| matches!(parse_record_key(key), Some(StoredRecord::Owned { .. }));
        let record = disk.store.keys().find(is_owned).cloned().expect("it was written");
        disk.store.corrupt.insert(record.clone());
        let made = disk.run(mark_repaired(is_unknown));
        assert_eq!(repaired(&made), Ok(false));
        assert_eq!(made.corrupt, [corruption(2)]);
        let again = disk.run(mark_repaired(is_unknown));
        assert_eq!((repaired(&again), again.corrupt), (Ok(false), vec![]));
        assert!(disk.store.corrupt.contains(&record), "it is not deleted");
        assert_eq!(*done(&disk.run(read())), Err(Refusal::Corrupt));
    }
}

#[test]
fn a_corrupt_key_of_which_nobody_knows_is_deleted_and_only_then_not_found() {
    let (mut disk, _) = corrupt_value();
    disk.run(read());
    let made = disk.run(mark_repaired(true));
    assert_eq!(repaired(&made), Ok(true));
    disk.store.sync();
    assert_eq!(*done(&disk.run(read())), Ok(ReplicaDone::Read(Container::default())));
    assert_eq!(disk.partitions.root(PARTITION), disk.root_recomputed());
}

#[test]
fn scrubbing_finds_corruption_that_nobody_asked_for_and_goes_on_where_it_stopped() {
    let (mut disk, _) = corrupt_value();
    let scrub = |from| RepairCommand::Scrub { from, bytes: 1 };
    let found = disk.run(scrub(LeafId(0)));
    assert_eq!((scrubbed(&found), found.corrupt), (Ok(None), vec![corruption(1)]));
    for number in 0..20_u8 {
        let dot = Dot { actor: Actor { node: NodeId(9), epoch: Epoch(0) }, n: 1 };
        let mut other = Container::default();
        other.discard(&[dot].into_iter().collect());
        disk.run(join(vec![(Key::from(vec![number]), other)]));
    }
    let (mut from, mut steps) = (LeafId(0), 0);
    while let Ok(Some(next)) = scrubbed(&disk.run(scrub(from))) {
        assert!(next > from);
        (from, steps) = (next, steps + 1);
    }
    assert!(steps > 10, "each step reads about a leaf");
}

/// Seen at seed 2236 of swarm.toml: nobody would ever have looked there again.
#[test]
fn corruption_is_found_in_a_leaf_that_counts_nothing() {
    let (mut disk, _) = corrupt_value();
    let leaf = |record: &StoredRecord| matches!(record, StoredRecord::Leaf { .. });
    let is_leaf = |key: &&Bytes| parse_record_key(key).is_some_and(|record| leaf(&record));
    let leaf = disk.store.keys().find(is_leaf).cloned().expect("it was written");
    disk.store.corrupt.insert(leaf);
    let scrub = || RepairCommand::Scrub { from: LeafId(0), bytes: 1 << 20 };
    assert_eq!(disk.run(scrub()).corrupt, [corruption(1)]);
    disk.store.sync();
    assert!(disk.restart().roots.is_empty(), "the leaf was written anew, without the key");
    assert_eq!(disk.run(scrub()).corrupt, [corruption(1)]);
}

#[test]
fn a_leaf_or_a_marker_that_memory_knows_is_written_anew() {
    for is_it in [
        (|record: &StoredRecord| matches!(record, StoredRecord::Leaf { .. }))
            as fn(&StoredRecord) -> bool,
        |record: &StoredRecord| matches!(record, StoredRecord::Marker { .. }),
    ] {
        let (mut disk, record, _) = disk_with_one_record(is_it);
        let before = disk.store.get(View::Live, &record);
        disk.store.corrupt.insert(record.clone());
        let scrubbed = disk.run(RepairCommand::Scrub { from: LeafId(0), bytes: 1 << 20 });
        let corrupt = Event::Corrupt { partition: PARTITION };
        assert_eq!(scrubbed.events, [Event::Probe(Probe::LeafRewritten), corrupt]);
        assert_eq!(disk.store.get(View::Live, &record), before);
        let again = disk.run(RepairCommand::Scrub { from: LeafId(0), bytes: 1 << 20 });
        assert_eq!(again.events, []);
    }
}

#[test]
fn a_leaf_that_is_corrupt_at_start_is_summed_up_anew() {
    let (mut disk, record, _) = disk_with_one_record(|it| matches!(it, StoredRecord::Leaf { .. }));
    let root = disk.partitions.root(PARTITION);
    disk.store.corrupt.insert(record);
    let recovered = disk.restart();
    assert_eq!(disk.partitions.root(PARTITION), root);
    assert_eq!(
        (recovered.corrupt_at_start, recovered.complete),
        (vec![PARTITION], vec![PARTITION])
    );
}

#[test]
fn a_marker_that_is_corrupt_at_start_is_none() {
    let (mut disk, record, _) =
        disk_with_one_record(|it| matches!(it, StoredRecord::Marker { .. }));
    disk.store.corrupt.insert(record);
    let recovered = disk.restart();
    assert_eq!((recovered.corrupt_at_start, recovered.complete), (vec![PARTITION], vec![]));
    assert_eq!(*done(&disk.run(read())), Err(Refusal::Incomplete));
}

#[test]
fn a_corrupt_hint_is_dropped_and_counted_and_its_epoch_is_over() {
    let mut disk = Disk::new();
    let terms = for_target(9);
    let first = minted(&disk.mint(latest(), Role::Fallback(terms))).0;
    disk.store.sync();
    let is_hint = |key: &&Bytes| matches!(parse_record_key(key), Some(StoredRecord::Hint { .. }));
    let record = disk.store.keys().find(is_hint).cloned().expect("it was written");
    disk.store.corrupt.insert(record);
    let asked = disk.run(read_copy(CopyKind::Hinted));
    assert_eq!(asked.answer.refusal(), Some(Refusal::Corrupt));
    assert_eq!(disk.mint(latest(), Role::Fallback(terms)).answer.refusal(), Some(Refusal::Corrupt));
    let batch = disk.run(read_hints(NodeId(9)));
    let dropped = Event::HintDropped { target: NodeId(9), partition: PARTITION };
    assert!(batch.events.contains(&dropped));
    let left = KeptHints { partition: PARTITION, target: NodeId(9), count: 0, bytes: 0 };
    assert_eq!(hints(batch), Ok(HintBatch { hints: vec![], left: Some(left) }));
    let next = disk.mint(latest(), Role::Fallback(terms));
    assert_ne!(minted(&next).0.actor, first.actor);
}

#[test]
fn a_store_that_lost_records_has_its_leaves_count_what_is_left() {
    let mut disk = Disk::new();
    let keys = (0..400).map(|n| Key::from(alloc::format!("key {n}").as_str()));
    let container = minted(&disk.mint(latest(), Role::Owner)).1.clone();
    disk.run(join(keys.map(|key| (key, container.clone())).collect()));
    let hint = Hint { key: key(), container, terms: for_target(9) };
    disk.run(for_coordinator(ReplicaAction::Hint(hint.into())));
    disk.store.sync();
    let whole = disk.root_recomputed();
    let is_lost = |key: &&Bytes| match parse_record_key(key) {
        Some(StoredRecord::Owned { key, .. }) => key.bytes().ends_with(b"7"),
        Some(StoredRecord::HintOrder { .. }) => true,
        _ => false,
    };
    let mut lost = Batch::default();
    for record in disk.store.keys().filter(is_lost) {
        lost.delete(record);
    }
    assert!(lost.len() > 40);
    disk.store.commit(lost).expect("it is well");
    distrust(&mut disk.store, 1).expect("it is well");
    disk.store.sync();
    let recovered = disk.restart();
    assert_eq!(recovered.complete, []);
    assert_ne!(disk.root_recomputed(), whole);
    assert_eq!(disk.partitions.root(PARTITION), disk.root_recomputed());
    let replayed = hints(disk.run(read_hints(NodeId(9)))).expect("it is well").hints;
    assert_eq!(replayed.len(), 1, "a hint that lost its place is replayed all the same");
}

#[test]
fn a_store_that_lost_its_founding_with_other_records_is_not_taken_for_a_new_one() {
    let mut disk = Disk::on(MemoryStore::default());
    let promise = Promise { founding: FoundingId(7), to: ME, request: RequestId(1) };
    disk.run(FoundingCommand::Pledge { promise });
    disk.store.sync();
    assert_eq!(disk.restart().founding, FoundingRecord::Pledged(vec![FoundingId(7)]));
    distrust(&mut disk.store, 1).expect("it is well");
    disk.store.sync();
    assert_eq!(disk.restart().founding, FoundingRecord::None);
}
