use super::*;
use kv_core::message::{CoordinatorKind, RepairKind, ReplicaKind};

fn later(fixture: &mut Fixture) {
    fixture.now = fixture.now + Span::from_ms(60_000);
}

fn give_up(fixture: &mut Fixture, number: OperationNumber) {
    let at = fixture.tick();
    fixture.checks.on_unknown(at, number, &fixture.cluster);
}

#[test]
fn an_operation_that_fails_on_a_healthy_cluster_is_caught() {
    let mut fixture = Fixture::new();
    later(&mut fixture);
    let asked = fixture.ask(Mode::Sloppy, &[]);
    fixture.reply(asked.number, &Reply::Unknown { achieved: Achieved::default() });
    fixture.assert_violated(CheckName::Availability, "W = 2 of any machines");
}

#[test]
fn an_operation_that_is_reset_on_a_healthy_cluster_is_caught() {
    let mut fixture = Fixture::new();
    later(&mut fixture);
    fixture.cluster.down = vec![B, C, E];
    let asked = fixture.ask(Mode::Sloppy, &[]);
    give_up(&mut fixture, asked.number);
    fixture
        .assert_violated(CheckName::Availability, "reachable: n1, n4, unchanged since 0.000000 s");
}

#[test]
fn a_strict_operation_needs_owners() {
    let mut fixture = Fixture::new();
    later(&mut fixture);
    fixture.cluster.down = vec![B, C];
    let strict = fixture.ask(Mode::Strict, &[]);
    give_up(&mut fixture, strict.number);
    fixture.assert_held();
    assert_eq!(fixture.weakened(CheckName::Availability), 1);
    let sloppy = fixture.ask(Mode::Sloppy, &[]);
    give_up(&mut fixture, sloppy.number);
    fixture.assert_violated(CheckName::Availability, "operation");
}

#[test]
fn an_operation_may_fail_soon_after_a_change() {
    let mut fixture = Fixture::new();
    later(&mut fixture);
    fixture.cluster.last_change = fixture.now;
    let asked = fixture.ask(Mode::Sloppy, &[]);
    give_up(&mut fixture, asked.number);
    fixture.assert_held();
    assert_eq!(fixture.weakened(CheckName::Availability), 1);
}

#[test]
fn an_operation_may_fail_if_its_message_was_lost() {
    let mut fixture = Fixture::new();
    later(&mut fixture);
    let asked = fixture.ask(Mode::Sloppy, &[]);
    fixture.checks.on_message_lost(asked.request);
    give_up(&mut fixture, asked.number);
    fixture.assert_held();
}

#[test]
fn an_operation_may_fail_if_its_coordinator_is_not_well() {
    let mut fixture = Fixture::new();
    later(&mut fixture);
    fixture.cluster.down = vec![A];
    let number = fixture.ask_to_read(Mode::Sloppy);
    give_up(&mut fixture, number);
    fixture.assert_held();
    assert_eq!(fixture.checks.findings(CheckName::Availability).examined, 1);
}

#[test]
fn an_operation_may_fail_if_its_client_was_impatient() {
    let mut fixture = Fixture::new();
    later(&mut fixture);
    fixture.checks.setting.config.timeout_ms = 499;
    let asked = fixture.ask(Mode::Sloppy, &[]);
    give_up(&mut fixture, asked.number);
    fixture.assert_held();
    assert_eq!(fixture.weakened(CheckName::Availability), 1);
}

#[test]
fn an_operation_may_fail_if_the_network_drops_a_kind_of_message_that_it_needs_and_only_then() {
    let failed = |mode, dropped, writes: bool| {
        let mut fixture = Fixture::new();
        later(&mut fixture);
        fixture.cluster.dropped = vec![dropped];
        fixture.cluster.down = vec![B, C];
        let number = if writes { fixture.ask(mode, &[]).number } else { fixture.ask_to_read(mode) };
        give_up(&mut fixture, number);
        fixture.checks.findings(CheckName::Availability).violation().is_some()
    };
    assert!(
        !failed(Mode::Sloppy, Kind::Replica(ReplicaKind::Hint), true),
        "nobody could be a fallback"
    );
    assert!(failed(Mode::Sloppy, Kind::Replica(ReplicaKind::Hint), false), "a read needs no hints");
    assert!(
        failed(Mode::Sloppy, Kind::Repair(RepairKind::Roots), true),
        "no operation needs repair"
    );
    assert!(
        !failed(Mode::Sloppy, Kind::Coordinator(CoordinatorKind::ReadReply), false),
        "nobody is heard"
    );
}

#[test]
fn a_strict_operation_is_owed_although_hints_are_dropped() {
    let mut fixture = Fixture::new();
    later(&mut fixture);
    fixture.cluster.dropped = vec![Kind::Replica(ReplicaKind::Hint)];
    let asked = fixture.ask(Mode::Strict, &[]);
    give_up(&mut fixture, asked.number);
    fixture.assert_violated(CheckName::Availability, "owners n1, n2, n3");
}

#[test]
fn an_operation_may_fail_if_no_time_passes_for_its_coordinator_but_not_for_another_node() {
    for (frozen, is_violated) in [(A, false), (B, true)] {
        let mut fixture = Fixture::new();
        later(&mut fixture);
        fixture.cluster.frozen = vec![frozen];
        let number = fixture.ask_to_read(Mode::Sloppy);
        give_up(&mut fixture, number);
        let violation = fixture.checks.findings(CheckName::Availability).violation();
        assert_eq!(violation.is_some(), is_violated, "{frozen:?}");
    }
}

#[test]
fn an_operation_may_fail_if_its_messages_took_too_long_and_only_then() {
    let failed = |trips: &[u64], timeout_ms: u64| {
        let mut fixture = Fixture::new();
        later(&mut fixture);
        fixture.checks.setting.config.timeout_ms = timeout_ms;
        let asked = fixture.ask(Mode::Sloppy, &[]);
        for trip in trips {
            fixture.checks.on_message_slow(fixture.now, asked.request, Span::from_ms(*trip));
        }
        give_up(&mut fixture, asked.number);
        fixture.checks.findings(CheckName::Availability).violation().is_some()
    };
    // A write takes four messages, and here another node is asked to mint after 100 ms.
    assert!(!failed(&[500; 4], 1_000), "no write can succeed in 1 s");
    assert!(failed(&[500; 4], 3_000), "it can in 3 s");
    assert!(failed(&[200; 4], 1_000), "four times 200 ms, the disks and 100 ms are less than 1 s");
    assert!(!failed(&[220; 4], 1_000));
    assert!(failed(&[220; 3], 1_000), "one of the four was fast");
    assert!(!failed(&[900], 1_000), "a single one can be enough");
    assert!(
        failed(&[30; 40], 1_000),
        "that there were many matters only as far as they follow each other"
    );
}

#[test]
fn an_operation_may_fail_if_disks_took_too_long_and_only_then() {
    let failed = |done_ms: u64, took_ms: u64, waiting_ms: u64| {
        let mut fixture = Fixture::new();
        fixture.checks.on_command_slow(fixture.now, Span::from_ms(10_000));
        later(&mut fixture);
        fixture.cluster.slowest_command = Span::from_ms(waiting_ms);
        let asked = fixture.ask(Mode::Sloppy, &[]);
        let done = fixture.now + Span::from_ms(done_ms);
        fixture.checks.on_command_slow(done, Span::from_ms(took_ms));
        give_up(&mut fixture, asked.number);
        fixture.checks.findings(CheckName::Availability).violation().is_some()
    };
    assert!(failed(10, 300, 0), "twice 300 ms, the messages and 100 ms are less than 1 s");
    assert!(!failed(10, 450, 0));
    assert!(!failed(10, 30, 450), "it is still being waited for");
    assert!(failed(10, 30, 30), "what was slow long before does not count");
}
