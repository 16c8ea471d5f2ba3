use super::*;
use kv_core::config::{Bucket, Resolve};

/// A fixture in which the last write wins.
fn last_write_wins() -> Fixture {
    let buckets = vec![Bucket { prefix: KEY.into(), resolve: Resolve::Lww }];
    Fixture::with(Config { buckets, ..Config::default() })
}

/// Writes upon what was seen, stamped with a time, and sends it nowhere.
fn put_at(fixture: &mut Fixture, node: NodeId, time: u64, seen: &[Dot]) -> Dot {
    let asked = fixture.ask(Mode::Sloppy, seen);
    fixture.stamp = HybridTime(time);
    fixture.mint(node, 1, &asked, context(seen))
}

#[test]
fn of_siblings_the_one_of_the_greatest_time_is_shown() {
    let mut fixture = last_write_wins();
    put_at(&mut fixture, A, 9, &[]);
    put_at(&mut fixture, B, 5, &[]);
    fixture.read(Mode::Sloppy, &[A, B]);
    fixture.assert_held();
    assert_eq!(fixture.checks.findings(CheckName::LastWrite).examined, 1);
}

#[test]
fn elsewhere_all_siblings_are_shown_and_nothing_is_judged() {
    let mut fixture = Fixture::new();
    put_at(&mut fixture, A, 9, &[]);
    put_at(&mut fixture, B, 5, &[]);
    fixture.read(Mode::Sloppy, &[A, B]);
    assert_eq!(fixture.checks.findings(CheckName::LastWrite).examined, 0);
}

/// B was asked to overwrite what A had written and never held it: its clock is behind, and C holds
/// something that is older than what A wrote, and newer than its clock.
#[test]
fn the_last_of_a_chain_is_shown_whatever_the_clock_of_its_minter() {
    let mut fixture = last_write_wins();
    put_at(&mut fixture, C, 50, &[]);
    let first = put_at(&mut fixture, A, 90, &[]);
    put_at(&mut fixture, B, 7, &[first]);
    fixture.read(Mode::Sloppy, &[B, C]);
    fixture.assert_violated(CheckName::LastWrite, "did not show the last");
    fixture.assert_violated(CheckName::LastWrite, "its writer knew of 90");
    fixture.assert_violated(CheckName::Order, "does not lie above");

    let mut fixture = last_write_wins();
    put_at(&mut fixture, C, 50, &[]);
    let first = put_at(&mut fixture, A, 90, &[]);
    put_at(&mut fixture, B, 91, &[first]);
    fixture.read(Mode::Sloppy, &[B, C]);
    fixture.assert_held();
}

#[test]
fn a_time_that_was_changed_on_the_way_shows_the_wrong_one() {
    let mut fixture = last_write_wins();
    put_at(&mut fixture, A, 9, &[]);
    put_at(&mut fixture, B, 5, &[]);
    let mut container = fixture.cluster.live[&A].clone();
    let (dot, version) = fixture.cluster.live[&B].siblings()[0].clone();
    container.add(dot, Version { time: HybridTime(10), ..version });
    let number = fixture.ask_to_read(Mode::Sloppy);
    fixture.answer(number, container);
    fixture.assert_violated(CheckName::LastWrite, "did not show the last");
}

/// A late twin of the first write, minted by a node whose clock is ahead after the second had
/// overwritten it.
fn late_twin(time: u64) -> Fixture {
    let mut fixture = last_write_wins();
    let first = fixture.ask(Mode::Sloppy, &[]);
    fixture.stamp = HybridTime(10);
    let dot = fixture.mint(A, 1, &first, context(&[]));
    put_at(&mut fixture, B, 20, &[dot]);
    fixture.stamp = HybridTime(time);
    fixture.mint(C, 1, &first, context(&[]));
    fixture.read(Mode::Sloppy, &[B, C]);
    fixture
}

#[test]
fn a_twin_of_what_was_overwritten_does_not_hide_what_overwrote_it() {
    late_twin(10).assert_held();
    late_twin(30).assert_violated(CheckName::LastWrite, "did not show the last");
}
