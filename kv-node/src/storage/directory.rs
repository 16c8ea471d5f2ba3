//! The data directory of a node: one process at a time, one node for life.
//!
//! | name | what |
//! |---|---|
//! | `lock` | held while a process uses the directory; says which |
//! | `identity` | who the node is ([`StoredIdentity`]); survives a wipe |
//! | `pinned` | what must not change as long as there is data ([`Pinned`]); survives a wipe |
//! | `data` | the engine's; a wipe takes this and nothing else |

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use kv_core::time::WallTime;
use kv_core::types::{Generation, NodeId};
use thiserror::Error;

use super::advice::advice;
use super::identity::{self, StoredIdentity};
use super::pinned::{self, Pinned};
use super::sealed::{self, SealError};

const IDENTITY: &str = "identity";
const PINNED: &str = "pinned";

/// A data directory that this process has locked.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    identity: Option<StoredIdentity>,
    pinned: Option<Pinned>,
    /// The lock lasts as long as this is open.
    _lock: File,
}

/// The reason why a directory cannot be used. Nothing in it was changed.
#[derive(Debug, Error)]
pub enum DirectoryError {
    /// The system refused.
    #[error("cannot {verb} {path}: {source}: {advice}", advice = advice(source))]
    System {
        /// The verb for the attempt that failed.
        verb: &'static str,
        /// The file or directory concerned.
        path: PathBuf,
        /// The error that the system returned.
        source: io::Error,
    },
    /// Another process uses the directory.
    #[error(
        "{path} is in use by {holder}: stop that one first, or give this node a directory of its own"
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// The process that holds the lock, as far as known.
        holder: String,
    },
    /// The identity file is corrupt.
    #[error(
        "the identity file {path} is corrupt ({reason}): restore it from a backup; if there is \
         none, move the whole directory away and start again: this node then copies from its peers \
         what they hold"
    )]
    CorruptIdentity {
        /// The identity file.
        path: PathBuf,
        /// The reason why it cannot be read.
        reason: String,
    },
    /// The file `pinned` is corrupt.
    #[error(
        "the file {path} is corrupt ({reason}): copy the file `pinned` from the directory of another \
         node of this cluster, where it is the same, or restore it from a backup"
    )]
    CorruptPinned {
        /// The file `pinned`.
        path: PathBuf,
        /// The reason why it cannot be read.
        reason: String,
    },
    /// A file was written by another version.
    #[error(
        "the file {path} has format {found}, and this kv-node knows format {known} only: {}",
        format_advice(*found, *known)
    )]
    OtherFormat {
        /// The file of the other format.
        path: PathBuf,
        /// The format that the file has.
        found: u32,
        /// The format that this version knows.
        known: u32,
    },
    /// The directory belongs to another node.
    #[error(
        "{path} belongs to node {owner} and not to {node}: correct the node's id or its directory in the configuration"
    )]
    OtherNode {
        /// The directory.
        path: PathBuf,
        /// The node that owns the directory.
        owner: NodeId,
        /// The node that was to start there.
        node: NodeId,
    },
    /// The directory belongs to another cluster.
    #[error(
        "{path} belongs to cluster `{owner}` and not to `{cluster}`: correct the cluster's name or the directory in the configuration"
    )]
    OtherCluster {
        /// The directory.
        path: PathBuf,
        /// The cluster that owns the directory.
        owner: String,
        /// The cluster of the node that was to start there.
        cluster: String,
    },
    /// The directory holds data but no identity file.
    #[error(
        "{path} holds data but no identity file: restore the file, or move the data away if this is to be a new node"
    )]
    Orphaned {
        /// The directory.
        path: PathBuf,
    },
    /// The directory has an identity file but no file `pinned`.
    #[error(
        "{path} has no file `pinned`, which says how its data was made, so nobody can tell whether the \
         configuration fits: copy the file from the directory of another node of this cluster, where \
         it is the same, or restore it from a backup; if there is none, move {path} away, and this node \
         copies from its peers what they hold"
    )]
    Unpinned {
        /// The directory.
        path: PathBuf,
    },
    /// The configuration differs from the one under which the data was made.
    #[error(
        "the data in {path} was made under another configuration, and would not be found under this one:\n  \
         {}\nundo these changes in the configuration of every node; to change them, found a new cluster \
         with directories of its own and copy the data",
        differences.join("\n  ")
    )]
    OtherShape {
        /// The directory.
        path: PathBuf,
        /// All differences in words, with both values.
        differences: Vec<String>,
    },
}

/// Returns an operator's remedy for a file of another format.
const fn format_advice(found: u32, known: u32) -> &'static str {
    if found > known {
        "start the version that wrote it, or a later one"
    } else {
        "no released version wrote it; move the directory away and found the cluster anew, or start the version that wrote it"
    }
}

impl Directory {
    /// Locks a directory, which is made if there is none, and reads its identity and pinned
    /// configuration.
    ///
    /// # Errors
    /// [`DirectoryError`], if another process has it, or it cannot be written or understood.
    pub fn open(path: &Path) -> Result<Self, DirectoryError> {
        std::fs::create_dir_all(path).map_err(system("make", path))?;
        let lock = take_lock(path)?;
        let (in_identity, in_pinned) = (path.join(IDENTITY), path.join(PINNED));
        let identity = read(&in_identity)?.map(|text| StoredIdentity::decode(&text)).transpose();
        let identity =
            identity.map_err(|error| unreadable(&error, in_identity, identity::FORMAT))?;
        let pinned = read(&in_pinned)?.map(|text| Pinned::decode(&text)).transpose();
        let pinned = pinned.map_err(|error| unreadable(&error, in_pinned, pinned::FORMAT))?;
        Ok(Self { path: path.into(), identity, pinned, _lock: lock })
    }

    /// The identity of the node that lives there; `None` before the first claim.
    pub const fn identity(&self) -> Option<&StoredIdentity> {
        self.identity.as_ref()
    }

    /// Starts a node there: checks that the directory belongs to it and fits the present
    /// configuration, and stores its new generation.
    ///
    /// # Errors
    /// [`DirectoryError`]; then the node must not start.
    pub fn claim(
        &mut self,
        node: NodeId,
        now: &Pinned,
        wall: WallTime,
    ) -> Result<Generation, DirectoryError> {
        let cluster = now.cluster();
        let mut identity = match self.identity.clone() {
            Some(identity) => {
                self.check(&identity, node, cluster)?;
                identity
            }
            None if self.data().exists() => {
                return Err(DirectoryError::Orphaned { path: self.path.clone() });
            }
            None => {
                let generation = Generation(0);
                StoredIdentity { node, cluster: cluster.into(), generation }
            }
        };
        self.pin(now)?;
        let former = identity.generation;
        if !former.is_believed_at(wall) {
            tracing::warn!(
                last_start_s = former.0,
                clock_s = wall.as_seconds(),
                "the last start of this node lies more than a year ahead of this machine's clock: one \
                 of them was under a wrong clock; this one is believed"
            );
        }
        if !wall.can_be_the_date() {
            tracing::warn!(clock_s = wall.as_seconds(), "this machine's clock has lost the date");
        }
        identity.generation = Generation::of_run(former, wall);
        let generation = identity.generation;
        self.store(identity)?;
        Ok(generation)
    }

    /// The path of the engine's data.
    pub fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    fn check(
        &self,
        identity: &StoredIdentity,
        node: NodeId,
        cluster: &str,
    ) -> Result<(), DirectoryError> {
        let path = self.path.clone();
        if identity.cluster != cluster {
            let (owner, cluster) = (identity.cluster.clone(), cluster.into());
            return Err(DirectoryError::OtherCluster { path, owner, cluster });
        }
        if identity.node != node {
            return Err(DirectoryError::OtherNode { path, owner: identity.node, node });
        }
        Ok(())
    }

    /// Compares the configuration with the one under which the data was made. In a new directory,
    /// writes it down before the identity, so that whoever has an identity has this too.
    fn pin(&mut self, now: &Pinned) -> Result<(), DirectoryError> {
        let path = self.path.clone();
        match (&self.pinned, &self.identity) {
            (Some(pinned), _) => {
                let differences = pinned.differences(now);
                if differences.is_empty() {
                    return Ok(());
                }
                Err(DirectoryError::OtherShape { path, differences })
            }
            (None, Some(_)) => Err(DirectoryError::Unpinned { path }),
            (None, None) => {
                let written = sealed::replace(&path, PINNED, now.encode().as_bytes());
                written.map_err(system("write", &path.join(PINNED)))?;
                self.pinned = Some(now.clone());
                Ok(())
            }
        }
    }

    /// Replaces the identity file.
    fn store(&mut self, identity: StoredIdentity) -> Result<(), DirectoryError> {
        let written = sealed::replace(&self.path, IDENTITY, identity.encode().as_bytes());
        written.map_err(system("write", &self.path.join(IDENTITY)))?;
        self.identity = Some(identity);
        Ok(())
    }
}

fn take_lock(directory: &Path) -> Result<File, DirectoryError> {
    let path = directory.join("lock");
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let mut file = options.open(&path).map_err(system("write", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let read = file.read_to_string(&mut holder);
            if read.is_err() || holder.is_empty() {
                holder = "another process".into();
            }
            return Err(DirectoryError::InUse { path: directory.into(), holder });
        }
        Err(TryLockError::Error(error)) => return Err(system("lock", &path)(error)),
    }
    let mut sign = || {
        file.set_len(0)?;
        file.rewind()?;
        write!(file, "process {}", std::process::id())
    };
    sign().map_err(system("write", &path))?;
    Ok(file)
}

/// Reads the text of a file, if there is one.
fn read(path: &Path) -> Result<Option<String>, DirectoryError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(system("read", path)(error)),
    }
}

fn unreadable(error: &SealError, path: PathBuf, known: u32) -> DirectoryError {
    let reason = error.to_string();
    match *error {
        SealError::Format(found) => DirectoryError::OtherFormat { path, found, known },
        SealError::Checksum | SealError::Content(_) if path.ends_with(IDENTITY) => {
            DirectoryError::CorruptIdentity { path, reason }
        }
        SealError::Checksum | SealError::Content(_) => {
            DirectoryError::CorruptPinned { path, reason }
        }
    }
}

fn system(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DirectoryError {
    move |source| DirectoryError::System { verb, path: path.into(), source }
}

#[cfg(test)]
mod tests;
