//! Where something lies in a log: positions, segments, and the log that they belong to.

use core::fmt;

use thiserror::Error;

use crate::sampling::mix;
pub use crate::types::LogPosition;
use crate::types::NodeId;

/// The length in bytes of the header of a segment. The frames of the segment follow it at once.
pub const HEADER_BYTES: usize = 96;

/// The number of a segment, from 0. Segment `n` covers the positions from `n` times the size of a
/// segment up to `n + 1` times that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentNumber(pub u64);

/// The id of a log: 64 random bits, drawn by the driver when the log is created. Another log of the
/// same node has another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId(pub u64);

/// The number of a run of the node that writes to the log. It must be greater than those of all runs
/// before: [`Generation`](crate::types::Generation) is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogRun(pub u64);

/// The point from which a start replays a log, as it is recorded with the tables: all that lies below
/// is in them. [`ReplayFrom::default`] is that of a new log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplayFrom {
    /// The position: every batch that ends there or before is in the tables.
    pub position: LogPosition,
    /// The run that recorded it.
    pub run: LogRun,
    /// The position at which that run had begun: what earlier runs wrote from there on does not count,
    /// even if all that this run wrote is lost.
    pub started: LogPosition,
}

/// The size of a segment in bytes: a multiple of 8 from [`SegmentBytes::MIN`] to
/// [`SegmentBytes::MAX`]. It is fixed when the log is created, as positions depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentBytes(u32);

/// A number of bytes that no segment can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "a segment of {0} bytes is not possible: it has from {min} to {max} bytes, a multiple of 8",
    min = SegmentBytes::MIN.0,
    max = SegmentBytes::MAX.0
)]
pub struct SegmentBytesError(pub u32);

/// The things about a log that never change, by which its files are known as its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogIdentity {
    /// The node that writes the log.
    pub node: NodeId,
    /// The log.
    pub log: LogId,
    /// The size of each of its segments.
    pub segment_bytes: SegmentBytes,
}

impl SegmentBytes {
    /// The smallest size: 512 bytes. For tests; a node that works has more.
    pub const MIN: Self = Self(512);
    /// The largest size: 1 GiB.
    pub const MAX: Self = Self(1 << 30);
    /// 8 MiB. A start reads whole segments, and a rotation costs one rename and the sync of a folder, so
    /// smaller ones rotate more often (at 20 MB/s this one every 0.4 s), and larger ones keep more on
    /// the disk and read more than is needed: a node that was just made has two. A batch may be larger.
    pub const DEFAULT: Self = Self(8 << 20);

    /// Checks a size.
    ///
    /// # Errors
    /// [`SegmentBytesError`], if the size is out of bounds or no multiple of 8.
    pub const fn new(bytes: u32) -> Result<Self, SegmentBytesError> {
        if bytes < Self::MIN.0 || bytes > Self::MAX.0 || !bytes.is_multiple_of(8) {
            return Err(SegmentBytesError(bytes));
        }
        Ok(Self(bytes))
    }

    /// The size, in bytes.
    pub const fn get(self) -> u64 {
        self.0 as u64
    }

    /// The segment that covers a position.
    pub const fn segment_of(self, position: LogPosition) -> SegmentNumber {
        SegmentNumber(position.0 / self.get())
    }

    /// The segment that holds the byte before a position: that in which what ends there lies.
    pub const fn segment_before(self, end: LogPosition) -> SegmentNumber {
        self.segment_of(LogPosition(end.0.saturating_sub(1)))
    }

    /// The number of bytes of its segment that lie before a position.
    pub const fn offset_of(self, position: LogPosition) -> u64 {
        position.0 % self.get()
    }

    /// The first position of a segment, which is that of its header.
    pub const fn begin_of(self, segment: SegmentNumber) -> LogPosition {
        LogPosition(segment.0.saturating_mul(self.get()))
    }

    /// The position of the first frame of a segment.
    pub const fn frames_of(self, segment: SegmentNumber) -> LogPosition {
        self.begin_of(segment).after(HEADER_BYTES as u64)
    }
}

impl Default for SegmentBytes {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl SegmentNumber {
    /// The segment after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl LogIdentity {
    /// The seed of the checksums of all frames in a segment. A file that is used again for another
    /// segment still holds the frames of its earlier life: none of them verifies under the new number
    /// (tikv/raft-engine #214).
    pub fn seed_of(&self, segment: SegmentNumber) -> u64 {
        mix(&[self.log.0, segment.0])
    }
}

impl fmt::Display for SegmentNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
