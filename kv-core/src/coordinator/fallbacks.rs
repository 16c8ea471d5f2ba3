//! The fallbacks of one operation, and the owners for which each was asked.

use alloc::vec::Vec;

use crate::cx::NodeContext;
use crate::types::{NodeId, PartitionId};

/// The fallbacks of one operation: nodes further along the ring that seem up.
#[derive(Clone, Debug, Default)]
pub(super) struct Fallbacks {
    /// The nodes that can be fallbacks; looked up only when the first is needed, as most operations
    /// need none.
    pub(super) candidates: Option<Vec<NodeId>>,
    pub(super) assigned: Vec<Assignment>,
}

/// A fallback that was asked in the place of an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Assignment {
    pub(super) owner: NodeId,
    pub(super) fallback: NodeId,
}

impl Fallbacks {
    /// Assigns the next fallback to an owner: clockwise, as every coordinator does, so that a
    /// reader asks those that a writer has used. A node with no owner yet is preferred; a second
    /// owner is better than no fallback.
    pub(super) fn assign(
        &mut self,
        local: &NodeContext,
        partition: PartitionId,
        owner: NodeId,
    ) -> Option<NodeId> {
        let candidates = self.candidates.get_or_insert_with(|| {
            local.topology().fallbacks(partition).filter(|&node| local.is_up(node)).collect()
        });
        let is_free = |&&node: &&NodeId| self.assigned.iter().all(|one| one.fallback != node);
        let is_new =
            |&&node: &&NodeId| !self.assigned.contains(&Assignment { owner, fallback: node });
        let mut in_order = candidates.iter();
        let fallback = *in_order.find(is_free).or_else(|| candidates.iter().find(is_new))?;
        self.assigned.push(Assignment { owner, fallback });
        Some(fallback)
    }

    /// Notes that a node is the fallback of an owner without being the next one: a minter that was
    /// chosen otherwise, or a coordinator that keeps a hint as nobody else is left to.
    pub(super) fn note(&mut self, owner: NodeId, fallback: NodeId) {
        self.assigned.push(Assignment { owner, fallback });
    }

    /// The assignments in the order in which the fallbacks were asked.
    pub(super) fn assigned(&self) -> &[Assignment] {
        &self.assigned
    }

    /// Tells whether a node is the fallback of more than one owner.
    pub(super) fn is_shared(&self, fallback: NodeId) -> bool {
        self.owners_of(fallback).count() > 1
    }

    /// The owners of which a node is the fallback, in the order in which it was asked.
    pub(super) fn owners_of(&self, fallback: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.assigned.iter().filter(move |one| one.fallback == fallback).map(|one| one.owner)
    }

    /// The first owner for which a node was asked as a fallback.
    pub(super) fn owner_of(&self, fallback: NodeId) -> Option<NodeId> {
        self.owners_of(fallback).next()
    }

    /// The fallbacks of an owner, in the order in which they were asked.
    pub(super) fn of(&self, owner: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.assigned.iter().filter(move |one| one.owner == owner).map(|one| one.fallback)
    }
}
