//! A replica, hand-fed: what it asks of the storage, and when it says what to whom.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::*;
use crate::config::Config;
use crate::cx::{Effect, Identity, Peers};
use crate::layout::Layout;
use crate::message::{CoordinatorKind, Echo, Kind};
use crate::ring::Ring;
use crate::store::{CopyKind, MintedWrite};
use crate::testing::Counting;
use crate::time::{HybridTime, Now, Time, WallTime};
use crate::topology::Topology;
use crate::types::{ClusterId, Epoch, Generation, Key};
use crate::version::{Actor, Content, Dot, Version, VersionVector};
use crate::write::{Basis, Write};

const REQUESTER: (NodeId, RequestId) = (NodeId(4), RequestId(44));
const OPERATION: OperationId = OperationId(6);

struct Fixture {
    replica: Replica,
    local: NodeContext,
}

impl Fixture {
    /// A node that owns the key, or one that does not.
    fn new(is_owner: bool) -> Self {
        let nodes = (1..=5_u64).map(|id| (NodeId(id), id.to_string()));
        let ring = Ring::new(Layout::single_datacenter(64, 3, nodes)).expect("five nodes, N = 3");
        let partition = ring.partition_of(key().token());
        let owner = ring.owners(partition)[0];
        let other = ring.fallbacks(partition).next().expect("five nodes, three owners");
        let identity = Identity {
            node: if is_owner { owner } else { other },
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
        Self { replica: Replica::default(), local }
    }

    fn feed(&mut self, step: impl FnOnce(&mut Replica, &mut Cx<'_>, &NodeContext)) -> Vec<Effect> {
        let mut out = Vec::new();
        let now = Now { monotonic: Time(0), wall: WallTime(1_000_000) };
        let mut draw = Counting::default();
        step(&mut self.replica, &mut Cx { now, draw: &mut draw, out: &mut out }, &self.local);
        self.replica.invariants();
        out
    }

    fn done(&mut self, seq: u64, result: Result<ReplicaDone, Refusal>) -> Vec<Effect> {
        let (node, request) = REQUESTER;
        let requester = Requester { node, request, operation: OPERATION, for_owner: None };
        self.feed(|replica, cx, local| {
            replica.on_store_done(cx, local, Seq(seq), ReplicaAnswer { requester, result });
        })
    }

    fn durable(&mut self, seq: u64) -> Vec<Effect> {
        self.feed(|replica, cx, local| replica.on_durable(cx, local, Seq(seq)))
    }
}

fn key() -> Key {
    Key::from("k")
}

fn dot() -> Dot {
    Dot { actor: Actor { node: NodeId(1), epoch: Epoch(1) }, n: 1 }
}

fn container(time: HybridTime) -> Container {
    let (content, request) = (Content::Tombstone, RequestId(1));
    let mut container = Container::default();
    container.add(dot(), Version { content, time, expiry: None, request, tag: None });
    container
}

fn mint(fallback_for: Option<FallbackFor>) -> MintRequest {
    let basis = Basis::Given(VersionVector::default());
    let content = Content::Tombstone;
    MintRequest {
        operation: OPERATION,
        key: key(),
        write: Write { content, expiry: None, basis },
        fallback_for,
        echo: None,
    }
}

fn said(effects: &[Effect]) -> Vec<(NodeId, Kind)> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Send(message) => Some((message.header.to, message.body.kind())),
            Effect::Reply { .. }
            | Effect::AdminReply { .. }
            | Effect::Store { .. }
            | Effect::Observe(_) => None,
        })
        .collect()
}

#[test]
fn a_minted_write_is_told_at_once_and_acknowledged_only_when_durable() {
    let mut fixture = Fixture::new(true);
    fixture.feed(|replica, cx, local| replica.on_mint(cx, local, REQUESTER, mint(None)));
    let container = container(HybridTime(1));
    let told = fixture
        .done(3, Ok(ReplicaDone::Minted(MintedWrite { dot: dot(), container, hinted: None })));
    assert_eq!(said(&told), [(REQUESTER.0, Kind::Coordinator(CoordinatorKind::Minted))]);
    assert_eq!(said(&fixture.durable(2)), []);
    assert_eq!(
        said(&fixture.durable(3)),
        [(REQUESTER.0, Kind::Coordinator(CoordinatorKind::Acked))]
    );
}

#[test]
fn a_merge_that_changed_nothing_still_waits_for_what_came_before_it() {
    let mut fixture = Fixture::new(true);
    let merge =
        MergeRequest { operation: OPERATION, key: key(), container: container(HybridTime(1)) };
    fixture.feed(|replica, cx, local| replica.on_merge(cx, local, REQUESTER, merge));
    let told = fixture.done(7, Ok(ReplicaDone::Merged));
    assert_eq!(said(&told), []);
    assert_eq!(
        said(&fixture.durable(7)),
        [(REQUESTER.0, Kind::Coordinator(CoordinatorKind::Acked))]
    );
}

#[test]
fn what_is_durable_before_its_outcome_is_known_is_acknowledged_with_the_outcome() {
    let mut fixture = Fixture::new(true);
    let merge =
        MergeRequest { operation: OPERATION, key: key(), container: container(HybridTime(1)) };
    fixture.feed(|replica, cx, local| replica.on_merge(cx, local, REQUESTER, merge));
    fixture.durable(9);
    let told = fixture.done(8, Ok(ReplicaDone::Merged));
    assert_eq!(said(&told), [(REQUESTER.0, Kind::Coordinator(CoordinatorKind::Acked))]);
}

#[test]
fn a_node_that_does_not_own_the_key_names_no_write_as_an_owner() {
    let mut fixture = Fixture::new(false);
    let effects =
        fixture.feed(|replica, cx, local| replica.on_mint(cx, local, REQUESTER, mint(None)));
    assert_eq!(said(&effects), [(REQUESTER.0, Kind::Coordinator(CoordinatorKind::Refused))]);
}

#[test]
fn an_owner_answers_no_reads_before_its_marker_is_durable() {
    let mut fixture = Fixture::new(true);
    let read = ReadRequest { operation: OPERATION, key: key(), copy: CopyKind::Owned };
    let effects = fixture.feed(|replica, cx, local| replica.on_read(cx, local, REQUESTER, read));
    assert_eq!(said(&effects), [(REQUESTER.0, Kind::Coordinator(CoordinatorKind::Refused))]);
}

#[test]
fn a_read_is_answered_with_the_outcome() {
    let mut fixture = Fixture::new(true);
    fixture.local.complete.insert(fixture.local.topology().partition_of(key().token()));
    let read = ReadRequest { operation: OPERATION, key: key(), copy: CopyKind::Owned };
    fixture.feed(|replica, cx, local| replica.on_read(cx, local, REQUESTER, read));
    let told = fixture.done(0, Ok(ReplicaDone::Read(Container::default())));
    assert_eq!(said(&told), [(REQUESTER.0, Kind::Coordinator(CoordinatorKind::ReadReply))]);
}

#[test]
fn what_the_storage_refuses_is_refused_to_the_requester() {
    let mut fixture = Fixture::new(true);
    fixture.feed(|replica, cx, local| replica.on_mint(cx, local, REQUESTER, mint(None)));
    let told = fixture.done(0, Err(Refusal::DiskFailed));
    assert_eq!(said(&told), [(REQUESTER.0, Kind::Coordinator(CoordinatorKind::Refused))]);
}

#[test]
fn a_container_from_the_far_future_is_kept_reported_and_not_adopted() {
    let mut fixture = Fixture::new(true);
    let merge = MergeRequest {
        operation: OPERATION,
        key: key(),
        container: container(HybridTime::from_wall(WallTime(3_600_000_000))),
    };
    let effects = fixture.feed(|replica, cx, local| replica.on_merge(cx, local, REQUESTER, merge));
    let ahead = |effect: &Effect| match effect {
        Effect::Observe(event) => {
            matches!(event, Event::ClockAhead { stamped_by, .. } if *stamped_by == dot().actor.node)
        }
        Effect::Reply { .. }
        | Effect::AdminReply { .. }
        | Effect::Send(_)
        | Effect::Store { .. } => false,
    };
    let stored = |effect: &Effect| matches!(effect, Effect::Store { .. });
    assert!(effects.iter().any(ahead) && effects.iter().any(stored));
}

/// A request to overwrite what is held, with what its sender last heard of the time here.
fn plain_set(operation: u64, echo: Option<Echo>) -> MintRequest {
    let operation = OperationId(operation);
    let mut request = MintRequest { operation, echo, ..mint(None) };
    request.write.basis = Basis::Held(VersionVector::default());
    request
}

/// Tells whether a request that comes at this time, by the clock here, is executed.
fn is_taken(fixture: &mut Fixture, from: NodeId, at_ms: u64, request: MintRequest) -> bool {
    let mut out = Vec::new();
    let now = Now { monotonic: Time(at_ms * 1_000), wall: WallTime(1_000_000) };
    let mut draw = Counting::default();
    let cx = &mut Cx { now, draw: &mut draw, out: &mut out };
    fixture.replica.on_mint(cx, &fixture.local, (from, RequestId(9)), request);
    out.iter().any(|effect| matches!(effect, Effect::Store { .. }))
}

#[test]
fn what_is_held_is_overwritten_only_by_a_request_that_is_provably_new() {
    let mut fixture = Fixture::new(true);
    fixture.local.config.hedge_ms = 100;
    let generation = fixture.local.identity.generation;
    let heard = |ms: u64| Some(Echo { generation, sent: Time(ms * 1_000) });
    let (peer, me) = (REQUESTER.0, fixture.local.me());
    assert!(is_taken(&mut fixture, peer, 1_049, plain_set(1, heard(1_000))));
    assert!(!is_taken(&mut fixture, peer, 1_050, plain_set(2, heard(1_000))));
    assert!(!is_taken(&mut fixture, peer, 1_000, plain_set(3, None)));
    // From a time to come: another run of this node said so, or nobody.
    assert!(!is_taken(&mut fixture, peer, 1_000, plain_set(4, heard(1_001))));
    let before = Some(Echo { generation: Generation(0), sent: Time(1_000_000) });
    assert!(!is_taken(&mut fixture, peer, 1_001, plain_set(5, before)));
    // Between a node and itself nothing is late.
    assert!(is_taken(&mut fixture, me, 9_000, plain_set(6, None)));
    // A request that says what it overwrites may come as late as it likes.
    assert!(is_taken(&mut fixture, peer, 9_000, mint(None)));
}

#[test]
fn what_is_held_is_overwritten_once_by_a_request_that_comes_twice() {
    let mut fixture = Fixture::new(true);
    let generation = fixture.local.identity.generation;
    let heard = |ms: u64| Some(Echo { generation, sent: Time(ms * 1_000) });
    assert!(is_taken(&mut fixture, REQUESTER.0, 1_010, plain_set(1, heard(1_000))));
    assert!(!is_taken(&mut fixture, REQUESTER.0, 1_020, plain_set(1, heard(1_000))));
    assert!(is_taken(&mut fixture, REQUESTER.0, 1_020, plain_set(2, heard(1_000))));
    assert!(is_taken(&mut fixture, NodeId(3), 1_020, plain_set(1, heard(1_000))));
    // It is not remembered for longer than a copy could still be new.
    is_taken(&mut fixture, REQUESTER.0, 5_000, plain_set(3, heard(4_990)));
    assert_eq!(fixture.replica.freshness, {
        let mut last = Freshness::default();
        let now = Now { monotonic: Time(5_000_000), wall: WallTime(0) };
        let (mut draw, mut out) = (Counting::default(), Vec::new());
        let cx = Cx { now, draw: &mut draw, out: &mut out };
        last.admits(&cx, &fixture.local, REQUESTER.0, OperationId(3), heard(4_990));
        last
    });
}
