//! The result of one run. As JSON it is a contract that people script: keys are added, never
//! renamed and never taken away.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};

use crate::checks::{CheckName, CheckResult, CheckVerdict};
use crate::cluster::world_time::WorldTime;
use crate::random::draws::Decision;
use crate::scenario::{Bound, Colour, OutcomeBounds, Scenario, ScenarioError};

/// The name under which broken [`OutcomeBounds`] are reported, beside the names of [`CheckName`].
pub const OUTCOMES: &str = "outcomes";

/// The result of one run of one scenario with one seed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunResult {
    /// The name of the scenario: its file without folder and extension.
    pub scenario: String,
    /// The seed of the run.
    pub seed: u64,
    /// The verdict on the run.
    pub verdict: Verdict,
    /// The identity of the run: equal for the same code, scenario and seed, on any machine.
    pub digest: RunDigest,
    /// The number of inputs that cores and clients handled.
    pub events: u64,
    /// The number of messages that nodes sent to each other.
    pub messages: u64,
    /// The number of operations that clients began.
    pub operations: u64,
    /// The number of operations that were acknowledged to clients.
    pub acknowledged: u64,
    /// The simulated time, from the start of the first node to the last check, in milliseconds.
    pub simulated_ms: u64,
    /// The real time of the run alone, in milliseconds. Not part of the digest.
    pub wall_ms: f64,
    /// The number of times that each fault was injected, by its word.
    pub faults: BTreeMap<String, u64>,
    /// The result of each check, by its name.
    pub checks: BTreeMap<String, CheckResult>,
    /// The number of times that each rare branch was reached, by its name.
    pub probes: BTreeMap<String, u64>,
    /// The outcomes that clients saw.
    pub outcomes: Outcomes,
    /// The number of containers that owners joined into their copies.
    pub merges: u64,
    /// The numbers of messages that nodes sent to each other, by kind; they add up to `messages`.
    pub messages_by_kind: BTreeMap<String, u64>,
    /// The faults that were injected, in the order of time. For people; not part of the contract.
    #[serde(skip)]
    pub timeline: Vec<Moment>,
    /// The difference of a second run with the same seed, if there was any. Not part of the
    /// contract.
    #[serde(skip)]
    pub difference: Option<RunDifference>,
    /// True if the invariants of nodes were checked, so that a run that shows this again must check
    /// them too. Not part of the contract.
    #[serde(skip)]
    pub paranoid: bool,
    /// The misfortunes of messages, if they were asked for. Not part of the contract.
    #[serde(skip)]
    pub misfortunes: Vec<Decision>,
}

/// The verdict on a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every check held.
    Pass,
    /// A check was violated. A panic is a violation too.
    Fail,
    /// The same seed gave two digests: something decides that is not in the seed.
    Nondeterministic,
}

/// The outcomes that clients saw, over the whole run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Outcomes {
    /// The number of operations that succeeded.
    pub acknowledged: u64,
    /// The number of operations of which nobody knows whether they happened: a timeout.
    pub unknown: u64,
    /// The number of operations that were refused: they did not happen.
    pub refused: u64,
    /// The number of operations that made no sense and were refused, as they had to be. They are not
    /// among the refused.
    pub misused: u64,
    /// The number of reads that returned more than one sibling; counted among the acknowledged as
    /// well.
    pub siblings: u64,
}

/// The identity of a run. In JSON and for people: 32 hexadecimal digits.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunDigest(pub u128);

/// The difference between two runs with one seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDifference {
    /// The digest of the second run.
    pub second: RunDigest,
    /// The event at which two more runs, side by side, went apart; none, if they did not.
    pub parting: Option<Parting>,
}

/// The first event in which two runs differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parting {
    /// The number of the event, counted from 1.
    pub event: u64,
    /// The event in the first run, as lines of its trace.
    pub first: String,
    /// The event in the second run, as lines of its trace.
    pub second: String,
}

impl fmt::Display for RunDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the same seed gave two digests: the second is {}", self.second)?;
        let Some(Parting { event, first, second }) = &self.parting else {
            return write!(f, "\n  two more runs, side by side, did not differ");
        };
        write!(f, "\n  they part at event {event}")?;
        for (which, lines) in [("first ", first), ("second", second)] {
            for line in lines.lines() {
                write!(f, "\n    {which} {line}")?;
            }
        }
        Ok(())
    }
}

/// A moment at which a fault was injected or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The time of the moment.
    pub at: WorldTime,
    /// The fault and its victims, for people: `partition begins: n1, n2 | n3`.
    pub what: String,
}

impl RunResult {
    /// Creates the result of a run in which nothing has happened yet, with each check of the
    /// scenario held.
    pub fn new(scenario: &Scenario, seed: u64) -> Self {
        let checks = scenario.expect.checks.iter();
        let held = checks.map(|check| (check.name().to_owned(), CheckResult::held(0)));
        Self { checks: held.collect(), ..Self::empty(scenario.name(), seed) }
    }

    fn empty(scenario: &str, seed: u64) -> Self {
        Self {
            scenario: scenario.to_owned(),
            seed,
            verdict: Verdict::Pass,
            digest: RunDigest::default(),
            events: 0,
            messages: 0,
            operations: 0,
            acknowledged: 0,
            simulated_ms: 0,
            wall_ms: 0.0,
            faults: BTreeMap::new(),
            checks: BTreeMap::new(),
            probes: BTreeMap::new(),
            outcomes: Outcomes::default(),
            merges: 0,
            messages_by_kind: BTreeMap::new(),
            timeline: Vec::new(),
            difference: None,
            paranoid: false,
            misfortunes: Vec::new(),
        }
    }

    /// Creates the result of a run that could not be made, as a swarm's fixed keys do not fit the
    /// drawn ones. It counts as a violation of [`CheckName::Crash`]: nothing is passed over in silence.
    pub fn impossible(scenario: &str, seed: u64, error: &ScenarioError) -> Self {
        Self::empty(scenario, seed).crashed(&error.render(Colour::Plain))
    }

    /// Draws the conclusions, once all numbers are in: judges the outcomes, if the scenario bounds
    /// them, and sets the verdict.
    #[must_use]
    pub fn concluded(mut self, bounds: &OutcomeBounds) -> Self {
        self.acknowledged = self.outcomes.acknowledged;
        if *bounds != OutcomeBounds::default() {
            self.checks.insert(OUTCOMES.to_owned(), self.outcomes.judged(bounds));
        }
        let held = self.checks.values().all(|check| check.verdict == CheckVerdict::Pass);
        self.verdict = if held { Verdict::Pass } else { Verdict::Fail };
        self
    }

    /// Records a panic, which is a violation of [`CheckName::Crash`].
    #[must_use]
    pub fn crashed(mut self, message: &str) -> Self {
        let crash = CheckResult::violated(1, message);
        self.checks.insert(CheckName::Crash.name().to_owned(), crash);
        self.verdict = Verdict::Fail;
        self
    }

    /// The first violated check in the order of the names, and what it found.
    pub fn violation(&self) -> Option<(&str, &str)> {
        let failed = self.checks.iter().find(|(_, check)| check.verdict == CheckVerdict::Fail)?;
        Some((failed.0, failed.1.violation.as_deref().unwrap_or("violated")))
    }
}

impl CheckResult {
    /// Creates the result of a check that held for so many things.
    pub fn held(examined: u64) -> Self {
        Self { verdict: CheckVerdict::Pass, examined, weakened: 0, violation: None }
    }

    /// Creates the result of a check that was violated, with the story.
    pub fn violated(examined: u64, violation: impl Into<String>) -> Self {
        let violation = Some(violation.into());
        Self { verdict: CheckVerdict::Fail, examined, weakened: 0, violation }
    }
}

impl Outcomes {
    /// Judges whether the numbers lie in their bounds.
    pub fn judged(&self, bounds: &OutcomeBounds) -> CheckResult {
        let Self { acknowledged, unknown, refused, misused: _, siblings } = *self;
        let numbers = [
            ("acknowledged", acknowledged, bounds.acknowledged),
            ("unknown", unknown, bounds.unknown),
            ("refused", refused, bounds.refused),
            ("siblings", siblings, bounds.siblings),
        ];
        let broken: Vec<_> = numbers
            .iter()
            .filter(|(_, number, bound)| !bound.allows(*number))
            .map(|(name, number, bound)| format!("{name} = {number}, {}", expected(*bound)))
            .collect();
        let bounded = numbers.iter().filter(|(_, _, bound)| *bound != Bound::default()).count();
        if broken.is_empty() {
            CheckResult::held(bounded as u64)
        } else {
            CheckResult::violated(bounded as u64, broken.join("; "))
        }
    }
}

fn expected(Bound { min, max }: Bound) -> String {
    match (min, max) {
        (0, max) => format!("expected at most {max}"),
        (min, u64::MAX) => format!("expected at least {min}"),
        (min, max) => format!("expected {min}..={max}"),
    }
}

impl fmt::Display for RunDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for RunDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for RunDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "title = \"t\"\nnodes = 3\n[expect]\nchecks = [\"durability\"]\n\
                        [expect.outcomes]\nunknown_max = 2\nsiblings_min = 1\n";

    fn scenario() -> Scenario {
        Scenario::parse("scenarios/example.toml", TEXT).expect("it is valid")
    }

    #[test]
    fn the_keys_of_the_json_are_the_contract() {
        let scenario = scenario();
        let mut result = RunResult::new(&scenario, 7);
        result.digest = RunDigest(0xabc);
        result.faults.insert("kill".to_owned(), 2);
        let result = result.concluded(&OutcomeBounds::default());
        let json = serde_json::to_string_pretty(&result).expect("it is plain data");
        insta::assert_snapshot!(json);
    }

    #[test]
    fn what_clients_saw_is_judged_by_the_bounds_of_the_scenario() {
        let scenario = scenario();
        let mut result = RunResult::new(&scenario, 1);
        result.outcomes =
            Outcomes { acknowledged: 5, unknown: 3, refused: 9, misused: 0, siblings: 0 };
        let result = result.concluded(&scenario.expect.outcomes);
        assert_eq!((result.verdict, result.acknowledged), (Verdict::Fail, 5));
        let expected = "unknown = 3, expected at most 2; siblings = 0, expected at least 1";
        assert_eq!(result.violation(), Some((OUTCOMES, expected)));
    }

    #[test]
    fn without_bounds_what_clients_saw_is_no_check() {
        let scenario = scenario();
        let result = RunResult::new(&scenario, 1).concluded(&OutcomeBounds::default());
        assert!(!result.checks.contains_key(OUTCOMES));
        assert_eq!((result.verdict, result.violation()), (Verdict::Pass, None));
    }

    #[test]
    fn a_panic_fails_the_run_with_its_message() {
        let result = RunResult::new(&scenario(), 1).crashed("index out of bounds");
        assert_eq!(result.verdict, Verdict::Fail);
        assert_eq!(result.violation(), Some(("crash", "index out of bounds")));
    }
}
