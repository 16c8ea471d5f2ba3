//! Shrinking: the smallest scenario in which a check is still violated.
//!
//! Takes a scenario that fails, its seed and the check, and finds one that fails in the same check,
//! with fewer faults, nodes, clients and operations, shorter times, settings back to their
//! defaults, and as little as possible left to chance. Every step is run; a step that does not fail
//! is not taken.
//!
//! The shrinker knows little about scenarios: it takes elements out of lists, keys out of tables
//! and makes numbers smaller, and lets the parser judge what makes sense. So it shrinks what later
//! versions add without a change. A smaller scenario is another run, in which the failure may need
//! another chance: so a few other seeds are tried as well.
//!
//! The way is greedy, as in delta debugging (Zeller and Hildebrandt, 2002): large steps first,
//! again and again until none succeeds.

mod candidates;

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use toml::{Table, Value};

use crate::runs::artefact;
use crate::runs::options::RunOptions;
use crate::runs::panics::PanicLog;
use crate::runs::run::run;
use crate::scenario::{Scenario, draft};
use crate::story::result::RunResult;

use candidates::Pass;

/// The real time that is spent on other seeds of one candidate: many where a run is short.
const SEARCH: Duration = Duration::from_millis(150);
/// The most other seeds that are tried.
const SEEDS_MAX: u64 = 24;

/// A scenario that fails.
#[derive(Clone, Debug)]
pub struct Failing {
    /// The text of the scenario, with the seed in it.
    pub text: String,
    /// The result of its run.
    pub result: RunResult,
    /// The size of the scenario.
    pub size: Size,
}

/// The size of a scenario.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// The number of operations that clients began.
    pub operations: u64,
    /// The number of times that a fault strikes.
    pub faults: u64,
    /// The number of nodes.
    pub nodes: u64,
    /// The number of clients.
    pub clients: u64,
}

/// The progress of the shrinking.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// The number of runs so far.
    pub runs: u64,
    /// The smallest scenario that fails so far.
    pub best: &'a Failing,
    /// True if `best` is new since the last call.
    pub is_smaller: bool,
}

/// The order to shrink a scenario.
#[derive(Clone, Debug)]
pub struct ShrinkPlan<'a> {
    /// The scenario that fails.
    pub scenario: &'a Scenario,
    /// The seed with which it fails.
    pub seed: u64,
    /// The check that is violated.
    pub check: &'a str,
    /// True if the invariants of nodes are checked ([`RunOptions::paranoid`]).
    pub paranoid: bool,
    /// The log in which the places of panics are written down.
    pub panics: Option<PanicLog>,
}

/// The reason why nothing was shrunk.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShrinkError {
    /// The check is not violated any more.
    #[error("the check `{0}` holds: there is nothing to shrink")]
    Holds(String),
}

/// Shrinks a failing scenario until nothing can be taken away, or `progress` stops it. `progress`
/// is called after each candidate.
///
/// # Errors
/// [`ShrinkError::Holds`] if the check holds to begin with.
pub fn shrink(
    plan: &ShrinkPlan<'_>,
    mut progress: impl FnMut(&Progress<'_>) -> ControlFlow<()>,
) -> Result<Failing, ShrinkError> {
    let table: Table = toml::from_str(plan.scenario.text()).expect("the scenario was parsed");
    let holds = || ShrinkError::Holds(plan.check.to_owned());
    let mut shrinker = Shrinker::new(plan, table).ok_or_else(holds)?;
    // A caller that stops gets the smallest so far.
    let _ = shrinker.all_passes(&mut progress);
    Ok(shrinker.best)
}

struct Shrinker<'a> {
    plan: &'a ShrinkPlan<'a>,
    table: Table,
    best: Failing,
    runs: u64,
    /// The real time that the best run takes.
    run_time: Duration,
}

impl<'a> Shrinker<'a> {
    fn new(plan: &'a ShrinkPlan<'a>, mut table: Table) -> Option<Self> {
        table.insert("seed".to_owned(), seed_value(plan.seed));
        let title = format!("{} is violated, shrunk from {}", plan.check, plan.scenario.name());
        table.insert("title".to_owned(), title.into());
        table.remove("about");
        table.remove("probes");
        let started = Instant::now();
        let best = try_one(plan, &table, plan.seed)?;
        Some(Self { plan, table, best, runs: 1, run_time: started.elapsed() })
    }

    fn all_passes(
        &mut self,
        progress: &mut impl FnMut(&Progress<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        loop {
            let before = self.best.text.clone();
            for &pass in Pass::ALL {
                self.pass(pass, progress)?;
            }
            if self.best.text == before {
                return ControlFlow::Continue(());
            }
        }
    }

    /// Tries all candidates of a kind, and begins anew at the same place after each that fails.
    fn pass(
        &mut self,
        pass: Pass,
        progress: &mut impl FnMut(&Progress<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let mut at = 0;
        loop {
            let misfortunes =
                if pass == Pass::PinMisfortunes { self.misfortunes() } else { Vec::new() };
            let Some(candidate) = pass.candidate(&self.table, &misfortunes, at) else {
                return ControlFlow::Continue(());
            };
            let is_smaller = candidate != self.table && self.attempt(candidate);
            // A step that succeeded has changed what follows: the same number is another step now.
            if !is_smaller {
                at += 1;
            }
            progress(&Progress { runs: self.runs, best: &self.best, is_smaller })?;
        }
    }

    /// Runs a candidate with the seed so far and a few others. Takes it if one fails.
    fn attempt(&mut self, candidate: Table) -> bool {
        let others = SEARCH.as_micros() / self.run_time.as_micros().max(1);
        let others = u64::try_from(others).unwrap_or(SEEDS_MAX).min(SEEDS_MAX);
        let seed = self.best.result.seed;
        for seed in std::iter::once(seed).chain((0..others).filter(|other| *other != seed)) {
            let mut candidate = candidate.clone();
            candidate.insert("seed".to_owned(), seed_value(seed));
            let started = Instant::now();
            self.runs += 1;
            if let Some(best) = try_one(self.plan, &candidate, seed) {
                self.run_time = started.elapsed();
                self.table = candidate;
                self.best = best;
                return true;
            }
        }
        false
    }

    /// The misfortunes of messages in the best run.
    fn misfortunes(&self) -> Vec<(String, u64)> {
        let misfortunes = self.best.result.misfortunes.iter();
        misfortunes.map(|decision| (decision.at.clone(), decision.value)).collect()
    }
}

fn seed_value(seed: u64) -> Value {
    Value::Integer(i64::try_from(seed).unwrap_or(i64::MAX))
}

/// Runs a scenario. None, if it is not valid or does not fail as it should.
fn try_one(plan: &ShrinkPlan<'_>, table: &Table, seed: u64) -> Option<Failing> {
    let text = draft::to_text(table);
    let scenario = Scenario::parse(plan.scenario.path(), &text).ok()?;
    let options =
        RunOptions { misfortunes: true, panics: plan.panics.clone(), ..RunOptions::seeded(seed) };
    let result = run(&scenario, &options.paranoid_if(plan.paranoid));
    artefact::fails(&result, plan.check).then(|| {
        let occurrences = |fault: &crate::scenario::Fault| fault.occurrences().count() as u64;
        let size = Size {
            operations: result.operations,
            faults: scenario.faults.iter().map(occurrences).sum(),
            nodes: scenario.cluster.nodes.len() as u64,
            clients: scenario.workloads.iter().map(|work| u64::from(work.clients)).sum(),
        };
        Failing { text, result, size }
    })
}
