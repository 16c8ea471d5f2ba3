//! The hybrid logical clock of one node (Kulkarni et al. 2014): it stamps versions.
//!
//! In goes the date as the machine believes it to be, and the times that came with other nodes'
//! versions; out come times that strictly increase and stay near the date. Wall clocks step back,
//! drift and freeze: then the counter carries on from the greatest time issued or adopted.
//!
//! Invariant: no time is issued at or below one that was issued or adopted before. A time far ahead
//! of the own wall clock is never adopted, or one node with a wrong date would drag the cluster
//! along (Scylla #5619). That is about this clock alone: no version is refused for its time.

use crate::time::{HybridTime, WallTime};

/// The clock that issues hybrid times, each greater than all that it has issued or adopted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HybridClock {
    last: HybridTime,
}

/// The result of observing another node's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observed {
    /// The time was the greatest so far: the next time issued lies above it.
    Adopted,
    /// The time was not above the last one issued or adopted, so nothing changed.
    Behind,
    /// The time was too far ahead of this node's wall clock, so nothing changed. One of the two
    /// clocks is wrong: an operator should be told.
    TooFarAhead {
        /// The time by which it was ahead, in milliseconds.
        by_ms: u64,
    },
}

impl HybridClock {
    /// Issues the next time: that of the wall clock, or one more than the last if that is not above
    /// it.
    pub fn now(&mut self, wall: WallTime) -> HybridTime {
        let next = self.last.next().max(HybridTime::from_wall(wall));
        // Not in release: with a date some 8,900 years from 1970 the clock stands at its end, which
        // the machine brings about and not this code.
        debug_assert!(next > self.last, "the hybrid clock issues a time twice");
        self.last = next;
        next
    }

    /// Adopts a time that came from another node, unless it is more than `ahead_ms_max`
    /// milliseconds ahead of the wall clock.
    pub fn observe(&mut self, remote: HybridTime, wall: WallTime, ahead_ms_max: u64) -> Observed {
        if remote <= self.last {
            return Observed::Behind;
        }
        let by_ms = remote.ms().saturating_sub(wall.as_ms());
        if by_ms > ahead_ms_max {
            return Observed::TooFarAhead { by_ms };
        }
        self.last = remote;
        Observed::Adopted
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    const AHEAD_MS_MAX: u64 = 10_000;

    fn wall_ms(ms: u64) -> WallTime {
        WallTime(ms * 1_000)
    }

    fn hybrid_ms(ms: u64) -> HybridTime {
        HybridTime::from_wall(wall_ms(ms))
    }

    #[test]
    fn a_fresh_clock_reads_the_wall() {
        assert_eq!(HybridClock::default().now(wall_ms(5)), hybrid_ms(5));
    }

    #[test]
    fn time_rises_though_the_wall_clock_freezes_or_steps_back() {
        let mut clock = HybridClock::default();
        let first = clock.now(wall_ms(1_000));
        assert_eq!(clock.now(wall_ms(1_000)), first.next());
        assert_eq!(clock.now(wall_ms(3)), first.next().next());
        assert_eq!(clock.now(wall_ms(1_001)), hybrid_ms(1_001));
    }

    #[test]
    fn a_time_issued_after_a_version_was_seen_lies_above_that_version() {
        let mut clock = HybridClock::default();
        let remote = hybrid_ms(1_500);
        assert_eq!(clock.observe(remote, wall_ms(1_000), AHEAD_MS_MAX), Observed::Adopted);
        assert_eq!(clock.now(wall_ms(1_000)), remote.next());
    }

    #[test]
    fn a_time_already_passed_changes_nothing() {
        let mut clock = HybridClock::default();
        let last = clock.now(wall_ms(1_000));
        let before = clock.clone();
        assert_eq!(clock.observe(last, wall_ms(1_000), AHEAD_MS_MAX), Observed::Behind);
        assert_eq!(clock, before);
    }

    #[test]
    fn a_time_too_far_ahead_is_reported_and_not_adopted() {
        let mut clock = HybridClock::default();
        let at_the_limit = hybrid_ms(1_000 + AHEAD_MS_MAX);
        let beyond = hybrid_ms(1_000 + AHEAD_MS_MAX + 1);
        let observed = clock.observe(beyond, wall_ms(1_000), AHEAD_MS_MAX);
        assert_eq!(observed, Observed::TooFarAhead { by_ms: AHEAD_MS_MAX + 1 });
        assert_eq!(clock, HybridClock::default());
        assert_eq!(clock.observe(at_the_limit, wall_ms(1_000), AHEAD_MS_MAX), Observed::Adopted);
    }

    proptest! {
        #[test]
        fn no_time_is_issued_at_or_below_one_issued_or_adopted(
            inputs in prop::collection::vec((0_u64..60_000, prop::option::of(0_u64..60_000)), 0..60),
        ) {
            let mut clock = HybridClock::default();
            let mut seen: Vec<HybridTime> = Vec::new();
            for (wall, remote) in inputs {
                let Some(remote) = remote else {
                    let issued = clock.now(wall_ms(wall));
                    prop_assert!(seen.iter().all(|&earlier| earlier < issued));
                    prop_assert!(issued >= hybrid_ms(wall));
                    seen.push(issued);
                    continue;
                };
                let before = clock.clone();
                let remote = hybrid_ms(remote).next();
                match clock.observe(remote, wall_ms(wall), AHEAD_MS_MAX) {
                    Observed::Adopted => seen.push(remote),
                    Observed::Behind | Observed::TooFarAhead { .. } => {
                        prop_assert_eq!(&clock, &before);
                    }
                }
            }
        }
    }
}
