use super::*;

#[test]
fn a_strict_read_that_overlaps_with_the_write_sees_it() {
    let mut fixture = Fixture::new();
    let first = fixture.put(Mode::Strict, &[], &[A, B]);
    fixture.put(Mode::Strict, &[first], &[B, C]);
    fixture.read(Mode::Strict, &[A, C]);
    fixture.assert_held();
    assert_eq!(fixture.checks.findings(CheckName::Freshness).examined, 1);
}

#[test]
fn a_strict_read_that_missed_a_write_acknowledged_before_it_began_is_stale() {
    let mut fixture = Fixture::new();
    let first = fixture.put(Mode::Strict, &[], &[A, B]);
    fixture.put(Mode::Strict, &[first], &[B, C]);
    fixture.read(Mode::Strict, &[A]);
    fixture.assert_violated(CheckName::Freshness, "missed a write");
    fixture.assert_violated(CheckName::Freshness, "operation #2");
}

#[test]
fn a_read_owes_nothing_to_writes_that_were_acknowledged_after_it_began() {
    let mut fixture = Fixture::new();
    let number = fixture.ask_to_read(Mode::Strict);
    fixture.put(Mode::Strict, &[], &[A, B]);
    fixture.answer(number, Container::default());
    fixture.assert_held();
}

#[test]
fn sloppy_reads_and_sloppy_writes_owe_nothing() {
    let mut fixture = Fixture::new();
    fixture.put(Mode::Sloppy, &[], &[A, B]);
    fixture.read(Mode::Strict, &[C]);
    fixture.put(Mode::Strict, &[], &[A, B]);
    fixture.read(Mode::Sloppy, &[C]);
    fixture.assert_held();
    assert_eq!(fixture.checks.findings(CheckName::Freshness).examined, 1);
}

#[test]
fn a_write_that_a_lying_disk_lost_may_be_missed_and_is_counted() {
    let mut fixture = Fixture::new();
    let asked = fixture.ask(Mode::Strict, &[]);
    fixture.mint(A, 1, &asked, held());
    fixture.send(A, &[A, B]);
    fixture.sync(&[B]);
    fixture.lie(A);
    fixture.stored(&asked, &[A, B], &[]);
    fixture.lose(A, Loss::Unsynced);
    fixture.read(Mode::Strict, &[A, C]);
    fixture.assert_held();
    assert_eq!(fixture.weakened(CheckName::Freshness), 1);
}

#[test]
fn an_owner_whose_disk_was_wiped_must_not_be_read_before_it_is_complete() {
    let mut fixture = Fixture::new();
    fixture.put(Mode::Strict, &[], &[A, B]);
    fixture.lose(A, Loss::Wipe);
    fixture.read(Mode::Strict, &[B, C]);
    fixture.assert_held();
    fixture.read(Mode::Strict, &[A, C]);
    fixture.assert_violated(CheckName::Freshness, "missed a write");
}

/// Seen at seed 42496 of swarm.toml: a disk was wiped, and then an image of it came back that was
/// older than the write. Its owner had known that it had lost something, and now answered.
#[test]
fn an_owner_that_knew_what_it_had_lost_may_be_rolled_back_to_where_it_does_not() {
    let mut fixture = Fixture::new();
    fixture.put(Mode::Strict, &[], &[A, B]);
    fixture.send(A, &[C]);
    fixture.sync(&[C]);
    fixture.lose(A, Loss::Wipe);
    fixture.lose(B, Loss::Wipe);
    let wiped = fixture.clone();
    fixture.lose(B, Loss::Rollback);
    fixture.lose(A, Loss::Rollback);
    fixture.read(Mode::Strict, &[A, B]);
    fixture.assert_held();
    assert_eq!(fixture.weakened(CheckName::Freshness), 1);

    let mut one = wiped;
    one.lose(A, Loss::Rollback);
    one.read(Mode::Strict, &[A, B]);
    one.assert_violated(CheckName::Freshness, "missed a write");
}

#[test]
fn a_write_of_which_two_wipes_left_no_owner_may_be_missed() {
    let mut fixture = Fixture::new();
    fixture.put(Mode::Strict, &[], &[A, B]);
    fixture.lose(A, Loss::Wipe);
    fixture.lose(B, Loss::Wipe);
    fixture.read(Mode::Strict, &[A, C]);
    fixture.assert_held();
    assert_eq!(fixture.weakened(CheckName::Freshness), 1);
}

#[test]
fn what_a_fault_took_while_the_read_was_under_way_may_be_missed_and_is_counted() {
    let mut fixture = Fixture::new();
    fixture.put(Mode::Strict, &[], &[A, B]);
    let options =
        Options { mode: Some(Mode::Strict), read: Some(Level::Count(2)), ..Options::default() };
    let number = fixture.ask_to_read_as(options);
    fixture.lose(A, Loss::Wipe);
    fixture.answer(number, Container::default());
    fixture.assert_held();
    assert_eq!(fixture.weakened(CheckName::Freshness), 1);
}
