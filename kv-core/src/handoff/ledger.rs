//! The numbers of kept hints and of their bytes: per target and partition, per target, and for all
//! targets together.
//!
//! They are those of the hints on the disk: what a hint grows or shrinks by is told with each command,
//! and where that cannot be, as a hint could not be read, the rest is counted anew. So they differ only
//! by the commands that are under way.
//!
//! Invariants: no entry has a count of zero; the sums are those of the entries.

use alloc::collections::BTreeMap;
use core::ops::Bound;

use crate::store::{HintGrowth, KeptHints};
use crate::types::{NodeId, PartitionId};

/// The amounts of kept hints, by target.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    pub(super) accounts: BTreeMap<NodeId, Account>,
    pub(super) total: Amount,
}

/// A number of hints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Amount {
    pub(super) count: u64,
    pub(super) bytes: u64,
}

/// The amount of hints kept for one target.
#[derive(Clone, Debug, Default)]
pub(super) struct Account {
    pub(super) partitions: BTreeMap<PartitionId, Amount>,
    pub(super) total: Amount,
}

impl Ledger {
    /// The amount of hints kept for all targets.
    pub(super) const fn total(&self) -> Amount {
        self.total
    }

    /// The amount of hints kept for one target.
    pub(super) fn of(&self, target: NodeId) -> Amount {
        self.accounts.get(&target).map_or(Amount::default(), |account| account.total)
    }

    /// The targets for which hints are kept.
    pub(super) fn targets(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.accounts.keys().copied()
    }

    /// The partitions in which something is kept for this target.
    pub(super) fn partitions_of(&self, target: NodeId) -> impl Iterator<Item = PartitionId> + '_ {
        let account = self.accounts.get(&target).into_iter();
        account.flat_map(|account| account.partitions.keys().copied())
    }

    /// The amounts of all targets and partitions.
    pub(super) fn entries(&self) -> impl Iterator<Item = KeptHints> + '_ {
        self.accounts.iter().flat_map(|(&target, account)| {
            let amounts = account.partitions.iter();
            amounts.map(move |(&partition, &Amount { count, bytes })| KeptHints {
                partition,
                target,
                count,
                bytes,
            })
        })
    }

    /// The first partition behind `after`, or else the first of all, in which something is kept
    /// for this target.
    pub(super) fn partition_after(
        &self,
        target: NodeId,
        after: Option<PartitionId>,
    ) -> Option<PartitionId> {
        let partitions = &self.accounts.get(&target)?.partitions;
        let behind = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut candidates =
            partitions.range((behind, Bound::Unbounded)).chain(partitions.iter().take(1));
        candidates.next().map(|(&partition, _)| partition)
    }

    /// Counts what lies in the store at start.
    pub(super) fn load(&mut self, kept: &KeptHints) {
        let KeptHints { partition, target, count, bytes } = *kept;
        self.change(target, partition, |amount| Amount {
            count: amount.count + count,
            bytes: amount.bytes + bytes,
        });
    }

    /// Counts a hint that was added, or that changed; so there is at least one.
    pub(super) fn grow(&mut self, target: NodeId, partition: PartitionId, growth: HintGrowth) {
        self.change(target, partition, |amount| Amount {
            count: (amount.count + u64::from(growth.added)).max(1),
            bytes: amount.bytes.saturating_add_signed(growth.bytes),
        });
    }

    /// Counts the hints for one target in one partition anew.
    pub(super) fn recount(&mut self, kept: &KeptHints) {
        let KeptHints { partition, target, count, bytes } = *kept;
        self.change(target, partition, |_| Amount { count, bytes });
    }

    /// Counts hints that were deleted.
    pub(super) fn shrink(&mut self, target: NodeId, partition: PartitionId, by: Amount) {
        self.change(target, partition, |amount| Amount {
            count: amount.count.saturating_sub(by.count),
            bytes: amount.bytes.saturating_sub(by.bytes),
        });
    }

    /// Learns that nothing is kept.
    pub(super) fn clear(&mut self, target: NodeId, partition: PartitionId) {
        self.change(target, partition, |_| Amount::default());
    }

    fn change(
        &mut self,
        target: NodeId,
        partition: PartitionId,
        change: impl FnOnce(Amount) -> Amount,
    ) {
        let account = self.accounts.entry(target).or_default();
        let before = account.partitions.get(&partition).copied().unwrap_or_default();
        let mut after = change(before);
        if after.count == 0 {
            after = Amount::default();
            account.partitions.remove(&partition);
        } else {
            account.partitions.insert(partition, after);
        }
        account.total = account.total.replaced(before, after);
        self.total = self.total.replaced(before, after);
        if account.partitions.is_empty() {
            self.accounts.remove(&target);
        }
    }
}

impl Amount {
    /// This sum, with one of its parts replaced.
    const fn replaced(self, before: Self, after: Self) -> Self {
        Self {
            count: self.count - before.count + after.count,
            bytes: self.bytes - before.bytes + after.bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: NodeId = NodeId(7);

    fn one(bytes: i64) -> HintGrowth {
        HintGrowth { target: TARGET, added: true, bytes }
    }

    #[test]
    fn sums_follow_growth_and_loss() {
        let mut ledger = Ledger::default();
        ledger.load(&KeptHints { partition: PartitionId(1), target: TARGET, count: 2, bytes: 50 });
        ledger.grow(TARGET, PartitionId(2), one(10));
        ledger.grow(TARGET, PartitionId(2), HintGrowth { target: TARGET, added: false, bytes: 5 });
        ledger.grow(NodeId(8), PartitionId(2), one(1));
        assert_eq!(ledger.of(TARGET), Amount { count: 3, bytes: 65 });
        assert_eq!(ledger.total(), Amount { count: 4, bytes: 66 });
        ledger.shrink(TARGET, PartitionId(1), Amount { count: 1, bytes: 20 });
        assert_eq!(ledger.of(TARGET), Amount { count: 2, bytes: 45 });
    }

    #[test]
    fn what_was_miscounted_is_forgotten_with_the_last_hint() {
        let mut ledger = Ledger::default();
        ledger.grow(TARGET, PartitionId(1), one(10));
        ledger.shrink(TARGET, PartitionId(1), Amount { count: 1, bytes: 4 });
        assert_eq!((ledger.of(TARGET), ledger.total()), (Amount::default(), Amount::default()));
        assert_eq!(ledger.targets().next(), None);
        ledger.shrink(TARGET, PartitionId(1), Amount { count: 9, bytes: 9 });
        assert_eq!(ledger.total(), Amount::default());
    }

    #[test]
    fn partitions_take_turns() {
        let mut ledger = Ledger::default();
        ledger.grow(TARGET, PartitionId(1), one(1));
        ledger.grow(TARGET, PartitionId(5), one(1));
        assert_eq!(ledger.partition_after(TARGET, None), Some(PartitionId(1)));
        assert_eq!(ledger.partition_after(TARGET, Some(PartitionId(1))), Some(PartitionId(5)));
        assert_eq!(ledger.partition_after(TARGET, Some(PartitionId(5))), Some(PartitionId(1)));
        assert_eq!(ledger.partition_after(NodeId(9), None), None);
    }
}
