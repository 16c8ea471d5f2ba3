//! A cluster of nodes that run one machine each, over real storage commands and real bytes on the
//! wire.
//!
//! Messages arrive in order and at once, unless they are lost; storage answers at once, and is
//! durable at once, unless syncs are held.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::{Counting, MemoryStore, effects};
use crate::admin::AdminReply;
use crate::config::Config;
use crate::cx::{CommandCount, Cx, Effect, Identity, Issuer, NodeContext, Peers};
use crate::event::Event;
use crate::layout::Layout;
use crate::message::{Kind, Message};
use crate::ring::Ring;
use crate::storage::{self, Partitions};
use crate::store::{
    Answer, Command, JoinFor, Outcome, Party, Recovered, RepairAnswer, RepairCommand, SessionStep,
    Store as _, StoreCommand,
};
use crate::time::{Now, Span, Time, WallTime};
use crate::topology::Topology;
use crate::types::{
    AdminRequest, ClusterId, FoundingId, Generation, Key, LogPosition, NodeId, PartitionId,
    RequestId, Seq, Step, Ticket,
};
use crate::version::Container;
use crate::wire;

/// The session that commands are for which no machine asked for.
const NOBODY: SessionStep = SessionStep { request: RequestId(0), step: Step(0) };

/// The part of a node under test, with the routes that a node has to it.
pub(crate) trait Machine {
    /// The name under which it asks the storage.
    const ISSUER: Issuer;

    fn start(recovered: &Recovered) -> Self;
    fn next_deadline(&self) -> Option<Time>;
    fn on_deadline(&mut self, cx: &mut Cx<'_>, local: &mut NodeContext);
    fn on_message(&mut self, cx: &mut Cx<'_>, local: &mut NodeContext, message: Message);
    fn on_store_done(
        &mut self,
        cx: &mut Cx<'_>,
        local: &mut NodeContext,
        seq: Seq,
        outcome: Outcome,
    );
    fn on_durable(&mut self, cx: &mut Cx<'_>, local: &mut NodeContext, seq: Seq);
    /// Checks what must hold between two calls; called after each.
    fn invariants(&self, local: &NodeContext);
}

/// An effect, with the node that had it: a message that was sent (it may be lost), a storage command
/// that was executed, an operator who was answered, or an event, which executed commands have too.
///
/// The time in a message and the ticket of a command are checked as they come, and left out.
pub(crate) type Done = (NodeId, Effect);

/// A node sends a message.
pub(crate) fn sends(message: Message) -> Done {
    (message.header.from, Effect::Send(message))
}

/// A node executes a storage command.
pub(crate) fn executes(node: NodeId, partition: PartitionId, command: impl Into<Command>) -> Done {
    (node, effects::store(Ticket(0), partition, command))
}

/// A node tells people of an event.
pub(crate) fn tells(node: NodeId, event: Event) -> Done {
    (node, effects::observe(event))
}

/// A node answers an operator.
pub(crate) fn answers(node: NodeId, request: AdminRequest, reply: AdminReply) -> Done {
    (node, effects::admin_reply(request, reply))
}

/// The messages among the effects, in order.
pub(crate) fn messages(done: &[Done]) -> Vec<&Message> {
    done.iter().filter_map(message).collect()
}

fn message((_, effect): &Done) -> Option<&Message> {
    match effect {
        Effect::Send(message) => Some(message),
        Effect::Reply { .. }
        | Effect::AdminReply { .. }
        | Effect::Store { .. }
        | Effect::Observe(_) => None,
    }
}

/// The kinds of the messages among the effects, in order.
pub(crate) fn kinds(done: &[Done]) -> Vec<Kind> {
    messages(done).into_iter().map(|message| message.body.kind()).collect()
}

/// The effects that are neither messages nor storage commands, in order.
pub(crate) fn told(done: &[Done]) -> Vec<Done> {
    let is_told = |(_, effect): &&Done| match effect {
        Effect::Reply { .. } | Effect::AdminReply { .. } | Effect::Observe(_) => true,
        Effect::Send(_) | Effect::Store { .. } => false,
    };
    done.iter().filter(is_told).cloned().collect()
}

/// Decides whether a message is lost.
type IsLost = alloc::boxed::Box<dyn Fn(&Message) -> bool>;

pub(crate) struct World<M> {
    pub(crate) nodes: BTreeMap<NodeId, TestMember<M>>,
    pub(crate) now: Now,
    pub(crate) is_lost: IsLost,
    /// The nodes whose writes do not become durable.
    pub(crate) held: BTreeSet<NodeId>,
    ring: Arc<Ring>,
    config: Config,
    pending: VecDeque<Done>,
    done: Vec<Done>,
    wire: VecDeque<Message>,
    draw: Counting,
}

pub(crate) struct TestMember<M> {
    pub(crate) local: NodeContext,
    pub(crate) machine: M,
    pub(crate) store: MemoryStore,
    partitions: Partitions,
    commands: CommandCount,
}

impl<M: Machine> World<M> {
    /// Makes nodes 1 to `nodes` with N = `n` and all data markers written.
    pub(crate) fn new(nodes: u64, n: u8, partitions: u32, config: Config) -> Self {
        let mut world = Self::unfounded(nodes, n, partitions, config);
        for id in (1..=nodes).map(NodeId) {
            let mut store = MemoryStore::default();
            let owned = world.ring.owned_by(id);
            storage::format(&mut store, id, FoundingId(0), owned).expect("the store is well");
            store.sync();
            world.start(id, store);
        }
        world
    }

    /// Makes nodes 1 to `nodes` with N = `n` on empty stores.
    pub(crate) fn unfounded(nodes: u64, n: u8, partitions: u32, config: Config) -> Self {
        let names = (1..=nodes).map(|id| (NodeId(id), id.to_string()));
        let ring = Ring::new(Layout::single_datacenter(partitions, n, names)).expect("sound");
        let mut world = Self {
            nodes: BTreeMap::new(),
            now: Now { monotonic: Time(1_000_000), wall: WallTime(1_000_000_000) },
            is_lost: alloc::boxed::Box::new(|_| false),
            held: BTreeSet::new(),
            ring: Arc::new(ring),
            config,
            pending: VecDeque::new(),
            done: Vec::new(),
            wire: VecDeque::new(),
            draw: Counting::default(),
        };
        for id in (1..=nodes).map(NodeId) {
            world.start(id, MemoryStore::default());
        }
        world
    }

    /// Starts a node's process on what is durable in a store.
    pub(crate) fn start(&mut self, node: NodeId, mut store: MemoryStore) {
        store.crash();
        let count = self.ring.layout().partitions;
        let opened = storage::open(node, &self.config, count, &store, LogPosition(0));
        let (partitions, recovered) = opened.expect("the data is its own");
        let identity = Identity {
            node,
            generation: Generation(1),
            cluster: ClusterId(1),
            topology: Arc::new(Topology::new(Arc::clone(&self.ring))),
        };
        let machine = M::start(&recovered);
        let Recovered { complete, roots, .. } = recovered;
        let local = NodeContext {
            identity,
            config: self.config.clone(),
            peers: Peers::default(),
            complete: complete.into_iter().collect(),
            roots: roots.into_iter().collect(),
        };
        let commands = CommandCount::default();
        self.nodes.insert(node, TestMember { local, machine, store, partitions, commands });
    }

    pub(crate) fn ring(&self) -> Arc<Ring> {
        Arc::clone(&self.ring)
    }

    pub(crate) fn member(&mut self, node: u64) -> &mut TestMember<M> {
        self.nodes.get_mut(&NodeId(node)).expect("there is such a node")
    }

    /// Calls the machine of a node, and handles all that follows from it.
    pub(crate) fn call(
        &mut self,
        node: NodeId,
        call: impl FnOnce(&mut M, &mut Cx<'_>, &mut NodeContext),
    ) {
        self.call_alone(node, call);
        self.run();
    }

    fn call_alone(
        &mut self,
        node: NodeId,
        call: impl FnOnce(&mut M, &mut Cx<'_>, &mut NodeContext),
    ) {
        let Some(member) = self.nodes.get_mut(&node) else { return };
        let mut out = Vec::new();
        let mut cx = Cx { now: self.now, draw: &mut self.draw, out: &mut out };
        call(&mut member.machine, &mut cx, &mut member.local);
        member.machine.invariants(&member.local);
        self.pending.extend(out.into_iter().map(|effect| (node, effect)));
    }

    /// Executes a storage command that no machine asked for.
    pub(crate) fn execute(
        &mut self,
        node: u64,
        partition: PartitionId,
        command: impl Into<Command>,
    ) -> Outcome {
        let member = self.member(node);
        let outcome = member.execute(&StoreCommand { partition, command: command.into() });
        member.store.sync();
        outcome
    }

    /// The container that a node holds of a key, as its owner.
    pub(crate) fn holds(&mut self, node: u64, key: &Key) -> Container {
        let partition = self.ring.partition_of(key.token());
        let whose = Party::Session(NOBODY);
        let fetch = RepairCommand::Fetch { keys: vec![key.clone()], bytes: 1, whose };
        let Answer::Repair(RepairAnswer::Fetched { result: Ok(mut items), .. }) =
            self.execute(node, partition, fetch).answer
        else {
            panic!("the store is well")
        };
        items.pop().map(|(_, container)| container).unwrap_or_default()
    }

    pub(crate) fn puts(&mut self, node: u64, key: &Key, container: Container) {
        let partition = self.ring.partition_of(key.token());
        let items = vec![(key.clone(), container)];
        let join = RepairCommand::Join { items, whose: JoinFor::Session(NOBODY) };
        self.execute(node, partition, join);
    }

    /// Makes a node's disk durable, after it was held.
    pub(crate) fn release(&mut self, node: u64) {
        self.held.remove(&NodeId(node));
        self.sync(NodeId(node));
        self.run();
    }

    /// Lets time pass up to the next deadline of any node.
    pub(crate) fn wait(&mut self) {
        let deadlines = self.nodes.values().filter_map(|member| member.machine.next_deadline());
        let next = deadlines.min().expect("somebody waits for something");
        let passed = next.since(self.now.monotonic);
        self.pass(passed);
        for node in self.nodes.keys().copied().collect::<Vec<_>>() {
            let deadline = |world: &Self| world.nodes[&node].machine.next_deadline();
            if let Some(before) = deadline(self).filter(|&deadline| deadline <= next) {
                self.call_alone(node, M::on_deadline);
                let made_progress = !self.pending.is_empty();
                let is_later = deadline(self).is_none_or(|after| after > before);
                assert!(made_progress || is_later, "a call at a deadline moves it");
                self.run();
            }
        }
    }

    /// Lets a span pass, deadline by deadline; what is due at its end is left.
    pub(crate) fn wait_ms(&mut self, ms: u64) {
        let until = self.now.monotonic + Span::from_ms(ms);
        let next = |world: &Self| {
            world.nodes.values().filter_map(|member| member.machine.next_deadline()).min()
        };
        while next(self).is_some_and(|deadline| deadline < until) {
            self.wait();
        }
        self.pass(until.since(self.now.monotonic));
    }

    fn pass(&mut self, span: Span) {
        self.now.monotonic = self.now.monotonic + span;
        self.now.wall = self.now.wall + span;
    }

    /// Everything that the nodes have done since the last call, in order.
    pub(crate) fn take(&mut self) -> Vec<Done> {
        core::mem::take(&mut self.done)
    }

    /// Everything that the nodes have done since the last call of [`World::take`], in order.
    pub(crate) fn done(&self) -> &[Done] {
        &self.done
    }

    /// Hands a message to its addressee, as if it came from the network.
    pub(crate) fn deliver(&mut self, message: Message) {
        self.wire.push_back(message);
        self.run();
    }

    fn run(&mut self) {
        let mut steps = 0;
        loop {
            steps += 1;
            assert!(steps < 100_000, "this does not end");
            if let Some((node, effect)) = self.pending.pop_front() {
                self.apply(node, effect);
            } else if let Some(message) = self.wire.pop_front() {
                let message = wire::decode(&wire::encode(&message)).expect("what is sent is read");
                let to = message.header.to;
                self.call_alone(to, |machine, cx, local| machine.on_message(cx, local, message));
            } else {
                return;
            }
        }
    }

    fn apply(&mut self, node: NodeId, effect: Effect) {
        match effect {
            Effect::Reply { .. } => panic!("no client asked anything"),
            Effect::AdminReply { .. } | Effect::Observe(_) => self.done.push((node, effect)),
            Effect::Send(mut message) => {
                assert_ne!(message.header.to, node, "nobody sends to itself");
                assert_eq!(message.header.sent, self.now.monotonic, "it says when it is sent");
                if !(self.is_lost)(&message) {
                    self.wire.push_back(message.clone());
                }
                message.header.sent = Time(0);
                self.done.push((node, Effect::Send(message)));
            }
            Effect::Store { ticket, command } => {
                let Some(member) = self.nodes.get_mut(&node) else { return };
                assert_eq!(ticket, member.commands.begin(M::ISSUER), "it is the next ticket");
                let mut outcome = member.execute(&command);
                let seq = member.store.newest();
                let events = core::mem::take(&mut outcome.events);
                self.done.push((node, Effect::Store { ticket: Ticket(0), command }));
                self.done.extend(events.into_iter().map(|event| tells(node, event)));
                self.call_alone(node, |machine, cx, local| {
                    machine.on_store_done(cx, local, seq, outcome);
                });
                if !self.held.contains(&node) {
                    self.sync(node);
                }
            }
        }
    }

    fn sync(&mut self, node: NodeId) {
        let Some(member) = self.nodes.get_mut(&node) else { return };
        member.store.sync();
        let seq = member.store.newest();
        self.call_alone(node, |machine, cx, local| machine.on_durable(cx, local, seq));
    }
}

impl<M> TestMember<M> {
    fn execute(&mut self, command: &StoreCommand) -> Outcome {
        let state = self.partitions.get_mut(command.partition);
        let outcome = storage::execute(state, &mut self.store, command);
        self.partitions.invariants(command.partition);
        self.local.roots.insert(command.partition, outcome.root);
        outcome
    }
}
