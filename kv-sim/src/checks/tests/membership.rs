//! Views of who is there.

use kv_core::types::Generation;

use super::*;

fn suspect(bench: &mut Bench, node: NodeId, peer: NodeId) {
    let at = bench.now;
    bench.checks.on_event(at, node, &Event::Suspected { peer });
}

/// A node stands still for so long, and wakes.
fn pause(bench: &mut Bench, node: NodeId, ms: u64) {
    bench.checks.on_paused(bench.now, node);
    bench.now = bench.now + Span::from_ms(ms);
    bench.checks.on_woke(bench.now, node);
}

#[test]
fn who_wakes_convicts_nobody_at_once_and_may_do_so_later() {
    let mut bench = Bench::new();
    pause(&mut bench, A, 10_000);
    bench.now = bench.now + Span::from_ms(1_000);
    suspect(&mut bench, A, B);
    bench.assert_held();
    pause(&mut bench, A, 10_000);
    bench.now = bench.now + Span::from_ms(999);
    suspect(&mut bench, A, B);
    bench.assert_violated(Check::Membership, "as soon as it woke");
}

#[test]
fn others_may_convict_and_so_may_a_new_process_and_one_that_hardly_paused() {
    let mut bench = Bench::new();
    pause(&mut bench, A, 10_000);
    suspect(&mut bench, B, A);
    bench.checks.on_stopped(A);
    suspect(&mut bench, A, B);
    pause(&mut bench, C, 1_999);
    suspect(&mut bench, C, B);
    bench.assert_held();
}

fn view(of: NodeId, generation: u64, is_up: bool) -> View {
    View { of, generation: Generation(generation), is_up }
}

#[test]
fn in_the_end_all_that_run_know_each_other() {
    let mut bench = Bench::new();
    bench.now = Time(60_000_000);
    bench.cluster.views = vec![
        (A, vec![view(A, 1, true), view(B, 2, true), view(C, 1, false)]),
        (B, vec![view(A, 1, true), view(B, 2, true), view(C, 1, false)]),
    ];
    bench.end_as_it_is();
    bench.assert_held();
    bench.cluster.views[1].1[0].is_up = false;
    bench.end_as_it_is();
    bench.assert_violated(Check::Membership, "n2 takes for dead n1");
}

#[test]
fn an_earlier_run_is_not_the_present_one() {
    let mut bench = Bench::new();
    bench.now = Time(60_000_000);
    bench.cluster.views =
        vec![(A, vec![view(A, 1, true), view(B, 1, true)]), (B, vec![view(B, 2, true)])];
    bench.end_as_it_is();
    bench.assert_violated(Check::Membership, "knows its run 1 of 2");
}

#[test]
fn views_are_not_asked_for_before_the_cluster_has_settled() {
    let mut bench = Bench::new();
    bench.now = Time(60_000_000);
    bench.cluster.last_change = Time(59_000_000);
    bench.cluster.views = vec![(A, vec![view(B, 1, false)]), (B, vec![view(B, 1, true)])];
    bench.end_as_it_is();
    bench.assert_held();
    assert_eq!(bench.weakened(Check::Membership), 1);
}
