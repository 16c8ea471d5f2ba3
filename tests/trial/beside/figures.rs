//! The figures of a measurement, and their medians.

use std::time::Duration;

use serde::Serialize;

use crate::load::Measured;
use crate::median::median;

/// What one round has shown, or the medians of several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Figures {
    pub(crate) operations_per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) p999_ms: f64,
    /// Of a core, on all servers of the store together, for each operation.
    pub(crate) server_cpu_us: f64,
    /// The same of the load itself.
    pub(crate) load_cpu_us: f64,
    /// What the disk wrote meanwhile, for each operation; 0 where that is not known.
    pub(crate) disk_bytes: f64,
}

/// What was taken in one round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    /// Of a core, by all servers of the store together.
    pub(crate) server_cpu: Duration,
    /// The same by the load.
    pub(crate) load_cpu: Duration,
    pub(crate) disk_bytes: u64,
}

impl Taken {
    /// What was taken since an earlier look. None of it ever falls.
    pub(crate) const fn since(&self, before: &Self) -> Self {
        Self {
            server_cpu: self.server_cpu.saturating_sub(before.server_cpu),
            load_cpu: self.load_cpu.saturating_sub(before.load_cpu),
            disk_bytes: self.disk_bytes.saturating_sub(before.disk_bytes),
        }
    }
}

impl Figures {
    /// Those of one round, in which this was taken.
    pub(crate) fn of(measured: &Measured, taken: Taken) -> Self {
        let operations = measured.operations.max(1) as f64;
        let us = |cpu: Duration| cpu.as_secs_f64() * 1e6 / operations;
        Self {
            operations_per_second: measured.per_second(),
            p50_ms: measured.latency_ms(0.5),
            p99_ms: measured.latency_ms(0.99),
            p999_ms: measured.latency_ms(0.999),
            server_cpu_us: us(taken.server_cpu),
            load_cpu_us: us(taken.load_cpu),
            disk_bytes: taken.disk_bytes as f64 / operations,
        }
    }

    /// The median of each figure.
    pub(crate) fn medians(rounds: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| median(rounds.iter().map(figure));
        Self {
            operations_per_second: of(|round| round.operations_per_second),
            p50_ms: of(|round| round.p50_ms),
            p99_ms: of(|round| round.p99_ms),
            p999_ms: of(|round| round.p999_ms),
            server_cpu_us: of(|round| round.server_cpu_us),
            load_cpu_us: of(|round| round.load_cpu_us),
            disk_bytes: of(|round| round.disk_bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_figure_has_a_median_of_its_own() {
        let round = |operations_per_second, p99_ms| Figures {
            operations_per_second,
            p99_ms,
            ..Figures::default()
        };
        let medians = Figures::medians(&[round(1.0, 30.0), round(3.0, 20.0), round(2.0, 90.0)]);
        assert_eq!(medians, round(2.0, 30.0));
    }

    #[test]
    fn what_was_taken_is_shared_out_among_the_operations() {
        let mut measured = Measured::nothing();
        measured.operations = 1_000;
        measured.took = Duration::from_millis(500);
        let taken = Taken {
            server_cpu: Duration::from_millis(20),
            load_cpu: Duration::from_millis(5),
            disk_bytes: 300_000,
        };
        let figures = Figures::of(&measured, taken);
        let close = |one: f64, other: f64| (one - other).abs() < 1e-6;
        assert!(close(figures.operations_per_second, 2_000.0), "{figures:?}");
        assert!(close(figures.server_cpu_us, 20.0), "{figures:?}");
        assert!(close(figures.load_cpu_us, 5.0), "{figures:?}");
        assert!(close(figures.disk_bytes, 300.0), "{figures:?}");
    }
}
