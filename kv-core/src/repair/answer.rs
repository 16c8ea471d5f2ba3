//! The side that is asked. It keeps nothing between two questions: each is answered from the roots
//! that the node knows, or by one or two storage commands.
//!
//! What is asked of a partition that this node and the peer do not both own is not answered, nor is
//! what no honest peer would say.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::session::{digest_of_roots, root};
use super::{Bench, Errand as Asked, Repair, Waiting};
use crate::cx::{Cx, Site};
use crate::merkle::{FAN_OUT, LeafId};
use crate::message::Body;
use crate::message::repair::{
    Branches, BranchesDiffer, Compare, Compared, Exchange, Exchanged, Leaves, LeavesDiffer, Roots,
    RootsDiffer, Step, SummariesRequest, Summarized,
};
use crate::store::{Action, Done, Refusal};
use crate::types::{Digest, Key, NodeId, PartitionId, RequestId, Seq};

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller {
    peer: NodeId,
    request: RequestId,
    step: Step,
}

/// What the storage was asked for a peer.
#[derive(Clone, Debug)]
pub(super) enum Errand {
    /// The branches, to be compared with these.
    Branches(Box<[Digest; FAN_OUT]>),
    /// Leaves, to be compared with these.
    Leaves(Vec<(LeafId, Digest)>),
    Summaries,
    /// To join what was pushed. Then these keys are wanted, of this partition.
    Join(PartitionId, Vec<Key>),
    Fetch,
}

impl Repair {
    /// A peer asks whether everything that it has in common with this node is equal.
    pub fn on_compare(
        &mut self,
        cx: &mut Cx<'_>,
        site: &Site,
        (peer, request): (NodeId, RequestId),
        message: Compare,
    ) {
        let Compare { step, digest } = message;
        let common = site.ring().shared(site.me(), peer);
        if !common.is_empty() {
            let equal = digest == digest_of_roots(site, &common);
            let caller = Caller { peer, request, step };
            caller.answer(cx, site, Body::RepairCompared(Compared { step, equal }));
        }
    }

    /// A peer asks which of these partitions differ.
    pub fn on_roots(
        &mut self,
        cx: &mut Cx<'_>,
        site: &Site,
        (peer, request): (NodeId, RequestId),
        message: Roots,
    ) {
        let Roots { step, roots } = message;
        let rises = roots.is_sorted_by(|(a, _), (b, _)| a < b);
        if !rises || !roots.iter().all(|&(partition, _)| is_common(site, peer, partition)) {
            return;
        }
        let differs =
            |&&(partition, theirs): &&(PartitionId, Digest)| root(site, partition) != theirs;
        let partitions = roots.iter().filter(differs).map(|&(partition, _)| partition).collect();
        let asked = roots.iter().map(|&(partition, _)| partition);
        let not_synced = asked.filter(|partition| !site.synced.contains(partition)).collect();
        let body = Body::RepairRootsDiffer(RootsDiffer { step, partitions, not_synced });
        Caller { peer, request, step }.answer(cx, site, body);
    }

    /// A peer asks which branches of a partition differ.
    pub fn on_branches(
        &mut self,
        cx: &mut Cx<'_>,
        site: &Site,
        (peer, request): (NodeId, RequestId),
        message: Branches,
    ) {
        let Branches { step, partition, branches } = message;
        if is_common(site, peer, partition) {
            let asked = Asked::Answer(Caller { peer, request, step }, Errand::Branches(branches));
            self.bench.store(cx, asked, partition, Action::Branches);
        }
    }

    /// A peer asks which of these leaves of a partition differ.
    pub fn on_leaves(
        &mut self,
        cx: &mut Cx<'_>,
        site: &Site,
        (peer, request): (NodeId, RequestId),
        message: Leaves,
    ) {
        let Leaves { step, partition, leaves } = message;
        if is_common(site, peer, partition) && leaves.is_sorted_by(|(a, _), (b, _)| a < b) {
            let branches = leaves.iter().fold(0, |bits, (leaf, _)| bits | 1 << leaf.branch());
            let asked = Asked::Answer(Caller { peer, request, step }, Errand::Leaves(leaves));
            self.bench.store(cx, asked, partition, Action::Leaves { branches });
        }
    }

    /// A peer asks what is known of the keys of a leaf.
    pub fn on_summaries(
        &mut self,
        cx: &mut Cx<'_>,
        site: &Site,
        (peer, request): (NodeId, RequestId),
        message: SummariesRequest,
    ) {
        let SummariesRequest { step, partition, leaf, after } = message;
        if is_common(site, peer, partition) {
            let asked = Asked::Answer(Caller { peer, request, step }, Errand::Summaries);
            let bytes = site.config.repair_batch_bytes;
            self.bench.store(cx, asked, partition, Action::Summaries { leaf, after, bytes });
        }
    }

    /// A peer sends containers, and wants others.
    pub fn on_exchange(
        &mut self,
        cx: &mut Cx<'_>,
        site: &Site,
        (peer, request): (NodeId, RequestId),
        message: Exchange,
    ) {
        let Exchange { step, partition, pushed, wanted } = message;
        let rises = wanted.is_sorted_by(|a, b| a < b);
        let belong = pushed.iter().all(|(key, _)| site.belongs(key, partition));
        if !is_common(site, peer, partition) || !rises || !belong {
            return;
        }
        let caller = Caller { peer, request, step };
        if pushed.is_empty() {
            self.bench.fetch(cx, site, caller, partition, wanted);
        } else {
            let asked = Asked::Answer(caller, Errand::Join(partition, wanted));
            self.bench.store(cx, asked, partition, Action::Merge { items: pushed });
        }
    }
}

impl Bench {
    /// The storage has done what a peer's question needs. What it refused is not answered.
    pub(super) fn answer(
        &mut self,
        cx: &mut Cx<'_>,
        site: &Site,
        caller: Caller,
        errand: Errand,
        seq: Seq,
        result: Result<Done, Refusal>,
    ) {
        let Ok(done) = result else { return };
        let step = caller.step;
        let body = match (errand, done) {
            (Errand::Branches(theirs), Done::Branches(own)) => {
                let differs = |branch: &usize| own[*branch] != theirs[*branch];
                let branches =
                    (0..FAN_OUT).filter(differs).fold(0, |bits, branch| bits | 1 << branch);
                Body::RepairBranchesDiffer(BranchesDiffer { step, branches })
            }
            (Errand::Leaves(theirs), Done::Leaves(own)) => {
                let is_equal = |pair: &(LeafId, Digest)| own.binary_search(pair).is_ok();
                let differing = theirs.into_iter().filter(|pair| !is_equal(pair));
                let leaves = differing.map(|(leaf, _)| leaf).collect();
                Body::RepairLeavesDiffer(LeavesDiffer { step, leaves })
            }
            (Errand::Summaries, Done::Summaries { entries, more }) => {
                Body::RepairSummarized(Summarized { step, entries, more })
            }
            (Errand::Join(partition, wanted), Done::Merged) => {
                return self.waiting.push(seq, Waiting::Pushed(caller, partition, wanted));
            }
            (Errand::Fetch, Done::Fetched(items)) => {
                Body::RepairExchanged(Exchanged { step, items })
            }
            (errand, done) => panic!("for {errand:?} the storage answered {done:?}"),
        };
        caller.answer(cx, site, body);
    }

    /// Answers with what a peer wants, after what it pushed was joined and is durable.
    pub(super) fn fetch(
        &mut self,
        cx: &mut Cx<'_>,
        site: &Site,
        caller: Caller,
        partition: PartitionId,
        wanted: Vec<Key>,
    ) {
        if wanted.is_empty() {
            let body = Exchanged { step: caller.step, items: Vec::new() };
            return caller.answer(cx, site, Body::RepairExchanged(body));
        }
        let bytes = site.config.repair_batch_bytes;
        let asked = Asked::Answer(caller, Errand::Fetch);
        self.store(cx, asked, partition, Action::Fetch { keys: wanted, bytes });
    }
}

impl Caller {
    fn answer(self, cx: &mut Cx<'_>, site: &Site, body: Body) {
        cx.send(site.message(self.peer, self.request, body));
    }
}

/// Whether both own a partition.
fn is_common(site: &Site, peer: NodeId, partition: PartitionId) -> bool {
    site.owns(partition) && site.ring().owns(peer, partition)
}
