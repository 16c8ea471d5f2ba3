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
fn a_write_that_faults_left_on_too_few_owners_may_be_missed_and_is_counted() {
    let mut bench = Bench::new();
    bench.put(Mode::Strict, &[], &[A, B]);
    bench.lose(A, Loss::Wipe);
    bench.read(Mode::Strict, &[A, C]);
    bench.assert_held();
    assert_eq!(bench.weakened(Check::Freshness), 1);
}
