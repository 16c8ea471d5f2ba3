//! Check `crash`: nothing panics.

use super::check::Check;
use super::findings::Findings;
use super::occasions::RunEnd;
use super::{Setting, WorldView};

/// The `crash` check: it counts the runs that ended. Whoever catches a panic writes it into the result
/// of the run.
#[derive(Clone, Debug, Default)]
pub(super) struct Crash {
    /// The findings so far, counted in runs.
    findings: Findings,
}

impl Check for Crash {
    const NAME: &'static str = "crash";
    const ABOUT: &'static str = "nothing panics (always checked)";

    fn new(_: &Setting) -> Self {
        Self::default()
    }

    fn findings(&self) -> &Findings {
        &self.findings
    }

    /// Counts a run that ended without a panic.
    fn at_end(&mut self, _: &RunEnd<'_, impl WorldView>) {
        self.findings.examined += 1;
    }
}
