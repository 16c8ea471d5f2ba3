//! Counts of the nodes that answered.

use super::*;

fn achieved(owners: &[NodeId], fallbacks: &[NodeId], machines: usize) -> Achieved {
    Achieved { owners: owners.into(), fallbacks: fallbacks.into(), machines }
}

/// Answers a read with what `achieved` names.
fn answered_by(mode: Mode, achieved: Achieved) -> Fixture {
    let mut fixture = Fixture::new();
    fixture.cluster.machines.insert(E, D.0 as u32);
    let number = fixture.ask_to_read(mode);
    let reply = Reply::Value { container: Container::default(), context: Bytes::new(), achieved };
    fixture.reply(number, &reply);
    fixture
}

#[test]
fn owners_and_those_who_fallback_for_them_count() {
    answered_by(Mode::Strict, achieved(&[A, C], &[], 2)).assert_held();
    answered_by(Mode::Sloppy, achieved(&[A], &[D], 2)).assert_held();
    answered_by(Mode::Sloppy, achieved(&[A, C], &[A], 2)).assert_held();
}

#[test]
fn nobody_counts_twice() {
    answered_by(Mode::Strict, achieved(&[A, A], &[], 2))
        .assert_violated(CheckName::Ownership, "counted twice");
    answered_by(Mode::Sloppy, achieved(&[A], &[D, D], 2))
        .assert_violated(CheckName::Ownership, "counted twice");
    answered_by(Mode::Sloppy, achieved(&[A], &[A], 1))
        .assert_violated(CheckName::Ownership, "too few machines that count");
    answered_by(Mode::Sloppy, achieved(&[], &[D, E], 1))
        .assert_violated(CheckName::Ownership, "too few machines that count");
    answered_by(Mode::Sloppy, achieved(&[], &[D, E], 2))
        .assert_violated(CheckName::Ownership, "the machines were counted wrong");
}

#[test]
fn a_stranger_is_no_owner_and_a_fallback_does_not_count_in_strict() {
    answered_by(Mode::Strict, achieved(&[A, D], &[], 2))
        .assert_violated(CheckName::Ownership, "an owner that is none");
    answered_by(Mode::Strict, achieved(&[A], &[D], 2))
        .assert_violated(CheckName::Ownership, "too few machines that count");
}
