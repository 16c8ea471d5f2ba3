//! The expectations of a scenario: which checks run, how soon replicas agree, and what clients may
//! see.

use std::collections::BTreeSet;

use kv_core::time::Span;
use serde::Deserialize;
use toml::{Spanned, Table, Value};

use super::error::Problem;
use super::key_doc::{KeyDoc, ValueDoc};
use super::quantity::milliseconds;
use crate::checks::CheckName;

/// The expectations of a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expect {
    /// The checks that run. [`CheckName::Crash`] is always among them. So are those that no level
    /// promises, if the file names them as such, to show how they are broken.
    pub checks: BTreeSet<CheckName>,
    /// The checks that the file names. A sweep in which one of these finds nothing to look at
    /// proves nothing.
    pub named: BTreeSet<CheckName>,
    /// The time after the last fault in which replicas must become equal. Default 30 s, or longer
    /// where links, disks or repairs are slow.
    pub converged_within: Span,
    /// True if the file gives that time, so that it holds come what may: also for hints that were
    /// tried in vain for long, and for what nobody has read yet.
    pub bounds_hints: bool,
    /// The bounds on what clients may see.
    pub outcomes: OutcomeBounds,
    /// The most containers that owners may join because of comparisons; none, if there is no bound
    /// but that of the check `bounds`.
    pub comparison_merges_max: Option<u64>,
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

/// The keys of `[expect]`.
pub(super) const KEYS_DOC: &[KeyDoc] = &[
    KeyDoc::new(
        "checks",
        ValueDoc::Other("a list of checks, as `kv-sim list checks` shows them"),
        "the checks that run, beside `crash`; in a sweep, each that is named must have examined something",
    )
    .or_else("all"),
    KeyDoc::ms("converged_within_ms", "how long after the last fault replicas must be equal").or_else("30000, or longer where links, disks or repairs are slow"),
    KeyDoc::new(
        "unpromised",
        ValueDoc::Other("a list of checks: only `linearizability`"),
        "checks that no level promises, and that run beside the others: to see how they are broken",
    )
    .or("[]"),
    KeyDoc::new(
        "comparison_merges_max",
        COUNT,
        "containers that comparisons bring into copies, at most: what nobody lacks is not sent",
    )
    .optional(),
    KeyDoc::new("outcomes", ValueDoc::Table("[expect.outcomes]"), "bounds on what clients see").or("{}"),
];

/// The keys of `[expect.outcomes]`.
pub(super) const OUTCOMES_DOC: &[KeyDoc] = &[
    KeyDoc::new("acknowledged_min", COUNT, "operations that are acknowledged, at least").or("0"),
    KeyDoc::new("acknowledged_max", COUNT, "the same, at most").optional(),
    KeyDoc::new(
        "unknown_min",
        COUNT,
        "operations of which nobody knows whether they happened, at least",
    )
    .or("0"),
    KeyDoc::new("unknown_max", COUNT, "the same, at most").optional(),
    KeyDoc::new(
        "refused_min",
        COUNT,
        "operations that are refused, at least; those that make no sense do not count",
    )
    .or("0"),
    KeyDoc::new("refused_max", COUNT, "the same, at most").optional(),
    KeyDoc::new("siblings_min", COUNT, "reads that return more than one sibling, at least").or("0"),
    KeyDoc::new("siblings_max", COUNT, "the same, at most").optional(),
];

/// The kind of value of a bound.
const COUNT: ValueDoc = ValueDoc::Whole(0, i64::MAX as u64);

/// `[expect]` as it stands in the file.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ExpectKeys {
    checks: Option<Spanned<Vec<Spanned<String>>>>,
    #[serde(default)]
    unpromised: Vec<Spanned<String>>,
    converged_within_ms: Option<Spanned<u64>>,
    comparison_merges_max: Option<u64>,
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

/// Adds checks that no level promises to what the table of a scenario expects.
pub(super) fn demand(scenario: &mut Table, checks: &[CheckName]) {
    let expect = scenario.entry("expect").or_insert_with(|| Table::new().into());
    let Some(expect) = expect.as_table_mut() else { return };
    let listed = expect.entry("unpromised").or_insert_with(|| Vec::<Value>::new().into());
    let Some(listed) = listed.as_array_mut() else { return };
    for check in checks {
        if listed.iter().all(|listed| listed.as_str() != Some(check.name())) {
            listed.push(check.name().into());
        }
    }
}

/// Parses the expectations that the keys describe.
pub(super) fn parse(keys: &ExpectKeys) -> Result<Expect, Problem> {
    let unpromised: Vec<_> = keys.unpromised.iter().map(unpromised).collect::<Result<_, _>>()?;
    let mut named: BTreeSet<CheckName> = match &keys.checks {
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
        None => promised().collect(),
    };
    checks.insert(CheckName::Crash);
    checks.extend(&unpromised);
    named.extend(&unpromised);
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
    let comparison_merges_max = keys.comparison_merges_max;
    Ok(Expect {
        checks,
        named,
        converged_within,
        bounds_hints: keys.bounds_convergence(),
        outcomes,
        comparison_merges_max,
    })
}

/// The checks that a scenario may name.
fn promised() -> impl Iterator<Item = CheckName> {
    CheckName::ALL.iter().copied().filter(|check| check.is_promised())
}

fn check(name: &Spanned<String>) -> Result<CheckName, Problem> {
    let word = name.get_ref().as_str();
    let Some(check) = CheckName::find(word) else {
        let known: Vec<_> = promised().map(CheckName::name).collect();
        return Err(Problem::unknown_word(name.span(), "check", word, &known));
    };
    if !check.is_promised() {
        let message = format!("no level of this version promises `{word}`, to no workload");
        return Err(Problem::at(name.span(), message).label("not yet").help(
            "what strict and monotonic operations promise is checked by `freshness` and `session`; but a \
             request that is minted twice may show again after it was overwritten. To see it broken, \
             name it under `unpromised`",
        ));
    }
    Ok(check)
}

/// Parses the name of a check that no level promises, and that is judged all the same.
fn unpromised(name: &Spanned<String>) -> Result<CheckName, Problem> {
    let word = name.get_ref().as_str();
    match CheckName::find(word) {
        Some(check) if check.is_promised() => {
            Err(Problem::at(name.span(), format!("`{word}` is promised"))
                .label("name it under `checks`"))
        }
        Some(check) => Ok(check),
        None => {
            let all = CheckName::ALL.iter().filter(|check| !check.is_promised());
            let known: Vec<_> = all.map(|check| check.name()).collect();
            Err(Problem::unknown_word(name.span(), "check", word, &known))
        }
    }
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
