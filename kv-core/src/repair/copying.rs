//! Partitions whose data this owner has lost, and from how many others it has copied them back
//! (SEMANTICS §4).
//!
//! Sources are forgotten when the process ends: data is not lost while it runs, but a copy that was
//! not durable yet may be.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::{Bench, CopyingSnapshot, Errand};
use crate::cx::{Cx, Site};
use crate::quorum::sources_needed;
use crate::store::Action;
use crate::types::{NodeId, PartitionId};

/// What has been copied so far of partitions that are not synced.
#[derive(Clone, Debug, Default)]
pub(super) struct Copying {
    /// From whom everything was copied.
    sources: BTreeMap<PartitionId, BTreeSet<NodeId>>,
    /// Partitions whose markers are being written.
    marking: BTreeSet<PartitionId>,
}

/// Why a partition counts as synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ground {
    /// Enough others were met.
    Copied,
    /// An operator gives up what was lost.
    LossAccepted,
}

impl Copying {
    /// Whether this partition is still to be copied from this peer.
    pub(super) fn needs(&self, site: &Site, partition: PartitionId, peer: NodeId) -> bool {
        let has_served = || self.sources.get(&partition).is_some_and(|met| met.contains(&peer));
        !site.synced.contains(&partition) && !self.marking.contains(&partition) && !has_served()
    }

    /// The peers from which something is still to be copied.
    pub(super) fn peers_needed(&self, site: &Site) -> BTreeSet<NodeId> {
        let owned = site.ring().owned_by(site.me());
        if site.synced.len() >= owned.len() {
            return BTreeSet::new();
        }
        let unsynced = owned.iter().filter(|partition| !site.synced.contains(partition));
        let pairs = unsynced.flat_map(|&partition| {
            site.ring().owners(partition).iter().map(move |&owner| (partition, owner))
        });
        pairs
            .filter(|&(partition, owner)| owner != site.me() && self.needs(site, partition, owner))
            .map(|(_, owner)| owner)
            .collect()
    }

    /// What was copied, or is being marked.
    pub(super) fn inspect(&self) -> Vec<CopyingSnapshot> {
        let partitions: BTreeSet<_> = self.sources.keys().chain(&self.marking).copied().collect();
        let snapshot = |partition| CopyingSnapshot {
            partition,
            sources: self.sources.get(&partition).into_iter().flatten().copied().collect(),
            is_marking: self.marking.contains(&partition),
        };
        partitions.into_iter().map(snapshot).collect()
    }

    /// Whether this partition was copied from enough others.
    fn is_complete(&self, site: &Site, partition: PartitionId) -> bool {
        let owners = site.ring().owners(partition).len();
        let needed = sources_needed(owners, site.config.write_quorum);
        self.sources.get(&partition).is_some_and(|met| met.len() >= needed)
    }

    /// The marker of a partition is durable.
    pub(super) fn on_marked(&mut self, partition: PartitionId) {
        self.sources.remove(&partition);
        self.marking.remove(&partition);
    }

    /// The marker of a partition could not be written. It is tried again with the next round; an
    /// operator who accepted a loss must say so again.
    pub(super) fn on_not_marked(&mut self, partition: PartitionId) {
        self.marking.remove(&partition);
    }
}

impl Bench {
    /// This partition holds all that a synced peer held when the comparison began.
    pub(super) fn on_source(
        &mut self,
        cx: &mut Cx<'_>,
        site: &Site,
        partition: PartitionId,
        peer: NodeId,
    ) {
        if self.copying.needs(site, partition, peer) {
            self.copying.sources.entry(partition).or_default().insert(peer);
            self.mark_if_complete(cx, site, partition);
        }
    }

    /// Writes the markers that are due and could not be written before.
    pub(super) fn mark_complete(&mut self, cx: &mut Cx<'_>, site: &Site) {
        let partitions: Vec<_> = self.copying.sources.keys().copied().collect();
        for partition in partitions {
            self.mark_if_complete(cx, site, partition);
        }
    }

    fn mark_if_complete(&mut self, cx: &mut Cx<'_>, site: &Site, partition: PartitionId) {
        if self.copying.is_complete(site, partition) {
            self.mark(cx, partition, Ground::Copied);
        }
    }

    /// Writes the marker of a partition, unless that is being done.
    pub(super) fn mark(&mut self, cx: &mut Cx<'_>, partition: PartitionId, ground: Ground) {
        if self.copying.marking.insert(partition) {
            self.store(cx, Errand::Mark(partition, ground), partition, Action::MarkSynced);
        }
    }
}
