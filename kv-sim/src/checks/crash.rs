//! Check `crash`: nothing panics.

use super::findings::Findings;

/// See the module. It is told by whoever catches the panic.
#[derive(Clone, Debug, Default)]
pub(super) struct Crash {
    /// What was found so far; counted in runs.
    pub(super) findings: Findings,
}

impl Crash {
    /// The run ended without a panic.
    pub(super) const fn on_end(&mut self) {
        self.findings.examined += 1;
    }

    /// The run ended in a panic.
    pub(super) fn on_panic(&mut self, message: &str) {
        self.findings.examined += 1;
        self.findings.violated(|| format!("a panic: {message}"));
    }
}
