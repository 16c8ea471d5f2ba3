//! Merkle repair: this node and each replica that it shares partitions with become equal, again and
//! again (semantics.md §8). It is also how an owner that has lost its data gets it back (§4).
//!
//! ```text
//! requester ── Compare ──────────▶ answerer     one hash over all common roots; mostly all there is
//!       ── Roots ────────────▶              in batches; a pause; Roots again for those that differ
//!       ── Branches, Leaves ─▶              down the tree of one partition
//!       ── Summaries ────────▶              keys and vectors of one leaf, page by page
//!       ── Exchange ─────────▶              containers, both ways, batch by batch
//! ```
//!
//! The requester keeps a `RepairSession`, one at a time; the answering side keeps nothing but what its
//! storage is at. So an abandoned session leaves nothing behind, and a lost message costs a
//! time-out: the partner then goes to the back of the queue.
//!
//! Each call does one step, or one batch of a configured size. `join(local, remote) ≠ local` is the
//! only reason to write. In an idle cluster a round is one Compare and its answer.
//!
//! Invariants:
//! - An answer counts only if it is to the question that the session waits for, by peer, request
//!   and step; half of the request id is drawn once per life of the process.
//! - A partition counts as copied from a peer only when all that came is durable here.
//! - Nothing a peer says can make this node panic, or write a key where it does not belong.

mod answer;
mod copying;
mod corrupt_keys;
mod descent;
mod difference;
mod inspect;
mod invariants;
mod partner;
mod scrubbing;
mod session;
mod session_link;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use self::copying::Copying;
use self::corrupt_keys::CorruptKeys;
use self::descent::{Descent, DescentProgress};
pub use self::inspect::{
    CopyingSnapshot, CorruptKeySnapshot, DescentAwaits, PartnerSnapshot, RepairSnapshot,
    SessionSnapshot, SessionStage,
};
use self::partner::Partner;
use self::scrubbing::Scrubbing;
use self::session::{RepairSession, Verdict};
use self::session_link::SessionLink;
use crate::admin::{AdminRefusal, AdminReply};
use crate::cx::{CommandCount, Cx, Effect, Issuer, NodeContext, Purpose};
use crate::durable::DurableQueue;
use crate::event::Event;
use crate::message::RepairMessage;
use crate::message::repair::{
    BranchesDiffer, Compared, ExchangeRefused, Exchanged, LeavesDiffer, RootsDiffer, Step,
    Summarized,
};
use crate::probe::Probe;
use crate::sampling::below;
use crate::store::{
    BranchesFor, Caller, CompletionReason, CorruptKey, JoinFor, LeavesFor, Party, RepairAnswer,
    RepairCommand, SessionStep,
};
use crate::time::{Span, Time};
use crate::types::{AdminRequest, Key, NodeId, PartitionId, RequestId, Seq};

/// Compares this node with the others that own what it owns, and makes both sides equal.
#[derive(Clone, Debug, Default)]
pub struct Repair {
    /// The time at which the next round is due, on a grid with a drawn phase.
    round_at: Time,
    /// Half of the request ids of this life; nothing before the first deadline.
    life: Option<u64>,
    /// The number of sessions begun in this life.
    sessions: u64,
    partners: BTreeMap<NodeId, Partner>,
    session: Option<RepairSession>,
    corrupt_keys: CorruptKeys,
    scrubbing: Scrubbing,
    access: StoreAccess,
}

/// The state that all parts of this machine share: the way to the storage and back.
#[derive(Clone, Debug, Default)]
struct StoreAccess {
    commands: CommandCount,
    waiting: DurableQueue<Waiting>,
    copying: Copying,
}

/// A step that waits until the disk is durable.
#[derive(Clone, Debug)]
enum Waiting {
    /// A step of the session.
    Session(SessionStep),
    /// A peer that pushed containers, and what it wants in turn.
    Pushed(Caller, PartitionId, Vec<Key>),
    /// A data marker.
    Marked(PartitionId, CompletionReason),
    /// The joined containers that were gathered of a key, by the number of its repair.
    Joined(u64),
}

impl Repair {
    /// Begins with the keys that are not repaired yet, as the store says. What was compared before a start
    /// says nothing after it.
    pub fn new(corrupt: Vec<CorruptKey>) -> Self {
        let mut repair = Self::default();
        repair.on_corrupt(corrupt);
        repair
    }

    /// The time at which [`Repair::on_deadline`] is to be called.
    pub fn next_deadline(&self) -> Option<Time> {
        let session = self.session.as_ref().and_then(RepairSession::deadline);
        Some(session.map_or(self.round_at, |deadline| deadline.min(self.round_at)))
    }

    /// The time at which the last comparison began in which this peer and this node became equal in
    /// all that both own. It may have been compared again since, and differ.
    pub fn clean_since(&self, peer: NodeId) -> Option<Time> {
        self.partners.get(&peer)?.clean_since
    }

    /// A peer is known to lack something of what both may own: it is compared next.
    pub fn on_stale(&mut self, peer: NodeId) {
        if let Some(partner) = self.partners.get_mut(&peer) {
            partner.served_at = None;
        }
    }

    /// Answers the operators who wait for a marker, as the store failed.
    pub fn abandon_all(&mut self, cx: &mut Cx<'_>) {
        for request in core::mem::take(&mut self.access.copying.accepting).into_values().flatten() {
            cx.out.push(Effect::AdminReply { request, reply: AdminReply::Unknown });
        }
    }

    /// An operator gives up what an owner has lost and cannot copy back: it serves with what it
    /// has, in the partition or, if that is complete, of those keys in it that were corrupt. Answered when
    /// that is durable; of keys, which may have to be given up anew, as soon as it was asked for.
    pub fn accept_loss(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        request: AdminRequest,
        partition: PartitionId,
    ) {
        let keys = self.corrupt_keys.of(local, partition);
        let is_complete = local.is_complete(partition);
        let reply = if !local.owns(partition) {
            AdminReply::Refused(AdminRefusal::NotOwned { partition })
        } else if is_complete && keys.is_empty() {
            AdminReply::Refused(AdminRefusal::NothingLost { partition })
        } else {
            AdminReply::LossAccepted
        };
        if reply == AdminReply::LossAccepted {
            for corrupt in keys {
                self.mark_repaired(cx, local, corrupt, true);
            }
            if !is_complete {
                return self.access.accept(cx, request, partition);
            }
        }
        cx.out.push(Effect::AdminReply { request, reply });
    }

    /// The partitions that this node can never copy from enough others: acknowledged writes may be lost
    /// for good there, and an operator must accept that.
    pub fn undecided(&self, local: &NodeContext) -> Vec<PartitionId> {
        self.access.copying.undecided(local)
    }

    /// The number of keys whose records are corrupt here and not repaired yet.
    pub fn corrupt_keys(&self) -> usize {
        self.corrupt_keys.len()
    }

    /// Begins a round if one is due and none is going on; gives up what went unanswered. Returns the
    /// keys that other owners are to be asked for.
    pub fn on_deadline(&mut self, cx: &mut Cx<'_>, local: &NodeContext) -> Vec<CorruptKey> {
        let now = cx.now.monotonic;
        let interval = Span::from_ms(local.config.repair_interval_ms);
        if self.life.is_none() {
            let phase = cx.draw.u64(Purpose::Phase, Issuer::Repair as u64);
            self.life = Some(cx.draw.u64(Purpose::Requests, Issuer::Repair as u64));
            self.round_at = now + Span(below(phase, interval.0));
            self.partners = partners(local);
            return Vec::new();
        }
        if let Some(session) = &mut self.session
            && session.deadline().is_some_and(|deadline| deadline <= now)
        {
            let verdict = session.on_deadline(cx, local, &mut self.access);
            self.conclude(cx, local, verdict);
        }
        if self.round_at > now {
            return Vec::new();
        }
        let missed = now.since(self.round_at).0 / interval.0;
        self.round_at = self.round_at + interval.times(missed + 1);
        self.access.mark_complete(cx, local);
        self.access.copying.tell_undecided(cx, local);
        if self.session.is_none() {
            self.begin(cx, local);
        }
        self.scrub(cx, local);
        self.corrupt_keys.ask(now, Span::from_ms(local.config.repair_timeout_ms))
    }

    /// The other side of a comparison asks or answers.
    pub fn on_message(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        from: (NodeId, RequestId),
        message: RepairMessage,
    ) {
        match message {
            RepairMessage::Compare(message) => self.on_compare(cx, local, from, message),
            RepairMessage::Compared(message) => self.on_compared(cx, local, from, message),
            RepairMessage::Roots(message) => self.on_roots(cx, local, from, message),
            RepairMessage::RootsDiffer(message) => self.on_roots_differ(cx, local, from, message),
            RepairMessage::Branches(message) => self.on_branches(cx, local, from, message),
            RepairMessage::BranchesDiffer(message) => {
                self.on_branches_differ(cx, local, from, message);
            }
            RepairMessage::Leaves(message) => self.on_leaves(cx, local, from, message),
            RepairMessage::LeavesDiffer(message) => self.on_leaves_differ(cx, local, from, message),
            RepairMessage::Summaries(message) => self.on_summaries(cx, local, from, message),
            RepairMessage::Summarized(message) => self.on_summarized(cx, local, from, message),
            RepairMessage::Exchange(message) => self.on_exchange(cx, local, from, message),
            RepairMessage::Exchanged(message) => self.on_exchanged(cx, local, from, message),
            RepairMessage::ExchangeRefused(message) => {
                self.on_exchange_refused(cx, local, from, message);
            }
        }
    }

    /// An answer to [`RepairMessage::Compare`].
    fn on_compared(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        from: (NodeId, RequestId),
        message: Compared,
    ) {
        let Compared { step, equal } = message;
        self.on_answer(cx, local, from, step, |session, cx, access| {
            session.on_compared(cx, local, access, equal)
        });
    }

    /// An answer to [`RepairMessage::Roots`].
    fn on_roots_differ(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        from: (NodeId, RequestId),
        message: RootsDiffer,
    ) {
        let RootsDiffer { step, partitions, incomplete } = message;
        self.on_answer(cx, local, from, step, |session, cx, access| {
            session.on_roots_differ(cx, local, access, &partitions, &incomplete)
        });
    }

    /// An answer to [`RepairMessage::Branches`].
    fn on_branches_differ(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        from: (NodeId, RequestId),
        message: BranchesDiffer,
    ) {
        let BranchesDiffer { step, branches } = message;
        self.on_answer(cx, local, from, step, |session, cx, access| {
            session.descend(cx, local, access, |descent, cx, link, access| {
                descent.on_branches_differ(cx, link, access, branches)
            })
        });
    }

    /// An answer to [`RepairMessage::Leaves`].
    fn on_leaves_differ(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        from: (NodeId, RequestId),
        message: LeavesDiffer,
    ) {
        let LeavesDiffer { step, leaves } = message;
        self.on_answer(cx, local, from, step, |session, cx, access| {
            session.descend(cx, local, access, |descent, cx, link, access| {
                descent.on_leaves_differ(cx, local, link, access, &leaves)
            })
        });
    }

    /// An answer to [`RepairMessage::Summaries`].
    fn on_summarized(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        from: (NodeId, RequestId),
        message: Summarized,
    ) {
        let Summarized { step, entries, more } = message;
        self.on_answer(cx, local, from, step, |session, cx, access| {
            session.descend(cx, local, access, |descent, cx, link, access| {
                descent.on_summarized(cx, local, link, access, difference::Page { entries, more })
            })
        });
    }

    /// An answer to [`RepairMessage::Exchange`].
    fn on_exchanged(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        from: (NodeId, RequestId),
        message: Exchanged,
    ) {
        let Exchanged { step, items } = message;
        self.on_answer(cx, local, from, step, |session, cx, access| {
            session.descend(cx, local, access, |descent, cx, link, access| {
                descent.on_exchanged(cx, local, link, access, items)
            })
        });
    }

    /// Another answer to [`RepairMessage::Exchange`].
    fn on_exchange_refused(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        from: (NodeId, RequestId),
        message: ExchangeRefused,
    ) {
        self.on_answer(cx, local, from, message.step, |session, cx, access| {
            session.descend(cx, local, access, |descent, cx, link, access| {
                descent.on_exchange_refused(cx, local, link, access)
            })
        });
    }

    /// A storage command was executed. Returns the partitions that are complete from now on.
    pub fn on_store_done(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        partition: PartitionId,
        seq: Seq,
        answer: RepairAnswer,
    ) -> Vec<PartitionId> {
        self.access.commands.end();
        match answer {
            RepairAnswer::Branches { whose: BranchesFor::Session(step), result } => {
                self.go_down(cx, local, step, |descent, cx, link, _| {
                    descent.on_own_branches(cx, local, link, result)
                });
            }
            RepairAnswer::Branches { whose: BranchesFor::Peer(caller, theirs), result } => {
                caller.on_branches_read(cx, local, &theirs, result);
            }
            RepairAnswer::Leaves { whose: LeavesFor::Session(step), result } => {
                self.go_down(cx, local, step, |descent, cx, link, _| {
                    descent.on_own_leaves(cx, local, link, result)
                });
            }
            RepairAnswer::Leaves { whose: LeavesFor::Peer(caller, theirs), result } => {
                caller.on_leaves_read(cx, local, theirs, result);
            }
            RepairAnswer::Summaries { whose: Party::Session(step), result } => {
                self.go_down(cx, local, step, |descent, cx, link, _| {
                    descent.on_own_summaries(cx, local, link, result)
                });
            }
            RepairAnswer::Summaries { whose: Party::Peer(caller), result } => {
                caller.on_summaries_read(cx, local, result);
            }
            RepairAnswer::Fetched { whose: Party::Session(step), result } => {
                self.go_down(cx, local, step, |descent, cx, link, access| {
                    descent.on_own_containers(cx, local, link, access, result)
                });
            }
            RepairAnswer::Fetched { whose: Party::Peer(caller), result } => {
                caller.on_fetched(cx, local, result);
            }
            RepairAnswer::Joined { whose: JoinFor::Session(step), result } => {
                self.go_down(cx, local, step, |descent, _, link, access| {
                    descent.on_joined(link, access, seq, result)
                });
            }
            RepairAnswer::Joined { whose: JoinFor::Peer(caller, wanted), result: Ok(()) } => {
                self.access.waiting.push(seq, Waiting::Pushed(caller, partition, wanted));
            }
            RepairAnswer::Joined { whose: JoinFor::CorruptKey(number), result: Ok(()) } => {
                self.access.waiting.push(seq, Waiting::Joined(number));
            }
            RepairAnswer::Joined { whose: JoinFor::Peer(caller, _), result: Err(_) } => {
                caller.on_not_joined(cx, local);
            }
            // The key is asked for again.
            RepairAnswer::Joined { whose: JoinFor::CorruptKey(_), result: Err(_) } => {}
            RepairAnswer::MarkedComplete { reason, result: Ok(()) } => {
                self.access.waiting.push(seq, Waiting::Marked(partition, reason));
            }
            RepairAnswer::MarkedComplete { reason: _, result: Err(refusal) } => {
                cx.probe(Probe::MarkerNotWritten);
                let reply = AdminReply::Refused(AdminRefusal::Store(refusal));
                for request in self.access.copying.on_not_marked(partition) {
                    cx.out.push(Effect::AdminReply { request, reply: reply.clone() });
                }
            }
            RepairAnswer::Scrubbed { result } => self.on_scrubbed(cx, local, result),
            RepairAnswer::MarkedRepaired { number, result } => {
                self.on_marked_repaired(cx, number, result);
            }
        }
        self.go_on(cx, local)
    }

    /// Goes on with the descent of the session, if it still waits for this step.
    fn go_down(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        SessionStep { request, step }: SessionStep,
        go: impl FnOnce(
            &mut Descent,
            &mut Cx<'_>,
            &mut SessionLink,
            &mut StoreAccess,
        ) -> DescentProgress,
    ) {
        self.advance(cx, local, (request, step), |session, cx, access| {
            session.descend(cx, local, access, go)
        });
    }

    /// The store is durable up to a position. Returns the partitions that are complete from now on.
    pub fn on_durable(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        seq: Seq,
    ) -> Vec<PartitionId> {
        self.access.waiting.on_durable(seq);
        self.go_on(cx, local)
    }

    /// Goes on with what need not wait for the disk any longer.
    fn go_on(&mut self, cx: &mut Cx<'_>, local: &NodeContext) -> Vec<PartitionId> {
        let mut complete = Vec::new();
        while let Some(waiting) = self.access.waiting.pop() {
            match waiting {
                Waiting::Session(step) => {
                    self.go_down(cx, local, step, |descent, cx, link, access| {
                        descent.on_durable(cx, local, link, access)
                    });
                }
                Waiting::Pushed(caller, partition, wanted) => {
                    self.access.fetch(cx, local, caller, partition, wanted);
                }
                Waiting::Marked(partition, reason) => {
                    for request in self.access.copying.on_marked(partition) {
                        let reply = AdminReply::LossAccepted;
                        cx.out.push(Effect::AdminReply { request, reply });
                    }
                    cx.observe(match reason {
                        CompletionReason::Copied => Event::Completed { partition },
                        CompletionReason::LossAccepted => Event::Probe(Probe::LossAccepted),
                    });
                    complete.push(partition);
                }
                Waiting::Joined(number) => self.on_joined_durably(cx, local, number),
            }
        }
        complete
    }

    fn begin(&mut self, cx: &mut Cx<'_>, local: &NodeContext) {
        let Some(peer) = self.next_partner(cx, local) else { return };
        let life = self.life.expect("drawn at the first deadline");
        let request = RequestId(u128::from(life) << 64 | u128::from(self.sessions));
        self.sessions += 1;
        self.session = Some(RepairSession::begin(cx, local, peer, request));
    }

    /// Chooses the next peer: first those that can bring back what was lost here, then those whose
    /// last session is the longest ago.
    fn next_partner(&self, cx: &mut Cx<'_>, local: &NodeContext) -> Option<NodeId> {
        let needed = self.access.copying.peers_needed(local);
        let rank = |&(peer, partner): &(&NodeId, &Partner)| {
            let is_urgent = needed.contains(peer) && !partner.fruitless;
            (!is_urgent, partner.served_at)
        };
        let is_due = |peer: &NodeId, partner: &Partner| {
            !partner.rests(cx.now.monotonic) || (needed.contains(peer) && !partner.fruitless)
        };
        let up = || {
            let partners = self.partners.iter();
            partners.filter(|&(&peer, partner)| local.is_up(peer) && is_due(&peer, partner))
        };
        let first = up().map(|pair| rank(&pair)).min()?;
        let firsts: Vec<NodeId> =
            up().filter(|pair| rank(pair) == first).map(|(&peer, _)| peer).collect();
        match firsts[..] {
            [peer] => Some(peer),
            _ => {
                let draw = cx.draw.u64(Purpose::RepairPartner, 0);
                let chosen = usize::try_from(below(draw, firsts.len() as u64)).ok()?;
                firsts.get(chosen).copied()
            }
        }
    }

    /// Goes on with the session if this is the answer that it waits for.
    fn on_answer(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        (from, request): (NodeId, RequestId),
        step: Step,
        go_on: impl FnOnce(&mut RepairSession, &mut Cx<'_>, &mut StoreAccess) -> Verdict,
    ) {
        if self.session.as_ref().is_some_and(|session| session.peer() == from) {
            self.advance(cx, local, (request, step), go_on);
        }
    }

    /// Goes on with the session if it is the one with this request, at this step.
    fn advance(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        (request, step): (RequestId, Step),
        go_on: impl FnOnce(&mut RepairSession, &mut Cx<'_>, &mut StoreAccess) -> Verdict,
    ) {
        let awaited = self.session.as_mut().filter(|session| session.is_at(request, step));
        if let Some(session) = awaited {
            let verdict = go_on(session, cx, &mut self.access);
            self.conclude(cx, local, verdict);
        }
    }

    fn conclude(&mut self, cx: &Cx<'_>, local: &NodeContext, verdict: Verdict) {
        let is_clean = match verdict {
            Verdict::Goes => return,
            Verdict::Clean => true,
            Verdict::Unequal => false,
        };
        let Some(session) = self.session.take() else { return };
        let partner = self.partners.entry(session.peer()).or_default();
        let interval = Span::from_ms(local.config.repair_interval_ms);
        partner.on_ended(cx.now.monotonic, &session, is_clean, interval);
    }
}

impl StoreAccess {
    fn store(&mut self, cx: &mut Cx<'_>, partition: PartitionId, command: RepairCommand) {
        cx.store(self.commands.begin(Issuer::Repair), partition, command);
    }
}

/// Every node that owns something that this node owns.
fn partners(local: &NodeContext) -> BTreeMap<NodeId, Partner> {
    let owned = local.topology().owned_by(local.me()).iter();
    let owners = owned.flat_map(|&partition| local.topology().owners(partition).iter().copied());
    let others: BTreeSet<NodeId> = owners.filter(|&owner| owner != local.me()).collect();
    others.into_iter().map(|peer| (peer, Partner::default())).collect()
}

#[cfg(test)]
mod tests;
