//! What a node learns from its store when it starts on it.

use alloc::vec::Vec;

use thiserror::Error;

use crate::types::{ContentHash, FoundingId, Key, NodeId, PartitionId};

/// What a store says when a node starts on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// What the store says of the founding of its cluster.
    pub founding: FoundingRecord,
    /// Partitions whose data marker stands: this owner holds all that it must hold.
    pub complete: Vec<PartitionId>,
    /// Merkle roots that are not those of an empty tree.
    pub roots: Vec<(PartitionId, ContentHash)>,
    /// The hints that are kept.
    pub hints: Vec<KeptHints>,
    /// Keys of which this owner lost something, and which are not whole yet.
    pub corrupt: Vec<Key>,
    /// The partition of each record that is read at start and could not be.
    pub corrupt_at_start: Vec<PartitionId>,
}

/// What a store says of the founding of its cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum FoundingRecord {
    /// Nothing: it is new, or everything in it is gone.
    #[default]
    None,
    /// It was new before these foundings, of which it does not know whether they came about.
    Pledged(Vec<FoundingId>),
    /// It belongs to the cluster that came of this founding.
    Founded(FoundingId),
    /// It belongs to a cluster, and the record that says of which founding cannot be read.
    Corrupt,
}

/// The data of another node: its disk was copied, or came to the wrong machine. A node must not
/// start on it, for it would seem to hold what it never had (semantics.md §9.22).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the data belongs to node {owner}")]
pub struct ForeignData {
    /// The node whose data it is.
    pub owner: NodeId,
}

/// The hints for one target in one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptHints {
    /// The partition.
    pub partition: PartitionId,
    /// Whom they are for.
    pub target: NodeId,
    /// How many.
    pub count: u64,
    /// How many bytes.
    pub bytes: u64,
}
