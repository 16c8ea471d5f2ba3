//! A fingerprint of what was written: enough to compare contents and to tell them apart, in a few
//! bytes, as none is ever forgotten.

use std::fmt;

use bytes::Bytes;
use kv_core::version::Content;
use smallvec::SmallVec;
use xxhash_rust::xxh3::xxh3_128;

/// The number of bytes of a value that are kept to be shown.
const HEAD_BYTES: usize = 24;

/// A fingerprint of a content: enough to compare it and to tell it apart by eye.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Fingerprint {
    /// The value's length in bytes and its hash; none for a tombstone.
    value: Option<(usize, [u8; 16])>,
    head: SmallVec<[u8; HEAD_BYTES]>,
}

impl Fingerprint {
    /// Computes the fingerprint of a content.
    pub(super) fn of(content: &Content) -> Self {
        let value = content.value().map(hashed);
        let bytes = content.value().map_or(&[][..], |bytes| bytes);
        Self { value, head: bytes[..bytes.len().min(HEAD_BYTES)].into() }
    }

    /// The length of the value in bytes; 0 for a tombstone.
    pub(super) fn value_bytes(&self) -> usize {
        self.value.map_or(0, |(bytes, _)| bytes)
    }

    /// True if this is the fingerprint of a tombstone.
    pub(super) const fn is_tombstone(&self) -> bool {
        self.value.is_none()
    }

    /// Tells whether this is the fingerprint of a content.
    pub(super) fn is_of(&self, content: &Content) -> bool {
        self.value == content.value().map(hashed)
    }
}

fn hashed(value: &Bytes) -> (usize, [u8; 16]) {
    (value.len(), xxh3_128(value).to_le_bytes())
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The simulator's clients fill their values up with dots.
        let filled = self.head.iter().rposition(|&byte| byte != b'.').map_or(0, |last| last + 1);
        let head = self.head[..filled].escape_ascii();
        match self.value {
            None => f.write_str("a tombstone"),
            Some((bytes, _)) if bytes > self.head.len() && filled == self.head.len() => {
                write!(f, "\"{head}...\" ({bytes} bytes)")
            }
            Some(_) => write!(f, "\"{head}\""),
        }
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
