//! One coordinator, hand-fed: all that it sends and says after each input, in order.

mod read_phase;
mod write_phase;

use alloc::collections::BTreeMap;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use super::*;
use crate::client::{Achieved, Options, PutContext, Verb};
use crate::config::Config;
use crate::cx::{Identity, Peers};
use crate::event::Event;
use crate::layout::Layout;
use crate::message::{
    Acked, FallbackFor, HintRequest, MergeRequest, MintRequest, Minted, ReadReply, ReadRequest,
    Refused, ReplicaMessage,
};
use crate::quorum::{Level, Mode};
use crate::ring::Ring;
use crate::store::{CopyKind, Refusal};
use crate::tally::QuorumError;
use crate::testing::Counting;
use crate::testing::effects::{observe, probe, reply, send};
use crate::time::{HybridTime, Now, Span, WallTime};
use crate::topology::Topology;
use crate::types::{ClusterId, Epoch, Generation, Key, LogPosition};
use crate::version::{Actor, Container, Content, Context, ContextError, Dot, Version};
use crate::write::{Basis, Write};

/// A coordinator on one of five nodes, N = 3; `owners` own the key, `others` do not.
struct CoordinatorFixture {
    coordinator: Coordinator,
    local: NodeContext,
    draw: Counting,
    now: Time,
    owners: Vec<NodeId>,
    others: Vec<NodeId>,
    /// The id under which replicas answer.
    request: RequestId,
}

const CLIENT: ClientRequest = ClientRequest(5);

/// The time at which clients ask, by the clock of the coordinator's node.
const ASKED: HybridTime = HybridTime(7);

/// The id of the first request of a coordinator: the first draw, and a counter.
const FIRST_REQUEST: RequestId = RequestId(1 << 64 | 1);

/// The number of the first operation of a coordinator.
const FIRST: OperationId = OperationId(1);

impl CoordinatorFixture {
    /// Makes a coordinator that is the key's first owner, or the first node that does not own it.
    fn new(is_owner: bool) -> Self {
        let nodes = (1..=5_u64).map(|id| (NodeId(id), id.to_string()));
        let ring = Ring::new(Layout::single_datacenter(64, 3, nodes)).expect("five nodes, N = 3");
        let partition = ring.partition_of(key().token());
        let owners = ring.owners(partition).to_vec();
        let others: Vec<NodeId> = ring.fallbacks(partition).collect();
        let complete = ring.partitions().collect();
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
            complete,
            roots: BTreeMap::new(),
        };
        let (coordinator, draw, now) = (Coordinator::default(), Counting::default(), Time(0));
        Self { coordinator, local, draw, now, owners, others, request: FIRST_REQUEST }
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
        self.coordinator.invariants(&self.local);
        out
    }

    fn ask(&mut self, verb: Verb, options: Options) -> Vec<Effect> {
        let operation = ClientOperation { key: key(), verb, options };
        self.feed(|coordinator, cx, local| {
            coordinator.on_client(cx, local, (CLIENT, ASKED), operation);
        })
    }

    fn put(&mut self, options: Options) -> Vec<Effect> {
        self.ask(put(PutContext::Nothing), options)
    }

    fn minted(&mut self, from: NodeId, container: Container) -> Vec<Effect> {
        let minted = Minted { operation: FIRST, container };
        self.says(from, CoordinatorMessage::Minted(minted))
    }

    fn acked(&mut self, from: NodeId, for_owner: Option<NodeId>) -> Vec<Effect> {
        let acked = Acked { operation: FIRST, for_owner, log: LogPosition(1) };
        self.says(from, CoordinatorMessage::Acked(acked))
    }

    fn holds(&mut self, from: NodeId, container: Container) -> Vec<Effect> {
        let reply = ReadReply { operation: FIRST, container };
        self.says(from, CoordinatorMessage::ReadReply(reply))
    }

    fn refused(&mut self, from: NodeId, refusal: Refusal) -> Vec<Effect> {
        let refused = Refused { operation: FIRST, refusal };
        self.says(from, CoordinatorMessage::Refused(refused))
    }

    fn says(&mut self, from: NodeId, message: CoordinatorMessage) -> Vec<Effect> {
        let requester = (from, self.request);
        self.feed(|coordinator, cx, local| coordinator.on_message(cx, local, requester, message))
    }

    /// Lets time pass up to the next deadline.
    fn wait(&mut self) -> Vec<Effect> {
        self.now = self.coordinator.next_deadline().expect("something is in flight");
        self.feed(Coordinator::on_deadline)
    }

    fn send(&self, to: NodeId, message: ReplicaMessage) -> Effect {
        send(self.now, self.local.message(to, FIRST_REQUEST, message.into()))
    }

    /// Asks a node to mint a write that overwrites nothing, as an owner.
    fn mint(&self, to: NodeId) -> Effect {
        self.mint_upon(to, Basis::Given(Context::default()))
    }

    fn mint_upon(&self, to: NodeId, basis: Basis) -> Effect {
        self.send(to, minting(basis, None))
    }

    /// Sends a container to an owner.
    fn merge(&self, to: NodeId, container: &Container) -> Effect {
        let container = container.clone();
        let request = MergeRequest { operation: FIRST, key: key(), container };
        self.send(to, ReplicaMessage::Merge(request))
    }

    /// Has a node keep a container in the place of an owner.
    fn hint(&self, to: NodeId, fallback_for: FallbackFor, container: &Container) -> Effect {
        let container = container.clone();
        let request = HintRequest { operation: FIRST, key: key(), container, fallback_for };
        self.send(to, ReplicaMessage::Hint(request))
    }

    /// Asks an owner what it holds.
    fn read(&self, to: NodeId) -> Effect {
        self.read_copy(to, CopyKind::Owned)
    }

    /// Asks a node what it keeps for others.
    fn read_hints(&self, to: NodeId) -> Effect {
        self.read_copy(to, CopyKind::Hinted)
    }

    fn read_copy(&self, to: NodeId, copy: CopyKind) -> Effect {
        self.send(to, ReplicaMessage::Read(ReadRequest { operation: FIRST, key: key(), copy }))
    }

    /// Brings up an owner that a read found behind.
    fn repair(&self, owner: NodeId, container: &Container) -> [Effect; 2] {
        [observe(Event::ReadRepair { peer: owner, key: key() }), self.merge(owner, container)]
    }
}

fn key() -> Key {
    Key::from("k")
}

fn minting(basis: Basis, fallback_for: Option<FallbackFor>) -> ReplicaMessage {
    let content = Content::Value(Bytes::from_static(b"v"));
    let write = Write { content, expiry: None, basis, time: ASKED };
    let (operation, key, echo) = (FIRST, key(), None);
    ReplicaMessage::Mint(MintRequest { operation, key, write, fallback_for, echo }.into())
}

/// The place of an owner, while so many owners have said that they hold the write.
fn place_of(owner: NodeId, copies: u8) -> FallbackFor {
    FallbackFor { owner, copies }
}

/// The token that covers exactly this container.
fn token(container: &Container) -> Bytes {
    container.context().to_token(ClusterId(1), &key())
}

/// The reply to a read.
fn value(container: &Container, achieved: Achieved) -> Effect {
    let (container, context) = (container.clone(), token(container));
    reply(CLIENT, Reply::Value { container, context, achieved })
}

/// The reply to a put that stands.
fn stored(container: &Container, achieved: Achieved) -> Effect {
    let (container, context) = (container.clone(), token(container));
    reply(CLIENT, Reply::Stored { container, context, achieved })
}

fn refused(refusal: RequestRefusal) -> Effect {
    reply(CLIENT, Reply::Refused(refusal))
}

fn unknown(achieved: Achieved) -> Effect {
    reply(CLIENT, Reply::Unknown { achieved })
}

/// Answers of these owners and fallbacks, each on a machine of its own.
fn achieved(owners: &[NodeId], fallbacks: &[NodeId]) -> Achieved {
    let machines = owners.len() + fallbacks.len();
    Achieved { owners: owners.into(), fallbacks: fallbacks.into(), machines }
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

/// Seen at seed 48680 of swarm.toml: a disk was cloned whose markers were corrupt, so that it
/// passed for the node's own.
#[test]
fn a_corrupt_key_that_this_node_does_not_own_is_not_gathered() {
    let mut fixture = CoordinatorFixture::new(false);
    let effects = fixture.feed(|coordinator, cx, local| coordinator.gather(cx, local, key(), 1));
    assert_eq!(effects, []);
    assert!(fixture.coordinator.is_empty());
}

#[test]
fn clients_of_a_node_whose_disk_failed_are_not_left_waiting() {
    let mut fixture = CoordinatorFixture::new(true);
    fixture.put(Options::default());
    let effects = fixture.feed(|coordinator, cx, _| coordinator.abandon_all(cx));
    assert_eq!(effects, [unknown(achieved(&[], &[]))]);
    assert!(fixture.coordinator.is_empty());
    assert_eq!(fixture.coordinator.next_deadline(), None);
}

#[test]
fn what_cannot_be_done_is_refused_and_nothing_is_sent() {
    let four = Some(Level::Count(4));
    let too_long = Content::Value(Bytes::from(vec![0; 2_000_000]));
    let latest = PutContext::Latest(Context::default());
    let token = PutContext::Token(Bytes::from_static(b"not a token"));
    let out_of_reach = || QuorumError::MoreThanOwners { asked: 4, owners: 3 }.into();
    let too_large = RequestRefusal::Value { bytes: 2_000_000, max: 1_048_576 };
    let cases = [
        (put(PutContext::Nothing), Options { write: four, ..Options::default() }, out_of_reach()),
        (Verb::Get, Options { read: four, ..Options::default() }, out_of_reach()),
        (put(token), Options::default(), ContextError::Corrupt.into()),
        (
            Verb::Put { content: too_long, expiry: None, context: latest },
            Options::default(),
            too_large,
        ),
    ];
    for (verb, options, refusal) in cases {
        let mut fixture = CoordinatorFixture::new(true);
        let too_long = matches!(refusal, RequestRefusal::Value { .. });
        let probed = too_long.then(|| probe(Probe::ValueTooLong));
        let expected: Vec<_> = probed.into_iter().chain([refused(refusal)]).collect();
        assert_eq!(fixture.ask(verb, options), expected);
        assert!(fixture.coordinator.is_empty());
    }
}

#[test]
fn an_answer_to_a_request_of_an_earlier_life_is_dropped() {
    let mut fixture = CoordinatorFixture::new(true);
    let [a, b, c] = [fixture.owners[0], fixture.owners[1], fixture.owners[2]];
    let written = container(a, 1);
    fixture.put(Options { write: Some(Level::One), ..Options::default() });
    fixture.request = RequestId(1);
    assert_eq!(fixture.minted(a, written.clone()), []);
    assert_eq!(fixture.acked(a, None), []);
    fixture.request = FIRST_REQUEST;
    assert_eq!(
        fixture.minted(a, written.clone()),
        [fixture.merge(b, &written), fixture.merge(c, &written)]
    );
    assert_eq!(fixture.acked(a, None), [stored(&written, achieved(&[a], &[]))]);
}

#[test]
fn a_broken_connection_is_not_waited_for() {
    let mut fixture = CoordinatorFixture::new(true);
    let [a, b] = [fixture.owners[0], fixture.owners[1]];
    fixture.put(Options::default());
    let broken = fixture.feed(|coordinator, cx, _| coordinator.on_link_down(cx, a));
    assert_eq!(broken, [probe(Probe::LinkBrokeUnderOperation)]);
    assert_eq!(fixture.coordinator.next_deadline(), Some(Time(0)));
    assert_eq!(fixture.wait(), [probe(Probe::AnotherMinterAsked), fixture.mint(b)]);
}

#[test]
fn a_coordinator_with_its_hands_full_refuses_one_more() {
    let mut fixture = CoordinatorFixture::new(true);
    fixture.local.config.requests_max = 1;
    fixture.put(Options::default());
    let second = fixture.put(Options::default());
    assert_eq!(second, [probe(Probe::Busy), refused(RequestRefusal::Busy { max: 1 })]);
}

#[test]
fn a_gathering_asks_the_other_owners_and_gives_what_enough_of_them_hold_together() {
    let mut fixture = CoordinatorFixture::new(true);
    let [a, b, c] = [fixture.owners[0], fixture.owners[1], fixture.owners[2]];
    let (first, second) = (container(b, 1), container(c, 1));
    let asked = fixture.feed(|coordinator, cx, local| coordinator.gather(cx, local, key(), 7));
    assert_eq!(asked, [fixture.read(a), fixture.read(b), fixture.read(c)]);
    assert_eq!(fixture.refused(a, Refusal::Corrupt), []);
    assert_eq!(fixture.holds(b, first.clone()), []);
    assert!(fixture.coordinator.take_gathered().is_empty(), "W = 2: one may be behind");
    assert_eq!(fixture.holds(c, second.clone()), []);
    assert_eq!(fixture.coordinator.take_gathered(), [(7, joined(&first, &second))]);
    assert!(fixture.coordinator.is_empty());
}

#[test]
fn a_gathering_that_too_few_can_answer_comes_to_nothing() {
    let mut fixture = CoordinatorFixture::new(true);
    let [a, b, c] = [fixture.owners[0], fixture.owners[1], fixture.owners[2]];
    let held = container(b, 1);
    fixture.feed(|coordinator, cx, local| coordinator.gather(cx, local, key(), 7));
    assert_eq!(fixture.refused(a, Refusal::Corrupt), []);
    assert_eq!(fixture.holds(b, held.clone()), []);
    let last = fixture.refused(c, Refusal::Corrupt);
    assert_eq!(last, [fixture.repair(a, &held), fixture.repair(c, &held)].concat());
    assert!(fixture.coordinator.take_gathered().is_empty() && fixture.coordinator.is_empty());
}
