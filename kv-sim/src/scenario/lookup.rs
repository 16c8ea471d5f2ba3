//! The search for scenarios: a path that exists is taken as it is; a bare name, with or without
//! `.toml`, is looked for in the folder `scenarios` here and above.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::{ScenarioError, nearest};
use super::source::Source;

/// The folder that bare names are looked for in.
const FOLDER: &str = "scenarios";

/// Reads the scenario or swarm that `wanted` names, from the absolute folder `here`.
///
/// # Errors
/// [`ScenarioError`], if it is not found, cannot be read, or is no scenario.
pub fn load(wanted: &str, here: &Path) -> Result<Source, ScenarioError> {
    let path = find(wanted, here)?;
    let text = fs::read_to_string(here.join(&path)).map_err(|error| ScenarioError::Unreadable {
        path: path.clone(),
        reason: error.to_string(),
    })?;
    Source::parse(&path.to_string_lossy(), &text)
}

/// Finds the file that `wanted` names, and returns its path as seen from the absolute folder
/// `here`.
///
/// # Errors
/// [`ScenarioError::NotFound`], with the most similar name that exists.
pub fn find(wanted: &str, here: &Path) -> Result<PathBuf, ScenarioError> {
    let given = here.join(wanted);
    if given.exists() {
        return Ok(shortened(&given, here));
    }
    let is_bare = Path::new(wanted).components().count() == 1;
    let folder = folder(here);
    if let Some(folder) = folder.as_ref().filter(|_| is_bare) {
        let candidates = [folder.join(wanted), folder.join(format!("{wanted}.toml"))];
        if let Some(found) = candidates.into_iter().find(|path| path.is_file()) {
            return Ok(shortened(&found, here));
        }
    }
    let names: Vec<_> = folder.iter().flat_map(|folder| names(folder)).collect();
    let stem = Path::new(wanted).file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let nearest = nearest(stem.as_deref().unwrap_or(wanted), names.iter().map(String::as_str));
    Err(ScenarioError::NotFound {
        wanted: wanted.to_owned(),
        nearest: nearest.map(ToOwned::to_owned),
        folder: folder.map(|folder| shortened(&folder, here)),
    })
}

/// Lists the scenarios of the folder `scenarios` here or above, in the order of their names.
pub fn all(here: &Path) -> Vec<PathBuf> {
    let Some(folder) = folder(here) else {
        return Vec::new();
    };
    let paths = names(&folder).into_iter().map(|name| folder.join(format!("{name}.toml")));
    paths.map(|path| shortened(&path, here)).collect()
}

fn folder(here: &Path) -> Option<PathBuf> {
    here.ancestors().map(|ancestor| ancestor.join(FOLDER)).find(|folder| folder.is_dir())
}

/// Lists the names of the scenarios in a folder, without `.toml`, sorted. Empty if it cannot be
/// read.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .filter_map(|path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    names
}

/// Shortens a path to how it is seen from `here`, where that is shorter.
fn shortened(path: &Path, here: &Path) -> PathBuf {
    path.strip_prefix(here).map_or_else(|_| path.to_path_buf(), Path::to_path_buf)
}
