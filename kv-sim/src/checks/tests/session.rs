//! Monotonic reads.

use super::*;

/// A client reads from these nodes, and what it sees is to stay.
fn show(bench: &mut Bench, from: &[NodeId]) {
    bench.read_as(Options { monotonic: Some(true), ..strict() }, from);
}

fn strict() -> Options {
    Options { mode: Some(Mode::Strict), read: Some(Level::Quorum), ..Options::default() }
}

/// A write that nobody was told of: it stands at one owner.
fn begin_to_write(bench: &mut Bench) {
    let asked = bench.ask(Mode::Strict, &[]);
    bench.mint(A, 1, &asked, context(&[]));
    bench.sync(&[A]);
}

#[test]
fn what_a_monotonic_read_has_shown_must_not_be_hidden_even_if_it_was_never_acknowledged() {
    let mut bench = Bench::new();
    begin_to_write(&mut bench);
    show(&mut bench, &[A, B]);
    bench.read(Mode::Strict, &[B, C]);
    bench.assert_violated(Check::Session, "hid what a monotonic read had shown");
    assert_eq!(bench.violation(Check::Freshness), None);
}

#[test]
fn what_was_brought_to_so_many_owners_that_every_read_meets_it_is_not_hidden() {
    let mut bench = Bench::new();
    begin_to_write(&mut bench);
    bench.send(A, &[B]);
    show(&mut bench, &[A, B]);
    bench.read(Mode::Strict, &[B, C]);
    assert_eq!(bench.checks.findings(Check::Session).examined, 1);
    bench.assert_held();
}

#[test]
fn an_ordinary_read_promises_nothing_and_a_sloppy_one_is_promised_nothing() {
    let mut bench = Bench::new();
    begin_to_write(&mut bench);
    bench.read(Mode::Strict, &[A, B]);
    bench.read(Mode::Strict, &[B, C]);
    show(&mut bench, &[A, B]);
    bench.read(Mode::Sloppy, &[B, C]);
    bench.assert_held();
}

#[test]
fn a_read_that_began_before_may_show_less() {
    let mut bench = Bench::new();
    begin_to_write(&mut bench);
    let early = bench.ask_to_read(Mode::Strict);
    show(&mut bench, &[A, B]);
    bench.answer(early, Container::default());
    bench.assert_held();
}

#[test]
fn what_a_fault_has_taken_since_may_be_hidden() {
    let mut bench = Bench::new();
    begin_to_write(&mut bench);
    bench.send(A, &[B]);
    bench.sync(&[B]);
    show(&mut bench, &[A, B]);
    bench.lose(A, Loss::Rollback);
    bench.read(Mode::Strict, &[A, C]);
    assert_eq!(bench.weakened(Check::Session), 1);
    bench.assert_held();
}

/// Seen at seed 106212 of swarm.toml: an owner said that it holds what is shown, and was rolled back before
/// the last one had said so.
#[test]
fn what_a_fault_took_while_it_was_made_to_stand_may_be_hidden() {
    let mut bench = Bench::new();
    begin_to_write(&mut bench);
    bench.send(A, &[B]);
    bench.sync(&[B]);
    let number = bench.ask_to_read_as(Options { monotonic: Some(true), ..strict() });
    let shown = bench.cluster.live[&A].clone();
    bench.lose(A, Loss::Rollback);
    bench.answer(number, shown);
    bench.read(Mode::Strict, &[A, C]);
    assert_eq!(bench.weakened(Check::Session), 1);
    bench.assert_held();
}
