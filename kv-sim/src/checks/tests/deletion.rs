//! Values that were deleted.

use super::*;

/// A value on all owners, which is deleted on these; returns both dots.
fn deleted_on(bench: &mut Bench, on: &[NodeId]) -> (Dot, Dot) {
    let value = bench.put(Mode::Strict, &[], &[A, B, C]);
    bench.quorum = 2;
    let asked = bench.ask_for(Mode::Strict, &[value], Content::Tombstone);
    let tombstone = bench.mint(on[0], 1, &asked, context(&[value]));
    bench.send(on[0], on);
    bench.sync(on);
    bench.stored(&asked, on, &[]);
    (value, tombstone)
}

#[test]
fn a_deleted_value_may_wait_on_an_owner_that_was_not_reached() {
    let mut bench = Bench::new();
    deleted_on(&mut bench, &[A, B]);
    bench.read(Mode::Strict, &[B, C]);
    bench.end();
    bench.assert_held();
    assert_eq!(bench.checks.findings(Check::Deletion).examined, 1);
}

#[test]
fn a_strict_read_must_not_show_it() {
    let mut bench = Bench::new();
    deleted_on(&mut bench, &[A, B]);
    bench.read(Mode::Strict, &[C]);
    bench.assert_violated(Check::Deletion, "came back that had been deleted");
}

#[test]
fn a_sloppy_read_may() {
    let mut bench = Bench::new();
    deleted_on(&mut bench, &[A, B]);
    bench.read(Mode::Sloppy, &[C]);
    bench.assert_held();
}

/// Cassandra's zombie: the tombstone was forgotten before the last owner had heard of it.
#[test]
fn it_must_not_stand_in_the_end() {
    let mut bench = Bench::new();
    deleted_on(&mut bench, &[A, B]);
    for node in [A, B] {
        bench.cluster.live.insert(node, Container::default());
    }
    bench.end();
    bench.assert_violated(Check::Deletion, "in the end");
}

#[test]
fn what_was_deleted_before_is_deleted_with_it() {
    let mut bench = Bench::new();
    let old = bench.put(Mode::Strict, &[], &[A, B, C]);
    let stale = bench.cluster.live[&C].clone();
    let value = bench.put(Mode::Strict, &[old], &[A, B]);
    bench.quorum = 2;
    let asked = bench.ask_for(Mode::Strict, &[value], Content::Tombstone);
    bench.mint(A, 1, &asked, context(&[value]));
    bench.send(A, &[B]);
    bench.sync(&[A, B]);
    bench.stored(&asked, &[A, B], &[]);
    let late = bench.ask_to_read(Mode::Strict);
    bench.answer(late, stale);
    bench.assert_violated(Check::Deletion, "came back");
}

/// Seen at seed 11588 of swarm.toml: the disk of the first twin was rolled back, and the second is all
/// that is left of the delete.
#[test]
fn of_twins_that_delete_only_what_both_overwrite_is_deleted() {
    let mut bench = Bench::new();
    bench.put(Mode::Strict, &[], &[A, B]);
    let mut left = bench.cluster.live[&A].clone();
    bench.quorum = 2;
    let asked = bench.ask_for(Mode::Strict, &[], Content::Tombstone);
    bench.mint(A, 1, &asked, held());
    bench.mint(C, 1, &asked, context(&[]));
    left.join(&bench.cluster.live[&C]);
    assert_eq!(left.siblings().len(), 2, "the second twin knows nothing of the value");
    bench.send(A, &[B]);
    bench.sync(&[A, B]);
    bench.stored(&asked, &[A, B], &[]);
    let read = bench.ask_to_read(Mode::Strict);
    bench.answer(read, left);
    assert_eq!(bench.checks.findings(Check::Deletion).examined, 1);
    assert_eq!(bench.violation(Check::Deletion), None);
}

#[test]
fn a_value_written_without_knowing_of_the_delete_stands_beside_it() {
    let mut bench = Bench::new();
    let value = bench.put(Mode::Strict, &[], &[A, B, C]);
    bench.put(Mode::Strict, &[], &[C, B]);
    bench.quorum = 2;
    let asked = bench.ask_for(Mode::Strict, &[value], Content::Tombstone);
    bench.mint(A, 1, &asked, context(&[value]));
    bench.send(A, &[B]);
    bench.sync(&[A, B]);
    bench.stored(&asked, &[A, B], &[]);
    bench.read(Mode::Strict, &[A, C]);
    bench.end();
    bench.assert_held();
}

#[test]
fn a_delete_that_faults_have_destroyed_is_not_held_against_the_cluster() {
    let mut bench = Bench::new();
    deleted_on(&mut bench, &[A, B]);
    bench.lose(A, Loss::Wipe);
    bench.lose(B, Loss::Wipe);
    bench.end();
    assert_eq!(bench.weakened(Check::Deletion), 3, "it stands on each owner in the end");
    assert_eq!(bench.violation(Check::Deletion), None);
}
