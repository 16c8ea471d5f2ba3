//! When the operations of an open loop are meant to begin: at even distances, whatever became of those
//! before.
//!
//! Latency counts from there and not from the sending, so that a store that keeps one operation waiting
//! also pays for all that would have been asked meanwhile (G. Tene's "coordinated omission").

use std::time::Duration;

/// A rate that is kept for a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    per_second: f64,
    operations: u64,
}

impl Schedule {
    /// So many operations in a second, above 0, for this time.
    pub(crate) fn new(per_second: f64, time: Duration) -> Self {
        let operations = (per_second * time.as_secs_f64()).round() as u64;
        Self { per_second, operations: operations.max(1) }
    }

    /// The number of operations in all.
    pub(crate) const fn operations(&self) -> u64 {
        self.operations
    }

    /// When the operation of this number is meant to begin, after the beginning of all.
    pub(crate) fn intended(&self, number: u64) -> Duration {
        Duration::from_secs_f64(number as f64 / self.per_second)
    }

    /// How many operations should have begun after this time.
    pub(crate) fn due(&self, elapsed: Duration) -> u64 {
        let mut due = (elapsed.as_secs_f64() * self.per_second) as u64;
        // What was rounded off above must not hold one back, nor send it before its time.
        while self.intended(due) <= elapsed {
            due += 1;
        }
        while due > 0 && self.intended(due - 1) > elapsed {
            due -= 1;
        }
        due.min(self.operations)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_begin_at_even_distances_from_the_first() {
        let schedule = Schedule::new(1_000.0, Duration::from_secs(2));
        assert_eq!(schedule.operations(), 2_000);
        assert_eq!(schedule.intended(0), Duration::ZERO);
        assert_eq!(schedule.intended(1), Duration::from_millis(1));
        assert_eq!(schedule.intended(1_500), Duration::from_millis(1_500));
    }

    #[test]
    fn an_operation_is_due_at_its_time_and_not_before() {
        let schedule = Schedule::new(10.0, Duration::from_secs(1));
        for (millis, due) in [(0, 1), (99, 1), (100, 2), (899, 9), (900, 10), (5_000, 10)] {
            assert_eq!(schedule.due(Duration::from_millis(millis)), due, "{millis} ms");
        }
    }

    #[test]
    fn due_and_intended_agree_at_rates_that_no_number_holds_exactly() {
        for rate in [3.0, 7.7, 33_333.3, 1e6 / 3.0] {
            let schedule = Schedule::new(rate, Duration::from_secs(3));
            for number in (0..schedule.operations() - 1).step_by(1 + rate as usize / 10) {
                let intended = schedule.intended(number);
                assert_eq!(schedule.due(intended), number + 1, "{number} at {rate}");
                let before = intended.saturating_sub(Duration::from_nanos(1));
                assert_eq!(schedule.due(before), number.max(1), "{number} at {rate}");
            }
        }
    }

    #[test]
    fn a_rate_below_one_in_its_time_still_asks_once() {
        let schedule = Schedule::new(0.1, Duration::from_secs(1));
        assert_eq!((schedule.operations(), schedule.due(Duration::ZERO)), (1, 1));
    }
}
