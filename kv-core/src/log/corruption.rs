//! What recovery says about a log, in words for an operator.

use alloc::vec::Vec;

use thiserror::Error;

use super::position::{LogId, LogPosition, SegmentNumber};
use crate::types::NodeId;

/// The verdict on a log after a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogVerdict {
    /// The log ends where the last run stopped it: nothing is missing.
    Clean,
    /// The log ends without a clean stop. What was being written there is cut off; no frame says that
    /// any of it had been durable.
    Torn {
        /// The position at which the log ends now.
        at: LogPosition,
    },
    /// Something is missing that had been durable, or may have been. All that is valid is replayed, and
    /// every value in it is true; but a key whose newest record is missing shows an older one, or none.
    /// Nobody can say which keys these are, so every partition of the node is incomplete.
    Corrupt(LogCorruption),
}

/// The places at which a log was found to be corrupt, in the order of positions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogCorruption {
    /// The first things that are wrong, at most [`LogCorruption::SHOWN_MAX`]; at least one.
    pub found: Vec<CorruptPlace>,
    /// The number of all that are wrong.
    pub count: u64,
}

/// One thing that is wrong with a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "segment {segment} of the log, at byte {offset}: {what}. The node has lost records and copies what \
     it must hold from the others; look at the disk and its log of errors"
)]
pub struct CorruptPlace {
    /// The segment.
    pub segment: SegmentNumber,
    /// The offset in its file, in bytes.
    pub offset: u64,
    /// The kind of corruption at this place.
    pub what: CorruptKind,
}

/// A kind of thing that is wrong with a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CorruptKind {
    /// Bytes before valid frames that cannot be read as frames.
    #[error(
        "what lies there cannot be read up to position {until}, and it had been synced to the disk"
    )]
    Hole {
        /// The position of the next valid frame or header.
        until: LogPosition,
    },
    /// A valid frame or header that names another predecessor than the one before it.
    #[error(
        "what lies there follows something else than what is before it: a file, or a part of one, is of another time"
    )]
    Chain,
    /// The log ends before what had been durable.
    #[error("the log ends there, but it had been synced to the disk up to position {durable}")]
    EndsEarly {
        /// The position up to which it had been durable.
        durable: LogPosition,
    },
    /// The log ends before what the tables hold.
    #[error(
        "the log ends there, but the tables were written from it up to position {replay_from}: the log is older than they are"
    )]
    EndsBeforeTables {
        /// The position from which it was to be replayed.
        replay_from: LogPosition,
    },
    /// An earlier start has found the log before a segment to be corrupt.
    #[error(
        "an earlier start found that something is missing there, and the tables were not written since"
    )]
    FoundBefore,
    /// The log reaches the end that the marker names, but with another last frame.
    #[error(
        "the last clean stop was after another record than the one that ends there: the log or the marker is of another time"
    )]
    OtherEnd,
    /// The marker of a clean stop cannot be read, and the log does not end with one.
    #[error(
        "the node was stopped cleanly, but the marker that says how far the log went cannot be read, and the log does not end with a clean stop"
    )]
    MarkerUnreadable,
    /// There is no file for a segment.
    #[error(
        "the files of the segments from this one up to, but not including, {until} are missing"
    )]
    Missing {
        /// The next segment of which there is a file.
        until: SegmentNumber,
    },
    /// A file is shorter than a segment.
    #[error("the file ends there and should have {expected} bytes")]
    Short {
        /// The size of a segment, in bytes.
        expected: u64,
    },
    /// A file has the header of another segment.
    #[error(
        "the file says that it is segment {found}: files were swapped, or one was copied over another"
    )]
    Misplaced {
        /// The number in the header.
        found: SegmentNumber,
    },
    /// The segment at which the log begins has no header.
    #[error("the oldest segment that is needed has no header")]
    NoHeader,
}

/// The reason why a log was not recovered. Nothing was decided or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LogError<E> {
    /// The files cannot be listed.
    #[error(
        "the files of the log cannot be listed: {0}. Nothing was changed; start the node again when that works"
    )]
    List(E),
    /// A file cannot be read. It may be passing; if it is not, moving the file away turns it into a
    /// missing one, which the log says how to live with.
    #[error(
        "segment {segment} of the log cannot be read at byte {offset}: {error}. Nothing was changed; start the \
         node again, and if the disk has lost that place for good, move the file away: the node then copies \
         what it has lost from the others"
    )]
    Read {
        /// The segment.
        segment: SegmentNumber,
        /// The offset in its file, in bytes.
        offset: u64,
        /// The error of the system.
        error: E,
    },
    /// A file was verified, and says something else when it is read again.
    #[error(
        "segment {segment} of the log says something else at byte {offset} than a moment ago: look at memory and disk"
    )]
    Changed {
        /// The segment.
        segment: SegmentNumber,
        /// The offset in its file, in bytes.
        offset: u64,
    },
    /// A frame verifies, and its payload is not made as this version makes them.
    #[error(
        "segment {segment} of the log holds at byte {offset} what no version of this format has written: report this as a bug"
    )]
    Malformed {
        /// The segment.
        segment: SegmentNumber,
        /// The offset in its file, in bytes.
        offset: u64,
    },
    /// A file, or the marker, belongs to another log. It must not be written to.
    #[error(transparent)]
    Foreign(#[from] ForeignLog),
}

/// A file that does not belong to this log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ForeignLog {
    /// A segment of another node or another log.
    #[error("segment {segment} belongs to the log {log:016x} of node {node}, not to this one: take that file away, or start the node with its own data directory", log = log.0)]
    Segment {
        /// The segment.
        segment: SegmentNumber,
        /// The node that its header names.
        node: NodeId,
        /// The log that its header names.
        log: LogId,
    },
    /// A segment of this log that was written with another size.
    #[error(
        "segment {segment} was written with segments of {found} bytes, and {expected} are configured: set it back"
    )]
    SegmentBytes {
        /// The segment.
        segment: SegmentNumber,
        /// The size that its header names, in bytes.
        found: u32,
        /// The size that is configured, in bytes.
        expected: u64,
    },
    /// A segment of another format.
    #[error("segment {segment} has the format {format}, which this version does not read")]
    Format {
        /// The segment.
        segment: SegmentNumber,
        /// The format.
        format: u32,
    },
    /// Two files with one number.
    #[error("two files have the number {segment}: take away the one that does not belong here")]
    TwoFiles {
        /// The number.
        segment: SegmentNumber,
    },
    /// A marker of another node or another log.
    #[error("the marker of the last clean stop belongs to the log {log:016x} of node {node}, not to this one: take it away, or start the node with its own data directory", log = log.0)]
    Marker {
        /// The node that it names.
        node: NodeId,
        /// The log that it names.
        log: LogId,
    },
}

impl LogCorruption {
    /// The most things that are kept apart.
    pub const SHOWN_MAX: usize = 16;

    pub(super) const fn none() -> Self {
        Self { found: Vec::new(), count: 0 }
    }

    pub(super) fn add(&mut self, place: CorruptPlace) {
        self.count += 1;
        if self.found.len() < Self::SHOWN_MAX {
            self.found.push(place);
        }
    }
}
