//! The engine of a real node: the commit log, and tables for what it need not keep.
//!
//! | in the folder | what |
//! |---|---|
//! | `log/` | the segments of the log, and the marker of the last clean stop |
//! | `tables/` | tables, and the list of them |
//! | `replay` | from where the log is read at the next start ([`ReplayPoint`]) |
//! | `lacking` | there if something was found to be missing, until the core has noted that durably |
//! | `tables.corrupt-<n>/` | tables that could not be opened, for people; nothing needs them |
//!
//! A flush writes tables, then the replay point, and only then lets go of the log. Whatever is cut off
//! there, what is not in the tables is in the log.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use kv_core::log::{
    HEADER_BYTES, LogId, LogIdentity, LogPosition, LogRun, LogVerdict, ReadHeader, ReplayFrom,
    SegmentBytes, SegmentFile, SegmentHeader,
};
use kv_core::store::{Batch, Corrupt, ForeignData, StoreFault, Visitor};
use kv_core::types::{NodeId, Seq};

use super::engine::{Engine, EngineError, EngineSizes, FlushOutcome, Reach, StartFinding};
use super::group::Group;
use super::log_driver::{LogDriver, ReadLog};
use super::log_files::{FreshSegment, LogFiles};
use super::memtable::SealedMemtable;
use super::open_error::OpenError;
use super::recovery::RecoveryError;
use super::replay_point::{REPLAY_POINT, ReplayPoint};
use super::room::check_room;
use super::sealed::{self, SealError, sync_directory};
use super::tables::{self, TableTerms, Tables};

const LOG: &str = "log";
const TABLES: &str = "tables";
const LACKING: &str = "lacking";

/// The settings of an engine.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    /// The node whose data it is.
    pub(super) node: NodeId,
    /// The number of this run of the node.
    pub(super) run: LogRun,
    /// The size of the log's segments, if it is made now.
    pub(super) segment_bytes: SegmentBytes,
    /// The bytes of the disk that are left free.
    pub(super) reserve_bytes: u64,
    /// The settings of its tables.
    pub(super) tables: TableTerms,
}

/// A log and tables in a folder of their own.
pub struct DiskEngine {
    folder: PathBuf,
    reserve_bytes: u64,
    /// True while groups are refused, as the disk is full.
    is_refusing: AtomicBool,
    tables: Tables,
    log: Mutex<Log>,
    identity: LogIdentity,
    /// True while there is a file that says that something is missing.
    says_lacking: AtomicBool,
    /// The position of the table in memory that was written last, so that one of which only the replay
    /// point could not be recorded is not written again.
    registered: Mutex<Option<Seq>>,
    /// The segment that is to be made ahead.
    to_make: Mutex<Option<FreshSegment>>,
}

/// The log on its way from being read to being written.
enum Log {
    /// A log that was read to its end, and of which nothing was replayed yet.
    Read { log: Box<ReadLog>, run: LogRun, found: StartFinding },
    /// A log that was replayed, and is written to.
    Written(Box<LogDriver>),
    /// A log to which nothing is written any more: it was stopped, failed, or could not be replayed.
    Ended,
}

impl DiskEngine {
    /// Opens the engine in a folder, or makes it there.
    ///
    /// # Errors
    /// [`OpenError`]: the node must not start.
    pub(super) fn open(folder: &Path, terms: &Terms) -> Result<Self, OpenError> {
        if !folder.try_exists().map_err(OpenError::system(folder))? {
            make(folder, terms).map_err(OpenError::system(folder))?;
        }
        let log_folder = folder.join(LOG);
        let says_lacking = AtomicBool::new(
            folder.join(LACKING).try_exists().map_err(OpenError::system(&folder.join(LACKING)))?,
        );
        let mut is_whole = !says_lacking.load(Ordering::Relaxed);
        let known = read_point(folder)?;
        let version_min = known.map_or(0, |point| point.tables);
        let opened = tables::open(&folder.join(TABLES), &terms.tables, version_min, || {
            note_lacking(folder, &says_lacking)
        });
        let opened = opened.map_err(OpenError::of_tables)?;
        is_whole &= opened.is_whole;
        let ReplayPoint { log: identity, from, .. } = match known {
            Some(point) => point,
            None => {
                is_whole = false;
                guess_point(&log_folder, terms)?
            }
        };
        if identity.node != terms.node {
            let foreign = ForeignData { owner: identity.node };
            return Err(RecoveryError::Foreign(foreign).into());
        }
        let log = ReadLog::open(&log_folder, identity, from).map_err(|error| OpenError::Log {
            path: log_folder.clone(),
            error: error.to_string(),
        })?;
        is_whole &= tell(log.verdict());
        let found = if is_whole { StartFinding::Whole } else { StartFinding::Lacking };
        Ok(Self {
            folder: folder.into(),
            reserve_bytes: terms.reserve_bytes,
            is_refusing: AtomicBool::new(false),
            tables: opened.tables,
            log: Mutex::new(Log::Read { log: Box::new(log), run: terms.run, found }),
            identity,
            says_lacking,
            registered: Mutex::default(),
            to_make: Mutex::default(),
        })
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls something of the log that is written to. `None`, if it has ended. After a failure it does:
    /// nothing of it is believed any more.
    fn with_open_log<T>(
        &self,
        call: impl FnOnce(&mut LogDriver) -> Result<T, EngineError>,
    ) -> Result<Option<T>, EngineError> {
        let mut state = self.log();
        let Log::Written(log) = &mut *state else { return Ok(None) };
        let called = call(log);
        if called.as_ref().is_err_and(|error| !error.fault.is_passing()) {
            *state = Log::Ended;
        }
        called.map(Some)
    }

    /// Calls something of the log that is written to.
    fn with_log<T>(
        &self,
        call: impl FnOnce(&mut LogDriver) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let ended = || EngineError::new(StoreFault::Failed, "the log has ended");
        self.with_open_log(call)?.ok_or_else(ended)
    }

    /// Checks that the disk has room. After it had none, more than the least must be free, so that it
    /// does not come and go with every group.
    fn check_room(&self) -> Result<(), EngineError> {
        let was_refusing = self.is_refusing.load(Ordering::Relaxed);
        let more = if was_refusing { self.reserve_bytes / 4 } else { 0 };
        let checked = check_room(&self.folder, self.reserve_bytes + more);
        self.is_refusing.store(checked.is_err(), Ordering::Relaxed);
        checked
    }
}

impl Engine for DiskEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Corrupt> {
        self.tables.get(key)
    }

    fn scan(&self, prefix: &[u8], after: &[u8], visit: &mut Visitor<'_>) {
        self.tables.scan(prefix, after, visit);
    }

    fn replay(&self, take: &mut dyn FnMut(Batch)) -> Result<StartFinding, EngineError> {
        let mut state = self.log();
        let Log::Read { mut log, run, found } = std::mem::replace(&mut *state, Log::Ended) else {
            panic!("a log is replayed once, before anything is appended");
        };
        let failed = |words: String| EngineError::new(StoreFault::Failed, words);
        log.replay(take).map_err(|error| failed(error.to_string()))?;
        if found == StartFinding::Lacking {
            note_lacking(&self.folder, &self.says_lacking)
                .map_err(|error| EngineError::of(&error))?;
        }
        *state = Log::Written(Box::new(log.resume(run)));
        Ok(found)
    }

    fn log_end(&self) -> LogPosition {
        match &*self.log() {
            Log::Written(log) => log.appended(),
            Log::Read { .. } | Log::Ended => LogPosition::default(),
        }
    }

    fn append(&self, group: &Group, reach: Reach) -> Result<(), EngineError> {
        self.check_room()?;
        self.with_log(|log| log.append(group, reach))
    }

    fn sync(&self) -> Result<(), EngineError> {
        self.with_log(LogDriver::sync)
    }

    fn check(&self) -> Result<(), EngineError> {
        self.check_room()?;
        self.with_log(LogDriver::witness)
    }

    fn prepare_is_due(&self) -> bool {
        let to_make = self.with_open_log(|log| Ok(log.fresh_to_make()));
        let Ok(Some(Some(segment))) = to_make else { return false };
        *self.to_make.lock().unwrap_or_else(PoisonError::into_inner) = Some(segment);
        true
    }

    fn prepare(&self) {
        let segment = self.to_make.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(segment) = segment else { return };
        let made = segment.make();
        // A log that has ended needs none.
        let _ = self.with_open_log(|log| {
            log.on_fresh(made);
            Ok(())
        });
    }

    fn flush(&self, sealed: &SealedMemtable) -> Result<FlushOutcome, EngineError> {
        let Some(from) = self.with_open_log(|log| log.replay_from(sealed.up_to))? else {
            return Ok(FlushOutcome::LogEnded);
        };
        let mut registered = self.registered.lock().unwrap_or_else(PoisonError::into_inner);
        if *registered != Some(sealed.up_to) {
            self.tables.write(sealed.records.newest())?;
            *registered = Some(sealed.up_to);
        }
        drop(registered);
        // A store that was only replayed has appended nothing that the log could let go of.
        let Some(from) = from else { return Ok(FlushOutcome::Written) };
        let point = ReplayPoint { log: self.identity, from, tables: self.tables.version() };
        point.write(&self.folder).map_err(|error| EngineError::of(&error))?;
        if self.says_lacking.load(Ordering::Relaxed) {
            // The core's own note lies in the tables now.
            match std::fs::remove_file(self.folder.join(LACKING)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(EngineError::of(&error));
                }
                Ok(()) | Err(_) => self.says_lacking.store(false, Ordering::Relaxed),
            }
        }
        self.with_open_log(|log| {
            log.release(from);
            Ok(())
        })?;
        Ok(FlushOutcome::Written)
    }

    fn close(&self) -> Result<(), EngineError> {
        self.tables.stop();
        let ended = self.with_log(LogDriver::stop);
        *self.log() = Log::Ended;
        ended
    }

    fn sizes(&self) -> EngineSizes {
        let log_bytes = match &*self.log() {
            Log::Written(log) => log.bytes(),
            Log::Read { .. } | Log::Ended => 0,
        };
        EngineSizes { log_bytes, table_bytes: self.tables.bytes(), tables: self.tables.count() }
    }
}

/// Makes an engine elsewhere and moves it here when it is whole: one that a crash left half made would
/// seem to lack something.
fn make(folder: &Path, terms: &Terms) -> io::Result<()> {
    let unfinished = folder.with_extension("new");
    if unfinished.try_exists()? {
        std::fs::remove_dir_all(&unfinished)?;
    }
    let segment_bytes = terms.segment_bytes;
    let log = LogIdentity { node: terms.node, log: new_log()?, segment_bytes };
    ReadLog::create(&unfinished.join(LOG), log, terms.run)?;
    tables::create(&unfinished.join(TABLES), &terms.tables)?;
    let from = ReplayFrom::default();
    ReplayPoint { log, from, tables: 0 }.write(&unfinished)?;
    std::fs::rename(&unfinished, folder)?;
    sync_directory(folder.parent().expect("it is not the root"))
}

fn new_log() -> io::Result<LogId> {
    let mut id = [0; 8];
    getrandom::fill(&mut id).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(LogId(u64::from_le_bytes(id)))
}

/// Reads the replay point. `None`, if it is missing or corrupt, which is logged.
fn read_point(folder: &Path) -> Result<Option<ReplayPoint>, OpenError> {
    let path = folder.join(REPLAY_POINT);
    let lost = |why: &str| {
        tracing::error!(
            file = %path.display(),
            "the file that says from where the log is to be read {why}: all of the log that is there is read"
        );
        Ok(None)
    };
    match ReplayPoint::read(folder) {
        Ok(Ok(point)) => Ok(Some(point)),
        Ok(Err(SealError::Format(found))) => Err(OpenError::Format { path, found }),
        Ok(Err(unsealed)) => lost(&format!("is corrupt ({unsealed})")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => lost("is missing"),
        Err(error) => Err(OpenError::system(&path)(error)),
    }
}

/// Makes a replay point out of what the segments of the log say of themselves. If they say nothing, they
/// are put aside, and the log is begun anew.
fn guess_point(log: &Path, terms: &Terms) -> Result<ReplayPoint, OpenError> {
    std::fs::create_dir_all(log).map_err(OpenError::system(log))?;
    let mut segments = LogFiles::list(log).map_err(OpenError::system(log))?;
    segments.sort_unstable();
    let names = LogFiles::new(log.into(), 0);
    let mut known: Option<SegmentHeader> = None;
    for file in &segments {
        let path = names.path(file.number);
        match header_of(&path).map_err(OpenError::system(&path))? {
            ReadHeader::Valid { header, .. } => {
                known = known.into_iter().chain([header]).max_by_key(|header| header.number);
            }
            ReadHeader::OtherFormat(found) => return Err(OpenError::Format { path, found }),
            ReadHeader::None => {}
        }
    }
    let identity = known.and_then(|header| {
        let segment_bytes = SegmentBytes::new(header.segment_bytes).ok()?;
        Some(LogIdentity { node: header.node, log: header.log, segment_bytes })
    });
    // Behind a gap lie segments that the tables hold and that wait to be used again.
    let gap = segments.windows(2).rposition(|pair| pair[1].number != pair[0].number.next());
    let first = segments.get(gap.map_or(0, |gap| gap + 1));
    let (log, position) = match (identity, first) {
        (Some(identity), Some(first)) => (identity, identity.segment_bytes.frames_of(first.number)),
        _ => {
            let Terms { node, segment_bytes, .. } = *terms;
            put_aside(&names, &segments).map_err(OpenError::system(log))?;
            let id = new_log().map_err(OpenError::system(log))?;
            (LogIdentity { node, log: id, segment_bytes }, LogPosition(0))
        }
    };
    let from = ReplayFrom { position, ..ReplayFrom::default() };
    Ok(ReplayPoint { log, from, tables: 0 })
}

/// Reads the header of a segment.
fn header_of(path: &Path) -> io::Result<ReadHeader> {
    let mut bytes = [0; HEADER_BYTES];
    match std::fs::File::open(path)?.read_exact(&mut bytes) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(ReadHeader::None),
        read => read.map(|()| SegmentHeader::decode(&bytes)),
    }
}

/// Renames segments that say nothing of themselves, so that they are in nobody's way.
fn put_aside(names: &LogFiles, segments: &[SegmentFile]) -> io::Result<()> {
    for file in segments {
        let path = names.path(file.number);
        std::fs::rename(&path, path.with_extension("corrupt"))?;
    }
    Ok(())
}

/// Notes durably that something is missing, until the core has noted that in its own records.
fn note_lacking(folder: &Path, says_lacking: &AtomicBool) -> io::Result<()> {
    if !says_lacking.load(Ordering::Relaxed) {
        let words = "Something was found to be missing here at a start. kv-node removes this file by itself.\n";
        sealed::replace(folder, LACKING, words.as_bytes())?;
        says_lacking.store(true, Ordering::Relaxed);
    }
    Ok(())
}

/// Logs what was found of a log. Returns whether nothing is missing.
fn tell(verdict: &LogVerdict) -> bool {
    match verdict {
        LogVerdict::Clean => true,
        LogVerdict::Torn { at } => {
            tracing::info!(
                position = at.0,
                "the log ends without a clean stop; what was being written there had been promised to nobody"
            );
            true
        }
        LogVerdict::Corrupt(corruption) => {
            for place in &corruption.found {
                tracing::error!("{place}");
            }
            let more = corruption.count - corruption.found.len() as u64;
            if more > 0 {
                tracing::error!(more, "and at more places of the log");
            }
            false
        }
    }
}

#[cfg(test)]
mod tests;
