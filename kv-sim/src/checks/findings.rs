//! The findings of one check so far.

use std::fmt::Write as _;

use super::subject::Subject;

use serde::Serialize;

/// The count of a check, with the story of its first violation. Later ones are only counted: they
/// mostly follow from the first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// The number of things that the check looked at. Zero means that it proved nothing.
    pub examined: u64,
    /// The number of things of which the check demanded less, as faults exceeded what was promised.
    pub weakened: u64,
    violations: u64,
    first: Option<String>,
    subject: Option<Subject>,
}

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckResult {
    /// The verdict of the check.
    pub verdict: CheckVerdict,
    /// The number of things that the check looked at. Zero means that it proved nothing.
    pub examined: u64,
    /// The number of things of which it demanded less, as faults exceeded what N, R and W promise.
    pub weakened: u64,
    /// The story of the first violation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub violation: Option<String>,
}

/// The verdict of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckVerdict {
    /// The check held.
    Pass,
    /// The check was violated.
    Fail,
}

impl Findings {
    /// Takes a violation. Its story is told only if it is the first.
    #[cold]
    #[inline(never)]
    pub fn violated(&mut self, story: impl FnOnce() -> String) {
        self.violations += 1;
        if self.first.is_none() {
            self.first = Some(story());
        }
    }

    /// Takes a violation with its subject. The subject of the first such violation is kept.
    #[cold]
    #[inline(never)]
    pub fn violated_about(
        &mut self,
        subject: impl FnOnce() -> Subject,
        story: impl FnOnce() -> String,
    ) {
        self.subject.get_or_insert_with(subject);
        self.violated(story);
    }

    /// True if anything was violated so far.
    pub const fn is_violated(&self) -> bool {
        self.violations > 0
    }

    /// The subject of the first violation that had one.
    pub const fn subject(&self) -> Option<&Subject> {
        self.subject.as_ref()
    }

    /// The findings in the form in which they are reported.
    pub fn result(&self) -> CheckResult {
        let violation = self.violation();
        let verdict = if violation.is_none() { CheckVerdict::Pass } else { CheckVerdict::Fail };
        let Self { examined, weakened, .. } = *self;
        CheckResult { verdict, examined, weakened, violation }
    }

    /// The story of the first violation, with the number of those that followed; none if all held.
    pub fn violation(&self) -> Option<String> {
        let mut story = self.first.clone()?;
        match self.violations - 1 {
            0 => {}
            1 => story += "\n(and 1 more violation of this check)",
            more => {
                let _ = write!(story, "\n(and {more} more violations of this check)");
            }
        }
        Some(story)
    }
}
