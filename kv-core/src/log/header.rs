//! The header of a segment: whose it is, which one, and where the log came from.
//!
//! ```text
//!   0  magic "KVLOGSEG"     48  chain: checksum of the frame (or header) before it
//!   8  format, u32          56  durable: position known durable when it was made
//!  12  segment bytes, u32   64  run that made it
//!  16  node                 72  position at which that run began
//!  24  log                  80  zeros
//!  32  number               88  checksum: xxh3-64 of all before it, without a seed
//!  40  end: position at which the frames of the segments before it end
//! ```
//! Numbers are little-endian, of 64 bits where nothing else is said. Its checksum has no seed, so that
//! a file of another node, another log or an earlier life is known for what it is. All formats keep
//! the length of a header, its magic, format and checksum where they are.

use xxhash_rust::xxh3::xxh3_64;

use super::position::{HEADER_BYTES, LogId, LogPosition, LogRun, SegmentNumber};
use crate::types::NodeId;

/// The version of the format of headers, frames and markers.
pub const LOG_FORMAT: u32 = 1;

const MAGIC: [u8; 8] = *b"KVLOGSEG";
const CHECKSUM_AT: usize = HEADER_BYTES - 8;

/// The content of a segment's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// The size of the segment, in bytes.
    pub segment_bytes: u32,
    /// The node that wrote it.
    pub node: NodeId,
    /// The log that it belongs to.
    pub log: LogId,
    /// The number of the segment.
    pub number: SegmentNumber,
    /// The position at which the frames before the segment end. What lies between that and the
    /// segment was never used.
    pub end: LogPosition,
    /// The checksum of the last frame before the segment, or of the header if there was no frame
    /// since; 0 in the first segment of a log.
    pub chain: u64,
    /// The position up to which the log was known to be durable when the header was made.
    pub durable: LogPosition,
    /// The run that made the header.
    pub run: LogRun,
    /// The position at which that run began to append.
    pub started: LogPosition,
    /// True if the log before this segment was found to be corrupt. Every start says so again, until it
    /// begins with this segment.
    pub follows_corruption: bool,
}

/// A header as it was read, with its checksum, from which the first frame is chained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadHeader {
    /// A header of this format.
    Valid {
        /// The content of the header.
        header: SegmentHeader,
        /// Its checksum.
        checksum: u64,
    },
    /// A header of another format, which this software cannot read.
    OtherFormat(u32),
    /// The bytes are no header: zeros, or a part of one.
    None,
}

impl SegmentHeader {
    /// The bytes of the header, and its checksum.
    pub fn encode(&self) -> ([u8; HEADER_BYTES], u64) {
        let Self { segment_bytes, node, log, number, end, chain, durable, run, started, .. } =
            *self;
        let follows_corruption = u64::from(self.follows_corruption);
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&LOG_FORMAT.to_le_bytes());
        bytes[12..16].copy_from_slice(&segment_bytes.to_le_bytes());
        let words = [
            node.0,
            log.0,
            number.0,
            end.0,
            chain,
            durable.0,
            run.0,
            started.0,
            follows_corruption,
        ];
        bytes[16..CHECKSUM_AT].copy_from_slice(words.map(u64::to_le_bytes).as_flattened());
        let checksum = xxh3_64(&bytes[..CHECKSUM_AT]);
        bytes[CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
        (bytes, checksum)
    }

    /// Reads a header. Never fails: bytes that are no header are [`ReadHeader::None`].
    pub fn decode(bytes: &[u8; HEADER_BYTES]) -> ReadHeader {
        let checksum = word(bytes, CHECKSUM_AT);
        if bytes[..8] != MAGIC || xxh3_64(&bytes[..CHECKSUM_AT]) != checksum {
            return ReadHeader::None;
        }
        let [format, segment_bytes] = [half_word(bytes, 8), half_word(bytes, 12)];
        if format != LOG_FORMAT {
            return ReadHeader::OtherFormat(format);
        }
        let header = Self {
            segment_bytes,
            node: NodeId(word(bytes, 16)),
            log: LogId(word(bytes, 24)),
            number: SegmentNumber(word(bytes, 32)),
            end: LogPosition(word(bytes, 40)),
            chain: word(bytes, 48),
            durable: LogPosition(word(bytes, 56)),
            run: LogRun(word(bytes, 64)),
            started: LogPosition(word(bytes, 72)),
            follows_corruption: word(bytes, 80) != 0,
        };
        ReadHeader::Valid { header, checksum }
    }
}

/// The 64-bit number at an offset; zeros stand for bytes that are not there.
pub(super) fn word(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(<[u8]>::first_chunk).map_or(0, |&word| u64::from_le_bytes(word))
}

/// The 32-bit number at an offset; zeros stand for bytes that are not there.
pub(super) fn half_word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(<[u8]>::first_chunk).map_or(0, |&half| u32::from_le_bytes(half))
}
