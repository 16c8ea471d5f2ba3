//! Check `crash`: nothing panics.

use super::findings::Findings;

/// The `crash` check. Whoever catches a panic reports it here.
#[derive(Clone, Debug, Default)]
pub(super) struct Crash {
    /// The findings so far, counted in runs.
    pub(super) findings: Findings,
}

impl Crash {
    /// Counts a run that ended without a panic.
    pub(super) const fn on_end(&mut self) {
        self.findings.examined += 1;
    }

    /// Takes the message of the panic in which the run ended.
    pub(super) fn on_panic(&mut self, message: &str) {
        self.findings.examined += 1;
        self.findings.violated(|| format!("a panic: {message}"));
    }
}
