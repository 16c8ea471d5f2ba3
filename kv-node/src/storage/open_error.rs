//! The reasons why data is not opened, with the file at fault and the operator's remedy.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::advice::advice;
use super::directory::DirectoryError;
use super::recovery::RecoveryError;
use super::tables::OpenTablesError;

/// The reason why data could not be opened. Nothing was lost.
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
    /// Another version wrote the data.
    #[error("{path} was written by another version of kv-node: start the one that wrote it")]
    Version {
        /// The file or directory.
        path: PathBuf,
    },
    /// A file of the data has a format that this version does not know.
    #[error(
        "{path} has the format {found}, which this version of kv-node does not read: start the one that wrote it"
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// The format that the file has.
        found: u32,
    },
    /// Something that is no table lies among the tables.
    #[error("{path} lies among the tables and is none: take it away, and start again")]
    Stray {
        /// The file or directory.
        path: PathBuf,
    },
    /// The log cannot be read.
    #[error("{path}: {error}")]
    Log {
        /// The folder of the log.
        path: PathBuf,
        /// The reason, in words that say what to do.
        error: String,
    },
    /// The data opened, but the node must not start on it.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
}

impl OpenError {
    /// Creates an error of the system, about this file or directory.
    pub(super) fn system(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { path: path.into(), source }
    }

    /// Converts the error on opening tables.
    pub(super) fn of_tables(error: OpenTablesError) -> Self {
        match error {
            OpenTablesError::System { path, source } => Self::System { path, source },
            OpenTablesError::Version { path } => Self::Version { path },
            OpenTablesError::Stray { path } => Self::Stray { path },
        }
    }
}
