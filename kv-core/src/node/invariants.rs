//! What holds of a node between two inputs: of each of its machines, and of what they know of each
//! other.
//!
//! Whatever breaks is a fault of this crate or of its driver, never of a peer that speaks the
//! protocol. The simulator calls this after every input; a real node does not.

use alloc::collections::BTreeSet;

use super::{Node, Readiness};
use crate::message::gossip::{Behind, Incomplete, StateKey};
use crate::types::{NodeId, PartitionId};

impl Node {
    /// Checks everything that must hold between two inputs.
    ///
    /// # Panics
    /// If something does not; the message says what.
    pub fn invariants(&self) {
        let Self {
            local,
            founding,
            coordinator,
            membership,
            replica,
            handoff,
            repair,
            recall,
            state,
            corrupt_at_start: _,
            behind: _,
            said_complete: _,
            said_log: _,
            own_messages: _,
        } = self;
        founding.invariants(local);
        coordinator.invariants(local);
        membership.invariants(local);
        replica.invariants();
        handoff.invariants();
        repair.invariants(local);
        recall.invariants(local);

        assert!(
            local.identity.cluster == founding.cluster(),
            "the node speaks for another cluster than was founded"
        );
        assert!(!coordinator.has_gathered(), "what was gathered of a corrupt key was left lying");
        match state {
            Readiness::Serving | Readiness::Stopping => {}
            Readiness::Failed => {
                assert!(coordinator.is_empty(), "a node whose disk failed goes on with operations");
            }
        }
        if !founding.is_founded() {
            assert!(coordinator.is_empty(), "a node serves before the cluster is founded");
            assert!(!repair.is_comparing(), "a node compares itself before the cluster is founded");
        }
        self.check_deadlines();
        self.check_partitions();
        self.check_opinions();
        self.check_what_is_said();
    }

    /// Checks that the deadline that the node names is the earliest of all that are open, and that
    /// there is one as long as the node may have something to do.
    fn check_deadlines(&self) {
        let named = self.next_deadline();
        let earliest = self.open_deadlines().map(|deadline| deadline.at).min();
        assert!(
            named == earliest,
            "the node names {named:?}, and wants to be called at {earliest:?}"
        );
        assert!(
            named.is_some() || self.state == Readiness::Failed,
            "a node that serves is never called again"
        );
    }

    /// Checks that no more is complete than is owned. That each complete partition is owned, and
    /// that an owner's data lies in no other, is asserted where they change: a node may own
    /// thousands of partitions, and a walk through them after every input took most of a run.
    fn check_partitions(&self) {
        let (complete, owned) =
            (&self.local.complete, self.local.topology().owned_by(self.local.me()));
        assert!(
            complete.len() <= owned.len(),
            "{} partitions are complete, and {} are owned",
            complete.len(),
            owned.len()
        );
    }

    /// Checks that what all machines read is what the membership thinks.
    fn check_opinions(&self) {
        let down: BTreeSet<NodeId> = self.membership.down().collect();
        assert!(
            down == self.local.peers.down,
            "the membership takes {down:?} for down, and the node {:?}",
            self.local.peers.down
        );
    }

    /// Checks that what the node says of itself in gossip is true.
    fn check_what_is_said(&self) {
        let me = self.local.me();
        let own = |key: StateKey| {
            self.membership.states(key).find(|&(node, _)| node == me).map(|(_, value)| value)
        };
        let said = own(StateKey::BEHIND).map(|value| Behind::decode(value)).unwrap_or_default();
        assert!(said == self.behind, "the node says {said:?} and means {:?}", self.behind);
        // What lies in the store at start is said from the first deadline on.
        if self.repair.has_begun() {
            let stale = self.handoff.stale().filter(|stale| self.local.owns(stale.partition));
            let targets = stale.map(|stale| stale.target).chain(self.handoff.targets_pending());
            let behind: BTreeSet<NodeId> = targets.collect();
            assert!(
                behind.iter().eq(&self.behind.0),
                "{behind:?} may lack writes, and the node says so of {:?}",
                self.behind.0
            );
        }
        let owned = self.local.topology().owned_by(me);
        let complete = self.local.complete.len();
        if complete < owned.len() && self.said_complete == Some(complete) {
            let said = own(StateKey::INCOMPLETE).map(|value| Incomplete::decode(value));
            let said: BTreeSet<PartitionId> =
                said.iter().flat_map(|said| said.partitions(owned)).collect();
            let is_said = |at: &PartitionId| said.contains(at) || self.local.complete.contains(at);
            assert!(owned.iter().all(is_said), "the node does not say all that it has yet to copy");
        }
    }
}
