use super::*;
use kv_core::message::{CoordinatorKind, RepairKind, ReplicaKind};
use kv_core::store::Refusal;

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

/// Asks for a write, and lets it fail.
fn fail_to_write(fixture: &mut Fixture, mode: Mode) -> bool {
    let before = fixture.violation(CheckName::Availability);
    let asked = fixture.ask(mode, &[]);
    give_up(fixture, asked.number);
    fixture.violation(CheckName::Availability) != before
}

#[test]
fn an_operation_is_owed_by_owners_that_were_well_from_its_beginning_whatever_else_has_changed() {
    let mut fixture = Fixture::new();
    later(&mut fixture);
    fixture.cluster.last_change = fixture.now;
    fixture.cluster.nodes_changed = CLUSTER.map(|node| (node, Time(0))).into();
    fixture.cluster.links_changed = vec![([A, B], Time(0)), ([A, C], Time(0))];
    assert!(fail_to_write(&mut fixture, Mode::Strict));
}

#[test]
fn whoever_changes_during_an_operation_owes_it_nothing() {
    let changed = |fixture: &mut Fixture| {
        later(fixture);
        let asked = fixture.ask(Mode::Strict, &[]);
        let at = fixture.tick();
        (asked.number, at)
    };
    let mut of_owners = Fixture::new();
    let (number, at) = changed(&mut of_owners);
    of_owners.cluster.nodes_changed = [(B, at), (C, at)].into();
    give_up(&mut of_owners, number);
    of_owners.assert_held();
    let mut of_links = Fixture::new();
    let (number, at) = changed(&mut of_links);
    of_links.cluster.links_changed = vec![([C, A], at), ([B, A], at)];
    give_up(&mut of_links, number);
    of_links.assert_held();
    let mut of_one = Fixture::new();
    let (number, at) = changed(&mut of_one);
    of_one.cluster.nodes_changed = [(B, at)].into();
    give_up(&mut of_one, number);
    of_one.assert_violated(CheckName::Availability, "reachable: n1, n3");
}

#[test]
fn a_fallback_is_owed_once_opinions_have_caught_up_with_the_last_change() {
    let fails_after = |ms| {
        let mut fixture = Fixture::new();
        later(&mut fixture);
        fixture.cluster.down = vec![B, C];
        fixture.cluster.last_change = fixture.now;
        fixture.now = fixture.now + Span::from_ms(ms);
        fail_to_write(&mut fixture, Mode::Sloppy)
    };
    assert!(!fails_after(4_900));
    assert!(fails_after(5_000));
}

#[test]
fn before_that_owners_are_owed_as_far_as_hedges_find_them_in_time() {
    let fails_with = |hedge_ms, asks: NodeId| {
        let mut fixture = Fixture::new();
        later(&mut fixture);
        fixture.cluster.down = vec![B];
        fixture.cluster.last_change = fixture.now;
        fixture.checks.setting.config.hedge_ms = hedge_ms;
        let setting = fixture.checks.setting.clone();
        fixture.checks = Checks::new(setting);
        let asked = fixture.ask_at(asks, Mode::Strict, &[]);
        give_up(&mut fixture, asked.number);
        fixture.violation(CheckName::Availability).is_some()
    };
    assert!(fails_with(800, D), "B is asked, and 800 ms later A or C");
    assert!(!fails_with(900, D));
    assert!(fails_with(900, A), "A mints itself");
}

#[test]
fn a_refusal_counts_as_a_failure_unless_it_excuses_itself() {
    let failed = |refusal| {
        let mut fixture = Fixture::new();
        later(&mut fixture);
        let asked = fixture.ask(Mode::Strict, &[]);
        fixture.reply(asked.number, &Reply::Refused(refusal));
        fixture.violation(CheckName::Availability).is_some()
    };
    assert!(failed(RequestRefusal::Replica(Refusal::DiskFull)));
    assert!(failed(RequestRefusal::Replica(Refusal::Corrupt)));
    assert!(failed(RequestRefusal::StoreFailed));
    assert!(!failed(RequestRefusal::Busy { max: 1 }));
    assert!(!failed(RequestRefusal::Replica(Refusal::TooManySiblings { max: 64 })));
}

#[test]
fn a_write_may_fail_unanswered_if_a_replica_would_not_take_one_more_sibling() {
    for (refusal, is_owed) in [(Refusal::TooManySiblings { max: 0 }, false), (Refusal::Late, true)]
    {
        let mut fixture = Fixture::new();
        later(&mut fixture);
        let asked = fixture.ask(Mode::Strict, &[]);
        let at = fixture.tick();
        let about = (asked.request, &KEY.into());
        fixture.checks.on_refusal_sent(at, B, about, refusal, &fixture.cluster);
        give_up(&mut fixture, asked.number);
        assert_eq!(fixture.violation(CheckName::Availability).is_some(), is_owed, "{refusal}");
    }
}

#[test]
fn an_owner_that_cannot_do_its_part_owes_none_but_the_others_do() {
    let failed = |obstacles: &[(NodeId, Obstacle)], mode| {
        let mut fixture = Fixture::new();
        later(&mut fixture);
        fixture.cluster.obstacles = obstacles.to_vec();
        fail_to_write(&mut fixture, mode)
    };
    let full = |node| (node, Obstacle::DiskFull);
    assert!(failed(&[full(A)], Mode::Strict));
    assert!(!failed(&[full(A), full(B)], Mode::Strict));
    assert!(failed(&[full(A), full(B)], Mode::Sloppy), "D or E takes it");
    assert!(!failed(&[full(A), full(B), full(D), full(E)], Mode::Sloppy));
    let no_room = |node| (node, Obstacle::HintsFull(0));
    assert!(!failed(&[full(A), full(B), no_room(D), no_room(E)], Mode::Sloppy));
    let corrupt = CLUSTER.map(|node| (node, Obstacle::Corrupt));
    assert!(!failed(&corrupt, Mode::Strict), "nobody can mint");
    assert!(
        failed(&corrupt[..2], Mode::Strict),
        "C mints, and A or B replaces what it cannot read"
    );
    let incomplete = CLUSTER.map(|node| (node, Obstacle::Incomplete));
    assert!(failed(&incomplete, Mode::Strict), "incomplete owners take writes");
}

#[test]
fn an_incomplete_owner_owes_no_read() {
    let failed = |incomplete: &[NodeId]| {
        let mut fixture = Fixture::new();
        later(&mut fixture);
        fixture.cluster.obstacles =
            incomplete.iter().map(|&node| (node, Obstacle::Incomplete)).collect();
        let number = fixture.ask_to_read(Mode::Strict);
        give_up(&mut fixture, number);
        fixture.violation(CheckName::Availability).is_some()
    };
    assert!(failed(&[A]));
    assert!(!failed(&[A, B]));
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
    // A write takes four messages.
    assert!(!failed(&[500; 4], 1_000), "no write can succeed in 1 s");
    assert!(failed(&[500; 4], 3_000), "it can in 3 s");
    assert!(failed(&[230; 4], 1_000), "four times 230 ms and the disks are less than 1 s");
    assert!(!failed(&[240; 4], 1_000));
    assert!(failed(&[240; 3], 1_000), "one of the four was fast");
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
    assert!(failed(10, 450, 0), "twice 450 ms and the messages are less than 1 s");
    assert!(!failed(10, 460, 0));
    assert!(!failed(10, 30, 460), "it is still being waited for");
    assert!(failed(10, 30, 30), "what was slow long before does not count");
}

/// Seen at seed 1736 of swarm.toml: of three owners one was dead for ever, and reads asked for one.
#[test]
fn a_monotonic_read_needs_all_whom_a_later_read_may_ask_instead() {
    let reads = |monotonic, read| {
        let mut fixture = Fixture::new();
        later(&mut fixture);
        fixture.cluster.down = vec![C];
        let (mode, read) = (Some(Mode::Strict), Some(Level::Count(read)));
        let options = Options { mode, read, monotonic: Some(monotonic), ..Options::default() };
        let read = fixture.ask_to_read_as(options);
        give_up(&mut fixture, read);
        fixture
    };
    reads(true, 1).assert_held();
    reads(false, 1).assert_violated(CheckName::Availability, "R = 1 of owners");
    reads(true, 2).assert_violated(CheckName::Availability, "R = 2 of owners");
}
