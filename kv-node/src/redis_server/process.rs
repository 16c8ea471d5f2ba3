//! The memory and processor time of this process, as the system reports them. Known on Linux only.

use std::fs::read_to_string;

/// The clock ticks of a second in `/proc/self/stat`: the same for every Linux program.
const TICKS_PER_SECOND: f64 = 100.0;

/// The memory and processor time of this process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct ProcessUse {
    /// The process's memory that is resident now, in bytes.
    pub(super) resident_bytes: u64,
    /// The most memory that was ever resident, in bytes.
    pub(super) resident_bytes_peak: u64,
    /// The memory of the machine, in bytes.
    pub(super) machine_bytes: u64,
    /// The processor time of the program.
    pub(super) user_seconds: f64,
    /// The processor time that the system spent for the program.
    pub(super) system_seconds: f64,
}

impl ProcessUse {
    /// Reads the figures from `/proc`; `None` if there is none.
    pub(super) fn look() -> Option<Self> {
        let status = read_to_string("/proc/self/status").ok()?;
        let machine = read_to_string("/proc/meminfo").ok()?;
        let stat = read_to_string("/proc/self/stat").ok()?;
        let (user_seconds, system_seconds) = processor_seconds(&stat)?;
        Some(Self {
            resident_bytes: bytes(&status, "VmRSS:")?,
            resident_bytes_peak: bytes(&status, "VmHWM:")?,
            machine_bytes: bytes(&machine, "MemTotal:")?,
            user_seconds,
            system_seconds,
        })
    }
}

/// Reads the value of a line such as `VmRSS:  1234 kB`, in bytes.
fn bytes(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1_024)
}

/// Reads the 14th and the 15th field. The second is a name in parentheses, which may hold anything.
fn processor_seconds(stat: &str) -> Option<(f64, f64)> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut ticks = fields.split_ascii_whitespace().skip(11).map(str::parse::<f64>);
    let (user, system) = (ticks.next()?.ok()?, ticks.next()?.ok()?);
    Some((user / TICKS_PER_SECOND, system / TICKS_PER_SECOND))
}

/// Writes bytes for people, as Redis writes them.
pub(super) fn human(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["K", "M", "G", "T", "P"];
    let mut value = bytes as f64 / 1_024.0;
    if bytes < 1_024 {
        return format!("{bytes}B");
    }
    for unit in UNITS {
        if value < 1_024.0 {
            return format!("{value:.2}{unit}");
        }
        value /= 1_024.0;
    }
    format!("{bytes}B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_as_redis_writes_them() {
        let cases = [
            (0, "0B"),
            (1_023, "1023B"),
            (1_024, "1.00K"),
            (12_398_592, "11.82M"),
            (25_276_063_744, "23.54G"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(human(bytes), expected);
        }
    }

    #[test]
    fn the_lines_of_the_system_are_read() {
        let status = "Name:\tkv-node\nVmHWM:\t   20 kB\nVmRSS:\t   12 kB\n";
        assert_eq!(bytes(status, "VmRSS:"), Some(12 * 1_024));
        assert_eq!(bytes(status, "VmSwap:"), None);
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0";
        assert_eq!(processor_seconds(stat), Some((2.5, 0.5)));
    }
}
