//! The commands of repair to the storage: for its own session, for a peer that compares, for keys
//! that are corrupt here, and for itself.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Refusal;
use super::family::{AnswerFamily, CommandFamily, Written, refused};
use super::handoff::describe_merge;
use super::recovered::CorruptKey;
use crate::codec::codec;
use crate::fingerprint;
use crate::merkle::{FAN_OUT, LeafId};
use crate::types::{ContentHash, Key, NodeId, RequestId, Step};
use crate::version::{Container, VersionVector};

/// A command of repair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RepairCommand {
    /// Read the inner nodes of the partition's Merkle tree.
    Branches {
        /// The side that wants them.
        whose: BranchesFor,
    },
    /// Read the leaves below some inner nodes.
    Leaves {
        /// The inner nodes: bit `i` for node `i`.
        branches: u16,
        /// The side that wants them.
        whose: LeavesFor,
    },
    /// Read the summaries of the keys of one leaf, without the values.
    Summaries {
        /// The leaf.
        leaf: LeafId,
        /// The key behind which to start.
        after: Option<Key>,
        /// The number of bytes to read, about.
        bytes: u64,
        /// The side that wants them.
        whose: Party,
    },
    /// Read the live containers of some keys.
    Fetch {
        /// The keys.
        keys: Vec<Key>,
        /// The number of bytes to read, about; at least one container is returned if there is one.
        bytes: u64,
        /// The side that wants them.
        whose: Party,
    },
    /// Join containers into this owner's own.
    Join {
        /// The containers.
        items: Vec<(Key, Container)>,
        /// The source of the containers.
        whose: JoinFor,
    },
    /// Write the marker which says that this owner holds all that it must hold.
    MarkComplete {
        /// The reason.
        reason: CompletionReason,
    },
    /// Read every record of the leaves from this one on, to find those that are corrupt.
    Scrub {
        /// The first leaf.
        from: LeafId,
        /// The number of bytes of containers to read, about; at least one leaf is read.
        bytes: u64,
    },
    /// Believe the owner's copy of a key again that was corrupt: what enough others hold is in it.
    MarkRepaired {
        /// The key, and the corruption since which the others were asked.
        corrupt: CorruptKey,
        /// True if those others hold nothing: if the record is corrupt still, it is deleted.
        is_unknown: bool,
    },
}

/// A step of the session in which this node compares itself with a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionStep {
    /// The request of the session.
    pub request: RequestId,
    /// The step.
    pub step: Step,
}

/// A peer that compares itself with this node, and waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The peer.
    pub peer: NodeId,
    /// The request of its session.
    pub request: RequestId,
    /// The step of its session.
    pub step: Step,
}

/// One of the two sides that a comparison may be for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// The own session.
    Session(SessionStep),
    /// A peer.
    Peer(Caller),
}

/// The side that wants branches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BranchesFor {
    /// The own session.
    Session(SessionStep),
    /// A peer, with the hashes that it has.
    Peer(Caller, Box<[ContentHash; FAN_OUT]>),
}

/// The side that wants leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeavesFor {
    /// The own session.
    Session(SessionStep),
    /// A peer, with the hashes that it has.
    Peer(Caller, Vec<(LeafId, ContentHash)>),
}

/// The source of containers that are joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JoinFor {
    /// The peer of the own session.
    Session(SessionStep),
    /// A peer that pushed them, and wants these keys in turn.
    Peer(Caller, Vec<Key>),
    /// Other owners, for the repair of this number.
    CorruptKey(u64),
}

/// The reason why a partition counts as complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompletionReason {
    /// The partition was copied from enough others.
    Copied,
    /// An operator gives up what was lost.
    LossAccepted,
}

/// The answer to a [`RepairCommand`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RepairAnswer {
    /// The answer to [`RepairCommand::Branches`].
    Branches {
        /// The side that wants them.
        whose: BranchesFor,
        /// The hashes of the inner nodes.
        result: Result<Box<[ContentHash; FAN_OUT]>, Refusal>,
    },
    /// The answer to [`RepairCommand::Leaves`].
    Leaves {
        /// The side that wants them.
        whose: LeavesFor,
        /// The hashes of leaves.
        result: Result<Vec<(LeafId, ContentHash)>, Refusal>,
    },
    /// The answer to [`RepairCommand::Summaries`].
    Summaries {
        /// The side that wants them.
        whose: Party,
        /// The summaries of the keys.
        result: Result<Summaries, Refusal>,
    },
    /// The answer to [`RepairCommand::Fetch`].
    Fetched {
        /// The side that wants them.
        whose: Party,
        /// Containers, in the order in which the keys were given; a key of which nothing is known is
        /// left out, and so are all that had no room.
        result: Result<Vec<(Key, Container)>, Refusal>,
    },
    /// The answer to [`RepairCommand::Join`].
    Joined {
        /// The source of the containers.
        whose: JoinFor,
        /// Success once the containers are joined into the own ones.
        result: Result<(), Refusal>,
    },
    /// The answer to [`RepairCommand::MarkComplete`].
    MarkedComplete {
        /// The reason.
        reason: CompletionReason,
        /// Success once the marker is written.
        result: Result<(), Refusal>,
    },
    /// The answer to [`RepairCommand::Scrub`].
    Scrubbed {
        /// The first leaf that was not read; nothing, if these were the last.
        result: Result<Option<LeafId>, Refusal>,
    },
    /// The answer to [`RepairCommand::MarkRepaired`].
    MarkedRepaired {
        /// The number of the key's repair.
        number: u64,
        /// The copy is believed again; false, if it has been corrupt anew.
        result: Result<bool, Refusal>,
    },
}

/// The summaries of some keys of a leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summaries {
    /// The summaries, in the order of the keys.
    pub entries: Vec<Summary>,
    /// True if there are more behind the last.
    pub more: bool,
}

impl CommandFamily for RepairCommand {
    fn is_read(&self) -> bool {
        match self {
            Self::Branches { .. }
            | Self::Leaves { .. }
            | Self::Summaries { .. }
            | Self::Fetch { .. }
            | Self::Scrub { .. } => true,
            Self::Join { .. } | Self::MarkComplete { .. } | Self::MarkRepaired { .. } => false,
        }
    }

    fn written(&self) -> Written<'_> {
        Written::Keys(match self {
            Self::Join { items, .. } => items.iter().map(|(key, _)| key).collect(),
            Self::MarkRepaired { corrupt, .. } => Vec::from([&corrupt.key]),
            Self::Branches { .. }
            | Self::Leaves { .. }
            | Self::Summaries { .. }
            | Self::Fetch { .. }
            | Self::MarkComplete { .. }
            | Self::Scrub { .. } => Vec::new(),
        })
    }

    fn describe(&self) -> String {
        match self {
            Self::Branches { .. } => "branches of the tree".into(),
            Self::Leaves { .. } => "leaves of the tree".into(),
            Self::Summaries { leaf, .. } => format!("summaries of leaf {}", leaf.0),
            Self::Fetch { keys, .. } => format!("fetch {} keys", keys.len()),
            Self::Join { items, .. } => describe_merge(items),
            Self::MarkComplete { .. } => "mark as complete".into(),
            Self::Scrub { from, .. } => format!("scrub from leaf {}", from.0),
            Self::MarkRepaired { corrupt, .. } => format!("mark {:?} as repaired", corrupt.key),
        }
    }
}

impl AnswerFamily for RepairAnswer {
    fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Branches { result, .. } => result.as_ref().err().copied(),
            Self::Leaves { result, .. } => result.as_ref().err().copied(),
            Self::Summaries { result, .. } => result.as_ref().err().copied(),
            Self::Fetched { result, .. } => result.as_ref().err().copied(),
            Self::Joined { result, .. } | Self::MarkedComplete { result, .. } => result.err(),
            Self::Scrubbed { result } => result.err(),
            Self::MarkedRepaired { result, .. } => result.err(),
        }
    }

    fn fingerprint(&self, out: &mut Vec<u8>) {
        if let Some(refusal) = self.refusal() {
            return refused(out, refusal);
        }
        match self {
            Self::Branches { result, .. } => {
                fingerprint::number(out, 7);
                result.iter().flat_map(|hashes| hashes.iter()).for_each(|hash| {
                    fingerprint::large(out, hash.0);
                });
            }
            Self::Leaves { result, .. } => {
                fingerprint::number(out, 8);
                for (leaf, hash) in result.iter().flatten() {
                    fingerprint::number(out, leaf.0.into());
                    fingerprint::large(out, hash.0);
                }
            }
            Self::Summaries { result, .. } => {
                if let Ok(Summaries { entries, more }) = result {
                    fingerprint::numbers(out, [9, (*more).into()]);
                    entries.iter().for_each(|entry| fingerprint::large(out, entry.hash.0));
                }
            }
            Self::Fetched { result, .. } => {
                fingerprint::number(out, 10);
                for (_, container) in result.iter().flatten() {
                    container.fingerprint(out);
                }
            }
            Self::Joined { .. } => fingerprint::number(out, 2),
            Self::MarkedComplete { .. } => fingerprint::number(out, 11),
            Self::Scrubbed { result } => {
                let next = result.ok().flatten();
                fingerprint::numbers(out, [13, next.map_or(0, |leaf| leaf.0.into())]);
            }
            Self::MarkedRepaired { result, .. } => {
                fingerprint::numbers(out, [14, u64::from(*result == Ok(true))]);
            }
        }
    }
}

/// The knowledge of a key, without the values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The key.
    pub key: Key,
    /// Every event that is accounted for.
    pub seen: VersionVector,
    /// The hash of the container.
    pub hash: ContentHash,
}

codec!(struct Summary { key, seen, hash });
