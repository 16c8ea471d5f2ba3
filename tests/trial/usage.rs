//! What a group of processes has taken: cores and memory.

use std::time::Duration;

use crate::process_stat::{cpu_time, resident_bytes};

/// How much of a core these processes have had so far, all together. One that has ended counts no more.
pub(crate) fn cpu_sum(processes: &[u32]) -> Duration {
    processes.iter().filter_map(|process| cpu_time(*process)).sum()
}

/// How much of a core this program has had so far.
pub(crate) fn own_cpu() -> Duration {
    cpu_sum(&[std::process::id()])
}

/// How much of these processes is in RAM, in bytes. One that has ended has nothing there.
pub(crate) fn resident_sum(processes: &[u32]) -> u64 {
    processes.iter().filter_map(|process| resident_bytes(*process)).sum()
}
