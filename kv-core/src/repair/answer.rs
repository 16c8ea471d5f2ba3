//! The side that is asked. It keeps nothing between two questions: each is answered from the roots
//! that the node knows, or by one or two storage commands.
//!
//! A question about a partition that this node and the peer do not both own is not answered, nor is
//! one that no honest peer would ask.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::session::{hash_of_roots, root};
use super::{Repair, StoreAccess};
use crate::cx::{Cx, NodeContext};
use crate::merkle::{FAN_OUT, LeafId};
use crate::message::RepairMessage;
use crate::message::repair::{
    Branches, BranchesDiffer, Compare, Compared, Exchange, ExchangeRefused, Exchanged, Leaves,
    LeavesDiffer, Roots, RootsDiffer, SummariesRequest, Summarized,
};
use crate::store::{
    BranchesFor, Caller, JoinFor, LeavesFor, Party, Refusal, RepairCommand, Summaries,
};
use crate::types::{ContentHash, Key, NodeId, PartitionId, RequestId};
use crate::version::Container;

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
        let common = local.topology().shared(local.me(), peer);
        if !common.is_empty() {
            let equal = hash == hash_of_roots(local, &common);
            let caller = Caller { peer, request, step };
            caller.answer(cx, local, RepairMessage::Compared(Compared { step, equal }));
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
        let incomplete = asked.filter(|partition| !local.is_complete(*partition)).collect();
        let body = RepairMessage::RootsDiffer(RootsDiffer { step, partitions, incomplete });
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
            let whose = BranchesFor::Peer(Caller { peer, request, step }, branches);
            self.access.store(cx, partition, RepairCommand::Branches { whose });
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
            let whose = LeavesFor::Peer(Caller { peer, request, step }, leaves);
            self.access.store(cx, partition, RepairCommand::Leaves { branches, whose });
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
            let whose = Party::Peer(Caller { peer, request, step });
            let bytes = local.config.repair_batch_bytes;
            let command = RepairCommand::Summaries { leaf, after, bytes, whose };
            self.access.store(cx, partition, command);
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
            let whose = JoinFor::Peer(caller, wanted);
            self.access.store(cx, partition, RepairCommand::Join { items: pushed, whose });
        }
    }
}

impl StoreAccess {
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
            return caller.answer(cx, local, RepairMessage::Exchanged(body));
        }
        let bytes = local.config.repair_batch_bytes;
        let whose = Party::Peer(caller);
        self.store(cx, partition, RepairCommand::Fetch { keys: wanted, bytes, whose });
    }
}

/// The storage has done what a peer's question needs. What it refused to read is not answered.
impl Caller {
    /// The storage takes nothing of what the peer pushed. The peer may still want something, and it
    /// learns that it must ask for that alone.
    pub(super) fn on_not_joined(self, cx: &mut Cx<'_>, local: &NodeContext) {
        let body = ExchangeRefused { step: self.step };
        self.answer(cx, local, RepairMessage::ExchangeRefused(body));
    }

    pub(super) fn on_branches_read(
        self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        theirs: &[ContentHash; FAN_OUT],
        result: Result<Box<[ContentHash; FAN_OUT]>, Refusal>,
    ) {
        let Ok(own) = result else { return };
        let differs = |branch: &usize| own[*branch] != theirs[*branch];
        let branches = (0..FAN_OUT).filter(differs).fold(0, |bits, branch| bits | 1 << branch);
        let body = BranchesDiffer { step: self.step, branches };
        self.answer(cx, local, RepairMessage::BranchesDiffer(body));
    }

    pub(super) fn on_leaves_read(
        self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        theirs: Vec<(LeafId, ContentHash)>,
        result: Result<Vec<(LeafId, ContentHash)>, Refusal>,
    ) {
        let Ok(own) = result else { return };
        let is_equal = |pair: &(LeafId, ContentHash)| own.binary_search(pair).is_ok();
        let differing = theirs.into_iter().filter(|pair| !is_equal(pair));
        let leaves = differing.map(|(leaf, _)| leaf).collect();
        let body = LeavesDiffer { step: self.step, leaves };
        self.answer(cx, local, RepairMessage::LeavesDiffer(body));
    }

    pub(super) fn on_summaries_read(
        self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        result: Result<Summaries, Refusal>,
    ) {
        let Ok(Summaries { entries, more }) = result else { return };
        let body = Summarized { step: self.step, entries, more };
        self.answer(cx, local, RepairMessage::Summarized(body));
    }

    pub(super) fn on_fetched(
        self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        result: Result<Vec<(Key, Container)>, Refusal>,
    ) {
        let Ok(items) = result else { return };
        self.answer(cx, local, RepairMessage::Exchanged(Exchanged { step: self.step, items }));
    }

    fn answer(self, cx: &mut Cx<'_>, local: &NodeContext, message: RepairMessage) {
        cx.send(local.message(self.peer, self.request, message.into()));
    }
}

/// Tells whether this node and the peer both own a partition.
fn is_common(local: &NodeContext, peer: NodeId, partition: PartitionId) -> bool {
    local.owns(partition) && local.topology().owns(peer, partition)
}
