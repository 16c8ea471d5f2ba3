//! The names that everything else speaks in: who, which key, where on the ring, which request.
//!
//! Three identities must not be mixed up (SEMANTICS): the *node id* never changes and is never
//! reused; the *generation* orders the gossip of one node over its restarts; the *epoch* is part of
//! an actor, and a new one is drawn whenever a node may have lost what it minted.

use core::fmt;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::codec::codec;
use crate::sha::sha256_128;

pub use crate::key::Key;

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

/// One founding of a cluster: 64 random bits, drawn by the member that an operator tells to found it.
/// Two clusters of one name that were founded apart have nothing to do with each other.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FoundingId(pub u64);

/// A driver's own name for an operator's request in flight; it comes back with the answer.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct AdminRequest(pub u64);

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

codec!(struct Generation(_), PartitionId(_));
codec!(
    fixed NodeId(u64), fixed Epoch(u64), fixed RequestId(u128), fixed ClusterId(u64),
    fixed FoundingId(u64),
    fixed Digest(u128),
);

impl ClusterId {
    /// The id of the cluster with this name.
    pub fn of(name: &str) -> Self {
        Self(Digest::of(&[name.as_bytes()]).high())
    }

    /// The id of the cluster of this name that came of this founding.
    #[must_use]
    pub const fn founded(self, founding: FoundingId) -> Self {
        Self(self.0 ^ founding.0)
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

hexadecimal!(NodeId: "16", Epoch: "16", RequestId: "32", ClusterId: "16", FoundingId: "16", Token: "32", Digest: "32");
