//! Views of the members of a cluster.

use kv_core::types::Generation;

use super::*;

fn suspect(fixture: &mut Fixture, node: NodeId, peer: NodeId) {
    let at = fixture.now;
    fixture.checks.on_event(at, node, &Event::Suspected { peer });
}

/// Pauses a node for so long, and wakes it.
fn pause(fixture: &mut Fixture, node: NodeId, ms: u64) {
    fixture.checks.on_paused(fixture.now, node);
    fixture.now = fixture.now + Span::from_ms(ms);
    fixture.checks.on_woke(fixture.now, node);
}

#[test]
fn who_wakes_convicts_nobody_at_once_and_may_do_so_later() {
    let mut fixture = Fixture::new();
    pause(&mut fixture, A, 10_000);
    fixture.now = fixture.now + Span::from_ms(1_000);
    suspect(&mut fixture, A, B);
    fixture.assert_held();
    pause(&mut fixture, A, 10_000);
    fixture.now = fixture.now + Span::from_ms(999);
    suspect(&mut fixture, A, B);
    fixture.assert_violated(CheckName::Membership, "as soon as it woke");
}

#[test]
fn others_may_convict_and_so_may_a_new_process_and_one_that_hardly_paused() {
    let mut fixture = Fixture::new();
    pause(&mut fixture, A, 10_000);
    suspect(&mut fixture, B, A);
    fixture.checks.on_stopped(A);
    suspect(&mut fixture, A, B);
    pause(&mut fixture, C, 1_999);
    suspect(&mut fixture, C, B);
    fixture.assert_held();
}

fn view(of: NodeId, generation: u64, is_up: bool) -> MemberView {
    MemberView { of, generation: Generation(generation), is_up }
}

#[test]
fn in_the_end_all_that_run_know_each_other() {
    let mut fixture = Fixture::new();
    fixture.now = Time(60_000_000);
    fixture.cluster.views = vec![
        (A, vec![view(A, 1, true), view(B, 2, true), view(C, 1, false)]),
        (B, vec![view(A, 1, true), view(B, 2, true), view(C, 1, false)]),
    ];
    fixture.end_as_it_is();
    fixture.assert_held();
    fixture.cluster.views[1].1[0].is_up = false;
    fixture.end_as_it_is();
    fixture.assert_violated(CheckName::Membership, "n2 takes for dead n1");
}

#[test]
fn an_earlier_run_is_not_the_present_one() {
    let mut fixture = Fixture::new();
    fixture.now = Time(60_000_000);
    fixture.cluster.views =
        vec![(A, vec![view(A, 1, true), view(B, 1, true)]), (B, vec![view(B, 2, true)])];
    fixture.end_as_it_is();
    fixture.assert_violated(CheckName::Membership, "knows its run 1 of 2");
}

#[test]
fn views_are_not_asked_for_before_the_cluster_has_settled() {
    let mut fixture = Fixture::new();
    fixture.now = Time(60_000_000);
    fixture.cluster.last_change = Time(59_000_000);
    fixture.cluster.views = vec![(A, vec![view(B, 1, false)]), (B, vec![view(B, 1, true)])];
    fixture.end_as_it_is();
    fixture.assert_held();
    assert_eq!(fixture.weakened(CheckName::Membership), 1);
}
