//! The commands of hinted handoff to the storage, as the keeper of hints and as their target.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::family::{AnswerFamily, CommandFamily, Written, refused};
use super::{HintTerms, KeptHints, Refusal};
use crate::codec::codec;
use crate::fingerprint;
use crate::types::{ContentHash, Key, NodeId, RequestId};
use crate::version::Container;

/// A command of hinted handoff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandoffCommand {
    /// Read the hints for one target, the most urgent first.
    Read {
        /// The owner that they are for.
        target: NodeId,
        /// The number of bytes to read, about; at least one hint is returned if there is one.
        bytes: u64,
    },
    /// Delete hints that were delivered, unless they have grown since.
    Drop {
        /// The owner that they were for.
        target: NodeId,
        /// The reason.
        reason: DropReason,
        /// Each key with the hash of the container that was delivered.
        items: Vec<(Key, ContentHash)>,
    },
    /// Join hints that others kept for this node into its own containers.
    Receive {
        /// The keeper that is answered when they are durable.
        receipt: Receipt,
        /// The keys and containers that the keeper delivered.
        items: Vec<(Key, Container)>,
    },
}

/// The reason why hints are deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// The target holds the hints.
    Delivered,
    /// The target did not return in time. Other owners hold them, from whom it will be repaired.
    Expired,
}

/// A keeper of hints that waits until they are durable here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The keeper: this node itself, where it kept hints for a partition that it owns now.
    pub to: NodeId,
    /// The request that its delivery came under.
    pub request: RequestId,
    /// The keeper's number for the delivery.
    pub delivery: u64,
}

/// The answer to a [`HandoffCommand`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandoffAnswer {
    /// The answer to [`HandoffCommand::Read`].
    Read {
        /// The owner that the hints are for.
        target: NodeId,
        /// The hints.
        result: Result<HintBatch, Refusal>,
    },
    /// The answer to [`HandoffCommand::Drop`].
    Dropped {
        /// The owner that the hints were for.
        target: NodeId,
        /// The reason.
        reason: DropReason,
        /// The hints that are gone.
        result: Result<Dropped, Refusal>,
    },
    /// The answer to [`HandoffCommand::Receive`].
    Received {
        /// The keeper that is answered.
        receipt: Receipt,
        /// Success once the hints are joined into the own containers.
        result: Result<(), Refusal>,
    },
}

/// Hints for one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HintBatch {
    /// The hints, most urgent first.
    pub hints: Vec<StoredHint>,
    /// The hints that are left, if some could not be read and were deleted: nothing else would ever
    /// come of them.
    pub left: Option<KeptHints>,
}

/// Hints that were deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// The number of the deleted hints.
    pub count: u64,
    /// The bytes that this frees.
    pub bytes: u64,
}

impl CommandFamily for HandoffCommand {
    fn is_read(&self) -> bool {
        match self {
            Self::Read { .. } => true,
            Self::Drop { .. } | Self::Receive { .. } => false,
        }
    }

    fn written(&self) -> Written<'_> {
        match self {
            // Hints that are too old, or corrupt, are deleted on the way.
            Self::Read { .. } => Written::Unknown,
            Self::Drop { items, .. } => Written::Keys(items.iter().map(|(key, _)| key).collect()),
            Self::Receive { items, .. } => {
                Written::Keys(items.iter().map(|(key, _)| key).collect())
            }
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::Read { .. } => "read a batch of hints".into(),
            Self::Drop { items, .. } => format!("delete {} hints", items.len()),
            Self::Receive { items, .. } => describe_merge(items),
        }
    }
}

impl AnswerFamily for HandoffAnswer {
    fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Read { result, .. } => result.as_ref().err().copied(),
            Self::Dropped { result, .. } => result.err(),
            Self::Received { result, .. } => result.err(),
        }
    }

    fn fingerprint(&self, out: &mut Vec<u8>) {
        match self {
            Self::Read { result: Ok(HintBatch { hints, left: _ }), .. } => {
                fingerprint::number(out, 5);
                hints.iter().for_each(|hint| hint.container.fingerprint(out));
            }
            Self::Dropped { result: Ok(Dropped { count, bytes }), .. } => {
                fingerprint::numbers(out, [6, *count, *bytes]);
            }
            Self::Received { result: Ok(()), .. } => fingerprint::number(out, 2),
            Self::Read { result: Err(refusal), .. }
            | Self::Dropped { result: Err(refusal), .. }
            | Self::Received { result: Err(refusal), .. } => refused(out, *refusal),
        }
    }
}

/// A merge, in words.
pub(super) fn describe_merge(items: &[(Key, Container)]) -> String {
    match items {
        [(key, _)] => format!("merge {key:?}"),
        _ => format!("merge {} keys", items.len()),
    }
}

/// A hint as it lies in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredHint {
    /// The key.
    pub key: Key,
    /// The whole container.
    pub container: Container,
    /// The owner that it is kept for, and for how long.
    pub terms: HintTerms,
    /// True if this node minted into it, in the epoch that it then had.
    pub minted: bool,
}

codec!(struct StoredHint { key, container, terms, minted });
