//! Repair messages (semantics.md §8). The side that asks keeps the session; the side that answers
//! keeps nothing, so an abandoned session leaves nothing behind.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::codec::codec;
use crate::merkle::{FAN_OUT, LeafId};
use crate::store::Summary;
use crate::types::{ContentHash, Key, PartitionId};
use crate::version::Container;

/// The requester's number for a step of its session; an answer to an earlier step is ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Step(pub u64);

codec!(struct Step(_));

/// See [`super::Body::RepairCompare`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compare {
    /// Comes back with the answer.
    pub step: Step,
    /// One hash over the roots of all partitions that both own.
    pub hash: ContentHash,
}

codec!(struct Compare { step, hash });

/// See [`super::Body::RepairCompared`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compared {
    /// Whose answer this is.
    pub step: Step,
    /// Whether the hashes are equal.
    pub equal: bool,
}

codec!(struct Compared { step, equal });

/// See [`super::Body::RepairRoots`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    /// Comes back with the answer.
    pub step: Step,
    /// Partitions with the requester's roots.
    pub roots: Vec<(PartitionId, ContentHash)>,
}

codec!(struct Roots { step, roots });

/// See [`super::Body::RepairRootsDiffer`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootsDiffer {
    /// Whose answer this is.
    pub step: Step,
    /// Those partitions whose roots differ here.
    pub partitions: Vec<PartitionId>,
    /// Those of the asked partitions that the answering node has lost and not copied back yet: it
    /// is no source for them.
    pub incomplete: Vec<PartitionId>,
}

codec!(struct RootsDiffer { step, partitions, incomplete });

/// See [`super::Body::RepairBranches`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branches {
    /// Comes back with the answer.
    pub step: Step,
    /// The partition.
    pub partition: PartitionId,
    /// The requester's inner nodes.
    pub branches: Box<[ContentHash; FAN_OUT]>,
}

codec!(struct Branches { step, partition, branches });

/// See [`super::Body::RepairBranchesDiffer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BranchesDiffer {
    /// Whose answer this is.
    pub step: Step,
    /// Bit `i`: inner node `i` differs.
    pub branches: u16,
}

codec!(struct BranchesDiffer { step, branches });

/// See [`super::Body::RepairLeaves`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaves {
    /// Comes back with the answer.
    pub step: Step,
    /// The partition.
    pub partition: PartitionId,
    /// The requester's leaves.
    pub leaves: Vec<(LeafId, ContentHash)>,
}

codec!(struct Leaves { step, partition, leaves });

/// See [`super::Body::RepairLeavesDiffer`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeavesDiffer {
    /// Whose answer this is.
    pub step: Step,
    /// Those that differ.
    pub leaves: Vec<LeafId>,
}

codec!(struct LeavesDiffer { step, leaves });

/// See [`super::Body::RepairSummaries`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SummariesRequest {
    /// Comes back with the answer.
    pub step: Step,
    /// The partition.
    pub partition: PartitionId,
    /// The leaf.
    pub leaf: LeafId,
    /// Start behind this key.
    pub after: Option<Key>,
}

codec!(struct SummariesRequest { step, partition, leaf, after });

/// See [`super::Body::RepairSummarized`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summarized {
    /// Whose answer this is.
    pub step: Step,
    /// In the order of the keys.
    pub entries: Vec<Summary>,
    /// Whether there are more behind the last.
    pub more: bool,
}

codec!(struct Summarized { step, entries, more });

/// See [`super::Body::RepairExchange`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Comes back with the answer.
    pub step: Step,
    /// The partition.
    pub partition: PartitionId,
    /// Containers that the other lacks in part.
    pub pushed: Vec<(Key, Container)>,
    /// Keys of which the requester lacks something.
    pub wanted: Vec<Key>,
}

codec!(struct Exchange { step, partition, pushed, wanted });

/// See [`super::Body::RepairExchanged`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchanged {
    /// Whose answer this is.
    pub step: Step,
    /// The containers that were wanted, after what was pushed was joined.
    pub items: Vec<(Key, Container)>,
}

codec!(struct Exchanged { step, items });
