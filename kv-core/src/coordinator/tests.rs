//! One coordinator, hand-fed: what it sends and what it says after each input.

mod read_phase;
mod write_phase;

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
use crate::layout::Layout;
use crate::message::{
    Acked, Body, Kind, Message, Minted, ReadReply, Refused, ReplicaKind, ReplicaMessage,
};
use crate::quorum::{Level, Mode};
use crate::ring::Ring;
use crate::store::Refusal;
use crate::testing::Counting;
use crate::time::{HybridTime, Now, WallTime};
use crate::topology::Topology;
use crate::types::{ClusterId, Epoch, Generation, Key};
use crate::version::{Actor, Container, Content, Dot, Version, VersionVector};
use crate::write::Basis;

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
        self.coordinator.invariants(&self.local);
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
        let minted = Minted { operation: self.operation, container };
        self.says(from, CoordinatorMessage::Minted(minted))
    }

    fn acked(&mut self, from: NodeId, for_owner: Option<NodeId>) -> Vec<Effect> {
        let acked = Acked { operation: self.operation, for_owner };
        self.says(from, CoordinatorMessage::Acked(acked))
    }

    fn holds(&mut self, from: NodeId, container: Container) -> Vec<Effect> {
        let reply = ReadReply { operation: self.operation, container };
        self.says(from, CoordinatorMessage::ReadReply(reply))
    }

    fn refused(&mut self, from: NodeId, refusal: Refusal) -> Vec<Effect> {
        let refused = Refused { operation: self.operation, refusal };
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
        Body::Replica(ReplicaMessage::Mint(mint)) => Some(mint.write.basis.clone()),
        _ => None,
    })
}

fn set(nodes: &[NodeId]) -> BTreeSet<NodeId> {
    nodes.iter().copied().collect()
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

fn kinds(effects: &[Effect]) -> Vec<Kind> {
    sent(effects).into_iter().map(|message| message.body.kind()).collect()
}
