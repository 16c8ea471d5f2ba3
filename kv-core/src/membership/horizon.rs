//! The limit up to which gossip is believed, seen from now.

use crate::time::{Span, WallTime};
use crate::types::Generation;

/// The time up to which heartbeats are believed to have been raised.
///
/// A generation is the wall clock's second at which a run began, and a run raises its heartbeat
/// once per interval; so both together say when a heartbeat was raised, by the clock of its node.
/// Beyond a year from now it cannot be true, and if it were taken, the node's true heartbeats would
/// be refused as old for just as long (CASSANDRA-8113). Within the year clocks may differ, and
/// intervals, while they are being changed: a node whose clock was a month ahead when it started
/// must not be taken for dead a day later. A heartbeat that is wrong by less than a year silences
/// its node until it is restarted, and the node itself tells people.
///
/// A clock that is years ahead is put right in the end. Then what was believed under it must not
/// stand in the way of what is true: in each round a node forgets what lies beyond the horizon *of
/// now*.
#[derive(Clone, Copy, Debug)]
pub struct Horizon {
    /// The end of what is believed; none if this node has lost the date and cannot tell.
    end: Option<WallTime>,
    interval: Span,
}

impl Horizon {
    /// Makes the horizon of this moment, for nodes that raise their heartbeats once per interval.
    pub fn new(now: WallTime, interval: Span) -> Self {
        let end = now.can_be_the_date().then_some(now + Generation::AHEAD_MAX);
        Self { end, interval }
    }

    /// Tells whether this heartbeat of a run can have been raised by now. A run begins with
    /// heartbeat 0.
    pub fn admits(self, generation: Generation, heartbeat: u64) -> bool {
        let Some(end) = self.end else { return true };
        let began_us = u128::from(generation.0) * 1_000_000;
        let ran_us = u128::from(heartbeat) * u128::from(self.interval.0);
        began_us.saturating_add(ran_us) <= u128::from(end.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_SECONDS: u64 = 1_800_000_000;
    const YEAR_SECONDS: u64 = 31_536_000;

    fn horizon() -> Horizon {
        Horizon::new(WallTime(NOW_SECONDS * 1_000_000), Span::from_ms(1_000))
    }

    #[test]
    fn a_generation_is_refused_from_a_year_ahead_on() {
        assert!(horizon().admits(Generation(NOW_SECONDS + YEAR_SECONDS), 0));
        assert!(!horizon().admits(Generation(NOW_SECONDS + YEAR_SECONDS + 1), 0));
        assert!(!horizon().admits(Generation(u64::MAX), 0));
    }

    #[test]
    fn a_heartbeat_is_refused_past_what_the_age_of_its_generation_allows() {
        let week = 7 * 24 * 3_600;
        assert!(horizon().admits(Generation(NOW_SECONDS - week), week));
        assert!(horizon().admits(Generation(NOW_SECONDS - week), week + YEAR_SECONDS));
        assert!(!horizon().admits(Generation(NOW_SECONDS - week), week + YEAR_SECONDS + 1));
        assert!(!horizon().admits(Generation(0), u64::MAX));
    }

    #[test]
    fn a_node_that_has_lost_the_date_refuses_nobody_for_it() {
        let lost = Horizon::new(WallTime(0), Span::from_ms(1_000));
        assert!(lost.admits(Generation(NOW_SECONDS), 1_000));
    }

    #[test]
    fn a_node_that_started_with_a_clock_a_month_ahead_is_believed_for_months() {
        let month = 30 * 24 * 3_600;
        assert!(horizon().admits(Generation(NOW_SECONDS + month), 6 * month));
    }
}
