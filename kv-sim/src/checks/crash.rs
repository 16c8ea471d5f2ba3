//! Check `crash`: nothing panics.

use super::check::Check;
use super::findings::Findings;
use super::occasions::RunEnd;
use super::{Setting, WorldView};

/// The `crash` check. Whoever catches a panic reports it.
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

    fn on_panic(&mut self, message: &str) {
        self.findings.examined += 1;
        self.findings.violated(|| format!("a panic: {message}"));
    }

    /// Counts a run that ended without a panic.
    fn at_end(&mut self, _: &RunEnd<'_, impl WorldView>) {
        self.findings.examined += 1;
    }
}
