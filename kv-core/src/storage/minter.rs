//! Actors: who mints in a partition, and when it must take a new name.
//!
//! An actor may mint for a key only while its store holds, standing or covered, all that it minted
//! for that key (semantics.md §1). Whenever that may no longer be so, the epoch is forgotten, and the
//! next mint draws a fresh one. The counter lives in memory only, so a process start always draws.

use crate::event::EpochReason;
use crate::types::{Epoch, NodeId};
use crate::version::{Actor, Dot, VersionVector};

/// One role's actor in one partition.
#[derive(Clone, Debug)]
pub(super) struct Minter {
    pub(super) node: NodeId,
    pub(super) epoch: Option<Epoch>,
    pub(super) minted: u64,
    pub(super) reason: EpochReason,
}

impl Minter {
    pub(super) const fn new(node: NodeId) -> Self {
        Self { node, epoch: None, minted: 0, reason: EpochReason::Start }
    }

    /// Gives up the epoch: something that was minted in it may be lost.
    pub(super) const fn forget(&mut self, reason: EpochReason) {
        self.epoch = None;
        self.minted = 0;
        self.reason = reason;
    }

    /// A second line of defence: gives up the epoch if somebody knows an event of this actor which
    /// it does not remember.
    pub(super) fn look_at(&mut self, seen: &VersionVector) {
        let Some(epoch) = self.epoch else { return };
        if seen.get(Actor { node: self.node, epoch }) > self.minted {
            self.forget(EpochReason::Ahead);
        }
    }

    /// The next dot; and, if an epoch had to be drawn for it, why.
    pub(super) fn mint(&mut self, spare: Epoch) -> (Dot, Option<EpochReason>) {
        let drawn = self.epoch.is_none().then_some(self.reason);
        let epoch = *self.epoch.get_or_insert(spare);
        self.minted += 1;
        (Dot { actor: Actor { node: self.node, epoch }, n: self.minted }, drawn)
    }
}
