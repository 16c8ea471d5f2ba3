use super::*;

#[test]
fn a_strict_read_that_overlaps_with_the_write_sees_it() {
    let mut bench = Bench::new();
    let first = bench.put(Mode::Strict, &[], &[A, B]);
    bench.put(Mode::Strict, &[first], &[B, C]);
    bench.read(Mode::Strict, &[A, C]);
    bench.assert_held();
    assert_eq!(bench.checks.findings(Check::Freshness).examined, 1);
}

#[test]
fn a_strict_read_that_missed_a_write_acknowledged_before_it_began_is_stale() {
    let mut bench = Bench::new();
    let first = bench.put(Mode::Strict, &[], &[A, B]);
    bench.put(Mode::Strict, &[first], &[B, C]);
    bench.read(Mode::Strict, &[A]);
    bench.assert_violated(Check::Freshness, "missed a write");
    bench.assert_violated(Check::Freshness, "operation #2");
}

#[test]
fn a_read_owes_nothing_to_writes_that_were_acknowledged_after_it_began() {
    let mut bench = Bench::new();
    let number = bench.ask_to_read(Mode::Strict);
    bench.put(Mode::Strict, &[], &[A, B]);
    bench.answer(number, Container::default());
    bench.assert_held();
}

#[test]
fn sloppy_reads_and_sloppy_writes_owe_nothing() {
    let mut bench = Bench::new();
    bench.put(Mode::Sloppy, &[], &[A, B]);
    bench.read(Mode::Strict, &[C]);
    bench.put(Mode::Strict, &[], &[A, B]);
    bench.read(Mode::Sloppy, &[C]);
    bench.assert_held();
    assert_eq!(bench.checks.findings(Check::Freshness).examined, 1);
}

#[test]
fn a_write_that_a_lying_disk_lost_may_be_missed_and_is_counted() {
    let mut bench = Bench::new();
    let asked = bench.ask(Mode::Strict, &[]);
    bench.mint(A, 1, &asked, held());
    bench.send(A, &[A, B]);
    bench.sync(&[B]);
    bench.lie(A);
    bench.stored(&asked, &[A, B], &[]);
    bench.lose(A, Loss::Unsynced);
    bench.read(Mode::Strict, &[A, C]);
    bench.assert_held();
    assert_eq!(bench.weakened(Check::Freshness), 1);
}

#[test]
fn an_owner_whose_disk_was_wiped_must_not_be_read_before_it_is_synced() {
    let mut bench = Bench::new();
    bench.put(Mode::Strict, &[], &[A, B]);
    bench.lose(A, Loss::Wipe);
    bench.read(Mode::Strict, &[B, C]);
    bench.assert_held();
    bench.read(Mode::Strict, &[A, C]);
    bench.assert_violated(Check::Freshness, "missed a write");
}

/// Seen at seed 42496 of swarm.toml: a disk was wiped, and then an image of it came back that was older
/// than the write. Its owner had known that it had lost something, and now answered.
#[test]
fn an_owner_that_knew_what_it_had_lost_may_be_rolled_back_to_where_it_does_not() {
    let mut bench = Bench::new();
    bench.put(Mode::Strict, &[], &[A, B]);
    bench.send(A, &[C]);
    bench.sync(&[C]);
    bench.lose(A, Loss::Wipe);
    bench.lose(B, Loss::Wipe);
    let wiped = bench.clone();
    bench.lose(B, Loss::Rollback);
    bench.lose(A, Loss::Rollback);
    bench.read(Mode::Strict, &[A, B]);
    bench.assert_held();
    assert_eq!(bench.weakened(Check::Freshness), 1);

    let mut one = wiped;
    one.lose(A, Loss::Rollback);
    one.read(Mode::Strict, &[A, B]);
    one.assert_violated(Check::Freshness, "missed a write");
}

#[test]
fn a_write_of_which_two_wipes_left_no_owner_may_be_missed() {
    let mut bench = Bench::new();
    bench.put(Mode::Strict, &[], &[A, B]);
    bench.lose(A, Loss::Wipe);
    bench.lose(B, Loss::Wipe);
    bench.read(Mode::Strict, &[A, C]);
    bench.assert_held();
    assert_eq!(bench.weakened(Check::Freshness), 1);
}
