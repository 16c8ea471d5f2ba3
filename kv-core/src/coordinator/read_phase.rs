//! The read phase: ask as many owners as are needed, wait for them, join exactly what they said.
//!
//! The best owners are asked; another one if one of them refuses, its link breaks, or it is late
//! (`hedging.rs`). All owners are asked, and fallbacks of those that seem down, if too few are in good
//! health, or if half the time is over.

use alloc::vec::Vec;
use core::mem;

use smallvec::{SmallVec, smallvec};

use super::answers::{achieved, answer};
use super::fallbacks::Fallbacks;
use super::hedging::Rank;
use super::request::OperationCx;
use super::write_phase::WritePhase;
use crate::cx::Cx;
use crate::event::Event;
use crate::message::{MergeRequest, ReadRequest, ReplicaMessage};
use crate::probe::Probe;
use crate::quorum::Mode;
use crate::store::{CopyKind, Refusal};
use crate::tally::{Nodes, OwnerSet, Tally, TallyAnswer};
use crate::time::{Span, Time};
use crate::types::NodeId;
use crate::version::Container;
use crate::write::{Basis, Write};

/// A read phase in flight: replicas are asked what they hold.
#[derive(Clone, Debug)]
pub(super) struct ReadPhase {
    pub(super) purpose: ReadFor,
    pub(super) tally: Tally,
    /// The owners that were asked, each with the time of the first question.
    pub(super) asked: SmallVec<[(NodeId, Time); 4]>,
    /// True once half the time was over, and all were asked.
    pub(super) is_late: bool,
    pub(super) answers: SmallVec<[(NodeId, Container); 4]>,
    /// The nodes that cannot say, as their copy is corrupt or incomplete. They do not count in R.
    pub(super) refused: Vec<NodeId>,
    /// The refusing nodes whose copy is corrupt.
    pub(super) corrupt: Vec<NodeId>,
    /// The answers of owners for which hints are kept somewhere. Where one answer is enough, theirs
    /// counts only if no other comes within `hedge_ms`, or can come at all.
    pub(super) behind: Vec<TallyAnswer>,
    pub(super) fallbacks: Fallbacks,
}

/// The purpose of a read phase, with what is needed once it has its quorum.
#[derive(Clone, Debug)]
pub(super) enum ReadFor {
    /// A client is to be told what was found.
    Answer {
        /// The sets that must hold the answer before it is given, if the next read may not go
        /// backwards.
        stand: Option<Vec<OwnerSet>>,
    },
    /// A write is to overwrite what was found.
    Overwrite {
        /// The write.
        write: Write,
        /// The sets that the write needs.
        sets: Vec<OwnerSet>,
    },
    /// The corrupt copy of this node is to be written over with what was found.
    Gather {
        /// The number under which the container was asked for.
        asked: u64,
    },
    /// The client was answered: owners that turn out to be behind are to be repaired.
    Repair,
}

/// The state of a read phase after an input.
#[expect(clippy::large_enum_variant, reason = "it is returned and taken apart, and never stored")]
pub(super) enum ReadProgress {
    /// The phase still awaits something.
    Going,
    /// The phase has ended, and a write phase is to begin.
    Write(WritePhase),
    /// The operation has ended.
    Over,
    /// A gathering has ended with its quorum.
    Gathered {
        /// The number under which the container was asked for.
        asked: u64,
        /// The join of what the owners that answered hold.
        container: Container,
    },
}

impl ReadPhase {
    pub(super) fn new(purpose: ReadFor, mode: Mode, sets: Vec<OwnerSet>) -> Self {
        Self {
            purpose,
            tally: Tally::new(mode, sets),
            asked: SmallVec::new(),
            is_late: false,
            answers: SmallVec::new(),
            refused: Vec::new(),
            corrupt: Vec::new(),
            behind: Vec::new(),
            fallbacks: Fallbacks::default(),
        }
    }

    /// Tells whether a node is an owner that the quorum may count.
    pub(super) fn asks(&self, node: NodeId) -> bool {
        self.tally.sets().iter().any(|set| set.owners.contains(&node))
    }

    /// Tells whether an answer of a node is awaited.
    pub(super) fn waits_for(&self, node: NodeId) -> bool {
        let asked = self.was_asked(node) || self.fallbacks.owner_of(node).is_some();
        asked && !self.has_answered(node)
    }

    /// Asks the best owners, as many as are needed. If too few are in good health, all are asked, and
    /// fallbacks for those that seem down.
    pub(super) fn start(&mut self, op: &mut OperationCx<'_, '_>) -> ReadProgress {
        op.hedging.earn();
        match self.choose(op) {
            Some(chosen) => chosen.into_iter().for_each(|owner| self.ask_owner(op, owner)),
            None => {
                for &owner in op.owners() {
                    self.ask_owner(op, owner);
                    if !op.local.is_up(owner) {
                        self.ask_fallback(op, owner);
                    }
                }
            }
        }
        let asked = self.asked.iter().map(|&(owner, _)| owner);
        let delay = op.hedging.delay(asked, op.local.config.hedge());
        op.request.begin_hedge(op.cx.now.monotonic, delay);
        ReadProgress::Going
    }

    /// The best owners, as many as each set needs; none, if these are not all in good health.
    fn choose(&self, op: &OperationCx<'_, '_>) -> Option<Nodes> {
        if matches!(self.purpose, ReadFor::Gather { .. }) {
            return None;
        }
        let mut chosen = Nodes::new();
        for set in self.tally.sets() {
            let mut best: SmallVec<[(Rank, NodeId); 4]> =
                set.owners.iter().map(|&owner| (op.rank(owner), owner)).collect();
            // Among those that are as good, the order of preference decides.
            best.sort_by_key(|&(rank, _)| rank);
            for &(rank, owner) in best.iter().take(set.needed) {
                if rank.is_doubtful {
                    return None;
                }
                if !chosen.contains(&owner) {
                    chosen.push(owner);
                }
            }
        }
        Some(chosen)
    }

    /// Asks the best owner that was not asked yet, of a set in which this one does not answer.
    /// Returns false if there is none.
    fn ask_spare(&mut self, op: &mut OperationCx<'_, '_>, owner: NodeId) -> bool {
        let sets = self.tally.sets().iter().filter(|set| set.owners.contains(&owner));
        let spares = sets.flat_map(|set| &set.owners).copied();
        let spares = spares.filter(|&spare| !self.was_asked(spare) && op.local.is_up(spare));
        let Some(best) = spares.min_by_key(|&spare| op.rank(spare)) else { return false };
        op.cx.probe(Probe::SpareAsked);
        self.ask_owner(op, best);
        true
    }

    fn ask_owner(&mut self, op: &mut OperationCx<'_, '_>, owner: NodeId) {
        if !self.was_asked(owner) {
            self.asked.push((owner, op.cx.now.monotonic));
        }
        ask(op, owner, CopyKind::Owned);
    }

    fn was_asked(&self, owner: NodeId) -> bool {
        self.asked.iter().any(|&(asked, _)| asked == owner)
    }

    pub(super) fn on_reply(
        &mut self,
        op: &mut OperationCx<'_, '_>,
        from: NodeId,
        container: Container,
    ) -> ReadProgress {
        if self.has_answered(from) || op.local.topology().machine(from).is_none() {
            return ReadProgress::Going;
        }
        let now = op.cx.now.monotonic;
        if let Some(&(_, at)) = self.asked.iter().find(|&&(owner, _)| owner == from) {
            op.hedging.on_measured(from, now.since(at), now);
        }
        self.answers.push((from, container));
        for place in self.places_of(from) {
            if let Some(counted) = answer(op.local, from, place) {
                self.count(op, counted);
            }
        }
        self.look_at_answers(op)
    }

    pub(super) fn on_refused(
        &mut self,
        op: &mut OperationCx<'_, '_>,
        from: NodeId,
        refusal: Refusal,
    ) -> ReadProgress {
        if !self.has_answered(from) {
            self.refused.push(from);
            if refusal == Refusal::Corrupt {
                self.corrupt.push(from);
            }
            if !self.tally.reached() {
                self.ask_spare(op, from);
            }
            for owner in self.places_of(from) {
                self.ask_fallback(op, owner);
            }
        }
        self.look_at_answers(op)
    }

    /// Asks another owner for each that has not answered in this time and seems gone; for one that is only
    /// slow, out of the budget. When it is late, asks all owners that have not answered, again or for the
    /// first time, and fallbacks too. Who was incomplete is asked again where nobody else is left.
    pub(super) fn hedge(&mut self, op: &mut OperationCx<'_, '_>, pause: Span) -> ReadProgress {
        let now = op.cx.now.monotonic;
        let has_waited = |&(_, at): &(NodeId, Time)| now.since(at) >= op.local.config.hedge();
        if self.is_late || self.asked.iter().any(has_waited) {
            self.count_who_is_behind(op.cx);
        }
        let owners = op.owners().iter().copied();
        let (silent, answered): (Nodes, Nodes) = owners
            .filter(|&owner| self.is_late || self.was_asked(owner))
            .partition(|&owner| !self.has_answered(owner));
        let mut hedged = Nodes::new();
        for owner in silent {
            let is_gone = !op.local.is_up(owner)
                || (owner != op.local.me() && op.hedging.is_silent(owner, now, pause));
            if self.is_late || is_gone || op.hedging.spend() {
                hedged.push(owner);
            } else {
                op.cx.probe(Probe::HedgeOverBudget);
            }
        }
        // The fallback of an owner that refused may be silent too, or be needed in another place.
        let missed: Nodes =
            answered.into_iter().filter(|&owner| self.tally.lacks_fallback(owner)).collect();
        if !hedged.is_empty() || !missed.is_empty() {
            op.cx.probe(Probe::ReadHedged);
        }
        for owner in hedged {
            if self.is_late || !self.ask_spare(op, owner) {
                self.ask_owner(op, owner);
                self.ask_fallback(op, owner);
            }
        }
        for owner in missed {
            self.ask_fallback(op, owner);
        }
        self.ask_incomplete_again(op);
        self.look_at_answers(op)
    }

    /// If all have spoken and too few of them hold the key, asks those owners once more that were
    /// incomplete: one that has just started is so only until it knows how far its log had come.
    fn ask_incomplete_again(&mut self, op: &mut OperationCx<'_, '_>) {
        let mut fallbacks = self.fallbacks.assigned().iter();
        let all_have_spoken = self.has_heard_all(op)
            && fallbacks.all(|assigned| self.has_answered(assigned.fallback));
        if self.tally.reached() || !op.client_waits() || !all_have_spoken {
            return;
        }
        let refused = mem::take(&mut self.refused);
        let is_incomplete =
            |owner: &NodeId| self.was_asked(*owner) && !self.corrupt.contains(owner);
        let (again, refused): (Vec<_>, Vec<_>) = refused.into_iter().partition(is_incomplete);
        self.refused = refused;
        for owner in again {
            op.cx.probe(Probe::IncompleteAskedAgain);
            self.ask_owner(op, owner);
        }
    }

    /// Sends the join of all answers to the owners that were found behind or corrupt; never to
    /// fallbacks.
    pub(super) fn repair(&self, op: &mut OperationCx<'_, '_>) {
        let joined = self.joined();
        let behind = self.answers.iter().filter(|(_, held)| *held != joined);
        let behind = behind.map(|&(node, _)| node);
        // A corrupt copy may hold more than anybody says: an empty answer repairs nothing.
        let corrupt = self.corrupt.iter().copied().filter(|_| !joined.is_empty());
        for node in behind.chain(corrupt) {
            if !op.owns(node) {
                continue;
            }
            let (operation, key) = (op.operation, op.request.key.clone());
            op.cx.observe(Event::ReadRepair { peer: node, key: key.clone() });
            let merge = MergeRequest { operation, key, container: joined.clone() };
            op.send(node, ReplicaMessage::Merge(merge));
        }
    }

    /// Goes on to what the read is for, once there is a quorum: replies, or begins the write phase.
    fn look_at_answers(&mut self, op: &mut OperationCx<'_, '_>) -> ReadProgress {
        if self.has_heard_all(op) {
            self.count_who_is_behind(op.cx);
        }
        if !self.tally.reached() {
            return self.end_if_complete(op);
        }
        match mem::replace(&mut self.purpose, ReadFor::Repair) {
            ReadFor::Repair => self.end_if_complete(op),
            ReadFor::Answer { stand: None } => self.answer(op, self.joined()),
            ReadFor::Answer { stand: Some(sets) } => {
                let joined = self.joined();
                let holders = self.holders_of(&joined, op, sets);
                // An empty answer need not stand: no later read can be behind it.
                if joined.is_empty() || holders.reached() {
                    return self.answer(op, joined);
                }
                op.cx.probe(Probe::ReadWrittenBack);
                let answered = achieved(&self.tally);
                ReadProgress::Write(WritePhase::write_back(holders, joined, answered))
            }
            ReadFor::Overwrite { mut write, sets } => {
                let joined = self.joined();
                let dots = joined.dots().collect();
                let (request, key) = (op.request.id, op.request.key.clone());
                op.cx.observe(Event::ReadBeforeWrite { request, key, dots });
                // What is overwritten is known now: what a replica holds when it is asked, perhaps
                // late and for the second time, may be more than this read has seen.
                let (Basis::Held(mut context) | Basis::Given(mut context)) = write.basis;
                context.learn(&joined);
                write.basis = Basis::Given(context);
                ReadProgress::Write(WritePhase::mint(op.local, op.request, write, sets))
            }
            ReadFor::Gather { asked } => ReadProgress::Gathered { asked, container: self.joined() },
        }
    }

    fn answer(&self, op: &mut OperationCx<'_, '_>, joined: Container) -> ReadProgress {
        op.reply_value(joined, achieved(&self.tally));
        self.end_if_complete(op)
    }

    /// Ends a read for which no client waits once every owner that was asked and seems up has spoken.
    fn end_if_complete(&self, op: &mut OperationCx<'_, '_>) -> ReadProgress {
        if op.client_waits() || !self.has_heard_all(op) {
            return ReadProgress::Going;
        }
        self.repair(op);
        ReadProgress::Over
    }

    /// Counts, towards other sets, the owners whose answer was exactly this: they hold it already.
    fn holders_of(
        &self,
        container: &Container,
        op: &OperationCx<'_, '_>,
        sets: Vec<OwnerSet>,
    ) -> Tally {
        let mut tally = Tally::new(op.request.mode, sets);
        for &(node, _) in self.answers.iter().filter(|(_, held)| held == container) {
            if self.asks(node)
                && let Some(held) = answer(op.local, node, node)
            {
                tally.record(held);
            }
        }
        tally
    }

    fn joined(&self) -> Container {
        let mut joined = Container::default();
        for (_, container) in &self.answers {
            joined.join(container);
        }
        joined
    }

    fn has_answered(&self, node: NodeId) -> bool {
        self.refused.contains(&node) || self.answers.iter().any(|&(from, _)| from == node)
    }

    /// Tells whether every owner that was asked and seems up has spoken.
    fn has_heard_all(&self, op: &OperationCx<'_, '_>) -> bool {
        let mut asked = self.asked.iter();
        asked.all(|&(owner, _)| self.has_answered(owner) || !op.local.is_up(owner))
    }

    /// The owners in whose places a node answers: itself, if it is an owner; for a fallback, all
    /// owners for which it was asked, as it says what it keeps for any of them. The tally counts it
    /// once all the same.
    fn places_of(&self, node: NodeId) -> Nodes {
        match self.fallbacks.owner_of(node) {
            Some(_) => self.fallbacks.owners_of(node).collect(),
            None => smallvec![node],
        }
    }

    /// Counts the answer of a node in one place, or keeps it in doubt.
    fn count(&mut self, op: &mut OperationCx<'_, '_>, counted: TallyAnswer) {
        if self.asks_for_one() && op.local.peers.behind.contains(&counted.by) {
            op.cx.probe(Probe::AnswerInDoubt);
            self.behind.push(counted);
        } else {
            self.tally.record(counted);
        }
    }

    fn count_who_is_behind(&mut self, cx: &mut Cx<'_>) {
        for counted in mem::take(&mut self.behind) {
            cx.probe(Probe::DoubtCounted);
            self.tally.record(counted);
        }
    }

    fn asks_for_one(&self) -> bool {
        self.tally.sets().iter().all(|set| set.needed == 1)
    }

    /// Asks the next fallback of an owner what it keeps for others, if fallbacks count. One that
    /// has answered already counts in this place too; if it is needed in another, the one behind it
    /// is asked.
    fn ask_fallback(&mut self, op: &mut OperationCx<'_, '_>, owner: NodeId) {
        match op.request.mode {
            Mode::Sloppy => {}
            Mode::Strict => return,
        }
        while let Some(fallback) = self.fallbacks.assign(op.local, op.request.partition, owner) {
            if self.fallbacks.is_shared(fallback) {
                op.cx.probe(Probe::FallbackForTwo);
            }
            if !self.has_answered(fallback) {
                return ask(op, fallback, CopyKind::Hinted);
            }
            if !self.refused.contains(&fallback)
                && let Some(counted) = answer(op.local, fallback, owner)
            {
                self.count(op, counted);
            }
            if !self.tally.lacks_fallback(owner) {
                return;
            }
        }
    }
}

fn ask(op: &mut OperationCx<'_, '_>, node: NodeId, copy: CopyKind) {
    let read = ReadRequest { operation: op.operation, key: op.request.key.clone(), copy };
    op.send(node, ReplicaMessage::Read(read));
}
