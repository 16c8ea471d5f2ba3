//! The number of commands that a node takes in a second, at this moment.
//!
//! It is, as in Redis, the mean over the last 16 samples of 100 ms. Nothing ticks: a sample is as
//! old as its stamp says.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The length of one sample.
const SAMPLE: Duration = Duration::from_millis(100);

/// The number of samples that are averaged, and the one that is being filled.
const SAMPLES: usize = 16 + 1;

/// The bits of a slot that count; those above are the number of its sample.
const COUNT_BITS: u32 = 32;

/// The last samples, each with its number and its count.
#[derive(Debug, Default)]
pub(super) struct Rate([AtomicU64; SAMPLES]);

impl Rate {
    /// Counts commands that came at this time after the start.
    pub(super) fn add(&self, since_start: Duration, commands: u32) {
        let sample = sample_at(since_start);
        let slot = &self.0[(sample % SAMPLES as u64) as usize];
        let add = |old: u64| {
            let (stamp, count) = parts_of(old);
            let count = if stamp == sample { count.saturating_add(commands) } else { commands };
            Some((sample << COUNT_BITS) | u64::from(count))
        };
        // The closure always has a new value.
        let _old = slot.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// The commands per second, at this time after the start.
    pub(super) fn per_second(&self, since_start: Duration) -> u64 {
        let now = sample_at(since_start);
        let looked_at = now.min(SAMPLES as u64 - 1);
        if looked_at == 0 {
            return 0;
        }
        let counts = self.0.iter().map(|slot| parts_of(slot.load(Ordering::Relaxed)));
        let recent = counts.filter(|(stamp, _)| (now - looked_at..now).contains(stamp));
        let sum: u64 = recent.map(|(_, count)| u64::from(count)).sum();
        sum * 1_000 / (looked_at * SAMPLE.as_millis() as u64)
    }
}

/// The number of the sample at this time. Enough for 13 years.
fn sample_at(since_start: Duration) -> u64 {
    let sample = since_start.as_millis() / SAMPLE.as_millis();
    u64::from(u32::try_from(sample).unwrap_or(u32::MAX))
}

const fn parts_of(slot: u64) -> (u64, u32) {
    (slot >> COUNT_BITS, (slot & u32::MAX as u64) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_rate_is_that_of_the_last_samples_and_falls_when_nothing_comes() {
        let rate = Rate::default();
        assert_eq!(rate.per_second(ms(0)), 0);
        for tick in 0..100 {
            rate.add(ms(100 * tick), 30);
            rate.add(ms(100 * tick + 99), 20);
        }
        assert_eq!(rate.per_second(ms(10_000)), 500);
        assert_eq!(rate.per_second(ms(10_800)), 250);
        assert_eq!(rate.per_second(ms(11_600)), 0);
        assert_eq!(rate.per_second(ms(1_000_000)), 0);
    }

    #[test]
    fn a_node_that_has_just_started_is_judged_by_the_time_that_it_has_had() {
        let rate = Rate::default();
        rate.add(ms(50), 40);
        assert_eq!(rate.per_second(ms(250)), 200);
    }
}
