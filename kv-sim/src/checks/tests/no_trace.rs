use kv_core::version::ContextError;

use super::*;

#[test]
fn a_refused_write_must_not_be_done_later() {
    let mut fixture = Fixture::new();
    let asked = fixture.ask(Mode::Sloppy, &[]);
    fixture.refused(&asked);
    fixture.assert_held();
    fixture.mint(A, 1, &asked, held());
    fixture.assert_violated(CheckName::NoTrace, "was refused");
}

#[test]
fn a_write_that_was_refused_once_may_be_the_work_of_another_attempt() {
    let mut fixture = Fixture::new();
    let asked = fixture.ask(Mode::Sloppy, &[]);
    let again = fixture.ask_as(asked.request, Mode::Sloppy, &[]);
    fixture.refused(&again);
    fixture.mint(A, 1, &asked, held());
    fixture.assert_held();
}

#[test]
fn a_write_that_must_be_refused_is_minted_by_nobody() {
    let mut fixture = Fixture::new();
    let asked = fixture.ask(Mode::Sloppy, &[]);
    fixture.checks.on_misuse(asked.number, "a token of another key");
    fixture.mint(A, 1, &asked, held());
    fixture.assert_violated(CheckName::NoTrace, "it came with a token of another key");
}

#[test]
fn a_write_that_must_be_refused_is_refused_before_any_replica_is_asked() {
    let mut fixture = Fixture::new();
    let asked = fixture.ask(Mode::Sloppy, &[]);
    fixture.checks.on_misuse(asked.number, "a token of another key");
    let mut at_once = fixture.clone();
    let refusal = RequestRefusal::Context(ContextError::OtherKey);
    at_once.reply(asked.number, &Reply::Refused(refusal));
    assert_eq!(at_once.violation(CheckName::NoTrace), None);
    assert_eq!(at_once.checks.findings(CheckName::NoTrace).examined, 1);
    let refusal = RequestRefusal::Replica(kv_core::store::Refusal::DiskFull);
    fixture.reply(asked.number, &Reply::Refused(refusal));
    fixture.assert_violated(CheckName::NoTrace, "had to be refused at once");
}

#[test]
fn a_read_that_must_be_refused_is_not_answered() {
    let mut fixture = Fixture::new();
    let number = fixture.ask_to_read(Mode::Sloppy);
    fixture.checks.on_misuse(number, "a key without a name");
    fixture.answer(number, Container::default());
    fixture.assert_violated(CheckName::NoTrace, "a key without a name");
}
