//! For whom hints are kept and how far their replay is, for people.

use alloc::vec::Vec;

use super::{Handoff, Stale, Turn};
use crate::deadline::{Deadline, Reason};
use crate::time::Time;
use crate::types::{NodeId, PartitionId};

/// The hints of one node, as it counts them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandoffSnapshot {
    /// By target.
    pub kept: Vec<KeptSnapshot>,
    /// Who lacks something that no hint will bring.
    pub stale: Vec<Stale>,
}

/// What is kept for one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptSnapshot {
    /// Whom it is for.
    pub target: NodeId,
    /// How many hints; an upper bound.
    pub hints: u64,
    /// How many bytes, about.
    pub bytes: u64,
    /// In which partitions.
    pub partitions: Vec<PartitionId>,
    /// Failures in a row.
    pub failures: u32,
    /// What its replay is at.
    pub replay: ReplaySnapshot,
}

/// What a replay is at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplaySnapshot {
    /// The next batch may be begun at this time.
    Rests {
        /// By the node's monotonic clock.
        until: Time,
    },
    /// The storage reads or deletes hints.
    AtStore,
    /// A delivery is on its way.
    Delivers {
        /// Of which partition.
        partition: PartitionId,
        /// How many hints.
        hints: usize,
        /// Who has not said yet that they are durable.
        waits_for: Vec<NodeId>,
        /// When it is given up.
        until: Time,
    },
}

impl Handoff {
    /// What is kept now.
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

    /// What it waits for.
    pub fn deadlines(&self) -> impl Iterator<Item = Deadline> + '_ {
        self.replays.iter().filter_map(|(&target, replay)| match replay.turn {
            Turn::Rests { until } => {
                let reason = Reason::HintReplay { target };
                Some(Deadline { at: until.max(self.pace_at), reason })
            }
            Turn::AtStore => None,
            Turn::Delivers { delivery: _, until } => {
                Some(Deadline { at: until, reason: Reason::HintTimeout { target } })
            }
        })
    }

    fn inspect_turn(&self, turn: Turn) -> ReplaySnapshot {
        match turn {
            Turn::Rests { until } => ReplaySnapshot::Rests { until: until.max(self.pace_at) },
            Turn::AtStore => ReplaySnapshot::AtStore,
            Turn::Delivers { delivery, until } => match self.deliveries.get(delivery) {
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
