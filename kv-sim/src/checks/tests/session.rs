//! Monotonic reads.

use super::*;

/// Lets a client read from these nodes with a monotonic read.
fn show(fixture: &mut Fixture, from: &[NodeId]) {
    fixture.read_as(Options { monotonic: Some(true), ..strict() }, from);
}

fn strict() -> Options {
    Options { mode: Some(Mode::Strict), read: Some(Level::Quorum), ..Options::default() }
}

/// Writes at one owner, without an acknowledgement.
fn begin_to_write(fixture: &mut Fixture) {
    let asked = fixture.ask(Mode::Strict, &[]);
    fixture.mint(A, 1, &asked, context(&[]));
    fixture.sync(&[A]);
}

#[test]
fn what_a_monotonic_read_has_shown_must_not_be_hidden_even_if_it_was_never_acknowledged() {
    let mut fixture = Fixture::new();
    begin_to_write(&mut fixture);
    show(&mut fixture, &[A, B]);
    fixture.read(Mode::Strict, &[B, C]);
    fixture.assert_violated(CheckName::Session, "hid what a monotonic read had shown");
    assert_eq!(fixture.violation(CheckName::Freshness), None);
}

#[test]
fn what_was_brought_to_so_many_owners_that_every_read_meets_it_is_not_hidden() {
    let mut fixture = Fixture::new();
    begin_to_write(&mut fixture);
    fixture.send(A, &[B]);
    show(&mut fixture, &[A, B]);
    fixture.read(Mode::Strict, &[B, C]);
    assert_eq!(fixture.checks.findings(CheckName::Session).examined, 1);
    fixture.assert_held();
}

#[test]
fn an_ordinary_read_promises_nothing_and_a_sloppy_one_is_promised_nothing() {
    let mut fixture = Fixture::new();
    begin_to_write(&mut fixture);
    fixture.read(Mode::Strict, &[A, B]);
    fixture.read(Mode::Strict, &[B, C]);
    show(&mut fixture, &[A, B]);
    fixture.read(Mode::Sloppy, &[B, C]);
    fixture.assert_held();
}

#[test]
fn a_read_that_began_before_may_show_less() {
    let mut fixture = Fixture::new();
    begin_to_write(&mut fixture);
    let early = fixture.ask_to_read(Mode::Strict);
    show(&mut fixture, &[A, B]);
    fixture.answer(early, Container::default());
    fixture.assert_held();
}

#[test]
fn what_a_fault_has_taken_since_may_be_hidden() {
    let mut fixture = Fixture::new();
    begin_to_write(&mut fixture);
    fixture.send(A, &[B]);
    fixture.sync(&[B]);
    show(&mut fixture, &[A, B]);
    fixture.lose(A, Loss::Rollback);
    fixture.read(Mode::Strict, &[A, C]);
    assert_eq!(fixture.weakened(CheckName::Session), 1);
    fixture.assert_held();
}

/// Seen at seed 106212 of swarm.toml: an owner answered that it holds what is shown, and was rolled
/// back before the last one had.
#[test]
fn what_a_fault_took_while_it_was_made_to_stand_may_be_hidden() {
    let mut fixture = Fixture::new();
    begin_to_write(&mut fixture);
    fixture.send(A, &[B]);
    fixture.sync(&[B]);
    let number = fixture.ask_to_read_as(Options { monotonic: Some(true), ..strict() });
    let shown = fixture.cluster.live[&A].clone();
    fixture.lose(A, Loss::Rollback);
    fixture.answer(number, shown);
    fixture.read(Mode::Strict, &[A, C]);
    assert_eq!(fixture.weakened(CheckName::Session), 1);
    fixture.assert_held();
}
