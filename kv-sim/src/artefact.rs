//! A failing run, saved so that it can be looked at later and elsewhere: it carries the text of its
//! scenario, not the name of a file that may change.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process;

use serde::Serialize;

use crate::result::{RunResult, Verdict};
use crate::scenario::Scenario;

/// The format of saved failures. One that is read has the same number or is refused.
pub const FORMAT: u32 = 1;

/// The name under which a run with two digests is reported, beside the names of checks.
pub const DETERMINISM: &str = "determinism";

/// A failing run as it is saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SavedFailure<'a> {
    /// [`FORMAT`].
    pub format: u32,
    /// The scenario's name.
    pub scenario: &'a str,
    /// The seed.
    pub seed: u64,
    /// The digest of the run, as 32 hexadecimal digits.
    pub digest: String,
    /// The check that was violated.
    pub check: &'a str,
    /// What was violated, in words.
    pub violation: &'a str,
    /// The whole text of the scenario.
    pub text: &'a str,
}

/// The check that a run failed and what it found; nothing if it passed.
pub fn failure(result: &RunResult) -> Option<(&str, &str)> {
    match result.verdict {
        Verdict::Pass => None,
        Verdict::Fail => Some(result.violation().unwrap_or(("unknown", "nothing was said"))),
        Verdict::Nondeterministic => Some((DETERMINISM, "the same seed gave two digests")),
    }
}

/// Saves a failing run as `DIR/<scenario>-<seed>.json`, replacing an earlier one of that name, and
/// returns where it is. Writes nothing for a run that passed. A reader never sees half a file.
///
/// # Errors
/// The folder cannot be made or the file not be written; nothing of that name has changed.
pub fn save(folder: &Path, scenario: &Scenario, result: &RunResult) -> io::Result<Option<PathBuf>> {
    let Some((check, violation)) = failure(result) else {
        return Ok(None);
    };
    let saved = SavedFailure {
        format: FORMAT,
        scenario: scenario.name(),
        seed: result.seed,
        digest: result.digest.to_string(),
        check,
        violation,
        text: scenario.text(),
    };
    fs::create_dir_all(folder)?;
    let name = format!("{}-{}.json", scenario.name(), result.seed);
    let path = folder.join(&name);
    let unfinished = folder.join(format!(".{name}.{}", process::id()));
    let json = serde_json::to_string_pretty(&saved)?;
    let written = fs::write(&unfinished, json + "\n").and_then(|()| fs::rename(&unfinished, &path));
    if written.is_err() {
        // What matters is the first error; a left-over file has a name that nobody reads.
        let _ = fs::remove_file(&unfinished);
    }
    written.map(|()| Some(path))
}
