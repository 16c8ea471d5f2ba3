//! Levels that name data centers: `A` and `B` own the key in east and `C` owns it in west; `D` stands
//! in east, `E` in west.

use super::*;

fn two_datacenters() -> Fixture {
    let places = [(A, "east"), (B, "east"), (C, "west"), (D, "east"), (E, "west")];
    let datacenters = Datacenters::new(places, |name| if name == "east" { 2 } else { 1 });
    Fixture::of(datacenters, Config::default())
}

/// Acknowledges a write of this level that these nodes hold.
fn acknowledge(fixture: &mut Fixture, mode: Mode, level: Level, on: &[NodeId]) -> Dot {
    fixture.write = level;
    let asked = fixture.ask(mode, &[]);
    let dot = fixture.mint(on[0], 1, &asked, context(&[]));
    fixture.send(on[0], on);
    fixture.sync(on);
    let (owners, fallbacks): (Vec<_>, Vec<_>) =
        on.iter().partition(|node| CLUSTER[..3].contains(node));
    fixture.stored(&asked, &owners, &fallbacks);
    dot
}

fn acknowledged(mode: Mode, level: Level, on: &[NodeId]) -> Fixture {
    let mut fixture = two_datacenters();
    acknowledge(&mut fixture, mode, level, on);
    fixture
}

#[test]
fn a_write_to_each_data_center_stands_in_each() {
    acknowledged(Mode::Strict, Level::EachQuorum, &[A, B, C]).assert_held();
    let east = acknowledged(Mode::Strict, Level::EachQuorum, &[A, B]);
    east.assert_violated(CheckName::Durability, "strict W = 2 in east and 1 in west");
    east.assert_violated(CheckName::Ownership, "too few machines that count");
    acknowledged(Mode::Strict, Level::EachQuorum, &[A, C])
        .assert_violated(CheckName::Durability, "before it was durable");
}

#[test]
fn a_local_write_stands_in_the_data_center_of_its_coordinator() {
    acknowledged(Mode::Strict, Level::LocalQuorum, &[A, B]).assert_held();
    acknowledged(Mode::Strict, Level::LocalQuorum, &[A, C])
        .assert_violated(CheckName::Durability, "strict W = 2 in east");
}

#[test]
fn a_fallback_counts_for_an_owner_in_whichever_data_center() {
    acknowledged(Mode::Sloppy, Level::EachQuorum, &[A, B, D]).assert_held();
    acknowledged(Mode::Sloppy, Level::LocalQuorum, &[A, E]).assert_held();
    acknowledged(Mode::Sloppy, Level::LocalQuorum, &[A, C])
        .assert_violated(CheckName::Durability, "sloppy W = 2 in east");
    acknowledged(Mode::Strict, Level::LocalQuorum, &[A, D])
        .assert_violated(CheckName::Durability, "before it was durable");
}

/// Lets a client of `A` read with a level what one node holds.
fn read(fixture: &mut Fixture, level: Level, from: NodeId) {
    let options = Options { mode: Some(Mode::Strict), read: Some(level), ..Options::default() };
    let number = fixture.ask_to_read_as(options);
    let container = fixture.cluster.copy(from, &Key::from(KEY), WhichImage::Live);
    let achieved = Achieved { owners: [A, B, C][..].into(), fallbacks: [][..].into(), machines: 3 };
    fixture.reply(number, &Reply::Value { container, context: Bytes::new(), achieved });
}

#[test]
fn a_local_read_sees_what_was_written_to_each_data_center() {
    let mut fixture = acknowledged(Mode::Strict, Level::EachQuorum, &[A, B, C]);
    read(&mut fixture, Level::LocalQuorum, D);
    fixture.assert_violated(CheckName::Freshness, "(W = 2 in east and 1 in west of 3)");
    fixture.assert_violated(CheckName::Freshness, "(R = 2 in east)");
}

#[test]
fn whether_a_read_meets_a_write_is_a_matter_of_the_owners_that_both_count() {
    let missed = |read_level, written| {
        let mut fixture = acknowledged(Mode::Strict, written, &[A, B, C]);
        read(&mut fixture, read_level, D);
        fixture.violation(CheckName::Freshness).is_some()
    };
    assert!(missed(Level::LocalQuorum, Level::Count(2)), "one of two and one of three");
    assert!(missed(Level::EachQuorum, Level::Count(1)), "all in east and in west are read");
    assert!(!missed(Level::One, Level::LocalQuorum), "the one may stand in west");
    assert!(!missed(Level::One, Level::Count(2)));
}

#[test]
fn an_owner_that_lost_a_local_write_leaves_it_to_nobody_to_be_met() {
    let mut fixture = acknowledged(Mode::Strict, Level::LocalQuorum, &[A, B]);
    fixture.lose(A, Loss::Rollback);
    read(&mut fixture, Level::LocalQuorum, B);
    fixture.assert_held();
    read(&mut fixture, Level::LocalQuorum, D);
    fixture.assert_held();
    assert_eq!(fixture.weakened(CheckName::Freshness), 1);
}

#[test]
fn each_data_center_must_be_reached_by_an_operation_that_waits_for_each() {
    let failed = |level, down: &[NodeId], mode| {
        let mut fixture = two_datacenters();
        fixture.write = level;
        fixture.now = fixture.now + Span::from_ms(60_000);
        fixture.cluster.down = down.to_vec();
        let asked = fixture.ask(mode, &[]);
        fixture.reply(asked.number, &Reply::Unknown { achieved: Achieved::default() });
        fixture.violation(CheckName::Availability).is_some()
    };
    assert!(failed(Level::EachQuorum, &[], Mode::Strict));
    assert!(!failed(Level::EachQuorum, &[C, E], Mode::Strict));
    assert!(!failed(Level::EachQuorum, &[C, D, E], Mode::Sloppy));
    assert!(failed(Level::LocalQuorum, &[C, E], Mode::Strict));
    assert!(!failed(Level::LocalQuorum, &[B], Mode::Strict));
    assert!(failed(Level::LocalQuorum, &[B], Mode::Sloppy));
}
