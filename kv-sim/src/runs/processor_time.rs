//! The time that a thread has had of a processor: what work costs, whatever else the machine does
//! meanwhile.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The time that this thread has had of a processor so far.
pub fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("a processor was not used for less than no time")
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn processor_time_passes_while_something_is_done() {
        let (started, before) = (Instant::now(), processor_time());
        while processor_time() == before {
            assert!(started.elapsed() < Duration::from_secs(60), "it stands still");
        }
        assert!(processor_time() - before <= started.elapsed());
    }
}
