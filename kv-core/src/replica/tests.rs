//! A replica, hand-fed: all that it asks of the storage and says after each input, in order.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::*;
use crate::config::Config;
use crate::cx::{Effect, Identity, Peers};
use crate::layout::Layout;
use crate::message::Echo;
use crate::ring::Ring;
use crate::store::{CopyKind, MintedWrite};
use crate::testing::Counting;
use crate::testing::effects::{observe, probe, send, store, ticket};
use crate::time::{HybridTime, Now, Time, WallTime};
use crate::topology::Topology;
use crate::types::{ClusterId, Epoch, Generation, Key, LogPosition};
use crate::version::{Actor, Content, Context, Dot, Version};
use crate::write::{Basis, Write};

const REQUESTER: (NodeId, RequestId) = (NodeId(4), RequestId(44));
const OPERATION: OperationId = OperationId(6);
const WALL: WallTime = WallTime(1_000_000);

struct ReplicaFixture {
    replica: Replica,
    local: NodeContext,
}

/// How far the log goes with a position of the store.
const fn log_at(seq: u64) -> LogPosition {
    LogPosition(100 * seq)
}

impl ReplicaFixture {
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
        self.feed_at(Time(0), step)
    }

    fn feed_at(
        &mut self,
        monotonic: Time,
        step: impl FnOnce(&mut Replica, &mut Cx<'_>, &NodeContext),
    ) -> Vec<Effect> {
        let mut out = Vec::new();
        let now = Now { monotonic, wall: WALL };
        let mut draw = Counting::default();
        step(&mut self.replica, &mut Cx { now, draw: &mut draw, out: &mut out }, &self.local);
        self.replica.invariants();
        out
    }

    fn mint(&mut self, request: MintRequest) -> Vec<Effect> {
        self.feed(|replica, cx, local| replica.on_mint(cx, local, REQUESTER, request))
    }

    fn merge(&mut self, container: Container) -> Vec<Effect> {
        let merge = MergeRequest { operation: OPERATION, key: key(), container };
        self.feed(|replica, cx, local| replica.on_merge(cx, local, REQUESTER, merge))
    }

    fn read(&mut self) -> Vec<Effect> {
        let read = ReadRequest { operation: OPERATION, key: key(), copy: CopyKind::Owned };
        self.feed(|replica, cx, local| replica.on_read(cx, local, REQUESTER, read))
    }

    fn done(&mut self, seq: u64, result: Result<ReplicaDone, Refusal>) -> Vec<Effect> {
        let requester = requester(REQUESTER, OPERATION);
        self.feed(|replica, cx, local| {
            replica.on_store_done(cx, local, Seq(seq), ReplicaAnswer { requester, result });
        })
    }

    fn durable(&mut self, seq: u64) -> Vec<Effect> {
        self.feed(|replica, cx, local| {
            replica.on_durable(cx, local, Seq(seq), log_at(seq));
        })
    }

    /// Has the storage do something for a requester, after so many other commands.
    fn executes(&self, after: usize, requester: Requester, action: ReplicaAction) -> Effect {
        let partition = self.local.topology().partition_of(key().token());
        let command = ReplicaCommand { requester, action };
        store(ticket(Issuer::Replica, after), partition, command)
    }

    /// Has the storage do the first thing that the usual requester asks for.
    fn executes_first(&self, action: ReplicaAction) -> Effect {
        self.executes(0, requester(REQUESTER, OPERATION), action)
    }

    /// Answers the usual requester.
    fn tells(&self, message: CoordinatorMessage) -> Effect {
        let (node, request) = REQUESTER;
        send(Time(0), self.local.message(node, request, message.into()))
    }

    fn acknowledges(&self, seq: u64) -> Effect {
        let acked = Acked { operation: OPERATION, for_owner: None, log: log_at(seq) };
        self.tells(CoordinatorMessage::Acked(acked))
    }

    fn refuses(&self, refusal: Refusal) -> Effect {
        self.tells(CoordinatorMessage::Refused(Refused { operation: OPERATION, refusal }))
    }

    /// The command for a write that this owner is to mint.
    fn mint_of(&self, request: RequestId, write: &Write) -> ReplicaAction {
        let mint = Mint {
            key: key(),
            write: write.clone(),
            role: Role::Owner,
            request,
            spare: Epoch(1),
            siblings_max: self.local.config.siblings_max,
        };
        ReplicaAction::Mint(mint.into())
    }
}

fn requester((node, request): (NodeId, RequestId), operation: OperationId) -> Requester {
    Requester { node, request, operation, for_owner: None }
}

fn merged(container: &Container) -> ReplicaAction {
    ReplicaAction::Merge((key(), container.clone()).into())
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
    let basis = Basis::Given(Context::default());
    let content = Content::Tombstone;
    MintRequest {
        operation: OPERATION,
        key: key(),
        write: Write { content, expiry: None, basis, time: HybridTime(6) },
        fallback_for,
        echo: None,
    }
}

#[test]
fn a_minted_write_is_told_at_once_and_acknowledged_only_when_durable() {
    let mut fixture = ReplicaFixture::new(true);
    let asked = fixture.mint(mint(None));
    let action = fixture.mint_of(REQUESTER.1, &mint(None).write);
    assert_eq!(asked, [fixture.executes_first(action)]);
    let container = container(HybridTime(1));
    let minted = Minted { operation: OPERATION, container: container.clone() };
    let told = fixture
        .done(3, Ok(ReplicaDone::Minted(MintedWrite { dot: dot(), container, hinted: None })));
    assert_eq!(told, [fixture.tells(CoordinatorMessage::Minted(minted))]);
    assert_eq!(fixture.durable(2), []);
    assert_eq!(fixture.durable(3), [fixture.acknowledges(3)]);
}

#[test]
fn a_merge_that_changed_nothing_still_waits_for_what_came_before_it() {
    let mut fixture = ReplicaFixture::new(true);
    let container = container(HybridTime(1));
    let asked = fixture.merge(container.clone());
    assert_eq!(asked, [fixture.executes_first(merged(&container))]);
    assert_eq!(fixture.done(7, Ok(ReplicaDone::Merged)), []);
    assert_eq!(fixture.durable(7), [fixture.acknowledges(7)]);
}

#[test]
fn what_is_durable_before_its_outcome_is_known_is_acknowledged_with_the_outcome() {
    let mut fixture = ReplicaFixture::new(true);
    fixture.merge(container(HybridTime(1)));
    assert_eq!(fixture.durable(9), []);
    assert_eq!(fixture.done(8, Ok(ReplicaDone::Merged)), [fixture.acknowledges(9)]);
}

#[test]
fn a_node_that_does_not_own_the_key_names_no_write_as_an_owner() {
    let mut fixture = ReplicaFixture::new(false);
    assert_eq!(fixture.mint(mint(None)), [fixture.refuses(Refusal::Layout)]);
}

#[test]
fn an_owner_answers_no_reads_before_its_marker_is_durable() {
    let mut fixture = ReplicaFixture::new(true);
    assert_eq!(
        fixture.read(),
        [probe(Probe::IncompleteReadRefused), fixture.refuses(Refusal::Incomplete)]
    );
}

#[test]
fn a_read_is_answered_with_the_outcome() {
    let mut fixture = ReplicaFixture::new(true);
    fixture.local.complete.insert(fixture.local.topology().partition_of(key().token()));
    let read = ReplicaAction::Read { key: key(), copy: CopyKind::Owned };
    assert_eq!(fixture.read(), [fixture.executes_first(read)]);
    let held = container(HybridTime(1));
    let reply = ReadReply { operation: OPERATION, container: held.clone() };
    assert_eq!(
        fixture.done(0, Ok(ReplicaDone::Read(held))),
        [fixture.tells(CoordinatorMessage::ReadReply(reply))]
    );
}

#[test]
fn what_the_storage_refuses_is_refused_to_the_requester() {
    let mut fixture = ReplicaFixture::new(true);
    fixture.mint(mint(None));
    let told = fixture.done(0, Err(Refusal::DiskFailed));
    assert_eq!(told, [fixture.refuses(Refusal::DiskFailed)]);
}

#[test]
fn a_container_from_the_far_future_is_kept_reported_and_not_adopted() {
    let mut fixture = ReplicaFixture::new(true);
    let ahead = container(HybridTime::from_wall(WallTime(3_600_000_000)));
    let clock_ahead = Event::ClockAhead { stamped_by: dot().actor.node, by_ms: 3_599_000 };
    assert_eq!(
        fixture.merge(ahead.clone()),
        [observe(clock_ahead), fixture.executes_first(merged(&ahead))]
    );
    // The next request has the time of the own clock.
    let mut time = None;
    fixture.feed(|replica, cx, _| time = Some(replica.now(cx)));
    assert_eq!(time, Some(HybridTime::from_wall(WALL)));
}

/// A request to overwrite what is held, with what its sender last heard of the time here.
fn plain_set(operation: u64, echo: Option<Echo>) -> MintRequest {
    let operation = OperationId(operation);
    let mut request = MintRequest { operation, echo, ..mint(None) };
    request.write.basis = Basis::Held(Context::default());
    request
}

/// Requests to mint that come at some time, by the clock here.
struct Requests {
    fixture: ReplicaFixture,
    taken: u64,
}

impl Requests {
    const REQUEST: RequestId = RequestId(9);

    fn feed(&mut self, from: NodeId, at_ms: u64, request: MintRequest) -> Vec<Effect> {
        self.fixture.feed_at(Time(at_ms * 1_000), |replica, cx, local| {
            replica.on_mint(cx, local, (from, Self::REQUEST), request);
        })
    }

    /// A request is executed.
    fn take(&mut self, from: NodeId, at_ms: u64, request: MintRequest) {
        let requester = requester((from, Self::REQUEST), request.operation);
        let action = self.fixture.mint_of(Self::REQUEST, &request.write);
        let expected = self.fixture.executes(self.taken as usize, requester, action);
        assert_eq!(self.feed(from, at_ms, request), [expected]);
        self.taken += 1;
    }

    /// A request is refused as late.
    fn refuse(&mut self, from: NodeId, at_ms: u64, request: MintRequest) {
        let refused = Refused { operation: request.operation, refusal: Refusal::Late };
        let body = CoordinatorMessage::Refused(refused).into();
        let message = self.fixture.local.message(from, Self::REQUEST, body);
        assert_eq!(
            self.feed(from, at_ms, request),
            [probe(Probe::OldRequestRefused), send(Time(at_ms * 1_000), message)]
        );
    }
}

#[test]
fn what_is_held_is_overwritten_only_by_a_request_that_is_provably_new() {
    let mut fixture = ReplicaFixture::new(true);
    fixture.local.config.hedge_ms = 100;
    let generation = fixture.local.identity.generation;
    let heard = |ms: u64| Some(Echo { generation, sent: Time(ms * 1_000) });
    let (peer, me) = (REQUESTER.0, fixture.local.me());
    let mut requests = Requests { fixture, taken: 0 };
    requests.take(peer, 1_049, plain_set(1, heard(1_000)));
    requests.refuse(peer, 1_050, plain_set(2, heard(1_000)));
    requests.refuse(peer, 1_000, plain_set(3, None));
    // From a time to come: another run of this node said so, or nobody.
    requests.refuse(peer, 1_000, plain_set(4, heard(1_001)));
    let before = Some(Echo { generation: Generation(0), sent: Time(1_000_000) });
    requests.refuse(peer, 1_001, plain_set(5, before));
    // Between a node and itself nothing is late.
    requests.take(me, 9_000, plain_set(6, None));
    // A request that says what it overwrites may come as late as it likes.
    requests.take(peer, 9_000, mint(None));
}

#[test]
fn what_is_held_is_overwritten_once_by_a_request_that_comes_twice() {
    let fixture = ReplicaFixture::new(true);
    let generation = fixture.local.identity.generation;
    let heard = |ms: u64| Some(Echo { generation, sent: Time(ms * 1_000) });
    let mut requests = Requests { fixture, taken: 0 };
    requests.take(REQUESTER.0, 1_010, plain_set(1, heard(1_000)));
    requests.refuse(REQUESTER.0, 1_020, plain_set(1, heard(1_000)));
    requests.take(REQUESTER.0, 1_020, plain_set(2, heard(1_000)));
    requests.take(NodeId(3), 1_020, plain_set(1, heard(1_000)));
    // It is not remembered for longer than a copy could still be new.
    requests.take(REQUESTER.0, 5_000, plain_set(3, heard(4_990)));
    let Requests { fixture, .. } = requests;
    assert_eq!(fixture.replica.freshness, {
        let mut last = Freshness::default();
        let now = Now { monotonic: Time(5_000_000), wall: WallTime(0) };
        let (mut draw, mut out) = (Counting::default(), Vec::new());
        let cx = Cx { now, draw: &mut draw, out: &mut out };
        last.admits(&cx, &fixture.local, REQUESTER.0, OperationId(3), heard(4_990));
        last
    });
}
