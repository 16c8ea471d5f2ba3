//! The memory that this process may use.

/// Returns the memory of the machine or of this process's container, whichever is less, in bytes.
pub fn available_bytes() -> u64 {
    let info = rustix::system::sysinfo();
    let machine = (info.totalram as u64).saturating_mul(u64::from(info.mem_unit.max(1)));
    // "max" where nothing is set; the file of cgroup version 2 is nowhere else in a container.
    let container = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let container = container.and_then(|text| text.trim().parse::<u64>().ok());
    container.map_or(machine, |container| container.min(machine))
}
