//! The output of the program: its streams, its files, and its exit codes.
//!
//! Results go to standard output, everything else to standard error. A reader that goes away
//! (`kv-sim … | head`) ends the output, not the program: the exit code still tells what held.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;

use kv_sim::runs::artefact;
use kv_sim::runs::sweep::Summary;
use kv_sim::scenario::former_names;
use serde::Serialize;
use serde_json::Value;

/// The way in which the program ends; a contract. The greater one wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// Everything held.
    Passed,
    /// A check was violated.
    Failed,
    /// The arguments or a scenario make no sense, nothing was examined, or a file cannot be read or
    /// written.
    Usage,
    /// The same seed gave two digests.
    Nondeterministic,
}

impl Exit {
    /// Decides how a sweep with this summary ends. A violation comes before a check with nothing to
    /// look at: it is a result all the same.
    pub(crate) fn of(summary: &Summary) -> Self {
        if summary.is_nondeterministic() {
            Self::Nondeterministic
        } else if !summary.has_passed() {
            Self::Failed
        } else if summary.runs == 0 || summary.idle_checks().next().is_some() {
            Self::Usage
        } else {
            Self::Passed
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Passed => 0.into(),
            Exit::Failed => 1.into(),
            Exit::Usage => 2.into(),
            Exit::Nondeterministic => 3.into(),
        }
    }
}

/// Writes a result to standard output, in colour if that is a terminal.
pub(crate) fn say(text: &str) -> Result<(), Exit> {
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            complain(&format!("standard output cannot be written: {error}\n"));
            Err(Exit::Usage)
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes to standard error, in colour if that is a terminal.
pub(crate) fn complain(text: &str) {
    // There is nowhere left to tell that this failed.
    let _ = anstream::stderr().lock().write_all(text.as_bytes());
}

/// Writes a value as JSON to standard output.
pub(crate) fn say_json(value: &impl Serialize) -> Result<(), Exit> {
    say(&json(value)?)
}

/// Writes a value as one line of JSON to standard output.
pub(crate) fn say_line(value: &impl Serialize) -> Result<(), Exit> {
    let value = with_former_keys(value)?;
    let line = serde_json::to_string(&value).map_err(|error| not_json(&error))?;
    say(&(line + "\n"))
}

/// Writes a text to a file, or to standard output if the path is `-`.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Exit> {
    if path == Path::new("-") {
        return say(text);
    }
    fs::write(path, text).map_err(|error| unwritable(path, &error))
}

/// Writes as [`write`] does, but a reader never sees half of the file, and an error leaves the old
/// one.
pub(crate) fn write_whole(path: &Path, text: &str) -> Result<(), Exit> {
    if path == Path::new("-") {
        return say(text);
    }
    artefact::write_whole(path, text).map_err(|error| unwritable(path, &error))
}

/// Reports that a file cannot be written.
pub(crate) fn unwritable(path: &Path, error: &io::Error) -> Exit {
    complain(&format!("error: {} cannot be written: {error}\n", path.display()));
    Exit::Usage
}

/// Writes a value as JSON, with a newline at the end.
pub(crate) fn json(value: &impl Serialize) -> Result<String, Exit> {
    let value = with_former_keys(value)?;
    let text = serde_json::to_string_pretty(&value).map_err(|error| not_json(&error))?;
    Ok(text + "\n")
}

fn with_former_keys(value: &impl Serialize) -> Result<Value, Exit> {
    let mut value = serde_json::to_value(value).map_err(|error| not_json(&error))?;
    former_names::add(&mut value);
    Ok(value)
}

/// Reports that a value cannot be written as JSON.
pub(crate) fn not_json(error: &serde_json::Error) -> Exit {
    complain(&format!("error: the result cannot be written as JSON: {error}\n"));
    Exit::Usage
}
