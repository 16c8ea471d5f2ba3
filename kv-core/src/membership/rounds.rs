//! The times at which this node gossips: one round per interval, on a grid that never drifts.
//!
//! A round is spread over as many *turns* as it talks to peers: news that comes in at one turn goes
//! out at the next, and so arrives everywhere sooner and more evenly than if all were called at
//! once. The grid's first point is drawn, so that nodes which start together do not march in step.
//! A turn that is late is followed by the next point of the grid; what was missed is missed.

use crate::sampling::below;
use crate::time::{Span, Time};

/// The grid of turns. Invariant: `next` is a point of it, or a time at which a turn was late.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rounds {
    /// The time from turn to turn, in whole microseconds.
    pub(super) step: Span,
    /// The number of turns in a round.
    pub(super) turns: u64,
    pub(super) first: Time,
    pub(super) next: Time,
    /// The number of the newest round that was begun, from 1.
    pub(super) begun: u64,
}

/// The turn of a round that is due at a deadline, if one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RoundTurn {
    /// No turn is due.
    None,
    /// The first turn of a new round.
    First,
    /// A further turn of the round.
    Next,
}

impl Rounds {
    /// Makes a grid whose first point lies within an interval from now.
    pub(super) fn starting(now: Time, interval: Span, turns: u64, draw: u64) -> Self {
        let first = now + Span(below(draw, interval.0));
        Self { step: Span(interval.0 / turns), turns, first, next: first, begun: 0 }
    }

    /// The time at which the next turn is due.
    pub(super) const fn next(&self) -> Time {
        self.next
    }

    /// The time by which the node missed its turn, during which it was not running.
    pub(super) const fn late(&self, now: Time) -> Span {
        now.since(self.next)
    }

    /// Moves the missed turn to now.
    pub(super) const fn excuse(&mut self, now: Time) {
        self.next = now;
    }

    /// Tells whether a turn is due that is the first of a new round.
    pub(super) fn begins_round(&self, now: Time) -> bool {
        now >= self.next && self.round_at(now) > self.begun
    }

    fn round_at(&self, now: Time) -> u64 {
        now.since(self.first).0 / self.step.0 / self.turns + 1
    }

    /// Moves on to the first point after now, if a turn is due.
    pub(super) fn take(&mut self, now: Time) -> RoundTurn {
        if now < self.next {
            return RoundTurn::None;
        }
        let taken = now.since(self.first).0 / self.step.0;
        self.next = self.first + self.step.times(taken + 1);
        let round = self.round_at(now);
        if round > self.begun {
            self.begun = round;
            RoundTurn::First
        } else {
            RoundTurn::Next
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Span = Span::from_ms(900);

    fn starting(now: Time, draw: u64) -> Rounds {
        Rounds::starting(now, INTERVAL, 3, draw)
    }

    #[test]
    fn a_round_has_its_turns_at_equal_distances() {
        let mut rounds = starting(Time(500), 1 << 63);
        for round in 0..3 {
            for turn in [RoundTurn::First, RoundTurn::Next, RoundTurn::Next] {
                let next = rounds.next();
                assert_eq!(rounds.take(Time(next.0 - 1)), RoundTurn::None);
                assert_eq!(rounds.take(next), turn);
                assert_eq!(rounds.next(), next + Span::from_ms(300));
            }
            assert_eq!(rounds.next(), Time(450_500) + INTERVAL.times(round + 1));
        }
    }

    #[test]
    fn turns_that_are_late_do_not_move_the_grid() {
        let mut rounds = starting(Time(0), 0);
        assert_eq!(rounds.take(Time(299_999)), RoundTurn::First);
        assert_eq!(rounds.next(), Time(300_000));
    }

    #[test]
    fn rounds_that_were_missed_are_not_made_up_for() {
        let mut rounds = starting(Time(0), 0);
        assert_eq!(rounds.late(Time(7_300_000)), Span(7_300_000));
        assert_eq!(rounds.take(Time(7_300_000)), RoundTurn::First);
        assert_eq!(rounds.take(Time(7_300_000)), RoundTurn::None);
        assert_eq!(rounds.next(), Time(7_500_000));
        assert_eq!(rounds.take(Time(7_500_000)), RoundTurn::Next);
        assert_eq!(rounds.take(Time(8_100_000)), RoundTurn::First);
    }
}
