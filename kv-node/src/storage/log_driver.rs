//! Drives the commit log of the core: what its writer asks for is made, written and synced here.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use kv_core::log::{
    LogError, LogIdentity, LogPosition, LogRun, LogVerdict, LogWrite, LogWriter, RecoveredLog,
    ReplayFrom, SegmentNumber, recover,
};
use kv_core::store::{Batch, StoreFault};
use kv_core::types::Seq;

use super::engine::{EngineError, Reach};
use super::group::Group;
use super::log_files::{FreshSegment, LogFiles};
use super::progress::StartProgress;
use super::sealed::{self, sync_directory};

/// The name of the marker of a clean stop.
const MARKER: &str = "stopped";

/// A log whose end is known, before anything is written to it.
#[derive(Debug)]
pub(super) struct ReadLog {
    identity: LogIdentity,
    folder: PathBuf,
    files: LogFiles,
    recovered: RecoveredLog,
}

/// A log that is written to.
#[derive(Debug)]
pub(super) struct LogDriver {
    identity: LogIdentity,
    folder: PathBuf,
    files: LogFiles,
    writer: LogWriter,
    /// The end of what was appended.
    appended: LogPosition,
    /// The write that the disk refused for a passing reason.
    refused: Option<LogWrite>,
    /// True once all was synced that the run before may have left.
    has_synced: bool,
    /// True while a segment is made ahead.
    is_made_ahead: bool,
    /// True if the last group was appended, and not all of it could be written.
    is_pending: bool,
    /// The ends of groups that are not in tables.
    ends: VecDeque<(Seq, LogPosition)>,
    /// The newest segment that was there at the start, if the log was corrupt then. Files of such a log
    /// are not used again.
    corrupt_up_to: Option<SegmentNumber>,
}

impl ReadLog {
    /// Makes a new log in a folder, which is made too.
    pub(super) fn create(folder: &Path, identity: LogIdentity, run: LogRun) -> io::Result<()> {
        std::fs::create_dir_all(folder)?;
        let mut files = LogFiles::new(folder.into(), identity.segment_bytes.get());
        let mut writer = LogWriter::create(identity, run);
        files.prepare(SegmentNumber(0))?;
        while let Some(write) = writer.take_write() {
            files.write(&write)?;
        }
        files.sync(SegmentNumber(0))
    }

    /// Reads the log in a folder from a point on, and finds out where it ends.
    pub(super) fn open(
        folder: &Path,
        identity: LogIdentity,
        replay_from: ReplayFrom,
    ) -> Result<Self, LogError<io::Error>> {
        let marker = match std::fs::read(folder.join(MARKER)) {
            Ok(marker) => Some(marker),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(LogError::List(error)),
        };
        let mut files = LogFiles::new(folder.into(), identity.segment_bytes.get());
        let mut progress = StartProgress::new("reading the log");
        let recovered = recover(identity, marker.as_deref(), replay_from, &mut files, |read| {
            progress.on(read.done, read.all);
        })?;
        Ok(Self { identity, folder: folder.into(), files, recovered })
    }

    /// The verdict on the log.
    pub(super) const fn verdict(&self) -> &LogVerdict {
        self.recovered.verdict()
    }

    /// Hands out the batches of the log, in order.
    pub(super) fn replay(
        &mut self,
        take: &mut dyn FnMut(Batch),
    ) -> Result<(), LogError<io::Error>> {
        let mut progress = StartProgress::new("replaying the log");
        let mut malformed = None;
        self.recovered.replay(
            &mut self.files,
            |read| progress.on(read.done, read.all),
            |logged| match Batch::decode(logged.bytes) {
                Ok(batch) => take(batch),
                Err(_) => malformed = malformed.or(Some(logged.end)),
            },
        )?;
        let Some(end) = malformed else { return Ok(()) };
        let size = self.identity.segment_bytes;
        let (segment, offset) = (size.segment_before(end), size.offset_of(end));
        Err(LogError::Malformed { segment, offset })
    }

    /// Goes on where the log ends.
    pub(super) fn resume(self, run: LogRun) -> LogDriver {
        let Self { identity, folder, mut files, recovered } = self;
        let end = recovered.end();
        let writer = LogWriter::resume(identity, end, run);
        let is_corrupt = matches!(recovered.verdict(), LogVerdict::Corrupt(_));
        let corrupt_up_to = is_corrupt.then_some(end.newest);
        // What is not needed since before this start, at the latest.
        for file in LogFiles::list(&folder).unwrap_or_default() {
            if file.number < end.oldest {
                // One that stays is a file too many, and nothing else.
                let _ = files.release(file.number, !is_corrupt);
            }
        }
        LogDriver {
            identity,
            folder,
            files,
            writer,
            appended: end.position,
            refused: None,
            has_synced: false,
            is_made_ahead: false,
            is_pending: false,
            ends: VecDeque::new(),
            corrupt_up_to,
        }
    }
}

impl LogDriver {
    /// The end of what was appended.
    pub(super) const fn appended(&self) -> LogPosition {
        self.appended
    }

    /// Appends a group. One that was refused for a passing reason is appended already, and only written.
    pub(super) fn append(&mut self, group: &Group, reach: Reach) -> Result<(), EngineError> {
        if !self.is_pending {
            for batch in group.batches() {
                let appended = self.writer.append(batch);
                self.appended = appended.expect("nothing is appended to a log that was ended");
            }
            self.is_pending = true;
        }
        self.write_out()?;
        if reach == Reach::Synced {
            self.sync()?;
        }
        self.is_pending = false;
        self.ends.push_back((group.seq(), self.appended));
        Ok(())
    }

    /// Syncs everything that was written. A disk that fails at that is not believed any more: what it
    /// shows then need not be what it holds (PostgreSQL's "fsyncgate").
    pub(super) fn sync(&mut self) -> Result<(), EngineError> {
        let up_to = self.writer.written();
        for number in self.writer.segments_to_sync().into_iter().flat_map(numbers) {
            let is_there =
                self.files.open(number).map_err(|error| of(&error, "open", self, number))?;
            // What the run before wrote to a segment that is lost was found to be missing at the start.
            if !is_there && !self.has_synced {
                continue;
            }
            self.files.sync(number).map_err(|error| {
                let path = self.files.path(number);
                let message = format!("cannot sync {}: {error}", path.display());
                EngineError::new(StoreFault::Failed, message)
            })?;
        }
        self.has_synced = true;
        self.writer.on_synced(up_to);
        Ok(())
    }

    /// The file that is to be made ahead now, once half of a segment is written; `None` if there is enough,
    /// or if it is being made.
    pub(super) fn fresh_to_make(&mut self) -> Option<FreshSegment> {
        let size = self.identity.segment_bytes;
        let is_due = size.offset_of(self.writer.written()) >= size.get() / 2;
        if !is_due || self.is_made_ahead || !self.files.wants_fresh() {
            return None;
        }
        self.is_made_ahead = true;
        Some(self.files.fresh_ahead())
    }

    /// Learns that the file was made ahead, or could not be. Then it is made when it is needed, and refused
    /// if it still cannot be.
    pub(super) fn on_fresh(&mut self, made: io::Result<()>) {
        self.is_made_ahead = false;
        if let Err(error) = made.and_then(|()| self.files.take_fresh_ahead()) {
            tracing::debug!("a segment of the log could not be made ahead: {error}");
        }
    }

    /// Makes the segments that the writer asks for. They are there before anything is written to the one
    /// before, so that the loss of the last one that was written to is seen.
    fn prepare(&mut self) -> Result<(), EngineError> {
        while let Some(segment) = self.writer.segment_to_prepare() {
            self.files.prepare(segment).map_err(|error| of(&error, "make", self, segment))?;
            self.writer.on_prepared(segment);
        }
        Ok(())
    }

    /// Has an idle log say how far it is durable.
    pub(super) fn witness(&mut self) -> Result<(), EngineError> {
        if !self.is_pending && (self.refused.is_some() || self.writer.witness()) {
            self.write_out()?;
        }
        Ok(())
    }

    /// The point to record when tables hold all up to a position of the store. What it covers is
    /// durable. `None`, if nothing was appended up to there.
    pub(super) fn replay_from(&mut self, up_to: Seq) -> Result<Option<ReplayFrom>, EngineError> {
        let covered = self.ends.iter().take_while(|&&(seq, _)| seq <= up_to).last().copied();
        let Some((_, end)) = covered else { return Ok(None) };
        if self.writer.durable() < end {
            self.sync()?;
        }
        Ok(Some(self.writer.replay_from(end)))
    }

    /// Lets go of what the tables hold, once that is recorded.
    pub(super) fn release(&mut self, recorded: ReplayFrom) {
        while self.ends.front().is_some_and(|&(_, end)| end <= recorded.position) {
            self.ends.pop_front();
        }
        let released = self.writer.release(recorded);
        for number in (released.start.0..released.end.0).map(SegmentNumber) {
            let is_fit = self.corrupt_up_to.is_none_or(|corrupt| number > corrupt);
            if let Err(error) = self.files.release(number, is_fit) {
                let path = self.files.path(number);
                tracing::warn!(path = %path.display(), "a segment that is not needed stays: {error}");
            }
        }
    }

    /// Ends the log, and leaves a marker that says where. A log to which nothing was written since the
    /// last marker has that one still.
    pub(super) fn stop(&mut self) -> Result<(), EngineError> {
        if self.writer.must_remove_marker() {
            return Ok(());
        }
        self.writer.stop();
        self.write_out()?;
        self.sync()?;
        let marker = self.writer.stop_marker().expect("what was stopped is written and synced");
        let written = sealed::replace(&self.folder, MARKER, &marker.encode());
        written.map_err(|error| EngineError::of(&error))
    }

    /// The number of bytes of the log's files.
    pub(super) const fn bytes(&self) -> u64 {
        self.files.bytes()
    }

    /// Writes all that was appended.
    fn write_out(&mut self) -> Result<(), EngineError> {
        if self.writer.must_remove_marker() {
            self.remove_marker().map_err(|error| EngineError::of(&error))?;
            self.writer.on_marker_removed();
        }
        loop {
            self.prepare()?;
            if let Some(write) = self.refused.take().or_else(|| self.writer.take_write()) {
                if let Err(error) = self.files.write(&write) {
                    let refused = of(&error, "write to", self, write.segment);
                    self.refused = Some(write);
                    return Err(refused);
                }
                self.writer.on_written(write.end);
            } else if self.writer.has_unwritten() {
                // The first write of a run is durable before there is a second one.
                self.sync()?;
            } else {
                return Ok(());
            }
        }
    }

    fn remove_marker(&self) -> io::Result<()> {
        match std::fs::remove_file(self.folder.join(MARKER)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => sync_directory(&self.folder),
        }
    }
}

fn numbers(range: std::ops::RangeInclusive<SegmentNumber>) -> impl Iterator<Item = SegmentNumber> {
    (range.start().0..=range.end().0).map(SegmentNumber)
}

fn of(error: &io::Error, verb: &str, log: &LogDriver, segment: SegmentNumber) -> EngineError {
    let EngineError { fault, message } = EngineError::of(error);
    let path = log.files.path(segment);
    EngineError::new(fault, format!("cannot {verb} {}: {message}", path.display()))
}
