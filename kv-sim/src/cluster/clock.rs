//! The clocks of one node: the time that it believes in, at each moment of the world.
//!
//! Each of the two clocks runs at a speed of its own, which may be wrong, or stands still. The wall
//! clock starts off by some time and may be stepped; the monotonic clock never goes backwards.

use kv_core::time::{Now, Span, Time, WallTime};

use crate::cluster::world_time::WorldTime;

/// The true date at which a world begins: 2026-01-01T00:00:00Z.
pub const EPOCH: WallTime = WallTime(1_767_225_600_000_000);

const MILLION: u64 = 1_000_000;

/// The two clocks of a node.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// The time at which the clocks were last set. They showed `set_to` then.
    set_at: WorldTime,
    set_to: Now,
    monotonic: Speed,
    wall: Speed,
}

/// The speed of a clock: the microseconds that pass on it while a million pass in the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Speed(u64);

impl Speed {
    /// The speed of a clock that stands still.
    pub const STILL: Self = Self(0);

    /// The speed of a clock that runs fast by so many parts per million, slow if below zero.
    ///
    /// # Panics
    /// If the clock would stand still or run backwards.
    pub fn drifting(ppm: i32) -> Self {
        let speed = MILLION.saturating_add_signed(ppm.into());
        assert!(speed > 0, "a clock that stands still is another fault");
        Self(speed)
    }

    fn passed(self, in_world: Span) -> Span {
        Span(scale(in_world.0, self.0, MILLION))
    }

    /// The time that must pass in the world until `here` has passed on the clock; none, if it never
    /// will.
    fn takes(self, here: Span) -> Option<Span> {
        match (here, self) {
            (Span::ZERO, _) => Some(Span::ZERO),
            (_, Self::STILL) => None,
            (_, Self(speed)) => Some(Span(scale_up(here.0, MILLION, speed))),
        }
    }
}

impl Clock {
    /// Creates clocks that show `now` when the world begins, and run fast by so much (slow if below
    /// zero).
    pub fn new(now: Now, drift_ppm: i32) -> Self {
        let speed = Speed::drifting(drift_ppm);
        Self { set_at: WorldTime(0), set_to: now, monotonic: speed, wall: speed }
    }

    /// The times that the clocks show.
    pub fn now(&self, at: WorldTime) -> Now {
        let passed = at.since(self.set_at);
        Now {
            monotonic: self.set_to.monotonic + self.monotonic.passed(passed),
            wall: self.set_to.wall + self.wall.passed(passed),
        }
    }

    /// The first moment at which the monotonic clock shows this time or a later one; the moment at
    /// which it was set, if it did so then; none, if it stands still before.
    pub fn world_time_of(&self, time: Time) -> Option<WorldTime> {
        let to_pass = time.since(self.set_to.monotonic);
        Some(self.set_at + self.monotonic.takes(to_pass)?)
    }

    /// The time of the world that `here` on the monotonic clock lasts at its present speed; none,
    /// if it stands still.
    pub fn lasts(&self, here: Span) -> Option<Span> {
        self.monotonic.takes(here)
    }

    /// True if the monotonic clock runs.
    pub fn measures(&self) -> bool {
        self.monotonic != Speed::STILL
    }

    /// Lets the clocks run at these speeds from now on.
    pub fn run(&mut self, at: WorldTime, monotonic: Speed, wall: Speed) {
        self.set_to = self.now(at);
        self.set_at = at;
        (self.monotonic, self.wall) = (monotonic, wall);
    }

    /// Steps the wall clock, forwards if above zero. It stops at 1970.
    pub fn step(&mut self, by_us: i64) {
        self.set_to.wall = WallTime(self.set_to.wall.0.saturating_add_signed(by_us));
    }
}

/// Computes `number × to / from`, rounded down.
fn scale(number: u64, to: u64, from: u64) -> u64 {
    match number.checked_mul(to) {
        Some(product) => product / from,
        None => saturated(u128::from(number) * u128::from(to) / u128::from(from)),
    }
}

/// Computes `number × to / from`, rounded up.
fn scale_up(number: u64, to: u64, from: u64) -> u64 {
    match number.checked_mul(to) {
        Some(product) => product.div_ceil(from),
        None => saturated((u128::from(number) * u128::from(to)).div_ceil(u128::from(from))),
    }
}

fn saturated(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn clock(drift_ppm: i32) -> Clock {
        Clock::new(Now { monotonic: Time(5_000), wall: EPOCH }, drift_ppm)
    }

    #[test]
    fn a_fast_clock_runs_ahead_and_a_slow_one_behind() {
        let shown = |drift_ppm| clock(drift_ppm).now(WorldTime(2_000_000)).monotonic;
        assert_eq!((shown(0), shown(500_000)), (Time(2_005_000), Time(3_005_000)));
        assert_eq!(shown(-500_000), Time(1_005_000));
    }

    #[test]
    fn a_step_moves_the_wall_clock_alone() {
        let mut clock = clock(0);
        clock.step(-7);
        let now = clock.now(WorldTime(0));
        assert_eq!((now.monotonic, now.wall), (Time(5_000), WallTime(EPOCH.0 - 7)));
    }

    #[test]
    fn a_clock_that_stands_still_reaches_no_later_time_and_runs_on_from_where_it_stood() {
        let mut clock = clock(0);
        clock.run(WorldTime(1_000), Speed::STILL, Speed::drifting(0));
        let now = clock.now(WorldTime(9_000));
        assert_eq!((now.monotonic, now.wall), (Time(6_000), WallTime(EPOCH.0 + 9_000)));
        assert_eq!(clock.world_time_of(Time(6_000)), Some(WorldTime(1_000)));
        assert_eq!((clock.world_time_of(Time(6_001)), clock.measures()), (None, false));
        clock.run(WorldTime(9_000), Speed::drifting(0), Speed::STILL);
        let now = clock.now(WorldTime(9_500));
        assert_eq!((now.monotonic, now.wall), (Time(6_500), WallTime(EPOCH.0 + 9_000)));
        assert_eq!(clock.world_time_of(Time(6_001)), Some(WorldTime(9_001)));
    }

    proptest! {
        #[test]
        fn a_deadline_is_met_at_its_first_moment_and_never_early(
            drift in -500_000_i32..=500_000,
            changed in -500_000_i32..=500_000,
            at in 0_u64..1 << 42,
            ahead in 1_u64..1 << 50,
        ) {
            let mut clock = clock(drift);
            let changed = Speed::drifting(changed);
            clock.run(WorldTime(at), changed, changed);
            let deadline = clock.now(WorldTime(at)).monotonic + Span(ahead);
            let moment = clock.world_time_of(deadline).expect("it runs");
            prop_assert!(clock.now(moment).monotonic >= deadline);
            prop_assert!(clock.now(WorldTime(moment.0 - 1)).monotonic < deadline);
        }

        #[test]
        fn the_monotonic_clock_never_goes_backwards(
            changes in proptest::collection::vec((0_u64..10_000, -500_000_i32..=500_000, any::<i32>()), 1..20),
        ) {
            let mut clock = clock(0);
            let (mut at, mut shown) = (WorldTime(0), Time(0));
            for (later, drift, step) in changes {
                at = at + Span(later);
                prop_assert!(clock.now(at).monotonic >= shown);
                let speed = if drift % 3 == 0 { Speed::STILL } else { Speed::drifting(drift) };
                clock.run(at, speed, Speed::drifting(drift));
                clock.step(step.into());
                shown = clock.now(at).monotonic;
            }
        }

        #[test]
        fn a_deadline_that_has_passed_is_met_now_or_before(time in 0_u64..=5_000) {
            prop_assert_eq!(clock(0).world_time_of(Time(time)), Some(WorldTime(0)));
        }
    }
}
