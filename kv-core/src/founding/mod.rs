//! Founding a cluster: how its first members come to know that they hold all that there is, and how one
//! whose data is gone comes to know that it does not (semantics.md §4).
//!
//! ```text
//!  operator ─ init ─▶ A (waits)  ── Pledge F ──▶ each member that is not left out
//!                                ◀── Promised F ── once its pledge is durable
//!                     A: data markers, then the record of F ── Tell: founded, F ──▶ all
//!
//!  B (waits) ── Tell: waiting ──▶ a member that knows ── Tell: founded, F ──▶ B
//!            holds a pledge to F: data markers, then the record of F      (complete: it is new)
//!            holds none:          the record of F alone                   (incomplete: it copies)
//! ```
//!
//! A store that says nothing of the cluster may be new, and it may be what is left of a store that has
//! acknowledged writes. Nothing in it tells the two apart, and a configuration that says "this cluster
//! is new" stays true for ever. So a member with such a store waits: it serves nobody, and asks. The
//! word of an operator, once, begins a founding (as in CockroachDB); what proves that a store was new
//! before it is a pledge *in that store*, made durable before the founding came about. Who loses the
//! store loses the pledge.
//!
//! Invariants:
//! - A node writes data markers here only for a founding that came about after its own pledge to it, or
//!   as the member that brings it about. By then it had not served, so it lacks nothing.
//! - A founding comes about only when every member that is not left out has pledged itself, and only if
//!   those suffice for the others to copy from.
//! - A store that has said once to which cluster it belongs never pledges again, not even where that
//!   record cannot be read: its markers stay as they are.
//! - Of two members that are told to found the cluster at once at most one does, unless each is told to
//!   leave out the other: a member that is founding promises nothing to others.
//!
//! Two foundings of one name, of members that were left out by each other, are two clusters: the id of a
//! founding is part of the id of the cluster, so neither takes the other's messages for its own.

mod inspect;
mod invariants;
mod writing;

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

pub use self::inspect::{FoundingSnapshot, FoundingStage};
use self::writing::{FoundingWriting, Next};
use crate::admin::{AdminCommand, AdminRefusal, AdminReply};
use crate::cx::{CommandCount, Cx, Effect, Issuer, NodeContext, Purpose};
use crate::durable::DurableQueue;
use crate::event::Event;
use crate::message::founding::{Pledge, Pledged, Tell};
use crate::message::{Body, FoundingMessage};
use crate::probe::Probe;
use crate::quorum::sources_needed;
use crate::store::{FoundingAnswer, FoundingCommand, FoundingRecord, Promise};
use crate::time::{Span, Time};
use crate::types::{AdminRequest, ClusterId, FoundingId, NodeId, PartitionId, RequestId, Seq};

/// The timeout of a member that is told to found the cluster and waits for the others.
const INIT_TIMEOUT: Span = Span::from_ms(10_000);

/// The time for which a member that has pledged itself leaves the founding to the one that asked.
/// Twice as long as that one may take, by clocks that run differently.
const PLEDGED_FOR: Span = Span::from_ms(20_000);

/// The number of members that a waiting one asks in a round. It needs one that knows.
const ASKED_PER_ROUND: usize = 5;

/// The founding of the cluster, as one member sees it.
#[derive(Clone, Debug)]
pub struct Founding {
    /// The id of the cluster's name, which the messages of members that wait carry.
    cluster: ClusterId,
    stage: FoundingState,
    /// Foundings before which this store is known to have been new, durably.
    pledges: BTreeSet<FoundingId>,
    history: History,
    /// The member that asked for the last pledge, and until when the founding is left to it.
    left_to: Option<(NodeId, Time)>,
    /// Half of the request ids of this life; nothing before the first deadline.
    life: Option<u64>,
    rounds: u64,
    round_at: Time,
    commands: CommandCount,
    promises: DurableQueue<Promise>,
}

/// The stage that the founding has reached.
#[derive(Clone, Debug)]
enum FoundingState {
    /// No member has said that the cluster is founded.
    Waiting,
    /// An operator has told this member to found it.
    Initiating(Attempt),
    /// The cluster is founded, and this store does not say so yet.
    Writing(FoundingWriting),
    /// The cluster is founded, and this store says so.
    Founded(FoundingId),
}

/// The store's past, as far as it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum History {
    /// The store shows no sign that it ever belonged to a cluster.
    New,
    /// The store belongs to a cluster: what it says of itself stays as it is.
    Served,
}

/// A founding that this member was told to bring about.
#[derive(Clone, Debug)]
struct Attempt {
    request: AdminRequest,
    founding: FoundingId,
    /// Members whose pledges are missing.
    awaited: BTreeSet<NodeId>,
    until: Time,
}

/// News for the rest of the node: from now on it serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Founded {
    /// The id of the cluster, as its members carry it.
    pub cluster: ClusterId,
    /// The partitions of which it holds all that there is, as it is new.
    pub complete: Vec<PartitionId>,
}

impl Founding {
    /// Begins with what the store says.
    pub fn new(cluster: ClusterId, record: FoundingRecord) -> Self {
        let (stage, pledges, history) = match record {
            FoundingRecord::None => (FoundingState::Waiting, BTreeSet::new(), History::New),
            FoundingRecord::Pledged(pledges) => {
                (FoundingState::Waiting, pledges.into_iter().collect(), History::New)
            }
            FoundingRecord::Founded(founding) => {
                (FoundingState::Founded(founding), BTreeSet::new(), History::Served)
            }
            FoundingRecord::Corrupt => (FoundingState::Waiting, BTreeSet::new(), History::Served),
        };
        Self {
            cluster,
            stage,
            pledges,
            history,
            left_to: None,
            life: None,
            rounds: 0,
            round_at: Time::default(),
            commands: CommandCount::default(),
            promises: DurableQueue::new(),
        }
    }

    /// Tells whether the node may serve.
    pub const fn is_founded(&self) -> bool {
        matches!(self.stage, FoundingState::Founded(_))
    }

    /// The id of the cluster, as the node's messages about anything else carry it.
    pub const fn cluster(&self) -> ClusterId {
        match self.stage {
            FoundingState::Founded(founding) => self.cluster.founded(founding),
            FoundingState::Waiting | FoundingState::Initiating(_) | FoundingState::Writing(_) => {
                self.cluster
            }
        }
    }

    /// The id of the cluster's name, which messages about the founding carry.
    pub const fn named(&self) -> ClusterId {
        self.cluster
    }

    /// The time at which [`Founding::on_deadline`] is to be called.
    pub const fn next_deadline(&self) -> Option<Time> {
        if self.is_founded() { None } else { Some(self.round_at) }
    }

    /// Asks others what they know, and again for what was not answered or not written.
    pub fn on_deadline(&mut self, cx: &mut Cx<'_>, local: &NodeContext) {
        if self.is_founded() || self.round_at > cx.now.monotonic {
            return;
        }
        if self.life.is_none() {
            self.life = Some(cx.draw.u64(Purpose::Requests, Issuer::Founding as u64));
        }
        self.round_at = cx.now.monotonic + local.config.gossip_interval();
        self.rounds += 1;
        match &self.stage {
            FoundingState::Waiting => self.ask(cx, local),
            FoundingState::Initiating(attempt) if attempt.until <= cx.now.monotonic => {
                cx.probe(Probe::FoundingTimedOut);
                let members = attempt.awaited.iter().copied().collect();
                self.give_up(cx, AdminRefusal::Unanswered { members });
            }
            FoundingState::Initiating(attempt) => {
                let (founding, awaited) = (attempt.founding, attempt.awaited.clone());
                for member in awaited {
                    self.send(
                        cx,
                        local,
                        member,
                        Body::Founding(FoundingMessage::Pledge(Pledge { founding })),
                    );
                }
                self.ask(cx, local);
            }
            FoundingState::Writing(_) => self.write(cx),
            FoundingState::Founded(_) => {}
        }
    }

    /// An operator says something.
    pub fn on_admin(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        request: AdminRequest,
        command: AdminCommand,
    ) {
        let result = match command {
            AdminCommand::Init { without } => self.init(cx, local, request, &without),
            AdminCommand::Losses | AdminCommand::AcceptLoss { .. } => Err(AdminRefusal::NotFounded),
        };
        if let Err(refusal) = result {
            cx.out.push(Effect::AdminReply { request, reply: AdminReply::Refused(refusal) });
        }
    }

    fn init(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        request: AdminRequest,
        without: &[NodeId],
    ) -> Result<(), AdminRefusal> {
        match self.stage {
            FoundingState::Waiting => {}
            FoundingState::Initiating(_) => {
                return Err(AdminRefusal::AlsoFounding { by: local.me() });
            }
            FoundingState::Writing(_) | FoundingState::Founded(_) => {
                return Err(AdminRefusal::AlreadyFounded);
            }
        }
        if let Some((by, until)) = self.left_to
            && cx.now.monotonic < until
        {
            return Err(AdminRefusal::AlsoFounding { by });
        }
        if without.contains(&local.me()) {
            return Err(AdminRefusal::LeavesItselfOut);
        }
        if let Some(partition) = too_few_founders(local, without) {
            return Err(AdminRefusal::TooManyLeftOut { partition });
        }
        let founding = FoundingId(cx.draw.u64(Purpose::Founding, 0));
        let others = local.topology().members().iter().map(|member| member.id);
        let awaited = others.filter(|id| *id != local.me() && !without.contains(id)).collect();
        let until = cx.now.monotonic + INIT_TIMEOUT;
        self.stage = FoundingState::Initiating(Attempt { request, founding, awaited, until });
        // The next round asks for the pledges.
        self.round_at = cx.now.monotonic;
        self.found_if_pledged(cx, local);
        Ok(())
    }

    /// A member tells what it knows, asks for a pledge, or gives one.
    pub fn on_message(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        (from, request): (NodeId, RequestId),
        message: FoundingMessage,
    ) {
        match message {
            FoundingMessage::Tell(message) => self.on_tell(cx, local, from, message),
            FoundingMessage::Pledge(message) => self.on_pledge(cx, local, (from, request), message),
            FoundingMessage::Pledged(message) => self.on_pledged(cx, local, from, message),
        }
    }

    /// A member says what it knows.
    fn on_tell(&mut self, cx: &mut Cx<'_>, local: &NodeContext, from: NodeId, tell: Tell) {
        match tell {
            Tell::Waiting => {
                if let FoundingState::Founded(founding) = self.stage {
                    let news = Body::Founding(FoundingMessage::Tell(Tell::Founded { founding }));
                    self.send(cx, local, from, news);
                }
            }
            Tell::Founded { founding } => match self.stage {
                FoundingState::Waiting => self.begin_writing(cx, local, founding, None),
                FoundingState::Initiating(_) => {
                    self.give_up(cx, AdminRefusal::AlreadyFounded);
                    self.begin_writing(cx, local, founding, None);
                }
                FoundingState::Writing(_) | FoundingState::Founded(_) => {}
            },
        }
    }

    /// A member that is told to found the cluster asks for a pledge.
    fn on_pledge(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        (from, request): (NodeId, RequestId),
        Pledge { founding }: Pledge,
    ) {
        match self.stage {
            FoundingState::Founded(founding) => {
                self.send(
                    cx,
                    local,
                    from,
                    Body::Founding(FoundingMessage::Tell(Tell::Founded { founding })),
                );
            }
            // It says so as soon as its store does.
            FoundingState::Writing(_) => {}
            FoundingState::Initiating(_) => {
                cx.probe(Probe::FoundingCrossed);
                let answer = Pledged::AlsoFounding { founding };
                self.send(cx, local, from, Body::Founding(FoundingMessage::Pledged(answer)));
            }
            FoundingState::Waiting => {
                let promise = Promise { founding, to: from, request };
                self.left_to = Some((from, cx.now.monotonic + PLEDGED_FOR));
                // A store that has served promises nothing of its data, and needs no promise: what it
                // says of itself stays as it is.
                if self.pledges.contains(&founding) || self.history == History::Served {
                    self.promise(cx, local, promise);
                } else {
                    self.store(cx, PartitionId(0), FoundingCommand::Pledge { promise });
                }
            }
        }
    }

    /// A member has made its pledge, or will not.
    fn on_pledged(&mut self, cx: &mut Cx<'_>, local: &NodeContext, from: NodeId, pledged: Pledged) {
        let FoundingState::Initiating(attempt) = &mut self.stage else { return };
        match pledged {
            Pledged::Promised { founding } if founding == attempt.founding => {
                attempt.awaited.remove(&from);
                self.found_if_pledged(cx, local);
            }
            Pledged::AlsoFounding { founding } if founding == attempt.founding => {
                self.give_up(cx, AdminRefusal::AlsoFounding { by: from });
            }
            // An answer to an earlier attempt.
            Pledged::Promised { .. } | Pledged::AlsoFounding { .. } => {}
        }
    }

    /// A storage command was executed.
    pub fn on_store_done(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        partition: PartitionId,
        seq: Seq,
        answer: FoundingAnswer,
    ) -> Option<Founded> {
        self.commands.end();
        match answer {
            FoundingAnswer::Pledged { promise, result: Ok(()) } => self.promises.push(seq, promise),
            // It is asked for again.
            FoundingAnswer::Pledged { result: Err(_), .. } => cx.probe(Probe::FoundingNotWritten),
            FoundingAnswer::MarkedComplete { result } => {
                if let FoundingState::Writing(writing) = &mut self.stage {
                    writing.on_marker(partition, result);
                }
                self.write_on(cx);
            }
            FoundingAnswer::Founded { result } => {
                if let FoundingState::Writing(writing) = &mut self.stage {
                    writing.on_record(seq, result);
                }
            }
        }
        self.go_on(cx, local)
    }

    /// The store is durable up to a position.
    pub fn on_durable(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        seq: Seq,
    ) -> Option<Founded> {
        self.promises.on_durable(seq);
        if let FoundingState::Writing(writing) = &mut self.stage {
            writing.on_durable(seq);
        }
        self.go_on(cx, local)
    }

    /// Says what is durable now.
    fn go_on(&mut self, cx: &mut Cx<'_>, local: &NodeContext) -> Option<Founded> {
        while let Some(promise) = self.promises.pop() {
            // A member that has gone on meanwhile promises nothing any more.
            if let FoundingState::Waiting = self.stage {
                self.pledges.insert(promise.founding);
                self.promise(cx, local, promise);
            }
        }
        let FoundingState::Writing(writing) = &mut self.stage else { return None };
        let (founding, request) = (writing.founding, writing.request);
        let (complete, news) = writing.take_result()?;
        cx.observe(news);
        self.stage = FoundingState::Founded(founding);
        self.history = History::Served;
        self.pledges.clear();
        if let Some(request) = request {
            let reply = AdminReply::Founded { founding };
            cx.out.push(Effect::AdminReply { request, reply });
            // Whoever does not hear it asks.
            for member in local.topology().members().iter().filter(|member| member.id != local.me())
            {
                let news = Body::Founding(FoundingMessage::Tell(Tell::Founded { founding }));
                self.send(cx, local, member.id, news);
            }
        }
        Some(Founded { cluster: self.cluster.founded(founding), complete })
    }

    /// Brings the founding about once nobody's pledge is missing. After its time is up it may not: those
    /// who have pledged themselves no longer leave the founding to this member.
    fn found_if_pledged(&mut self, cx: &mut Cx<'_>, local: &NodeContext) {
        if let FoundingState::Initiating(Attempt { request, founding, awaited, until }) =
            &self.stage
            && awaited.is_empty()
            && cx.now.monotonic < *until
        {
            let (request, founding) = (*request, *founding);
            self.pledges.insert(founding);
            self.begin_writing(cx, local, founding, Some(request));
        }
    }

    /// The cluster is founded: writes down what that means for this store.
    fn begin_writing(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        founding: FoundingId,
        request: Option<AdminRequest>,
    ) {
        let is_new = self.history == History::New && self.pledges.contains(&founding);
        let complete =
            if is_new { local.topology().owned_by(local.me()).to_vec() } else { Vec::new() };
        let news = match (is_new, self.history) {
            (true, _) => Event::Founded,
            (false, History::New) => Event::DataMissing,
            (false, History::Served) => Event::Probe(Probe::FoundingRelearned),
        };
        self.stage =
            FoundingState::Writing(FoundingWriting::new(founding, complete, news, request));
        self.write(cx);
    }

    /// Begins anew with what could not be written.
    fn write(&mut self, cx: &mut Cx<'_>) {
        if let FoundingState::Writing(writing) = &mut self.stage {
            writing.retry();
        }
        self.write_on(cx);
    }

    fn write_on(&mut self, cx: &mut Cx<'_>) {
        let FoundingState::Writing(writing) = &mut self.stage else { return };
        let founding = writing.founding;
        match writing.next() {
            Next::Nothing => {}
            Next::Markers(partitions) => {
                for partition in partitions {
                    self.store(cx, partition, FoundingCommand::MarkComplete);
                }
            }
            Next::Record => {
                self.store(cx, PartitionId(0), FoundingCommand::Found { founding });
            }
        }
    }

    /// Answers the operator who waits, as the store failed.
    pub fn abandon_all(&mut self, cx: &mut Cx<'_>) {
        match &mut self.stage {
            FoundingState::Initiating(_) => self.give_up(cx, AdminRefusal::Ended),
            FoundingState::Writing(writing) => {
                if let Some(request) = writing.request.take() {
                    cx.out.push(Effect::AdminReply { request, reply: AdminReply::Unknown });
                }
            }
            FoundingState::Waiting | FoundingState::Founded(_) => {}
        }
    }

    /// Ends what an operator asked for without a founding.
    fn give_up(&mut self, cx: &mut Cx<'_>, refusal: AdminRefusal) {
        let stage = core::mem::replace(&mut self.stage, FoundingState::Waiting);
        if let FoundingState::Initiating(Attempt { request, .. }) = stage {
            cx.out.push(Effect::AdminReply { request, reply: AdminReply::Refused(refusal) });
        }
    }

    /// Asks a few of the others, those that come next in the order of members.
    fn ask(&mut self, cx: &mut Cx<'_>, local: &NodeContext) {
        let members = local.topology().members();
        let count = members.len().min(ASKED_PER_ROUND);
        let first = (self.rounds as usize).wrapping_mul(ASKED_PER_ROUND);
        for at in 0..count {
            let member = members[first.wrapping_add(at) % members.len()].id;
            if member != local.me() {
                self.send(cx, local, member, Body::Founding(FoundingMessage::Tell(Tell::Waiting)));
            }
        }
    }

    fn promise(&self, cx: &mut Cx<'_>, local: &NodeContext, promise: Promise) {
        let Promise { founding, to, request } = promise;
        let body = Body::Founding(FoundingMessage::Pledged(Pledged::Promised { founding }));
        self.send_under(cx, local, to, request, body);
    }

    fn send(&self, cx: &mut Cx<'_>, local: &NodeContext, to: NodeId, body: Body) {
        let life = u128::from(self.life.unwrap_or_default());
        let request = RequestId(life << 64 | u128::from(self.rounds));
        self.send_under(cx, local, to, request, body);
    }

    fn send_under(
        &self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        to: NodeId,
        request: RequestId,
        body: Body,
    ) {
        let mut message = local.message(to, request, body);
        message.header.cluster = self.cluster;
        cx.send(message);
    }

    fn store(&mut self, cx: &mut Cx<'_>, partition: PartitionId, command: FoundingCommand) {
        cx.store(self.commands.begin(Issuer::Founding), partition, command);
    }
}

/// A partition of which those that are left out could never copy enough from the others.
fn too_few_founders(local: &NodeContext, without: &[NodeId]) -> Option<PartitionId> {
    local.topology().partitions().find(|&partition| {
        let owners = local.topology().owners(partition);
        let founders = owners.iter().filter(|owner| !without.contains(owner)).count();
        let needed = sources_needed(owners.len(), local.config.write_quorum).max(1);
        founders < owners.len() && founders < needed
    })
}

#[cfg(test)]
mod tests;
