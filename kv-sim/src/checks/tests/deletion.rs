//! Values that were deleted.

use super::*;

/// Writes a value on all owners and deletes it on these; returns both dots.
fn deleted_on(fixture: &mut Fixture, on: &[NodeId]) -> (Dot, Dot) {
    let value = fixture.put(Mode::Strict, &[], &[A, B, C]);
    fixture.write = Level::Count(2);
    let asked = fixture.ask_for(Mode::Strict, &[value], Content::Tombstone);
    let tombstone = fixture.mint(on[0], 1, &asked, context(&[value]));
    fixture.send(on[0], on);
    fixture.sync(on);
    fixture.stored(&asked, on, &[]);
    (value, tombstone)
}

#[test]
fn a_deleted_value_may_wait_on_an_owner_that_was_not_reached() {
    let mut fixture = Fixture::new();
    deleted_on(&mut fixture, &[A, B]);
    fixture.read(Mode::Strict, &[B, C]);
    fixture.end();
    fixture.assert_held();
    assert_eq!(fixture.checks.findings(CheckName::Deletion).examined, 1);
}

#[test]
fn a_strict_read_must_not_show_it() {
    let mut fixture = Fixture::new();
    deleted_on(&mut fixture, &[A, B]);
    fixture.read(Mode::Strict, &[C]);
    fixture.assert_violated(CheckName::Deletion, "came back that had been deleted");
}

#[test]
fn a_sloppy_read_may() {
    let mut fixture = Fixture::new();
    deleted_on(&mut fixture, &[A, B]);
    fixture.read(Mode::Sloppy, &[C]);
    fixture.assert_held();
}

/// Cassandra's zombie: the tombstone was forgotten before the last owner had heard of it.
#[test]
fn it_must_be_gone_in_the_end() {
    let mut fixture = Fixture::new();
    deleted_on(&mut fixture, &[A, B]);
    for node in [A, B] {
        fixture.cluster.live.insert(node, Container::default());
    }
    fixture.end();
    fixture.assert_violated(CheckName::Deletion, "in the end");
}

#[test]
fn what_was_deleted_before_is_deleted_with_it() {
    let mut fixture = Fixture::new();
    let old = fixture.put(Mode::Strict, &[], &[A, B, C]);
    let stale = fixture.cluster.live[&C].clone();
    let value = fixture.put(Mode::Strict, &[old], &[A, B]);
    fixture.write = Level::Count(2);
    let asked = fixture.ask_for(Mode::Strict, &[value], Content::Tombstone);
    fixture.mint(A, 1, &asked, context(&[value]));
    fixture.send(A, &[B]);
    fixture.sync(&[A, B]);
    fixture.stored(&asked, &[A, B], &[]);
    let late = fixture.ask_to_read(Mode::Strict);
    fixture.answer(late, stale);
    fixture.assert_violated(CheckName::Deletion, "came back");
}

/// Seen at seed 11588 of swarm.toml: the disk of the first twin was rolled back, and the second is
/// all that is left of the delete.
#[test]
fn of_twins_that_delete_only_what_both_overwrite_is_deleted() {
    let mut fixture = Fixture::new();
    fixture.put(Mode::Strict, &[], &[A, B]);
    let mut left = fixture.cluster.live[&A].clone();
    fixture.write = Level::Count(2);
    let asked = fixture.ask_for(Mode::Strict, &[], Content::Tombstone);
    fixture.mint(A, 1, &asked, held());
    fixture.mint(C, 1, &asked, context(&[]));
    left.join(&fixture.cluster.live[&C]);
    assert_eq!(left.siblings().len(), 2, "the second twin knows nothing of the value");
    fixture.send(A, &[B]);
    fixture.sync(&[A, B]);
    fixture.stored(&asked, &[A, B], &[]);
    let read = fixture.ask_to_read(Mode::Strict);
    fixture.answer(read, left);
    assert_eq!(fixture.checks.findings(CheckName::Deletion).examined, 1);
    assert_eq!(fixture.violation(CheckName::Deletion), None);
}

#[test]
fn a_value_written_without_knowing_of_the_delete_stands_beside_it() {
    let mut fixture = Fixture::new();
    let value = fixture.put(Mode::Strict, &[], &[A, B, C]);
    fixture.put(Mode::Strict, &[], &[C, B]);
    fixture.write = Level::Count(2);
    let asked = fixture.ask_for(Mode::Strict, &[value], Content::Tombstone);
    fixture.mint(A, 1, &asked, context(&[value]));
    fixture.send(A, &[B]);
    fixture.sync(&[A, B]);
    fixture.stored(&asked, &[A, B], &[]);
    fixture.read(Mode::Strict, &[A, C]);
    fixture.end();
    fixture.assert_held();
}

#[test]
fn a_delete_that_faults_have_destroyed_is_not_held_against_the_cluster() {
    let mut fixture = Fixture::new();
    deleted_on(&mut fixture, &[A, B]);
    fixture.lose(A, Loss::Wipe);
    fixture.lose(B, Loss::Wipe);
    fixture.end();
    assert_eq!(fixture.weakened(CheckName::Deletion), 3, "it stands on each owner in the end");
    assert_eq!(fixture.violation(CheckName::Deletion), None);
}

#[test]
fn a_value_may_stand_for_ever_where_nobody_who_knows_of_the_delete_can_be_heard() {
    let with_gone = |gone: &[NodeId]| {
        let mut fixture = Fixture::new();
        deleted_on(&mut fixture, &[A, B]);
        fixture.cluster.gone = gone.to_vec();
        fixture.end_as_it_is();
        fixture
    };
    assert_eq!(with_gone(&[A, B]).violation(CheckName::Deletion), None);
    assert_eq!(with_gone(&[C]).violation(CheckName::Deletion), None, "it is on the disk of one");
    with_gone(&[A]).assert_violated(CheckName::Deletion, "in the end");
}
