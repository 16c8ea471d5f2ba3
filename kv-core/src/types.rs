//! The names that everything else speaks in: who, which key, where on the ring, which request.
//!
//! Three identities must not be mixed up (SEMANTICS): the *node id* never changes and is never
//! reused; the *generation* orders the gossip of one node over its restarts; the *epoch* is part of
//! an actor, and a new one is drawn whenever a node may have lost what it minted.

use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::codec::{Codec, Malformed, Reader, codec};
use crate::sha::sha256_128;

/// The largest key, in bytes.
pub const KEY_BYTES_MAX: usize = 64 * 1024;

/// A node's name for life: random, given when it first joins, never reused.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub u64);

/// `max(stored + 1, wall seconds)` at each start of a node. Orders its gossip and nothing else.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Generation(pub u64);

/// One stretch of a node's life in which it has lost nothing that it minted. Random.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch(pub u64);

/// A request as the cluster knows it. Retries and forwards keep it (Riak #1754, #1188).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
// Allocators are slower where they have to align to 16 bytes.
#[repr(Rust, packed(8))]
pub struct RequestId(pub u128);

/// The cluster that a message, a token or a data directory belongs to: a digest of its name.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClusterId(pub u64);

/// A position on the ring: the first 128 bits of SHA-256.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
// Allocators are slower where they have to align to 16 bytes.
#[repr(Rust, packed(8))]
pub struct Token(pub u128);

/// One of the equal slices of the ring: the unit of ownership, comparison and transfer.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct PartitionId(pub u32);

/// 128 bits that stand for something larger (SHA-256, truncated).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
// Allocators are slower where they have to align to 16 bytes.
#[repr(Rust, packed(8))]
pub struct Digest(pub u128);

/// A key: at most [`KEY_BYTES_MAX`] arbitrary bytes. Cheap to clone.
///
/// It knows its place on the ring, which everybody who handles it asks for: so it is hashed once on
/// each node. Keys are ordered by their bytes.
#[derive(Clone)]
pub struct Key {
    bytes: Bytes,
    token: Token,
}

/// A driver's own name for a client request in flight; it comes back with the reply.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct ClientRequest(pub u64);

/// The core's name for a storage command in flight; it comes back with the outcome.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Ticket(pub u64);

/// A position in the order in which one store committed its batches, counted from 1.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Seq(pub u64);

impl Digest {
    /// The digest of the given parts, one after the other. Parts are not delimited: callers whose
    /// parts vary in length put the lengths in.
    pub fn of(parts: &[&[u8]]) -> Self {
        if let [part] = parts {
            return Self(sha256_128(part));
        }
        let mut all: SmallVec<[u8; 256]> = SmallVec::new();
        for part in parts {
            all.extend_from_slice(part);
        }
        Self(sha256_128(&all))
    }

    /// The first 64 bits, for headers in which 64 are enough to tell mistakes apart.
    pub const fn high(self) -> u64 {
        (self.0 >> 64) as u64
    }
}

impl Token {
    /// The first 64 bits.
    pub const fn high(self) -> u64 {
        (self.0 >> 64) as u64
    }

    /// The position of some bytes on the ring.
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha256_128(bytes))
    }
}

impl Key {
    /// The key as clients know it.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Where the key lies on the ring.
    pub const fn token(&self) -> Token {
        self.token
    }
}

impl From<Bytes> for Key {
    fn from(bytes: Bytes) -> Self {
        let token = Token::of(&bytes);
        Self { bytes, token }
    }
}

impl From<Vec<u8>> for Key {
    fn from(key: Vec<u8>) -> Self {
        Self::from(Bytes::from(key))
    }
}

impl From<&[u8]> for Key {
    fn from(key: &[u8]) -> Self {
        Self::from(Bytes::copy_from_slice(key))
    }
}

impl From<&str> for Key {
    fn from(key: &str) -> Self {
        Self::from(key.as_bytes())
    }
}

impl Codec for Key {
    fn encode(&self, out: &mut Vec<u8>) {
        self.bytes.encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        Bytes::decode(input).map(Self::from)
    }
}

codec!(struct Generation(_), PartitionId(_));
codec!(
    fixed NodeId(u64), fixed Epoch(u64), fixed RequestId(u128), fixed ClusterId(u64),
    fixed Digest(u128),
);

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes.cmp(&other.bytes)
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Nothing else about a key is as evenly spread, and it is known.
        state.write_u64(self.token.high());
    }
}

impl ClusterId {
    /// The id of the cluster with this name.
    pub fn of(name: &str) -> Self {
        Self(Digest::of(&[name.as_bytes()]).high())
    }
}

impl Seq {
    /// The one after this.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

macro_rules! hexadecimal {
    ($($type:ident: $digits:literal),*) => {$(
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!("{:0", $digits, "x}"), { self.0 })
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self, f)
            }
        }
    )*};
}

hexadecimal!(NodeId: "16", Epoch: "16", RequestId: "32", ClusterId: "16", Token: "32", Digest: "32");

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.bytes.escape_ascii())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.bytes.escape_ascii())
    }
}
