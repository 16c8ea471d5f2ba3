//! The repair of one partition, as the side that asks sees it: down the tree to the leaves that
//! differ, and then leaf by leaf, page by page, batch by batch.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::difference::{LeafDifference, Page};
use super::session_link::SessionLink;
use super::{DescentAwaits, SessionStage, StoreAccess};
use crate::cx::{Cx, NodeContext};
use crate::merkle::{FAN_OUT, LeafId};
use crate::message::repair::{Branches, Exchange, Leaves, SummariesRequest};
use crate::message::{Body, RepairMessage};
use crate::probe::Probe;
use crate::store::{BranchesFor, JoinFor, LeavesFor, Party, Refusal, RepairCommand, Summaries};
use crate::types::{ContentHash, Key, PartitionId, Seq};
use crate::version::Container;

/// A repair of one partition that is going on.
#[derive(Clone, Debug)]
pub(super) struct Descent {
    pub(super) partition: PartitionId,
    pub(super) stage: DescentStage,
    /// The leaf that is repaired now, and behind it those that follow.
    pub(super) leaves: VecDeque<LeafId>,
    /// The pages compared so far end with this key.
    pub(super) after: Option<Key>,
    /// The difference that the last page showed and that is not exchanged yet.
    pub(super) difference: LeafDifference,
    pub(super) keys_that_differed: u64,
    /// True once the peer has refused what was pushed: from then on it is only asked.
    pub(super) is_one_way: bool,
    /// True once the peer has given something.
    pub(super) has_brought: bool,
}

/// The answer that a descent waits for.
#[derive(Clone, Debug)]
pub(super) enum DescentStage {
    OwnBranches,
    BranchesDiffer,
    OwnLeaves,
    LeavesDiffer,
    OwnSummaries,
    /// The peer was asked what it knows, to be compared with this.
    Summarized(Page),
    OwnContainers,
    /// The peer was asked for the containers of these keys.
    Exchanged(Vec<Key>),
    Joined,
    Durable,
}

/// The state of a descent after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DescentProgress {
    /// The descent goes on.
    Goes,
    /// Both sides are equal, and that is durable here.
    Equal,
    /// The comparison went one way: this node holds durably all that the peer holds, and the peer, whose
    /// disk takes nothing, may still lack something.
    OneWay,
    /// The peer talks nonsense, or the own store refused.
    Broken,
}

impl Descent {
    /// Begins with the own branches.
    pub(super) fn begin(
        cx: &mut Cx<'_>,
        link: &mut SessionLink,
        access: &mut StoreAccess,
        partition: PartitionId,
    ) -> Self {
        link.store(cx, access, partition, |step| RepairCommand::Branches {
            whose: BranchesFor::Session(step),
        });
        Self {
            partition,
            stage: DescentStage::OwnBranches,
            leaves: VecDeque::new(),
            after: None,
            difference: LeafDifference::default(),
            keys_that_differed: 0,
            is_one_way: false,
            has_brought: false,
        }
    }

    /// The partition that is repaired.
    pub(super) const fn partition(&self) -> PartitionId {
        self.partition
    }

    /// The number of keys that differed so far.
    pub(super) const fn keys_that_differed(&self) -> u64 {
        self.keys_that_differed
    }

    /// The stage that the descent has reached.
    pub(super) fn inspect(&self) -> SessionStage {
        SessionStage::Descending {
            partition: self.partition,
            awaits: match self.stage {
                DescentStage::OwnBranches
                | DescentStage::OwnLeaves
                | DescentStage::OwnSummaries
                | DescentStage::OwnContainers
                | DescentStage::Joined => DescentAwaits::OwnStorage,
                DescentStage::BranchesDiffer => DescentAwaits::Branches,
                DescentStage::LeavesDiffer => DescentAwaits::Leaves,
                DescentStage::Summarized(_) => DescentAwaits::Summaries,
                DescentStage::Exchanged(_) => DescentAwaits::Containers,
                DescentStage::Durable => DescentAwaits::Sync,
            },
            leaves: self.leaves.len(),
            keys_that_differed: self.keys_that_differed,
        }
    }

    pub(super) fn on_own_branches(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        link: &mut SessionLink,
        result: Result<Box<[ContentHash; FAN_OUT]>, Refusal>,
    ) -> DescentProgress {
        let (DescentStage::OwnBranches, Ok(branches)) = (&self.stage, result) else {
            return DescentProgress::Broken;
        };
        self.ask_branches(cx, local, link, branches);
        DescentProgress::Goes
    }

    pub(super) fn on_own_leaves(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        link: &mut SessionLink,
        result: Result<Vec<(LeafId, ContentHash)>, Refusal>,
    ) -> DescentProgress {
        let (DescentStage::OwnLeaves, Ok(leaves)) = (&self.stage, result) else {
            return DescentProgress::Broken;
        };
        self.ask_leaves(cx, local, link, leaves);
        DescentProgress::Goes
    }

    pub(super) fn on_own_summaries(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        link: &mut SessionLink,
        result: Result<Summaries, Refusal>,
    ) -> DescentProgress {
        let (DescentStage::OwnSummaries, Ok(Summaries { entries, more })) = (&self.stage, result)
        else {
            return DescentProgress::Broken;
        };
        self.ask_summaries(cx, local, link, Page { entries, more });
        DescentProgress::Goes
    }

    pub(super) fn on_own_containers(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        link: &mut SessionLink,
        access: &mut StoreAccess,
        result: Result<Vec<(Key, Container)>, Refusal>,
    ) -> DescentProgress {
        let (DescentStage::OwnContainers, Ok(items)) = (&self.stage, result) else {
            return DescentProgress::Broken;
        };
        forget_up_to(&mut self.difference.push, items.last().map(|(key, _)| key));
        self.exchange(cx, local, link, access, items)
    }

    pub(super) fn on_joined(
        &mut self,
        link: &mut SessionLink,
        access: &mut StoreAccess,
        seq: Seq,
        result: Result<(), Refusal>,
    ) -> DescentProgress {
        let (DescentStage::Joined, Ok(())) = (&self.stage, result) else {
            return DescentProgress::Broken;
        };
        self.stage = DescentStage::Durable;
        link.wait_for_disk(access, seq);
        DescentProgress::Goes
    }

    /// Goes on once what was joined is durable.
    pub(super) fn on_durable(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        link: &mut SessionLink,
        access: &mut StoreAccess,
    ) -> DescentProgress {
        self.next_batch(cx, local, link, access)
    }

    pub(super) fn on_branches_differ(
        &mut self,
        cx: &mut Cx<'_>,
        link: &mut SessionLink,
        access: &mut StoreAccess,
        branches: u16,
    ) -> DescentProgress {
        let DescentStage::BranchesDiffer = self.stage else { return DescentProgress::Broken };
        if branches == 0 {
            return DescentProgress::Equal;
        }
        self.stage = DescentStage::OwnLeaves;
        link.store(cx, access, self.partition, |step| RepairCommand::Leaves {
            branches,
            whose: LeavesFor::Session(step),
        });
        DescentProgress::Goes
    }

    pub(super) fn on_leaves_differ(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        link: &mut SessionLink,
        access: &mut StoreAccess,
        leaves: &[LeafId],
    ) -> DescentProgress {
        let DescentStage::LeavesDiffer = self.stage else { return DescentProgress::Broken };
        if !leaves.is_sorted_by(|a, b| a < b) {
            return DescentProgress::Broken;
        }
        self.leaves = leaves.iter().copied().collect();
        self.next_page(cx, local, link, access)
    }

    pub(super) fn on_summarized(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        link: &mut SessionLink,
        access: &mut StoreAccess,
        theirs: Page,
    ) -> DescentProgress {
        let DescentStage::Summarized(mine) = &self.stage else { return DescentProgress::Broken };
        if !theirs.is_sound(self.after.as_ref()) {
            return DescentProgress::Broken;
        }
        let difference = LeafDifference::between(mine, &theirs);
        if !difference.want.iter().all(|key| local.belongs(key, self.partition)) {
            return DescentProgress::Broken;
        }
        self.keys_that_differed += difference.keys;
        self.difference = difference;
        if self.is_one_way {
            self.difference.push.clear();
        }
        self.next_batch(cx, local, link, access)
    }

    pub(super) fn on_exchanged(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        link: &mut SessionLink,
        access: &mut StoreAccess,
        items: Vec<(Key, Container)>,
    ) -> DescentProgress {
        let DescentStage::Exchanged(wanted) = &self.stage else { return DescentProgress::Broken };
        let rises = items.is_sorted_by(|(a, _), (b, _)| a < b);
        let were_wanted = items.iter().all(|(key, _)| wanted.binary_search(key).is_ok());
        if !rises || !were_wanted {
            return DescentProgress::Broken;
        }
        let Some((last, _)) = items.last() else {
            // The peer knows nothing of them any more.
            if !wanted.is_empty() {
                cx.probe(Probe::ExchangeCameEmpty);
            }
            self.difference.want.drain(..wanted.len());
            return self.next_batch(cx, local, link, access);
        };
        forget_up_to(&mut self.difference.want, Some(last));
        self.has_brought = true;
        self.stage = DescentStage::Joined;
        link.store(cx, access, self.partition, |step| RepairCommand::Join {
            items,
            whose: JoinFor::Session(step),
        });
        DescentProgress::Goes
    }

    /// The peer can store nothing. What is wanted of it is asked for alone.
    pub(super) fn on_exchange_refused(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        link: &mut SessionLink,
        access: &mut StoreAccess,
    ) -> DescentProgress {
        let (DescentStage::Exchanged(_), false) = (&self.stage, self.is_one_way) else {
            return DescentProgress::Broken;
        };
        cx.probe(Probe::ExchangeRefused);
        self.is_one_way = true;
        self.difference.push.clear();
        self.next_batch(cx, local, link, access)
    }

    fn ask_branches(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        link: &mut SessionLink,
        branches: Box<[ContentHash; FAN_OUT]>,
    ) {
        let partition = self.partition;
        self.stage = DescentStage::BranchesDiffer;
        link.ask(cx, local, |step| {
            Body::Repair(RepairMessage::Branches(Branches { step, partition, branches }))
        });
    }

    fn ask_leaves(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        link: &mut SessionLink,
        leaves: Vec<(LeafId, ContentHash)>,
    ) {
        let partition = self.partition;
        self.stage = DescentStage::LeavesDiffer;
        link.ask(cx, local, |step| {
            Body::Repair(RepairMessage::Leaves(Leaves { step, partition, leaves }))
        });
    }

    fn ask_summaries(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        link: &mut SessionLink,
        mine: Page,
    ) {
        let (partition, after) = (self.partition, self.after.clone());
        let Some(&leaf) = self.leaves.front() else { return };
        self.stage = DescentStage::Summarized(mine);
        link.ask(cx, local, |step| {
            Body::Repair(RepairMessage::Summaries(SummariesRequest {
                step,
                partition,
                leaf,
                after,
            }))
        });
    }

    /// Reads the next page of the present leaf; with no leaf left, all is exchanged.
    fn next_page(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        link: &mut SessionLink,
        access: &mut StoreAccess,
    ) -> DescentProgress {
        let Some(&leaf) = self.leaves.front() else {
            return if self.is_one_way { DescentProgress::OneWay } else { DescentProgress::Equal };
        };
        self.stage = DescentStage::OwnSummaries;
        let (after, bytes) = (self.after.clone(), local.config.repair_batch_bytes);
        link.store(cx, access, self.partition, |step| RepairCommand::Summaries {
            leaf,
            after,
            bytes,
            whose: Party::Session(step),
        });
        DescentProgress::Goes
    }

    /// Exchanges the next batch of what the last page showed, or goes on to the next page.
    fn next_batch(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        link: &mut SessionLink,
        access: &mut StoreAccess,
    ) -> DescentProgress {
        if !self.difference.push.is_empty() {
            self.stage = DescentStage::OwnContainers;
            let keys = self.difference.push.iter().cloned().collect();
            let bytes = local.config.repair_batch_bytes;
            link.store(cx, access, self.partition, |step| RepairCommand::Fetch {
                keys,
                bytes,
                whose: Party::Session(step),
            });
            DescentProgress::Goes
        } else if !self.difference.want.is_empty() {
            self.exchange(cx, local, link, access, Vec::new())
        } else {
            self.after = self.difference.until.take();
            match self.after {
                None => drop(self.leaves.pop_front()),
                Some(_) => cx.probe(Probe::RepairPaged),
            }
            self.next_page(cx, local, link, access)
        }
    }

    /// Sends containers, and asks for those that are wanted.
    fn exchange(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        link: &mut SessionLink,
        access: &mut StoreAccess,
        pushed: Vec<(Key, Container)>,
    ) -> DescentProgress {
        let partition = self.partition;
        let wanted = self.difference.want_within(local.config.repair_batch_bytes);
        if pushed.is_empty() && wanted.is_empty() {
            return self.next_batch(cx, local, link, access);
        }
        self.stage = DescentStage::Exchanged(wanted.clone());
        link.ask(cx, local, |step| {
            Body::Repair(RepairMessage::Exchange(Exchange { step, partition, pushed, wanted }))
        });
        DescentProgress::Goes
    }
}

/// Takes out what was fetched: all keys up to the last that came. If none came, nothing is known
/// of any.
fn forget_up_to(keys: &mut VecDeque<Key>, last: Option<&Key>) {
    match last {
        Some(last) => keys.retain(|key| key > last),
        None => keys.clear(),
    }
}
