use super::*;

/// Lets coordinators read these siblings for a SET, and a replica mint it.
fn set_upon(fixture: &mut Fixture, asked: &TestPut, by: NodeId, read: &[Dot]) -> Dot {
    let (request, dots) = (asked.request, read.to_vec());
    let at = fixture.tick();
    fixture.checks.on_event(
        at,
        A,
        &Event::ReadBeforeWrite { request, key: Key::from(KEY), dots },
        &fixture.cluster,
    );
    fixture.mint(by, 1, asked, context(read))
}

#[test]
fn a_strict_set_overwrites_what_was_acknowledged_before_it_began() {
    let mut fixture = Fixture::new();
    let first = fixture.put(Mode::Strict, &[], &[A, B]);
    let asked = fixture.ask_to_set(Mode::Strict, &[]);
    set_upon(&mut fixture, &asked, C, &[first]);
    fixture.assert_held();
    assert_eq!(fixture.checks.findings(CheckName::Order).examined, 2);
}

#[test]
fn a_strict_set_that_did_not_read_leaves_a_sibling_and_is_caught_when_it_is_minted() {
    let mut fixture = Fixture::new();
    fixture.put(Mode::Strict, &[], &[A, B]);
    let asked = fixture.ask_to_set(Mode::Strict, &[]);
    fixture.mint(C, 1, &asked, held());
    fixture.assert_violated(CheckName::Order, "left as a sibling what was acknowledged");
}

#[test]
fn a_set_owes_nothing_to_writes_that_were_acknowledged_after_it_began() {
    let mut fixture = Fixture::new();
    let asked = fixture.ask_to_set(Mode::Strict, &[]);
    fixture.put(Mode::Strict, &[], &[A, B]);
    set_upon(&mut fixture, &asked, C, &[]);
    fixture.assert_held();
}

#[test]
fn a_write_upon_a_token_and_a_sloppy_set_owe_nothing_to_what_they_have_not_seen() {
    let mut fixture = Fixture::new();
    fixture.put(Mode::Strict, &[], &[A, B]);
    let upon_nothing = fixture.ask(Mode::Strict, &[]);
    fixture.mint(C, 1, &upon_nothing, context(&[]));
    let sloppy = fixture.ask_to_set(Mode::Sloppy, &[]);
    fixture.mint(D, 1, &sloppy, held());
    fixture.assert_held();
}

#[test]
fn a_write_that_was_lost_by_the_disks_of_owners_need_not_be_overwritten_and_is_counted() {
    let mut fixture = Fixture::new();
    fixture.put(Mode::Strict, &[], &[A, B]);
    fixture.lose(A, Loss::Rollback);
    let asked = fixture.ask_to_set(Mode::Strict, &[]);
    set_upon(&mut fixture, &asked, C, &[]);
    fixture.assert_held();
    assert_eq!(fixture.weakened(CheckName::Order), 1);
}

#[test]
fn a_set_that_was_asked_for_twice_is_not_judged_as_nobody_knows_which_of_them_was_minted() {
    let mut fixture = Fixture::new();
    let asked = fixture.ask_to_set(Mode::Strict, &[]);
    fixture.put(Mode::Strict, &[], &[A, B]);
    fixture.ask_with(A, asked.request, Mode::Strict, &[], asked.content.clone());
    fixture.mint(C, 1, &asked, context(&[]));
    fixture.assert_held();
}

#[test]
fn the_time_of_a_version_lies_above_those_that_its_writer_had_seen() {
    let mut fixture = Fixture::new();
    fixture.stamp = HybridTime(900);
    let first = fixture.put(Mode::Sloppy, &[], &[A, B]);
    let asked = fixture.ask(Mode::Sloppy, &[first]);
    fixture.stamp = HybridTime(900);
    fixture.mint(C, 1, &asked, context(&[first]));
    fixture.assert_violated(CheckName::Order, "does not lie above");
}

#[test]
fn the_time_of_a_version_lies_above_those_that_it_overwrites_unseen() {
    let mut fixture = Fixture::new();
    fixture.stamp = HybridTime(900);
    let first = fixture.ask(Mode::Sloppy, &[]);
    fixture.mint(A, 1, &first, held());
    let then = fixture.ask_to_set(Mode::Sloppy, &[]);
    fixture.stamp = HybridTime(5);
    fixture.mint(A, 1, &then, held());
    fixture.assert_violated(CheckName::Order, "does not lie above");
}

#[test]
fn the_time_of_a_version_may_lie_below_one_that_nobody_had_seen() {
    let mut fixture = Fixture::new();
    fixture.stamp = HybridTime(900);
    fixture.put(Mode::Sloppy, &[], &[A, B]);
    fixture.stamp = HybridTime(5);
    fixture.put(Mode::Sloppy, &[], &[C]);
    fixture.assert_held();
}

#[test]
fn a_time_is_ahead_of_the_clock_only_as_far_as_times_are_adopted_or_just_above_what_is_known() {
    let ahead = HybridTime::from_wall(WallTime(60_000_000));
    let mut fixture = Fixture::new();
    fixture.cluster.latest_date = WallTime(50_000_000);
    fixture.stamp = ahead;
    let first = fixture.put(Mode::Sloppy, &[], &[A, B]);
    fixture.cluster.latest_date = WallTime(1_000_000);
    fixture.put(Mode::Sloppy, &[first], &[A, B]);
    fixture.assert_held();
    fixture.put(Mode::Sloppy, &[], &[C]);
    fixture.assert_violated(CheckName::Order, "for no reason");
}
