//! The promise that an acknowledged write was given, and the part of it that still stands.

use kv_core::client::Achieved;
use kv_core::quorum::Mode;
use kv_core::tally::Nodes;
use kv_core::time::Time;
use kv_core::types::NodeId;

use super::counted_sets::CountedSets;
use super::datacenters::Datacenters;

/// The promise that a write was given.
#[derive(Clone, Debug)]
pub(super) struct GivenAck {
    /// The time at which the promise was given.
    pub(super) at: Time,
    /// The promise's place among all that the checks were told.
    pub(super) step: u64,
    /// The mode, which says whose copies count.
    pub(super) mode: Mode,
    /// The durable copies that were asked for.
    pub(super) quorum: CountedSets,
    /// The owners that were reported to hold the write durably, then the fallbacks.
    holders: Nodes,
    owners: u16,
}

/// The part of a promise that still stands after faults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Standing {
    /// The whole promise stands.
    #[default]
    Whole,
    /// The write must not be lost, but a quorum may miss it.
    Weak,
    /// Every durable copy was destroyed.
    Excused,
}

impl GivenAck {
    /// Creates a promise of this time and step, with what was asked for and who reported to hold it
    /// durably.
    pub(super) fn new(
        (at, step): (Time, u64),
        (mode, quorum): (Mode, &CountedSets),
        achieved: &Achieved,
    ) -> Self {
        let Achieved { owners, fallbacks, machines: _ } = achieved;
        let holders = owners.iter().chain(fallbacks).copied().collect();
        let owners = u16::try_from(owners.len()).expect("a key has few owners");
        Self { at, step, mode, quorum: quorum.clone(), holders, owners }
    }

    /// The owners that were reported to hold the write durably.
    pub(super) fn owners(&self) -> &[NodeId] {
        &self.holders[..self.owners.into()]
    }

    /// The fallbacks that were reported to hold the write durably.
    pub(super) fn fallbacks(&self) -> &[NodeId] {
        &self.holders[self.owners.into()..]
    }

    /// Tells whether strict reads of these owners must meet the write, if they begin at this step.
    pub(super) fn binds(&self, step: u64, reads: &CountedSets, datacenters: &Datacenters) -> bool {
        let is_earlier = self.mode == Mode::Strict && self.step < step;
        is_earlier && reads.meet(&self.quorum, datacenters)
    }
}
