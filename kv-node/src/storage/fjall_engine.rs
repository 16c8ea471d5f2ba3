//! The engine of a real node: fjall, with one keyspace, written by one thread.
//!
//! The node relies on this: a batch is written to the journal and synced before any of it can be
//! read; a snapshot shows whole batches; every block of a table is checksummed; after a failed
//! write or sync the database refuses all later ones. What fjall does not give: it opens without an
//! error after a hole in the middle of its journal, or without a journal that it should have; when
//! a thread of its own cannot write a table, it refuses what follows without saying why; and it
//! never takes writes again. So it is opened anew ([`reopening`]) when the reason has passed.
//!
//! Most of the time that is not needed: a group is not even tried while less than the reserve is
//! free, so that the engine always has room for the tables that it owes.

mod reopening;
mod scan;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fjall::{AbstractTree as _, Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use kv_core::store::{Corrupt, Visitor};

use crate::log::LogLimiter;

use super::engine::{Engine, EngineError, Reach, Records, is_out_of_files};
use super::long_keys;
use super::open_error::{OpenError, missing_file};
use super::sealed::sync_directory;

use reopening::Journal;
pub(super) use reopening::room;

const KEYSPACE: &str = "records";

/// The number of files that are kept open for reads. The rest of the process's descriptors are
/// shared out around them (`descriptors.rs`).
pub const FILES_CACHED: usize = 192;

/// The number of threads for flushing and compaction, low because a machine may carry several
/// nodes.
const WORKER_THREADS: usize = 2;

/// The number of sealed tables in memory at which the next group waits. The group itself and the
/// work under way may each add one. From 4 on the engine would wait, and for ever if the thread
/// that writes them has given up.
const SEALED_TABLES_MAX: usize = 2;

/// The number of unmerged tables at which the next group waits. From 30 on the engine would wait.
const UNMERGED_TABLES_MAX: usize = 24;

/// The pause between two looks at another thread's progress.
const PAUSE: Duration = Duration::from_millis(5);

/// The time for which a read waits while the engine is reopened, or for a file descriptor. After it
/// the node gives up, since the answer is not known.
const READ_WAIT_MAX: Duration = Duration::from_secs(30);

/// A database in a directory of its own.
pub struct FjallEngine {
    path: PathBuf,
    cache_bytes: u64,
    /// The number of bytes of the disk that are left free.
    reserve_bytes: u64,
    log_limiter: Arc<LogLimiter>,
    /// The database; `None` while it is reopened. Each user holds a share until it is done.
    opened: RwLock<Option<Arc<Opened>>>,
    journal: Mutex<Journal>,
    /// True once a read has waited for too long.
    gave_up: AtomicBool,
}

struct Opened {
    database: Database,
    records: Keyspace,
}

impl FjallEngine {
    /// Opens the database in this directory, or makes one there. It keeps `cache_bytes` of its
    /// tables in memory and leaves `reserve_bytes` of the disk free. Records that cannot be read
    /// are reported to `log_limiter`.
    ///
    /// # Errors
    /// [`OpenError`]
    pub fn open(
        path: &Path,
        cache_bytes: u64,
        reserve_bytes: u64,
        log_limiter: Arc<LogLimiter>,
    ) -> Result<Self, OpenError> {
        reopening::clean(path).map_err(OpenError::system(path))?;
        if !path.try_exists().map_err(OpenError::system(path))? {
            make(path)?;
        } else if let Some(file) = missing_file(path)? {
            return Err(OpenError::Missing { file, data: path.into() });
        }
        // An operator may take it for the leavings of a crash; the directory around has its own lock.
        let lock = path.join("lock");
        let locked = std::fs::OpenOptions::new().create(true).append(true).open(&lock);
        locked.map_err(OpenError::system(&lock))?;
        let opened = Opened::open(path, cache_bytes);
        let opened = opened.map_err(|error| OpenError::of_engine(path, error))?;
        Ok(Self {
            path: path.into(),
            cache_bytes,
            reserve_bytes,
            log_limiter,
            opened: RwLock::new(Some(opened.into())),
            journal: Mutex::default(),
            gave_up: AtomicBool::new(false),
        })
    }

    /// Returns the database, and waits while it is reopened.
    fn opened(&self) -> Result<Arc<Opened>, Corrupt> {
        let begun = Instant::now();
        loop {
            let opened = self.opened.read().unwrap_or_else(PoisonError::into_inner).clone();
            match opened {
                Some(opened) => return Ok(opened),
                None => self.wait_since(begun)?,
            }
        }
    }

    /// Pauses within a read that began at `begun`, or gives up if it began too long ago.
    fn wait_since(&self, begun: Instant) -> Result<(), Corrupt> {
        if begun.elapsed() > READ_WAIT_MAX {
            self.gave_up.store(true, Ordering::Relaxed);
            return Err(Corrupt);
        }
        std::thread::sleep(PAUSE);
        Ok(())
    }

    /// Logs that a record cannot be read. One bad block of a table is met once for each of its
    /// records, and again by every scrub.
    fn unreadable(&self, error: &fjall::Error) -> Corrupt {
        let error = error.to_string();
        self.log_limiter.tell("the storage engine", "unreadable", move |repeated| {
            tracing::error!(repeated, error, "a record cannot be read");
        });
        Corrupt
    }

    /// Reads from the engine. A lack of file descriptors makes nothing corrupt: it is waited for.
    fn read<T>(&self, read: impl Fn(&Opened) -> fjall::Result<T>) -> Result<T, Corrupt> {
        let begun = Instant::now();
        loop {
            match read(&*self.opened()?) {
                Ok(found) => return Ok(found),
                Err(error) if lacks_files(&error) => self.wait_since(begun)?,
                Err(error) => return Err(self.unreadable(&error)),
            }
        }
    }
}

impl Opened {
    fn open(path: &Path, cache_bytes: u64) -> fjall::Result<Self> {
        let database = Database::builder(path)
            .cache_size(cache_bytes)
            .max_cached_files(Some(FILES_CACHED))
            .worker_threads(WORKER_THREADS)
            .open()?;
        let records = database.keyspace(KEYSPACE, KeyspaceCreateOptions::default)?;
        Ok(Self { database, records })
    }

    fn get(&self, key: &[u8]) -> fjall::Result<Option<Bytes>> {
        let found = self.records.get(&*long_keys::engine_key(key))?;
        Ok(found.map(Bytes::from))
    }

    fn apply(&self, records: &Records, mode: PersistMode) -> fjall::Result<()> {
        self.wait_for_tables()?;
        let mut batch = self.database.batch().durability(Some(mode));
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
        batch.commit()
    }

    /// Lets the engine's threads catch up, as the engine does itself within a commit; but there it
    /// would never notice that they have given up.
    fn wait_for_tables(&self) -> fjall::Result<()> {
        let tree = &self.records.tree;
        while tree.sealed_memtable_count() >= SEALED_TABLES_MAX
            || tree.l0_run_count() >= UNMERGED_TABLES_MAX
        {
            self.check()?;
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Returns an error if the database takes no writes any more.
    fn check(&self) -> fjall::Result<()> {
        self.database.persist(PersistMode::Buffer)
    }
}

/// Makes a database elsewhere and moves it here when it is whole: one that a crash left half made
/// could not be opened.
fn make(path: &Path) -> Result<(), OpenError> {
    let unfinished = path.with_extension("new");
    if unfinished.try_exists().map_err(OpenError::system(&unfinished))? {
        std::fs::remove_dir_all(&unfinished).map_err(OpenError::system(&unfinished))?;
    }
    let made = Opened::open(&unfinished, 0);
    drop(made.map_err(|error| OpenError::of_engine(&unfinished, error))?);
    std::fs::rename(&unfinished, path).map_err(OpenError::system(path))?;
    let parent = path.parent().expect("it is not the root");
    sync_directory(parent).map_err(OpenError::system(parent))
}

impl Engine for FjallEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Corrupt> {
        match self.read(|opened| opened.get(key))? {
            Some(wrapped) if long_keys::is_long(key) => {
                let engine_key = long_keys::engine_key(key);
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
        let mode = match reach {
            Reach::Written => PersistMode::Buffer,
            Reach::Synced => PersistMode::SyncData,
        };
        self.check_room(self.reserve_bytes)?;
        let applied = self.write(|opened| opened.apply(records, mode));
        let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        match &applied {
            Ok(()) => journal.on_applied(records),
            Err(_) => journal.on_refused(records),
        }
        applied
    }

    fn sync(&self) -> Result<(), EngineError> {
        self.write(|opened| opened.database.persist(PersistMode::SyncData))
    }

    fn check(&self) -> Result<(), EngineError> {
        self.check_room(self.reserve_bytes)?;
        self.write(Opened::check)
    }

    fn resume(&self) -> Result<(), EngineError> {
        self.try_resume()
    }
}

fn io_error(error: &fjall::Error) -> Option<&io::Error> {
    match error {
        fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => Some(error),
        _ => None,
    }
}

fn lacks_files(error: &fjall::Error) -> bool {
    io_error(error).is_some_and(is_out_of_files)
}

#[cfg(test)]
mod tests;
