//! The metrics of the process that Prometheus expects under the names `process_…`: read from
//! `/proc` whenever somebody scrapes.

use std::fmt;

use procfs::ProcResult;
use procfs::process::{LimitValue, Process};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

/// A collector of the metrics of this process.
#[derive(Debug)]
pub(super) struct ProcessCollector;

/// The state of a process, in the units of its metrics.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Usage {
    cpu_seconds: f64,
    resident_bytes: u64,
    virtual_bytes: u64,
    threads: u64,
    open_files: u64,
    /// The greatest number of open files; `None`: as many as the system has.
    open_files_max: Option<u64>,
    /// The time at which the process started, in seconds since 1970.
    start_seconds: f64,
}

impl Usage {
    fn of_this_process() -> ProcResult<Self> {
        let process = Process::myself()?;
        let stat = process.stat()?;
        let ticks_per_second = procfs::ticks_per_second() as f64;
        Ok(Self {
            cpu_seconds: (stat.utime + stat.stime) as f64 / ticks_per_second,
            resident_bytes: stat.rss * procfs::page_size(),
            virtual_bytes: stat.vsize,
            threads: u64::try_from(stat.num_threads).unwrap_or(0),
            open_files: process.fd_count()? as u64,
            open_files_max: match process.limits()?.max_open_files.soft_limit {
                LimitValue::Value(files) => Some(files),
                LimitValue::Unlimited => None,
            },
            start_seconds: procfs::boot_time_secs()? as f64
                + stat.starttime as f64 / ticks_per_second,
        })
    }
}

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        // A system that hides /proc has nothing to tell.
        let Ok(usage) = Usage::of_this_process() else { return Ok(()) };
        let Usage {
            cpu_seconds,
            resident_bytes,
            virtual_bytes,
            threads,
            open_files,
            open_files_max,
            start_seconds,
        } = usage;
        let mut tell = |name, help, unit: Option<&Unit>, metric: &dyn EncodeMetric| {
            metric.encode(encoder.encode_descriptor(name, help, unit, metric.metric_type())?)
        };
        let cpu = ConstCounter::new(cpu_seconds);
        tell("process_cpu", "Time that all threads have run", Some(&Unit::Seconds), &cpu)?;
        let resident = ConstGauge::new(resident_bytes);
        tell("process_resident_memory", "Memory that is resident", Some(&Unit::Bytes), &resident)?;
        let reserved = ConstGauge::new(virtual_bytes);
        tell("process_virtual_memory", "Memory that is reserved", Some(&Unit::Bytes), &reserved)?;
        tell("process_threads", "Threads", None, &ConstGauge::new(threads))?;
        tell("process_open_fds", "Open file descriptors", None, &ConstGauge::new(open_files))?;
        let max = open_files_max.map_or(f64::INFINITY, |max| max as f64);
        tell("process_max_fds", "File descriptors that may be open", None, &ConstGauge::new(max))?;
        let start = ConstGauge::new(start_seconds);
        tell("process_start_time", "Start, since 1970", Some(&Unit::Seconds), &start)
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn this_process_is_told_of_in_the_units_of_its_metrics() {
        let usage = Usage::of_this_process().expect("there is a /proc");
        assert!((1 << 20..1 << 36).contains(&usage.resident_bytes), "{usage:?}");
        assert!(usage.virtual_bytes >= usage.resident_bytes, "{usage:?}");
        assert!(usage.threads >= 1 && usage.open_files >= 3, "{usage:?}");
        assert!(usage.open_files_max.is_none_or(|max| max >= usage.open_files), "{usage:?}");
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a sound clock");
        let age = now.as_secs_f64() - usage.start_seconds;
        assert!((-2.0..3_600.0).contains(&age), "the test began {age} s ago");
        assert!((0.0..=age.max(1.0) * 1_024.0).contains(&usage.cpu_seconds), "{usage:?}");
        let _file = std::fs::File::open("/proc/self/stat").expect("it is there");
    }
}
