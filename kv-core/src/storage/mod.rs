//! How storage does what is asked of it: it executes commands on a [`Store`], where the disk is, and is
//! the same in every driver. The commands, their outcomes and the trait are in [`crate::store`].
//!
//! [`execute()`] takes one command: it reads, joins, mints, and commits one atomic batch per
//! container. [`Partitions`] is what is kept in memory beside the disk: Merkle trees, and the actors
//! that mint. Nothing here knows peers, requests in flight or time-outs, and no machine of the core
//! imports it: drivers call it.
//!
//! [`Store`]: crate::store::Store

mod distrust;
mod execute;
mod founding;
mod hints;
mod inspect;
mod invariants;
mod keyspace;
mod minter;
mod notes;
mod opening;
mod owned;
mod partitions;
mod recall;
mod recent;
mod scrub;

pub use self::distrust::distrust;
pub use self::execute::execute;
pub use self::hints::{for_each_hint, for_each_hint_terms, hint};
pub use self::inspect::{
    Held, StoredCopy, any_has_seen, for_each_copy, held, hinted, is_repaired, owned_copy,
    owned_records,
};
pub use self::keyspace::{
    StoredRecord, parse as parse_record_key, partition_of as partition_of_record,
};
pub use self::opening::{format, open};
pub use self::owned::decode_owned;
pub use self::partitions::{PartitionState, Partitions};

#[cfg(test)]
mod tests;
