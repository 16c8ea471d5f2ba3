//! The identities that everything else speaks in: of nodes, keys, places on the ring, and requests.
//!
//! Three identities must not be mixed up (semantics.md §1): the *node id* never changes and is
//! never reused; the *generation* orders the gossip of one node over its restarts; the *epoch* is
//! part of an actor, and a new one is drawn whenever a node may have lost what it minted.

use core::fmt;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::codec::codec;
use crate::sha::sha256_128;
use crate::time::{Span, WallTime};

pub use crate::key::Key;

/// The largest key, in bytes.
pub const KEY_BYTES_MAX: usize = 64 * 1024;

/// The hash by which keys are placed on the ring and containers are compared. Data that was made
/// with another one is not found with this one.
pub const HASH: &str = "sha-256/128";

/// The id of a node for life: random, given when it first joins, never reused.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub u64);

/// The number of a run of a node: see [`Generation::of_run`]. Orders its gossip and nothing else.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Generation(pub u64);

/// A stretch of a node's life in which it has lost nothing that it minted, as a random number.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch(pub u64);

/// The id of a request in the cluster. Retries and forwards keep it (Riak #1754, #1188).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
// Allocators are slower where they have to align to 16 bytes.
#[repr(Rust, packed(8))]
pub struct RequestId(pub u128);

/// The cluster that a message, a token or a data directory belongs to: a hash of its name.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClusterId(pub u64);

/// The id of one founding of a cluster: 64 random bits, drawn by the member that an operator tells
/// to found it. Two clusters of one name that were founded apart have nothing to do with each
/// other.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FoundingId(pub u64);

/// A driver's id of an operator's request in flight; it comes back with the answer.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct AdminRequest(pub u64);

/// A position on the ring: the first 128 bits of SHA-256.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
// Allocators are slower where they have to align to 16 bytes.
#[repr(Rust, packed(8))]
pub struct Token(pub u128);

/// One of the equal slices of the ring, counted from 0: the unit of ownership, comparison and
/// transfer.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct PartitionId(pub u32);

/// 128 bits that stand for content (SHA-256, truncated): a container, or in a sum all containers of
/// a Merkle leaf or a tree.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
// Allocators are slower where they have to align to 16 bytes.
#[repr(Rust, packed(8))]
pub struct ContentHash(pub u128);

/// 64 bits that stand for the content of a layout (SHA-256, truncated): enough to tell mistakes
/// apart.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LayoutHash(pub u64);

/// 64 bits that stand for a key, the first half of its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyHash(pub u64);

/// A driver's id of a client request in flight; it comes back with the reply.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct ClientRequest(pub u64);

/// The core's id of a storage command in flight; it comes back with the outcome.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Ticket(pub u64);

/// The coordinator's own number for an operation in flight; answers carry it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OperationId(pub u64);

/// The number of a step in a session of repair; an answer to an earlier step is ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Step(pub u64);

/// A position in the order in which one store committed its batches, counted from 1.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Seq(pub u64);

/// How far the log of a node goes: a number that grows with what is appended, for the life of the data.
/// In the commit log of [`crate::log`] it is the number of bytes from its beginning, headers and unused
/// ends of segments included. Never used twice for other bytes that were promised to be durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogPosition(pub u64);

impl ContentHash {
    /// The hash of the parts, one after the other. They are not delimited: callers whose parts vary
    /// in length put the lengths in.
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

    /// The first 64 bits of the hash, which are enough to tell mistakes apart.
    pub const fn high(self) -> u64 {
        (self.0 >> 64) as u64
    }
}

impl Token {
    /// The first 64 bits of the token.
    pub const fn high(self) -> u64 {
        (self.0 >> 64) as u64
    }

    /// The token of some bytes: their position on the ring.
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha256_128(bytes))
    }
}

codec!(struct Generation(_), PartitionId(_), KeyHash(_), Step(_), LogPosition(_));
codec!(
    fixed NodeId(u64), fixed Epoch(u64), fixed RequestId(u128), fixed ClusterId(u64),
    fixed FoundingId(u64),
    fixed ContentHash(u128), fixed LayoutHash(u64), fixed OperationId(u64),
);

impl ClusterId {
    /// The id of the cluster with a name, before it is founded.
    pub fn of(name: &str) -> Self {
        Self(ContentHash::of(&[name.as_bytes()]).high())
    }

    /// The id of the cluster of this name that came of a founding.
    #[must_use]
    pub const fn founded(self, founding: FoundingId) -> Self {
        Self(self.0 ^ founding.0)
    }
}

impl Generation {
    /// The most by which a generation may be ahead of a wall clock and still be believed: a year of
    /// 365 days (CASSANDRA-8113). Clocks that differ by less are borne; beyond that one of them is
    /// wrong.
    pub const AHEAD_MAX: Span = Span::from_ms(365 * 24 * 3_600 * 1_000);

    /// The generation of the run that starts at this moment, after one of generation `former`:
    /// `max(former + 1, wall seconds)`.
    ///
    /// If the former one is further ahead of the clock than [`Generation::AHEAD_MAX`], it was drawn
    /// under a clock that was wrong, and no peer whose clock is right would believe what follows
    /// it. So it is disbelieved and the clock decides alone: a wrong clock at one start must not
    /// outlive that start. A clock that has lost the date disbelieves nothing.
    #[must_use]
    pub const fn of_run(former: Self, wall: WallTime) -> Self {
        let (next, seconds) = (Self(former.0.saturating_add(1)), wall.as_seconds());
        if next.0 < seconds || !next.is_believed_at(wall) { Self(seconds) } else { next }
    }

    /// Tells whether a run of this generation can have begun by now, as far as this clock can tell.
    pub const fn is_believed_at(self, wall: WallTime) -> bool {
        let latest = wall.as_seconds().saturating_add(Self::AHEAD_MAX.as_ms() / 1_000);
        self.0 <= latest || !wall.can_be_the_date()
    }
}

impl Seq {
    /// The position after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl LogPosition {
    /// The position so many bytes further on.
    pub(crate) const fn after(self, bytes: u64) -> Self {
        // A file may have any number in its name.
        Self(self.0.saturating_add(bytes))
    }
}

impl fmt::Display for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
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

hexadecimal!(
    NodeId: "16", Epoch: "16", RequestId: "32", ClusterId: "16", FoundingId: "16", Token: "32",
    ContentHash: "32", LayoutHash: "16"
);

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;
    const YEAR: u64 = 365 * 24 * 3_600;

    fn of_run(former: u64, seconds: u64) -> u64 {
        Generation::of_run(Generation(former), WallTime(seconds * 1_000_000)).0
    }

    #[test]
    fn generations_rise_with_the_clock_and_without_it() {
        assert_eq!(of_run(0, NOW), NOW);
        assert_eq!(of_run(NOW, NOW), NOW + 1);
        assert_eq!(of_run(NOW, NOW - 3_600), NOW + 1, "the clock went back by an hour");
        assert_eq!(of_run(NOW + YEAR - 1, NOW), NOW + YEAR, "within the year it is believed");
    }

    #[test]
    fn a_generation_of_a_clock_that_was_years_ahead_is_forgotten_once_the_clock_is_right() {
        for ahead in [YEAR, 2 * YEAR, 100 * YEAR] {
            assert_eq!(of_run(NOW + ahead, NOW), NOW);
        }
        assert_eq!(of_run(u64::MAX, NOW), NOW);
    }

    #[test]
    fn a_clock_that_has_lost_the_date_does_not_undo_a_generation() {
        for lost in [0, 946_684_800, 1_577_836_800] {
            assert_eq!(of_run(NOW, lost), NOW + 1);
        }
        assert_eq!(of_run(u64::MAX, 0), u64::MAX, "and nothing overflows");
    }
}
