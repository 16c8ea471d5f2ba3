//! The two clocks of a process.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use kv_core::time::{Now, Time, WallTime};

/// Reads the machine's clocks as the core wants them.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// A clock whose monotonic half begins now.
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// What both clocks say.
    pub fn now(&self) -> Now {
        // A date before 1970 is no date: the core is told the first that there is.
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now {
            monotonic: Time(microseconds(self.started.elapsed())),
            wall: WallTime(microseconds(wall)),
        }
    }

    /// When a point on the monotonic clock comes.
    pub fn instant_of(&self, time: Time) -> Instant {
        self.started + std::time::Duration::from_micros(time.0)
    }
}

fn microseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
