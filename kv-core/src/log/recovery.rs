//! Recovery: what a log holds after a start, where it ends, and whether something is missing.
//!
//! The files are read twice. The first reading ([`Scan`]) finds all frames that verify; then it is
//! decided which of them count; the second reading hands out their batches. One reading would not do:
//! that a frame had been cut off before the last run is sometimes said only by a frame behind it.
//!
//! # What counts
//! 1. A frame or header that lies at or behind the beginning of a later run had been cut off before that
//!    run: it does not count. When a run began is said by each of its frames and headers, by the marker
//!    and by the tables.
//! 2. What counts follows by position, and each names the checksum of the one before. Where that
//!    breaks off and something follows that counts, there is a *hole*.
//! 3. A hole below `replay_from` does not matter: all that was in it is in the tables.
//! 4. If anything valid says that the log was durable up to the end of the hole, what was in it had been
//!    promised, and what follows belongs to the log: the log is corrupt, and what follows is replayed
//!    all the same, since each record in it is true. Otherwise all from the hole on is cut off, as it may
//!    be left over from what had been cut off before. If nothing says that the log was durable beyond
//!    the beginning of the hole, that is where the last run was cut short with several writes on their
//!    way: a *torn* tail, of which nothing had been promised.
//! 5. A file that is missing, too short or that of another segment makes the log corrupt, and so does
//!    an end before a position that was durable, before what the tables hold, or before the marker.
//!
//! No log can know of itself that its last group was corrupted after it was synced, as nothing behind
//! it says so, nor that all of it is an older image, nor that a disk lied about a sync and forgot the
//! whole tail. [`LogWriter::witness`](super::LogWriter::witness) makes the first rarer, and other nodes
//! that remember how far this log had come find all three.

use alloc::vec::Vec;

use super::corruption::{
    CorruptKind, CorruptPlace, ForeignLog, LogCorruption, LogError, LogVerdict,
};
use super::frame::{FRAME_HEADER_BYTES, FrameHeader, FrameKind};
use super::header::{SegmentHeader, half_word};
use super::marker::{MarkerUnreadable, StopMarker};
use super::position::{LogIdentity, LogPosition, LogRun, ReplayFrom, SegmentNumber};
use super::scan::{Extent, Scan, Verified, VerifiedFrame, verified_frame};
use super::source::{LogSource, ReadWindow, SegmentFile};
use super::writer::{LENGTH_BYTES, LogEnd};

/// A batch that a log holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoggedBatch<'a> {
    /// The position that [`LogWriter::append`](super::LogWriter::append) gave for it.
    pub end: LogPosition,
    /// The batch.
    pub bytes: &'a [u8],
}

/// The progress of reading a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogProgress {
    /// The bytes that were read.
    pub done: u64,
    /// All bytes that are to be read.
    pub all: u64,
}

/// A log of which it is known what it holds.
#[derive(Clone, Debug)]
pub struct RecoveredLog {
    identity: LogIdentity,
    replay_from: LogPosition,
    verdict: LogVerdict,
    end: LogEnd,
    cut_frames: u64,
    files: Vec<SegmentFile>,
    ranges: Vec<FrameRange>,
}

/// Frames that count.
#[derive(Clone, Copy, Debug)]
struct FrameRange {
    begin: LogPosition,
    end: LogPosition,
    /// True if it is not known what was before them.
    follows_hole: bool,
}

/// Reads the files of a log and finds out what it holds from `replay_from` on, as
/// [`LogWriter::replay_from`](super::LogWriter::replay_from) had given it. `marker` is the content of the
/// marker's file, if there is one. `progress` is called after each file.
///
/// # Errors
/// [`LogError`], if a file cannot be read or belongs to another log. Nothing was decided or changed.
pub fn recover<S: LogSource>(
    identity: LogIdentity,
    marker: Option<&[u8]>,
    replay_from: ReplayFrom,
    source: &mut S,
    mut progress: impl FnMut(LogProgress),
) -> Result<RecoveredLog, LogError<S::Error>> {
    let marker = marker.map(StopMarker::decode);
    if let Some(Ok(StopMarker { node, log, .. })) = marker
        && (node, log) != (identity.node, identity.log)
    {
        return Err(ForeignLog::Marker { node, log }.into());
    }
    let readable = marker.as_ref().and_then(|marker| marker.as_ref().ok());
    let mut scan = Scan::new(identity, replay_from, readable, source)?;
    let (mut done, all) = (0, scan.files.iter().map(|file| file.bytes).sum());
    for at in 0..scan.files.len() {
        let file = scan.files[at];
        scan.read(file, source)?;
        done += file.bytes;
        progress(LogProgress { done, all });
    }
    Ok(LogWalk::new(identity, replay_from.position, marker, &scan).judge(scan))
}

impl RecoveredLog {
    /// The verdict.
    pub const fn verdict(&self) -> &LogVerdict {
        &self.verdict
    }

    /// The point at which a [`LogWriter`](super::LogWriter) goes on.
    pub const fn end(&self) -> &LogEnd {
        &self.end
    }

    /// The number of valid frames that do not count: those of a torn tail, and of earlier runs that had
    /// been cut off.
    pub const fn cut_frames(&self) -> u64 {
        self.cut_frames
    }

    /// Hands out all batches that end behind `replay_from`, in order. `progress` is called after each
    /// frame.
    ///
    /// # Errors
    /// [`LogError`], if a file cannot be read, or not as it was read before. What was handed out until
    /// then is right.
    pub fn replay<S: LogSource>(
        &self,
        source: &mut S,
        mut progress: impl FnMut(LogProgress),
        mut visit: impl FnMut(LoggedBatch<'_>),
    ) -> Result<(), LogError<S::Error>> {
        let all = self.ranges.iter().map(|range| range.end.0 - range.begin.0).sum();
        let (mut window, mut parts, mut done) = (ReadWindow::default(), Parts::default(), 0);
        for range in &self.ranges {
            if range.follows_hole {
                parts.forget();
            }
            let segment = self.identity.segment_bytes.segment_of(range.begin);
            let seed = self.identity.seed_of(segment);
            let begin = self.identity.segment_bytes.begin_of(segment);
            let Some(&file) = self.files.iter().find(|file| file.number == segment) else {
                continue;
            };
            let mut at = range.begin;
            while at < range.end {
                let offset = self.identity.segment_bytes.offset_of(at);
                let frame = verified_frame(&mut window, source, file, offset, begin, seed)
                    .map_err(|error| LogError::Read { segment, offset, error })?;
                let VerifiedFrame { header: frame, bytes, .. } =
                    frame.ok_or(LogError::Changed { segment, offset })?;
                // A later run began within this frame.
                if frame.end() > range.end {
                    break;
                }
                let payload = &bytes[FRAME_HEADER_BYTES..][..frame.payload_bytes as usize];
                let whole = parts.take(&frame, payload, |batch| {
                    if batch.end > self.replay_from {
                        visit(batch);
                    }
                });
                whole.ok_or(LogError::Malformed { segment, offset })?;
                (at, done) = (frame.end(), done + frame.frame_bytes());
                progress(LogProgress { done, all });
            }
        }
        Ok(())
    }
}

/// The parts of a batch that is in several frames.
#[derive(Clone, Debug, Default)]
struct Parts {
    /// True if the first part was met, and all since.
    is_open: bool,
    bytes: Vec<u8>,
}

impl Parts {
    /// Forgets a batch of which a part is missing.
    fn forget(&mut self) {
        *self = Self::default();
    }

    /// Takes the payload of the next frame, and hands out the batches that are whole with it. Nothing, if
    /// the payload is not made as it should be.
    fn take(
        &mut self,
        frame: &FrameHeader,
        payload: &[u8],
        mut visit: impl FnMut(LoggedBatch<'_>),
    ) -> Option<()> {
        let begin = frame.position.after(FRAME_HEADER_BYTES as u64);
        let end = begin.after(payload.len() as u64);
        match frame.kind {
            FrameKind::Batches => {
                self.forget();
                let mut rest = payload;
                while !rest.is_empty() {
                    let length = half_word(rest.get(..LENGTH_BYTES)?, 0) as usize;
                    let (batch, behind) = rest[LENGTH_BYTES..].split_at_checked(length)?;
                    rest = behind;
                    let end = begin.after((payload.len() - rest.len()) as u64);
                    visit(LoggedBatch { end, bytes: batch });
                }
            }
            FrameKind::First => *self = Self { is_open: true, bytes: payload.to_vec() },
            FrameKind::Middle if self.is_open => self.bytes.extend_from_slice(payload),
            FrameKind::Last if self.is_open => {
                self.bytes.extend_from_slice(payload);
                visit(LoggedBatch { end, bytes: &self.bytes });
                self.forget();
            }
            // The parts before were cut off, or lie before a hole.
            FrameKind::Middle
            | FrameKind::Last
            | FrameKind::Witness
            | FrameKind::Stop
            | FrameKind::Begin => self.forget(),
        }
        Some(())
    }
}

/// A walk over what verifies, in the order of positions.
struct LogWalk {
    identity: LogIdentity,
    replay_from: LogPosition,
    marker: Option<Result<StopMarker, MarkerUnreadable>>,
    first: SegmentNumber,
    /// The greatest position that is said to have been durable.
    durable: LogPosition,
    /// The end of what counts so far, its checksum if that is known, and the kind of its last frame.
    at: LogPosition,
    chain: Option<u64>,
    kind: Option<FrameKind>,
    /// True if what counts next lies behind a hole, whether or not that matters.
    follows_hole: bool,
    corruption: LogCorruption,
    ranges: Vec<FrameRange>,
    cut_frames: u64,
}

/// The kind of bytes that lie before something that verifies.
enum Before {
    /// The predecessor that it names.
    Expected,
    /// Bytes that do not count.
    Hole,
    /// Something else than what it names.
    Other,
}

impl LogWalk {
    fn new(
        identity: LogIdentity,
        replay_from: LogPosition,
        marker: Option<Result<StopMarker, MarkerUnreadable>>,
        scan: &Scan,
    ) -> Self {
        Self {
            identity,
            replay_from,
            marker,
            first: scan.first,
            durable: scan.durable,
            at: identity.segment_bytes.begin_of(scan.first),
            chain: None,
            kind: None,
            follows_hole: false,
            corruption: scan.corruption.clone(),
            ranges: Vec::new(),
            cut_frames: 0,
        }
    }

    fn judge(mut self, scan: Scan) -> RecoveredLog {
        let mut is_cut = false;
        for &verified in &scan.verified {
            let frames = match verified {
                Verified::Header(..) => 0,
                Verified::Frames(extent) => extent.frames,
            };
            let live = self.live(verified, &scan);
            let Some((live, ends_early)) = live.filter(|_| !is_cut) else {
                self.cut_frames += frames;
                continue;
            };
            if !self.goes_on_to(&live) {
                is_cut = true;
                self.cut_frames += frames;
                continue;
            }
            self.take(live);
            if ends_early {
                // What was cut off follows it as if it never had been: that was of another time.
                self.note(self.at, CorruptKind::Chain);
                (self.chain, self.kind) = (None, None);
            }
        }
        self.judge_end();
        self.judge_marker(scan.has_met_marked);
        let (verdict, is_fresh) = match self.corruption.count {
            0 if self.is_clean() => (LogVerdict::Clean, false),
            0 => (LogVerdict::Torn { at: self.at }, false),
            _ => (LogVerdict::Corrupt(self.corruption), true),
        };
        let end = LogEnd {
            position: self.at,
            chain: self.chain.unwrap_or(0),
            durable: self.durable.min(self.at),
            oldest: self.first,
            newest: scan.files.last().map_or(self.first, |file| file.number),
            run: scan.runs.last_key_value().map_or(LogRun(0), |(&run, _)| run),
            is_fresh,
            has_marker: self.marker.is_some(),
        };
        RecoveredLog {
            identity: self.identity,
            replay_from: self.replay_from,
            verdict,
            end,
            cut_frames: self.cut_frames,
            files: scan.files,
            ranges: self.ranges,
        }
    }

    /// The part of it that no later run has cut off, and whether that is not all.
    fn live(&self, verified: Verified, scan: &Scan) -> Option<(Verified, bool)> {
        let run = match verified {
            Verified::Header(header, _) => header.run,
            Verified::Frames(extent) => extent.run,
        };
        let later = scan.runs.range(run..).filter(|&(&other, _)| other > run);
        let Some(cut) = later.map(|(_, &started)| started).min() else {
            return Some((verified, false));
        };
        match verified {
            Verified::Header(header, _) => {
                let begin = self.identity.segment_bytes.begin_of(header.number);
                (begin < cut).then_some((verified, false))
            }
            Verified::Frames(extent) if extent.begin >= cut => None,
            Verified::Frames(extent) if extent.end > cut => {
                Some((Verified::Frames(Extent { end: cut, ..extent }), true))
            }
            Verified::Frames(_) => Some((verified, false)),
        }
    }

    /// Tells whether the log goes on with this, and notes what is wrong before it.
    fn goes_on_to(&mut self, live: &Verified) -> bool {
        let (begin, before) = self.before(live);
        self.follows_hole |= !matches!(before, Before::Expected);
        let what = match before {
            Before::Expected => return true,
            Before::Hole if begin <= self.replay_from => return true,
            // Nothing says that this is no left-over of what had been cut off.
            Before::Hole | Before::Other if begin > self.durable => return false,
            Before::Hole => CorruptKind::Hole { until: begin },
            Before::Other => CorruptKind::Chain,
        };
        self.note(self.at, what);
        true
    }

    /// The end of what must be before this, and what is before it.
    fn before(&self, live: &Verified) -> (LogPosition, Before) {
        let (begin, chain) = match live {
            Verified::Header(header, _) if self.is_first(header) => {
                return (header.end, Before::Expected);
            }
            Verified::Header(header, _) => (header.end, header.chain),
            Verified::Frames(extent) => (extent.begin, extent.chain),
        };
        if begin > self.at {
            (begin, Before::Hole)
        } else if begin == self.at && self.chain == Some(chain) {
            (begin, Before::Expected)
        } else {
            (begin, Before::Other)
        }
    }

    fn is_first(&self, header: &SegmentHeader) -> bool {
        header.number == self.first
    }

    fn take(&mut self, live: Verified) {
        match live {
            Verified::Header(header, checksum) => {
                if header.follows_corruption && !self.is_first(&header) {
                    self.note(header.end, CorruptKind::FoundBefore);
                }
                self.at = self.identity.segment_bytes.frames_of(header.number);
                (self.chain, self.kind) = (Some(checksum), None);
            }
            Verified::Frames(Extent { begin, end, checksum, kind, .. }) => {
                // A header does not end a hole: a batch whose first parts lie before both has no end.
                let follows_hole = core::mem::take(&mut self.follows_hole);
                self.ranges.push(FrameRange { begin, end, follows_hole });
                (self.at, self.chain, self.kind) = (end, Some(checksum), Some(kind));
            }
        }
    }

    /// Looks at what should have come behind the end.
    fn judge_end(&mut self) {
        let (at, replay_from, durable) = (self.at, self.replay_from, self.durable);
        if at == self.identity.segment_bytes.begin_of(self.first) {
            self.note(at, CorruptKind::NoHeader);
        } else if at < replay_from {
            self.note(at, CorruptKind::EndsBeforeTables { replay_from });
        } else if at < durable {
            self.note(at, CorruptKind::EndsEarly { durable });
        }
    }

    /// Looks at what the marker says, beside how far the log goes. One of an earlier stop is passed over,
    /// if the log went on from there.
    fn judge_marker(&mut self, has_met_marked: bool) {
        let at = self.at;
        match self.marker {
            Some(Ok(StopMarker { end, chain, .. })) => {
                let is_read = self.identity.segment_bytes.segment_before(end) >= self.first;
                let is_other = match end == at {
                    true => self.chain != Some(chain),
                    false => end < at && is_read && !has_met_marked,
                };
                if is_other {
                    self.note(end, CorruptKind::OtherEnd);
                }
            }
            Some(Err(MarkerUnreadable)) if self.kind != Some(FrameKind::Stop) => {
                self.note(at, CorruptKind::MarkerUnreadable);
            }
            Some(Err(MarkerUnreadable)) | None => {}
        }
    }

    /// Tells whether the log ends at a clean stop, if nothing is wrong with it.
    fn is_clean(&self) -> bool {
        self.marker.is_some_and(|marker| marker.is_ok_and(|marker| marker.end == self.at))
    }

    fn note(&mut self, at: LogPosition, what: CorruptKind) {
        let size = self.identity.segment_bytes;
        let (segment, offset) = (size.segment_of(at), size.offset_of(at));
        self.corruption.add(CorruptPlace { segment, offset, what });
    }
}
