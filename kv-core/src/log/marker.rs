//! The marker of a clean stop: a small file of its own, which says how far the log goes.
//!
//! It is made when the last frame of a run is durable, and must be gone, durably, before the next run
//! appends: so as long as it is there, a log that ends before it has lost something.
//!
//! ```text
//!   0  magic "KVLOGEND"    16  node    32  position at which the log ends
//!   8  format, u32         24  log     40  checksum of its last frame
//!  12  zeros                           48  run that stopped
//!                                      56  position at which that run began
//!                                      64  checksum: xxh3-64 of all before it
//! ```

use thiserror::Error;
use xxhash_rust::xxh3::xxh3_64;

use super::header::{LOG_FORMAT, half_word, word};
use super::position::{LogId, LogPosition, LogRun};
use crate::types::NodeId;

/// The length of a marker in bytes.
pub const MARKER_BYTES: usize = 72;

const MAGIC: [u8; 8] = *b"KVLOGEND";
const CHECKSUM_AT: usize = MARKER_BYTES - 8;

/// The content of a marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopMarker {
    /// The node that stopped.
    pub node: NodeId,
    /// Its log.
    pub log: LogId,
    /// The position at which the log ends.
    pub end: LogPosition,
    /// The checksum of the last frame.
    pub chain: u64,
    /// The run that stopped.
    pub run: LogRun,
    /// The position at which that run had begun: what earlier runs wrote from there on does not count.
    pub started: LogPosition,
}

/// The error of bytes that are no marker of this format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the marker of the last clean stop cannot be read")]
pub struct MarkerUnreadable;

impl StopMarker {
    /// The bytes of the marker's file.
    pub fn encode(&self) -> [u8; MARKER_BYTES] {
        let Self { node, log, end, chain, run, started } = *self;
        let mut bytes = [0; MARKER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&LOG_FORMAT.to_le_bytes());
        let words = [node.0, log.0, end.0, chain, run.0, started.0];
        bytes[16..CHECKSUM_AT].copy_from_slice(words.map(u64::to_le_bytes).as_flattened());
        let checksum = xxh3_64(&bytes[..CHECKSUM_AT]);
        bytes[CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads a marker.
    ///
    /// # Errors
    /// [`MarkerUnreadable`], if the bytes are cut short, altered, or of another format.
    pub fn decode(bytes: &[u8]) -> Result<Self, MarkerUnreadable> {
        let is_whole = bytes.len() == MARKER_BYTES && bytes[..8] == MAGIC;
        if !is_whole
            || half_word(bytes, 8) != LOG_FORMAT
            || xxh3_64(&bytes[..CHECKSUM_AT]) != word(bytes, CHECKSUM_AT)
        {
            return Err(MarkerUnreadable);
        }
        Ok(Self {
            node: NodeId(word(bytes, 16)),
            log: LogId(word(bytes, 24)),
            end: LogPosition(word(bytes, 32)),
            chain: word(bytes, 40),
            run: LogRun(word(bytes, 48)),
            started: LogPosition(word(bytes, 56)),
        })
    }
}
