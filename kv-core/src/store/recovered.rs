//! The knowledge that a node takes from its store when it starts on it.

use alloc::vec::Vec;

use thiserror::Error;

use crate::log_runs::LogRuns;
use crate::types::{ContentHash, FoundingId, Key, LogPosition, NodeId, PartitionId};

/// The knowledge in a store when a node starts on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The store's record of the founding of its cluster.
    pub founding: FoundingRecord,
    /// Partitions whose data marker stands: this owner holds all that it must hold.
    pub complete: Vec<PartitionId>,
    /// Merkle roots that are not those of an empty tree.
    pub roots: Vec<(PartitionId, ContentHash)>,
    /// The hints that are kept.
    pub hints: Vec<KeptHints>,
    /// Keys of which this owner lost something, and which are not whole yet.
    pub corrupt: Vec<CorruptKey>,
    /// The partition of each record that is read at start and could not be.
    pub corrupt_at_start: Vec<PartitionId>,
    /// The runs that wrote the log, as far as the store knows them.
    pub runs: LogRuns,
    /// The position at which the log of the store ends.
    pub log: LogPosition,
}

/// The record in a store of the founding of its cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum FoundingRecord {
    /// No record: the store is new, or everything in it is gone.
    #[default]
    None,
    /// The store was new before these foundings, of which it does not know whether they came about.
    Pledged(Vec<FoundingId>),
    /// The store belongs to the cluster that came of this founding.
    Founded(FoundingId),
    /// The store belongs to a cluster, and the record that says of which founding cannot be read.
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

/// A key of which an owner's record was corrupt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorruptKey {
    /// The key.
    pub key: Key,
    /// The number of this corruption, another one each time: what the others say of an earlier one
    /// counts for nothing. No two corruptions at one process share a number.
    pub number: u64,
}

/// The hints for one target in one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptHints {
    /// The partition.
    pub partition: PartitionId,
    /// The owner that the hints are for.
    pub target: NodeId,
    /// The number of hints.
    pub count: u64,
    /// The number of their bytes.
    pub bytes: u64,
}
