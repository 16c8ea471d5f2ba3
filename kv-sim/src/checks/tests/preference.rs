//! Reads with R = 1, of which one of the owners is behind.

use super::*;

/// Lets C mint a write that A lacks.
fn write(fixture: &mut Fixture) {
    let asked = fixture.ask(Mode::Sloppy, &[]);
    fixture.mint(C, 1, &asked, context(&[]));
    fixture.send(C, &[B]);
    fixture.sync(&[B, C]);
}

/// Lets C ask to read with R = 1, and be answered by one owner after so long.
fn read_from(fixture: &mut Fixture, by: NodeId, ms: u64) {
    let options = Options { read: Some(Level::One), ..Options::default() };
    let number = fixture.ask_to_read_through(C, options);
    fixture.now = fixture.now + Span::from_ms(ms);
    let achieved = Achieved { owners: [by][..].into(), fallbacks: [][..].into(), machines: 1 };
    let (container, context) = (Container::default(), Bytes::new());
    fixture.reply(number, &Reply::Value { container, context, achieved });
}

/// A cluster in which C keeps a hint for A, or gave one up.
fn behind(event: Event) -> Fixture {
    let mut fixture = Fixture::new();
    fixture.now = Time(60_000_000);
    let view = |of| MemberView { of, generation: kv_core::types::Generation(1), is_up: true };
    fixture.cluster.views = vec![(C, CLUSTER.map(view).to_vec())];
    write(&mut fixture);
    let at = fixture.tick();
    fixture.checks.on_event(at, C, &event, &fixture.cluster);
    fixture.tick();
    fixture
}

fn kept() -> Event {
    Event::HintStored { target: A }
}

fn given_up(partition: u32) -> Event {
    Event::HintDropped { target: A, partition: PartitionId(partition) }
}

#[test]
fn an_owner_that_is_behind_is_not_the_one_that_answers() {
    for event in [kept(), given_up(0)] {
        let mut fixture = behind(event.clone());
        read_from(&mut fixture, B, 2);
        fixture.assert_held();
        assert_eq!(fixture.checks.findings(CheckName::Preference).examined, 1);
        read_from(&mut fixture, A, 2);
        fixture.assert_violated(CheckName::Preference, "known to be behind");
    }
}

#[test]
fn it_may_answer_once_the_coordinator_hedges() {
    let mut fixture = behind(kept());
    read_from(&mut fixture, A, Config::default().hedge_ms);
    fixture.assert_held();
}

#[test]
fn it_may_answer_if_no_other_is_well_and_seems_up() {
    let mut fixture = behind(kept());
    fixture.cluster.down = vec![B, C];
    read_from(&mut fixture, A, 2);
    fixture.cluster.down.clear();
    fixture.cluster.views.clear();
    read_from(&mut fixture, A, 2);
    fixture.assert_held();
}

#[test]
fn it_may_answer_once_its_hints_are_delivered_or_it_is_repaired() {
    let mut fixture = behind(kept());
    let delivered = Event::HintsDelivered { target: A, count: 1 };
    fixture.checks.on_event(fixture.now, C, &delivered, &fixture.cluster);
    read_from(&mut fixture, A, 2);
    fixture.assert_held();
    let mut fixture = behind(given_up(0));
    fixture.send(C, &[A]);
    write(&mut fixture);
    read_from(&mut fixture, A, 2);
    fixture.assert_held();
}

#[test]
fn a_hint_that_was_given_up_tells_nothing_of_other_partitions() {
    let mut fixture = behind(given_up(3));
    read_from(&mut fixture, A, 2);
    fixture.assert_held();
    assert_eq!(fixture.checks.findings(CheckName::Preference).examined, 0);
}
