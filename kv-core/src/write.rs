//! A client's write, on its way from the coordinator to the record.

use crate::codec::codec;
use crate::time::{HybridTime, WallTime};
use crate::version::{Content, Context};

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
    /// The time at which its coordinator was asked, by that node's clock. Whoever mints for it stamps it
    /// with this, or just above what it overwrites: so a twin, minted after others have overwritten the
    /// write, is no later than the write was.
    pub time: HybridTime,
}

codec!(struct Write { content, expiry, basis, time });

/// The versions that a write overwrites.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Basis {
    /// Exactly the versions that this context covers.
    Given(Context),
    /// The versions that the minting replica holds, and those that this context covers.
    Held(Context),
}

codec!(enum Basis { 0 => Given(context), 1 => Held(context) });

impl Basis {
    /// The basis of a write when a second replica is asked to mint, because the first was silent.
    /// By the time it is, the first may have minted, and others may have overwritten it: then "what
    /// the replica holds" is newer than the write. At worst it stands beside it.
    #[must_use]
    pub fn of_a_spare(self) -> Self {
        match self {
            Self::Given(context) | Self::Held(context) => Self::Given(context),
        }
    }
}
