//! What holds of the membership between two inputs.
//!
//! Nothing is said here of heartbeats beyond the [`Horizon`](super::Horizon): what was within it
//! when it was learned is beyond it as soon as the wall clock steps back by years, and is forgotten
//! only in the next round.

use alloc::collections::BTreeSet;

use super::peer::Peer;
use super::phi::{Estimator, WINDOW};
use super::rounds::Rounds;
use super::state::{NodeState, Stamp};
use super::{Membership, Timetable};
use crate::cx::NodeContext;
use crate::time::Time;
use crate::types::NodeId;

impl Membership {
    /// Checks what is known of the members, and when the membership acts next.
    ///
    /// # Panics
    /// If what must hold does not.
    pub fn invariants(&self, local: &NodeContext) {
        let Self { me, own, raised, peers, partners, timetable } = self;
        assert!(*me == local.me(), "the membership is that of {me:?}, and not of this node");
        assert!(peers.is_sorted_by(|a, b| a.id < b.id), "the peers are not sorted");
        assert!(peers.iter().all(|peer| peer.id != *me), "this node is its own peer");
        // What is set now travels with the next heartbeat.
        own.invariants(*me, 1);
        for peer in peers {
            peer.invariants();
        }
        let distinct: BTreeSet<_> = partners.iter().collect();
        assert!(distinct.len() == partners.len(), "a round talks to a peer twice");
        assert!(partners.len() <= self.fanout(local), "a round talks to more peers than it may");
        assert!(
            partners.iter().all(|&partner| partner != *me && self.slot(partner).is_some()),
            "a round talks to one that is no peer"
        );
        match timetable {
            Some(timetable) => timetable.invariants(),
            None => {
                assert!(*raised == Time(0), "a heartbeat was raised before the first input");
                assert!(partners.is_empty(), "a round was begun before the first input");
                assert!(
                    peers.iter().all(|peer| peer.seems_up && peer.raised.is_none()),
                    "something was heard of a peer before the first input"
                );
            }
        }
    }

    /// The peers that seem to be down.
    pub fn down(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.peers.iter().filter(|peer| !peer.seems_up).map(|peer| peer.id)
    }
}

impl Timetable {
    fn invariants(&self) {
        let Self { rounds, judge_at, lenient_until } = *self;
        rounds.invariants();
        if let Some(judge_at) = judge_at {
            assert!(judge_at < rounds.next(), "who is judged at a turn is judged before it too");
            assert!(judge_at >= lenient_until, "somebody is to be convicted after a stall");
        }
    }
}

impl Rounds {
    fn invariants(&self) {
        let Self { step, turns, first, next, begun } = *self;
        assert!(step.0 > 0 && turns > 0, "turns follow each other without a pause");
        assert!(next >= first, "the next turn lies before the first");
        // The round of the turn that was taken last is the newest that was begun.
        let newest = next.since(first).0 / step.0 / turns + 1;
        assert!(begun <= newest, "round {begun} was begun, and the clock is in round {newest}");
    }
}

impl Peer {
    fn invariants(&self) {
        let Self { id, state, seems_up: _, gaps, raised, listening_since: _ } = self;
        state.invariants(*id, 0);
        gaps.invariants(*id);
        assert!(
            raised.is_some() || state.stamp == Stamp::default(),
            "a heartbeat of {id:?} is known, and not when it was raised"
        );
    }
}

impl NodeState {
    /// `ahead` is how far the version of a state may be ahead of the heartbeat.
    fn invariants(&self, node: NodeId, ahead: u64) {
        let Self { stamp: Stamp { generation: _, heartbeat }, states } = self;
        let version_max = heartbeat.saturating_add(ahead);
        for (key, state) in states {
            assert!(
                state.version <= version_max,
                "state {key:?} of {node:?} is newer than the heartbeat that brought it"
            );
        }
    }
}

impl Estimator {
    /// The bounds that keep its arithmetic from overflowing.
    fn invariants(&self, node: NodeId) {
        let Self { mean_scaled, variance_scaled, variance_min } = *self;
        assert!(mean_scaled < WINDOW << 32, "the mean gap of {node:?} is beyond its bound");
        let bound = u128::from(WINDOW) << 64;
        assert!(variance_scaled < bound, "the variance of {node:?} is beyond its bound");
        assert!(variance_min < 1 << 64, "the least variance of {node:?} is beyond its bound");
    }
}
