//! Hints that are deleted, refused and counted.

use kv_core::store::{DropReason, HandoffCommand, HintTerms, KeptHints};

use super::*;

const TARGET: NodeId = B;
const KEEPER: NodeId = D;

/// A write that its target has not got, and for which a fallback keeps a hint that expires at `expires`.
fn hinted(expires: WallTime) -> Fixture {
    let mut fixture = Fixture::new();
    let asked = fixture.ask(Mode::Sloppy, &[]);
    fixture.mint(A, 1, &asked, context(&[]));
    fixture.send(A, &[C]);
    fixture.sync(&[A, C]);
    let terms = HintTerms { target: TARGET, created: WallTime(0), expires, copies: 1 };
    let container = fixture.cluster.live[&A].clone();
    let hint = StoredHint { key: Key::from(KEY), container, terms, minted: false };
    fixture.cluster.hints.insert((KEEPER, TARGET), hint);
    fixture
}

/// Lets the keeper delete the hint.
fn delete(fixture: &mut Fixture, reason: DropReason) {
    let hint = &fixture.cluster.hints[&(KEEPER, TARGET)];
    let items = vec![(hint.key.clone(), hint.container.hash(&hint.key))];
    let command = HandoffCommand::Drop { target: TARGET, reason, items };
    let command = StoreCommand { partition: PartitionId(0), command: command.into() };
    let at = fixture.tick();
    fixture.checks.before_drop(at, KEEPER, &command, &fixture.cluster);
}

/// Lets the keeper say that it gave up a hint, while it counts so many bytes for its target.
fn give_up(fixture: &mut Fixture, bytes: u64) {
    give_up_beside(fixture, kept(1, 0, bytes), bytes);
}

/// The keeper gives a hint up beside another one, which it counts as so long.
fn give_up_beside(fixture: &mut Fixture, other: HintLoad, bytes: u64) {
    let (target, partition) = (other.target, other.partition);
    let counted = vec![KeptHints { partition, target, count: 1, bytes }];
    let load = Load { requests: 0, hints: vec![other], counted: Some(counted) };
    let at = fixture.tick();
    fixture.checks.on_hint_dropped(at, KEEPER, (TARGET, PartitionId(0)), &load);
}

fn kept(count: u64, unreadable: u64, bytes: u64) -> HintLoad {
    let (target, partition) = (TARGET, PartitionId(0));
    HintLoad { target, partition, count, unreadable, bytes, largest: bytes }
}

/// Lets the checks look at a keeper with these hints, which counts so many of so many bytes.
fn look(fixture: &mut Fixture, hints: Vec<HintLoad>, counted: &[(u64, u64)]) {
    let (target, partition) = (TARGET, PartitionId(0));
    let counted = counted.iter();
    let counted = counted.map(|&(count, bytes)| KeptHints { partition, target, count, bytes });
    let load = Load { requests: 0, hints, counted: Some(counted.collect()) };
    let at = fixture.tick();
    fixture.checks.on_load(at, KEEPER, &load);
}

#[test]
fn a_hint_is_deleted_when_its_target_holds_it() {
    let mut fixture = hinted(WallTime(9));
    fixture.send(A, &[TARGET]);
    fixture.sync(&[TARGET]);
    delete(&mut fixture, DropReason::Delivered);
    fixture.assert_held();
    assert_eq!(fixture.checks.findings(CheckName::Hints).examined, 1);
}

#[test]
fn a_hint_that_is_deleted_before_its_target_holds_it_durably_is_lost() {
    let mut fixture = hinted(WallTime(9));
    fixture.send(A, &[TARGET]);
    delete(&mut fixture, DropReason::Delivered);
    fixture.assert_violated(CheckName::Hints, "a hint was deleted too early");
    fixture.assert_violated(CheckName::Hints, "which n2 does not hold durably");
}

#[test]
fn what_a_fault_took_from_the_target_since_is_counted() {
    let mut fixture = hinted(WallTime(9));
    fixture.send(A, &[TARGET]);
    fixture.sync(&[TARGET]);
    fixture.lose(TARGET, Loss::Wipe);
    delete(&mut fixture, DropReason::Delivered);
    fixture.assert_held();
    assert_eq!(fixture.weakened(CheckName::Hints), 1);
}

#[test]
fn a_hint_expires_by_the_clock_of_its_keeper_and_into_the_hands_of_other_owners() {
    let mut fixture = hinted(WallTime(9));
    fixture.cluster.latest_date = WallTime(10);
    delete(&mut fixture, DropReason::Expired);
    fixture.assert_held();

    let mut early = hinted(WallTime(9));
    early.cluster.latest_date = WallTime(9);
    delete(&mut early, DropReason::Expired);
    early.assert_violated(CheckName::Hints, "before its time");

    let mut alone = hinted(WallTime(9));
    alone.cluster.latest_date = WallTime(10);
    alone.cluster.reported.remove(&C);
    delete(&mut alone, DropReason::Expired);
    alone.assert_violated(CheckName::Hints, "which n3 does not hold durably");
}

#[test]
fn a_hint_is_given_up_only_where_there_is_no_room_for_it() {
    let limit = Config::default().hint_bytes_per_target;
    let mut fixture = hinted(WallTime(9));
    give_up(&mut fixture, limit);
    fixture.assert_held();
    give_up(&mut fixture, limit / 2);
    fixture.assert_violated(CheckName::Hints, "although there is room");
}

/// Seen at seed 83931 of swarm.toml.
#[test]
fn a_hint_that_cannot_be_read_takes_as_much_room_as_the_node_has_counted() {
    let limit = Config::default().hint_bytes_per_target;
    let mut fixture = hinted(WallTime(9));
    give_up_beside(&mut fixture, kept(1, 1, 0), limit);
    fixture.assert_held();
    give_up_beside(&mut fixture, kept(1, 0, 0), limit);
    fixture.assert_violated(CheckName::Hints, "although there is room");
}

#[test]
fn a_hint_that_was_spoilt_or_has_expired_is_given_up_whatever_room_there_is() {
    let mut fixture = hinted(WallTime(9));
    fixture.checks.on_rot(fixture.now, KEEPER, PartitionId(0));
    give_up(&mut fixture, 0);
    fixture.assert_held();

    let mut fixture = hinted(WallTime(9));
    fixture.cluster.latest_date = WallTime(10);
    delete(&mut fixture, DropReason::Expired);
    give_up(&mut fixture, 0);
    fixture.assert_held();
}

#[test]
fn what_a_node_counts_is_what_lies_on_its_disk() {
    let mut fixture = Fixture::new();
    look(&mut fixture, vec![kept(2, 0, 50)], &[(2, 50)]);
    look(&mut fixture, vec![], &[]);
    fixture.assert_held();
    for counted in [&[(2, 49)][..], &[(1, 50)], &[]] {
        let mut fixture = Fixture::new();
        look(&mut fixture, vec![kept(2, 0, 50)], counted);
        fixture.assert_violated(CheckName::Hints, "counts other hints than it keeps");
    }
    let mut fixture = Fixture::new();
    look(&mut fixture, vec![], &[(1, 1)]);
    fixture.assert_violated(CheckName::Hints, "counts other hints than it keeps");
}

#[test]
fn what_cannot_be_read_has_no_length_that_could_be_compared() {
    let mut fixture = Fixture::new();
    look(&mut fixture, vec![kept(2, 1, 20)], &[(2, 50)]);
    fixture.assert_held();
    assert_eq!(fixture.weakened(CheckName::Hints), 1);
}
