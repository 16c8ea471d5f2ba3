use super::*;

/// A cluster in which a replica remembers the last `recent_requests` ids of a partition.
fn remembering(recent_requests: u64) -> Fixture {
    let mut fixture = Fixture::new();
    let config = Config { recent_requests, ..Config::default() };
    fixture.checks = Checks::new(Setting { config, ..fixture.checks.setting.clone() });
    fixture
}

/// Writes at a node, and overwrites that there.
fn overwritten(fixture: &mut Fixture, node: NodeId) -> (TestPut, Dot) {
    let asked = fixture.ask(Mode::Sloppy, &[]);
    let dot = fixture.mint(node, 1, &asked, Basis::Given(Context::default()));
    fixture.put(Mode::Sloppy, &[dot], &[node]);
    (asked, dot)
}

#[test]
fn a_replica_that_remembers_an_id_mints_no_other_dot_for_it() {
    let mut fixture = remembering(2);
    let (asked, _) = overwritten(&mut fixture, A);
    fixture.mint(A, 1, &asked, Basis::Given(Context::default()));
    fixture.assert_violated(CheckName::RequestIds, "no reason to forget");
}

#[test]
fn past_the_window_a_twin_is_minted_and_counted() {
    let mut fixture = remembering(1);
    let (asked, _) = overwritten(&mut fixture, A);
    fixture.mint(A, 1, &asked, Basis::Given(Context::default()));
    fixture.assert_held();
    assert_eq!(fixture.weakened(CheckName::RequestIds), 1);
}

#[test]
fn another_replica_does_not_know_what_it_has_not_seen_stand() {
    let mut fixture = remembering(128);
    let (asked, _) = overwritten(&mut fixture, A);
    fixture.mint(B, 1, &asked, Basis::Given(Context::default()));
    fixture.assert_held();
    assert_eq!(fixture.weakened(CheckName::RequestIds), 1);
}

#[test]
fn a_restart_or_a_loss_of_records_is_a_reason_to_mint_again() {
    type Forgets = fn(&mut Fixture);
    let reasons: [Forgets; 2] = [
        |fixture| fixture.checks.on_stopped(A),
        |fixture| {
            fixture.lose(A, Loss::Rollback);
        },
    ];
    for forgets in reasons {
        let mut fixture = remembering(128);
        let asked = fixture.ask(Mode::Sloppy, &[]);
        fixture.mint(A, 1, &asked, Basis::Given(Context::default()));
        fixture.sync(&[A]);
        forgets(&mut fixture);
        fixture.cluster.live.remove(&A);
        fixture.mint(A, 2, &asked, Basis::Given(Context::default()));
        fixture.assert_held();
        assert_eq!(fixture.weakened(CheckName::RequestIds), 1);
    }
}

#[test]
fn a_version_that_stands_is_known_whoever_minted_it() {
    let mut fixture = remembering(0);
    let asked = fixture.ask(Mode::Sloppy, &[]);
    fixture.mint(A, 1, &asked, Basis::Given(Context::default()));
    fixture.send(A, &[B]);
    fixture.mint(B, 1, &asked, Basis::Given(Context::default()));
    fixture.assert_violated(CheckName::RequestIds, "a version of it stood");
}

#[test]
fn what_is_answered_from_memory_is_the_dot_of_that_request() {
    let mut fixture = remembering(128);
    let (asked, dot) = overwritten(&mut fixture, A);
    fixture.know(A, dot, &asked);
    fixture.assert_held();
    let another = fixture.ask(Mode::Sloppy, &[]);
    fixture.know(A, dot, &another);
    fixture.assert_violated(CheckName::RequestIds, "is of another write");
}

#[test]
fn a_memory_without_end_is_none_that_was_promised() {
    let mut fixture = remembering(1);
    let (asked, dot) = overwritten(&mut fixture, A);
    fixture.know(A, dot, &asked);
    fixture.assert_violated(CheckName::RequestIds, "remembers more ids");
}

#[test]
fn an_id_that_is_used_again_asks_for_one_of_the_contents() {
    let mut fixture = Fixture::new();
    let first = fixture.ask(Mode::Sloppy, &[]);
    let content = Content::Value(Bytes::from_static(b"another"));
    let second = fixture.ask_with(A, first.request, Mode::Sloppy, &[], content);
    let mut other = fixture.clone();
    let dot = fixture.mint(A, 1, &second, held());
    fixture.end();
    fixture.assert_held();
    let history = fixture.checks.histories.iter().next().expect("there is one key");
    let event = history.named(dot).expect("it was minted");
    assert!(history.content_of(event).is_of(&second.content));

    let nobody = TestPut { content: Content::Value(Bytes::from_static(b"nobody")), ..second };
    other.mint(A, 1, &nobody, held());
    other.end();
    other.assert_violated(CheckName::Causality, "a value or a time that was not written");
}
