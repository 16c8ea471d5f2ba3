//! Many seeds of many scenarios, on all cores.
//!
//! Takes valid scenarios and a range of seeds and makes a [`Summary`] that is the same whatever the
//! number of workers, unless the sweep was told to stop early. A worker takes one seed of one
//! scenario at a time, in the order of the seeds, so a sweep that is stopped has tried every
//! scenario equally.

mod examined;
mod junit;
mod reachability;

use std::collections::BTreeMap;
use std::num::{NonZeroU64, NonZeroUsize};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rayon::{ThreadPoolBuildError, ThreadPoolBuilder};
use serde::{Deserialize, Serialize};

use crate::runs::artefact;
use crate::runs::options::RunOptions;
use crate::runs::panics::PanicLog;
use crate::runs::run::{run, run_twice};
use crate::scenario::Source;
use crate::story::result::{RunResult, Verdict};

pub use examined::{Examined, SEEDS_JUDGED};
pub use junit::junit;
pub use reachability::{ReachVerdict, Reachability};

/// The number of seeds of which one is run twice, with its digests compared.
pub const TWICE_EVERY: u64 = 64;

/// The most workers for each core: more only take memory from each other.
const JOBS_PER_CORE_MAX: usize = 4;

/// The order for a sweep.
#[derive(Clone, Debug)]
pub struct SweepPlan<'a> {
    /// The scenarios that are run.
    pub scenarios: &'a [Source],
    /// The range of seeds.
    pub seeds: Range<u64>,
    /// The part of the seeds that is run.
    pub shard: Shard,
    /// The number of runs at work at once, within what [`SweepPlan::workers`] allows; by default one for
    /// each core.
    pub jobs: Option<usize>,
    /// The number of failed runs after which no run begins.
    pub failures_max: Option<NonZeroU64>,
    /// The time after which no run begins.
    pub time_max: Option<Duration>,
    /// True if the invariants of nodes are checked ([`RunOptions::paranoid`]).
    pub paranoid: bool,
    /// The log in which the places of panics are written down.
    pub panics: Option<PanicLog>,
}

/// One of several equal parts of a range of seeds, for several machines that share a sweep: each
/// takes every `count`-th seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// The number of this part, counted from 0; below `count`.
    pub index: u64,
    /// The number of parts.
    pub count: NonZeroU64,
}

/// The results of a sweep. As JSON they are a contract.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// The number of runs that were made.
    pub runs: u64,
    /// The number of runs in which everything held.
    pub passed: u64,
    /// The number of runs that failed.
    pub failed: u64,
    /// The number of runs that were at work at once.
    pub jobs: usize,
    /// The number of events of all runs.
    pub events: u64,
    /// The number of messages of all runs.
    pub messages: u64,
    /// The number of operations of all runs.
    pub operations: u64,
    /// The real time of the whole sweep, in milliseconds.
    pub wall_ms: f64,
    /// The failed runs, in the order of scenarios, then seeds.
    pub failures: Vec<Failure>,
    /// The number of times that each rare branch was taken, by its name.
    pub probes: BTreeMap<String, u64>,
    /// The number of runs in which each rare branch was taken, by its name.
    #[serde(default)]
    pub probe_runs: BTreeMap<String, u64>,
    /// The results for the branches that scenarios declare reachable.
    #[serde(default)]
    pub reachability: Vec<Reachability>,
    /// The work of the checks that scenarios name.
    #[serde(default)]
    pub checks: Vec<Examined>,
    /// The records of all runs, in the order of scenarios, then seeds. For JUnit; not part of the
    /// contract.
    #[serde(skip)]
    pub records: Vec<RunRecord>,
}

/// A run that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// The name of the scenario.
    pub scenario: String,
    /// The seed of the run.
    pub seed: u64,
    /// The check that was violated, or [`artefact::DETERMINISM`].
    pub check: String,
    /// The path of the saved run, if it was saved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artefact: Option<String>,
    /// The story of the violation.
    #[serde(skip)]
    pub violation: String,
    /// The position of the scenario in the plan.
    #[serde(skip)]
    pub position: usize,
}

/// The record that a run was made, and how long it took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RunRecord {
    /// The position of the scenario in the plan.
    pub position: usize,
    /// The seed of the run.
    pub seed: u64,
    /// The real time of the run, in milliseconds.
    pub wall_ms: f64,
}

impl Shard {
    /// The whole of the seeds, as one part.
    pub const WHOLE: Self = Self { index: 0, count: NonZeroU64::MIN };
}

impl SweepPlan<'_> {
    /// The number of runs if none is left out; saturates.
    pub fn runs(&self) -> u64 {
        let seeds = self.seeds.end.saturating_sub(self.seeds.start);
        let here = seeds.saturating_sub(self.shard.index).div_ceil(self.shard.count.get());
        here.saturating_mul(self.scenarios.len() as u64)
    }

    /// The number of runs at work at once: at least 1, and never more than there are runs, or than
    /// a few for each core.
    pub fn workers(&self) -> usize {
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let runs = usize::try_from(self.runs()).unwrap_or(usize::MAX);
        let most = cores.saturating_mul(JOBS_PER_CORE_MAX).min(runs).max(1);
        self.jobs.unwrap_or(cores).clamp(1, most)
    }

    /// The scenario's position and the seed of the run with this number.
    fn task(&self, number: u64) -> (usize, u64) {
        let scenarios = self.scenarios.len() as u64;
        let seed =
            self.seeds.start + self.shard.index + number / scenarios * self.shard.count.get();
        ((number % scenarios) as usize, seed)
    }
}

impl Summary {
    /// True if the same seed has given two digests anywhere.
    pub fn is_nondeterministic(&self) -> bool {
        self.failures.iter().any(|failure| failure.check == artefact::DETERMINISM)
    }

    /// True if everything held, and all branches were reached that were declared to be.
    pub fn has_passed(&self) -> bool {
        self.failed == 0 && self.unreached().next().is_none()
    }

    /// The branches that were not reached although enough seeds were run.
    pub fn unreached(&self) -> impl Iterator<Item = &Reachability> {
        self.reachability.iter().filter(|one| one.verdict == ReachVerdict::Unreached)
    }

    /// The checks that examined nothing although their scenarios name them, and enough seeds were
    /// run.
    pub fn idle_checks(&self) -> impl Iterator<Item = &Examined> {
        self.checks.iter().filter(|one| one.is_idle())
    }

    /// True if the numbers fit each other, as those of every sweep do.
    pub fn is_consistent(&self) -> bool {
        let Self { runs, passed, failed, failures, .. } = self;
        passed.checked_add(*failed) == Some(*runs) && failures.len() as u64 == *failed
    }

    /// Creates the summary of no runs, over scenarios with their declarations.
    fn of_nothing(scenarios: &[Source]) -> Self {
        let mut nothing = Self::default();
        for (position, source) in scenarios.iter().enumerate() {
            let name = source.name();
            let declared = source.reachable().iter();
            let declared =
                declared.map(|&reachable| Reachability::declared(position, &name, reachable));
            nothing.reachability.extend(declared);
            let named = source.named_checks().iter();
            nothing.checks.extend(named.map(|&check| Examined::nothing(position, &name, check)));
        }
        nothing
    }

    fn add(&mut self, position: usize, result: &RunResult, saved: Option<String>) {
        self.runs += 1;
        self.events += result.events;
        self.messages += result.messages;
        self.operations += result.operations;
        for (probe, count) in &result.probes {
            *self.probes.entry(probe.clone()).or_default() += count;
            *self.probe_runs.entry(probe.clone()).or_default() += 1;
        }
        for one in self.reachability.iter_mut().filter(|one| one.position == position) {
            one.on_run(result);
        }
        for one in self.checks.iter_mut().filter(|one| one.position == position) {
            one.on_run(result);
        }
        self.records.push(RunRecord { position, seed: result.seed, wall_ms: result.wall_ms });
        match artefact::failure(result) {
            None => self.passed += 1,
            Some((check, violation)) => {
                self.failed += 1;
                self.failures.push(Failure {
                    scenario: result.scenario.clone(),
                    seed: result.seed,
                    check: check.to_owned(),
                    artefact: saved,
                    violation,
                    position,
                });
            }
        }
    }

    /// Joins the parts of a sweep that were made at the same time on several machines: the runs and
    /// workers of all, and the time of the slowest.
    pub fn of_parts(parts: Vec<Self>) -> Self {
        let jobs = parts.iter().map(|part| part.jobs).fold(0, usize::saturating_add);
        let wall_ms = parts.iter().map(|part| part.wall_ms).fold(0.0, f64::max);
        let mut whole = parts.into_iter().fold(Self::default(), Self::merged);
        whole.failures.sort_by(|a, b| (&a.scenario, a.seed).cmp(&(&b.scenario, b.seed)));
        Self { jobs, wall_ms, ..whole }
    }

    fn merged(mut self, other: Self) -> Self {
        let sums = [
            (&mut self.runs, other.runs),
            (&mut self.passed, other.passed),
            (&mut self.failed, other.failed),
            (&mut self.events, other.events),
            (&mut self.messages, other.messages),
            (&mut self.operations, other.operations),
        ];
        // Parts come from files, in which anything may stand.
        for (sum, part) in sums {
            *sum = sum.saturating_add(part);
        }
        self.failures.extend(other.failures);
        self.records.extend(other.records);
        let counts = [(&mut self.probes, other.probes), (&mut self.probe_runs, other.probe_runs)];
        for (sums, parts) in counts {
            for (probe, count) in parts {
                let sum = sums.entry(probe).or_default();
                *sum = sum.saturating_add(count);
            }
        }
        self.reachability = Reachability::joined(self.reachability, other.reachability);
        self.checks = Examined::joined(self.checks, other.checks);
        self
    }
}

/// Runs the plan. `finished` is called by the workers after each run, with the scenario's position;
/// it returns the path of the saved run, if it was saved.
///
/// # Errors
/// [`ThreadPoolBuildError`], if the operating system gives no threads; nothing was run.
pub fn sweep(
    plan: &SweepPlan<'_>,
    finished: impl Fn(usize, &RunResult) -> Option<String> + Sync,
) -> Result<Summary, ThreadPoolBuildError> {
    let started = Instant::now();
    let jobs = plan.workers();
    let pool = ThreadPoolBuilder::new().num_threads(jobs).build()?;
    let runs = plan.runs();
    let next = AtomicU64::new(0);
    let failed = AtomicU64::new(0);
    let goes_on = || {
        let enough =
            plan.failures_max.is_some_and(|max| failed.load(Ordering::Relaxed) >= max.get());
        let late = plan.time_max.is_some_and(|max| started.elapsed() >= max);
        !enough && !late
    };
    let parts = pool.broadcast(|_| {
        let mut part = Summary::of_nothing(plan.scenarios);
        while goes_on() {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= runs {
                break;
            }
            let (position, seed) = plan.task(number);
            let result = run_once_or_twice(plan, position, seed);
            if result.verdict != Verdict::Pass {
                failed.fetch_add(1, Ordering::Relaxed);
            }
            let saved = finished(position, &result);
            part.add(position, &result, saved);
        }
        part
    });
    let nothing = Summary::of_nothing(plan.scenarios);
    let mut summary = parts.into_iter().fold(nothing, Summary::merged);
    summary.jobs = jobs;
    summary.failures.sort_by_key(|failure| (failure.position, failure.seed));
    summary.records.sort_by_key(|record| (record.position, record.seed));
    summary.wall_ms = started.elapsed().as_secs_f64() * 1_000.0;
    Ok(summary)
}

fn run_once_or_twice(plan: &SweepPlan<'_>, position: usize, seed: u64) -> RunResult {
    let source = &plan.scenarios[position];
    let options = RunOptions { panics: plan.panics.clone(), ..RunOptions::seeded(seed) };
    let options = options.paranoid_if(plan.paranoid);
    match source.scenario(seed) {
        Ok(scenario) if seed.is_multiple_of(TWICE_EVERY) => run_twice(&scenario, &options),
        Ok(scenario) => run(&scenario, &options),
        Err(error) => RunResult::impossible(&source.name(), seed, &error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::sync::Mutex;

    fn scenarios() -> Vec<Source> {
        let text = "title = \"t\"\nnodes = 3\n";
        let names = ["a.toml", "b.toml"];
        names.map(|name| Source::parse(name, text).expect("it is valid")).into()
    }

    fn shard(index: u64, count: u64) -> Shard {
        Shard { index, count: NonZeroU64::new(count).expect("not zero") }
    }

    fn plan(scenarios: &[Source], seeds: Range<u64>, shard: Shard) -> SweepPlan<'_> {
        SweepPlan {
            scenarios,
            seeds,
            shard,
            jobs: Some(2),
            failures_max: None,
            time_max: None,
            paranoid: false,
            panics: None,
        }
    }

    #[test]
    fn shards_share_the_seeds_among_them_without_gap_or_overlap() {
        let scenarios = scenarios();
        for count in 1..=7 {
            let mut tasks = BTreeSet::new();
            for index in 0..count {
                let plan = plan(&scenarios, 10..23, shard(index, count));
                for task in (0..plan.runs()).map(|number| plan.task(number)) {
                    assert!(tasks.insert(task), "{task:?} is in two shards");
                }
            }
            let all = (10..23).flat_map(|seed| [(0, seed), (1, seed)]).collect();
            assert_eq!(tasks, all, "with {count} shards");
        }
    }

    #[test]
    fn a_sweep_runs_every_seed_of_every_scenario_once_and_reports_them_in_order() {
        let scenarios = scenarios();
        let plan = plan(&scenarios, 0..100, Shard::WHOLE);
        let seen = Mutex::new(BTreeSet::new());
        let summary = sweep(&plan, |position, result| {
            seen.lock().expect("no worker panics").insert((position, result.seed));
            None
        })
        .expect("there are threads");
        assert_eq!((summary.runs, summary.passed, summary.failed), (200, 200, 0));
        let recorded: Vec<_> =
            summary.records.iter().map(|record| (record.position, record.seed)).collect();
        let in_order: Vec<_> = seen.into_inner().expect("no worker panics").into_iter().collect();
        assert_eq!(recorded, in_order);
    }

    #[test]
    fn a_sweep_without_time_runs_nothing() {
        let scenarios = scenarios();
        let plan =
            SweepPlan { time_max: Some(Duration::ZERO), ..plan(&scenarios, 0..100, Shard::WHOLE) };
        assert_eq!(sweep(&plan, |_, _| None).expect("there are threads").runs, 0);
    }

    #[test]
    fn no_more_runs_are_at_work_than_there_are_or_than_the_cores_can_use() {
        let scenarios = scenarios();
        let workers =
            |seeds, jobs| SweepPlan { jobs, ..plan(&scenarios, seeds, Shard::WHOLE) }.workers();
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        assert_eq!(workers(0..1, Some(1_000)), 2);
        assert_eq!(workers(0..1_000_000, Some(1_000_000)), cores * JOBS_PER_CORE_MAX);
        assert_eq!(workers(0..1_000_000, None), cores);
        assert_eq!(workers(0..1_000_000, Some(1)), 1);
    }

    #[test]
    fn a_check_that_its_scenario_names_is_counted_and_one_that_it_does_not_name_is_not() {
        let named = "title = \"t\"\nnodes = 3\n[expect]\nchecks = [\"deletion\"]\n";
        let mut scenarios = scenarios();
        scenarios.push(Source::parse("c.toml", named).expect("it is valid"));
        let plan = plan(&scenarios, 0..SEEDS_JUDGED, Shard::WHOLE);
        let summary = sweep(&plan, |_, _| None).expect("there are threads");
        let counted: Vec<_> =
            summary.checks.iter().map(|one| (one.scenario.as_str(), one.check.as_str())).collect();
        assert_eq!(counted, [("c", "deletion")]);
        assert_eq!((summary.checks[0].seeds, summary.checks[0].examined), (SEEDS_JUDGED, 0));
        assert_eq!(summary.idle_checks().count(), 1);
        assert!(summary.has_passed(), "nothing was violated");
    }

    #[test]
    fn numbers_that_do_not_fit_each_other_are_no_result_of_a_sweep() {
        assert!(Summary { runs: 3, passed: 3, ..Summary::default() }.is_consistent());
        assert!(!Summary { runs: 3, passed: 2, ..Summary::default() }.is_consistent());
        assert!(!Summary { runs: 3, passed: 2, failed: 1, ..Summary::default() }.is_consistent());
        let wraps = Summary { passed: u64::MAX, failed: 1, ..Summary::default() };
        assert!(!wraps.is_consistent());
    }

    #[test]
    fn a_failing_run_is_counted_with_the_check_that_it_failed() {
        let scenarios = scenarios();
        let mut summary = Summary::default();
        let failed =
            RunResult::new(&scenarios[1].scenario(7).expect("it fits"), 7).crashed("out of bounds");
        summary.add(1, &failed, Some("failures/b-7.json".to_owned()));
        assert_eq!((summary.runs, summary.passed, summary.failed), (1, 0, 1));
        let json = serde_json::to_value(&summary).expect("it is plain data");
        let expected = serde_json::json!([
            { "scenario": "b", "seed": 7, "check": "crash", "artefact": "failures/b-7.json" }
        ]);
        assert_eq!(json["failures"], expected);
    }

    #[test]
    fn the_keys_of_the_json_are_the_contract() {
        let json = serde_json::to_value(Summary::default()).expect("it is plain data");
        let keys: Vec<_> = json.as_object().expect("a table").keys().cloned().collect();
        let contract = [
            "checks",
            "events",
            "failed",
            "failures",
            "jobs",
            "messages",
            "operations",
            "passed",
            "probe_runs",
            "probes",
            "reachability",
            "runs",
            "wall_ms",
        ];
        assert_eq!(keys, contract);
    }
}
