//! Repair messages (semantics.md §8). The side that asks keeps the session; the side that answers
//! keeps nothing, so an abandoned session leaves nothing behind.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::family::{Family, family, weight_of};
use crate::codec::codec;
use crate::merkle::{FAN_OUT, LeafId};
use crate::store::Summary;
pub use crate::types::Step;
use crate::types::{ContentHash, Key, PartitionId};
use crate::version::{Container, Dot};

family! {
    /// A message between the two sides of a comparison.
    RepairMessage,
    /// The kind of a [`RepairMessage`].
    RepairKind {
        /// Are all our common partitions equal?
        Compare(Compare) = 40 "repair-compare",
        /// The answer: they are, or not.
        Compared(Compared) = 41 "repair-compared",
        /// Which of these partitions differ?
        Roots(Roots) = 42 "repair-roots",
        /// The answer: these.
        RootsDiffer(RootsDiffer) = 43 "repair-roots-differ",
        /// Which of these inner nodes differ?
        Branches(Branches) = 44 "repair-branches",
        /// The answer: these.
        BranchesDiffer(BranchesDiffer) = 45 "repair-branches-differ",
        /// Which of these leaves differ?
        Leaves(Leaves) = 46 "repair-leaves",
        /// The answer: these.
        LeavesDiffer(LeavesDiffer) = 47 "repair-leaves-differ",
        /// What is known of the keys of this leaf?
        Summaries(SummariesRequest) = 48 "repair-summaries",
        /// The answer: this.
        Summarized(Summarized) = 49 "repair-summarized",
        /// Join these, and answer with those.
        Exchange(Exchange) = 50 "repair-exchange",
        /// The answer: joined, durably; and here they are.
        Exchanged(Exchanged) = 51 "repair-exchanged",
    }
}

impl Family for RepairMessage {
    fn keys(&self) -> Vec<&Key> {
        match self {
            Self::Summaries(request) => request.after.iter().collect(),
            Self::Summarized(summarized) => {
                summarized.entries.iter().map(|entry| &entry.key).collect()
            }
            Self::Exchange(exchange) => {
                exchange.pushed.iter().map(|(key, _)| key).chain(&exchange.wanted).collect()
            }
            Self::Exchanged(exchanged) => exchanged.items.iter().map(|(key, _)| key).collect(),
            Self::Compare(_)
            | Self::Compared(_)
            | Self::Roots(_)
            | Self::RootsDiffer(_)
            | Self::Branches(_)
            | Self::BranchesDiffer(_)
            | Self::Leaves(_)
            | Self::LeavesDiffer(_) => Vec::new(),
        }
    }

    fn weight(&self) -> usize {
        let of_keys = |keys: Vec<&Key>| keys.iter().map(|key| key.bytes().len()).sum::<usize>();
        match self {
            Self::Compare(_) | Self::Compared(_) | Self::BranchesDiffer(_) => 0,
            Self::Roots(roots) => size_of_val(&roots.roots[..]),
            Self::RootsDiffer(differ) => {
                size_of_val(&differ.partitions[..]) + size_of_val(&differ.incomplete[..])
            }
            Self::Branches(branches) => size_of_val(&*branches.branches),
            Self::Leaves(leaves) => size_of_val(&leaves.leaves[..]),
            Self::LeavesDiffer(differ) => size_of_val(&differ.leaves[..]),
            Self::Summaries(_) => of_keys(self.keys()),
            Self::Summarized(summarized) => {
                let vectors =
                    summarized.entries.iter().map(|entry| entry.seen.len() * size_of::<Dot>());
                size_of_val(&summarized.entries[..]) + of_keys(self.keys()) + vectors.sum::<usize>()
            }
            Self::Exchange(exchange) => {
                weight_of(&exchange.pushed) + of_keys(exchange.wanted.iter().collect())
            }
            Self::Exchanged(exchanged) => weight_of(&exchanged.items),
        }
    }

    fn is_urgent(&self) -> bool {
        false
    }
}

/// See [`RepairMessage::Compare`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compare {
    /// Comes back with the answer.
    pub step: Step,
    /// One hash over the roots of all partitions that both own.
    pub hash: ContentHash,
}

codec!(struct Compare { step, hash });

/// See [`RepairMessage::Compared`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compared {
    /// Whose answer this is.
    pub step: Step,
    /// Whether the hashes are equal.
    pub equal: bool,
}

codec!(struct Compared { step, equal });

/// See [`RepairMessage::Roots`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    /// Comes back with the answer.
    pub step: Step,
    /// Partitions with the requester's roots.
    pub roots: Vec<(PartitionId, ContentHash)>,
}

codec!(struct Roots { step, roots });

/// See [`RepairMessage::RootsDiffer`].
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

/// See [`RepairMessage::Branches`].
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

/// See [`RepairMessage::BranchesDiffer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BranchesDiffer {
    /// Whose answer this is.
    pub step: Step,
    /// Bit `i`: inner node `i` differs.
    pub branches: u16,
}

codec!(struct BranchesDiffer { step, branches });

/// See [`RepairMessage::Leaves`].
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

/// See [`RepairMessage::LeavesDiffer`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeavesDiffer {
    /// Whose answer this is.
    pub step: Step,
    /// Those that differ.
    pub leaves: Vec<LeafId>,
}

codec!(struct LeavesDiffer { step, leaves });

/// See [`RepairMessage::Summaries`].
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

/// See [`RepairMessage::Summarized`].
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

/// See [`RepairMessage::Exchange`].
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

/// See [`RepairMessage::Exchanged`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchanged {
    /// Whose answer this is.
    pub step: Step,
    /// The containers that were wanted, after what was pushed was joined.
    pub items: Vec<(Key, Container)>,
}

codec!(struct Exchanged { step, items });
