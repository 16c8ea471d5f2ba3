//! This node's copy of the data.
//!
//! Two halves that meet only in [`crate::store`]:
//! - [`execute`] runs where the disk is: it reads, joins, mints, and commits one atomic batch per
//!   container. [`Partitions`] is what it keeps in memory: Merkle trees, and the actors that mint.
//! - [`Replica`] runs where the core is: it turns requests of coordinators into storage commands,
//!   and outcomes into answers. It says nothing of a write before the write is durable.

mod execute;
mod founding;
mod freshness;
mod hints;
mod inspect;
mod invariants;
mod keyspace;
mod minter;
mod owned;
mod partitions;
mod recent;
mod scrub;
mod service;

pub use execute::execute;
pub use hints::for_each_hint;
pub use inspect::{Held, StoredCopy, any_has_seen, for_each_copy, held, hinted, is_repaired};
pub use keyspace::{Record, parse as parse_record_key};
pub use owned::decode_owned;
pub use partitions::{PartitionState, Partitions, format, open, unmark};
pub use service::{Replica, ReplicaSnapshot};

#[cfg(test)]
mod tests;
