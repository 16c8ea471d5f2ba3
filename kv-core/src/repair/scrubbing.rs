//! The order in which a node reads all that it holds, part by part, to find corruption.

use super::Repair;
use crate::cx::{Cx, NodeContext};
use crate::merkle::LeafId;
use crate::store::{Refusal, RepairCommand};
use crate::types::PartitionId;

/// The most partitions read in a round. Many are small, or empty but for their markers.
pub(super) const PARTITIONS_PER_ROUND: u32 = 8;

/// The progress of the reading, which goes in a circle, for ever.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Scrubbing {
    /// The partition that was read last.
    pub(super) partition: Option<PartitionId>,
    /// The leaf at which to go on in that partition; nothing, if all of it was read.
    pub(super) from: Option<LeafId>,
    /// The number of partitions that are still to be read in this round.
    pub(super) left: u32,
    pub(super) is_reading: bool,
}

impl Repair {
    /// Reads on, with this round's share. What is left of the last round's is forgotten.
    pub(super) fn scrub(&mut self, cx: &mut Cx<'_>, local: &NodeContext) {
        self.scrubbing.left = PARTITIONS_PER_ROUND;
        self.scrub_next(cx, local);
    }

    /// A part was read. The next round goes on within a partition that is larger than a round's share.
    pub(super) fn on_scrubbed(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        result: Result<Option<LeafId>, Refusal>,
    ) {
        self.scrubbing.is_reading = false;
        self.scrubbing.from = result.ok().flatten();
        if self.scrubbing.from.is_none() {
            self.scrub_next(cx, local);
        }
    }

    fn scrub_next(&mut self, cx: &mut Cx<'_>, local: &NodeContext) {
        let Scrubbing { partition, from, left, is_reading } = &mut self.scrubbing;
        if *is_reading || *left == 0 {
            return;
        }
        if from.is_none() {
            *partition = next_owned(local, *partition);
        }
        let Some(partition) = *partition else { return };
        *left -= 1;
        *is_reading = true;
        let (from, bytes) = (from.unwrap_or_default(), local.config.scrub_batch_bytes);
        self.access.store(cx, partition, RepairCommand::Scrub { from, bytes });
    }
}

/// The first partition behind this one, in a circle, that this node owns.
fn next_owned(local: &NodeContext, last: Option<PartitionId>) -> Option<PartitionId> {
    let owned = local.topology().owned_by(local.me());
    let behind = last.map_or(0, |last| owned.partition_point(|&partition| partition <= last));
    owned.get(behind).or(owned.first()).copied()
}
