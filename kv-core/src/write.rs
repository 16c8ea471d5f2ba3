//! A client's write, on its way from the coordinator to the record.

use crate::codec::codec;
use crate::time::WallTime;
use crate::version::{Content, VersionVector};

/// The part of a client's request that becomes a version of the key. It travels whole; the key, the
/// request's id and the dot are beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The value, or the statement that there is none.
    pub content: Content,
    /// The time at which it ceases to be visible.
    pub expiry: Option<WallTime>,
    /// The versions that it overwrites.
    pub basis: Basis,
}

codec!(struct Write { content, expiry, basis });

/// The versions that a write overwrites.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Basis {
    /// Exactly the versions that this context covers.
    Given(VersionVector),
    /// The versions that the minting replica holds, and those that this context covers.
    Held(VersionVector),
}

codec!(enum Basis { 0 => Given(seen), 1 => Held(seen) });

impl Basis {
    /// The basis of a write when a second replica is asked to mint, because the first was silent.
    /// By the time it is, the first may have minted, and others may have overwritten it: then "what
    /// the replica holds" is newer than the write. At worst it stands beside it.
    #[must_use]
    pub fn of_a_spare(self) -> Self {
        match self {
            Self::Given(seen) | Self::Held(seen) => Self::Given(seen),
        }
    }
}
