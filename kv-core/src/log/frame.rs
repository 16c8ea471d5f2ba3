//! A frame: what one group commit writes.
//!
//! ```text
//!   0  checksum: xxh3-64 of all behind it up to the end of the frame, seeded by the segment
//!   8  magic "KVF", kind    32  chain: checksum of the frame (or header) before it
//!  12  payload bytes, u32   40  run that made it
//!  16  position             48  position at which that run began
//!  24  durable: position known durable when it was made
//!  56  payload, then zeros up to a multiple of 8
//! ```
//! A frame verifies by itself, as its seed follows from the log and the segment alone: so one is found
//! behind a hole. 64 bits are enough: a checksum is only computed where magic and position are right,
//! so garbage would have to be met 2^64 times; and nobody outside knows the seed, so no value that a
//! client sends passes for a frame.

use alloc::vec::Vec;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::header::{half_word, word};
use super::position::{LogPosition, LogRun};

/// The length in bytes of what stands before the payload of a frame.
pub const FRAME_HEADER_BYTES: usize = 56;

/// The boundary, in bytes, on which each frame begins.
pub const FRAME_ALIGNMENT: usize = 8;

const MAGIC: [u8; 3] = *b"KVF";
const CHECKSUM_BYTES: usize = 8;

/// The kind of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FrameKind {
    /// Whole batches, each behind its length as a 32-bit number.
    Batches = 1,
    /// The first part of a batch that is too large for what is left of its segment.
    First = 2,
    /// A further part of it.
    Middle = 3,
    /// Its last part.
    Last = 4,
    /// No batch: it only says how far the log is durable. So the last group before a pause has a
    /// witness too.
    Witness = 5,
    /// The last frame before a clean stop.
    Stop = 6,
    /// The first frame of a run: from its position on, nothing of earlier runs counts.
    Begin = 7,
}

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// The kind of the frame.
    pub kind: FrameKind,
    /// The length of the payload, in bytes.
    pub payload_bytes: u32,
    /// The position of the frame's first byte.
    pub position: LogPosition,
    /// The position up to which the log was known to be durable when the frame was made.
    pub durable: LogPosition,
    /// The checksum of the frame before it, or of its segment's header.
    pub chain: u64,
    /// The run that made it.
    pub run: LogRun,
    /// The position at which that run began to append. What an earlier run wrote from there on had
    /// been cut off.
    pub started: LogPosition,
}

impl FrameKind {
    const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Batches,
            2 => Self::First,
            3 => Self::Middle,
            4 => Self::Last,
            5 => Self::Witness,
            6 => Self::Stop,
            7 => Self::Begin,
            _ => return None,
        })
    }
}

impl FrameHeader {
    /// The length of the whole frame in bytes, a multiple of [`FRAME_ALIGNMENT`].
    pub const fn frame_bytes(&self) -> u64 {
        frame_bytes(self.payload_bytes as u64)
    }

    /// The position at which the frame ends.
    pub const fn end(&self) -> LogPosition {
        self.position.after(self.frame_bytes())
    }

    /// Completes a frame whose payload lies behind room for this head at `begin` of the buffer, and
    /// returns its checksum.
    pub(super) fn seal(&self, seed: u64, buffer: &mut Vec<u8>, begin: usize) -> u64 {
        let Self { kind, payload_bytes, position, durable, chain, run, started } = *self;
        buffer.resize(begin + self.frame_bytes() as usize, 0);
        let frame = &mut buffer[begin..];
        frame[8..11].copy_from_slice(&MAGIC);
        frame[11] = kind as u8;
        frame[12..16].copy_from_slice(&payload_bytes.to_le_bytes());
        let words = [position.0, durable.0, chain, run.0, started.0];
        frame[16..FRAME_HEADER_BYTES].copy_from_slice(words.map(u64::to_le_bytes).as_flattened());
        let checksum = xxh3_64_with_seed(&frame[CHECKSUM_BYTES..], seed);
        frame[..CHECKSUM_BYTES].copy_from_slice(&checksum.to_le_bytes());
        checksum
    }

    /// Reads the head of a frame that should lie at a position, of which nothing is verified but that
    /// it says so. The bytes may be anything.
    pub(super) fn peek(bytes: &[u8], position: LogPosition) -> Option<Self> {
        if bytes.get(8..11)? != MAGIC || word(bytes, 16) != position.0 {
            return None;
        }
        Some(Self {
            kind: FrameKind::from_number(*bytes.get(11)?)?,
            payload_bytes: half_word(bytes, 12),
            position,
            durable: LogPosition(word(bytes, 24)),
            chain: word(bytes, 32),
            run: LogRun(word(bytes, 40)),
            started: LogPosition(word(bytes, 48)),
        })
    }

    /// Verifies the bytes of a whole frame, and returns its checksum if it is right.
    pub(super) fn verify(frame: &[u8], seed: u64) -> Option<u64> {
        let stored = word(frame, 0);
        let checksum = xxh3_64_with_seed(frame.get(CHECKSUM_BYTES..)?, seed);
        (checksum == stored).then_some(checksum)
    }
}

/// The length in bytes of a frame with so long a payload.
pub(super) const fn frame_bytes(payload_bytes: u64) -> u64 {
    (FRAME_HEADER_BYTES as u64 + payload_bytes).next_multiple_of(FRAME_ALIGNMENT as u64)
}
