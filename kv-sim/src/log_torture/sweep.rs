//! Many histories, on several threads.

use std::collections::BTreeMap;
use std::num::{NonZeroU64, NonZeroUsize};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use serde::Serialize;

use super::history::{HistoryTold, torture};
use super::judge::Broken;

/// The most threads for each core: more only take memory from each other.
const JOBS_PER_CORE_MAX: usize = 4;
/// The number of histories that a thread takes at once.
const CHUNK: u64 = 256;

/// The order for a sweep of histories.
#[derive(Clone, Debug)]
pub struct TorturePlan {
    /// The range of seeds.
    pub seeds: Range<u64>,
    /// The number of threads; by default one for each core.
    pub jobs: Option<NonZeroU64>,
    /// The number of failed histories after which no chunk of histories begins.
    pub failures_max: Option<NonZeroU64>,
}

/// The results of a sweep of histories. As JSON they are a contract.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TortureSummary {
    /// The number of histories that were run.
    pub runs: u64,
    /// The number of those in which a rule was broken.
    pub failed: u64,
    /// The number of starts that were judged.
    pub starts: u64,
    /// The number of batches that were appended.
    pub batches: u64,
    /// The number of starts after which the log was said to be clean, torn or corrupt, or that were
    /// refused.
    pub verdicts: BTreeMap<&'static str, u64>,
    /// The number of times that each fault happened.
    pub faults: BTreeMap<&'static str, u64>,
    /// The number of starts at which something promised was missing that no log could know, by the
    /// faults that the history had met until then.
    pub unwitnessed: BTreeMap<&'static str, u64>,
    /// The real time, in milliseconds.
    pub wall_ms: f64,
    /// The histories that failed, by seed.
    pub failures: Vec<TortureFailure>,
}

/// A history in which a rule was broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TortureFailure {
    /// The seed.
    pub seed: u64,
    /// The check that was violated.
    pub check: &'static str,
    /// The history that failed, in words.
    pub story: String,
}

/// Runs all histories of a plan. The summary is the same whatever the number of threads, but for the
/// time, and unless the sweep stops early.
pub fn torture_all(plan: &TorturePlan) -> TortureSummary {
    let begun = Instant::now();
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let jobs = plan.jobs.map_or(cores, |jobs| usize::try_from(jobs.get()).unwrap_or(usize::MAX));
    let jobs = jobs.clamp(1, cores.saturating_mul(JOBS_PER_CORE_MAX));
    let (chunks, failed) = (AtomicU64::new(0), AtomicU64::new(0));
    let most = plan.failures_max.map_or(u64::MAX, NonZeroU64::get);
    let work = || {
        let mut summary = TortureSummary::default();
        while failed.load(Ordering::Relaxed) < most {
            let before = chunks.fetch_add(1, Ordering::Relaxed).saturating_mul(CHUNK);
            let begin = plan.seeds.start.saturating_add(before);
            if begin >= plan.seeds.end {
                break;
            }
            for seed in begin..plan.seeds.end.min(begin.saturating_add(CHUNK)) {
                let told = told(seed);
                failed.fetch_add(told.broken.is_some().into(), Ordering::Relaxed);
                summary.add(seed, told);
            }
        }
        summary
    };
    let mut all = TortureSummary::default();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            // A panic of a history is caught where it happens.
            if let Ok(summary) = thread.join() {
                all.merge(summary);
            }
        }
    });
    all.failures.sort_unstable_by_key(|failure| failure.seed);
    all.wall_ms = begun.elapsed().as_secs_f64() * 1_000.0;
    all
}

/// Runs one history. A panic breaks a rule like another.
fn told(seed: u64) -> HistoryTold {
    catch_unwind(AssertUnwindSafe(|| torture(seed))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        let broken = Broken { check: "panic", story: text.unwrap_or_default() };
        HistoryTold { broken: Some(broken), ..HistoryTold::default() }
    })
}

impl TortureSummary {
    fn add(&mut self, seed: u64, told: HistoryTold) {
        let HistoryTold {
            starts,
            batches,
            clean,
            torn,
            corrupt,
            refused,
            faults,
            unwitnessed,
            broken,
        } = told;
        self.runs += 1;
        self.starts += starts;
        self.batches += batches;
        for (word, count) in
            [("clean", clean), ("torn", torn), ("corrupt", corrupt), ("refused", refused)]
        {
            *self.verdicts.entry(word).or_default() += count;
        }
        for (fault, count) in faults {
            *self.faults.entry(fault.name()).or_default() += count;
        }
        for (fault, count) in unwitnessed {
            *self.unwitnessed.entry(fault.name()).or_default() += count;
        }
        if let Some(Broken { check, story }) = broken {
            self.failed += 1;
            self.failures.push(TortureFailure { seed, check, story });
        }
    }

    fn merge(&mut self, other: Self) {
        let Self {
            runs,
            failed,
            starts,
            batches,
            verdicts,
            faults,
            unwitnessed,
            wall_ms: _,
            failures,
        } = other;
        self.runs += runs;
        self.failed += failed;
        self.starts += starts;
        self.batches += batches;
        for (mine, others) in [
            (&mut self.verdicts, verdicts),
            (&mut self.faults, faults),
            (&mut self.unwitnessed, unwitnessed),
        ] {
            for (word, count) in others {
                *mine.entry(word).or_default() += count;
            }
        }
        self.failures.extend(failures);
    }
}
