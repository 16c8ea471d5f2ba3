//! Loads of nodes that grow.

use super::*;

fn look(fixture: &mut Fixture, requests: u64, hints: &[(NodeId, u64, u64)]) {
    let load = |&(target, bytes, largest): &(NodeId, u64, u64)| {
        let partition = PartitionId(0);
        HintLoad { target, partition, count: 1, unreadable: 0, bytes, largest }
    };
    let hints = hints.iter().map(load).collect();
    let load = Load { requests, hints, counted: None };
    let at = fixture.tick();
    fixture.checks.on_load(at, D, &load);
}

#[test]
fn hints_stay_in_their_limits_but_for_what_was_in_flight() {
    let Config { hint_bytes_per_target: one, hint_bytes_total: all, .. } = Config::default();
    let mut fixture = Fixture::new();
    look(&mut fixture, 0, &[(A, one + 64 * 100, 100)]);
    look(&mut fixture, 0, &[(A, one, 1), (B, one, 1), (C, one, 1), (E, all - 3 * one + 64, 1)]);
    fixture.assert_held();
    look(&mut fixture, 0, &[(A, one + 64 * 100 + 1, 100)]);
    fixture.assert_violated(CheckName::Bounds, "bytes of hints for n1");
    let mut fixture = Fixture::new();
    look(&mut fixture, 0, &[(A, one, 1), (B, one, 1), (C, one, 1), (E, one, 1), (D, 65, 1)]);
    fixture.assert_violated(CheckName::Bounds, "bytes of hints for all others");
}

#[test]
fn operations_stay_in_their_limit() {
    let mut fixture = Fixture::new();
    look(&mut fixture, Config::default().requests_max, &[]);
    fixture.assert_held();
    look(&mut fixture, Config::default().requests_max + 1, &[]);
    fixture.assert_violated(CheckName::Bounds, "works on 65537 operations");
}

#[test]
fn a_vector_accounts_for_nothing_that_was_not_minted_for_the_key() {
    let mut fixture = Fixture::new();
    fixture.put(Mode::Strict, &[], &[A, B, C]);
    fixture.read(Mode::Strict, &[A, B]);
    fixture.assert_held();
    let stranger = Actor { node: A, epoch: Epoch(9) };
    let more = [Dot { actor: stranger, n: 3 }].into_iter().collect();
    fixture.cluster.live.get_mut(&A).expect("it holds a value").discard(&more);
    fixture.read(Mode::Strict, &[A, B]);
    fixture.assert_violated(CheckName::Bounds, "accounts for 3 events of n1");
}

#[test]
fn no_more_siblings_are_minted_and_no_longer_values_than_the_limits_say() {
    let limits = |siblings_max, value_bytes_max| Config {
        siblings_max,
        value_bytes_max,
        ..Config::default()
    };
    let mut fixture = Fixture::with(limits(2, 100));
    for _ in 0..2 {
        let asked = fixture.ask(Mode::Sloppy, &[]);
        fixture.mint(A, 1, &asked, context(&[]));
    }
    fixture.assert_held();
    let asked = fixture.ask(Mode::Sloppy, &[]);
    fixture.mint(A, 1, &asked, context(&[]));
    fixture.assert_violated(CheckName::Bounds, "siblings: 3, of 2 allowed");

    let mut fixture = Fixture::with(limits(2, 5));
    let asked = fixture.ask(Mode::Sloppy, &[]);
    fixture.mint(A, 1, &asked, context(&[]));
    fixture.assert_violated(CheckName::Bounds, "beyond a limit");
}
