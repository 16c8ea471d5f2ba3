//! The failures that `replay`, `shrink` and `report` begin with: a saved one, or a scenario that
//! fails with its seed.

use std::path::Path;

use kv_sim::checks::CheckName;
use kv_sim::runs::artefact::{ArtefactError, SavedFailure};
use kv_sim::scenario::{Colour, Scenario, Source};

use super::output::{self, Exit};

/// A run that failed, or should fail.
pub(crate) struct FailedRun {
    /// The scenario that is run.
    pub(crate) scenario: Scenario,
    /// The seed of the run.
    pub(crate) seed: u64,
    /// The saved failure; none, if the file is just a scenario.
    pub(crate) saved: Option<SavedFailure>,
}

impl FailedRun {
    /// True if the run must check the invariants of nodes, as the one that was saved did.
    pub(crate) fn is_paranoid(&self) -> bool {
        self.saved.as_ref().is_some_and(|saved| saved.paranoid)
    }
}

/// Reads a saved failure or a scenario, by the ending of its name, of which these checks are demanded
/// too. A scenario is run with this seed, or with the one in it; a saved failure has its own.
pub(crate) fn load(path: &Path, seed: Option<u64>, also: &[CheckName]) -> Result<FailedRun, Exit> {
    if path.extension().is_some_and(|extension| extension == "toml") {
        let source = super::load(&[path.to_string_lossy().into_owned()], also)?.remove(0);
        let seed = seed.unwrap_or(source.seed());
        let scenario = match source {
            Source::One(scenario) => *scenario,
            Source::Swarm(swarm) => swarm.scenario(seed).map_err(|error| super::invalid(&error))?,
        };
        return Ok(FailedRun { scenario, seed, saved: None });
    }
    if seed.is_some() {
        output::complain(&format!(
            "error: {} is a saved failure and has its seed in it: leave --seed out\n",
            path.display()
        ));
        return Err(Exit::Usage);
    }
    match SavedFailure::load(path) {
        Ok((saved, scenario)) => {
            let scenario = match also {
                [] => scenario,
                also => scenario.demanding(also).map_err(|error| super::invalid(&error))?,
            };
            Ok(FailedRun { scenario, seed: saved.seed, saved: Some(saved) })
        }
        Err(error) => {
            output::complain(&format!("error: {error}\n"));
            if let ArtefactError::Scenario { error, .. } = &error {
                output::complain(&error.render(Colour::Ansi));
            }
            Err(Exit::Usage)
        }
    }
}
