//! Partitions whose data this owner has lost, and from how many others it has copied them back
//! (semantics.md §4).
//!
//! Sources are forgotten when the process ends: data is not lost while it runs, but a copy that was
//! not durable yet may be.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::{CopyingSnapshot, StoreAccess};
use crate::cx::{Cx, NodeContext};
use crate::event::Event;
use crate::quorum::sources_needed;
use crate::store::{CompletionReason, RepairCommand};
use crate::types::{AdminRequest, NodeId, PartitionId};

/// The progress of copying the partitions that are incomplete.
#[derive(Clone, Debug, Default)]
pub(super) struct Copying {
    /// The peers from which everything was copied.
    pub(super) sources: BTreeMap<PartitionId, BTreeSet<NodeId>>,
    /// Peers that have said that they are incomplete themselves.
    pub(super) incomplete: BTreeMap<PartitionId, BTreeSet<NodeId>>,
    /// Partitions whose markers are being written.
    pub(super) marking: BTreeSet<PartitionId>,
    /// Operators who wait for a marker.
    pub(super) accepting: BTreeMap<PartitionId, Vec<AdminRequest>>,
    /// The number of partitions that were undecided when people were told last.
    pub(super) told: u64,
}

impl Copying {
    /// Tells whether this partition is still to be copied from this peer.
    pub(super) fn needs(&self, local: &NodeContext, partition: PartitionId, peer: NodeId) -> bool {
        let has_served = || self.sources.get(&partition).is_some_and(|met| met.contains(&peer));
        !local.is_complete(partition) && !self.marking.contains(&partition) && !has_served()
    }

    /// The peers from which something is still to be copied.
    pub(super) fn peers_needed(&self, local: &NodeContext) -> BTreeSet<NodeId> {
        let owned = local.topology().owned_by(local.me());
        if local.complete.len() >= owned.len() {
            return BTreeSet::new();
        }
        let incomplete = owned.iter().filter(|partition| !local.is_complete(**partition));
        let pairs = incomplete.flat_map(|&partition| {
            local.topology().owners(partition).iter().map(move |&owner| (partition, owner))
        });
        pairs
            .filter(|&(partition, owner)| {
                owner != local.me() && self.needs(local, partition, owner)
            })
            .map(|(_, owner)| owner)
            .collect()
    }

    /// The partitions that were copied from some peer, or are being marked.
    pub(super) fn inspect(&self) -> Vec<CopyingSnapshot> {
        let partitions: BTreeSet<_> = self.sources.keys().chain(&self.marking).copied().collect();
        let snapshot = |partition| CopyingSnapshot {
            partition,
            sources: self.sources.get(&partition).into_iter().flatten().copied().collect(),
            is_marking: self.marking.contains(&partition),
        };
        partitions.into_iter().map(snapshot).collect()
    }

    /// Tells whether this partition was copied from enough others.
    fn is_complete(&self, local: &NodeContext, partition: PartitionId) -> bool {
        let owners = local.topology().owners(partition).len();
        let needed = sources_needed(owners, local.config.write_quorum);
        self.sources.get(&partition).is_some_and(|met| met.len() >= needed)
    }

    /// A peer says whether it is incomplete itself in a partition that is to be copied.
    pub(super) fn on_answer(&mut self, partition: PartitionId, peer: NodeId, answer: CopyAnswer) {
        match answer {
            CopyAnswer::Complete => {
                if let Some(peers) = self.incomplete.get_mut(&partition) {
                    peers.remove(&peer);
                }
            }
            CopyAnswer::Incomplete => {
                self.incomplete.entry(partition).or_default().insert(peer);
            }
        }
    }

    /// The partitions that can never be copied from enough others, as too few of them are complete.
    pub(super) fn undecided(&self, local: &NodeContext) -> Vec<PartitionId> {
        let owned = local.topology().owned_by(local.me());
        if local.complete.len() >= owned.len() {
            return Vec::new();
        }
        let incomplete = owned.iter().copied().filter(|at| !local.is_complete(*at));
        incomplete.filter(|&partition| self.is_undecided(local, partition)).collect()
    }

    fn is_undecided(&self, local: &NodeContext, partition: PartitionId) -> bool {
        if self.marking.contains(&partition) {
            return false;
        }
        let owners = local.topology().owners(partition);
        let (met, incomplete) = (self.sources.get(&partition), self.incomplete.get(&partition));
        let has = |peers: Option<&BTreeSet<NodeId>>, owner: &NodeId| {
            peers.is_some_and(|peers| peers.contains(owner))
        };
        let may_serve =
            |owner: &&NodeId| **owner != local.me() && (has(met, owner) || !has(incomplete, owner));
        let needed = sources_needed(owners.len(), local.config.write_quorum).max(1);
        owners.iter().filter(may_serve).count() < needed
    }

    /// Tells people how many partitions are undecided, whenever that number has grown.
    pub(super) fn tell_undecided(&mut self, cx: &mut Cx<'_>, local: &NodeContext) {
        let partitions = self.undecided(local).len() as u64;
        if partitions > self.told {
            cx.observe(Event::LossUndecided { partitions });
        }
        self.told = partitions;
    }

    /// The marker of a partition is durable. Returns the operators who wait for it.
    pub(super) fn on_marked(&mut self, partition: PartitionId) -> Vec<AdminRequest> {
        self.sources.remove(&partition);
        self.incomplete.remove(&partition);
        self.marking.remove(&partition);
        self.accepting.remove(&partition).unwrap_or_default()
    }

    /// The marker of a partition could not be written. It is tried again with the next round; an
    /// operator who accepted a loss must say so again, and is told so: those are returned.
    pub(super) fn on_not_marked(&mut self, partition: PartitionId) -> Vec<AdminRequest> {
        self.marking.remove(&partition);
        self.accepting.remove(&partition).unwrap_or_default()
    }
}

/// A peer's word on its own copy of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CopyAnswer {
    /// The peer holds all that it must hold.
    Complete,
    /// The peer has lost something itself.
    Incomplete,
}

impl StoreAccess {
    /// Takes note that a partition holds all that a complete peer held when the comparison began.
    pub(super) fn on_source(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        partition: PartitionId,
        peer: NodeId,
    ) {
        if self.copying.needs(local, partition, peer) {
            self.copying.sources.entry(partition).or_default().insert(peer);
            self.mark_if_complete(cx, local, partition);
        }
    }

    /// Writes the markers that are due and could not be written before.
    pub(super) fn mark_complete(&mut self, cx: &mut Cx<'_>, local: &NodeContext) {
        let partitions: Vec<_> = self.copying.sources.keys().copied().collect();
        for partition in partitions {
            self.mark_if_complete(cx, local, partition);
        }
    }

    fn mark_if_complete(&mut self, cx: &mut Cx<'_>, local: &NodeContext, partition: PartitionId) {
        if self.copying.is_complete(local, partition) {
            self.write_marker(cx, partition, CompletionReason::Copied);
        }
    }

    /// Writes the marker of a partition, as an operator accepts what is lost.
    pub(super) fn accept(
        &mut self,
        cx: &mut Cx<'_>,
        request: AdminRequest,
        partition: PartitionId,
    ) {
        self.copying.accepting.entry(partition).or_default().push(request);
        self.write_marker(cx, partition, CompletionReason::LossAccepted);
    }

    /// Writes the marker of a partition, unless that is being done.
    pub(super) fn write_marker(
        &mut self,
        cx: &mut Cx<'_>,
        partition: PartitionId,
        reason: CompletionReason,
    ) {
        if self.copying.marking.insert(partition) {
            self.store(cx, partition, RepairCommand::MarkComplete { reason });
        }
    }
}
