//! The two clocks of a process.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use kv_core::time::{Now, Time, WallTime};

/// The machine's clocks in the form that the core wants.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// Creates a clock whose monotonic half begins now.
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// Reads both clocks.
    pub fn now(&self) -> Now {
        // A date before 1970 is no date: the core is told the first that there is.
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now {
            monotonic: Time(microseconds(self.started.elapsed())),
            wall: WallTime(microseconds(wall)),
        }
    }

    /// Converts a point on the monotonic clock to an instant of the system.
    pub fn instant_of(&self, time: Time) -> Instant {
        self.started + std::time::Duration::from_micros(time.0)
    }
}

fn microseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
