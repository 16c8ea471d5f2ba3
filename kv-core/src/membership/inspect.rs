//! What a node knows of the other members, and whether it thinks them up, for people.

use alloc::vec::Vec;

use super::peer::Peer;
use super::{Membership, Timetable};
use crate::deadline::{Deadline, Reason};
use crate::time::{Span, Time};
use crate::types::{Generation, NodeId};

/// A node's view of the membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MembershipSnapshot {
    /// The generation of this node's run.
    pub generation: Generation,
    /// The number of times that this run has raised its heartbeat.
    pub heartbeat: u64,
    /// The time until which nobody is convicted, as the node itself stood still; none if that is
    /// over.
    pub lenient_until: Option<Time>,
    /// The other members, in the order of their ids.
    pub peers: Vec<PeerSnapshot>,
}

/// One peer as a node sees it: its newest heartbeat, its silence, and whether it seems up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerSnapshot {
    /// The peer's id.
    pub node: NodeId,
    /// The generation of the peer's run, as far as known; 0 if nothing is.
    pub generation: Generation,
    /// The newest known heartbeat of that run.
    pub heartbeat: u64,
    /// Tells whether the peer seems to be up.
    pub seems_up: bool,
    /// The time for which the peer has been silent.
    pub silence: Span,
    /// The longest silence of the peer that is not suspect: beyond it, φ exceeds 8.
    pub timeout: Span,
    /// The mean time between two heartbeats of the peer.
    pub gap_mean: Span,
    /// The standard deviation of the time between two heartbeats of the peer.
    pub gap_deviation: Span,
}

impl Membership {
    /// The membership as this node sees it now.
    pub fn inspect(&self, now: Time) -> MembershipSnapshot {
        let lenient = self.timetable.map(|timetable| timetable.lenient_until);
        MembershipSnapshot {
            generation: self.own.stamp.generation,
            heartbeat: self.own.stamp.heartbeat,
            lenient_until: lenient.filter(|&until| until > now),
            peers: self.peers.iter().map(|peer| peer.inspect(now)).collect(),
        }
    }

    /// The open deadlines: the next gossip turn, and a conviction if one comes before it.
    pub fn deadlines(&self) -> impl Iterator<Item = Deadline> + '_ {
        let (turn, judge_at) = match self.timetable {
            None => (Time(0), None),
            Some(Timetable { rounds, judge_at, lenient_until: _ }) => (rounds.next(), judge_at),
        };
        let conviction = judge_at.map(|at| {
            let suspects = self.peers.iter();
            let first = suspects.filter_map(|peer| Some((peer.suspect_before(turn)?, peer.id)));
            Deadline { at, reason: Reason::Conviction { peer: first.min().map(|(_, peer)| peer) } }
        });
        [Deadline { at: turn, reason: Reason::GossipTurn }].into_iter().chain(conviction)
    }
}

impl Peer {
    fn inspect(&self, now: Time) -> PeerSnapshot {
        PeerSnapshot {
            node: self.id,
            generation: self.state.stamp.generation,
            heartbeat: self.state.stamp.heartbeat,
            seems_up: self.seems_up,
            silence: now.since(self.silent_since()),
            timeout: self.gaps.timeout(),
            gap_mean: self.gaps.mean(),
            gap_deviation: self.gaps.deviation(),
        }
    }
}
