//! One node: the machines side by side, and the routes between them.
//!
//! Nothing is decided here. An input goes to the machine that it is for; what a machine returns
//! goes to the siblings that must learn of it; a message that a machine sends to its own node is
//! delivered here and never leaves.

mod inspect;
mod invariants;
mod recalling;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

pub use self::inspect::{Activity, NodeSnapshot};
use crate::admin::{AdminCommand, AdminRefusal, AdminReply};
use crate::client::{Reply, RequestRefusal};
use crate::config::Config;
use crate::coordinator::Coordinator;
use crate::cx::{Cx, Effect, Identity, Input, LinkState, NodeContext, Peers};
use crate::event::{Event, RejectReason};
use crate::founding::{Founded, Founding};
use crate::handoff::Handoff;
use crate::log_runs::LogReach;
use crate::membership::{Membership, Opinion};
use crate::message::gossip::{Behind, Incomplete, Known, LogState, StateKey};
use crate::message::{Body, CoordinatorMessage, Echo, Header, HintDemand, Message, ReplicaMessage};
use crate::probe::Probe;
use crate::recall::Recall;
use crate::repair::Repair;
use crate::replica::Replica;
use crate::store::{
    Answer, AnswerFamily as _, CorruptKey, FoundingRecord, Outcome, Recovered, Refusal,
};
use crate::time::Time;
use crate::types::{AdminRequest, ContentHash, LogPosition, NodeId, PartitionId, RequestId, Seq};

/// A node of the cluster, without clock, disk and network: those are the driver's.
#[derive(Clone, Debug)]
pub struct Node {
    local: NodeContext,
    founding: Founding,
    coordinator: Coordinator,
    membership: Membership,
    replica: Replica,
    handoff: Handoff,
    repair: Repair,
    recall: Recall,
    state: Readiness,
    /// Corrupt records that were found at start, and is still to be told of.
    corrupt_at_start: Vec<PartitionId>,
    /// The nodes that may lack acknowledged writes, as this node says it in gossip.
    behind: Behind,
    /// The number of its complete partitions when it last looked what to say of them in gossip.
    said_complete: Option<usize>,
    /// How far the log goes, as it last said so in gossip.
    said_log: Option<LogState>,
    /// Copies of what it has sent to itself; none, if nobody wants to see that.
    own_messages: Option<Vec<Message>>,
}

/// The node's readiness for new work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Readiness {
    Serving,
    /// The node was told to stop: it ends what is in flight.
    Stopping,
    /// The node's disk failed: it says nothing any more.
    Failed,
}

impl Node {
    /// A node at the start of a process. It has no clock yet: its first deadline is in the past, so
    /// that the driver calls it at once.
    pub fn new(config: Config, identity: Identity, recovered: Recovered) -> Self {
        let Recovered { founding, complete, roots, hints, corrupt, corrupt_at_start, runs, log } =
            recovered;
        let is_pledged = matches!(founding, FoundingRecord::Pledged(_));
        let founding = Founding::new(identity.cluster, founding);
        let identity = Identity { cluster: founding.cluster(), ..identity };
        let members = identity.topology.members().iter().map(|member| member.id);
        Self {
            founding,
            coordinator: Coordinator::default(),
            membership: Membership::new(identity.node, members),
            replica: Replica::default(),
            handoff: Handoff::new(&hints),
            repair: Repair::new(corrupt),
            recall: Recall::new(runs, log, complete, is_pledged),
            state: Readiness::Serving,
            corrupt_at_start,
            behind: Behind::default(),
            said_complete: None,
            said_log: None,
            own_messages: None,
            local: NodeContext {
                identity,
                config,
                peers: Peers::default(),
                complete: BTreeSet::new(),
                roots: roots.into_iter().collect(),
            },
        }
    }

    /// Keeps copies of what this node sends to itself from now on, for a driver that shows people what
    /// happens. They never leave the node otherwise.
    pub fn keep_own_messages(&mut self) {
        self.own_messages = Some(Vec::new());
    }

    /// Takes the copies of what this node has sent to itself since they were last taken.
    pub fn take_own_messages(&mut self) -> Vec<Message> {
        self.own_messages.as_mut().map(core::mem::take).unwrap_or_default()
    }

    /// The state that all machines of this node read.
    pub const fn local(&self) -> &NodeContext {
        &self.local
    }

    /// The number of hints kept here for others.
    pub const fn pending_hints(&self) -> u64 {
        self.handoff.pending_hints()
    }

    /// The knowledge of each member, this node included, and whether it seems up.
    pub fn members(&self) -> impl Iterator<Item = (Known, bool)> {
        let is_up = |known: Known| (known, self.membership.seems_up(known.node));
        self.membership.known().map(is_up)
    }

    /// Tells whether the cluster is founded, as far as this node knows: it serves nobody before.
    pub const fn is_founded(&self) -> bool {
        self.founding.is_founded()
    }

    /// The partitions of which an operator must accept that writes may be lost for good.
    pub fn undecided(&self) -> Vec<PartitionId> {
        self.repair.undecided(&self.local)
    }

    /// The number of keys whose records are corrupt here and not repaired yet.
    pub fn corrupt_keys(&self) -> usize {
        self.repair.corrupt_keys()
    }

    /// The partitions of which other owners say that they do not hold all that they must. For people:
    /// a read finds out when it asks.
    pub fn incomplete_elsewhere(&self) -> BTreeMap<NodeId, BTreeSet<PartitionId>> {
        let said = self.membership.states(StateKey::INCOMPLETE);
        let others = said.filter(|&(node, _)| node != self.local.me());
        let partitions = |(node, value): (NodeId, &bytes::Bytes)| {
            let owned = self.local.topology().owned_by(node);
            (node, Incomplete::decode(value).partitions(owned).collect::<BTreeSet<_>>())
        };
        others.map(partitions).filter(|(_, partitions)| !partitions.is_empty()).collect()
    }

    /// The number of operations in flight.
    pub fn operations(&self) -> usize {
        self.coordinator.len()
    }

    /// The number of operations in flight that clients asked for, answered or not.
    pub fn requests(&self) -> usize {
        self.coordinator.requests()
    }

    /// The time to call [`Node::handle`] with [`Input::Deadline`], if nothing else comes before.
    pub fn next_deadline(&self) -> Option<Time> {
        let Self { founding, coordinator, membership, handoff, repair, recall, state, .. } = self;
        if *state == Readiness::Failed {
            return None;
        }
        if !founding.is_founded() {
            return founding.next_deadline();
        }
        // It is asked for after each call, so it is put together without branches.
        let deadlines = [
            coordinator.next_deadline(),
            membership.next_deadline(),
            handoff.next_deadline(),
            repair.next_deadline().filter(|_| recall.is_settled()),
            recall.next_deadline(),
        ];
        let [a, b, c, d, e] = deadlines.map(|deadline| deadline.unwrap_or(Time::NEVER));
        Some(a.min(b).min(c.min(d)).min(e)).filter(|&soonest| soonest != Time::NEVER)
    }

    /// Takes one input. Effects are appended to `cx.out`, in the order in which they must happen.
    pub fn handle(&mut self, cx: &mut Cx<'_>, input: Input) {
        if self.state == Readiness::Failed {
            return refuse_after_failure(cx, &input);
        }
        let before = cx.out.len();
        for partition in core::mem::take(&mut self.corrupt_at_start) {
            cx.observe(Event::Corrupt { partition });
        }
        self.begin_if_founded(cx);
        self.route(cx, input);
        self.begin_if_founded(cx);
        self.deliver_own_messages(cx, before);
    }

    /// Takes what this node sends to itself out of what was put out from a place on, and what comes of
    /// that, one message after the other.
    fn deliver_own_messages(&mut self, cx: &mut Cx<'_>, from: usize) {
        let me = self.local.me();
        let is_own =
            |effect: &Effect| matches!(effect, Effect::Send(message) if message.header.to == me);
        let mut at = from;
        while let Some(further) = cx.out[at..].iter().position(is_own) {
            at += further;
            if let Effect::Send(message) = cx.out.remove(at) {
                if let Some(kept) = &mut self.own_messages {
                    kept.push(message.clone());
                }
                self.on_message(cx, message);
            }
        }
    }

    fn route(&mut self, cx: &mut Cx<'_>, input: Input) {
        match input {
            Input::Client { request, operation } => match self.state {
                Readiness::Serving if !self.founding.is_founded() => {
                    let reply = Reply::Refused(RequestRefusal::NotFounded);
                    cx.out.push(Effect::Reply { request, reply });
                }
                Readiness::Serving => {
                    let time = self.replica.now(cx);
                    self.coordinator.on_client(cx, &self.local, (request, time), *operation);
                }
                Readiness::Stopping | Readiness::Failed => {
                    let reply = Reply::Refused(RequestRefusal::Stopping);
                    cx.out.push(Effect::Reply { request, reply });
                }
            },
            Input::Admin { request, command } => self.on_admin(cx, request, command),
            Input::Peer(message) => match self.reject(&message) {
                Some(reason) => {
                    cx.observe(Event::Rejected { from: message.header.from, reason });
                }
                None if self.founding.is_founded() || message.body.is_founding() => {
                    self.on_message(cx, message);
                }
                None => cx.probe(Probe::NotFounded),
            },
            Input::Link { peer, state: LinkState::Down } => self.coordinator.on_link_down(cx, peer),
            Input::Link { peer, state: LinkState::Up } => self.handoff.on_peer_up(cx, peer),
            Input::StoreDone { ticket: _, seq, outcome } => self.on_store_done(cx, seq, outcome),
            Input::Durable { seq, log } => self.on_durable(cx, seq, log),
            Input::StoreFailed => self.fail(cx),
            Input::Deadline if !self.founding.is_founded() => {
                self.founding.on_deadline(cx, &self.local);
            }
            Input::Deadline => self.on_deadline(cx),
            Input::Stop => self.state = Readiness::Stopping,
        }
    }

    fn on_admin(&mut self, cx: &mut Cx<'_>, request: AdminRequest, command: AdminCommand) {
        let local = &self.local;
        match (self.state, command) {
            (Readiness::Stopping | Readiness::Failed, _) => refuse_command(cx, request),
            (Readiness::Serving, AdminCommand::AcceptLoss { partition })
                if self.founding.is_founded() =>
            {
                self.repair.accept_loss(cx, local, request, partition);
            }
            (Readiness::Serving, AdminCommand::Losses) if self.founding.is_founded() => {
                let reply = AdminReply::Losses { partitions: self.repair.undecided(local) };
                cx.out.push(Effect::AdminReply { request, reply });
            }
            (Readiness::Serving, command) => self.founding.on_admin(cx, local, request, command),
        }
    }

    /// The reason why a message must not be handled, if there is one.
    fn reject(&self, message: &Message) -> Option<RejectReason> {
        let (header, topology) = (&message.header, self.local.topology());
        let cluster = if message.body.is_founding() {
            self.founding.named()
        } else {
            self.founding.cluster()
        };
        if header.cluster != cluster && (self.founding.is_founded() || message.body.is_founding()) {
            // To one that waits, the id of the founded cluster is still unknown.
            Some(RejectReason::Cluster)
        } else if header.to != self.local.me() {
            Some(RejectReason::Addressee)
        } else if topology.member(header.from).is_none() {
            Some(RejectReason::Stranger)
        } else if !topology.serves(header.layout) {
            Some(RejectReason::Layout)
        } else {
            None
        }
    }

    fn on_message(&mut self, cx: &mut Cx<'_>, message: Message) {
        let Header { from, request, generation, sent, .. } = message.header;
        let requester = (from, request);
        let echo = Echo { generation, sent };
        *self.local.peers.echoes.entry(from).or_insert(echo) = echo;
        let Self { local, founding, coordinator, membership, handoff, repair, recall, .. } = self;
        match message.body {
            Body::Gossip(message) => {
                let told_of_logs = recalling::told_of_logs(&message);
                let opinions = membership.on_message(cx, local, requester, message);
                self.on_opinions(cx, opinions);
                self.look_who_is_behind();
                self.look_at_logs(cx, &told_of_logs);
            }
            Body::Replica(message) => {
                if self.has_room_for_hint(cx, requester, &message) {
                    self.replica.on_message(cx, &self.local, requester, message);
                }
            }
            Body::Coordinator(message) => {
                if let CoordinatorMessage::Acked(acked) = &message {
                    recall.on_acked(local, from, LogReach { generation, log: acked.log });
                }
                coordinator.on_message(cx, local, requester, message);
                self.take_what_was_gathered(cx);
            }
            Body::Handoff(message) => handoff.on_message(cx, local, requester, message),
            Body::Repair(message) if !recall.is_asking() => {
                repair.on_message(cx, local, requester, message);
            }
            // As if it were lost: it is not known yet what this node may say of its data.
            Body::Repair(_) => cx.probe(Probe::NotRecalled),
            Body::Recall(message) => {
                let recalled = recall.on_message(cx, local, requester, message);
                self.on_recalled(recalled);
            }
            Body::Founding(message) => founding.on_message(cx, local, requester, message),
        }
    }

    /// Asks handoff whether there is room for the hint that a request makes, and refuses the request
    /// if there is none.
    fn has_room_for_hint(
        &mut self,
        cx: &mut Cx<'_>,
        requester: (NodeId, RequestId),
        message: &ReplicaMessage,
    ) -> bool {
        let Some(HintDemand { operation, key, target, bytes }) = message.hint_demand() else {
            return true;
        };
        let has_room = self.handoff.admits(&self.local, target, bytes as u64);
        if !has_room {
            cx.probe(Probe::HintOverBudget);
            let in_all = self.handoff.pending_bytes().saturating_add(bytes as u64);
            if in_all > self.local.config.hint_bytes_total {
                cx.probe(Probe::HintOverTotal);
            }
            let partition = self.local.topology().partition_of(key.token());
            self.handoff.on_refused(cx, target, partition);
            self.repair.on_stale(target);
            self.say_who_is_behind();
            self.replica.refuse(cx, &self.local, requester, operation, Refusal::HintsFull);
        }
        has_room
    }

    fn on_store_done(&mut self, cx: &mut Cx<'_>, seq: Seq, mut outcome: Outcome) {
        // What was read has changed nothing.
        if !outcome.is_client_read() {
            assert!(
                outcome.root == ContentHash::default() || self.local.owns(outcome.partition),
                "only an owner's partition holds an owner's data"
            );
            self.local.roots.insert(outcome.partition, outcome.root);
        }
        for event in core::mem::take(&mut outcome.events) {
            cx.observe(event);
        }
        self.repair.on_corrupt(core::mem::take(&mut outcome.corrupt));
        match outcome.answer.refusal() {
            Some(Refusal::DiskFailed) => self.fail(cx),
            Some(Refusal::DiskFull) => cx.probe(Probe::DiskFull),
            Some(_) | None => {}
        }
        let (local, partition) = (&self.local, outcome.partition);
        match outcome.answer {
            Answer::Replica(answer) => {
                let hinted = self.replica.on_store_done(cx, local, seq, answer);
                if let Some(growth) = hinted {
                    self.handoff.on_hinted(partition, growth);
                    self.say_who_is_behind();
                }
            }
            Answer::Handoff(answer) => {
                let stale = self.handoff.on_store_done(cx, local, partition, seq, answer);
                if let Some(stale) = stale {
                    self.repair.on_stale(stale.target);
                }
                self.say_who_is_behind();
            }
            Answer::Repair(answer) => {
                let complete = self.repair.on_store_done(cx, local, partition, seq, answer);
                self.on_copied(complete);
            }
            Answer::Founding(answer) => {
                let founded = self.founding.on_store_done(cx, local, partition, seq, answer);
                self.on_founded(founded);
            }
            Answer::Recall(answer) => self.recall.on_store_done(cx, local, seq, answer),
        }
    }

    fn on_durable(&mut self, cx: &mut Cx<'_>, seq: Seq, log: LogPosition) {
        if !self.founding.is_founded() {
            let founded = self.founding.on_durable(cx, &self.local, seq);
            self.on_founded(founded);
        }
        self.recall.on_durable(seq, log);
        self.replica.on_durable(cx, &self.local, seq, log);
        self.handoff.on_durable(cx, &self.local, seq);
        let complete = self.repair.on_durable(cx, &self.local, seq);
        self.on_copied(complete);
    }

    /// Each machine is called: one whose deadline has not come does nothing.
    fn on_deadline(&mut self, cx: &mut Cx<'_>) {
        let due = |deadline: Option<Time>| deadline.is_some_and(|at| at <= cx.now.monotonic);
        let (gossips, compares) =
            (due(self.membership.next_deadline()), due(self.repair.next_deadline()));
        let (replays, coordinates) =
            (due(self.handoff.next_deadline()), due(self.coordinator.next_deadline()));
        self.recall.on_deadline(cx, &self.local);
        if gossips {
            self.say_what_is_incomplete();
            if self.membership.begins_round(cx.now.monotonic) {
                self.say_how_far_the_log_goes();
                self.recall.remind(cx, &self.local);
            }
            let opinions = self.membership.on_deadline(cx, &self.local);
            self.on_opinions(cx, opinions);
        }
        if coordinates {
            self.coordinator.on_deadline(cx, &self.local);
            self.take_what_was_gathered(cx);
        }
        if replays {
            self.handoff.on_deadline(cx, &self.local);
        }
        if compares && self.recall.is_settled() {
            let wanted = self.repair.on_deadline(cx, &self.local);
            self.look_who_was_repaired();
            for CorruptKey { key, number } in wanted {
                self.coordinator.gather(cx, &self.local, key, number);
            }
        }
    }

    /// Hands what other owners hold of keys that were corrupt here to repair, which asked for it.
    fn take_what_was_gathered(&mut self, cx: &mut Cx<'_>) {
        for (number, container) in self.coordinator.take_gathered() {
            self.repair.on_gathered(cx, &self.local, number, container);
        }
    }

    /// A target that missed hints is no longer stale once it was equal to this node.
    fn look_who_was_repaired(&mut self) {
        let stale: BTreeSet<NodeId> = self.handoff.stale().map(|stale| stale.target).collect();
        for target in stale {
            if let Some(began) = self.repair.clean_since(target) {
                self.handoff.on_repaired(&self.local, target, began);
            }
        }
        self.say_who_is_behind();
    }

    fn on_opinions(&mut self, cx: &mut Cx<'_>, opinions: Vec<Opinion>) {
        for opinion in opinions {
            match opinion {
                Opinion::Down(peer) => {
                    self.local.peers.down.insert(peer);
                }
                Opinion::Up(peer) => {
                    self.local.peers.down.remove(&peer);
                    self.handoff.on_peer_up(cx, peer);
                }
            }
        }
        let recalled = self.recall.look_who_is_awaited(&self.local);
        self.on_recalled(recalled);
    }

    /// From now on this node serves, and its messages are those of the cluster that was founded.
    fn on_founded(&mut self, founded: Option<Founded>) {
        if let Some(Founded { cluster, complete }) = founded {
            self.local.identity.cluster = cluster;
            let recalled = self.recall.on_founded(complete);
            self.on_recalled(recalled);
        }
    }

    fn on_complete(&mut self, partitions: Vec<PartitionId>) {
        let is_owned = |&partition: &PartitionId| self.local.owns(partition);
        assert!(partitions.iter().all(is_owned), "what is complete is owned");
        self.local.complete.extend(partitions);
    }

    /// Tells the others for whom hints are kept here, and who missed hints for what this node owns
    /// too (and so sees them repaired): such nodes may lack acknowledged writes.
    fn say_who_is_behind(&mut self) {
        let stale = self.handoff.stale().filter(|stale| self.local.owns(stale.partition));
        let behind: BTreeSet<NodeId> =
            self.handoff.targets_pending().chain(stale.map(|stale| stale.target)).collect();
        if behind.iter().eq(&self.behind.0) {
            return;
        }
        self.behind = Behind(behind.into_iter().collect());
        self.membership.set_state(StateKey::BEHIND, self.behind.encode());
        self.look_who_is_behind();
    }

    /// Tells the others of which partitions this node does not hold all that it must, if that has
    /// changed. A node that was complete from its start says nothing.
    fn say_what_is_incomplete(&mut self) {
        if self.recall.is_asking() {
            return;
        }
        let complete = &self.local.complete;
        let said_before = self.said_complete.replace(complete.len());
        if said_before == Some(complete.len()) {
            return;
        }
        let owned = self.local.topology().owned_by(self.local.me());
        let incomplete = Incomplete::of(owned, |partition| complete.contains(&partition));
        if said_before.is_some() || !incomplete.is_empty() {
            self.membership.set_state(StateKey::INCOMPLETE, incomplete.encode());
        }
    }

    fn look_who_is_behind(&mut self) {
        let said = self.membership.states(StateKey::BEHIND);
        let behind = said.flat_map(|(_, value)| Behind::decode(value).0);
        self.local.peers.behind = behind.collect();
    }

    /// The disk failed. A node that cannot keep what it is told must not stay and seem to.
    fn fail(&mut self, cx: &mut Cx<'_>) {
        cx.observe(Event::StoreFailed);
        self.coordinator.abandon_all(cx);
        self.founding.abandon_all(cx);
        self.repair.abandon_all(cx);
        self.state = Readiness::Failed;
    }
}

/// Peers hear nothing of a failed node; clients are told to go elsewhere, and operators that it does not
/// serve.
fn refuse_after_failure(cx: &mut Cx<'_>, input: &Input) {
    match input {
        Input::Client { request, operation: _ } => {
            let reply = Reply::Refused(RequestRefusal::StoreFailed);
            cx.out.push(Effect::Reply { request: *request, reply });
        }
        Input::Admin { request, command: _ } => refuse_command(cx, *request),
        Input::Peer(_)
        | Input::Link { .. }
        | Input::StoreDone { .. }
        | Input::Durable { .. }
        | Input::StoreFailed
        | Input::Deadline
        | Input::Stop => {}
    }
}

fn refuse_command(cx: &mut Cx<'_>, request: AdminRequest) {
    let reply = AdminReply::Refused(AdminRefusal::Ended);
    cx.out.push(Effect::AdminReply { request, reply });
}

#[cfg(test)]
mod tests;
