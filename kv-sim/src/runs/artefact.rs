//! A failing run, saved so that it can be looked at later and elsewhere.
//!
//! A saved failure carries the whole text of its scenario, not the name of a file that may change;
//! for a swarm, the text that was drawn. Every choice of the run is a function of the seed and its
//! own address, but for the decisions in that text. So it fails again after an unrelated choice was
//! added to the code, on any machine.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::checks::CheckVerdict;
use crate::scenario::{Scenario, ScenarioError};
use crate::story::result::{RunResult, Verdict};

/// The format of saved failures. A file of another format is refused.
pub const FORMAT: u32 = 1;

/// The name under which a run with two digests is reported, beside the names of checks.
pub const DETERMINISM: &str = "determinism";

/// A failing run as it is saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedFailure {
    /// The format of the file: [`FORMAT`].
    pub format: u32,
    /// The name of the scenario.
    pub scenario: String,
    /// The seed of the run.
    pub seed: u64,
    /// The digest of the run, as 32 hexadecimal digits.
    pub digest: String,
    /// True if the invariants of nodes were checked in the run. Files from before they could be say
    /// nothing of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paranoid: bool,
    /// The check that was violated.
    pub check: String,
    /// The story of the violation.
    pub violation: String,
    /// The whole text of the scenario.
    pub text: String,
}

/// The reason why a file gives no saved failure.
#[derive(Debug, Error)]
pub enum ArtefactError {
    /// The file cannot be read.
    #[error("{path} cannot be read: {error}")]
    Unreadable {
        /// The path of the file.
        path: PathBuf,
        /// The operating system's reason.
        error: io::Error,
    },
    /// The file is no saved failure, or a corrupt one.
    #[error("{path} is no saved failure, or a corrupt one: {error}")]
    Corrupt {
        /// The path of the file.
        path: PathBuf,
        /// The error of the JSON, with its place.
        error: serde_json::Error,
    },
    /// Another version has saved the file.
    #[error(
        "{path} has format {found}, and this version reads format {FORMAT}: run it with the version \
         that saved it, or save the failure again"
    )]
    Foreign {
        /// The path of the file.
        path: PathBuf,
        /// The format of the file.
        found: u32,
    },
    /// The scenario in the file makes no sense to this version.
    #[error("the scenario in {path} is not valid")]
    Scenario {
        /// The path of the file.
        path: PathBuf,
        /// The error of the scenario.
        error: ScenarioError,
    },
}

/// The result of a new run, compared with the failure that was saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recurrence {
    /// The very same run: every event is the same.
    Identical,
    /// Another run, in which the same check is violated.
    Alike,
    /// Another check is violated.
    Different,
    /// Everything holds.
    Gone,
}

/// The check that a run failed and what it found; none if it passed.
pub fn failure(result: &RunResult) -> Option<(&str, String)> {
    match result.verdict {
        Verdict::Pass => None,
        Verdict::Fail => {
            let (check, violation) = result.violation().unwrap_or(("unknown", "nothing was said"));
            Some((check, violation.to_owned()))
        }
        Verdict::Nondeterministic => {
            let difference = result.difference.as_ref().map(ToString::to_string);
            Some((DETERMINISM, difference.unwrap_or_default()))
        }
    }
}

/// The story of the violation of a check; empty, if a run did not violate it.
pub fn story(result: &RunResult, check: &str) -> String {
    match result.checks.get(check) {
        Some(found) => found.violation.clone().unwrap_or_default(),
        None => failure(result).filter(|(name, _)| *name == check).unwrap_or_default().1,
    }
}

/// Tells whether a run violated this check, perhaps among others.
pub fn fails(result: &RunResult, check: &str) -> bool {
    match result.verdict {
        Verdict::Nondeterministic => check == DETERMINISM,
        Verdict::Pass | Verdict::Fail => {
            result.checks.get(check).is_some_and(|found| found.verdict == CheckVerdict::Fail)
        }
    }
}

impl SavedFailure {
    /// Makes the saved failure of a run; none, if it passed.
    pub fn of(scenario: &Scenario, result: &RunResult) -> Option<Self> {
        let (check, violation) = failure(result)?;
        Some(Self {
            format: FORMAT,
            scenario: scenario.name().to_owned(),
            seed: result.seed,
            digest: result.digest.to_string(),
            paranoid: result.paranoid,
            check: check.to_owned(),
            violation,
            text: scenario.text().to_owned(),
        })
    }

    /// Reads a saved failure, and the scenario in it.
    ///
    /// # Errors
    /// [`ArtefactError`], which names the file and the problem.
    pub fn load(path: &Path) -> Result<(Self, Scenario), ArtefactError> {
        /// The part that every format has had.
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let json = fs::read_to_string(path)
            .map_err(|error| ArtefactError::Unreadable { path: path.to_owned(), error })?;
        let corrupt = |error| ArtefactError::Corrupt { path: path.to_owned(), error };
        let Head { format: found } = serde_json::from_str(&json).map_err(corrupt)?;
        if found != FORMAT {
            return Err(ArtefactError::Foreign { path: path.to_owned(), found });
        }
        let saved: Self = serde_json::from_str(&json).map_err(corrupt)?;
        let scenario = Scenario::parse(&format!("{}.toml", saved.scenario), &saved.text)
            .map_err(|error| ArtefactError::Scenario { path: path.to_owned(), error })?;
        Ok((saved, scenario))
    }

    /// Compares a new run of the same scenario and seed with this failure.
    pub fn recurrence(&self, result: &RunResult) -> Recurrence {
        if result.verdict == Verdict::Pass {
            Recurrence::Gone
        } else if !fails(result, &self.check) {
            Recurrence::Different
        } else if result.digest.to_string() == self.digest {
            Recurrence::Identical
        } else {
            Recurrence::Alike
        }
    }
}

/// Saves a failing run as `DIR/<scenario>-<seed>.json`, replacing an earlier one of that name, and
/// returns its path. Writes nothing for a run that passed.
///
/// # Errors
/// [`io::Error`], if the folder cannot be made or the file not be written; nothing of that name has
/// changed.
pub fn save(folder: &Path, scenario: &Scenario, result: &RunResult) -> io::Result<Option<PathBuf>> {
    let Some(saved) = SavedFailure::of(scenario, result) else {
        return Ok(None);
    };
    fs::create_dir_all(folder)?;
    let path = folder.join(format!("{}-{}.json", scenario.name(), result.seed));
    write_whole(&path, &(serde_json::to_string_pretty(&saved)? + "\n"))?;
    Ok(Some(path))
}

/// Writes a file so that a reader never sees half of it, and an error leaves the old one. A path
/// that is no file, such as a pipe or a terminal, is written to directly.
///
/// # Errors
/// [`io::Error`], if it cannot be written; no file of that name has changed.
pub fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return fs::write(path, text);
    }
    let name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?;
    let unfinished = path.with_file_name(format!(".{}.{}", name.display(), process::id()));
    let written = fs::write(&unfinished, text).and_then(|()| fs::rename(&unfinished, path));
    if written.is_err() {
        // Only the first error matters; a left-over file has a name that nobody reads.
        let _ = fs::remove_file(&unfinished);
    }
    written
}
