//! A timer that is exact to some microseconds. The runtime's own counts whole milliseconds, which is longer
//! than most of what is measured.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;

/// A timer of the system.
pub(crate) struct PreciseTimer(AsyncFd<OwnedFd>);

impl PreciseTimer {
    /// A timer for the runtime that runs this.
    #[expect(
        deprecated,
        reason = "what it warns of, a descriptor closed before its time, this one cannot be"
    )]
    pub(crate) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Self(AsyncFd::new(timer)?))
    }

    /// Waits for so long.
    pub(crate) async fn sleep(&self, duration: Duration) -> io::Result<()> {
        // Zero would mean: never.
        let duration = duration.max(Duration::from_nanos(1));
        let value = Timespec {
            tv_sec: i64::try_from(duration.as_secs()).map_err(io::Error::other)?,
            tv_nsec: duration.subsec_nanos().into(),
        };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::empty(), &once)?;
        loop {
            let mut guard = self.0.readable().await?;
            let read = guard.try_io(|timer| {
                let mut expirations = [0; 8];
                Ok(rustix::io::read(timer.get_ref(), &mut expirations)?)
            });
            match read {
                Ok(read) => return read.map(drop),
                Err(_not_yet) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn it_waits_as_long_as_it_is_told() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let timer = PreciseTimer::new().expect("the system has timers");
            let begun = Instant::now();
            for _ in 0..10 {
                timer.sleep(Duration::from_micros(300)).await.expect("it can be set");
            }
            timer.sleep(Duration::ZERO).await.expect("it can be set");
            // How much longer it takes is the business of whoever else has the cores.
            assert!(begun.elapsed() >= Duration::from_millis(3));
        });
    }
}
