//! The speed of the simulator: the same scenario again and again, whole and with parts left out.
//!
//! A [`Bench`] has medians over several rounds. The variants take turns within a round, so that a
//! machine that grows slower meanwhile slows all of them. One run uses one core. Rates are by the
//! processor time of its thread, so that others on the machine count little: they still take caches
//! and memory from it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::runs::artefact;
use crate::runs::options::RunOptions;
use crate::runs::processor_time::processor_time;
use crate::runs::run::run;
use crate::scenario::{Scenario, ScenarioError};
use crate::story::result::{RunResult, Verdict};

/// The number of rounds of which the medians are taken; odd.
pub const ROUNDS: usize = 5;

/// The scenario that is measured: small enough to finish soon, large enough that a round takes
/// longer than the noise.
const SCENARIO: &str = r#"
title = "fifty closed-loop clients on five nodes"
nodes = 5
quorum = { n = 3, r = 2, w = 2 }
network = { delay_ms_min = 1, delay_ms_mean = 4 }

[[workload]]
kind = "put-get"
clients = 50
operations = 20000
keys = 1000
value_bytes = 100
think_ms_mean = 0
"#;

/// The results of a measurement. As JSON they are a contract.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Bench {
    /// The number of cores that one run uses: one.
    pub cores: u32,
    /// The rates with checks and with encoding, as runs are.
    #[serde(flatten)]
    pub rates: Rates,
    /// The word `on`, as the rates above include checks.
    pub checks: &'static str,
    /// The rates without one part.
    pub variants: Variants,
    /// The number of rounds of which these are the medians.
    pub rounds: usize,
    /// The number of operations of one run.
    pub operations: u64,
    /// The number of events of one run.
    pub events: u64,
    /// The number of messages of one run.
    pub messages: u64,
    /// The processor time of one run, in milliseconds; the median.
    pub cpu_ms: f64,
    /// The real time of one run, in milliseconds; the median.
    pub wall_ms: f64,
    /// The numbers of messages of one run by kind; only if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages_by_kind: Option<BTreeMap<String, u64>>,
}

/// The work that is done in a second of processor time; medians.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Rates {
    /// The number of inputs that cores and clients handle in a second.
    pub events_per_s: f64,
    /// The number of messages between nodes in a second.
    pub messages_per_s: f64,
    /// The number of operations acknowledged by a quorum in a second.
    pub quorum_operations_per_s: f64,
}

/// The rates of runs without one part.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Variants {
    /// The rates without checks.
    pub checks_off: Rates,
    /// The rates without encoding: messages are handed over as values.
    pub encoding_off: Rates,
}

/// The choice whether the messages of a run are broken down by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Messages are broken down by kind.
    Messages,
    /// Messages are not broken down.
    None,
}

/// The reason why there is nothing to report.
#[derive(Clone, Debug)]
pub enum BenchError {
    /// The built-in scenario is not valid: a mistake of ours.
    Scenario(ScenarioError),
    /// A run failed a check, so its speed means nothing: the check and what it found.
    Failed(String, String),
}

/// Measures the simulator. Calls `finished` after each of the `3 × (rounds + 1)` runs; the first
/// round only warms up.
///
/// # Errors
/// [`BenchError`], if a run failed, or the built-in scenario is not valid.
pub fn bench(rounds: usize, profile: Profile, finished: impl Fn()) -> Result<Bench, BenchError> {
    let scenario = Scenario::parse("bench.toml", SCENARIO).map_err(BenchError::Scenario)?;
    let whole = RunOptions::seeded(scenario.seed);
    let without_checks = RunOptions { checks: false, ..whole.clone() };
    let without_encoding = RunOptions { encoding: false, ..whole.clone() };
    let mut measured: [Vec<Measured>; 3] = Default::default();
    for round in 0..=rounds {
        for (measured, options) in
            measured.iter_mut().zip([&whole, &without_checks, &without_encoding])
        {
            let before = processor_time();
            let result = run(&scenario, options);
            let took = processor_time() - before;
            finished();
            if result.verdict == Verdict::Fail
                && let Some((check, violation)) = artefact::failure(&result)
            {
                return Err(BenchError::Failed(check.to_owned(), violation.to_owned()));
            }
            if round > 0 {
                measured.push(Measured { result, took });
            }
        }
    }
    let [whole, checks_off, encoding_off] = measured;
    let one = whole.first().map(|measured| &measured.result);
    let of_one = |number: fn(&RunResult) -> u64| one.map_or(0, number);
    Ok(Bench {
        cores: 1,
        rates: Rates::medians(&whole),
        checks: "on",
        variants: Variants {
            checks_off: Rates::medians(&checks_off),
            encoding_off: Rates::medians(&encoding_off),
        },
        rounds,
        operations: of_one(|result| result.operations),
        events: of_one(|result| result.events),
        messages: of_one(|result| result.messages),
        cpu_ms: median(whole.iter().map(|measured| milliseconds(measured.took))),
        wall_ms: median(whole.iter().map(|measured| measured.result.wall_ms)),
        messages_by_kind: match profile {
            Profile::Messages => one.map(|result| result.messages_by_kind.clone()),
            Profile::None => None,
        },
    })
}

/// A run, and the processor time that it took.
struct Measured {
    result: RunResult,
    took: Duration,
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

impl Rates {
    fn medians(measured: &[Measured]) -> Self {
        let per_second = |number: fn(&RunResult) -> u64| {
            let runs = measured.iter().filter(|measured| !measured.took.is_zero());
            median(runs.map(|Measured { result, took }| number(result) as f64 / took.as_secs_f64()))
        };
        Self {
            events_per_s: per_second(|result| result.events),
            messages_per_s: per_second(|result| result.messages),
            quorum_operations_per_s: per_second(|result| result.acknowledged),
        }
    }
}

/// The middle number, or the higher of the two in the middle; zero if there are none.
fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<_> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::ClientPace;

    #[test]
    fn the_built_in_scenario_is_what_the_contract_says() {
        let scenario = Scenario::parse("bench.toml", SCENARIO).expect("it is valid");
        assert_eq!((scenario.cluster.nodes.len(), scenario.quorum.owners()), (5, 3));
        let workload = &scenario.workloads[0];
        assert_eq!((workload.clients, workload.value_bytes), (50, (100, 100)));
        assert_eq!(workload.pace, ClientPace::Thinks(kv_core::time::Span::ZERO));
    }

    #[test]
    fn the_median_is_in_the_middle_whatever_the_order() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median([].into_iter()), 0.0);
    }

    #[test]
    fn a_rate_is_a_count_by_the_time_of_its_own_run() {
        let scenario = Scenario::parse("bench.toml", SCENARIO).expect("it is valid");
        let mut result = RunResult::new(&scenario, 1);
        (result.events, result.messages, result.acknowledged) = (100, 50, 10);
        let took = Duration::from_millis(500);
        let rates = Rates::medians(&[Measured { result, took }]);
        assert_eq!((rates.events_per_s, rates.messages_per_s), (200.0, 100.0));
        assert_eq!(rates.quorum_operations_per_s, 20.0);
    }
}
