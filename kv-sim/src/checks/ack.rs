//! The promise that an acknowledged write was given, and the part of it that still stands.

use kv_core::client::Achieved;
use kv_core::quorum::Mode;
use kv_core::tally::Nodes;
use kv_core::time::Time;
use kv_core::types::NodeId;

/// The promise that a write was given.
#[derive(Clone, Debug)]
pub(super) struct GivenAck {
    /// The time at which the promise was given.
    pub(super) at: Time,
    /// The promise's place among all that the checks were told.
    pub(super) step: u64,
    /// The mode, which says whose copies count.
    pub(super) mode: Mode,
    /// The number of durable copies that were asked for, if that could be told.
    quorum: Option<u16>,
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
        (mode, quorum): (Mode, Option<usize>),
        achieved: &Achieved,
    ) -> Self {
        let Achieved { owners, fallbacks, machines: _ } = achieved;
        let few = |number: usize| u16::try_from(number).expect("a key has few owners");
        let holders = owners.iter().chain(fallbacks).copied().collect();
        Self { at, step, mode, quorum: quorum.map(few), holders, owners: few(owners.len()) }
    }

    /// The owners that were reported to hold the write durably.
    pub(super) fn owners(&self) -> &[NodeId] {
        &self.holders[..self.owners.into()]
    }

    /// The fallbacks that were reported to hold the write durably.
    pub(super) fn fallbacks(&self) -> &[NodeId] {
        &self.holders[self.owners.into()..]
    }

    /// The number of durable copies that were asked for, if that could be told.
    pub(super) fn quorum(&self) -> Option<usize> {
        self.quorum.map(usize::from)
    }
}
