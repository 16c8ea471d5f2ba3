//! A log in files in memory, and the tests of what is written, what is recovered, and what is noticed.

mod corrupt;
mod recovery;
mod writer;

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use core::convert::Infallible;

use super::*;
use crate::types::NodeId;

const SIZE: u32 = 512;

/// A batch with its position.
type Placed = (LogPosition, Vec<u8>);

fn identity(segment_bytes: u32) -> LogIdentity {
    let segment_bytes = SegmentBytes::new(segment_bytes).expect("a size for tests is possible");
    LogIdentity { node: NodeId(7), log: LogId(0x1234), segment_bytes }
}

/// The files of a log, all of whose writes are durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct LogFiles {
    files: BTreeMap<u64, Vec<u8>>,
}

impl LogSource for LogFiles {
    type Error = Infallible;

    fn segments(&mut self) -> Result<Vec<SegmentFile>, Infallible> {
        let file = |(&number, file): (&u64, &Vec<u8>)| SegmentFile {
            number: SegmentNumber(number),
            bytes: file.len() as u64,
        };
        Ok(self.files.iter().map(file).collect())
    }

    fn read(
        &mut self,
        segment: SegmentNumber,
        offset: u64,
        buffer: &mut [u8],
    ) -> Result<(), Infallible> {
        let file = &self.files[&segment.0];
        buffer.copy_from_slice(&file[offset as usize..][..buffer.len()]);
        Ok(())
    }
}

/// A log with its files.
#[derive(Clone, Debug)]
struct TestLog {
    identity: LogIdentity,
    writer: LogWriter,
    disk: LogFiles,
    marker: Option<Vec<u8>>,
    replay_from: ReplayFrom,
    /// All batches that were appended.
    appended: Vec<Placed>,
}

impl TestLog {
    fn new(segment_bytes: u32) -> Self {
        let identity = identity(segment_bytes);
        let mut disk = LogFiles::default();
        disk.files.insert(0, vec![0; segment_bytes as usize]);
        let writer = LogWriter::create(identity, LogRun(1));
        let replay_from = ReplayFrom::default();
        let mut log =
            Self { identity, writer, disk, marker: None, replay_from, appended: Vec::new() };
        log.flush();
        log
    }

    /// A log of one batch in each frame, all of them durable before the next.
    fn with(batches: &[&[u8]]) -> Self {
        let mut log = Self::new(SIZE);
        for batch in batches {
            log.append(batch);
            log.flush();
        }
        log
    }

    fn append(&mut self, batch: &[u8]) -> LogPosition {
        let end = self.writer.append(batch).expect("the log was not stopped");
        self.appended.push((end, batch.to_vec()));
        end
    }

    fn prepare(&mut self) {
        while let Some(segment) = self.writer.segment_to_prepare() {
            self.disk.files.insert(segment.0, vec![0; self.identity.segment_bytes.get() as usize]);
            self.writer.on_prepared(segment);
        }
    }

    /// Writes all that waits.
    fn write(&mut self) {
        self.prepare();
        while let Some(write) = self.writer.take_write() {
            let file = self.disk.files.get_mut(&write.segment.0).expect("it was prepared");
            file[write.offset as usize..][..write.bytes.len()].copy_from_slice(&write.bytes);
            self.writer.on_written(write.end);
            self.prepare();
        }
        self.writer.invariants();
    }

    fn sync(&mut self) {
        self.writer.on_synced(self.writer.written());
    }

    /// Writes and syncs all that waits.
    fn flush(&mut self) {
        self.write();
        self.sync();
    }

    /// Writes the tables up to a position.
    fn checkpoint(&mut self, up_to: LogPosition) -> core::ops::Range<SegmentNumber> {
        self.replay_from = self.writer.replay_from(up_to);
        self.writer.release(self.replay_from)
    }

    fn stop(&mut self) {
        self.writer.stop();
        self.flush();
        let marker = self.writer.stop_marker().expect("the last frame is durable");
        self.marker = Some(marker.encode().to_vec());
    }

    fn recover(&self) -> (RecoveredLog, Vec<Placed>) {
        self.try_recover().expect("the files can be read and are its own")
    }

    fn try_recover(&self) -> Result<(RecoveredLog, Vec<Placed>), LogError<Infallible>> {
        let mut disk = self.disk.clone();
        let marker = self.marker.as_deref();
        let log = recover(self.identity, marker, self.replay_from, &mut disk, |_| {})?;
        let mut batches = Vec::new();
        log.replay(&mut disk, |_| {}, |batch| batches.push((batch.end, batch.bytes.to_vec())))?;
        Ok((log, batches))
    }

    /// Starts again after the process has ended, and keeps as appended what was recovered.
    fn restart(&mut self) -> LogVerdict {
        let (log, batches) = self.recover();
        self.writer = LogWriter::resume(self.identity, log.end(), LogRun(0));
        if self.writer.must_remove_marker() {
            self.marker = None;
            self.writer.on_marker_removed();
        }
        self.flush();
        self.appended = batches;
        log.verdict().clone()
    }

    /// The file of a segment.
    fn file(&mut self, segment: u64) -> &mut Vec<u8> {
        self.disk.files.get_mut(&segment).expect("there is such a file")
    }

    /// The bytes around a position, in its file.
    fn at(&mut self, position: LogPosition) -> &mut [u8] {
        let size = self.identity.segment_bytes;
        let offset = size.offset_of(position) as usize;
        &mut self.file(size.segment_of(position).0)[offset..]
    }
}

fn kinds(verdict: &LogVerdict) -> Vec<CorruptKind> {
    match verdict {
        LogVerdict::Clean | LogVerdict::Torn { .. } => Vec::new(),
        LogVerdict::Corrupt(corruption) => {
            corruption.found.iter().map(|place| place.what).collect()
        }
    }
}
