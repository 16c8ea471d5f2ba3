//! What a node knows and thinks of the others, for people.

use alloc::vec::Vec;

use super::peer::Peer;
use super::{Membership, Timetable};
use crate::deadline::{Deadline, Reason};
use crate::time::{Span, Time};
use crate::types::{Generation, NodeId};

/// A node's view of the membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MembershipSnapshot {
    /// Which run of this node it is.
    pub generation: Generation,
    /// How often it has raised its heartbeat.
    pub heartbeat: u64,
    /// Nobody is convicted before this, as the node itself stood still; nothing, if none was.
    pub lenient_until: Option<Time>,
    /// The other members, in the order of their ids.
    pub peers: Vec<PeerSnapshot>,
}

/// What is known and thought of a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerSnapshot {
    /// The peer.
    pub node: NodeId,
    /// Its run, as far as known; 0 if nothing is.
    pub generation: Generation,
    /// The newest heartbeat of that run that is known.
    pub heartbeat: u64,
    /// Whether it seems to be up.
    pub seems_up: bool,
    /// How long it has been silent.
    pub silence: Span,
    /// The longest silence that is not suspect: beyond it, φ exceeds 8.
    pub timeout: Span,
    /// How long it is silent between two heartbeats, on average.
    pub gap_mean: Span,
    /// The standard deviation of that.
    pub gap_deviation: Span,
}

impl Membership {
    /// What is known and thought now.
    pub fn inspect(&self, now: Time) -> MembershipSnapshot {
        let lenient = self.timetable.map(|timetable| timetable.lenient_until);
        MembershipSnapshot {
            generation: self.own.stamp.generation,
            heartbeat: self.own.stamp.heartbeat,
            lenient_until: lenient.filter(|&until| until > now),
            peers: self.peers.iter().map(|peer| peer.inspect(now)).collect(),
        }
    }

    /// What it waits for.
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
