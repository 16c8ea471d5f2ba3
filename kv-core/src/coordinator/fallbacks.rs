//! Who is the fallback of whom in one operation.

use alloc::vec::Vec;

use crate::cx::NodeContext;
use crate::types::{NodeId, PartitionId};

/// The fallbacks of one operation: nodes further along the ring that seem up.
#[derive(Clone, Debug, Default)]
pub(super) struct Fallbacks {
    /// Not looked up before the first is needed: most operations need none.
    candidates: Option<Vec<NodeId>>,
    assigned: Vec<Assignment>,
}

/// A fallback that was asked in the place of an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Assignment {
    pub(super) owner: NodeId,
    pub(super) fallback: NodeId,
}

impl Fallbacks {
    /// The next fallback for this owner: clockwise, as every coordinator looks for them, so that a
    /// reader asks those that a writer has used. One that nobody needs yet is preferred; a
    /// second place is better than none.
    pub(super) fn assign(
        &mut self,
        local: &NodeContext,
        partition: PartitionId,
        owner: NodeId,
    ) -> Option<NodeId> {
        let candidates = self.candidates.get_or_insert_with(|| {
            local.ring().fallbacks(partition).filter(|&node| local.is_up(node)).collect()
        });
        let is_free = |&&node: &&NodeId| self.assigned.iter().all(|one| one.fallback != node);
        let is_new =
            |&&node: &&NodeId| !self.assigned.contains(&Assignment { owner, fallback: node });
        let mut in_order = candidates.iter();
        let fallback = *in_order.find(is_free).or_else(|| candidates.iter().find(is_new))?;
        self.assigned.push(Assignment { owner, fallback });
        Some(fallback)
    }

    /// Says that this node is the fallback of this owner: a minter that was found otherwise, or a
    /// coordinator that is an owner itself and keeps what nobody else is left to keep.
    pub(super) fn note(&mut self, owner: NodeId, fallback: NodeId) {
        self.assigned.push(Assignment { owner, fallback });
    }

    /// Who was asked in whose place, in the order in which they were.
    pub(super) fn assigned(&self) -> &[Assignment] {
        &self.assigned
    }

    /// Whether this node was asked in more places than one.
    pub(super) fn is_shared(&self, fallback: NodeId) -> bool {
        self.owners_of(fallback).count() > 1
    }

    /// All for whom this node was asked.
    pub(super) fn owners_of(&self, fallback: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.assigned.iter().filter(move |one| one.fallback == fallback).map(|one| one.owner)
    }

    /// For whom this node was asked first.
    pub(super) fn owner_of(&self, fallback: NodeId) -> Option<NodeId> {
        self.owners_of(fallback).next()
    }

    /// Those that were asked in the place of this owner.
    pub(super) fn of(&self, owner: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.assigned.iter().filter(move |one| one.owner == owner).map(|one| one.fallback)
    }
}
