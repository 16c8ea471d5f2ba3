use super::*;

fn converged() -> Fixture {
    let mut fixture = Fixture::new();
    fixture.put(Mode::Sloppy, &[], &[A, B, C]);
    fixture
}

#[test]
fn owners_that_are_equal_and_trees_that_say_so_have_converged() {
    let mut fixture = converged();
    let at = fixture.now;
    fixture.checks.on_rest(at, &Rest::Converged { after: Span::from_ms(10) });
    fixture.end();
    fixture.assert_held();
}

#[test]
fn owners_that_differ_have_not_converged() {
    let mut fixture = converged();
    fixture.put(Mode::Sloppy, &[], &[B, C]);
    fixture.end_as_it_is();
    fixture.assert_violated(CheckName::Convergence, "owners of \"k\" differ");
}

#[test]
fn a_blind_tree_is_caught_though_all_agree() {
    let mut fixture = converged();
    fixture.cluster.roots.extend([(A, ContentHash(0)), (B, ContentHash(0)), (C, ContentHash(0))]);
    fixture.end();
    fixture.assert_violated(CheckName::Convergence, "does not show what it holds");
}

#[test]
fn a_cluster_that_does_not_come_to_rest_is_told_of_with_what_is_missing() {
    let mut fixture = converged();
    let restless = Restless {
        corrupt: Vec::new(),
        within: Span::from_ms(30_000),
        partitions: vec![(PartitionId(4), vec![A, B])],
        hints: (0..6).map(|_| (D, 3)).collect(),
        incomplete: vec![(C, PartitionId(5))],
        unaware: Vec::new(),
    };
    let at = fixture.now;
    fixture.checks.on_rest(at, &Rest::Restless(restless));
    fixture.assert_violated(
        CheckName::Convergence,
        "partition 4 differs between n1, n2\n  n4 keeps 3 hints",
    );
    fixture.assert_violated(CheckName::Convergence, "and 3 more of the kind");
}

#[test]
fn owners_may_differ_in_the_end_if_no_repair_could_be_answered_in_time_and_only_then() {
    let restless = |trip_ms: u64, tree: Option<ContentHash>| {
        let mut fixture = converged();
        fixture.put(Mode::Sloppy, &[], &[B, C]);
        let request = RequestId(99);
        fixture.now = fixture.now + Span::from_ms(60_000);
        fixture.checks.on_message_slow(fixture.now, request, Span::from_ms(trip_ms));
        fixture.cluster.roots.extend(tree.map(|tree| (A, tree)));
        let restless = Restless {
            within: Span::from_ms(30_000),
            partitions: vec![(PartitionId(0), vec![A, B])],
            ..Restless::default()
        };
        let at = fixture.tick();
        fixture.checks.on_rest(at, &Rest::Restless(restless));
        fixture.end_as_it_is();
        fixture
    };
    // A repair waits for 2 s by default.
    restless(999, None).assert_violated(CheckName::Convergence, "partition 0 differs");
    let slow = restless(1_000, None);
    slow.assert_held();
    assert_eq!(slow.weakened(CheckName::Convergence), 2, "the rest, and two owners of the key");
    restless(1_000, Some(ContentHash(1)))
        .assert_violated(CheckName::Convergence, "does not show what it holds");
}

#[test]
fn an_owner_that_is_gone_for_ever_may_differ_and_the_others_may_not() {
    let differing = |gone: NodeId| {
        let mut fixture = converged();
        fixture.put(Mode::Sloppy, &[], &[B, C]);
        fixture.cluster.gone = vec![gone];
        fixture.cluster.roots.insert(gone, ContentHash(0));
        fixture.end_as_it_is();
        fixture
    };
    differing(A).assert_held();
    differing(C).assert_violated(CheckName::Convergence, "n1: ");
}
