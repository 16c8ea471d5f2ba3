//! What came of asking for so many times the capacity, and what of it is not good enough.

use std::time::Duration;

use serde::Serialize;

/// The least goodput where the most is asked for, as a part of the capacity.
const GOODPUT_MIN: f64 = 0.9;

/// How late the slowest hundredth of what is done may be, in time-outs.
const P99_TIMEOUTS_MAX: f64 = 2.0;

/// The most memory afterwards, as a part of that before.
const MEMORY_MAX: f64 = 1.1;

/// One overload.
#[derive(Clone, Debug, Serialize)]
pub(super) struct OverloadStep {
    /// What was asked for, as a part of the capacity.
    pub(super) factor: f64,
    pub(super) seconds: f64,
    pub(super) offered_per_second: f64,
    /// Operations that were done within the time-out.
    pub(super) goodput_per_second: f64,
    pub(super) goodput_of_capacity: f64,
    pub(super) refused_per_second: f64,
    pub(super) timed_out_per_second: f64,
    /// Operations on connections that broke.
    pub(super) broken: u64,
    pub(super) wrong: u64,
    /// Of what was done, also too late.
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) memory_before: u64,
    pub(super) memory_during_max: u64,
    pub(super) memory_after: u64,
    /// How long afterwards a single client saw the former latency again.
    pub(super) former_latency_after_s: Option<f64>,
    /// Of a core, what the servers and the load took.
    pub(super) server_cores: f64,
    pub(super) load_cores: f64,
    /// Everything that was not done in time, in words.
    pub(super) shortcomings: Option<String>,
}

impl OverloadStep {
    pub(super) fn memory_ratio(&self) -> f64 {
        self.memory_after as f64 / self.memory_before.max(1) as f64
    }
}

/// What is not good enough, a sentence for each thing.
pub(super) fn failures(steps: &[OverloadStep], timeout: Duration) -> Vec<String> {
    let mut failures = Vec::new();
    let most = steps.iter().map(|step| step.factor).fold(0.0, f64::max);
    let p99_ms_max = P99_TIMEOUTS_MAX * timeout.as_secs_f64() * 1_000.0;
    for step in steps {
        let times = format!("at {} times the capacity", step.factor);
        if step.factor >= most && step.goodput_of_capacity < GOODPUT_MIN {
            failures.push(format!(
                "{times} the goodput is {:.2} of it, less than {GOODPUT_MIN}",
                step.goodput_of_capacity
            ));
        }
        if step.p99_ms > p99_ms_max {
            failures.push(format!(
                "{times} a hundredth of what was done took more than {:.0} ms, beyond {p99_ms_max:.0} ms",
                step.p99_ms
            ));
        }
        if step.memory_ratio() > MEMORY_MAX {
            failures.push(format!(
                "{times} the servers have {:.2} times the memory afterwards, more than {MEMORY_MAX}",
                step.memory_ratio()
            ));
        }
        if step.former_latency_after_s.is_none() {
            failures.push(format!("{times} the former latency does not come back"));
        }
        if step.wrong > 0 {
            failures.push(format!("{times} {} answers are wrong", step.wrong));
        }
    }
    failures
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good(factor: f64) -> OverloadStep {
        OverloadStep {
            factor,
            seconds: 10.0,
            offered_per_second: 1_000.0 * factor,
            goodput_per_second: 950.0,
            goodput_of_capacity: 0.95,
            refused_per_second: 0.0,
            timed_out_per_second: 0.0,
            broken: 0,
            wrong: 0,
            p50_ms: 10.0,
            p99_ms: 2_000.0,
            memory_before: 100,
            memory_during_max: 500,
            memory_after: 110,
            former_latency_after_s: Some(0.2),
            server_cores: 1.5,
            load_cores: 0.4,
            shortcomings: None,
        }
    }

    fn failures_of(change: impl Fn(&mut OverloadStep)) -> Vec<String> {
        let mut steps = [good(1.0), good(2.0), good(3.0)];
        change(&mut steps[1]);
        change(&mut steps[2]);
        failures(&steps, Duration::from_secs(1))
    }

    #[test]
    fn what_is_good_enough_is_told_by_silence() {
        assert_eq!(failures_of(|_| {}), Vec::<String>::new());
    }

    #[test]
    fn goodput_counts_where_the_most_is_asked_for() {
        let found = failures_of(|step| step.goodput_of_capacity = 0.89);
        assert_eq!(found, ["at 3 times the capacity the goodput is 0.89 of it, less than 0.9"]);
    }

    #[test]
    fn latency_and_memory_and_answers_count_everywhere() {
        for (found, words) in [
            (failures_of(|step| step.p99_ms = 2_001.0), "took more than 2001 ms"),
            (failures_of(|step| step.memory_after = 111), "1.11 times the memory"),
            (failures_of(|step| step.former_latency_after_s = None), "does not come back"),
            (failures_of(|step| step.wrong = 3), "3 answers are wrong"),
        ] {
            assert_eq!(found.len(), 2, "{found:?}");
            assert!(found.iter().all(|failure| failure.contains(words)), "{found:?}");
        }
    }
}
