//! Histories made by hand, good and bad: five nodes, of which the first three own every key, and
//! containers that are joined by the real rules unless a test breaks one.

mod availability;
mod bounds;
mod causality;
mod comparison;
mod convergence;
mod deletion;
mod dirty_reads;
mod durability;
mod epochs;
mod freshness;
mod hints;
mod history;
mod last_write;
mod levels;
mod linearizability;
mod membership;
mod no_trace;
mod order;
mod ownership;
mod preference;
mod refusals;
mod request_ids;
mod session;
mod soak;
mod suspicion;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use kv_core::client::{
    Achieved, ClientOperation, Options, PutContext, Reply, RequestRefusal, Verb,
};
use kv_core::codec::Codec as _;
use kv_core::config::Config;
use kv_core::message::Kind;
use kv_core::quorum::{Level, Mode};
use kv_core::ring::MachineIndex;
use kv_core::store::{Mint, MintedWrite, ReplicaAnswer, ReplicaDone, Requester, Role, StoredHint};
use kv_core::time::{HybridTime, WallTime};
use kv_core::types::{ContentHash, Epoch, OperationId, PartitionId};
use kv_core::version::{Actor, Content, Context, Version, VersionVector};
use kv_core::write::{Basis, Write};

use super::*;

const KEY: &str = "k";
const A: NodeId = NodeId(1);
const B: NodeId = NodeId(2);
const C: NodeId = NodeId(3);
const D: NodeId = NodeId(4);
const E: NodeId = NodeId(5);
const CLUSTER: [NodeId; 5] = [A, B, C, D, E];

/// A way in which a fault takes data of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    /// The node loses all its data.
    Wipe,
    /// The node loses what was reported durable and is not.
    Unsynced,
    /// The node loses all that was written since an earlier moment.
    Rollback,
}

/// Disks and links. The key of every map is a node: there is one key in the store.
#[derive(Clone, Debug, Default)]
struct TestCluster {
    live: BTreeMap<NodeId, Container>,
    reported: BTreeMap<NodeId, Container>,
    durable: BTreeMap<NodeId, Container>,
    roots: BTreeMap<NodeId, ContentHash>,
    machines: BTreeMap<NodeId, u32>,
    down: Vec<NodeId>,
    /// Nodes that are gone for ever.
    gone: Vec<NodeId>,
    /// True if some nodes hear of others through third ones only.
    is_bridged: bool,
    /// Nodes whose clocks stand still.
    frozen: Vec<NodeId>,
    /// The time for which a storage command has been waiting on a disk.
    slowest_command: Span,
    /// The kinds of messages that nobody receives.
    dropped: Vec<Kind>,
    /// The view that each node has of the others.
    views: Vec<(NodeId, Vec<MemberView>)>,
    last_change: Time,
    /// The time at which a node last changed, if not at the last change of all.
    nodes_changed: BTreeMap<NodeId, Time>,
    /// The times at which links last changed, if not at the last change of all.
    links_changed: Vec<([NodeId; 2], Time)>,
    /// The obstacles that nodes meet.
    obstacles: Vec<(NodeId, Obstacle)>,
    datacenters: Arc<Datacenters>,
    /// The hints that nodes keep, by keeper and target.
    hints: BTreeMap<(NodeId, NodeId), StoredHint>,
    /// The latest date that any clock has shown.
    latest_date: WallTime,
}

impl Disks for TestCluster {
    fn nodes(&self) -> Vec<NodeId> {
        CLUSTER.to_vec()
    }

    fn owners(&self, _: &Key) -> &[NodeId] {
        &CLUSTER[..3]
    }

    fn datacenters(&self) -> &Datacenters {
        &self.datacenters
    }

    fn partition_of(&self, _: &Key) -> PartitionId {
        PartitionId(0)
    }

    fn machine(&self, node: NodeId) -> MachineIndex {
        MachineIndex(self.machines.get(&node).copied().unwrap_or(node.0 as u32))
    }

    fn copy(&self, node: NodeId, key: &Key, image: WhichImage) -> Container {
        assert_eq!(key, &Key::from(KEY), "there is one key in the store");
        let images = match image {
            WhichImage::Live => &self.live,
            WhichImage::Reported => &self.reported,
            WhichImage::Durable => &self.durable,
        };
        images.get(&node).cloned().unwrap_or_default()
    }

    fn owned(&self, node: NodeId, key: &Key) -> Container {
        self.copy(node, key, WhichImage::Live)
    }

    fn hint(&self, keeper: NodeId, _: &Key, target: NodeId) -> Option<StoredHint> {
        self.hints.get(&(keeper, target)).cloned()
    }

    fn root(&self, node: NodeId, _: PartitionId) -> Option<ContentHash> {
        let honest = || self.live.get(&node).map(|container| container.hash(&Key::from(KEY)));
        let root = self.roots.get(&node).copied().or_else(honest).unwrap_or_default();
        (!self.gone.contains(&node)).then_some(root)
    }

    fn owned_records(&self, node: NodeId, _: PartitionId) -> OwnedRecords {
        let record = |container: &Container| {
            let mut record = container.hash(&Key::from(KEY)).0.to_be_bytes().to_vec();
            container.encode(&mut record);
            (Key::from(KEY), Ok(Bytes::from(record)))
        };
        self.live.get(&node).map(record).into_iter().collect()
    }

    fn can_make_equal(&self, a: NodeId, b: NodeId) -> bool {
        !self.gone.contains(&a) && !self.gone.contains(&b)
    }
}

impl ClusterHealth for TestCluster {
    fn last_change(&self) -> Time {
        self.last_change
    }

    fn node_changed(&self, node: NodeId) -> Time {
        self.nodes_changed.get(&node).copied().unwrap_or(self.last_change)
    }

    fn link_changed(&self, one: NodeId, other: NodeId) -> Time {
        let changed = self
            .links_changed
            .iter()
            .filter(|(ends, _)| ends.contains(&one) && ends.contains(&other));
        changed.map(|&(_, at)| at).max().unwrap_or(self.last_change)
    }

    fn meets(&self, node: NodeId, _: &Key, obstacle: Obstacle) -> bool {
        let kind = std::mem::discriminant(&obstacle);
        let is_it =
            |(of, met): &(NodeId, Obstacle)| *of == node && std::mem::discriminant(met) == kind;
        obstacle == Obstacle::Asleep && self.down.contains(&node)
            || self.obstacles.iter().any(is_it)
    }

    fn has_corruption(&self, node: NodeId) -> bool {
        self.obstacles.contains(&(node, Obstacle::Corrupt))
    }

    fn may_hear_of(&self, node: NodeId, other: NodeId) -> bool {
        !self.down.contains(&node) && !self.down.contains(&other)
    }

    fn keeps_time(&self, node: NodeId) -> bool {
        !self.frozen.contains(&node)
    }

    fn lasts(&self, node: NodeId, span: Span) -> Option<Span> {
        self.keeps_time(node).then_some(span)
    }

    fn latest_date(&self, _: NodeId) -> WallTime {
        self.latest_date
    }

    fn slowest_command(&self) -> Span {
        self.slowest_command
    }

    fn reaches(&self, from: NodeId, to: NodeId, kind: Kind) -> bool {
        !self.down.contains(&from) && !self.down.contains(&to) && !self.dropped.contains(&kind)
    }

    fn groups(&self) -> Vec<Group> {
        let is_there = |node: &NodeId| !self.gone.contains(node);
        let nodes = CLUSTER.into_iter().filter(is_there).collect();
        vec![Group { nodes, is_whole: !self.is_bridged }]
    }

    fn views(&self) -> Vec<(NodeId, Vec<MemberView>)> {
        self.views.clone()
    }
}

/// A cluster, and the checks that watch it.
#[derive(Clone, Debug)]
struct Fixture {
    checks: Checks,
    cluster: TestCluster,
    now: Time,
    /// The durable copies that puts ask for.
    write: Level,
    operations: u64,
    minted: BTreeMap<Actor, u64>,
    /// The time that the next version is stamped with; it rises with each.
    stamp: HybridTime,
}

/// A put that was asked for.
#[derive(Clone, Debug)]
struct TestPut {
    number: OperationNumber,
    request: RequestId,
    content: Content,
}

impl Fixture {
    fn new() -> Self {
        Self::of(Datacenters::new(CLUSTER.map(|node| (node, "dc1")), |_| 3), Config::default())
    }

    fn with(config: Config) -> Self {
        Self::of(Datacenters::new(CLUSTER.map(|node| (node, "dc1")), |_| 3), config)
    }

    /// A cluster whose nodes stand in these data centers. Those of them that own the key must be as
    /// many as it has copies there.
    fn of(datacenters: Datacenters, config: Config) -> Self {
        let datacenters = Arc::new(datacenters);
        let names = CLUSTER.iter().map(|&node| (node, format!("n{}", node.0))).collect();
        let setting = Setting {
            config,
            datacenters: Arc::clone(&datacenters),
            settle: Span::from_ms(5_000),
            suspect: Span::from_ms(5_000),
            timeout: Span::from_ms(500),
            names,
            is_untroubled: false,
            comparison_merges_max: None,
            operations: 0,
            keys: 0,
        };
        Self {
            checks: Checks::new(setting),
            cluster: TestCluster { datacenters, ..TestCluster::default() },
            now: Time(0),
            write: Level::Count(2),
            operations: 0,
            minted: BTreeMap::new(),
            stamp: HybridTime(1),
        }
    }

    fn tick(&mut self) -> Time {
        self.now = self.now + Span::from_ms(1);
        self.now
    }

    /// Lets a client ask a node to write a new value, having seen these dots.
    fn ask(&mut self, mode: Mode, seen: &[Dot]) -> TestPut {
        let request = RequestId(u128::from(self.operations) + 1);
        self.ask_as(request, mode, seen)
    }

    fn ask_as(&mut self, request: RequestId, mode: Mode, seen: &[Dot]) -> TestPut {
        let content = Content::Value(Bytes::from(format!("value of {request}").into_bytes()));
        self.ask_with(A, request, mode, seen, content)
    }

    /// Lets a client ask this node to write a new value, having seen these dots.
    fn ask_at(&mut self, node: NodeId, mode: Mode, seen: &[Dot]) -> TestPut {
        let request = RequestId(u128::from(self.operations) + 1);
        let content = Content::Value(Bytes::from(format!("value of {request}").into_bytes()));
        self.ask_with(node, request, mode, seen, content)
    }

    /// Lets a client ask a node to write this content, having seen these dots.
    fn ask_for(&mut self, mode: Mode, seen: &[Dot], content: Content) -> TestPut {
        let request = RequestId(u128::from(self.operations) + 1);
        self.ask_with(A, request, mode, seen, content)
    }

    fn ask_with(
        &mut self,
        node: NodeId,
        request: RequestId,
        mode: Mode,
        seen: &[Dot],
        content: Content,
    ) -> TestPut {
        self.ask_upon((node, request), mode, seen, (content, PutContext::Nothing))
    }

    /// Lets a client ask a node to write a new value over whatever stands, having seen these dots.
    fn ask_to_set(&mut self, mode: Mode, seen: &[Dot]) -> TestPut {
        let request = RequestId(u128::from(self.operations) + 1);
        let content = Content::Value(Bytes::from(format!("value of {request}").into_bytes()));
        let context = PutContext::Latest(Default::default());
        self.ask_upon((A, request), mode, seen, (content, context))
    }

    fn ask_upon(
        &mut self,
        (node, request): (NodeId, RequestId),
        mode: Mode,
        seen: &[Dot],
        (content, context): (Content, PutContext),
    ) -> TestPut {
        self.operations += 1;
        let verb = Verb::Put { content: content.clone(), expiry: None, context };
        let write = Some(self.write);
        let options =
            Options { mode: Some(mode), write, request: Some(request), ..Options::default() };
        let operation = ClientOperation { key: Key::from(KEY), verb, options };
        let (at, number) = (self.tick(), OperationNumber(7 << 32 | self.operations));
        self.checks.on_invoke(at, number, node, &operation, seen);
        TestPut { number, request, content }
    }

    /// Lets a replica execute a put, by the rules.
    fn mint(&mut self, node: NodeId, epoch: u64, asked: &TestPut, basis: Basis) -> Dot {
        let actor = Actor { node, epoch: Epoch(epoch) };
        let n = self.minted.entry(actor).or_default();
        *n += 1;
        let dot = Dot { actor, n: *n };
        self.mint_as(dot, asked, basis);
        dot
    }

    /// Lets a replica execute a put under this dot.
    fn mint_as(&mut self, dot: Dot, asked: &TestPut, basis: Basis) {
        let node = dot.actor.node;
        let held = self.cluster.live.entry(node).or_default();
        let version = Version {
            content: asked.content.clone(),
            time: self.stamp,
            expiry: None,
            request: asked.request,
            tag: None,
        };
        self.stamp = self.stamp.next();
        let replaced = match &basis {
            Basis::Given(context) => {
                held.discard(&context.seen);
                Vec::new()
            }
            Basis::Held(context) => {
                let mut context = context.clone();
                context.learn(held);
                held.discard(&context.seen)
            }
        };
        held.add(dot, version);
        let (key, request) = (Key::from(KEY), asked.request);
        let minted = Event::Minted { key, dot, request, replaced };
        self.execute_mint(node, dot, asked, basis, vec![minted]);
    }

    /// Lets a replica say that it has minted this dot for a put before.
    fn know(&mut self, node: NodeId, dot: Dot, asked: &TestPut) {
        self.execute_mint(node, dot, asked, context(&[]), Vec::new());
    }

    /// Lets the disk of a node execute a command that mints, with the answer that it holds this dot.
    fn execute_mint(
        &mut self,
        node: NodeId,
        dot: Dot,
        asked: &TestPut,
        basis: Basis,
        events: Vec<Event>,
    ) {
        let (key, request) = (Key::from(KEY), asked.request);
        let container = self.cluster.copy(node, &key, WhichImage::Live);
        let mint = Mint {
            key,
            write: Write {
                content: asked.content.clone(),
                expiry: None,
                basis,
                time: HybridTime(0),
            },
            role: Role::Owner,
            request,
            spare: Epoch(0),
            siblings_max: 64,
        };
        let partition = PartitionId(0);
        let requester = Requester { node, request, operation: OperationId(0), for_owner: None };
        let action = ReplicaAction::Mint(Box::new(mint));
        let command =
            StoreCommand { partition, command: ReplicaCommand { requester, action }.into() };
        let result = Ok(ReplicaDone::Minted(MintedWrite { dot, container, hinted: None }));
        let outcome = Outcome {
            partition,
            answer: ReplicaAnswer { requester, result }.into(),
            root: ContentHash::default(),
            events,
            corrupt: Vec::new(),
        };
        let at = self.tick();
        self.checks.on_outcome(at, node, &command, &outcome, &self.cluster);
    }

    /// Joins one node's live container into those of others.
    fn send(&mut self, from: NodeId, to: &[NodeId]) {
        let container = self.cluster.live[&from].clone();
        for node in to {
            self.cluster.live.entry(*node).or_default().join(&container);
        }
    }

    /// Lets the disks report all as durable, and it is.
    fn sync(&mut self, nodes: &[NodeId]) {
        for node in nodes {
            let live = self.cluster.live[node].clone();
            self.cluster.reported.insert(*node, live.clone());
            self.cluster.durable.insert(*node, live);
        }
    }

    /// Lets the disk report all as durable, and it is not.
    fn lie(&mut self, node: NodeId) {
        let live = self.cluster.live[&node].clone();
        self.cluster.reported.insert(node, live);
    }

    fn stored(&mut self, asked: &TestPut, owners: &[NodeId], fallbacks: &[NodeId]) {
        let machines = owners.len() + fallbacks.len();
        let achieved = Achieved { owners: owners.into(), fallbacks: fallbacks.into(), machines };
        let node = owners.first().or(fallbacks.first()).expect("somebody stored it");
        let container = self.cluster.copy(*node, &Key::from(KEY), WhichImage::Live);
        let reply = Reply::Stored { container, context: Bytes::new(), achieved };
        self.reply(asked.number, &reply);
    }

    fn refused(&mut self, asked: &TestPut) {
        self.cluster.obstacles.push((A, Obstacle::Unfounded));
        self.reply(asked.number, &Reply::Refused(RequestRefusal::NotFounded));
        self.cluster.obstacles.pop();
    }

    fn reply(&mut self, number: OperationNumber, reply: &Reply) {
        let at = self.tick();
        self.checks.on_reply(at, number, reply, &self.cluster);
    }

    /// Lets a client ask to read; [`Fixture::answer`] answers it.
    fn ask_to_read(&mut self, mode: Mode) -> OperationNumber {
        let options = Options { mode: Some(mode), read: Some(Level::Quorum), ..Options::default() };
        self.ask_to_read_as(options)
    }

    fn ask_to_read_as(&mut self, options: Options) -> OperationNumber {
        self.ask_to_read_through(A, options)
    }

    fn ask_to_read_through(&mut self, node: NodeId, options: Options) -> OperationNumber {
        self.operations += 1;
        let operation = ClientOperation { key: Key::from(KEY), verb: Verb::Get, options };
        let (at, number) = (self.tick(), OperationNumber(8 << 32 | self.operations));
        self.checks.on_invoke(at, number, node, &operation, &[]);
        number
    }

    /// Answers a read with this container, as if two owners had.
    fn answer(&mut self, number: OperationNumber, container: Container) {
        let achieved =
            Achieved { owners: [A, B][..].into(), fallbacks: [][..].into(), machines: 2 };
        self.reply(number, &Reply::Value { container, context: Bytes::new(), achieved });
    }

    /// Lets a client read what these nodes hold.
    fn read(&mut self, mode: Mode, from: &[NodeId]) {
        let options = Options { mode: Some(mode), read: Some(Level::Quorum), ..Options::default() };
        self.read_as(options, from);
    }

    fn read_as(&mut self, options: Options, from: &[NodeId]) {
        let number = self.ask_to_read_as(options);
        let mut container = Container::default();
        for &node in from {
            container.join(&self.cluster.copy(node, &Key::from(KEY), WhichImage::Live));
        }
        self.answer(number, container);
    }

    /// Writes by all the rules: asked for, minted, sent on, synced, acknowledged.
    fn put(&mut self, mode: Mode, seen: &[Dot], on: &[NodeId]) -> Dot {
        self.write = Level::Count(on.len() as u8);
        let asked = self.ask(mode, seen);
        let dot = self.mint(on[0], 1, &asked, given(seen.iter().copied().collect()));
        self.send(on[0], on);
        self.sync(on);
        let (owners, fallbacks): (Vec<_>, Vec<_>) =
            on.iter().partition(|node| CLUSTER[..3].contains(node));
        self.stored(&asked, &owners, &fallbacks);
        dot
    }

    fn lose(&mut self, node: NodeId, loss: Loss) -> Vec<String> {
        let at = self.tick();
        let (surviving, is_believed) = match loss {
            Loss::Wipe => (Container::default(), false),
            Loss::Rollback => (Container::default(), true),
            Loss::Unsynced => (self.cluster.copy(node, &Key::from(KEY), WhichImage::Durable), true),
        };
        let left = |_: &Key| Left { container: surviving.clone(), is_believed };
        let excuses = self.checks.before_loss(at, node, &self.cluster, &left);
        for images in
            [&mut self.cluster.live, &mut self.cluster.reported, &mut self.cluster.durable]
        {
            images.insert(node, surviving.clone());
        }
        excuses
    }

    /// Joins every live container with every other, and ends the run.
    fn end(&mut self) {
        let mut all = Container::default();
        for container in self.cluster.live.values() {
            all.join(container);
        }
        for owner in &CLUSTER[..3] {
            self.cluster.live.insert(*owner, all.clone());
        }
        self.end_as_it_is();
    }

    fn end_as_it_is(&mut self) {
        let at = self.tick();
        self.checks.at_end(at, &self.cluster);
    }

    fn violation(&self, check: CheckName) -> Option<String> {
        self.checks.findings(check).violation()
    }

    fn weakened(&self, check: CheckName) -> u64 {
        self.checks.findings(check).weakened
    }

    #[track_caller]
    fn assert_held(&self) {
        for (check, result) in self.checks.results() {
            assert_eq!(result.violation, None, "{check:?}");
        }
    }

    #[track_caller]
    fn assert_violated(&self, check: CheckName, words: &str) {
        let story = self.violation(check).unwrap_or_else(|| panic!("{check:?} should be violated"));
        assert!(story.contains(words), "{story}");
    }
}

fn given(seen: VersionVector) -> Basis {
    Basis::Given(Context { seen, time: HybridTime::default() })
}

fn context(dots: &[Dot]) -> Basis {
    given(dots.iter().copied().collect())
}

fn held() -> Basis {
    Basis::Held(Default::default())
}
