//! One comparison with one peer, as the side that asks sees it: which partitions differ, twice
//! looked at, and then one [`Descent`] after the other.

use alloc::boxed::Box;
use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;

use super::copying::CopyAnswer;
use super::descent::{Descent, DescentProgress};
use super::session_link::SessionLink;
use super::{SessionSnapshot, SessionStage, StoreAccess};
use crate::cx::{Cx, NodeContext};
use crate::event::Event;
use crate::message::repair::{Compare, Roots, Step};
use crate::message::{Body, RepairMessage};
use crate::probe::Probe;
use crate::time::{Span, Time};
use crate::types::{ContentHash, NodeId, PartitionId, RequestId};

/// Bytes that one partition and its root take in a message.
const ROOT_BYTES: u64 = 20;

/// A comparison that is going on.
#[derive(Clone, Debug)]
pub(super) struct RepairSession {
    pub(super) link: SessionLink,
    pub(super) began: Time,
    pub(super) state: SessionState,
    /// Partitions that the present look has not asked about yet.
    pub(super) to_look: VecDeque<PartitionId>,
    /// Partitions that differed at the first look, and when they are looked at again.
    pub(super) again: Vec<PartitionId>,
    pub(super) again_at: Option<Time>,
    /// Partitions that are known to differ.
    pub(super) to_repair: VecDeque<PartitionId>,
    /// Partitions that this node must copy and that the peer has not lost.
    pub(super) to_copy: BTreeSet<PartitionId>,
    /// The number of partitions copied.
    pub(super) copied: u64,
    /// True once the peer could not take what it lacks.
    pub(super) is_one_way: bool,
    /// True once the peer has given something.
    pub(super) has_brought: bool,
}

#[derive(Clone, Debug)]
pub(super) enum SessionState {
    Comparing,
    /// The peer was asked about the roots of these.
    Looking(Vec<PartitionId>),
    /// Writes in flight are given time to arrive.
    Settling,
    Descending(Box<Descent>),
}

/// The state of a session after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The session goes on.
    Goes,
    /// Both sides are equal in all that they have in common, as far as was known when it began.
    Clean,
    /// They may not be: the peer was silent, talked nonsense or could take nothing, or the own store
    /// refused.
    Unequal,
}

impl RepairSession {
    /// Begins with one hash over everything.
    pub(super) fn begin(
        cx: &mut Cx<'_>,
        local: &NodeContext,
        peer: NodeId,
        request: RequestId,
    ) -> Self {
        let mut link = SessionLink { peer, request, step: Step(0), until: None };
        let hash = hash_of_roots(local, &local.topology().shared(local.me(), peer));
        link.ask(cx, local, |step| Body::Repair(RepairMessage::Compare(Compare { step, hash })));
        Self {
            link,
            began: cx.now.monotonic,
            state: SessionState::Comparing,
            to_look: VecDeque::new(),
            again: Vec::new(),
            again_at: None,
            to_repair: VecDeque::new(),
            to_copy: BTreeSet::new(),
            copied: 0,
            is_one_way: false,
            has_brought: false,
        }
    }

    /// The peer of the session.
    pub(super) const fn peer(&self) -> NodeId {
        self.link.peer
    }

    /// The request of the session.
    #[cfg(test)]
    pub(super) const fn request(&self) -> RequestId {
        self.link.request
    }

    /// Tells whether the session waits for writes in flight, and for no answer.
    pub(super) const fn is_settling(&self) -> bool {
        matches!(self.state, SessionState::Settling)
    }

    /// The state of the session.
    pub(super) fn inspect(&self) -> SessionSnapshot {
        SessionSnapshot {
            peer: self.link.peer,
            request: self.link.request,
            began: self.began,
            stage: match &self.state {
                SessionState::Comparing => SessionStage::Comparing,
                SessionState::Looking(asked) => SessionStage::Looking { partitions: asked.len() },
                SessionState::Settling => SessionStage::Settling,
                SessionState::Descending(descent) => descent.inspect(),
            },
            until: self.link.until,
            to_look: self.to_look.len(),
            again: self.again.clone(),
            to_repair: self.to_repair.iter().copied().collect(),
            to_copy: self.to_copy.iter().copied().collect(),
        }
    }

    /// The time at which the session began.
    pub(super) const fn began(&self) -> Time {
        self.began
    }

    /// The number of partitions that the peer has been a source for.
    pub(super) const fn sources(&self) -> u64 {
        self.copied
    }

    /// Tells whether the peer could take nothing, and gave nothing either.
    pub(super) const fn was_in_vain(&self) -> bool {
        self.is_one_way && !self.has_brought && self.copied == 0
    }

    /// Tells whether the session waits for the answer to this step.
    pub(super) fn is_at(&self, request: RequestId, step: Step) -> bool {
        self.link.request == request && self.link.step == step
    }

    /// The time at which the session ceases to wait.
    pub(super) const fn deadline(&self) -> Option<Time> {
        self.link.until
    }

    /// The pause is over, or the peer was silent for too long.
    pub(super) fn on_deadline(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        access: &mut StoreAccess,
    ) -> Verdict {
        match self.state {
            SessionState::Settling => self.next(cx, local, access),
            SessionState::Comparing | SessionState::Looking(_) | SessionState::Descending(_) => {
                cx.probe(Probe::RepairTimedOut);
                Verdict::Unequal
            }
        }
    }

    pub(super) fn on_compared(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        access: &mut StoreAccess,
        equal: bool,
    ) -> Verdict {
        let SessionState::Comparing = self.state else { return Verdict::Unequal };
        let mut common = local.topology().shared(local.me(), self.link.peer);
        if equal {
            // All that is left to learn is whether the peer can stand for what was lost here.
            common.retain(|&partition| access.copying.needs(local, partition, self.link.peer));
        }
        self.to_look = common.into();
        self.next(cx, local, access)
    }

    pub(super) fn on_roots_differ(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        access: &mut StoreAccess,
        differing: &[PartitionId],
        incomplete: &[PartitionId],
    ) -> Verdict {
        let SessionState::Looking(asked) =
            core::mem::replace(&mut self.state, SessionState::Settling)
        else {
            return Verdict::Unequal;
        };
        let rises = |partitions: &[PartitionId]| partitions.is_sorted_by(|a, b| a < b);
        if !rises(differing) || !rises(incomplete) {
            return Verdict::Unequal;
        }
        let is_first_look = self.again_at.is_none();
        for partition in asked {
            let is_lost_here = !local.is_complete(partition);
            let is_lost_there = incomplete.binary_search(&partition).is_ok();
            if is_lost_here {
                let answer =
                    if is_lost_there { CopyAnswer::Incomplete } else { CopyAnswer::Complete };
                access.copying.on_answer(partition, self.link.peer, answer);
            }
            if is_lost_here && !is_lost_there {
                self.to_copy.insert(partition);
            }
            if differing.binary_search(&partition).is_err() {
                if !is_first_look {
                    cx.probe(Probe::SecondLookEqual);
                }
                self.on_equal(cx, local, access, partition, !is_first_look);
            } else if is_first_look && !is_lost_here {
                self.again.push(partition);
            } else {
                self.to_repair.push_back(partition);
            }
        }
        self.next(cx, local, access)
    }

    /// Goes on with a descent.
    pub(super) fn descend(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        access: &mut StoreAccess,
        go_on: impl FnOnce(
            &mut Descent,
            &mut Cx<'_>,
            &mut SessionLink,
            &mut StoreAccess,
        ) -> DescentProgress,
    ) -> Verdict {
        let SessionState::Descending(descent) = &mut self.state else { return Verdict::Unequal };
        match go_on(descent, cx, &mut self.link, access) {
            DescentProgress::Goes => Verdict::Goes,
            DescentProgress::Broken => Verdict::Unequal,
            ended @ (DescentProgress::Equal | DescentProgress::OneWay) => {
                let (partition, keys) = (descent.partition(), descent.keys_that_differed());
                self.has_brought |= descent.has_brought;
                if keys > 0 {
                    cx.observe(Event::RepairDiffered { peer: self.link.peer, partition, keys });
                }
                if ended == DescentProgress::Equal {
                    self.on_equal(cx, local, access, partition, true);
                } else {
                    self.is_one_way = true;
                    self.on_copied(cx, local, access, partition);
                }
                self.next(cx, local, access)
            }
        }
    }

    /// A partition is equal on both sides. That is worth telling if it was not so at first.
    fn on_equal(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        access: &mut StoreAccess,
        partition: PartitionId,
        differed: bool,
    ) {
        if differed {
            cx.observe(Event::RepairClean { peer: self.link.peer, partition });
        }
        self.on_copied(cx, local, access, partition);
    }

    /// Takes note that this node now holds all that the peer holds of a partition. If it has to copy that
    /// partition back, the peer counts as one of the sources.
    fn on_copied(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        access: &mut StoreAccess,
        partition: PartitionId,
    ) {
        if self.to_copy.remove(&partition) {
            self.copied += 1;
            access.on_source(cx, local, partition, self.link.peer);
        }
    }

    /// Begins what is to be done next: ask about more roots, repair, or look a second time.
    fn next(&mut self, cx: &mut Cx<'_>, local: &NodeContext, access: &mut StoreAccess) -> Verdict {
        if !self.to_look.is_empty() {
            self.look(cx, local);
            return Verdict::Goes;
        }
        let settle = Span::from_ms(local.config.repair_settle_ms);
        let again_at = *self.again_at.get_or_insert(cx.now.monotonic + settle);
        if let Some(partition) = self.to_repair.pop_front() {
            let descent = Descent::begin(cx, &mut self.link, access, partition);
            self.state = SessionState::Descending(Box::new(descent));
            Verdict::Goes
        } else if self.again.is_empty() {
            if self.is_one_way { Verdict::Unequal } else { Verdict::Clean }
        } else if cx.now.monotonic < again_at {
            self.state = SessionState::Settling;
            self.link.wait_until(again_at);
            Verdict::Goes
        } else {
            self.to_look = core::mem::take(&mut self.again).into();
            self.look(cx, local);
            Verdict::Goes
        }
    }

    /// Asks about the roots of a batch of partitions.
    fn look(&mut self, cx: &mut Cx<'_>, local: &NodeContext) {
        let batch = usize::try_from(local.config.repair_batch_bytes / ROOT_BYTES);
        let batch = batch.unwrap_or(usize::MAX).clamp(1, self.to_look.len());
        let asked: Vec<PartitionId> = self.to_look.drain(..batch).collect();
        let roots = asked.iter().map(|&partition| (partition, root(local, partition))).collect();
        self.link.ask(cx, local, |step| Body::Repair(RepairMessage::Roots(Roots { step, roots })));
        self.state = SessionState::Looking(asked);
    }
}

/// The live root of a partition here.
pub(super) fn root(local: &NodeContext, partition: PartitionId) -> ContentHash {
    local.roots.get(&partition).copied().unwrap_or_default()
}

/// One hash for the roots of all these partitions. Empty ones leave no trace in it, so that a
/// cluster with little data pays little.
pub(super) fn hash_of_roots(local: &NodeContext, partitions: &[PartitionId]) -> ContentHash {
    let mut bytes = Vec::new();
    for &partition in partitions {
        let root = root(local, partition);
        if root != ContentHash::default() {
            bytes.extend_from_slice(&partition.0.to_be_bytes());
            bytes.extend_from_slice(&root.0.to_be_bytes());
        }
    }
    ContentHash::of(&[b"roots", &bytes])
}
