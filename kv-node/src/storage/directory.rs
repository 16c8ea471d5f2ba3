//! The data directory of a node: one process at a time, one node for life.
//!
//! | name | what |
//! |---|---|
//! | `lock` | held while a process uses the directory; says which |
//! | `identity` | who the node is ([`StoredIdentity`]); survives a wipe |
//! | `data` | the engine's; a wipe takes this and nothing else |

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use kv_core::time::WallTime;
use kv_core::types::{Generation, NodeId};
use thiserror::Error;

use super::identity::{DecodeError, FORMAT, StoredIdentity};

/// Peers refuse generations that are further ahead of their clocks (CASSANDRA-8113).
const AHEAD_SECONDS_MAX: u64 = 366 * 24 * 60 * 60;

/// A directory that this process holds.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    identity: Option<StoredIdentity>,
    /// The lock lasts as long as this is open.
    _lock: File,
}

/// Why a directory cannot be used. Nothing in it was changed.
#[derive(Debug, Error)]
pub enum DirectoryError {
    /// The system refused.
    #[error(
        "cannot {verb} {path}: {source}: see to it that this user may write there and that the disk has room"
    )]
    System {
        /// What was tried.
        verb: &'static str,
        /// On what.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// Somebody has it.
    #[error(
        "{path} is in use by {holder}: stop that one first, or give this node a directory of its own"
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Who, as far as known.
        holder: String,
    },
    /// The identity cannot be read.
    #[error(
        "the identity file {path} is damaged ({reason}): restore it from a backup; if there is \
         none, this node is lost: start a new one in an empty directory and put it into the \
         layout in its place"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// It was written by a later version.
    #[error(
        "the identity file {path} has format {found}, and this kv-node knows {known}: start the version that wrote it, or a later one",
        known = FORMAT
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// It is the directory of another node.
    #[error(
        "{path} belongs to node {owner} and not to {node}: correct the node's id or its directory in the configuration"
    )]
    OtherNode {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        owner: NodeId,
        /// Who asked for it.
        node: NodeId,
    },
    /// It is a directory of another cluster.
    #[error(
        "{path} belongs to cluster `{owner}` and not to `{cluster}`: correct the cluster's name or the directory in the configuration"
    )]
    OtherCluster {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        owner: String,
        /// Who asked for it.
        cluster: String,
    },
    /// There is data, and nobody knows whose.
    #[error(
        "{path} holds data but no identity file: restore the file, or move the data away if this is to be a new node"
    )]
    Orphaned {
        /// The directory.
        path: PathBuf,
    },
    /// The node last started under a clock far ahead of this one.
    #[error(
        "this node last started at {stored} s since 1970, and this machine's clock says {now} s: \
         set the clock; if it is right, the node once started under a wrong one, and its peers \
         will not listen to it: start a new node in an empty directory and put it into the layout \
         in its place"
    )]
    Ahead {
        /// The last generation.
        stored: u64,
        /// The clock.
        now: u64,
    },
}

impl Directory {
    /// Takes a directory, which is made if there is none, and reads who lives there.
    ///
    /// # Errors
    /// [`DirectoryError`], if another process has it, or it cannot be written or understood.
    pub fn open(path: &Path) -> Result<Self, DirectoryError> {
        std::fs::create_dir_all(path).map_err(system("make", path))?;
        let lock = take_lock(path)?;
        let identity = read_identity(&path.join("identity"))?;
        Ok(Self { path: path.into(), identity, _lock: lock })
    }

    /// Who lives there; nobody, before the first claim.
    pub const fn identity(&self) -> Option<&StoredIdentity> {
        self.identity.as_ref()
    }

    /// Starts a node there: checks that the directory is its own, and stores its new generation.
    ///
    /// # Errors
    /// [`DirectoryError`]; then the node must not start.
    pub fn claim(
        &mut self,
        node: NodeId,
        cluster: &str,
        now: WallTime,
    ) -> Result<Generation, DirectoryError> {
        let seconds = now.0 / 1_000_000;
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
        let stored = identity.generation.0;
        if stored > seconds.saturating_add(AHEAD_SECONDS_MAX) {
            return Err(DirectoryError::Ahead { stored, now: seconds });
        }
        identity.generation = Generation((stored + 1).max(seconds));
        let generation = identity.generation;
        self.store(identity)?;
        Ok(generation)
    }

    /// Where the engine's data lies.
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

    /// Replaces the identity file: after a crash there is the former or the new one, whole.
    fn store(&mut self, identity: StoredIdentity) -> Result<(), DirectoryError> {
        let (path, unfinished) = (self.path.join("identity"), self.path.join("identity.new"));
        let write = || {
            let mut file = File::create(&unfinished)?;
            file.write_all(identity.encode().as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&unfinished, &path)?;
            sync_directory(&self.path)
        };
        write().map_err(system("write", &path))?;
        self.identity = Some(identity);
        Ok(())
    }
}

/// Makes the names in a directory reach the disk.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
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

fn read_identity(path: &Path) -> Result<Option<StoredIdentity>, DirectoryError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(system("read", path)(error)),
    };
    match StoredIdentity::decode(&String::from_utf8_lossy(&bytes)) {
        Ok(identity) => Ok(Some(identity)),
        Err(DecodeError::Newer(found)) => Err(DirectoryError::Newer { path: path.into(), found }),
        Err(error @ (DecodeError::Checksum | DecodeError::Content(_))) => {
            Err(DirectoryError::Damaged { path: path.into(), reason: error.to_string() })
        }
    }
}

fn system(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DirectoryError {
    move |source| DirectoryError::System { verb, path: path.into(), source }
}

#[cfg(test)]
mod tests;
