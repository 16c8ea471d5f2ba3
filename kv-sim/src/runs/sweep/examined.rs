//! The work of the checks that scenarios name, over a whole sweep.
//!
//! In one run a check may have nothing to look at: no client happened to read, or to delete. In
//! many runs that is a mistake of the scenario, and its success would prove nothing. Checks that
//! run because a file names none are not judged: they look at what there is.

use serde::{Deserialize, Serialize};

use crate::checks::CheckName;
use crate::story::result::RunResult;

/// The number of seeds of a scenario from which on its checks are judged.
pub const SEEDS_JUDGED: u64 = 20;

/// A check that a scenario names, and the number of things that it looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Examined {
    /// The name of the scenario.
    pub scenario: String,
    /// The name of the check.
    pub check: String,
    /// The number of seeds that were run.
    pub seeds: u64,
    /// The number of things that the check looked at in all of them.
    pub examined: u64,
    /// The position of the scenario in the plan.
    #[serde(skip)]
    pub position: usize,
}

impl Examined {
    /// Creates the entry of a check before any seed was run.
    pub(super) fn nothing(position: usize, scenario: &str, check: CheckName) -> Self {
        let (scenario, check) = (scenario.to_owned(), check.name().to_owned());
        Self { scenario, check, seeds: 0, examined: 0, position }
    }

    /// Counts a run of the scenario.
    pub(super) fn on_run(&mut self, result: &RunResult) {
        let examined = result.checks.get(&self.check).map_or(0, |found| found.examined);
        self.add(1, examined);
    }

    /// True if the check proved nothing in as many seeds as are enough to tell.
    pub const fn is_idle(&self) -> bool {
        self.examined == 0 && self.seeds >= SEEDS_JUDGED
    }

    /// Joins the lists of two parts of a sweep.
    pub(super) fn joined(mut all: Vec<Self>, others: Vec<Self>) -> Vec<Self> {
        for other in others {
            let is_same = |one: &&mut Self| {
                (one.position, &one.scenario, &one.check)
                    == (other.position, &other.scenario, &other.check)
            };
            match all.iter_mut().find(is_same) {
                Some(one) => one.add(other.seeds, other.examined),
                None => all.push(other),
            }
        }
        all
    }

    fn add(&mut self, seeds: u64, examined: u64) {
        self.seeds = self.seeds.saturating_add(seeds);
        self.examined = self.examined.saturating_add(examined);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(seeds: u64, examined: u64) -> Examined {
        let mut one = Examined::nothing(0, "s", CheckName::Deletion);
        one.add(seeds, examined);
        one
    }

    #[test]
    fn a_check_is_idle_that_examined_nothing_in_many_seeds() {
        assert!(!after(SEEDS_JUDGED - 1, 0).is_idle(), "one run or a few may have been unlucky");
        assert!(after(SEEDS_JUDGED, 0).is_idle());
        assert!(!after(1_000, 1).is_idle());
    }

    #[test]
    fn parts_are_judged_by_what_they_come_to_together() {
        let joined = |one, other| {
            let all = Examined::joined(vec![one], vec![other]);
            assert_eq!(all.len(), 1);
            all[0].is_idle()
        };
        assert!(joined(after(SEEDS_JUDGED / 2, 0), after(SEEDS_JUDGED / 2, 0)));
        assert!(!joined(after(SEEDS_JUDGED, 0), after(1, 1)));
        let other = Examined { check: "session".to_owned(), ..after(1, 1) };
        let all = Examined::joined(vec![after(SEEDS_JUDGED, 0)], vec![other]);
        assert!(all[0].is_idle() && !all[1].is_idle());
    }
}
