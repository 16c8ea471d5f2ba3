//! The read phase: ask all owners, wait for as many as are needed, join exactly what they said.

use alloc::vec::Vec;

use smallvec::{SmallVec, smallvec};

use super::fallbacks::Fallbacks;
use super::operation::{Operation, Phase, Progress, answer};
use crate::cx::{Cx, NodeContext};
use crate::event::Event;
use crate::message::{Body, MergeRequest, OperationId, ReadRequest, ReplicaMessage};
use crate::probe::Probe;
use crate::quorum::Mode;
use crate::store::{CopyKind, Refusal};
use crate::tally::{Answer, Nodes, OwnerSet, Tally};
use crate::types::NodeId;
use crate::version::Container;

/// A read phase in flight.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub(super) tally: Tally,
    pub(super) answers: SmallVec<[(NodeId, Container); 4]>,
    /// The nodes that cannot say, as their copy is corrupt or incomplete. They do not count in R.
    pub(super) refused: Vec<NodeId>,
    /// The refusing nodes whose copy is corrupt.
    pub(super) corrupt: Vec<NodeId>,
    /// The answers of owners for which hints are kept somewhere. Where one answer is enough, theirs
    /// counts only if no other comes before the first hedge, or can come at all.
    pub(super) behind: Vec<Answer>,
    pub(super) fallbacks: Fallbacks,
    pub(super) reached: bool,
}

impl Reading {
    pub(super) fn new(mode: Mode, sets: Vec<OwnerSet>) -> Self {
        Self {
            tally: Tally::new(mode, sets),
            answers: SmallVec::new(),
            refused: Vec::new(),
            corrupt: Vec::new(),
            behind: Vec::new(),
            fallbacks: Fallbacks::default(),
            reached: false,
        }
    }

    pub(super) fn waits_for(&self, node: NodeId) -> bool {
        let asked = self.tally.sets().iter().any(|set| set.owners.contains(&node))
            || self.fallbacks.owner_of(node).is_some();
        asked && !self.has_answered(node)
    }

    /// The owners whose answer was exactly this.
    pub(super) fn holders_of(&self, container: &Container) -> Vec<NodeId> {
        let is_owner = |node| self.tally.sets().iter().any(|set| set.owners.contains(&node));
        let exact = self.answers.iter().filter(|(_, held)| held == container);
        exact.map(|&(node, _)| node).filter(|&node| is_owner(node)).collect()
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
    fn count(&mut self, cx: &mut Cx<'_>, local: &NodeContext, counted: Answer) {
        if self.asks_for_one() && local.peers.behind.contains(&counted.by) {
            cx.probe(Probe::AnswerInDoubt);
            self.behind.push(counted);
        } else {
            self.tally.record(counted);
        }
    }

    /// Tells whether every owner that seems up has spoken.
    fn has_heard_all(&self, owners: &[NodeId], local: &NodeContext) -> bool {
        owners.iter().all(|&owner| self.has_answered(owner) || !local.is_up(owner))
    }

    fn count_who_is_behind(&mut self, cx: &mut Cx<'_>) {
        for counted in core::mem::take(&mut self.behind) {
            cx.probe(Probe::DoubtCounted);
            self.tally.record(counted);
        }
    }

    fn asks_for_one(&self) -> bool {
        self.tally.sets().iter().all(|set| set.needed == 1)
    }
}

impl Operation {
    pub(super) fn ask_readers(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        id: OperationId,
    ) -> Progress {
        for &owner in local.topology().owners(self.partition) {
            self.ask_reader(cx, local, id, owner, CopyKind::Owned);
            if !local.is_up(owner) {
                self.ask_fallback_reader(cx, local, id, owner);
            }
        }
        Progress::Going
    }

    pub(super) fn on_read_reply(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        id: OperationId,
        from: NodeId,
        container: Container,
    ) -> Progress {
        let Phase::Reading(reading) = &mut self.phase else { return Progress::Going };
        if reading.has_answered(from) {
            return Progress::Going;
        }
        if local.topology().machine(from).is_none() {
            return Progress::Going;
        }
        reading.answers.push((from, container));
        for place in reading.places_of(from) {
            if let Some(counted) = answer(local, from, place) {
                reading.count(cx, local, counted);
            }
        }
        self.look_at_readers(cx, local, id)
    }

    pub(super) fn on_read_refused(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        id: OperationId,
        from: NodeId,
        refusal: Refusal,
    ) -> Progress {
        let Phase::Reading(reading) = &mut self.phase else { return Progress::Going };
        if !reading.has_answered(from) {
            reading.refused.push(from);
            if refusal == Refusal::Corrupt {
                reading.corrupt.push(from);
            }
            for owner in reading.places_of(from) {
                self.ask_fallback_reader(cx, local, id, owner);
            }
        }
        self.look_at_readers(cx, local, id)
    }

    /// Asks the silent owners again, and fallbacks too.
    pub(super) fn hedge_read(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        id: OperationId,
    ) -> Progress {
        let Phase::Reading(reading) = &mut self.phase else { return Progress::Going };
        reading.count_who_is_behind(cx);
        // The fallback of an owner that refused may be silent too, or be needed in another place.
        let is_silent = |owner: &NodeId| !reading.has_answered(*owner);
        let (silent, missed): (Vec<NodeId>, Vec<NodeId>) = local
            .topology()
            .owners(self.partition)
            .iter()
            .copied()
            .filter(|owner| is_silent(owner) || reading.tally.lacks_fallback(*owner))
            .partition(is_silent);
        if !silent.is_empty() || !missed.is_empty() {
            cx.probe(Probe::ReadHedged);
        }
        for owner in silent {
            self.ask_reader(cx, local, id, owner, CopyKind::Owned);
            self.ask_fallback_reader(cx, local, id, owner);
        }
        for owner in missed {
            self.ask_fallback_reader(cx, local, id, owner);
        }
        self.look_at_readers(cx, local, id)
    }

    fn look_at_readers(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        id: OperationId,
    ) -> Progress {
        let Phase::Reading(reading) = &mut self.phase else { return Progress::Going };
        if reading.has_heard_all(local.topology().owners(self.partition), local) {
            reading.count_who_is_behind(cx);
        }
        if !reading.reached && reading.tally.reached() {
            reading.reached = true;
            let joined = reading.joined();
            return self.on_read_quorum(cx, local, id, joined);
        }
        self.end_read_if_complete(cx, local, id)
    }

    /// Ends an answered read once every owner that seems up has spoken.
    pub(super) fn end_read_if_complete(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        id: OperationId,
    ) -> Progress {
        let Phase::Reading(reading) = &self.phase else { return Progress::Going };
        let owners = local.topology().owners(self.partition);
        if self.client.is_some() || !reading.has_heard_all(owners, local) {
            return Progress::Going;
        }
        self.repair_readers(cx, local, id);
        Progress::Over
    }

    /// Sends the join of all answers to the owners that were found behind or corrupt; never to
    /// fallbacks.
    pub(super) fn repair_readers(&self, cx: &mut Cx<'_>, local: &NodeContext, id: OperationId) {
        let Phase::Reading(reading) = &self.phase else { return };
        let joined = reading.joined();
        let behind = reading.answers.iter().filter(|(_, held)| *held != joined);
        let behind = behind.map(|&(node, _)| node);
        // A corrupt copy may hold more than anybody says: an empty answer repairs nothing.
        let corrupt = reading.corrupt.iter().copied().filter(|_| !joined.is_empty());
        for node in
            behind.chain(corrupt).filter(|&node| local.topology().owns(node, self.partition))
        {
            cx.observe(Event::ReadRepair { peer: node, key: self.key.clone() });
            let merge =
                MergeRequest { operation: id, key: self.key.clone(), container: joined.clone() };
            self.send(cx, local, node, Body::Replica(ReplicaMessage::Merge(merge)));
        }
    }

    fn ask_reader(
        &self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        id: OperationId,
        node: NodeId,
        copy: CopyKind,
    ) {
        let read = ReadRequest { operation: id, key: self.key.clone(), copy };
        self.send(cx, local, node, Body::Replica(ReplicaMessage::Read(read)));
    }

    /// Asks the next fallback of an owner what it keeps for others, if fallbacks count. One that
    /// has answered already counts in this place too; if it is needed in another, the one behind it
    /// is asked.
    fn ask_fallback_reader(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        id: OperationId,
        owner: NodeId,
    ) {
        let Phase::Reading(reading) = &mut self.phase else { return };
        let counts = match self.mode {
            Mode::Sloppy => true,
            Mode::Strict => false,
        };
        if !counts {
            return;
        }
        while let Some(fallback) = reading.fallbacks.assign(local, self.partition, owner) {
            if reading.fallbacks.is_shared(fallback) {
                cx.probe(Probe::FallbackForTwo);
            }
            if !reading.has_answered(fallback) {
                return self.ask_reader(cx, local, id, fallback, CopyKind::Hinted);
            }
            if !reading.refused.contains(&fallback)
                && let Some(counted) = answer(local, fallback, owner)
            {
                reading.count(cx, local, counted);
            }
            if !reading.tally.lacks_fallback(owner) {
                return;
            }
        }
    }
}
