//! The clocks of one node: what it believes the time to be, at each moment of the world.
//!
//! Both clocks run at one speed, which may be wrong. The wall clock starts off by something and may
//! be stepped; the monotonic clock never goes backwards, whatever is done.

use kv_core::time::{Now, Span, Time, WallTime};

use crate::world_time::WorldTime;

/// What the true date is when a world begins: 2026-01-01T00:00:00Z.
pub const EPOCH: WallTime = WallTime(1_767_225_600_000_000);

const MILLION: u64 = 1_000_000;

/// The two clocks of a node.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// When the clocks were last set, and what they showed then.
    set_at: WorldTime,
    set_to: Now,
    /// How many microseconds pass here while a million pass in the world; never zero.
    speed_ppm: u64,
}

impl Clock {
    /// Clocks that show `now` when the world begins, and run fast by so much (slow if below zero).
    pub fn new(now: Now, drift_ppm: i32) -> Self {
        Self { set_at: WorldTime(0), set_to: now, speed_ppm: speed_ppm(drift_ppm) }
    }

    /// What the clocks show.
    pub fn now(&self, at: WorldTime) -> Now {
        let passed = Span(scale(at.since(self.set_at).0, self.speed_ppm, MILLION));
        Now { monotonic: self.set_to.monotonic + passed, wall: self.set_to.wall + passed }
    }

    /// The first moment at which the monotonic clock shows this time or a later one; the last one
    /// set if it did so already.
    pub fn world_time_of(&self, time: Time) -> WorldTime {
        let to_pass = time.since(self.set_to.monotonic);
        self.set_at + Span(scale_up(to_pass.0, MILLION, self.speed_ppm))
    }

    /// Lets the clocks run fast by so much from now on (slow if below zero).
    pub fn drift(&mut self, at: WorldTime, drift_ppm: i32) {
        self.set_to = self.now(at);
        self.set_at = at;
        self.speed_ppm = speed_ppm(drift_ppm);
    }

    /// Steps the wall clock, forwards if above zero. It stops at 1970.
    pub fn step(&mut self, by_us: i64) {
        self.set_to.wall = WallTime(self.set_to.wall.0.saturating_add_signed(by_us));
    }
}

fn speed_ppm(drift_ppm: i32) -> u64 {
    let speed = MILLION.saturating_add_signed(drift_ppm.into());
    assert!(speed > 0, "a clock that stands still is another fault");
    speed
}

/// `number × to / from`, rounded down.
fn scale(number: u64, to: u64, from: u64) -> u64 {
    match number.checked_mul(to) {
        Some(product) => product / from,
        None => saturated(u128::from(number) * u128::from(to) / u128::from(from)),
    }
}

/// `number × to / from`, rounded up.
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

    proptest! {
        #[test]
        fn a_deadline_is_met_at_its_first_moment_and_never_early(
            drift in -500_000_i32..=500_000,
            changed in -500_000_i32..=500_000,
            at in 0_u64..1 << 42,
            ahead in 1_u64..1 << 50,
        ) {
            let mut clock = clock(drift);
            clock.drift(WorldTime(at), changed);
            let deadline = clock.now(WorldTime(at)).monotonic + Span(ahead);
            let moment = clock.world_time_of(deadline);
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
                clock.drift(at, drift);
                clock.step(step.into());
                shown = clock.now(at).monotonic;
            }
        }

        #[test]
        fn a_deadline_that_has_passed_is_met_now_or_before(time in 0_u64..=5_000) {
            prop_assert_eq!(clock(0).world_time_of(Time(time)), WorldTime(0));
        }
    }
}
