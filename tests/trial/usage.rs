//! What a group of processes has taken: cores.

use std::time::Duration;

use crate::process_stat::cpu_time;

/// How much of a core these processes have had so far, all together. One that has ended counts no more.
pub(crate) fn cpu_sum(processes: &[u32]) -> Duration {
    processes.iter().filter_map(|process| cpu_time(*process)).sum()
}

/// How much of a core this program has had so far.
pub(crate) fn own_cpu() -> Duration {
    cpu_sum(&[std::process::id()])
}
