//! The first reading of a log: which frames and headers verify, in which order they lie, and what they
//! say of each other. Nothing is decided here.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::corruption::{CorruptKind, CorruptPlace, ForeignLog, LogCorruption, LogError};
use super::frame::{FRAME_ALIGNMENT, FRAME_HEADER_BYTES, FrameHeader, FrameKind};
use super::header::{ReadHeader, SegmentHeader};
use super::marker::StopMarker;
use super::position::{HEADER_BYTES, LogIdentity, LogPosition, LogRun, ReplayFrom, SegmentNumber};
use super::source::{LogSource, ReadWindow, SegmentFile};

/// A header or frames that verify.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verified {
    /// The header of a segment, with its checksum.
    Header(SegmentHeader, u64),
    /// Frames that follow each other.
    Frames(Extent),
}

/// Frames of one run that lie side by side, each naming the one before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    pub(super) begin: LogPosition,
    pub(super) end: LogPosition,
    pub(super) run: LogRun,
    /// The checksum that the first one names.
    pub(super) chain: u64,
    /// The checksum of the last one.
    pub(super) checksum: u64,
    /// The kind of the last one.
    pub(super) kind: FrameKind,
    pub(super) frames: u64,
}

/// A frame as it lies in a file.
pub(super) struct VerifiedFrame<'a> {
    pub(super) header: FrameHeader,
    pub(super) checksum: u64,
    /// All its bytes.
    pub(super) bytes: &'a [u8],
}

/// The result of the first reading of the files of a log.
#[derive(Clone, Debug)]
pub(super) struct Scan {
    identity: LogIdentity,
    /// The segment at which the log begins for this start.
    pub(super) first: SegmentNumber,
    /// The files from there on, by number.
    pub(super) files: Vec<SegmentFile>,
    /// The files below, which wait to be used again.
    spare: Vec<SegmentFile>,
    /// The headers and frames that verify, by position. Its length follows the number of segments, runs and holes.
    pub(super) verified: Vec<Verified>,
    /// The greatest position that anything valid says was durable.
    pub(super) durable: LogPosition,
    /// The positions at which runs began.
    pub(super) runs: BTreeMap<LogRun, LogPosition>,
    /// The end of a log that a marker names, and the checksum of the last frame there.
    marked: Option<(LogPosition, u64)>,
    /// True if that frame was met.
    pub(super) has_met_marked: bool,
    /// Files that are not as they must be.
    pub(super) corruption: LogCorruption,
    window: ReadWindow,
}

impl Scan {
    /// Lists the files from a segment on.
    pub(super) fn new<S: LogSource>(
        identity: LogIdentity,
        replay_from: ReplayFrom,
        marker: Option<&StopMarker>,
        source: &mut S,
    ) -> Result<Self, LogError<S::Error>> {
        let first = identity.segment_bytes.segment_before(replay_from.position);
        let all = source.segments().map_err(LogError::List)?;
        let (mut files, spare): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|file| file.number >= first);
        files.sort_unstable();
        if let Some(pair) = files.windows(2).find(|pair| pair[0].number == pair[1].number) {
            return Err(ForeignLog::TwoFiles { segment: pair[0].number }.into());
        }
        let mut scan = Self {
            identity,
            first,
            files,
            spare,
            verified: Vec::new(),
            durable: replay_from.position,
            runs: BTreeMap::from([(replay_from.run, replay_from.started)]),
            marked: marker.map(|marker| (marker.end, marker.chain)),
            has_met_marked: false,
            corruption: LogCorruption::none(),
            window: ReadWindow::default(),
        };
        if let Some(&StopMarker { end, run, started, .. }) = marker {
            scan.note(end, run, started);
        }
        scan.note_missing_files();
        scan.look_at_spare_files(source)?;
        Ok(scan)
    }

    /// A file that waits to be used again has the header of a segment that is not needed. One with
    /// another header was swapped with the file of that segment, which would else seem not to be begun.
    fn look_at_spare_files<S: LogSource>(
        &mut self,
        source: &mut S,
    ) -> Result<(), LogError<S::Error>> {
        for file in self.spare.clone() {
            self.window.clear();
            let found = self.header_of(file, source)?;
            if let Some((header, _)) = found.filter(|(header, _)| header.number >= self.first) {
                self.note_misplaced(file, &header);
            }
        }
        Ok(())
    }

    /// Files are numbered without gaps, as each is prepared before the log reaches it.
    fn note_missing_files(&mut self) {
        let mut expected = self.first;
        for file in &self.files {
            if file.number > expected {
                let what = CorruptKind::Missing { until: file.number };
                self.corruption.add(CorruptPlace { segment: expected, offset: 0, what });
            }
            expected = file.number.next();
        }
        if self.files.is_empty() {
            let what = CorruptKind::Missing { until: self.first.next() };
            self.corruption.add(CorruptPlace { segment: self.first, offset: 0, what });
        }
    }

    /// Reads one file.
    pub(super) fn read<S: LogSource>(
        &mut self,
        file: SegmentFile,
        source: &mut S,
    ) -> Result<(), LogError<S::Error>> {
        let size = self.identity.segment_bytes.get();
        if file.bytes < size {
            let what = CorruptKind::Short { expected: size };
            let place = CorruptPlace { segment: file.number, offset: file.bytes, what };
            self.corruption.add(place);
        }
        let file = SegmentFile { bytes: file.bytes.min(size), ..file };
        // What was read before may have changed.
        self.window.clear();
        self.read_header(file, source)?;
        self.read_frames(file, source)
    }

    fn read_header<S: LogSource>(
        &mut self,
        file: SegmentFile,
        source: &mut S,
    ) -> Result<(), LogError<S::Error>> {
        let Some((header, checksum)) = self.header_of(file, source)? else { return Ok(()) };
        if header.number == file.number {
            self.note(header.durable, header.run, header.started);
            self.verified.push(Verified::Header(header, checksum));
        } else if header.number >= self.first {
            // One that was prepared out of a spare file may still have the header that this had.
            self.note_misplaced(file, &header);
        }
        Ok(())
    }

    fn note_misplaced(&mut self, file: SegmentFile, header: &SegmentHeader) {
        self.note(header.durable, header.run, header.started);
        let what = CorruptKind::Misplaced { found: header.number };
        self.corruption.add(CorruptPlace { segment: file.number, offset: 0, what });
    }

    /// The header of a file of this log, and its checksum, if it has one.
    fn header_of<S: LogSource>(
        &mut self,
        file: SegmentFile,
        source: &mut S,
    ) -> Result<Option<(SegmentHeader, u64)>, LogError<S::Error>> {
        let segment = file.number;
        let read = self.window.get(source, file, 0, HEADER_BYTES as u64);
        let bytes = read.map_err(|error| LogError::Read { segment, offset: 0, error })?;
        let (header, checksum) =
            match bytes.and_then(<[u8]>::first_chunk).map(SegmentHeader::decode) {
                Some(ReadHeader::Valid { header, checksum }) => (header, checksum),
                Some(ReadHeader::OtherFormat(format)) => {
                    return Err(ForeignLog::Format { segment, format }.into());
                }
                Some(ReadHeader::None) | None => return Ok(None),
            };
        let LogIdentity { node, log, segment_bytes } = self.identity;
        if (header.node, header.log) != (node, log) {
            let SegmentHeader { node, log, .. } = header;
            return Err(ForeignLog::Segment { segment, node, log }.into());
        }
        if u64::from(header.segment_bytes) != segment_bytes.get() {
            let (found, expected) = (header.segment_bytes, segment_bytes.get());
            return Err(ForeignLog::SegmentBytes { segment, found, expected }.into());
        }
        Ok(Some((header, checksum)))
    }

    /// Looks for frames at every place where one can begin. Where they follow each other, that is one
    /// look for each.
    fn read_frames<S: LogSource>(
        &mut self,
        file: SegmentFile,
        source: &mut S,
    ) -> Result<(), LogError<S::Error>> {
        let segment = file.number;
        let begin = self.identity.segment_bytes.begin_of(segment);
        let seed = self.identity.seed_of(segment);
        let mut offset = HEADER_BYTES as u64;
        while offset + FRAME_HEADER_BYTES as u64 <= file.bytes {
            let frame = verified_frame(&mut self.window, source, file, offset, begin, seed)
                .map_err(|error| LogError::Read { segment, offset, error })?;
            let Some(VerifiedFrame { header, checksum, .. }) = frame else {
                offset += FRAME_ALIGNMENT as u64;
                continue;
            };
            offset += header.frame_bytes();
            self.note(header.durable, header.run, header.started);
            self.add_frame(&header, checksum);
        }
        Ok(())
    }

    fn note(&mut self, durable: LogPosition, run: LogRun, started: LogPosition) {
        self.durable = self.durable.max(durable);
        let known = self.runs.entry(run).or_insert(started);
        *known = started.min(*known);
    }

    fn add_frame(&mut self, frame: &FrameHeader, checksum: u64) {
        let (kind, end) = (frame.kind, frame.end());
        self.has_met_marked |= self.marked == Some((end, checksum));
        if let Some(Verified::Frames(last)) = self.verified.last_mut()
            && (last.end, last.checksum, last.run) == (frame.position, frame.chain, frame.run)
        {
            (last.end, last.checksum, last.kind) = (end, checksum, kind);
            last.frames += 1;
            return;
        }
        let &FrameHeader { position: begin, run, chain, .. } = frame;
        let extent = Extent { begin, end, run, chain, checksum, kind, frames: 1 };
        self.verified.push(Verified::Frames(extent));
    }
}

/// The frame at an offset of a segment that begins at this position, if there is one that verifies.
pub(super) fn verified_frame<'a, S: LogSource>(
    window: &'a mut ReadWindow,
    source: &mut S,
    file: SegmentFile,
    offset: u64,
    begin: LogPosition,
    seed: u64,
) -> Result<Option<VerifiedFrame<'a>>, S::Error> {
    let head = window.get(source, file, offset, FRAME_HEADER_BYTES as u64)?;
    let Some(header) = head.and_then(|bytes| FrameHeader::peek(bytes, begin.after(offset))) else {
        return Ok(None);
    };
    let Some(bytes) = window.get(source, file, offset, header.frame_bytes())? else {
        return Ok(None);
    };
    let checksum = FrameHeader::verify(bytes, seed);
    Ok(checksum.map(|checksum| VerifiedFrame { header, checksum, bytes }))
}
