//! The keys of records in the store. They sort so that every scan that is needed is one prefix.
//!
//! | first byte | then | record |
//! |---|---|---|
//! | `d` | partition, leaf, key | an owner's container, behind its hash |
//! | `h` | partition, length of key, key, target | a hint |
//! | `x` | partition, target, copies, created, key | nothing: the order in which hints are replayed |
//! | `t` | partition, leaf | the hash of a Merkle leaf |
//! | `m` | partition | the node's id: the data marker, "this owner holds all that it must hold", |
//! | `l` | partition, key | nothing: "but of this key", of which a record was corrupt |
//! | `f` | nothing | the node's id and the founding: "this store belongs to a cluster that was founded" |
//! | `p` | founding | the node's id: the pledge, "this store was new before that founding" |
//! | `r` | nothing | the runs that wrote the log, each with how far it went when that run began |
//!
//! Numbers are big-endian.

use smallvec::SmallVec;

use crate::merkle::LeafId;
use crate::store::HintTerms;
use crate::types::{FoundingId, Key, NodeId, PartitionId};

const OWNED: u8 = b'd';
const HINT: u8 = b'h';
const HINT_ORDER: u8 = b'x';
const LEAF: u8 = b't';
const MARKER: u8 = b'm';
const LOST: u8 = b'l';
const FOUNDED: u8 = b'f';
const PLEDGE: u8 = b'p';
const RUNS: u8 = b'r';

/// A key of the store, or a prefix of some. Those of short keys lie in place.
pub(super) type StoreKey = SmallVec<[u8; SHORT]>;

/// The most bytes of a key of the store that lies in place.
const SHORT: usize = 56;

/// The kind and subject of a record, as its key in the store gives them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredRecord {
    /// An owner's container.
    Owned {
        /// The partition.
        partition: PartitionId,
        /// The Merkle leaf of the key.
        leaf: LeafId,
        /// The key.
        key: Key,
    },
    /// A hint.
    Hint {
        /// The partition.
        partition: PartitionId,
        /// The key.
        key: Key,
        /// The owner that the hint is for.
        target: NodeId,
    },
    /// A hint's place in the order of replay.
    HintOrder {
        /// The partition.
        partition: PartitionId,
        /// The key of the hint.
        key: Key,
    },
    /// A Merkle leaf.
    Leaf {
        /// The partition.
        partition: PartitionId,
        /// The leaf.
        leaf: LeafId,
    },
    /// A data marker.
    Marker {
        /// The partition.
        partition: PartitionId,
    },
    /// An exception from the data marker.
    Corrupt {
        /// The partition.
        partition: PartitionId,
        /// The key.
        key: Key,
    },
    /// The founding of the cluster that the store belongs to.
    Founded,
    /// The pledge that the store was new before a founding.
    Pledge {
        /// The founding.
        founding: FoundingId,
    },
    /// The runs that wrote the log.
    Runs,
}

impl StoredRecord {
    /// The partition that it belongs to; none, if it is about the whole store.
    pub const fn partition(&self) -> Option<PartitionId> {
        match self {
            Self::Owned { partition, .. }
            | Self::Hint { partition, .. }
            | Self::HintOrder { partition, .. }
            | Self::Leaf { partition, .. }
            | Self::Marker { partition }
            | Self::Corrupt { partition, .. } => Some(*partition),
            Self::Founded | Self::Pledge { .. } | Self::Runs => None,
        }
    }
}

/// Parses a key of the store; `None` if it is none of ours.
pub fn parse(bytes: &[u8]) -> Option<StoredRecord> {
    let (&kind, rest) = bytes.split_first()?;
    match kind {
        FOUNDED => return rest.is_empty().then_some(StoredRecord::Founded),
        RUNS => return rest.is_empty().then_some(StoredRecord::Runs),
        PLEDGE => {
            let founding = FoundingId(u64::from_be_bytes(rest.try_into().ok()?));
            return Some(StoredRecord::Pledge { founding });
        }
        _ => {}
    }
    let (partition, rest) = rest.split_first_chunk::<4>()?;
    let partition = PartitionId(u32::from_be_bytes(*partition));
    match kind {
        OWNED => {
            let (&leaf, key) = rest.split_first()?;
            Some(StoredRecord::Owned { partition, leaf: LeafId(leaf), key: Key::from(key) })
        }
        HINT => {
            let (length, rest) = rest.split_first_chunk::<4>()?;
            let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
            let (key, target) = rest.split_at_checked(length)?;
            let target = NodeId(u64::from_be_bytes(target.try_into().ok()?));
            Some(StoredRecord::Hint { partition, key: Key::from(key), target })
        }
        HINT_ORDER => {
            let key = rest.get(8 + 1 + 8..)?;
            Some(StoredRecord::HintOrder { partition, key: Key::from(key) })
        }
        LEAF => {
            let &[leaf] = rest else { return None };
            Some(StoredRecord::Leaf { partition, leaf: LeafId(leaf) })
        }
        MARKER => rest.is_empty().then_some(StoredRecord::Marker { partition }),
        LOST => Some(StoredRecord::Corrupt { partition, key: Key::from(rest) }),
        _ => None,
    }
}

/// The partition that a record belongs to, without a look at the rest of its key; `None`, if it is about
/// the whole store, or if this is the key of none.
pub fn partition_of(bytes: &[u8]) -> Option<PartitionId> {
    let (kind, rest) = bytes.split_first()?;
    let partition = rest.first_chunk::<4>()?;
    matches!(*kind, OWNED | HINT | HINT_ORDER | LEAF | MARKER | LOST)
        .then(|| PartitionId(u32::from_be_bytes(*partition)))
}

/// The leaf of an owner's container, without a look at the rest of its key; `None` if this is the key
/// of none.
pub(super) fn leaf_of_owned(bytes: &[u8]) -> Option<LeafId> {
    match bytes {
        &[OWNED, _, _, _, _, leaf, ..] => Some(LeafId(leaf)),
        _ => None,
    }
}

/// The key of an owner's container.
pub(super) fn owned(partition: PartitionId, leaf: LeafId, key: &Key) -> StoreKey {
    joined(head::<6>(OWNED, partition, &[leaf.0]), key.bytes())
}

/// The prefix of the keys of all containers of a partition.
pub(super) fn owned_of(partition: PartitionId) -> StoreKey {
    joined(head::<5>(OWNED, partition, &[]), &[])
}

/// The prefix of the keys of a partition's hints.
pub(super) fn hints_in(partition: PartitionId) -> StoreKey {
    joined(head::<5>(HINT, partition, &[]), &[])
}

/// The prefix of the keys of all hints.
pub(super) const ALL_HINTS: &[u8] = &[HINT];

/// The prefix of the keys of all Merkle leaves of a partition.
pub(super) fn leaves_in(partition: PartitionId) -> StoreKey {
    joined(head::<5>(LEAF, partition, &[]), &[])
}

/// The prefix of the keys of all containers of a leaf.
pub(super) fn owned_in(partition: PartitionId, leaf: LeafId) -> StoreKey {
    joined(head::<6>(OWNED, partition, &[leaf.0]), &[])
}

/// The key of a hint.
pub(super) fn hint(partition: PartitionId, key: &Key, target: NodeId) -> StoreKey {
    let mut bytes = hints_of(partition, key);
    bytes.extend_from_slice(&target.0.to_be_bytes());
    bytes
}

/// The prefix of the keys of all hints for a key, whoever they are for.
pub(super) fn hints_of(partition: PartitionId, key: &Key) -> StoreKey {
    joined(head::<9>(HINT, partition, &length(key)), key.bytes())
}

/// A hint's place in the order of replay: those of which the fewest copies stand come first, then
/// the oldest.
pub(super) fn hint_order(partition: PartitionId, terms: &HintTerms, key: &Key) -> StoreKey {
    let mut bytes = hint_order_of(partition, terms.target);
    bytes.push(terms.copies);
    bytes.extend_from_slice(&terms.created.0.to_be_bytes());
    bytes.extend_from_slice(key.bytes());
    bytes
}

/// The prefix of the places of all hints for a target.
pub(super) fn hint_order_of(partition: PartitionId, target: NodeId) -> StoreKey {
    joined(head::<13>(HINT_ORDER, partition, &target.0.to_be_bytes()), &[])
}

/// The key of a Merkle leaf.
pub(super) fn leaf(partition: PartitionId, leaf: LeafId) -> StoreKey {
    joined(head::<6>(LEAF, partition, &[leaf.0]), &[])
}

/// The key of a data marker.
pub(super) fn marker(partition: PartitionId) -> StoreKey {
    joined(head::<5>(MARKER, partition, &[]), &[])
}

/// The key of an exception from the data marker.
pub(super) fn corrupt(partition: PartitionId, key: &Key) -> StoreKey {
    joined(head::<5>(LOST, partition, &[]), key.bytes())
}

/// The key of the record of the founding.
pub(super) const FOUNDED_KEY: &[u8] = &[FOUNDED];

/// The beginning of the keys of all pledges.
pub(super) const ALL_PLEDGES: &[u8] = &[PLEDGE];

/// The key of a pledge.
pub(super) fn pledge(founding: FoundingId) -> StoreKey {
    let mut bytes = StoreKey::from_slice(ALL_PLEDGES);
    bytes.extend_from_slice(&founding.0.to_be_bytes());
    bytes
}

/// The key of the record of the runs that wrote the log.
pub(super) const RUNS_KEY: &[u8] = &[RUNS];

/// The prefixes of all keys that are scanned at start: those of hints, markers with their
/// exceptions, leaves, and what is said of the founding and of the log.
pub(super) const AT_START: [&[u8]; 7] =
    [&[HINT], &[MARKER], &[LOST], &[LEAF], FOUNDED_KEY, ALL_PLEDGES, RUNS_KEY];

/// The prefixes of the keys of all records that hold containers.
pub(super) const OF_CONTAINERS: [&[u8]; 2] = [&[OWNED], &[HINT]];

/// The beginning, of `N` bytes, of a key of the store.
fn head<const N: usize>(kind: u8, partition: PartitionId, then: &[u8]) -> [u8; N] {
    let mut bytes = [kind; N];
    bytes[1..5].copy_from_slice(&partition.0.to_be_bytes());
    bytes[5..].copy_from_slice(then);
    bytes
}

/// Joins the beginning and the end of a key of the store.
fn joined<const N: usize>(head: [u8; N], tail: &[u8]) -> StoreKey {
    // Put together where it lies: what was just written elsewhere is slow to be copied.
    let mut bytes = StoreKey::new();
    bytes.extend_from_slice(&head);
    bytes.extend_from_slice(tail);
    bytes
}

fn length(key: &Key) -> [u8; 4] {
    u32::try_from(key.bytes().len()).expect("keys have at most KEY_BYTES_MAX bytes").to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::WallTime;

    #[test]
    fn every_key_parses_back_to_what_it_was_made_of() {
        // Those of long keys do not lie in place.
        for key in [Key::from("a key"), Key::from(&[7; 2 * SHORT][..])] {
            let (partition, target) = (PartitionId(7), NodeId(9));
            let terms = HintTerms { target, created: WallTime(5), expires: WallTime(6), copies: 1 };
            assert_eq!(
                parse(&owned(partition, LeafId(3), &key)),
                Some(StoredRecord::Owned { partition, leaf: LeafId(3), key: key.clone() })
            );
            assert_eq!(
                parse(&hint(partition, &key, target)),
                Some(StoredRecord::Hint { partition, key: key.clone(), target })
            );
            assert_eq!(
                parse(&hint_order(partition, &terms, &key)),
                Some(StoredRecord::HintOrder { partition, key: key.clone() })
            );
            assert_eq!(
                parse(&corrupt(partition, &key)),
                Some(StoredRecord::Corrupt { partition, key })
            );
        }
        let leaf_key = leaf(PartitionId(7), LeafId(3));
        let of_leaf = StoredRecord::Leaf { partition: PartitionId(7), leaf: LeafId(3) };
        assert_eq!(parse(&leaf_key), Some(of_leaf));
        let of_marker = StoredRecord::Marker { partition: PartitionId(7) };
        assert_eq!(parse(&marker(PartitionId(7))), Some(of_marker));
        assert_eq!(parse(FOUNDED_KEY), Some(StoredRecord::Founded));
        let founding = FoundingId(7);
        assert_eq!(parse(&pledge(founding)), Some(StoredRecord::Pledge { founding }));
        assert_eq!(parse(RUNS_KEY), Some(StoredRecord::Runs));
        assert_eq!(parse(b"q"), None);
    }

    #[test]
    fn the_hints_of_one_key_are_not_a_prefix_of_those_of_a_longer_key() {
        let short = hints_of(PartitionId(0), &Key::from("a"));
        let long = hint(PartitionId(0), &Key::from("ab"), NodeId(1));
        assert!(!long.starts_with(&short));
    }

    #[test]
    fn hints_with_fewer_copies_come_first_and_then_older_ones() {
        let place = |copies, created| {
            let target = NodeId(1);
            let terms =
                HintTerms { target, created: WallTime(created), expires: WallTime(9), copies };
            hint_order(PartitionId(0), &terms, &Key::from("k"))
        };
        assert!(place(1, 300) < place(2, 100));
        assert!(place(1, 100) < place(1, 300));
    }
}
