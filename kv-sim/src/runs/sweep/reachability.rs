//! The rare branches that the scenarios of a sweep declare reachable, and whether they were taken.
//!
//! A scenario declares a number of seeds within which a branch is taken at least once. A sweep of
//! fewer seeds is not judged, since it may just have been unlucky; its parts, joined, may be
//! enough.

use serde::{Deserialize, Serialize};

use crate::cluster::probes::Reachable;
use crate::story::result::RunResult;

/// One declaration, with its result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reachability {
    /// The name of the scenario.
    pub scenario: String,
    /// The name of the branch.
    pub probe: String,
    /// The number of seeds within which the branch is declared to be taken.
    pub within: u64,
    /// The number of seeds that were run.
    pub seeds: u64,
    /// The number of seeds in which the branch was taken.
    pub reached: u64,
    /// The verdict on the declaration.
    pub verdict: ReachVerdict,
    /// The position of the scenario in the plan.
    #[serde(skip)]
    pub position: usize,
}

/// The verdict on a declaration, from the seeds that were run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReachVerdict {
    /// The branch was taken.
    Reached,
    /// The branch was not taken, in as many seeds as were declared to be enough.
    Unreached,
    /// The branch was not taken, and fewer seeds were run than were declared.
    NotJudged,
}

impl Reachability {
    /// Creates the entry of a declaration before any seed was run.
    pub(super) fn declared(position: usize, scenario: &str, reachable: Reachable) -> Self {
        Self {
            scenario: scenario.to_owned(),
            probe: reachable.branch.name().to_owned(),
            within: reachable.within,
            seeds: 0,
            reached: 0,
            verdict: ReachVerdict::NotJudged,
            position,
        }
    }

    /// Counts a run of the scenario.
    pub(super) fn on_run(&mut self, result: &RunResult) {
        self.add(1, u64::from(result.probes.contains_key(&self.probe)));
    }

    /// Joins the lists of two parts of a sweep.
    pub(super) fn joined(mut all: Vec<Self>, others: Vec<Self>) -> Vec<Self> {
        for other in others {
            let is_same = |one: &&mut Self| {
                (one.position, &one.scenario, &one.probe, one.within)
                    == (other.position, &other.scenario, &other.probe, other.within)
            };
            match all.iter_mut().find(is_same) {
                Some(one) => one.add(other.seeds, other.reached),
                None => all.push(other),
            }
        }
        all
    }

    fn add(&mut self, seeds: u64, reached: u64) {
        self.seeds += seeds;
        self.reached += reached;
        self.verdict = match (self.reached, self.seeds >= self.within) {
            (1.., _) => ReachVerdict::Reached,
            (0, true) => ReachVerdict::Unreached,
            (0, false) => ReachVerdict::NotJudged,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::probes::Branch;

    fn declared(within: u64) -> Reachability {
        let branch = Branch::named("read-repair").expect("there is one");
        Reachability::declared(0, "s", Reachable { branch, within })
    }

    fn after(within: u64, seeds: u64, reached: u64) -> Reachability {
        let mut one = declared(within);
        one.add(seeds, reached);
        one
    }

    #[test]
    fn what_is_not_reached_within_its_seeds_is_unreached_and_before_that_not_judged() {
        assert_eq!(after(10, 9, 0).verdict, ReachVerdict::NotJudged);
        assert_eq!(after(10, 10, 0).verdict, ReachVerdict::Unreached);
        assert_eq!(after(10, 9, 1).verdict, ReachVerdict::Reached);
        assert_eq!(after(10, 2_000, 1).verdict, ReachVerdict::Reached);
    }

    #[test]
    fn parts_are_judged_by_what_they_come_to_together() {
        let joined = |one, other| {
            let all = Reachability::joined(vec![one], vec![other]);
            assert_eq!(all.len(), 1);
            (all[0].seeds, all[0].reached, all[0].verdict)
        };
        assert_eq!(joined(after(10, 5, 0), after(10, 5, 0)), (10, 0, ReachVerdict::Unreached));
        assert_eq!(joined(after(10, 10, 0), after(10, 5, 1)), (15, 1, ReachVerdict::Reached));
        assert_eq!(joined(after(10, 4, 0), after(10, 5, 0)), (9, 0, ReachVerdict::NotJudged));
        let other = Reachability { scenario: "t".to_owned(), ..after(10, 5, 0) };
        assert_eq!(Reachability::joined(vec![after(10, 5, 0)], vec![other]).len(), 2);
    }
}
