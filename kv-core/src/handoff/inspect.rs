//! The hints that a node keeps, and the state of their replay, for people.

use alloc::vec::Vec;

use super::{Handoff, ReplayTurn, Stale};
use crate::deadline::{Deadline, Reason};
use crate::store::KeptHints;
use crate::time::Time;
use crate::types::{NodeId, PartitionId};

/// The hints of one node, as it counts them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandoffSnapshot {
    /// The hints by target, in the order of the targets.
    pub kept: Vec<KeptSnapshot>,
    /// The owners that are stale in a partition, as no hint brings what they lack.
    pub stale: Vec<Stale>,
}

/// The hints that are kept for one target, and their replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptSnapshot {
    /// The owner that the hints are for.
    pub target: NodeId,
    /// The number of hints.
    pub hints: u64,
    /// The size of the hints, in bytes.
    pub bytes: u64,
    /// The partitions that the hints belong to.
    pub partitions: Vec<PartitionId>,
    /// The number of failed deliveries in a row.
    pub failures: u32,
    /// The state of the replay to the target.
    pub replay: ReplaySnapshot,
}

/// The state of the replay to one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplaySnapshot {
    /// The replay rests until the next batch may be begun.
    Rests {
        /// The time at which it may be begun, by the node's monotonic clock.
        until: Time,
    },
    /// The storage reads or deletes hints.
    AtStore,
    /// A delivery is on its way.
    Delivers {
        /// The partition of the delivered hints.
        partition: PartitionId,
        /// The number of delivered hints.
        hints: usize,
        /// The nodes that have not said yet that the hints are durable.
        waits_for: Vec<NodeId>,
        /// The time at which the delivery is given up, by the node's monotonic clock.
        until: Time,
    },
}

impl Handoff {
    /// The hints that are kept now.
    pub fn inspect(&self) -> HandoffSnapshot {
        let kept = self.replays.iter().map(|(&target, replay)| {
            let amount = self.ledger.of(target);
            KeptSnapshot {
                target,
                hints: amount.count,
                bytes: amount.bytes,
                partitions: self.ledger.partitions_of(target).collect(),
                failures: replay.failures,
                replay: self.inspect_turn(replay.turn),
            }
        });
        HandoffSnapshot { kept: kept.collect(), stale: self.stale().collect() }
    }

    /// The hints that are counted, by target and then by partition.
    pub fn counted(&self) -> impl Iterator<Item = KeptHints> + '_ {
        self.ledger.entries()
    }

    /// The open deadlines: one per target that is not at the store.
    pub fn deadlines(&self) -> impl Iterator<Item = Deadline> + '_ {
        self.replays.iter().filter_map(|(&target, replay)| match replay.turn {
            ReplayTurn::Rests { until } => {
                let reason = Reason::HintReplay { target };
                Some(Deadline { at: until.max(self.pace_at), reason })
            }
            ReplayTurn::AtStore => None,
            ReplayTurn::Delivers { delivery: _, until } => {
                Some(Deadline { at: until, reason: Reason::HintTimeout { target } })
            }
        })
    }

    fn inspect_turn(&self, turn: ReplayTurn) -> ReplaySnapshot {
        match turn {
            ReplayTurn::Rests { until } => ReplaySnapshot::Rests { until: until.max(self.pace_at) },
            ReplayTurn::AtStore => ReplaySnapshot::AtStore,
            ReplayTurn::Delivers { delivery, until } => match self.deliveries.get(delivery) {
                None => ReplaySnapshot::AtStore,
                Some(delivery) => ReplaySnapshot::Delivers {
                    partition: delivery.partition,
                    hints: delivery.items.len(),
                    waits_for: delivery.waits_for.iter().copied().collect(),
                    until,
                },
            },
        }
    }
}
