//! Whom a read asks first, when it asks one more, and how many of these spare questions there may be.
//!
//! A read asks as many owners as it needs, the best ones, and another one as soon as one of them
//! refuses, its link breaks, or it is slower than most of its own answers have been (a *hedge*; Dean and
//! Barroso, "The Tail at Scale", 2013; Cassandra's rapid read protection). Where everybody is slow,
//! as everybody has too much to do, a hedge only adds to it: so there is a budget, of one spare
//! question in ten reads. An owner that has answered this node nothing at all meanwhile is not
//! slow but gone, and is hedged whatever the budget says. So is every read of which half the time is over.

use alloc::collections::BTreeMap;

use crate::cx::NodeContext;
use crate::time::{Span, Time};
use crate::types::{NodeId, PartitionId};

/// The part of a spare question that each read earns: one in so many.
const READS_PER_HEDGE: u32 = 10;

/// The most spare questions that may have been saved.
const HEDGES_SAVED_MAX: u32 = 32;

/// The shortest delay before a hedge: an answer that is later than most by less is not worth it.
const DELAY_MIN: Span = Span::from_ms(1);

/// The age at which a measured time counts half, so that a peer that was slow is asked again.
const HALF_LIFE: Span = Span::from_ms(10_000);

/// The answering times of a coordinator's peers, and its budget of spare questions.
#[derive(Clone, Debug)]
pub(super) struct Hedging {
    peers: BTreeMap<NodeId, AnswerPace>,
    /// The spare questions that may be asked, in parts of which [`READS_PER_HEDGE`] make one.
    saved: u32,
}

/// The speed at which one peer answers a coordinator.
#[derive(Clone, Copy, Debug, Default)]
struct AnswerPace {
    /// The time at which it last answered anything.
    heard_at: Time,
    /// The time that its answers take, as an average in which the last ones count most.
    usual: Span,
    /// The time that one in twenty of them exceeds.
    slow: Span,
    /// The time at which that was measured last; none, if never.
    measured_at: Option<Time>,
}

/// The place of an owner in the order in which owners are asked to be read: the least comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    /// True if it cannot answer, as far as is known, or may lack acknowledged writes.
    pub(super) is_doubtful: bool,
    is_remote: bool,
    /// The magnitude of the time that its answers take: owners that are about as fast share the reads,
    /// as each partition has them in another order.
    magnitude: u32,
}

impl Default for Hedging {
    fn default() -> Self {
        Self { peers: BTreeMap::new(), saved: HEDGES_SAVED_MAX * READS_PER_HEDGE }
    }
}

impl Hedging {
    /// Notes that a read has begun: it earns a part of a spare question.
    pub(super) fn earn(&mut self) {
        self.saved = (self.saved + 1).min(HEDGES_SAVED_MAX * READS_PER_HEDGE);
    }

    /// Takes a spare question out of the budget, if one is left.
    pub(super) fn spend(&mut self) -> bool {
        let left = self.saved.checked_sub(READS_PER_HEDGE);
        self.saved = left.unwrap_or(self.saved);
        left.is_some()
    }

    /// Notes that a peer has answered something.
    pub(super) fn on_answer(&mut self, peer: NodeId, now: Time) {
        self.peers.entry(peer).or_default().heard_at = now;
    }

    /// Forgets all about a peer, as its link broke: it has answered nothing since.
    pub(super) fn forget(&mut self, peer: NodeId) {
        self.peers.remove(&peer);
    }

    /// Notes how long a peer took to answer a read.
    pub(super) fn on_measured(&mut self, peer: NodeId, took: Span, now: Time) {
        let pace = self.peers.entry(peer).or_default();
        if pace.measured_at.is_none() {
            (pace.usual, pace.slow) = (took, took.times(4));
        }
        pace.measured_at = Some(now);
        pace.usual = Span(pace.usual.0 - pace.usual.0 / 8 + took.0 / 8);
        // Nineteen small steps down make up for one step up: it comes to rest where one in twenty
        // exceeds it (Robbins and Monro, "A stochastic approximation method", 1951).
        pace.slow = if took > pace.slow {
            Span(pace.slow.0 + pace.slow.0 / 8 + 1)
        } else {
            Span(pace.slow.0 - pace.slow.0 / 152)
        };
    }

    /// The delay after which a read hedges that has asked these peers: `longest`, until it is known how
    /// long they take.
    pub(super) fn delay(&self, asked: impl Iterator<Item = NodeId>, longest: Span) -> Span {
        let slow = asked.map(|peer| {
            let pace = self.peers.get(&peer).filter(|pace| pace.measured_at.is_some());
            pace.map_or(longest, |pace| pace.slow)
        });
        slow.max().unwrap_or(longest).max(DELAY_MIN).min(longest)
    }

    /// Tells whether a peer has answered nothing at all for so long.
    pub(super) fn is_silent(&self, peer: NodeId, now: Time, pause: Span) -> bool {
        self.peers.get(&peer).is_none_or(|pace| now.since(pace.heard_at) >= pause)
    }

    /// Ranks an owner for a read of a partition.
    pub(super) fn rank(
        &self,
        local: &NodeContext,
        owner: NodeId,
        partition: PartitionId,
        now: Time,
    ) -> Rank {
        let is_remote = owner != local.me();
        let can_answer = if is_remote { local.is_up(owner) } else { local.is_complete(partition) };
        let is_doubtful = !can_answer || local.peers.behind.contains(&owner);
        let magnitude = self.peers.get(&owner).map_or(0, |pace| pace.magnitude(now));
        Rank { is_doubtful, is_remote, magnitude }
    }
}

impl AnswerPace {
    /// The number of binary digits of the time that an answer takes, in microseconds, the less of them
    /// the longer ago it was measured.
    fn magnitude(&self, now: Time) -> u32 {
        let Some(measured_at) = self.measured_at else { return 0 };
        let halvings = now.since(measured_at).0 / HALF_LIFE.0;
        let digits = u64::BITS - self.usual.0.leading_zeros();
        digits.saturating_sub(u32::try_from(halvings).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: NodeId = NodeId(2);

    #[test]
    fn one_read_in_ten_may_hedge_once_what_was_saved_is_spent() {
        let mut hedging = Hedging::default();
        let saved = (0..).take_while(|_| hedging.spend()).count();
        assert_eq!(saved, HEDGES_SAVED_MAX as usize);
        let hedges = (0..1_000).filter(|_| {
            hedging.earn();
            hedging.spend()
        });
        assert_eq!(hedges.count(), 100);
    }

    #[test]
    fn one_answer_in_twenty_is_slower_than_the_delay() {
        let mut hedging = Hedging::default();
        // Between 1 and 100 ms, each as often.
        let took = |n: u64| Span::from_ms(n * 37 % 100 + 1);
        let delay = |hedging: &Hedging| hedging.delay([PEER].into_iter(), Span::from_ms(10_000));
        assert_eq!(delay(&hedging), Span::from_ms(10_000), "nothing was measured");
        let mut exceeded = 0;
        for n in 0..10_000 {
            exceeded += u32::from(n >= 1_000 && took(n) > delay(&hedging));
            hedging.on_measured(PEER, took(n), Time(n));
        }
        assert!((350..=550).contains(&exceeded), "{exceeded} of 9,000");
        assert_eq!(hedging.delay([PEER].into_iter(), Span::from_ms(20)), Span::from_ms(20));
    }

    #[test]
    fn a_peer_that_was_slow_is_asked_again_after_a_while() {
        let mut hedging = Hedging::default();
        for n in 0..100 {
            hedging.on_measured(PEER, Span::from_ms(400), Time(n));
        }
        let magnitude = |at: Span| hedging.peers[&PEER].magnitude(Time(at.0));
        assert_eq!(magnitude(Span::ZERO), 19);
        assert_eq!(magnitude(HALF_LIFE.times(4)), 16);
        assert_eq!(magnitude(HALF_LIFE.times(1_000)), 0);
    }

    #[test]
    fn who_answers_anything_is_not_silent() {
        let mut hedging = Hedging::default();
        let is_silent = |hedging: &Hedging, now| hedging.is_silent(PEER, Time(now), Span(10));
        assert!(is_silent(&hedging, 0));
        hedging.on_answer(PEER, Time(5));
        assert!(!is_silent(&hedging, 14));
        assert!(is_silent(&hedging, 15));
    }
}
