//! The tables of a real node: sorted files of records, of the `lsm-tree` crate, below a log of our own.
//!
//! What the node relies on: a table is synced before the list of tables names it, and that list is
//! replaced atomically; every block is checksummed; reads see either what was before a flush or a
//! compaction or what is after it. The crate's own table in memory stays empty: ours is written into
//! tables directly. It has no threads; compaction runs on one of ours ([`Compactor`]).
//!
//! What the crate does not do: it believes its list of tables without a look at its checksum, and does
//! not open if one of them is missing or cannot be opened. So the list and all tables are held against
//! their checksums first ([`manifest`]), and if they are not fit to be opened, new ones are made of what
//! can be read ([`rebuilding`]). Of a block that cannot be read only its own records are lost, and reads of
//! them say so; a scan ends there. But tables with such a block cannot be merged any more. So where other
//! nodes hold the records too, such a table is not fit either.

mod compactor;
mod manifest;
mod opened_table;
mod rebuilding;
mod scan;
mod writes;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kv_core::store::{Corrupt, StoreFault, Visitor};
use lsm_tree::{
    AbstractTree as _, Cache, Config, DescriptorTable, InternalValue, SeqNo, SequenceNumberCounter,
    ValueType,
};

use self::compactor::Compactor;
use self::manifest::Checked;
use self::writes::TableWrites;
use super::engine::{EngineError, is_out_of_files};
use super::long_keys;
use super::memtable::MemoryRecord;
use crate::log::LogLimiter;

/// The number of files that are kept open for reads. The rest of the process's descriptors are
/// shared out around them (`descriptors.rs`).
pub const FILES_CACHED: usize = 192;

/// The number of unmerged tables at which the next one waits for compaction, as a read looks into all
/// of them.
const UNMERGED_MAX: usize = 20;

/// The number of unmerged tables beyond which no table is written, as the list of them takes no more
/// than 255. It is reached only if compaction has given up.
const UNMERGED_LISTED_MAX: usize = 200;

/// The pause between two looks at another thread's progress.
const PAUSE: Duration = Duration::from_millis(5);

/// The time for which a read waits for a file descriptor. After it the answer is not known.
const READ_WAIT_MAX: Duration = Duration::from_secs(30);

/// Reads see everything that was registered.
const NEWEST: SeqNo = SeqNo::MAX;

/// Tables in a folder of their own.
pub(super) struct Tables {
    writes: TableWrites,
    seqno: SequenceNumberCounter,
    compactor: Compactor,
    log_limiter: Arc<LogLimiter>,
}

impl Tables {
    /// Opens the tables in a folder, or makes it. They are sound, or there are none.
    fn open(folder: &Path, terms: &TableTerms) -> lsm_tree::Result<Self> {
        let TableTerms { cache_bytes, ref log_limiter, .. } = *terms;
        let log_limiter = Arc::clone(log_limiter);
        let (seqno, visible) = <(SequenceNumberCounter, SequenceNumberCounter)>::default();
        let compactor = Compactor::default();
        let tree = Config::new(folder, seqno.clone(), visible.clone())
            .use_cache(Arc::new(Cache::with_capacity_bytes(cache_bytes)))
            .use_descriptor_table(Some(Arc::new(DescriptorTable::new(FILES_CACHED))))
            .with_compaction_filter_factory(Some(compactor.interrupter()))
            .open()?;
        let next = tree.get_highest_persisted_seqno().map_or(1, |highest| highest + 1);
        seqno.set(next);
        visible.set(next);
        let mut tables = Self { writes: TableWrites::new(tree), seqno, compactor, log_limiter };
        tables.compactor.start(tables.writes.clone(), &tables.log_limiter);
        Ok(tables)
    }

    /// The version of the list of tables. It only grows.
    pub(super) fn version(&self) -> u64 {
        self.writes.version()
    }

    /// The number of tables.
    pub(super) fn count(&self) -> usize {
        self.writes.tree.table_count()
    }

    /// The number of bytes of all tables.
    pub(super) fn bytes(&self) -> u64 {
        self.writes.tree.disk_space()
    }

    /// Reads the record under a key.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Corrupt> {
        let read = || self.writes.tree.get(&*long_keys::engine_key(key), NEWEST);
        match self.read(read)?.map(Bytes::from) {
            Some(wrapped) if long_keys::is_long(key) => {
                let engine_key = long_keys::engine_key(key);
                long_keys::unwrap(&engine_key, &wrapped).map(|(_, record)| Some(record))
            }
            found => Ok(found),
        }
    }

    /// Visits records in the order of their keys.
    pub(super) fn scan(&self, prefix: &[u8], after: &[u8], visit: &mut Visitor<'_>) {
        // A scan ends early because the visitor says so, or because nobody knows what comes next.
        let _ = self.try_scan(prefix, after, visit);
    }

    /// Writes records into a table, or several if they are many. `records` are in order, each key
    /// once. When it returns, they are durable and read.
    pub(super) fn write<'a>(
        &self,
        records: impl Iterator<Item = MemoryRecord<'a>>,
    ) -> Result<(), EngineError> {
        self.wait_for_compaction()?;
        let seqno = self.seqno.next();
        let mut items: Vec<_> = records.map(|record| item(record, seqno)).collect();
        // Long keys do not lie where they would.
        if !items.is_sorted_by(|one, next| one.key.user_key < next.key.user_key) {
            items.sort_by(|one, other| one.key.user_key.cmp(&other.key.user_key));
        }
        self.register(items.into_iter().map(Ok))?;
        self.compactor.wake();
        Ok(())
    }

    /// Ends compaction: nothing is written any more but by [`Tables::write`].
    pub(super) fn stop(&self) {
        self.compactor.stop();
    }

    fn register(
        &self,
        items: impl Iterator<Item = lsm_tree::Result<InternalValue>>,
    ) -> Result<(), EngineError> {
        let written = self.writes.attempt(|tree| match tree.flush_to_tables(items)? {
            Some((tables, blobs)) if !tables.is_empty() => {
                tree.register_tables(&tables, blobs.as_deref(), None, &[], NEWEST)
            }
            _ => Ok(()),
        });
        written.map_err(|error| engine_error(&error))
    }

    /// Lets compaction catch up, unless it has given up.
    fn wait_for_compaction(&self) -> Result<(), EngineError> {
        while self.writes.tree.l0_run_count() >= UNMERGED_MAX && self.compactor.is_at_work() {
            if let Some(refused) = self.compactor.refused() {
                return Err(refused);
            }
            self.compactor.wake();
            std::thread::sleep(PAUSE);
        }
        if self.writes.tree.l0_run_count() >= UNMERGED_LISTED_MAX {
            let message =
                "tables could not be merged for a long time: the log says why, and what to do";
            return Err(EngineError::new(StoreFault::Failed, message));
        }
        Ok(())
    }

    /// Reads from the tables. A lack of file descriptors makes nothing corrupt: it is waited for.
    fn read<T>(&self, read: impl Fn() -> lsm_tree::Result<T>) -> Result<T, Corrupt> {
        let begun = Instant::now();
        loop {
            match read() {
                Ok(found) => return Ok(found),
                Err(error) if lacks_files(&error) => wait_since(begun)?,
                Err(error) => return Err(self.unreadable(&error)),
            }
        }
    }

    /// Logs that a record cannot be read. One bad block of a table is met once for each of its
    /// records, and again by every scrub.
    fn unreadable(&self, error: &lsm_tree::Error) -> Corrupt {
        let error = error.to_string();
        self.log_limiter.tell("the tables", "unreadable", move |repeated| {
            tracing::error!(repeated, error, "a record cannot be read");
        });
        Corrupt
    }
}

/// Pauses within a read that began at `begun`, or gives up if it began too long ago.
fn wait_since(begun: Instant) -> Result<(), Corrupt> {
    if begun.elapsed() > READ_WAIT_MAX {
        return Err(Corrupt);
    }
    std::thread::sleep(PAUSE);
    Ok(())
}

/// A record as a table holds it.
fn item((key, record): MemoryRecord<'_>, seqno: SeqNo) -> InternalValue {
    let engine_key = &*long_keys::engine_key(key);
    match record {
        None => InternalValue::new_tombstone(engine_key, seqno),
        Some(record) if long_keys::is_long(key) => {
            let wrapped = long_keys::wrap(key, record);
            InternalValue::from_components(engine_key, wrapped, seqno, ValueType::Value)
        }
        Some(record) => {
            InternalValue::from_components(engine_key, record.clone(), seqno, ValueType::Value)
        }
    }
}

fn io_error(error: &lsm_tree::Error) -> Option<&std::io::Error> {
    match error {
        lsm_tree::Error::Io(error) => Some(error),
        _ => None,
    }
}

fn lacks_files(error: &lsm_tree::Error) -> bool {
    io_error(error).is_some_and(is_out_of_files)
}

/// The consequence of an error of writing tables.
fn engine_error(error: &lsm_tree::Error) -> EngineError {
    match io_error(error) {
        Some(error) => {
            let EngineError { fault, message } = EngineError::of(error);
            EngineError::new(fault, format!("cannot write a table: {message}"))
        }
        None => EngineError::new(StoreFault::Failed, format!("cannot write a table: {error}")),
    }
}

/// A folder of tables, and what was found there.
pub(super) struct Opened {
    pub(super) tables: Tables,
    /// True if nothing is missing, as far as the list of tables says.
    pub(super) is_whole: bool,
}

/// Opens the tables in a folder. If they are not fit to be opened, new ones are made of what can be
/// read of them, and the old ones are kept beside. With `version_min`, tables of an older version lack
/// something. `before_loss` is called before anything is changed that shows that something is missing.
///
/// # Errors
/// [`OpenTablesError`]; all tables are still there.
pub(super) fn open(
    folder: &Path,
    terms: &TableTerms,
    version_min: u64,
    before_loss: impl Fn() -> std::io::Result<()>,
) -> Result<Opened, OpenTablesError> {
    rebuilding::finish(folder).map_err(OpenTablesError::at(folder))?;
    let unfit = match manifest::check(folder, terms.has_others)? {
        Checked::Fit { version } => {
            let is_whole = version >= version_min;
            if !is_whole {
                // Each record in it is true, but some are missing.
                tracing::error!(
                    folder = %folder.display(),
                    version,
                    written = version_min,
                    "the list of tables is older than the tables that were written: files were taken \
                     away, or brought back from another time"
                );
                before_loss().map_err(OpenTablesError::at(folder))?;
            }
            match Tables::open(folder, terms) {
                Ok(tables) => return Ok(Opened { tables, is_whole }),
                Err(error) => OpenTablesError::or_content(error, folder)?,
            }
        }
        Checked::Unfit(unfit) => unfit,
    };
    tracing::error!(
        folder = %folder.display(),
        "the tables cannot be opened as they are: {unfit}. New ones are made of what can be read, and the \
         old ones are kept beside them"
    );
    before_loss().map_err(OpenTablesError::at(folder))?;
    let tables = rebuilding::rebuild(folder, terms)?;
    Ok(Opened { tables, is_whole: false })
}

/// The settings of tables.
#[derive(Clone, Debug)]
pub(super) struct TableTerms {
    /// The bytes of blocks that are kept in memory.
    pub(super) cache_bytes: u64,
    /// The limiter of the lines that tell of records which cannot be read.
    pub(super) log_limiter: Arc<LogLimiter>,
    /// True if what cannot be read can be copied from other nodes.
    pub(super) has_others: bool,
}

/// Makes a folder with no tables in it.
///
/// # Errors
/// The system's.
pub(super) fn create(folder: &Path, terms: &TableTerms) -> std::io::Result<()> {
    match Tables::open(folder, terms) {
        Ok(tables) => {
            drop(tables);
            Ok(())
        }
        Err(lsm_tree::Error::Io(error)) => Err(error),
        Err(error) => Err(std::io::Error::other(error.to_string())),
    }
}

/// The reason why tables were not opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenTablesError {
    /// The system refused.
    #[error("{path}: {source}")]
    System { path: PathBuf, source: std::io::Error },
    /// Another version of the crate wrote them.
    #[error("{path} was written by another version")]
    Version { path: PathBuf },
    /// Something that is no table lies among them.
    #[error("{path} is no table")]
    Stray { path: PathBuf },
}

impl OpenTablesError {
    fn at(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::System { path: path.into(), source }
    }

    /// The error in words if it is about what files hold; else the error.
    fn or_content(error: lsm_tree::Error, folder: &Path) -> Result<String, Self> {
        match error {
            lsm_tree::Error::Io(error) if !opened_table::is_of_content(&error) => {
                Err(Self::at(folder)(error))
            }
            lsm_tree::Error::InvalidVersion(_) => Err(Self::Version { path: folder.into() }),
            error => Ok(error.to_string()),
        }
    }
}
