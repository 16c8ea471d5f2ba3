//! One node: the machines side by side, and the routes between them.
//!
//! Nothing is decided here. An input goes to the machine that it is for; what a machine returns
//! goes to the siblings that must learn of it; a message that a machine sends to its own node is
//! delivered here and never leaves.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::client::{Reply, RequestRefusal};
use crate::config::Config;
use crate::coordinator::Coordinator;
use crate::cx::{AdminCommand, Cx, Desk, Effect, Identity, Input, LinkState, Peers, Site};
use crate::event::{Event, RejectReason};
use crate::message::{Body, Header, Message, layout_hash};
use crate::replica::{HintGrown, Replica, Served};
use crate::store::{Outcome, Recovered, Refusal, Role};
use crate::time::Time;
use crate::types::{NodeId, PartitionId, Seq, Ticket};

/// A node of the cluster, without clock, disk and network: those are the driver's.
#[derive(Clone, Debug)]
pub struct Node {
    site: Site,
    coordinator: Coordinator,
    replica: Replica,
    state: State,
    /// Messages of this node to itself that are still to be handled.
    own: VecDeque<Message>,
    /// What the machines put out before the own messages are taken from it. Kept for its room.
    scratch: Vec<Effect>,
}

/// Whether the node takes new work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Serving,
    /// It was told to stop: it ends what is in flight.
    Stopping,
    /// Its disk failed: it says nothing any more.
    Failed,
}

impl Node {
    /// A node at the start of a process. It has no clock yet: its first deadline is in the past, so
    /// that the driver calls it at once.
    pub fn new(config: Config, identity: Identity, recovered: Recovered) -> Self {
        let Recovered { synced, roots, hints } = recovered;
        let site = Site {
            identity,
            config,
            peers: Peers::default(),
            synced: synced.into_iter().collect(),
            roots: roots.into_iter().collect(),
        };
        let _ = hints;
        Self {
            coordinator: Coordinator::default(),
            replica: Replica::default(),
            state: State::Serving,
            own: VecDeque::new(),
            scratch: Vec::new(),
            site,
        }
    }

    /// What all machines of this node read.
    pub const fn site(&self) -> &Site {
        &self.site
    }

    /// When to call [`Node::handle`] with [`Input::Deadline`], if nothing else comes before.
    pub fn next_deadline(&self) -> Option<Time> {
        if self.state == State::Failed {
            return None;
        }
        [self.coordinator.next_deadline()].into_iter().flatten().min()
    }

    /// Takes one input. Effects are appended to `cx.out`, in the order in which they must happen.
    pub fn handle(&mut self, cx: &mut Cx<'_>, input: Input) {
        if self.state == State::Failed {
            return;
        }
        let mut effects = core::mem::take(&mut self.scratch);
        let mut inner = Cx { now: cx.now, draw: &mut *cx.draw, out: &mut effects };
        self.route(&mut inner, input);
        self.keep_own_messages(&mut effects, cx.out);
        while let Some(message) = self.own.pop_front() {
            let mut inner = Cx { now: cx.now, draw: &mut *cx.draw, out: &mut effects };
            self.on_message(&mut inner, message);
            self.keep_own_messages(&mut effects, cx.out);
        }
        self.scratch = effects;
    }

    fn keep_own_messages(&mut self, effects: &mut Vec<Effect>, out: &mut Vec<Effect>) {
        for effect in effects.drain(..) {
            match effect {
                Effect::Send(message) if message.header.to == self.site.me() => {
                    self.own.push_back(message);
                }
                other => out.push(other),
            }
        }
    }

    fn route(&mut self, cx: &mut Cx<'_>, input: Input) {
        match input {
            Input::Client { request, operation } => match self.state {
                State::Serving => self.coordinator.on_client(cx, &self.site, request, operation),
                State::Stopping | State::Failed => {
                    let reply = Reply::Refused(RequestRefusal::Stopping);
                    cx.out.push(Effect::Reply { request, reply });
                }
            },
            Input::Admin(AdminCommand::AcceptLoss { partition: _ }) => {}
            Input::Peer(message) => match self.reject(&message.header) {
                Some(reason) => {
                    cx.observe(Event::Rejected { from: message.header.from, reason });
                }
                None => self.on_message(cx, message),
            },
            Input::Link { peer, state: LinkState::Down } => self.coordinator.on_link_down(cx, peer),
            Input::Link { peer: _, state: LinkState::Up } => {}
            Input::StoreDone { ticket, seq, outcome } => {
                self.on_store_done(cx, ticket, seq, outcome);
            }
            Input::Durable { seq } => self.replica.on_durable(cx, &self.site, seq),
            Input::Deadline => self.on_deadline(cx),
            Input::Stop => self.state = State::Stopping,
        }
    }

    /// Why a message must not be handled.
    fn reject(&self, header: &Header) -> Option<RejectReason> {
        let ring = self.site.ring();
        if header.cluster != self.site.identity.cluster {
            Some(RejectReason::Cluster)
        } else if header.to != self.site.me() {
            Some(RejectReason::Addressee)
        } else if ring.member(header.from).is_none() {
            Some(RejectReason::Stranger)
        } else if header.layout != (ring.version(), layout_hash(ring.digest())) {
            Some(RejectReason::Layout)
        } else {
            None
        }
    }

    fn on_message(&mut self, cx: &mut Cx<'_>, Message { header, body }: Message) {
        let asker = (header.from, header.request);
        let Self { site, coordinator, replica, .. } = self;
        match body {
            Body::Mint(message) => replica.on_mint(cx, site, asker, *message),
            Body::Merge(message) => replica.on_merge(cx, site, asker, message),
            Body::Hint(message) => replica.on_hint(cx, site, asker, message),
            Body::Read(message) => replica.on_read(cx, site, asker, message),
            Body::Minted(message) => coordinator.on_minted(cx, site, asker, message),
            Body::Acked(message) => coordinator.on_acked(cx, site, asker, message),
            Body::ReadReply(message) => coordinator.on_read_reply(cx, site, asker, message),
            Body::Refused(message) => coordinator.on_refused(cx, site, asker, message),
            _ => {}
        }
    }

    fn on_store_done(&mut self, cx: &mut Cx<'_>, ticket: Ticket, seq: Seq, mut outcome: Outcome) {
        self.site.roots.insert(outcome.partition, outcome.root);
        for event in outcome.events.drain(..) {
            cx.observe(event);
        }
        match ticket.desk() {
            Desk::Replica => {
                let Served { hinted, store_failed } =
                    self.replica.on_store_done(cx, &self.site, ticket.errand(), seq, outcome);
                let _ = hinted;
                if store_failed {
                    self.fail(cx);
                }
            }
            Desk::Handoff | Desk::Repair => {}
        }
    }

    fn on_deadline(&mut self, cx: &mut Cx<'_>) {
        self.coordinator.on_deadline(cx, &self.site);
    }

    /// The disk failed. A node that cannot keep what it is told must not stay and seem to.
    fn fail(&mut self, cx: &mut Cx<'_>) {
        cx.observe(Event::StoreFailed);
        self.state = State::Failed;
    }
}
