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
        /// Asks whether all partitions that both own are equal.
        Compare(Compare) = 40 "repair-compare",
        /// The answer: whether all common partitions are equal.
        Compared(Compared) = 41 "repair-compared",
        /// Asks which of these partitions differ.
        Roots(Roots) = 42 "repair-roots",
        /// The answer: those that differ.
        RootsDiffer(RootsDiffer) = 43 "repair-roots-differ",
        /// Asks which of these inner nodes differ.
        Branches(Branches) = 44 "repair-branches",
        /// The answer: those that differ.
        BranchesDiffer(BranchesDiffer) = 45 "repair-branches-differ",
        /// Asks which of these leaves differ.
        Leaves(Leaves) = 46 "repair-leaves",
        /// The answer: those that differ.
        LeavesDiffer(LeavesDiffer) = 47 "repair-leaves-differ",
        /// Asks for summaries of the keys of this leaf.
        Summaries(SummariesRequest) = 48 "repair-summaries",
        /// The answer: a page of summaries.
        Summarized(Summarized) = 49 "repair-summarized",
        /// Asks the receiver to join these containers, and to answer with others.
        Exchange(Exchange) = 50 "repair-exchange",
        /// The answer: the pushed containers are joined, durably, and the wanted ones are sent.
        Exchanged(Exchanged) = 51 "repair-exchanged",
        /// The answer of one whose disk takes none of what was pushed: nothing was done.
        ExchangeRefused(ExchangeRefused) = 52 "repair-exchange-refused",
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
            | Self::LeavesDiffer(_)
            | Self::ExchangeRefused(_) => Vec::new(),
        }
    }

    fn weight(&self) -> usize {
        let of_keys = |keys: Vec<&Key>| keys.iter().map(|key| key.bytes().len()).sum::<usize>();
        match self {
            Self::Compare(_)
            | Self::Compared(_)
            | Self::BranchesDiffer(_)
            | Self::ExchangeRefused(_) => 0,
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

/// The payload of [`RepairMessage::Compare`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compare {
    /// The step of the session; it comes back with the answer.
    pub step: Step,
    /// One hash over the roots of all partitions that both own.
    pub hash: ContentHash,
}

codec!(struct Compare { step, hash });

/// The payload of [`RepairMessage::Compared`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compared {
    /// The step that this answers.
    pub step: Step,
    /// True if the hashes are equal.
    pub equal: bool,
}

codec!(struct Compared { step, equal });

/// The payload of [`RepairMessage::Roots`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    /// The step of the session; it comes back with the answer.
    pub step: Step,
    /// Partitions with the requester's roots.
    pub roots: Vec<(PartitionId, ContentHash)>,
}

codec!(struct Roots { step, roots });

/// The payload of [`RepairMessage::RootsDiffer`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootsDiffer {
    /// The step that this answers.
    pub step: Step,
    /// The partitions whose roots differ here.
    pub partitions: Vec<PartitionId>,
    /// The asked partitions that the answering node has lost and not copied back yet: it is no
    /// source for them.
    pub incomplete: Vec<PartitionId>,
}

codec!(struct RootsDiffer { step, partitions, incomplete });

/// The payload of [`RepairMessage::Branches`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branches {
    /// The step of the session; it comes back with the answer.
    pub step: Step,
    /// The partition.
    pub partition: PartitionId,
    /// The requester's inner nodes.
    pub branches: Box<[ContentHash; FAN_OUT]>,
}

codec!(struct Branches { step, partition, branches });

/// The payload of [`RepairMessage::BranchesDiffer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BranchesDiffer {
    /// The step that this answers.
    pub step: Step,
    /// Bit `i`: inner node `i` differs.
    pub branches: u16,
}

codec!(struct BranchesDiffer { step, branches });

/// The payload of [`RepairMessage::Leaves`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaves {
    /// The step of the session; it comes back with the answer.
    pub step: Step,
    /// The partition.
    pub partition: PartitionId,
    /// The requester's leaves.
    pub leaves: Vec<(LeafId, ContentHash)>,
}

codec!(struct Leaves { step, partition, leaves });

/// The payload of [`RepairMessage::LeavesDiffer`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeavesDiffer {
    /// The step that this answers.
    pub step: Step,
    /// The leaves that differ.
    pub leaves: Vec<LeafId>,
}

codec!(struct LeavesDiffer { step, leaves });

/// The payload of [`RepairMessage::Summaries`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SummariesRequest {
    /// The step of the session; it comes back with the answer.
    pub step: Step,
    /// The partition.
    pub partition: PartitionId,
    /// The leaf.
    pub leaf: LeafId,
    /// The key behind which to start.
    pub after: Option<Key>,
}

codec!(struct SummariesRequest { step, partition, leaf, after });

/// The payload of [`RepairMessage::Summarized`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summarized {
    /// The step that this answers.
    pub step: Step,
    /// The summaries, in the order of the keys.
    pub entries: Vec<Summary>,
    /// True if there are more behind the last.
    pub more: bool,
}

codec!(struct Summarized { step, entries, more });

/// The payload of [`RepairMessage::Exchange`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The step of the session; it comes back with the answer.
    pub step: Step,
    /// The partition.
    pub partition: PartitionId,
    /// Containers that the other lacks in part.
    pub pushed: Vec<(Key, Container)>,
    /// Keys of which the requester lacks something.
    pub wanted: Vec<Key>,
}

codec!(struct Exchange { step, partition, pushed, wanted });

/// The payload of [`RepairMessage::Exchanged`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchanged {
    /// The step that this answers.
    pub step: Step,
    /// The containers that were wanted, after what was pushed was joined.
    pub items: Vec<(Key, Container)>,
}

codec!(struct Exchanged { step, items });

/// The payload of [`RepairMessage::ExchangeRefused`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExchangeRefused {
    /// The step that this answers.
    pub step: Step,
}

codec!(struct ExchangeRefused { step });

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::message::samples::{HASH, PARTITION, STEP, container, items, key};

    impl RepairMessage {
        /// One message of each kind.
        pub(in crate::message) fn samples() -> Vec<Self> {
            let (step, partition, hash) = (STEP, PARTITION, HASH);
            let seen = container().seen().clone();
            vec![
                Self::Compare(Compare { step, hash }),
                Self::Compared(Compared { step, equal: true }),
                Self::Roots(Roots { step, roots: vec![(partition, hash)] }),
                Self::RootsDiffer(RootsDiffer {
                    step,
                    partitions: vec![partition],
                    incomplete: vec![],
                }),
                Self::Branches(Branches { step, partition, branches: Box::new([hash; FAN_OUT]) }),
                Self::BranchesDiffer(BranchesDiffer { step, branches: 0b101 }),
                Self::Leaves(Leaves { step, partition, leaves: vec![(LeafId(3), hash)] }),
                Self::LeavesDiffer(LeavesDiffer { step, leaves: vec![LeafId(3)] }),
                Self::Summaries(SummariesRequest {
                    step,
                    partition,
                    leaf: LeafId(3),
                    after: Some(key()),
                }),
                Self::Summarized(Summarized {
                    step,
                    entries: vec![Summary { key: key(), seen, hash }],
                    more: false,
                }),
                Self::Exchange(Exchange { step, partition, pushed: items(), wanted: vec![key()] }),
                Self::Exchanged(Exchanged { step, items: items() }),
                Self::ExchangeRefused(ExchangeRefused { step }),
            ]
        }
    }
}
