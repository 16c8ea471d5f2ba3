//! Refusals, held against what is.

use kv_core::store::{CopyKind, Refusal};

use super::*;

fn told(fixture: &mut Fixture, refusal: RequestRefusal) -> bool {
    let asked = fixture.ask(Mode::Strict, &[]);
    fixture.reply(asked.number, &Reply::Refused(refusal));
    fixture.violation(CheckName::Refusals).is_some()
}

#[test]
fn a_node_that_refuses_as_too_busy_was_asked_for_as_much_as_it_says() {
    let is_lie = |others: usize, later_ms: u64| {
        let mut fixture = Fixture::new();
        fixture.checks.setting.config.requests_max = 4;
        fixture.checks = Checks::new(fixture.checks.setting.clone());
        fixture.now = Time(60_000_000);
        for _ in 0..others {
            let asked = fixture.ask(Mode::Strict, &[]);
            fixture.reply(asked.number, &Reply::Unknown { achieved: Achieved::default() });
        }
        fixture.now = fixture.now + Span::from_ms(later_ms);
        told(&mut fixture, RequestRefusal::Busy { max: 4 })
    };
    assert!(!is_lie(4, 0), "what was answered may still wait for stragglers");
    assert!(is_lie(3, 0));
    assert!(!is_lie(4, 1_050));
    assert!(is_lie(4, 1_200), "no operation is worked on for longer than a second");
}

#[test]
fn another_limit_than_the_one_that_was_set_is_none() {
    let mut fixture = Fixture::new();
    assert!(told(&mut fixture, RequestRefusal::Busy { max: 0 }));
}

#[test]
fn lengths_are_what_they_are() {
    let mut fixture = Fixture::new();
    let max = Config::default().value_bytes_max;
    assert!(told(&mut fixture, RequestRefusal::Value { bytes: 1 << 30, max }));
    let mut fixture = Fixture::new();
    let max = kv_core::types::KEY_BYTES_MAX;
    assert!(told(&mut fixture, RequestRefusal::Key { bytes: 1 << 30, max }));
    let mut fixture = Fixture::new();
    let bytes = 1 + fixture.checks.setting.config.value_bytes_max as usize;
    let content = Content::Value(Bytes::from(vec![0; bytes]));
    let asked = fixture.ask_for(Mode::Strict, &[], content);
    let max = fixture.checks.setting.config.value_bytes_max;
    fixture.reply(asked.number, &Reply::Refused(RequestRefusal::Value { bytes, max }));
    fixture.assert_held();
}

#[test]
fn a_quorum_that_the_layout_has_owners_for_is_not_impossible() {
    use kv_core::tally::QuorumError;
    let refusal = || RequestRefusal::Quorum(QuorumError::MoreThanOwners { asked: 4, owners: 3 });
    let mut fixture = Fixture::new();
    fixture.write = Level::Count(4);
    assert!(!told(&mut fixture, refusal()));
    fixture.write = Level::Count(3);
    assert!(told(&mut fixture, refusal()));
}

#[test]
fn a_node_that_is_well_has_no_reason_to_send_its_clients_away() {
    for refusal in
        [RequestRefusal::NotFounded, RequestRefusal::StoreFailed, RequestRefusal::Stopping]
    {
        let mut fixture = Fixture::new();
        fixture.cluster.nodes_changed.insert(A, Time(0));
        assert!(told(&mut fixture, refusal.clone()), "{refusal}");
    }
    let mut fixture = Fixture::new();
    fixture.cluster.obstacles = vec![(A, Obstacle::Unfounded)];
    assert!(!told(&mut fixture, RequestRefusal::NotFounded));
    let mut fixture = Fixture::new();
    fixture.cluster.nodes_changed.insert(A, Time(60_000_000));
    assert!(!told(&mut fixture, RequestRefusal::StoreFailed));
    assert_eq!(fixture.weakened(CheckName::Refusals), 1);
}

/// Lets a client write with a token, of which it is told that it cannot be used.
fn write_with(fixture: &mut Fixture, token: Bytes) -> bool {
    fixture.operations += 1;
    let content = Content::Tombstone;
    let verb = Verb::Put { content, expiry: None, context: PutContext::Token(token) };
    let request = Some(RequestId(u128::from(fixture.operations)));
    let options = Options { request, ..Options::default() };
    let operation = ClientOperation { key: Key::from(KEY), verb, options };
    let (at, number) = (fixture.tick(), OperationNumber(9 << 32 | fixture.operations));
    fixture.checks.on_invoke(at, number, A, &operation, &[]);
    let error = kv_core::version::ContextError::OtherKey;
    fixture.reply(number, &Reply::Refused(RequestRefusal::Context(error)));
    fixture.violation(CheckName::Refusals).is_some()
}

#[test]
fn a_token_that_was_given_for_the_key_can_be_used() {
    let mut fixture = Fixture::new();
    let number = fixture.ask_to_read(Mode::Strict);
    let achieved = Achieved { owners: [A, B][..].into(), fallbacks: [][..].into(), machines: 2 };
    let context = Bytes::from_static(b"a token");
    let container = Container::default();
    fixture.reply(number, &Reply::Value { container, context, achieved });
    assert!(!write_with(&mut fixture, Bytes::from_static(b"another")));
    assert!(write_with(&mut fixture, Bytes::from_static(b"a token")));
}

/// Lets the disk of a node refuse a command for a request.
fn refuse_at_disk(
    fixture: &mut Fixture,
    node: NodeId,
    request: RequestId,
    action: ReplicaAction,
    refusal: Refusal,
) {
    let partition = PartitionId(0);
    let requester = Requester { node: A, request, operation: OperationId(0), for_owner: None };
    let command = StoreCommand { partition, command: ReplicaCommand { requester, action }.into() };
    let outcome = Outcome {
        partition,
        answer: ReplicaAnswer { requester, result: Err(refusal) }.into(),
        root: ContentHash::default(),
        events: Vec::new(),
        corrupt: Vec::new(),
    };
    let at = fixture.tick();
    fixture.checks.on_outcome(at, node, &command, &outcome, &fixture.cluster);
}

fn read() -> ReplicaAction {
    ReplicaAction::Read { key: Key::from(KEY), copy: CopyKind::Owned }
}

#[test]
fn a_disk_refuses_for_what_is_wrong_with_it_and_for_nothing_else() {
    let is_lie = |met: Option<Obstacle>, refusal| {
        let refused_by = |met_by| {
            let mut fixture = Fixture::new();
            fixture.cluster.obstacles =
                met.into_iter().map(|obstacle| (met_by, obstacle)).collect();
            let asked = fixture.ask(Mode::Strict, &[]);
            refuse_at_disk(&mut fixture, B, asked.request, read(), refusal);
            fixture.violation(CheckName::Refusals).is_some()
        };
        assert!(refused_by(C), "that is another's");
        refused_by(B)
    };
    assert!(!is_lie(Some(Obstacle::DiskFull), Refusal::DiskFull));
    assert!(is_lie(Some(Obstacle::DiskFull), Refusal::Corrupt));
    assert!(!is_lie(Some(Obstacle::Corrupt), Refusal::Corrupt));
    assert!(!is_lie(Some(Obstacle::Unrepaired), Refusal::Corrupt));
    assert!(!is_lie(Some(Obstacle::Incomplete), Refusal::Incomplete));
    assert!(!is_lie(Some(Obstacle::DiskFails), Refusal::DiskFailed));
    assert!(is_lie(None, Refusal::DiskFull));
    assert!(is_lie(None, Refusal::OutOfFiles));
}

#[test]
fn siblings_are_counted_without_those_that_the_writer_has_seen() {
    let is_lie = |max: u64, seen: &dyn Fn(&[Dot]) -> Basis| {
        let mut fixture = Fixture::new();
        fixture.checks.setting.config.siblings_max = 2;
        fixture.checks = Checks::new(fixture.checks.setting.clone());
        let dots: Vec<_> = (0..2)
            .map(|_| {
                let asked = fixture.ask(Mode::Strict, &[]);
                fixture.mint(B, 1, &asked, context(&[]))
            })
            .collect();
        let mint = Mint {
            key: Key::from(KEY),
            write: Write {
                content: Content::Tombstone,
                expiry: None,
                basis: seen(&dots),
                time: HybridTime(0),
            },
            role: Role::Owner,
            request: RequestId(7),
            spare: Epoch(0),
            siblings_max: 2,
        };
        let action = ReplicaAction::Mint(Box::new(mint));
        refuse_at_disk(&mut fixture, B, RequestId(7), action, Refusal::TooManySiblings { max });
        fixture.violation(CheckName::Refusals).is_some()
    };
    assert!(!is_lie(2, &|_| context(&[])));
    assert!(is_lie(2, &|dots| context(&dots[..1])));
    assert!(is_lie(1, &|_| context(&[])), "another limit was set");
    assert!(is_lie(2, &|_| held()));
}

#[test]
fn a_client_is_refused_in_the_name_of_a_replica_that_has_refused() {
    let full = || RequestRefusal::Replica(Refusal::DiskFull);
    let mut fixture = Fixture::new();
    assert!(told(&mut fixture, full()));
    let mut fixture = Fixture::new();
    fixture.cluster.obstacles = CLUSTER.map(|node| (node, Obstacle::DiskFull)).into();
    let asked = fixture.ask(Mode::Strict, &[]);
    refuse_at_disk(&mut fixture, B, asked.request, read(), Refusal::DiskFull);
    fixture.reply(asked.number, &Reply::Refused(full()));
    fixture.assert_held();
}

#[test]
fn what_a_replica_sends_is_what_its_disk_has_said_or_what_is_true_of_it() {
    let sent = |fixture: &mut Fixture, refusal, said_by_disk: bool| {
        let asked = fixture.ask(Mode::Strict, &[]);
        if said_by_disk {
            refuse_at_disk(fixture, B, asked.request, read(), refusal);
        }
        let at = fixture.tick();
        let about = (asked.request, &KEY.into());
        fixture.checks.on_refusal_sent(at, B, about, refusal, &fixture.cluster);
        fixture.violation(CheckName::Refusals).is_some()
    };
    let with = |obstacle| {
        let mut fixture = Fixture::new();
        fixture.cluster.obstacles = vec![(B, obstacle)];
        fixture
    };
    assert!(!sent(&mut with(Obstacle::DiskFull), Refusal::DiskFull, true));
    assert!(
        sent(&mut with(Obstacle::DiskFull), Refusal::DiskFull, false),
        "the disk was not asked"
    );
    assert!(!sent(&mut with(Obstacle::Incomplete), Refusal::Incomplete, false));
    assert!(sent(&mut Fixture::new(), Refusal::Incomplete, false));
    // Seen at seed 99432 of swarm.toml: a client used one id for two keys at once.
    let mut fixture = Fixture::new();
    let asked = fixture.ask(Mode::Strict, &[]);
    let (at, other) = (fixture.tick(), Key::from("other"));
    let about = (asked.request, &other);
    fixture.checks.on_refusal_sent(at, B, about, Refusal::Incomplete, &fixture.cluster);
    fixture.assert_held();
    assert!(!sent(&mut with(Obstacle::HintsFull(0)), Refusal::HintsFull, false));
    assert!(sent(&mut Fixture::new(), Refusal::HintsFull, false));
    assert!(sent(&mut Fixture::new(), Refusal::Layout, false));
    assert!(!sent(&mut Fixture::new(), Refusal::Late, false), "it is asked again");
}
