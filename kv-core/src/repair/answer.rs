//! The side that is asked. It keeps nothing between two questions: each is answered from the roots
//! that the node knows, or by one or two storage commands.
//!
//! What is asked of a partition that this node and the peer do not both own is not answered, nor is
//! what no honest peer would say.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::session::{hash_of_roots, root};
use super::{Repair, RepairCommand, StoreAccess, Waiting};
use crate::cx::{Cx, NodeContext};
use crate::merkle::{FAN_OUT, LeafId};
use crate::message::repair::{
    Branches, BranchesDiffer, Compare, Compared, Exchange, Exchanged, Leaves, LeavesDiffer, Roots,
    RootsDiffer, Step, SummariesRequest, Summarized,
};
use crate::message::{Body, RepairMessage};
use crate::store::{Action, Done, Refusal};
use crate::types::{ContentHash, Key, NodeId, PartitionId, RequestId, Seq};

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller {
    peer: NodeId,
    request: RequestId,
    step: Step,
}

/// What the storage was asked for a peer.
#[derive(Clone, Debug)]
pub(super) enum PendingAnswer {
    /// The branches, to be compared with these.
    Branches(Box<[ContentHash; FAN_OUT]>),
    /// Leaves, to be compared with these.
    Leaves(Vec<(LeafId, ContentHash)>),
    Summaries,
    /// To join what was pushed. Then these keys are wanted, of this partition.
    Join(PartitionId, Vec<Key>),
    Fetch,
}

impl Repair {
    /// A peer asks whether everything that it has in common with this node is equal.
    pub(super) fn on_compare(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        (peer, request): (NodeId, RequestId),
        message: Compare,
    ) {
        let Compare { step, hash } = message;
        let common = local.ring().shared(local.me(), peer);
        if !common.is_empty() {
            let equal = hash == hash_of_roots(local, &common);
            let caller = Caller { peer, request, step };
            caller.answer(
                cx,
                local,
                Body::Repair(RepairMessage::Compared(Compared { step, equal })),
            );
        }
    }

    /// A peer asks which of these partitions differ.
    pub(super) fn on_roots(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        (peer, request): (NodeId, RequestId),
        message: Roots,
    ) {
        let Roots { step, roots } = message;
        let rises = roots.is_sorted_by(|(a, _), (b, _)| a < b);
        if !rises || !roots.iter().all(|&(partition, _)| is_common(local, peer, partition)) {
            return;
        }
        let differs =
            |&&(partition, theirs): &&(PartitionId, ContentHash)| root(local, partition) != theirs;
        let partitions = roots.iter().filter(differs).map(|&(partition, _)| partition).collect();
        let asked = roots.iter().map(|&(partition, _)| partition);
        let incomplete = asked.filter(|partition| !local.complete.contains(partition)).collect();
        let body =
            Body::Repair(RepairMessage::RootsDiffer(RootsDiffer { step, partitions, incomplete }));
        Caller { peer, request, step }.answer(cx, local, body);
    }

    /// A peer asks which branches of a partition differ.
    pub(super) fn on_branches(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        (peer, request): (NodeId, RequestId),
        message: Branches,
    ) {
        let Branches { step, partition, branches } = message;
        if is_common(local, peer, partition) {
            let command = RepairCommand::Answer(
                Caller { peer, request, step },
                PendingAnswer::Branches(branches),
            );
            self.access.store(cx, command, partition, Action::Branches);
        }
    }

    /// A peer asks which of these leaves of a partition differ.
    pub(super) fn on_leaves(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        (peer, request): (NodeId, RequestId),
        message: Leaves,
    ) {
        let Leaves { step, partition, leaves } = message;
        if is_common(local, peer, partition) && leaves.is_sorted_by(|(a, _), (b, _)| a < b) {
            let branches = leaves.iter().fold(0, |bits, (leaf, _)| bits | 1 << leaf.branch());
            let command = RepairCommand::Answer(
                Caller { peer, request, step },
                PendingAnswer::Leaves(leaves),
            );
            self.access.store(cx, command, partition, Action::Leaves { branches });
        }
    }

    /// A peer asks what is known of the keys of a leaf.
    pub(super) fn on_summaries(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        (peer, request): (NodeId, RequestId),
        message: SummariesRequest,
    ) {
        let SummariesRequest { step, partition, leaf, after } = message;
        if is_common(local, peer, partition) {
            let command =
                RepairCommand::Answer(Caller { peer, request, step }, PendingAnswer::Summaries);
            let bytes = local.config.repair_batch_bytes;
            self.access.store(cx, command, partition, Action::Summaries { leaf, after, bytes });
        }
    }

    /// A peer sends containers, and wants others.
    pub(super) fn on_exchange(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        (peer, request): (NodeId, RequestId),
        message: Exchange,
    ) {
        let Exchange { step, partition, pushed, wanted } = message;
        let rises = wanted.is_sorted_by(|a, b| a < b);
        let belong = pushed.iter().all(|(key, _)| local.belongs(key, partition));
        if !is_common(local, peer, partition) || !rises || !belong {
            return;
        }
        let caller = Caller { peer, request, step };
        if pushed.is_empty() {
            self.access.fetch(cx, local, caller, partition, wanted);
        } else {
            let command = RepairCommand::Answer(caller, PendingAnswer::Join(partition, wanted));
            self.access.store(cx, command, partition, Action::Merge { items: pushed });
        }
    }
}

impl StoreAccess {
    /// The storage has done what a peer's question needs. What it refused is not answered.
    pub(super) fn answer(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        caller: Caller,
        command: PendingAnswer,
        seq: Seq,
        result: Result<Done, Refusal>,
    ) {
        let Ok(done) = result else { return };
        let step = caller.step;
        let body = match (command, done) {
            (PendingAnswer::Branches(theirs), Done::Branches(own)) => {
                let differs = |branch: &usize| own[*branch] != theirs[*branch];
                let branches =
                    (0..FAN_OUT).filter(differs).fold(0, |bits, branch| bits | 1 << branch);
                Body::Repair(RepairMessage::BranchesDiffer(BranchesDiffer { step, branches }))
            }
            (PendingAnswer::Leaves(theirs), Done::Leaves(own)) => {
                let is_equal = |pair: &(LeafId, ContentHash)| own.binary_search(pair).is_ok();
                let differing = theirs.into_iter().filter(|pair| !is_equal(pair));
                let leaves = differing.map(|(leaf, _)| leaf).collect();
                Body::Repair(RepairMessage::LeavesDiffer(LeavesDiffer { step, leaves }))
            }
            (PendingAnswer::Summaries, Done::Summaries { entries, more }) => {
                Body::Repair(RepairMessage::Summarized(Summarized { step, entries, more }))
            }
            (PendingAnswer::Join(partition, wanted), Done::Merged) => {
                return self.waiting.push(seq, Waiting::Pushed(caller, partition, wanted));
            }
            (PendingAnswer::Fetch, Done::Fetched(items)) => {
                Body::Repair(RepairMessage::Exchanged(Exchanged { step, items }))
            }
            (command, done) => panic!("for {command:?} the storage answered {done:?}"),
        };
        caller.answer(cx, local, body);
    }

    /// Answers with what a peer wants, after what it pushed was joined and is durable.
    pub(super) fn fetch(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        caller: Caller,
        partition: PartitionId,
        wanted: Vec<Key>,
    ) {
        if wanted.is_empty() {
            let body = Exchanged { step: caller.step, items: Vec::new() };
            return caller.answer(cx, local, Body::Repair(RepairMessage::Exchanged(body)));
        }
        let bytes = local.config.repair_batch_bytes;
        let command = RepairCommand::Answer(caller, PendingAnswer::Fetch);
        self.store(cx, command, partition, Action::Fetch { keys: wanted, bytes });
    }
}

impl Caller {
    fn answer(self, cx: &mut Cx<'_>, local: &NodeContext, body: Body) {
        cx.send(local.message(self.peer, self.request, body));
    }
}

/// Whether both own a partition.
fn is_common(local: &NodeContext, peer: NodeId, partition: PartitionId) -> bool {
    local.owns(partition) && local.ring().owns(peer, partition)
}
