//! A cluster in a queue of events: seeded, lossless, with links that take a drawn time.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem;
use core::ops::RangeInclusive;

use crate::config::Config;
use crate::cx::{Cx, Draw, Effect, Identity, NodeContext, Peers, Purpose};
use crate::event::Event;
use crate::layout::Layout;
use crate::membership::{Membership, Opinion};
use crate::message::{Body, Message};
use crate::ring::Ring;
use crate::sampling::{between, mix};
use crate::time::{Now, Span, Time, WallTime};
use crate::topology::Topology;
use crate::types::{ClusterId, Generation, NodeId};

/// The wall clock's time in seconds at which the world begins.
pub(super) const WALL_SECONDS: u64 = 1_800_000_000;

/// The draws of a node, each by purpose, subject and count, as a driver makes them.
#[derive(Clone, Debug)]
pub(super) struct Draws {
    seed: u64,
    counts: BTreeMap<(Purpose, u64), u64>,
}

impl Draws {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, counts: BTreeMap::new() }
    }
}

impl Draw for Draws {
    fn u64(&mut self, purpose: Purpose, subject: u64) -> u64 {
        let count = self.counts.entry((purpose, subject)).or_default();
        *count += 1;
        mix(&[self.seed, purpose as u64, subject, *count])
    }
}

/// A node with the opinions and events that it had.
pub(super) struct Host {
    pub(super) membership: Membership,
    pub(super) local: NodeContext,
    pub(super) events: Vec<Event>,
    pub(super) opinions: Vec<(Time, Opinion)>,
    /// The number of deadlines at which it was called.
    pub(super) deadlines: u64,
    draws: Draws,
    running: Running,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Running {
    Yes,
    /// The node stands still, with the messages that arrived meanwhile.
    Paused(Vec<Message>),
    No,
}

/// A cluster whose nodes have the ids 1, 2, ..; they are named by index, from 0.
pub(super) struct GossipWorld {
    pub(super) now: Time,
    pub(super) hosts: Vec<Host>,
    pub(super) sent: u64,
    /// The time by which all wall clocks are ahead.
    pub(super) ahead: Span,
    /// The links, from a node to a node, on which messages are lost.
    pub(super) cut: BTreeSet<(NodeId, NodeId)>,
    link_ms: RangeInclusive<u64>,
    links: Draws,
    queue: BTreeMap<(Time, u64), Arrival>,
    queued: u64,
}

enum Arrival {
    Deadline(usize),
    Message(Message),
}

pub(super) fn local_of(node: u64, nodes: u64) -> NodeContext {
    local_on(node, ring_of(nodes))
}

fn ring_of(nodes: u64) -> Arc<Ring> {
    let members = (1..=nodes).map(|id| (NodeId(id), format!("n{id}")));
    let layout = Layout::single_datacenter(16, 1, members);
    Arc::new(Ring::new(layout).expect("the layout is sound"))
}

fn local_on(node: u64, ring: Arc<Ring>) -> NodeContext {
    let identity = Identity {
        node: NodeId(node),
        generation: Generation(WALL_SECONDS),
        cluster: ClusterId(1),
        topology: Arc::new(Topology::new(ring)),
    };
    NodeContext {
        identity,
        config: Config::default(),
        peers: Peers::default(),
        complete: BTreeSet::new(),
        roots: BTreeMap::new(),
    }
}

pub(super) fn membership_of(local: &NodeContext) -> Membership {
    Membership::new(local.me(), local.topology().members().iter().map(|member| member.id))
}

impl GossipWorld {
    /// Makes a cluster whose nodes start at once.
    pub(super) fn new(nodes: u64, link_ms: RangeInclusive<u64>, seed: u64) -> Self {
        let ring = ring_of(nodes);
        let host = |node| {
            let local = local_on(node, ring.clone());
            Host {
                membership: membership_of(&local),
                local,
                events: Vec::new(),
                opinions: Vec::new(),
                deadlines: 0,
                draws: Draws::new(mix(&[seed, node])),
                running: Running::Yes,
            }
        };
        let mut world = Self {
            now: Time(0),
            hosts: (1..=nodes).map(host).collect(),
            sent: 0,
            ahead: Span::ZERO,
            cut: BTreeSet::new(),
            link_ms,
            links: Draws::new(mix(&[seed, 0])),
            queue: BTreeMap::new(),
            queued: 0,
        };
        (0..world.hosts.len()).for_each(|index| world.arm(index));
        world
    }

    pub(super) fn wall(&self) -> WallTime {
        WallTime(WALL_SECONDS * 1_000_000) + self.now.since(Time(0)) + self.ahead
    }

    /// Handles everything that comes within a span.
    pub(super) fn run(&mut self, span: Span) {
        let end = self.now + span;
        while let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= end) {
            let ((now, _), arrival) = entry.remove_entry();
            self.now = now;
            match arrival {
                Arrival::Deadline(index) => self.on_deadline(index),
                Arrival::Message(message) => self.on_message(message),
            }
        }
        self.now = end;
    }

    /// Kills a node; messages that arrive at it are lost.
    pub(super) fn kill(&mut self, index: usize) {
        self.hosts[index].running = Running::No;
    }

    /// Starts a node anew, with a greater generation.
    pub(super) fn restart(&mut self, index: usize) {
        let wall = self.wall();
        let host = &mut self.hosts[index];
        let generation = &mut host.local.identity.generation;
        *generation = Generation::of_run(*generation, wall);
        host.membership = membership_of(&host.local);
        host.local.peers = Peers::default();
        host.running = Running::Yes;
        self.arm(index);
    }

    /// Makes a node stand still, while messages to it wait.
    pub(super) fn pause(&mut self, index: usize) {
        self.hosts[index].running = Running::Paused(Vec::new());
    }

    /// Lets a paused node go on, with what has arrived or with what was due first.
    pub(super) fn resume(&mut self, index: usize, messages_first: bool) {
        let Running::Paused(messages) = mem::replace(&mut self.hosts[index].running, Running::Yes)
        else {
            panic!("it was not paused");
        };
        if !messages_first {
            self.handle(index, |host, cx| host.membership.on_deadline(cx, &host.local));
        }
        messages.into_iter().for_each(|message| self.on_message(message));
        self.arm(index);
    }

    /// Counts the running nodes that think that a node is down.
    pub(super) fn suspecting(&self, index: usize) -> usize {
        let node = NodeId(index as u64 + 1);
        let suspects =
            |host: &&Host| host.running == Running::Yes && !host.membership.seems_up(node);
        self.hosts.iter().filter(suspects).count()
    }

    /// Counts the convictions that all nodes have made.
    pub(super) fn convictions(&self) -> usize {
        let down = |(_, opinion): &&(Time, Opinion)| matches!(opinion, Opinion::Down(_));
        self.hosts.iter().flat_map(|host| &host.opinions).filter(down).count()
    }

    fn on_deadline(&mut self, index: usize) {
        let due = self.hosts[index].membership.next_deadline();
        if self.hosts[index].running == Running::Yes && due.is_some_and(|due| due <= self.now) {
            self.hosts[index].deadlines += 1;
            self.handle(index, |host, cx| host.membership.on_deadline(cx, &host.local));
        }
    }

    fn on_message(&mut self, message: Message) {
        let index = message.header.to.0 as usize - 1;
        match &mut self.hosts[index].running {
            Running::No => {}
            Running::Paused(messages) => messages.push(message),
            Running::Yes => self.handle(index, |host, cx| {
                let Host { membership, local, .. } = host;
                let Message { header, body } = message;
                let (from, request) = (header.from, header.request);
                match body {
                    Body::Gossip(message) => {
                        membership.on_message(cx, local, (from, request), message)
                    }
                    other => panic!("not gossip: {other:?}"),
                }
            }),
        }
    }

    fn handle(&mut self, index: usize, input: impl FnOnce(&mut Host, &mut Cx<'_>) -> Vec<Opinion>) {
        let now = Now { monotonic: self.now, wall: self.wall() };
        let host = &mut self.hosts[index];
        let mut draws = host.draws.clone();
        let mut out = Vec::new();
        let opinions = input(host, &mut Cx { now, draw: &mut draws, out: &mut out });
        host.membership.invariants(&host.local);
        host.draws = draws;
        for opinion in opinions {
            match opinion {
                Opinion::Down(node) => assert!(host.local.peers.down.insert(node)),
                Opinion::Up(node) => assert!(host.local.peers.down.remove(&node)),
            }
            host.opinions.push((self.now, opinion));
        }
        for effect in out {
            match effect {
                Effect::Send(message) => self.send(message),
                Effect::Observe(event) => self.hosts[index].events.push(event),
                other => panic!("not for membership: {other:?}"),
            }
        }
        self.arm(index);
    }

    fn send(&mut self, message: Message) {
        self.sent += 1;
        if !self.cut.contains(&(message.header.from, message.header.to)) {
            let draw = self.links.u64(Purpose::GossipPeers, 0);
            let (min, max) = (self.link_ms.start() * 1_000, self.link_ms.end() * 1_000);
            self.enqueue(self.now + Span(between(draw, min, max)), Arrival::Message(message));
        }
    }

    /// Queues the node's next deadline. One that has moved is found stale when it comes.
    fn arm(&mut self, index: usize) {
        let deadline = self.hosts[index].membership.next_deadline().expect("there always is one");
        self.enqueue(deadline.max(self.now), Arrival::Deadline(index));
    }

    fn enqueue(&mut self, at: Time, arrival: Arrival) {
        self.queued += 1;
        self.queue.insert((at, self.queued), arrival);
    }
}
