//! Views of the members of a cluster.

use kv_core::types::Generation;

use super::*;

fn suspect(fixture: &mut Fixture, node: NodeId, peer: NodeId) {
    let at = fixture.now;
    fixture.checks.on_event(at, node, &Event::Suspected { peer }, &fixture.cluster);
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
    fixture.assert_violated(CheckName::Membership, "knows run 1 of it, and there is run 2");
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

/// A cluster that settled long ago, of which `C` is gone for ever.
fn without_c(views: Vec<(NodeId, Vec<MemberView>)>) -> Fixture {
    let mut fixture = Fixture::new();
    fixture.now = Time(60_000_000);
    fixture.cluster.gone = vec![C];
    fixture.cluster.views = views;
    fixture
}

#[test]
fn one_that_is_gone_for_ever_is_taken_for_dead_by_all() {
    let of_a = vec![view(A, 1, true), view(B, 2, true), view(C, 1, false)];
    let of_b = |c_is_up| vec![view(A, 1, true), view(B, 2, true), view(C, 1, c_is_up)];
    let mut fixture = without_c(vec![(A, of_a.clone()), (B, of_b(false))]);
    fixture.end_as_it_is();
    fixture.assert_held();
    assert_eq!(fixture.checks.findings(CheckName::Membership).examined, 6);
    let mut fixture = without_c(vec![(A, of_a), (B, of_b(true))]);
    fixture.end_as_it_is();
    fixture.assert_violated(CheckName::Membership, "n2 trusts n3, of which no news can come");
}

#[test]
fn what_one_that_is_gone_thinks_of_the_others_is_not_judged() {
    let of_c = vec![view(A, 1, false), view(B, 2, true), view(C, 1, true)];
    let mut fixture = without_c(vec![(A, vec![view(A, 1, true), view(C, 1, false)]), (C, of_c)]);
    fixture.end_as_it_is();
    fixture.assert_held();
}

#[test]
fn what_is_heard_through_others_may_come_too_late() {
    let mut fixture = without_c(vec![(A, vec![view(A, 1, true), view(B, 2, false)])]);
    fixture.cluster.is_bridged = true;
    fixture.end_as_it_is();
    fixture.assert_held();
    assert_eq!(fixture.weakened(CheckName::Membership), 1);
}
