//! Partitions whose data this owner has lost, and from how many others it has copied them back
//! (SEMANTICS §4).
//!
//! Sources are forgotten when the process ends: data is not lost while it runs, but a copy that was
//! not durable yet may be.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::{Bench, Errand};
use crate::cx::{Cx, Site};
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

/// From how many of the other owners a lost partition must be copied.
///
/// A write that was acknowledged stands on `w` of `n` owners. One of them may be this one, which
/// lost it: then at least `w - 1` of the `n - 1` others hold it, and at most `n - w` of them do not.
/// So one more than `n - w` others include one that holds it. If writes wait for one copy only,
/// this one may have had the only one, and all others together cannot bring it back; all others is
/// then the best there is.
pub(super) fn sources_needed(owners: usize, write_quorum: u64) -> usize {
    let write_quorum = usize::try_from(write_quorum).unwrap_or(usize::MAX).clamp(1, owners);
    (owners - write_quorum + 1).min(owners - 1)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether every write that `w` of `n` owners hold, the first of which lost it, is met in
    /// every choice of so many others.
    fn every_write_is_met(n: usize, w: usize, sources: usize) -> bool {
        let sets =
            |size: usize| (0_u32..1 << n).filter(move |set| set.count_ones() as usize == size);
        let chosen = sets(sources).filter(|set| set & 1 == 0);
        let mut pairs = chosen.flat_map(|chosen| sets(w).map(move |holders| (chosen, holders)));
        pairs.all(|(chosen, holders)| chosen & holders & !1 != 0)
    }

    #[test]
    fn so_many_sources_meet_every_write_and_one_less_does_not() {
        for n in 2..=6_usize {
            for w in 2..=n {
                let needed = sources_needed(n, w as u64);
                assert!(every_write_is_met(n, w, needed), "n = {n}, w = {w}");
                assert!(needed == 0 || !every_write_is_met(n, w, needed - 1), "n = {n}, w = {w}");
            }
        }
    }

    #[test]
    fn where_one_copy_was_enough_all_others_are_asked() {
        assert_eq!(sources_needed(3, 1), 2);
        assert_eq!(sources_needed(3, 99), 1);
        assert_eq!(sources_needed(1, 1), 0);
    }
}
