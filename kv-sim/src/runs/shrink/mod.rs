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
//! again and again until a whole round changes nothing. Then it is at a fixpoint: what was shrunk,
//! shrunk again, is the same.
//!
//! Work is counted in simulated events and not in time. So the result is a function of the plan: on
//! any machine, whatever else that does.

mod pass;

use std::ops::ControlFlow;

use toml::{Table, Value};

use crate::runs::artefact;
use crate::runs::options::RunOptions;
use crate::runs::panics::PanicLog;
use crate::runs::run::run;
use crate::scenario::{Scenario, draft};
use crate::story::result::RunResult;

use pass::{Pass, Walk};

/// The number of events that are spent on other seeds of one candidate: many seeds where a run is
/// short.
const SEARCH_EVENTS: u64 = 100_000;
/// The most other seeds that are tried, where a step is large and where it is small.
const SEEDS_MAX: u64 = 24;
const SEEDS_FEW: u64 = 3;

/// The number of events after which shrinking stops if nobody says otherwise.
pub const EVENTS_MAX: u64 = 20_000_000;

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
    /// The work so far.
    pub work: ShrinkWork,
    /// The smallest scenario that fails so far.
    pub best: &'a Failing,
    /// True if `best` is new since the last call.
    pub is_smaller: bool,
}

/// The work that shrinking took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShrinkWork {
    /// The number of runs.
    pub runs: u64,
    /// The number of events in all of them.
    pub events: u64,
}

/// A scenario that was shrunk.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The smallest scenario that fails.
    pub failing: Failing,
    /// The work that it took.
    pub work: ShrinkWork,
    /// The reason why it went no further.
    pub end: ShrinkEnd,
}

/// The reason why shrinking went no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShrinkEnd {
    /// A whole round changed nothing.
    Fixpoint,
    /// [`ShrinkPlan::events_max`] were simulated.
    OutOfEvents,
    /// The caller stopped it.
    Stopped,
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
    /// The number of simulated events after which no further candidate is tried.
    pub events_max: u64,
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

/// Shrinks a failing scenario until nothing can be taken away, the budget of events is used up, or
/// `progress` stops it. `progress` is called after each candidate.
///
/// # Errors
/// [`ShrinkError::Holds`] if the check holds to begin with.
pub fn shrink(
    plan: &ShrinkPlan<'_>,
    mut progress: impl FnMut(&Progress<'_>) -> ControlFlow<()>,
) -> Result<Shrunk, ShrinkError> {
    let table: Table = toml::from_str(plan.scenario.text()).expect("the scenario was parsed");
    let holds = || ShrinkError::Holds(plan.check.to_owned());
    let mut shrinker = Shrinker::new(plan, table).ok_or_else(holds)?;
    let end = match shrinker.all_passes(&mut progress) {
        ControlFlow::Continue(()) => ShrinkEnd::Fixpoint,
        ControlFlow::Break(end) => end,
    };
    Ok(Shrunk { failing: shrinker.best, work: shrinker.work, end })
}

struct Shrinker<'a> {
    plan: &'a ShrinkPlan<'a>,
    table: Table,
    best: Failing,
    work: ShrinkWork,
}

impl<'a> Shrinker<'a> {
    fn new(plan: &'a ShrinkPlan<'a>, mut table: Table) -> Option<Self> {
        table.insert("seed".to_owned(), seed_value(plan.seed));
        let title = format!("{} is violated, shrunk from ", plan.check);
        // What was shrunk before keeps the name that it had at first.
        if !plan.scenario.title.starts_with(&title) {
            table.insert("title".to_owned(), (title + plan.scenario.name()).into());
        }
        table.remove("about");
        table.remove("probes");
        let mut work = ShrinkWork::default();
        let best = try_one(plan, &table, plan.seed, &mut work)?;
        Some(Self { plan, table, best, work })
    }

    fn all_passes(
        &mut self,
        progress: &mut impl FnMut(&Progress<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<ShrinkEnd> {
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

    /// Tries all candidates of a pass.
    fn pass(
        &mut self,
        pass: Pass,
        progress: &mut impl FnMut(&Progress<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<ShrinkEnd> {
        let mut walk = Walk::new(pass);
        loop {
            let misfortunes =
                if pass == Pass::PinMisfortunes { self.misfortunes() } else { Vec::new() };
            let Some(candidate) = walk.candidate(&self.table, &misfortunes) else {
                return ControlFlow::Continue(());
            };
            let is_smaller = self.attempt(candidate, pass);
            if is_smaller {
                walk.took();
            } else {
                walk.left();
            }
            let so_far = Progress { work: self.work, best: &self.best, is_smaller };
            if progress(&so_far).is_break() {
                return ControlFlow::Break(ShrinkEnd::Stopped);
            }
            if self.is_out_of_events() {
                return ControlFlow::Break(ShrinkEnd::OutOfEvents);
            }
        }
    }

    const fn is_out_of_events(&self) -> bool {
        self.work.events >= self.plan.events_max
    }

    /// Runs a candidate with the seed so far and a few others. Takes it if one fails.
    fn attempt(&mut self, candidate: Table, pass: Pass) -> bool {
        let seed = self.best.result.seed;
        let others_max = if pass.is_large() { SEEDS_MAX } else { SEEDS_FEW };
        let others = (SEARCH_EVENTS / self.best.result.events.max(1)).min(others_max);
        for seed in std::iter::once(seed).chain((0..others).filter(|other| *other != seed)) {
            if self.is_out_of_events() {
                return false;
            }
            let mut candidate = candidate.clone();
            candidate.insert("seed".to_owned(), seed_value(seed));
            if let Some(best) = try_one(self.plan, &candidate, seed, &mut self.work) {
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

impl Size {
    /// The size of a scenario in whose run clients began so many operations.
    pub fn of(scenario: &Scenario, operations: u64) -> Self {
        let occurrences = |fault: &crate::scenario::Fault| fault.occurrences().count() as u64;
        Self {
            operations,
            faults: scenario.faults.iter().map(occurrences).sum(),
            nodes: scenario.cluster.nodes.len() as u64,
            clients: scenario.workloads.iter().map(|work| u64::from(work.clients)).sum(),
        }
    }
}

fn seed_value(seed: u64) -> Value {
    Value::Integer(i64::try_from(seed).unwrap_or(i64::MAX))
}

/// Runs a scenario. None, if it is not valid or does not fail as it should.
fn try_one(
    plan: &ShrinkPlan<'_>,
    table: &Table,
    seed: u64,
    work: &mut ShrinkWork,
) -> Option<Failing> {
    let text = draft::to_text(table);
    let scenario = Scenario::parse(plan.scenario.path(), &text).ok()?;
    let options =
        RunOptions { misfortunes: true, panics: plan.panics.clone(), ..RunOptions::seeded(seed) };
    let result = run(&scenario, &options.paranoid_if(plan.paranoid));
    work.runs += 1;
    work.events += result.events;
    artefact::fails(&result, plan.check).then(|| {
        let size = Size::of(&scenario, result.operations);
        Failing { text, result, size }
    })
}

#[cfg(test)]
mod tests;
