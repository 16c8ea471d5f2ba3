//! One coordinator, hand-fed: what it sends and what it says after each input.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use super::*;
use crate::client::{Options, PutContext, Verb};
use crate::config::Config;
use crate::cx::{Identity, Peers};
use crate::event::Event;
use crate::layout::Layout;
use crate::message::{Body, Kind, Message, ReplicaKind, ReplicaMessage};
use crate::quorum::{Level, Mode};
use crate::ring::Ring;
use crate::store::{Basis, Refusal};
use crate::testing::Counting;
use crate::time::{HybridTime, Now, Span, WallTime};
use crate::topology::Topology;
use crate::types::{ClusterId, Epoch, Generation, Key};
use crate::version::{Actor, Container, Content, Dot, Version, VersionVector};

/// A coordinator on one of five nodes, N = 3; `owners` own the key, `others` do not.
struct Fixture {
    coordinator: Coordinator,
    local: NodeContext,
    draw: Counting,
    now: Time,
    owners: Vec<NodeId>,
    others: Vec<NodeId>,
    /// The request in flight and the coordinator's number for it, as its first message says them.
    request: RequestId,
    operation: OperationId,
}

const CLIENT: ClientRequest = ClientRequest(5);

impl Fixture {
    /// Makes a coordinator that is the key's first owner, or the first node that does not own it.
    fn new(is_owner: bool) -> Self {
        let nodes = (1..=5_u64).map(|id| (NodeId(id), id.to_string()));
        let ring = Ring::new(Layout::single_datacenter(64, 3, nodes)).expect("five nodes, N = 3");
        let partition = ring.partition_of(key().token());
        let owners = ring.owners(partition).to_vec();
        let others: Vec<NodeId> = ring.fallbacks(partition).collect();
        let identity = Identity {
            node: if is_owner { owners[0] } else { others[0] },
            generation: Generation(1),
            cluster: ClusterId(1),
            topology: Arc::new(Topology::new(Arc::new(ring))),
        };
        let local = NodeContext {
            identity,
            config: Config::default(),
            peers: Peers::default(),
            complete: BTreeSet::new(),
            roots: BTreeMap::new(),
        };
        let (coordinator, draw, now) = (Coordinator::default(), Counting::default(), Time(0));
        let (request, operation) = (RequestId(0), OperationId(0));
        Self { coordinator, local, draw, now, owners, others, request, operation }
    }

    fn down(mut self, nodes: &[NodeId]) -> Self {
        self.local.peers.down.extend(nodes);
        self
    }

    fn feed(
        &mut self,
        step: impl FnOnce(&mut Coordinator, &mut Cx<'_>, &NodeContext),
    ) -> Vec<Effect> {
        let mut out = Vec::new();
        let now = Now { monotonic: self.now, wall: WallTime(1_000_000) };
        let mut cx = Cx { now, draw: &mut self.draw, out: &mut out };
        step(&mut self.coordinator, &mut cx, &self.local);
        if let Some(message) = sent(&out).first() {
            self.request = message.header.request;
            self.operation = operation_of(&message.body).unwrap_or(self.operation);
        }
        out
    }

    fn ask(&mut self, verb: Verb, options: Options) -> Vec<Effect> {
        let operation = ClientOperation { key: key(), verb, options };
        self.feed(|coordinator, cx, local| coordinator.on_client(cx, local, CLIENT, operation))
    }

    fn put(&mut self, options: Options) -> Vec<Effect> {
        self.ask(put(PutContext::Nothing), options)
    }

    fn minted(&mut self, from: NodeId, container: Container) -> Vec<Effect> {
        let requester = (from, self.request);
        let minted = Minted { operation: self.operation, container };
        self.feed(|coordinator, cx, local| coordinator.on_minted(cx, local, requester, minted))
    }

    fn acked(&mut self, from: NodeId, for_owner: Option<NodeId>) -> Vec<Effect> {
        let requester = (from, self.request);
        let acked = Acked { operation: self.operation, for_owner };
        self.feed(|coordinator, cx, local| coordinator.on_acked(cx, local, requester, acked))
    }

    fn holds(&mut self, from: NodeId, container: Container) -> Vec<Effect> {
        let requester = (from, self.request);
        let reply = ReadReply { operation: self.operation, container };
        self.feed(|coordinator, cx, local| coordinator.on_read_reply(cx, local, requester, reply))
    }

    fn refused(&mut self, from: NodeId, refusal: Refusal) -> Vec<Effect> {
        let requester = (from, self.request);
        let refused = Refused { operation: self.operation, refusal };
        self.feed(|coordinator, cx, local| coordinator.on_refused(cx, local, requester, refused))
    }

    /// Lets time pass up to the next deadline.
    fn wait(&mut self) -> Vec<Effect> {
        self.now = self.coordinator.next_deadline().expect("something is in flight");
        self.feed(Coordinator::on_deadline)
    }
}

fn operation_of(body: &Body) -> Option<OperationId> {
    match body {
        Body::Replica(ReplicaMessage::Mint(message)) => Some(message.operation),
        Body::Replica(ReplicaMessage::Read(message)) => Some(message.operation),
        _ => None,
    }
}

fn key() -> Key {
    Key::from("k")
}

fn put(context: PutContext) -> Verb {
    Verb::Put { content: Content::Value(Bytes::from_static(b"v")), expiry: None, context }
}

fn strict() -> Options {
    Options { mode: Some(Mode::Strict), ..Options::default() }
}

fn container(node: NodeId, n: u64) -> Container {
    let version = Version {
        content: Content::Value(Bytes::from_static(b"v")),
        time: HybridTime(n),
        expiry: None,
        request: RequestId(u128::from(node.0) << 64 | u128::from(n)),
        tag: None,
    };
    let mut container = Container::default();
    container.add(Dot { actor: Actor { node, epoch: Epoch(1) }, n }, version);
    container
}

fn joined(a: &Container, b: &Container) -> Container {
    let mut joined = a.clone();
    joined.join(b);
    joined
}

fn sent(effects: &[Effect]) -> Vec<&Message> {
    effects.iter().filter_map(message_of).collect()
}

fn message_of(effect: &Effect) -> Option<&Message> {
    match effect {
        Effect::Send(message) => Some(message),
        Effect::Reply { .. }
        | Effect::AdminReply { .. }
        | Effect::Store { .. }
        | Effect::Observe(_) => None,
    }
}

fn receivers(effects: &[Effect], kind: Kind) -> BTreeSet<NodeId> {
    let of_kind = |message: &&&Message| message.body.kind() == kind;
    sent(effects).iter().filter(of_kind).map(|message| message.header.to).collect()
}

fn replied(effects: &[Effect]) -> Option<&Reply> {
    effects.iter().find_map(|effect| match effect {
        Effect::Reply { request: CLIENT, reply } => Some(reply),
        Effect::Reply { .. }
        | Effect::AdminReply { .. }
        | Effect::Send(_)
        | Effect::Store { .. }
        | Effect::Observe(_) => None,
    })
}

fn basis_of(effects: &[Effect]) -> Option<Basis> {
    sent(effects).iter().find_map(|message| match &message.body {
        Body::Replica(ReplicaMessage::Mint(mint)) => Some(mint.basis.clone()),
        _ => None,
    })
}

fn set(nodes: &[NodeId]) -> BTreeSet<NodeId> {
    nodes.iter().copied().collect()
}

#[test]
fn a_put_is_acknowledged_after_w_durable_copies_and_not_before() {
    let mut fixture = Fixture::new(true);
    let [a, b, c] = [fixture.owners[0], fixture.owners[1], fixture.owners[2]];
    assert_eq!(
        receivers(&fixture.put(Options::default()), Kind::Replica(ReplicaKind::Mint)),
        set(&[a])
    );
    let spread = fixture.minted(a, container(a, 1));
    assert_eq!(receivers(&spread, Kind::Replica(ReplicaKind::Merge)), set(&[b, c]));
    assert_eq!(replied(&spread), None);
    assert_eq!(replied(&fixture.acked(b, None)), None);
    assert_eq!(replied(&fixture.acked(b, None)), None, "one node counts once");
    let Some(Reply::Stored { achieved, .. }) = replied(&fixture.acked(a, None)).cloned() else {
        panic!("two owners hold it durably");
    };
    assert_eq!((&achieved.owners[..], achieved.machines), (&[b, a][..], 2));
    assert_eq!(fixture.coordinator.len(), 1, "the third owner is still waited for");
    fixture.acked(c, None);
    assert!(fixture.coordinator.is_empty());
    assert_eq!(fixture.coordinator.next_deadline(), None);
}

#[test]
fn acks_that_overtake_the_container_are_counted_and_answered_when_it_comes() {
    let mut fixture = Fixture::new(true);
    let a = fixture.owners[0];
    fixture.put(Options { write: Some(Level::One), ..Options::default() });
    assert_eq!(replied(&fixture.acked(a, None)), None);
    assert!(matches!(replied(&fixture.minted(a, container(a, 1))), Some(Reply::Stored { .. })));
}

#[test]
fn a_coordinator_that_owns_nothing_of_the_key_asks_the_first_owner_that_seems_up() {
    let fixture = Fixture::new(false);
    let [a, b] = [fixture.owners[0], fixture.owners[1]];
    let mut fixture = fixture.down(&[a]);
    assert_eq!(
        receivers(&fixture.put(Options::default()), Kind::Replica(ReplicaKind::Mint)),
        set(&[b])
    );
}

#[test]
fn an_owner_that_seems_down_is_sent_the_write_all_the_same_and_a_fallback_keeps_it() {
    let fixture = Fixture::new(true);
    let [a, b, c] = [fixture.owners[0], fixture.owners[1], fixture.owners[2]];
    let fallback = fixture.others[0];
    let mut fixture = fixture.down(&[c]);
    fixture.put(Options::default());
    let spread = fixture.minted(a, container(a, 1));
    assert_eq!(receivers(&spread, Kind::Replica(ReplicaKind::Merge)), set(&[b, c]));
    assert_eq!(receivers(&spread, Kind::Replica(ReplicaKind::Hint)), set(&[fallback]));
}

#[test]
fn a_fallback_counts_in_sloppy_and_not_in_strict() {
    for (options, counts) in [(Options::default(), true), (strict(), false)] {
        let fixture = Fixture::new(true);
        let [a, b, c] = [fixture.owners[0], fixture.owners[1], fixture.owners[2]];
        let fallback = fixture.others[0];
        let mut fixture = fixture.down(&[b, c]);
        fixture.put(options);
        fixture.minted(a, container(a, 1));
        fixture.acked(a, None);
        let stored = replied(&fixture.acked(fallback, Some(b))).is_some();
        assert_eq!(stored, counts);
    }
}

#[test]
fn when_no_owner_seems_up_a_fallback_mints_in_sloppy() {
    let fixture = Fixture::new(false);
    let (owners, other) = (fixture.owners.clone(), fixture.others[0]);
    let mut fixture = fixture.down(&owners);
    let effects = fixture.put(Options::default());
    assert_eq!(receivers(&effects, Kind::Replica(ReplicaKind::Mint)), set(&[other]));
    let roles: Vec<bool> = sent(&effects)
        .iter()
        .map(|message| matches!(&message.body, Body::Replica(ReplicaMessage::Mint(mint)) if mint.fallback_for.is_some()))
        .collect();
    assert_eq!(roles, [true]);
}

#[test]
fn a_minter_that_does_not_answer_is_followed_by_the_next_under_the_same_request_id() {
    let mut fixture = Fixture::new(true);
    let b = fixture.owners[1];
    fixture.put(Options::default());
    let first = fixture.request;
    let hedged = fixture.wait();
    assert_eq!(receivers(&hedged, Kind::Replica(ReplicaKind::Mint)), set(&[b]));
    assert_eq!(fixture.request, first);
}

#[test]
fn a_write_that_was_minted_late_looks_for_fallbacks_after_one_delay() {
    // Seen in ring.toml: three owners that seem up and are not, asked one after another, left no
    // time to ask anybody to be a fallback.
    let mut fixture = Fixture::new(false);
    let c = fixture.owners[2];
    fixture.put(Options::default());
    fixture.wait();
    fixture.wait();
    let named_at = fixture.now;
    fixture.minted(c, container(c, 1));
    let hedged = fixture.wait();
    assert_eq!(fixture.now.since(named_at), fixture.local.config.hedge());
    assert_eq!(
        receivers(&hedged, Kind::Replica(ReplicaKind::Hint)),
        fixture.others.iter().copied().collect()
    );
}

#[test]
fn two_replicas_that_named_one_write_are_joined_and_both_count() {
    let mut fixture = Fixture::new(true);
    let [a, b, c] = [fixture.owners[0], fixture.owners[1], fixture.owners[2]];
    fixture.put(Options::default());
    fixture.wait();
    fixture.minted(b, container(b, 1));
    let again = fixture.minted(a, container(a, 1));
    assert_eq!(receivers(&again, Kind::Replica(ReplicaKind::Merge)), set(&[a, b, c]));
    fixture.acked(a, None);
    let both = joined(&container(a, 1), &container(b, 1));
    let Some(Reply::Stored { container, .. }) = replied(&fixture.acked(b, None)).cloned() else {
        panic!("two owners hold it durably");
    };
    assert_eq!(container, both);
}

#[test]
fn a_minter_that_refuses_is_followed_at_once_but_a_full_key_is_full_everywhere() {
    let mut fixture = Fixture::new(true);
    let [a, b] = [fixture.owners[0], fixture.owners[1]];
    fixture.put(Options::default());
    let next = fixture.refused(a, Refusal::DiskFull);
    assert_eq!(receivers(&next, Kind::Replica(ReplicaKind::Mint)), set(&[b]));
    let full = fixture.refused(b, Refusal::TooManySiblings { max: 1 });
    assert!(matches!(replied(&full), Some(Reply::Refused(RequestRefusal::Replica(_)))));
    assert!(fixture.coordinator.is_empty());
}

#[test]
fn a_write_that_may_have_been_named_is_never_refused_only_unknown() {
    let mut fixture = Fixture::new(true);
    let b = fixture.owners[1];
    fixture.put(Options::default());
    fixture.wait();
    assert_eq!(replied(&fixture.refused(b, Refusal::TooManySiblings { max: 1 })), None);
    let last = loop {
        let effects = fixture.wait();
        if replied(&effects).is_some() {
            break effects;
        }
    };
    assert!(matches!(replied(&last), Some(Reply::Unknown { .. })));
    assert!(fixture.coordinator.is_empty());
}

#[test]
fn an_owner_that_misses_the_write_is_asked_again_and_a_fallback_keeps_it_meanwhile() {
    let mut fixture = Fixture::new(true);
    let [a, b, c] = [fixture.owners[0], fixture.owners[1], fixture.owners[2]];
    fixture.put(Options::default());
    fixture.minted(a, container(a, 1));
    fixture.acked(a, None);
    fixture.acked(b, None);
    let hedged = fixture.wait();
    assert_eq!(receivers(&hedged, Kind::Replica(ReplicaKind::Merge)), set(&[c]));
    assert_eq!(receivers(&hedged, Kind::Replica(ReplicaKind::Hint)), set(&[fixture.others[0]]));
    fixture.acked(fixture.others[0], Some(c));
    assert!(fixture.coordinator.is_empty());
}

#[test]
fn where_no_fallback_is_left_the_coordinator_keeps_the_hint_and_counts_for_nothing() {
    let fixture = Fixture::new(true);
    let [a, b, c] = [fixture.owners[0], fixture.owners[1], fixture.owners[2]];
    let others = fixture.others.clone();
    let mut fixture = fixture.down(&[others, vec![b, c]].concat());
    fixture.put(Options::default());
    let spread = fixture.minted(a, container(a, 1));
    assert_eq!(receivers(&spread, Kind::Replica(ReplicaKind::Hint)), set(&[a]));
    fixture.acked(a, None);
    assert_eq!(replied(&fixture.acked(a, Some(b))), None);
}

#[test]
fn a_read_waits_for_r_answers_returns_their_join_and_repairs_who_is_behind() {
    let mut fixture = Fixture::new(true);
    let [a, b, c] = [fixture.owners[0], fixture.owners[1], fixture.owners[2]];
    assert_eq!(
        receivers(&fixture.ask(Verb::Get, Options::default()), Kind::Replica(ReplicaKind::Read)),
        set(&[a, b, c])
    );
    assert_eq!(replied(&fixture.holds(a, container(a, 1))), None);
    let Some(Reply::Value { container: value, .. }) =
        replied(&fixture.holds(b, Container::default())).cloned()
    else {
        panic!("two owners answered");
    };
    assert_eq!(value, container(a, 1));
    let late = fixture.holds(c, container(c, 1));
    assert_eq!(receivers(&late, Kind::Replica(ReplicaKind::Merge)), set(&[a, b, c]));
    assert!(fixture.coordinator.is_empty());
}

#[test]
fn an_owner_that_lost_its_data_is_not_counted_in_r() {
    let mut fixture = Fixture::new(true);
    let [a, b, c] = [fixture.owners[0], fixture.owners[1], fixture.owners[2]];
    fixture.ask(Verb::Get, strict());
    fixture.holds(a, Container::default());
    assert_eq!(replied(&fixture.refused(b, Refusal::Incomplete)), None);
    assert!(matches!(replied(&fixture.holds(c, container(a, 1))), Some(Reply::Value { .. })));
}

#[test]
fn a_read_of_one_prefers_an_owner_for_whom_nobody_keeps_hints() {
    let mut fixture = Fixture::new(true);
    let [a, b] = [fixture.owners[0], fixture.owners[1]];
    fixture.local.peers.behind.insert(a);
    let one = Options { read: Some(Level::One), ..Options::default() };
    fixture.ask(Verb::Get, one.clone());
    assert_eq!(replied(&fixture.holds(a, Container::default())), None);
    assert!(replied(&fixture.holds(b, container(b, 1))).is_some());

    let mut alone = Fixture::new(true);
    alone.local.peers.behind.insert(a);
    alone.ask(Verb::Get, one);
    alone.holds(a, Container::default());
    assert!(replied(&alone.wait()).is_some(), "better behind than silent");
}

#[test]
fn a_read_of_one_does_not_wait_for_the_hedge_where_hints_are_kept_for_all_owners() {
    let mut fixture = Fixture::new(true);
    let [a, b, c] = [fixture.owners[0], fixture.owners[1], fixture.owners[2]];
    fixture.local.peers.behind.extend([a, b, c]);
    fixture.ask(Verb::Get, Options { read: Some(Level::One), ..Options::default() });
    assert_eq!(replied(&fixture.holds(a, Container::default())), None);
    assert_eq!(replied(&fixture.refused(b, Refusal::Incomplete)), None);
    assert!(
        replied(&fixture.holds(c, container(c, 1))).is_some(),
        "nobody is left who is not behind"
    );
}

/// Seen at seed 25104 of swarm.toml: with a hedge shorter than the way there and back, each
/// fallback was asked first for an owner that answered itself, and then counted for that one alone.
#[test]
fn a_fallback_that_was_asked_for_several_owners_counts_for_the_one_that_needs_it() {
    for answers_early in [false, true] {
        let mut fixture = Fixture::new(true);
        let [a, b, c] = [fixture.owners[0], fixture.owners[1], fixture.owners[2]];
        let others = fixture.others.clone();
        fixture.ask(Verb::Get, Options { read: Some(Level::All), ..Options::default() });
        assert_eq!(
            receivers(&fixture.wait(), Kind::Replica(ReplicaKind::Read)),
            set(&[&[a, b, c], &others[..]].concat())
        );
        let answer = |fixture: &mut Fixture| {
            for &other in &others {
                assert_eq!(replied(&fixture.holds(other, Container::default())), None);
            }
        };
        if answers_early {
            answer(&mut fixture);
        }
        fixture.refused(b, Refusal::Incomplete);
        fixture.refused(c, Refusal::Incomplete);
        if !answers_early {
            answer(&mut fixture);
        }
        let Some(Reply::Value { achieved, .. }) =
            replied(&fixture.holds(a, Container::default())).cloned()
        else {
            panic!("three machines answered, in the places of three owners");
        };
        assert_eq!((&achieved.fallbacks[..], achieved.machines), (&others[..], 3));
    }
}

#[test]
fn a_fallback_for_two_owners_is_one_answer() {
    let mut fixture = Fixture::new(true);
    let [a, b, c] = [fixture.owners[0], fixture.owners[1], fixture.owners[2]];
    fixture.ask(Verb::Get, Options { read: Some(Level::All), ..Options::default() });
    fixture.wait();
    fixture.refused(b, Refusal::Incomplete);
    fixture.refused(c, Refusal::Incomplete);
    fixture.holds(a, Container::default());
    assert_eq!(replied(&fixture.holds(fixture.others[0], Container::default())), None);
}

#[test]
fn where_the_fallback_of_an_owner_that_refused_is_silent_another_is_asked() {
    let mut fixture = Fixture::new(true);
    let [a, b, c] = [fixture.owners[0], fixture.owners[1], fixture.owners[2]];
    let [first, second] = [fixture.others[0], fixture.others[1]];
    fixture.ask(Verb::Get, Options { read: Some(Level::All), ..Options::default() });
    fixture.holds(a, Container::default());
    fixture.holds(b, Container::default());
    assert_eq!(
        receivers(&fixture.refused(c, Refusal::Incomplete), Kind::Replica(ReplicaKind::Read)),
        set(&[first])
    );
    assert_eq!(receivers(&fixture.wait(), Kind::Replica(ReplicaKind::Read)), set(&[second]));
    assert!(replied(&fixture.holds(second, Container::default())).is_some());
}

#[test]
fn two_owners_that_share_a_fallback_get_another_while_the_write_waits_for_it() {
    let mut fixture = Fixture::new(false);
    let [a, b, c] = [fixture.owners[0], fixture.owners[1], fixture.owners[2]];
    let [first, second] = [fixture.others[0], fixture.others[1]];
    fixture.put(Options { write: Some(Level::All), ..Options::default() });
    fixture.wait();
    fixture.minted(b, container(b, 1));
    let hints = fixture.wait();
    assert_eq!(receivers(&hints, Kind::Replica(ReplicaKind::Hint)), set(&[first, second]));
    fixture.acked(b, None);
    for owner in [a, c] {
        assert_eq!(replied(&fixture.acked(first, Some(owner))), None);
    }
    fixture.acked(second, Some(b));
    assert_eq!(
        receivers(&fixture.wait(), Kind::Replica(ReplicaKind::Hint)),
        set(&[second]),
        "for the silent two"
    );
    assert!(matches!(replied(&fixture.acked(second, Some(c))), Some(Reply::Stored { .. })));
}

#[test]
fn a_monotonic_read_makes_its_answer_stand_before_it_is_given() {
    let mut fixture = Fixture::new(true);
    let [a, b, c] = [fixture.owners[0], fixture.owners[1], fixture.owners[2]];
    fixture.ask(Verb::Get, Options { monotonic: Some(true), ..strict() });
    fixture.holds(a, container(a, 1));
    let read = fixture.holds(b, Container::default());
    assert_eq!(replied(&read), None);
    assert!(receivers(&read, Kind::Replica(ReplicaKind::Merge)).is_superset(&set(&[b, c])));
    let stands = fixture.acked(b, None);
    let Some(Reply::Value { achieved, .. }) = replied(&stands) else { panic!("it stands now") };
    assert_eq!(achieved.owners[..], [a, b], "those who answered the read, not who holds it now");
}

/// Seen at seed 56943 of swarm.toml: a hint of nothing was kept for an owner that did not answer.
#[test]
fn a_monotonic_read_that_found_nothing_writes_nothing() {
    let mut fixture = Fixture::new(true);
    let [a, b] = [fixture.owners[0], fixture.owners[1]];
    fixture.ask(Verb::Get, Options { monotonic: Some(true), read: Some(Level::One), ..strict() });
    let read = fixture.holds(a, Container::default());
    assert!(matches!(replied(&read), Some(Reply::Value { .. })));
    assert!(
        receivers(&fixture.holds(b, Container::default()), Kind::Replica(ReplicaKind::Merge))
            .is_empty()
    );
}

#[test]
fn a_monotonic_read_of_replicas_that_agree_costs_no_second_round() {
    let mut fixture = Fixture::new(true);
    let [a, b] = [fixture.owners[0], fixture.owners[1]];
    fixture.ask(Verb::Get, Options { monotonic: Some(true), ..strict() });
    fixture.holds(a, container(a, 1));
    assert!(matches!(replied(&fixture.holds(b, container(a, 1))), Some(Reply::Value { .. })));
}

#[test]
fn a_strict_put_over_whatever_stands_reads_vectors_first() {
    let mut fixture = Fixture::new(true);
    let [a, b, c] = [fixture.owners[0], fixture.owners[1], fixture.owners[2]];
    let asked = fixture.ask(put(PutContext::Latest(VersionVector::default())), strict());
    assert_eq!(receivers(&asked, Kind::Replica(ReplicaKind::Read)), set(&[a, b, c]));
    fixture.holds(b, container(b, 4));
    let minting = fixture.holds(c, Container::default());
    assert_eq!(basis_of(&minting), Some(Basis::Given(container(b, 4).seen().clone())));
    let seen_first =
        Event::ReadBeforeWrite { request: fixture.request, dots: container(b, 4).dots().collect() };
    let observed = minting.iter().any(|effect| match effect {
        Effect::Observe(event) => *event == seen_first,
        Effect::Reply { .. }
        | Effect::AdminReply { .. }
        | Effect::Send(_)
        | Effect::Store { .. } => false,
    });
    assert!(observed);
}

#[test]
fn only_the_first_who_is_asked_overwrites_what_it_holds() {
    // By the time that the second is asked, the first may have minted, and others may
    // have overwritten it: what the second holds may be newer than the write.
    let mut fixture = Fixture::new(true);
    let seen = container(fixture.owners[2], 4).seen().clone();
    let first = fixture.ask(put(PutContext::Latest(seen.clone())), Options::default());
    assert_eq!(basis_of(&first), Some(Basis::Held(seen.clone())));
    assert_eq!(basis_of(&fixture.wait()), Some(Basis::Given(seen)));
}

/// Seen at seed 9743 of swarm.toml: while the first was asked again, the hedge asked another one.
#[test]
fn a_minter_for_whom_it_was_late_is_asked_once_more_and_nobody_else_before_the_delay_is_over() {
    let mut fixture = Fixture::new(true);
    let [a, b] = [fixture.owners[0], fixture.owners[1]];
    let latest = VersionVector::default();
    fixture.ask(put(PutContext::Latest(latest.clone())), Options::default());
    fixture.now = fixture.now + Span(fixture.local.config.hedge().0 / 2);
    let again = fixture.refused(a, Refusal::Late);
    let asked_at = fixture.now;
    assert_eq!(receivers(&again, Kind::Replica(ReplicaKind::Mint)), set(&[a]));
    assert_eq!(basis_of(&again), Some(Basis::Held(latest.clone())));
    assert!(sent(&fixture.refused(a, Refusal::Late)).is_empty());
    let hedged = fixture.wait();
    assert_eq!(fixture.now.since(asked_at), fixture.local.config.hedge());
    assert_eq!(receivers(&hedged, Kind::Replica(ReplicaKind::Mint)), set(&[b]));
    assert_eq!(basis_of(&hedged), Some(Basis::Given(latest)));
}

/// Seen at seed 48680 of swarm.toml: a disk was cloned whose markers were corrupt, so that it
/// passed for the node's own.
#[test]
fn a_corrupt_key_that_this_node_does_not_own_is_not_gathered() {
    let mut fixture = Fixture::new(false);
    let effects = fixture.feed(|coordinator, cx, local| coordinator.gather(cx, local, key(), 1));
    assert!(effects.is_empty() && fixture.coordinator.is_empty());
}

#[test]
fn a_late_refusal_of_the_read_phase_is_none_of_the_write() {
    let mut fixture = Fixture::new(true);
    let [a, b, c] = [fixture.owners[0], fixture.owners[1], fixture.owners[2]];
    fixture.ask(put(PutContext::Latest(VersionVector::default())), strict());
    fixture.holds(a, Container::default());
    fixture.holds(b, Container::default());
    assert!(sent(&fixture.refused(c, Refusal::Incomplete)).is_empty());
}

#[test]
fn clients_of_a_node_whose_disk_failed_are_not_left_waiting() {
    let mut fixture = Fixture::new(true);
    fixture.put(Options::default());
    let effects = fixture.feed(|coordinator, cx, _| coordinator.abandon_all(cx));
    assert!(matches!(replied(&effects), Some(Reply::Unknown { .. })));
    assert!(fixture.coordinator.is_empty());
    assert_eq!(fixture.coordinator.next_deadline(), None);
}

#[test]
fn what_cannot_be_done_is_refused_and_nothing_is_sent() {
    let four = Some(Level::Count(4));
    let too_long = Content::Value(Bytes::from(vec![0; 2_000_000]));
    let latest = PutContext::Latest(VersionVector::default());
    let token = PutContext::Token(Bytes::from_static(b"not a token"));
    let cases = [
        (put(PutContext::Nothing), Options { write: four, ..Options::default() }),
        (Verb::Get, Options { read: four, ..Options::default() }),
        (put(token), Options::default()),
        (Verb::Put { content: too_long, expiry: None, context: latest }, Options::default()),
    ];
    for (verb, options) in cases {
        let mut fixture = Fixture::new(true);
        let effects = fixture.ask(verb, options);
        assert!(matches!(replied(&effects), Some(Reply::Refused(_))));
        assert!(sent(&effects).is_empty() && fixture.coordinator.is_empty());
    }
}

#[test]
fn an_answer_to_a_request_of_an_earlier_life_is_dropped() {
    let mut fixture = Fixture::new(true);
    let a = fixture.owners[0];
    fixture.put(Options { write: Some(Level::One), ..Options::default() });
    let own = fixture.request;
    fixture.request = RequestId(1);
    fixture.minted(a, container(a, 1));
    assert_eq!(replied(&fixture.acked(a, None)), None);
    fixture.request = own;
    fixture.minted(a, container(a, 1));
    assert!(replied(&fixture.acked(a, None)).is_some());
}

#[test]
fn a_broken_connection_is_not_waited_for() {
    let mut fixture = Fixture::new(true);
    let [a, b] = [fixture.owners[0], fixture.owners[1]];
    fixture.put(Options::default());
    fixture.feed(|coordinator, cx, _| coordinator.on_link_down(cx, a));
    assert_eq!(fixture.coordinator.next_deadline(), Some(Time(0)));
    assert_eq!(receivers(&fixture.wait(), Kind::Replica(ReplicaKind::Mint)), set(&[b]));
}

#[test]
fn a_coordinator_with_its_hands_full_refuses_one_more() {
    let mut fixture = Fixture::new(true);
    fixture.local.config.requests_max = 1;
    fixture.put(Options::default());
    let second = fixture.put(Options::default());
    assert!(matches!(replied(&second), Some(Reply::Refused(RequestRefusal::Busy { max: 1 }))));
}

#[test]
fn a_gathering_asks_the_other_owners_and_gives_what_enough_of_them_hold_together() {
    let mut fixture = Fixture::new(true);
    let (first, second) = (container(fixture.owners[1], 1), container(fixture.owners[2], 1));
    let asked = fixture.feed(|coordinator, cx, local| coordinator.gather(cx, local, key(), 7));
    assert_eq!(kinds(&asked), [Kind::Replica(ReplicaKind::Read); 3]);
    fixture.refused(fixture.owners[0], Refusal::Corrupt);
    fixture.holds(fixture.owners[1], first.clone());
    assert!(fixture.coordinator.take_gathered().is_empty(), "W = 2: one may be behind");
    fixture.holds(fixture.owners[2], second.clone());
    let mut both = first;
    both.join(&second);
    assert_eq!(fixture.coordinator.take_gathered(), [(7, both)]);
    assert!(fixture.coordinator.is_empty());
}

#[test]
fn a_gathering_that_too_few_can_answer_comes_to_nothing() {
    let mut fixture = Fixture::new(true);
    fixture.feed(|coordinator, cx, local| coordinator.gather(cx, local, key(), 7));
    fixture.refused(fixture.owners[0], Refusal::Corrupt);
    fixture.holds(fixture.owners[1], container(fixture.owners[1], 1));
    fixture.refused(fixture.owners[2], Refusal::Corrupt);
    assert!(fixture.coordinator.take_gathered().is_empty() && fixture.coordinator.is_empty());
}

#[test]
fn a_read_brings_up_an_owner_whose_copy_is_corrupt_and_never_with_nothing() {
    for (held, repaired) in [(container(NodeId(9), 1), 1), (Container::default(), 0)] {
        let mut fixture = Fixture::new(false);
        fixture.ask(Verb::Get, strict());
        fixture.refused(fixture.owners[2], Refusal::Corrupt);
        fixture.holds(fixture.owners[0], held.clone());
        let effects = fixture.holds(fixture.owners[1], held);
        let merges: Vec<_> = sent(&effects)
            .into_iter()
            .filter(|message| message.body.kind() == Kind::Replica(ReplicaKind::Merge))
            .map(|message| message.header.to)
            .collect();
        assert_eq!(merges, vec![fixture.owners[2]; repaired]);
    }
}

fn kinds(effects: &[Effect]) -> Vec<Kind> {
    sent(effects).into_iter().map(|message| message.body.kind()).collect()
}
