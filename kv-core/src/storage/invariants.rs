//! The invariants of what storage keeps in memory between two commands.
//!
//! That the tree counts nothing of a corrupt key is not checked here, as it takes a walk through
//! the records of its leaf.

use super::minter::Minter;
use super::partitions::{PartitionState, Partitions};
use super::recent::RecentRequests;
use crate::types::{NodeId, PartitionId};

impl Partitions {
    /// Checks what is kept in memory of one partition: the one that a command was executed in.
    ///
    /// # Panics
    /// If what must hold does not.
    pub fn invariants(&self, partition: PartitionId) {
        let Self { node, recent_requests: _, states } = self;
        let state = states.get(partition.0 as usize).and_then(Option::as_deref);
        if let Some(state) = state {
            assert!(state.partition == partition, "{partition:?} has the state of another one");
            assert!(state.node == *node, "{partition:?} has the state of another node");
            assert!(states.len() == state.partitions as usize, "the ring has other partitions");
            state.invariants();
        }
    }
}

impl PartitionState {
    fn invariants(&self) {
        let Self {
            node,
            partition,
            partitions,
            owner,
            fallback,
            recent,
            tree,
            complete: _,
            corrupt,
            corruptions,
        } = self;
        tree.invariants();
        recent.invariants();
        owner.invariants(*node);
        fallback.invariants(*node);
        let epochs = (owner.epoch, fallback.epoch);
        assert!(
            epochs.0.is_none() || epochs.0 != epochs.1,
            "a node mints as an owner and as a fallback under one actor"
        );
        let bits = partitions.ilog2();
        for (key, corruption) in corrupt {
            assert!(
                corruption.number <= *corruptions,
                "corrupt {key:?} has a number that was not given out"
            );
            // A shift by all bits of a token is none: a ring of one partition.
            let at = key.token().0.checked_shr(u128::BITS - bits).unwrap_or_default();
            assert!(at == u128::from(partition.0), "corrupt {key:?} is not of {partition:?}");
        }
    }
}

impl Minter {
    fn invariants(&self, owner: NodeId) {
        let Self { node, epoch, minted, reason: _ } = self;
        assert!(*node == owner, "dots are minted in the name of {node:?}");
        assert!(epoch.is_some() == (*minted > 0), "{minted} events were minted in epoch {epoch:?}");
    }
}

impl RecentRequests {
    fn invariants(&self) {
        self.dots.invariants();
    }
}
