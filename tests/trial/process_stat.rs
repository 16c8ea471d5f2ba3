//! What the system says of processes.

use std::fs::read_to_string;
use std::time::Duration;

/// The unit of times in `/proc`: `USER_HZ` is 100 on all architectures that this runs on.
const TICK: Duration = Duration::from_millis(10);

/// How much of a core a process has had so far: all its threads together, and the processes that it has
/// started and that have ended, such as one that rewrites a file. None if it has ended itself.
pub(crate) fn cpu_time(process: u32) -> Option<Duration> {
    let stat = read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name, in brackets, may hold anything; then come fields 3 and up.
    let (_, fields) = stat.rsplit_once(") ")?;
    let ticks = fields.split(' ').skip(14 - 3).take(4);
    let ticks: u32 = ticks.filter_map(|field| field.parse::<u32>().ok()).sum();
    Some(TICK * ticks)
}

/// How much memory a process has, in bytes: that which is in RAM and its own.
///
/// # Panics
/// If there is no such process.
pub(crate) fn own_memory_bytes(process: u32) -> u64 {
    memory_bytes(process, "RssAnon:").expect("it runs")
}

/// How much of what a process has is in RAM, in bytes; none if it has ended.
pub(crate) fn resident_bytes(process: u32) -> Option<u64> {
    memory_bytes(process, "VmRSS:")
}

/// The most of a process that was in RAM at any time, in bytes; none if it has ended.
pub(crate) fn resident_bytes_max(process: u32) -> Option<u64> {
    memory_bytes(process, "VmHWM:")
}

fn memory_bytes(process: u32, field: &str) -> Option<u64> {
    let status = read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kilobytes = line.trim().strip_suffix(" kB")?;
    Some(kilobytes.parse::<u64>().ok()? * 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_says_these_things_of_this_process() {
        let this = std::process::id();
        assert!(resident_bytes(this).is_some_and(|bytes| bytes > 1 << 20));
        assert!(resident_bytes_max(this) >= resident_bytes(this));
        assert!(own_memory_bytes(this) > 0);
        let cpu = cpu_time(this);
        assert!(cpu_time(this) >= cpu);
        assert_eq!(resident_bytes(u32::MAX), None);
    }
}
