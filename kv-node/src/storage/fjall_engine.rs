//! The engine of a real node: fjall, with one keyspace, written by one thread.
//!
//! What is relied upon: a batch is written to the journal and synced before any of it can be read;
//! a snapshot shows whole batches; every block of a table is checksummed; after a failed write or
//! sync the database refuses all later ones. What fjall does not give: it opens without an error
//! after a hole in the middle of its journal, or without a journal that it should have; and when a
//! thread of its own cannot write a table, it refuses what follows without saying why.

use std::ops::{Bound, ControlFlow};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable as _};
use kv_core::store::{Damage, Fault, Visitor};
use thiserror::Error;

use super::directory::DirectoryError;
use super::engine::{Engine, EngineError, Reach, Records};
use super::long_keys;
use super::recovery::RecoveryError;
use super::sealed::sync_directory;

/// The engine and its format on disk. Another one does not open what this one wrote.
pub(super) const FORMAT: &str = "fjall 3";

const KEYSPACE: &str = "records";

/// What a database has from the moment when it is wholly made.
const VERSION_FILE: &str = "version";

/// Files that are kept open for reads. What a process may open at most is shared out around them
/// (`descriptors.rs`).
pub const FILES_CACHED: usize = 192;

/// Flushing and compaction need few threads; a machine may carry several nodes.
const WORKER_THREADS: usize = 2;

/// Less room than this, in bytes, and the disk is full: a table may not fit any more. As large as
/// fjall lets a table in memory grow before it is written.
const ROOM_BYTES_MIN: u64 = 64 << 20;

/// A database in a directory of its own.
pub struct FjallEngine {
    path: PathBuf,
    database: Database,
    records: Keyspace,
}

/// Why data could not be opened. Nothing was changed.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The directory around the data is at fault.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The system refused.
    #[error(
        "cannot open the data in {path}: {message}: see to it that this user may write there and that the disk has room"
    )]
    System {
        /// Where the data lies.
        path: PathBuf,
        /// What it said.
        message: String,
    },
    /// Somebody has the data open.
    #[error("the data in {path} is open in another process: stop that one first")]
    Locked {
        /// Where the data lies.
        path: PathBuf,
    },
    /// The data is of another version.
    #[error(
        "the data in {path} was written by another version of the storage engine: start the version of kv-node that wrote it"
    )]
    Version {
        /// Where the data lies.
        path: PathBuf,
    },
    /// The data is damaged.
    #[error(
        "the data in {path} is damaged ({message}): move {path} away and start again, then this \
         node copies from its peers what they hold; leave the identity file where it is"
    )]
    Damaged {
        /// Where the data lies.
        path: PathBuf,
        /// What the engine found.
        message: String,
    },
    /// It opened, and the node must not start on it.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
}

impl FjallEngine {
    /// Opens the database in this directory, or makes one there. `cache_bytes` is how much of its
    /// tables it keeps in memory.
    ///
    /// # Errors
    /// [`OpenError`]
    pub fn open(path: &Path, cache_bytes: u64) -> Result<Self, OpenError> {
        if !exists(path)? {
            make(path)?;
        } else if !exists(&path.join(VERSION_FILE))? {
            let message = format!("it has no file `{VERSION_FILE}`");
            return Err(OpenError::Damaged { path: path.into(), message });
        }
        Self::open_as_it_is(path, cache_bytes).map_err(|error| explain(path, &error))
    }

    fn open_as_it_is(path: &Path, cache_bytes: u64) -> fjall::Result<Self> {
        let database = Database::builder(path)
            .cache_size(cache_bytes)
            .max_cached_files(Some(FILES_CACHED))
            .worker_threads(WORKER_THREADS)
            .open()?;
        let records = database.keyspace(KEYSPACE, KeyspaceCreateOptions::default)?;
        Ok(Self { path: path.into(), database, records })
    }
}

/// Makes a database elsewhere and moves it here when it is whole: one that a crash left half made
/// could not be opened.
fn make(path: &Path) -> Result<(), OpenError> {
    let unfinished = path.with_extension("new");
    if exists(&unfinished)? {
        std::fs::remove_dir_all(&unfinished).map_err(|error| system(&unfinished, &error))?;
    }
    let made = FjallEngine::open_as_it_is(&unfinished, 0);
    drop(made.map_err(|error| explain(&unfinished, &error))?);
    std::fs::rename(&unfinished, path).map_err(|error| system(path, &error))?;
    let parent = path.parent().expect("it is not the root");
    sync_directory(parent).map_err(|error| system(parent, &error))
}

fn exists(path: &Path) -> Result<bool, OpenError> {
    path.try_exists().map_err(|error| system(path, &error))
}

fn system(path: &Path, error: &std::io::Error) -> OpenError {
    OpenError::System { path: path.into(), message: error.to_string() }
}

fn explain(path: &Path, error: &fjall::Error) -> OpenError {
    match error {
        fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => {
            system(path, error)
        }
        fjall::Error::Locked => OpenError::Locked { path: path.into() },
        fjall::Error::InvalidVersion(_)
        | fjall::Error::Storage(fjall::LsmError::InvalidVersion(_)) => {
            OpenError::Version { path: path.into() }
        }
        damage => OpenError::Damaged { path: path.into(), message: damage.to_string() },
    }
}

impl Engine for FjallEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Damage> {
        let engine_key = long_keys::engine_key(key);
        let found = self.records.get(&*engine_key).map_err(|error| unreadable(&error))?;
        match found.map(Bytes::from) {
            Some(wrapped) if long_keys::is_long(key) => {
                long_keys::unwrap(&engine_key, &wrapped).map(|(_, record)| Some(record))
            }
            found => Ok(found),
        }
    }

    fn scan(&self, prefix: &[u8], after: &[u8], visit: &mut Visitor<'_>) {
        // A scan ends early because the visitor says so, or because nobody knows what comes next.
        let _ = self.try_scan(prefix, after, visit);
    }

    fn apply(&self, records: &Records, reach: Reach) -> Result<(), EngineError> {
        let mut batch = self.database.batch().durability(Some(match reach {
            Reach::Written => PersistMode::Buffer,
            Reach::Synced => PersistMode::SyncData,
        }));
        for (key, record) in records {
            match record {
                None => batch.remove(&self.records, &*long_keys::engine_key(key)),
                Some(record) if long_keys::is_long(key) => {
                    let wrapped = long_keys::wrap(key, record);
                    batch.insert(&self.records, &*long_keys::engine_key(key), wrapped);
                }
                Some(record) => batch.insert(&self.records, key.clone(), record.clone()),
            }
        }
        batch.commit().map_err(|error| self.refused(&error))
    }

    fn sync(&self) -> Result<(), EngineError> {
        self.database.persist(PersistMode::SyncData).map_err(|error| self.refused(&error))
    }
}

impl FjallEngine {
    fn refused(&self, error: &fjall::Error) -> EngineError {
        let full = match error {
            fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => {
                use std::io::ErrorKind::{QuotaExceeded, StorageFull};
                matches!(error.kind(), StorageFull | QuotaExceeded)
            }
            fjall::Error::Poisoned => self.lacks_room(),
            _ => false,
        };
        let fault = if full { Fault::Full } else { Fault::Failed };
        EngineError { fault, message: error.to_string() }
    }

    /// Whether the disk has so little room that this is why it was not written to.
    fn lacks_room(&self) -> bool {
        let disk = rustix::fs::statvfs(&self.path);
        disk.is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) < ROOM_BYTES_MIN)
    }

    fn try_scan(&self, prefix: &[u8], after: &[u8], visit: &mut Visitor<'_>) -> ControlFlow<()> {
        let (first, end) = fjall::util::prefix_to_range(long_keys::head(prefix));
        let begin = if after < prefix {
            first
        } else if long_keys::is_long(after) {
            Bound::Included(long_keys::head(after).into())
        } else {
            Bound::Excluded(after.into())
        };
        let mut scan = Scan {
            prefix,
            after,
            long: Vec::new(),
            unseen: if after < prefix { prefix.to_vec() } else { next_to(after) },
            visit,
        };
        for item in self.database.snapshot().range(&self.records, (begin, end)) {
            match item.into_inner() {
                Ok((key, record)) => scan.on_item(key.into(), record.into())?,
                Err(error) => return scan.on_damage(unreadable(&error)),
            }
        }
        scan.show_long()
    }
}

/// A scan that puts long keys into their places.
struct Scan<'a, 'b> {
    prefix: &'a [u8],
    after: &'a [u8],
    /// Long keys with one head that were not shown yet.
    long: Vec<(Bytes, Bytes)>,
    /// The least key that was not shown yet.
    unseen: Vec<u8>,
    visit: &'a mut Visitor<'b>,
}

impl Scan<'_, '_> {
    fn on_item(&mut self, engine_key: Bytes, record: Bytes) -> ControlFlow<()> {
        let of_group = |(key, _): &(Bytes, Bytes)| engine_key.starts_with(long_keys::head(key));
        if !self.long.first().is_some_and(of_group) {
            self.show_long()?;
        }
        if !long_keys::is_long(&engine_key) {
            return self.show(&engine_key, &record);
        }
        match long_keys::unwrap(&engine_key, &record) {
            Ok(unwrapped) => {
                self.long.push(unwrapped);
                ControlFlow::Continue(())
            }
            Err(damage) => self.on_damage(damage),
        }
    }

    fn on_damage(&mut self, damage: Damage) -> ControlFlow<()> {
        self.show_long()?;
        (self.visit)(&self.unseen, Err(damage))?;
        ControlFlow::Break(())
    }

    fn show_long(&mut self) -> ControlFlow<()> {
        let mut long = std::mem::take(&mut self.long);
        long.sort();
        long.iter().try_for_each(|(key, record)| self.show(key, record))
    }

    fn show(&mut self, key: &Bytes, record: &Bytes) -> ControlFlow<()> {
        let behind = self.after.is_empty() || key[..] > *self.after;
        if !behind || !key.starts_with(self.prefix) {
            return ControlFlow::Continue(());
        }
        self.unseen.clear();
        self.unseen.extend_from_slice(key);
        self.unseen.push(0);
        (self.visit)(key, Ok(record))
    }
}

/// The least key that is greater than this.
fn next_to(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

fn unreadable(error: &fjall::Error) -> Damage {
    tracing::error!(%error, "a record cannot be read");
    Damage
}

#[cfg(test)]
mod tests;
