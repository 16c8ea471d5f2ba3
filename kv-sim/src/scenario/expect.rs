//! The expectations of a scenario: which checks run, how soon replicas agree, and what clients may
//! see.

use std::collections::BTreeSet;

use kv_core::time::Span;
use serde::Deserialize;
use toml::Spanned;

use super::error::Problem;
use super::quantity::milliseconds;

/// A property that runs are judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Check {
    /// An acknowledged write is present or causally overwritten.
    Durability,
    /// No sibling is lost and none appears from nowhere; a dot has one value.
    Causality,
    /// After the last fault, replicas become equal byte for byte and no hint is left.
    Convergence,
    /// An idle cluster sends gossip and comparisons of roots, at a constant rate, and nothing else.
    Quiescence,
    /// A strict quorum read sees every write acknowledged before it began.
    Freshness,
    /// No later read hides what a monotonic read has shown.
    Session,
    /// A deleted value does not come back.
    Deletion,
    /// An operation succeeds while as many machines as it needs can be reached.
    Availability,
    /// Answers are counted from distinct owners, and from their fallbacks.
    Ownership,
    /// A node that wakes from a pause convicts nobody, and in the end all views agree.
    Membership,
    /// Vectors, hints and work stay in their limits.
    Bounds,
    /// Nothing panics. Always checked, whether listed or not.
    Crash,
}

/// Names that are reserved for checks which this version does not have yet.
const LATER: &[&str] = &["linearizability"];

/// The expectations of a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expect {
    /// The checks that run. [`Check::Crash`] is always among them.
    pub checks: BTreeSet<Check>,
    /// The checks that the file names. A sweep in which one of these finds nothing to look at
    /// proves nothing.
    pub named: BTreeSet<Check>,
    /// The time after the last fault in which replicas must become equal. Default 30 s, or longer
    /// where links, disks or repairs are slow.
    pub converged_within: Span,
    /// The bounds on what clients may see.
    pub outcomes: OutcomeBounds,
}

/// Bounds on what clients saw, over the whole run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutcomeBounds {
    /// The number of operations that were acknowledged.
    pub acknowledged: Bound,
    /// The number of operations of which nobody knows whether they happened: a timeout.
    pub unknown: Bound,
    /// The number of operations that were refused.
    pub refused: Bound,
    /// The number of reads that returned more than one sibling.
    pub siblings: Bound,
}

/// A smallest and a largest number, both allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The smallest number allowed. Default 0.
    pub min: u64,
    /// The largest number allowed; `u64::MAX` if the file gives none.
    pub max: u64,
}

impl Check {
    /// Every check, in the order of the enum.
    pub const ALL: &'static [Self] = &[
        Self::Durability,
        Self::Causality,
        Self::Convergence,
        Self::Quiescence,
        Self::Freshness,
        Self::Session,
        Self::Deletion,
        Self::Availability,
        Self::Ownership,
        Self::Membership,
        Self::Bounds,
        Self::Crash,
    ];

    /// The name in scenarios and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Durability => "durability",
            Self::Causality => "causality",
            Self::Convergence => "convergence",
            Self::Quiescence => "quiescence",
            Self::Freshness => "freshness",
            Self::Session => "session",
            Self::Deletion => "deletion",
            Self::Availability => "availability",
            Self::Ownership => "ownership",
            Self::Membership => "membership",
            Self::Bounds => "bounds",
            Self::Crash => "crash",
        }
    }

    /// The promise that the check verifies, in one line.
    pub const fn about(self) -> &'static str {
        match self {
            Self::Durability => "an acknowledged write is present or causally overwritten",
            Self::Causality => "no sibling is lost, none is invented, a dot has one value",
            Self::Convergence => "after the last fault, replicas become equal and hints drain",
            Self::Quiescence => {
                "an idle cluster sends only gossip and comparisons, at a constant rate"
            }
            Self::Freshness => "a strict read sees every write acknowledged before it began",
            Self::Session => "what a monotonic read has shown, no later read hides",
            Self::Deletion => "what was deleted does not come back",
            Self::Availability => "an operation succeeds while enough machines can be reached",
            Self::Ownership => "answers are counted from distinct owners and their fallbacks",
            Self::Membership => "who wakes convicts nobody, and in the end all views agree",
            Self::Bounds => "vectors, hints and work stay in their limits",
            Self::Crash => "nothing panics (always checked)",
        }
    }
}

impl Default for Bound {
    fn default() -> Self {
        Self { min: 0, max: u64::MAX }
    }
}

impl Bound {
    /// Tells whether a number is allowed.
    pub fn allows(self, number: u64) -> bool {
        (self.min..=self.max).contains(&number)
    }
}

/// `[expect]` as it stands in the file.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ExpectKeys {
    checks: Option<Spanned<Vec<Spanned<String>>>>,
    converged_within_ms: Option<Spanned<u64>>,
    outcomes: OutcomesKeys,
}

/// `[expect.outcomes]` as it stands in the file.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct OutcomesKeys {
    acknowledged_min: Option<u64>,
    acknowledged_max: Option<Spanned<u64>>,
    unknown_min: Option<u64>,
    unknown_max: Option<Spanned<u64>>,
    refused_min: Option<u64>,
    refused_max: Option<Spanned<u64>>,
    siblings_min: Option<u64>,
    siblings_max: Option<Spanned<u64>>,
}

/// The time in which replicas must become equal on fast links and disks.
pub(super) const CONVERGED_WITHIN: Span = Span::from_ms(30_000);

impl ExpectKeys {
    /// True if the file bounds the time in which replicas must become equal.
    pub(super) const fn bounds_convergence(&self) -> bool {
        self.converged_within_ms.is_some()
    }
}

/// Parses the expectations that the keys describe.
pub(super) fn parse(keys: &ExpectKeys) -> Result<Expect, Problem> {
    let named: BTreeSet<Check> = match &keys.checks {
        Some(names) if names.get_ref().is_empty() => {
            return Err(Problem::at(
                names.span(),
                "no check is named, so a run would prove nothing",
            )
            .label("name at least one")
            .help("\"crash\" alone says that nothing panics; without `checks`, all are checked"));
        }
        Some(names) => names.get_ref().iter().map(check).collect::<Result<_, _>>()?,
        None => BTreeSet::new(),
    };
    let mut checks = match &keys.checks {
        Some(_) => named.clone(),
        None => Check::ALL.iter().copied().collect(),
    };
    checks.insert(Check::Crash);
    let converged_within = match &keys.converged_within_ms {
        Some(within) => milliseconds(within)?,
        None => CONVERGED_WITHIN,
    };
    let OutcomesKeys {
        acknowledged_min,
        acknowledged_max,
        unknown_min,
        unknown_max,
        refused_min,
        refused_max,
        siblings_min,
        siblings_max,
    } = &keys.outcomes;
    let outcomes = OutcomeBounds {
        acknowledged: bound(*acknowledged_min, acknowledged_max.as_ref())?,
        unknown: bound(*unknown_min, unknown_max.as_ref())?,
        refused: bound(*refused_min, refused_max.as_ref())?,
        siblings: bound(*siblings_min, siblings_max.as_ref())?,
    };
    Ok(Expect { checks, named, converged_within, outcomes })
}

fn check(name: &Spanned<String>) -> Result<Check, Problem> {
    let word = name.get_ref().as_str();
    if let Some(check) = Check::ALL.iter().find(|check| check.name() == word) {
        return Ok(*check);
    }
    let known: Vec<_> = Check::ALL.iter().map(|check| check.name()).collect();
    if LATER.contains(&word) {
        let message = format!("`{word}` is a known check that this version does not have yet");
        return Err(Problem::at(name.span(), message)
            .label("not yet")
            .help(format!("this version has: {}", known.join(", "))));
    }
    Err(Problem::unknown_word(name.span(), "check", word, &known))
}

fn bound(min: Option<u64>, max: Option<&Spanned<u64>>) -> Result<Bound, Problem> {
    let min = min.unwrap_or(0);
    match max {
        Some(max) if *max.get_ref() < min => {
            Err(Problem::at(max.span(), format!("no number is at least {min} and at most {max}"))
                .label("below its own _min"))
        }
        Some(max) => Ok(Bound { min, max: *max.get_ref() }),
        None => Ok(Bound { min, max: u64::MAX }),
    }
}
