//! A database that refused is opened anew, in the same process, when the reason has passed.
//!
//! fjall refuses all writes after one that failed. Nothing is wrong with what it holds: the failed
//! batch is in its journal wholly, in part or not at all, and what is there in part is cut off when
//! the journal is read again. Whoever wanted it written keeps it and writes it again, as a whole;
//! writing a record twice is writing it once.
//!
//! The journal's end, as the system shows it, must not be believed. After a sync that failed, the
//! system may show bytes that are not on the disk, call them written, and succeed at the next sync
//! without writing them; what follows them in the journal would be lost with them when the machine
//! dies (PostgreSQL's "fsyncgate"). With file systems that find room only when they write back
//! (NFS, thin pools) a full disk shows itself in just this way. So the journal is never gone on
//! with: what can be read of it is written into a new file, with a sync, and that takes its place.
//! A sync of the whole file system brings renames of tables down as well. Then the last group that
//! was applied is looked for: a journal is read from its beginning to the first thing that is
//! missing, so whoever finds that group finds all before it.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kv_core::store::StoreFault;

use super::super::engine::{EngineError, Records};
use super::super::sealed::sync_directory;
use super::super::state::DiskRoom;
use super::{FjallEngine, Opened, PAUSE, io_error, lacks_files};

/// The room, in bytes, below which a table may not fit any more: as large as fjall lets a table in
/// memory grow before it is written.
const ROOM_BYTES_MIN: u64 = 64 << 20;

/// The number of bytes that are written to test whether the disk takes them.
const PROBE_BYTES: usize = 256 << 10;

/// The number of file descriptors that an engine needs to write tables and to be opened.
const PROBE_FILES: usize = 16;

/// The time within which a thread of the engine may give up once without a known reason. At the
/// second time, the disk counts as failed.
const UNEXPLAINED_INTERVAL: Duration = Duration::from_secs(600);

/// The time within which a database must release its lock.
const UNLOCK_MAX: Duration = Duration::from_secs(10);

/// The knowledge about the journal that outlives a reopening.
#[derive(Debug, Default)]
pub(super) struct Journal {
    last: Option<Sample>,
    /// The time at which the engine last refused without a reason.
    unexplained_at: Option<Instant>,
}

/// One record of the last group that was applied: groups are atomic, so it stands for all.
#[derive(Debug)]
struct Sample {
    key: Bytes,
    record: Option<Bytes>,
    /// The record that a refused group was to write under the key, and may have written.
    replaced: Option<Option<Bytes>>,
}

impl Journal {
    pub(super) fn on_applied(&mut self, records: &Records) {
        if let Some((key, record)) = records.first_key_value() {
            let (key, record) = (key.clone(), record.clone());
            self.last = Some(Sample { key, record, replaced: None });
        }
    }

    pub(super) fn on_refused(&mut self, records: &Records) {
        if let Some(last) = &mut self.last {
            last.replaced = records.get(&last.key).cloned();
        }
    }
}

impl FjallEngine {
    /// Writes to the engine. If a thread of the engine has given up for no known reason, the engine
    /// is reopened and the write is tried once more.
    pub(super) fn write(
        &self,
        write: impl Fn(&Opened) -> fjall::Result<()>,
    ) -> Result<(), EngineError> {
        let tried = self.try_write(&write);
        let Err(fjall::Error::Poisoned) = tried else {
            return tried.map_err(|error| self.refused(&error));
        };
        if let Some(reason) = self.reason_of_poison() {
            return Err(reason);
        }
        let unexplained =
            EngineError::new(StoreFault::Failed, "the storage engine gave up writing tables");
        if !self.may_be_unexplained() {
            return Err(unexplained);
        }
        tracing::warn!(
            "the storage engine gave up writing tables and does not say why: it is opened anew"
        );
        self.reopen()?;
        self.try_write(&write).map_err(|error| self.refused(&error))
    }

    fn try_write(&self, write: impl Fn(&Opened) -> fjall::Result<()>) -> fjall::Result<()> {
        let opened = self.opened.read().unwrap_or_else(PoisonError::into_inner).clone();
        opened.map_or(Err(fjall::Error::Poisoned), |opened| write(&opened))
    }

    fn may_be_unexplained(&self) -> bool {
        let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        let before = journal.unexplained_at.replace(Instant::now());
        before.is_none_or(|before| before.elapsed() > UNEXPLAINED_INTERVAL)
    }

    pub(super) fn refused(&self, error: &fjall::Error) -> EngineError {
        match (error, io_error(error)) {
            (_, Some(error)) => EngineError::of(error),
            (fjall::Error::Poisoned, None) => self
                .reason_of_poison()
                .unwrap_or_else(|| EngineError::new(StoreFault::Failed, error.to_string())),
            (error, None) => EngineError::new(StoreFault::Failed, error.to_string()),
        }
    }

    /// Guesses from the disk why a thread of the engine has given up, since the engine does not
    /// say.
    fn reason_of_poison(&self) -> Option<EngineError> {
        let room = self.check_room(self.reserve_bytes.max(ROOM_BYTES_MIN));
        room.err().or_else(|| self.probe().err().map(|error| EngineError::of(&error)))
    }

    /// Returns an error if less than this is free on the disk.
    pub(super) fn check_room(&self, bytes_min: u64) -> Result<(), EngineError> {
        match room(&self.path) {
            Ok(DiskRoom { free_bytes, .. }) if free_bytes < bytes_min => {
                let mib = |bytes: u64| bytes >> 20;
                let message = format!(
                    "{} MiB are free on the disk of {}, and {} MiB are needed",
                    mib(free_bytes),
                    self.path.display(),
                    mib(bytes_min)
                );
                Err(EngineError::new(StoreFault::Full, message))
            }
            // A disk that does not say is tried.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Opens and writes files as an engine would, to test whether the system allows it.
    fn probe(&self) -> io::Result<()> {
        let open = std::iter::repeat_with(|| File::open(&self.path)).take(PROBE_FILES);
        let _open_together: Vec<_> = open.collect::<io::Result<_>>()?;
        let path = probe_file(&self.path);
        let write = || {
            let mut file = File::create(&path)?;
            // Zeros might take no room.
            file.write_all(&[0xa5; PROBE_BYTES])?;
            file.sync_all()
        };
        let written = write();
        let removed = std::fs::remove_file(&path);
        written.and(removed)
    }

    pub(super) fn try_resume(&self) -> Result<(), EngineError> {
        if self.gave_up.load(Ordering::Relaxed) {
            let message = "reads waited for too long for the storage engine";
            return Err(EngineError::new(StoreFault::Failed, message));
        }
        // More than the least, so that it does not come and go with every group.
        self.check_room(self.reserve_bytes + self.reserve_bytes / 4)?;
        self.probe().map_err(|error| EngineError::of(&error))?;
        match self.try_write(Opened::check) {
            Ok(()) => Ok(()),
            Err(_) => self.reopen(),
        }
    }

    /// Reopens the database. Reads wait meanwhile.
    fn reopen(&self) -> Result<(), EngineError> {
        self.close();
        settle(&self.path).map_err(|error| EngineError::of(&error))?;
        let opened = self.open_unlocked()?;
        let journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = &journal.last {
            last.look_for(&opened)?;
        }
        *self.opened.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(opened));
        Ok(())
    }

    /// Closes the database as soon as nobody uses it.
    fn close(&self) {
        loop {
            let mut slot = self.opened.write().unwrap_or_else(PoisonError::into_inner);
            match slot.take().map(Arc::try_unwrap) {
                None => return,
                Some(Ok(opened)) => {
                    drop(slot);
                    // Closing takes a while: the engine's threads end.
                    return drop(opened);
                }
                Some(Err(shared)) => *slot = Some(shared),
            }
            drop(slot);
            std::thread::sleep(PAUSE / 50);
        }
    }

    /// Opens the database, whose lock the one that just closed may hold a moment longer.
    fn open_unlocked(&self) -> Result<Opened, EngineError> {
        let begun = Instant::now();
        loop {
            match Opened::open(&self.path, self.cache_bytes) {
                Err(fjall::Error::Locked) if begun.elapsed() < UNLOCK_MAX => {
                    std::thread::sleep(PAUSE);
                }
                opened => return opened.map_err(|error| self.refused(&error)),
            }
        }
    }
}

impl Sample {
    fn look_for(&self, opened: &Opened) -> Result<(), EngineError> {
        let Self { key, record, replaced } = self;
        let is = |found: &Option<Bytes>, record: &Option<Bytes>| match (found, record) {
            // A long key lies before its record.
            (Some(found), Some(record)) => found.ends_with(record),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        match opened.get(key) {
            Ok(found) if is(&found, record) => Ok(()),
            Ok(found) if replaced.as_ref().is_some_and(|replaced| is(&found, replaced)) => Ok(()),
            Err(error) if lacks_files(&error) => {
                Err(EngineError::new(StoreFault::OutOfFiles, error.to_string()))
            }
            Ok(_) => {
                let message = "opened anew, the storage engine lacks what it had written";
                Err(EngineError::new(StoreFault::Failed, message))
            }
            Err(error) => Err(EngineError::new(StoreFault::Failed, error.to_string())),
        }
    }
}

/// Returns the room on the disk under this directory.
pub(in crate::storage) fn room(path: &Path) -> io::Result<DiskRoom> {
    let disk = rustix::fs::statvfs(path)?;
    Ok(DiskRoom {
        free_bytes: disk.f_bavail.saturating_mul(disk.f_frsize),
        total_bytes: disk.f_blocks.saturating_mul(disk.f_frsize),
    })
}

fn probe_file(data: &Path) -> PathBuf {
    data.with_extension("probe")
}

fn unfinished_journal(data: &Path) -> PathBuf {
    data.with_extension("journal")
}

/// Removes the files that a crash may have left of attempts to reopen.
pub(super) fn clean(data: &Path) -> io::Result<()> {
    for file in [probe_file(data), unfinished_journal(data)] {
        match std::fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// Syncs to the disk everything that the system shows of the data.
fn settle(data: &Path) -> io::Result<()> {
    if let Some(journal) = newest_journal(data)? {
        rewrite(&journal, &unfinished_journal(data))?;
        sync_directory(data)?;
    }
    Ok(rustix::fs::syncfs(File::open(data)?)?)
}

/// Finds the journal that was written last. The others were synced when the next one was begun.
fn newest_journal(data: &Path) -> io::Result<Option<PathBuf>> {
    let mut newest = None;
    for entry in std::fs::read_dir(data)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "jnl") {
            let number = path.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok());
            newest = newest.max(Some((number, path)));
        }
    }
    Ok(newest.map(|(_, path)| path))
}

/// Replaces a file by its readable part, without the zeros that were allocated behind it.
fn rewrite(file: &Path, unfinished: &Path) -> io::Result<()> {
    let bytes = std::fs::read(file)?;
    let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    let mut anew = File::create(unfinished)?;
    anew.write_all(&bytes[..end])?;
    anew.sync_all()?;
    std::fs::rename(unfinished, file)
}

#[cfg(test)]
mod tests;
