//! Which part of what this node holds is read next, to find damage.

use core::ops::Bound;

use super::{Errand, Repair};
use crate::cx::{Cx, Site};
use crate::merkle::LeafId;
use crate::store::{Action, Done, Refusal};
use crate::types::{Digest, PartitionId};

/// How far the reading has come. It goes in a circle, for ever.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Scrubbing {
    /// The partition that was read last.
    partition: PartitionId,
    /// Where it is to be gone on with; nothing, if all of it was read.
    from: Option<LeafId>,
    is_reading: bool,
}

impl Repair {
    /// Reads on, unless the storage is still at it.
    pub(super) fn scrub(&mut self, cx: &mut Cx<'_>, site: &Site) {
        if self.scrubbing.is_reading {
            return;
        }
        let from = self.scrubbing.from.unwrap_or_default();
        if self.scrubbing.from.is_none() {
            let Some(next) = next_filled(site, self.scrubbing.partition) else { return };
            self.scrubbing.partition = next;
        }
        self.scrubbing.is_reading = true;
        let action = Action::Scrub { from, bytes: site.config.scrub_batch_bytes };
        self.bench.store(cx, Errand::Scrub, self.scrubbing.partition, action);
    }

    pub(super) fn on_scrubbed(&mut self, result: Result<Done, Refusal>) {
        self.scrubbing.is_reading = false;
        self.scrubbing.from = match result {
            Ok(Done::Scrubbed { next }) => next,
            Ok(other) => panic!("leaves were to be read, not {other:?}"),
            Err(_) => None,
        };
    }
}

/// The first partition behind this one, in a circle, in which anything is held.
fn next_filled(site: &Site, partition: PartitionId) -> Option<PartitionId> {
    let behind = site.roots.range((Bound::Excluded(partition), Bound::Unbounded));
    let mut in_circle = behind.chain(&site.roots);
    in_circle.find(|(_, root)| **root != Digest::default()).map(|(&partition, _)| partition)
}
