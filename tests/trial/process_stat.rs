//! What the system says of a process.

use std::fs::read_to_string;
use std::time::Duration;

/// The unit of times in `/proc`: `USER_HZ` is 100 on all architectures that this runs on.
const TICK: Duration = Duration::from_millis(10);

/// How much of a core a process has had so far, all threads together.
///
/// # Panics
/// If there is no such process.
pub(crate) fn cpu_time(process: u32) -> Duration {
    let stat = read_to_string(format!("/proc/{process}/stat")).expect("it runs");
    // The name, in brackets, may hold anything; then come fields 3 and up.
    let (_, fields) = stat.rsplit_once(") ").expect("its name is in brackets");
    let ticks = fields.split(' ').skip(14 - 3).take(2);
    let ticks: u32 = ticks.map(|field| field.parse::<u32>().expect("a number")).sum();
    TICK * ticks
}

/// How much memory a process has, in bytes: that which is in RAM and its own.
///
/// # Panics
/// If there is no such process.
pub(crate) fn own_memory_bytes(process: u32) -> u64 {
    let status = read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kilobytes.and_then(|number| number.parse::<u64>().ok()).expect("a number of kB") * 1_024
}
