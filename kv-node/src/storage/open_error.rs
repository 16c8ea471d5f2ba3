//! The reasons why data is not opened, with the file at fault and the operator's remedy.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::advice::advice;
use super::directory::DirectoryError;
use super::recovery::RecoveryError;

/// The reason why data could not be opened. Nothing was changed.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The directory around the data is at fault.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The system refused.
    #[error("cannot open {path}: {source}: {advice}", advice = advice(source))]
    System {
        /// The file or directory that was opened.
        path: PathBuf,
        /// The error that the system returned.
        source: io::Error,
    },
    /// A file of the data is missing.
    #[error(
        "{file}, a file of the storage engine, is missing: if it was moved, bring it back. {}",
        replace(data)
    )]
    Missing {
        /// The missing file.
        file: PathBuf,
        /// The directory of the data.
        data: PathBuf,
    },
    /// Another process has the data open.
    #[error("the data in {path} is open in another process: stop that one first")]
    Locked {
        /// The directory of the data.
        path: PathBuf,
    },
    /// Another version of the engine wrote the data.
    #[error(
        "the data in {path} was written by another version of the storage engine: start the version of kv-node that wrote it"
    )]
    Version {
        /// The directory of the data.
        path: PathBuf,
    },
    /// The data is corrupt.
    #[error("the data in {path} is corrupt ({message}). {}", replace(path))]
    Corrupt {
        /// The directory of the data.
        path: PathBuf,
        /// The engine's description of the fault.
        message: String,
    },
    /// The data opened, but the node must not start on it.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
}

/// Returns the advice by which a node gets its data back from its peers without the cluster losing
/// what only this node held.
fn replace(data: &Path) -> String {
    format!(
        "Else move {} away (keep it) and start again: this node then copies what it held from its peers, and answers no \
         reads until it is complete. Do so with one node at a time, and only while all other members \
         are complete, which /health/ready of each of them says: what no other node holds would be \
         lost. Leave the identity file where it is",
        data.display()
    )
}

impl OpenError {
    /// Creates an error of the system, about this file or directory.
    pub(super) fn system(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { path: path.into(), source }
    }

    /// Converts the engine's error on opening the data in this directory.
    pub(super) fn of_engine(data: &Path, error: fjall::Error) -> Self {
        let corrupt = |message: String| Self::Corrupt { path: data.into(), message };
        match error {
            fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => {
                match error.kind() {
                    io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                        corrupt(error.to_string())
                    }
                    kind => {
                        let path = culprit(data, kind).unwrap_or_else(|| data.into());
                        Self::System { path, source: error }
                    }
                }
            }
            fjall::Error::Locked => Self::Locked { path: data.into() },
            fjall::Error::InvalidVersion(_)
            | fjall::Error::Storage(fjall::LsmError::InvalidVersion(_)) => {
                Self::Version { path: data.into() }
            }
            fjall::Error::Storage(fjall::LsmError::Unrecoverable) => corrupt(
                "the files under keyspaces/*/tables are not those that the list of tables beside \
                 them names: one is missing, or the list is corrupt"
                    .to_owned(),
            ),
            error => corrupt(error.to_string()),
        }
    }
}

/// Finds the first file or directory at which the system refuses in this way, since the engine does
/// not say which it was.
fn culprit(path: &Path, kind: io::ErrorKind) -> Option<PathBuf> {
    let refuses = |tried: io::Result<()>| tried.is_err_and(|error| error.kind() == kind);
    if !path.is_dir() {
        let opened = OpenOptions::new().read(true).write(true).open(path);
        return refuses(opened.map(drop)).then(|| path.into());
    }
    match std::fs::read_dir(path) {
        Err(error) => (error.kind() == kind).then(|| path.into()),
        Ok(entries) => entries.flatten().find_map(|entry| culprit(&entry.path(), kind)),
    }
}

/// Finds a file that the data cannot be without, and that is missing. The engine itself would make
/// some of them anew, empty, and remove what belonged to them.
pub(super) fn missing_file(data: &Path) -> Result<Option<PathBuf>, OpenError> {
    let keyspaces = data.join("keyspaces");
    let mut files = vec![data.join(VERSION_FILE), keyspaces.clone()];
    for keyspace in KEYSPACE_IDS.map(|id| keyspaces.join(id)) {
        let current = keyspace.join("current");
        let version = version_of(&current)?;
        files.extend([keyspace.clone(), current, keyspace.join("tables")]);
        files.extend(version.map(|version| keyspace.join(format!("v{version}"))));
    }
    for file in files {
        if !file.try_exists().map_err(OpenError::system(&file))? {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

/// The file that a database has once it is wholly made.
const VERSION_FILE: &str = "version";

/// The ids of the engine's own keyspace and of the keyspace of the records.
const KEYSPACE_IDS: [&str; 2] = ["0", "1"];

/// Reads the number of a keyspace's list of tables, if the file that holds it can be read. A
/// truncated file is left for the engine to report.
fn version_of(current: &Path) -> Result<Option<u64>, OpenError> {
    let mut number = [0; 8];
    let read =
        File::open(current).and_then(|mut file| io::Read::read_exact(&mut file, &mut number));
    match read {
        Ok(()) => Ok(Some(u64::from_le_bytes(number))),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof => Ok(None),
            _ => Err(OpenError::system(current)(error)),
        },
    }
}
