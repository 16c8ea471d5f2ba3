//! The commands of a node as a replica to its storage, for coordinators.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Refusal;
use super::family::{AnswerFamily, CommandFamily, Written, refused};
use crate::codec::codec;
use crate::fingerprint;
use crate::time::WallTime;
use crate::types::{Epoch, Key, NodeId, OperationId, RequestId};
use crate::version::{Container, Dot};
use crate::write::Write;

/// A command for a coordinator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaCommand {
    /// The coordinator that is answered.
    pub requester: Requester,
    /// The work.
    pub action: ReplicaAction,
}

/// A coordinator's request that is being served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requester {
    /// The coordinator's node.
    pub node: NodeId,
    /// The client's request.
    pub request: RequestId,
    /// The coordinator's number for the operation.
    pub operation: OperationId,
    /// The owner that this node is the fallback of, if it is asked as one.
    pub for_owner: Option<NodeId>,
}

/// The work of a [`ReplicaCommand`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplicaAction {
    /// Mint a dot for a client's write, and store it.
    Mint(Box<Mint>),
    /// Join a container into this owner's own.
    Merge(Box<(Key, Container)>),
    /// Keep a container for an owner that cannot be reached.
    Hint(Box<Hint>),
    /// Read the durable container of a key.
    Read {
        /// The key.
        key: Key,
        /// The kind of copy that is read.
        copy: CopyKind,
    },
}

/// The answer to a [`ReplicaCommand`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaAnswer {
    /// The coordinator that is answered.
    pub requester: Requester,
    /// The result, or the reason of a refusal.
    pub result: Result<ReplicaDone, Refusal>,
}

/// The result of a [`ReplicaAction`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplicaDone {
    /// The write is stored.
    Minted(MintedWrite),
    /// The container is part of the own one.
    Merged,
    /// The hint is kept.
    Hinted(HintGrowth),
    /// The durable container of the replica.
    Read(Container),
}

/// A write that was stored by the replica that minted its dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MintedWrite {
    /// The dot.
    pub dot: Dot,
    /// The whole container that the replica holds of the key now.
    pub container: Container,
    /// The growth of the hints of a target, if this was a fallback.
    pub hinted: Option<HintGrowth>,
}

impl ReplicaAction {
    /// The key that it is about.
    pub const fn key(&self) -> &Key {
        match self {
            Self::Mint(mint) => &mint.key,
            Self::Merge(item) => &item.0,
            Self::Hint(hint) => &hint.key,
            Self::Read { key, .. } => key,
        }
    }
}

impl CommandFamily for ReplicaCommand {
    fn is_read(&self) -> bool {
        match self.action {
            ReplicaAction::Read { .. } => true,
            ReplicaAction::Mint(_) | ReplicaAction::Merge(_) | ReplicaAction::Hint(_) => false,
        }
    }

    fn written(&self) -> Written<'_> {
        Written::Keys(match &self.action {
            ReplicaAction::Mint(mint) => Vec::from([&mint.key]),
            ReplicaAction::Merge(item) => Vec::from([&item.0]),
            ReplicaAction::Hint(hint) => Vec::from([&hint.key]),
            ReplicaAction::Read { .. } => Vec::new(),
        })
    }

    fn describe(&self) -> String {
        match &self.action {
            ReplicaAction::Mint(mint) => format!("mint {:?}", mint.key),
            ReplicaAction::Merge(item) => format!("merge {:?}", item.0),
            ReplicaAction::Hint(hint) => format!("hint {:?}", hint.key),
            ReplicaAction::Read { key, copy: CopyKind::Owned } => format!("read {key:?} (owned)"),
            ReplicaAction::Read { key, copy: CopyKind::Hinted } => format!("read {key:?} (hinted)"),
        }
    }
}

impl AnswerFamily for ReplicaAnswer {
    fn refusal(&self) -> Option<Refusal> {
        self.result.as_ref().err().copied()
    }

    fn fingerprint(&self, out: &mut Vec<u8>) {
        match &self.result {
            Ok(ReplicaDone::Minted(MintedWrite { dot, container, hinted })) => {
                fingerprint::number(out, 1);
                dot.fingerprint(out);
                container.fingerprint(out);
                fingerprint::number(out, hinted.map_or(0, |growth| growth.bytes.cast_unsigned()));
            }
            Ok(ReplicaDone::Merged) => fingerprint::number(out, 2),
            Ok(ReplicaDone::Hinted(growth)) => {
                fingerprint::numbers(out, [3, growth.bytes.cast_unsigned()]);
            }
            Ok(ReplicaDone::Read(container)) => {
                fingerprint::number(out, 4);
                container.fingerprint(out);
            }
            Err(refusal) => refused(out, *refusal),
        }
    }
}

/// A client's write, to be minted by this replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mint {
    /// The key.
    pub key: Key,
    /// The write.
    pub write: Write,
    /// The replica's role: an owner of the key, or the fallback of one.
    pub role: Role,
    /// The client's request; a replica that knows it answers with the dot that it minted then.
    pub request: RequestId,
    /// A new epoch, should one be needed.
    pub spare: Epoch,
    /// The most siblings that may stand.
    pub siblings_max: u64,
}

/// The role in which a replica takes a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// An owner of the key.
    Owner,
    /// A fallback, in the place of an owner that cannot be reached.
    Fallback(HintTerms),
}

/// The owner that a replica is the fallback of, and how its hint is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HintTerms {
    /// The owner that the hint is for.
    pub target: NodeId,
    /// The time at which the hint was made, by the clock of the node that keeps it.
    pub created: WallTime,
    /// The time from which it may be dropped; its target is stale from then on.
    pub expires: WallTime,
    /// The number of other copies believed to stand: hints with few go first.
    pub copies: u8,
}

codec!(struct HintTerms { target, created, expires, copies });

/// A container to be kept for somebody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// The key.
    pub key: Key,
    /// The whole container.
    pub container: Container,
    /// The owner that it is kept for, and for how long.
    pub terms: HintTerms,
}

/// The two kinds of copies that a node can hold of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyKind {
    /// The node's own copy, as an owner.
    Owned,
    /// The copy that it keeps for owners: all its hints for the key, joined.
    Hinted,
}

codec!(enum CopyKind { 0 => Owned, 1 => Hinted });

/// The change of the hints for one target, as a container was added to one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HintGrowth {
    /// The owner that the hints are for.
    pub target: NodeId,
    /// True if there was no hint for this key and target before.
    pub added: bool,
    /// The number of bytes added; below zero if the hint is shorter now, as it has learned what was
    /// overwritten.
    pub bytes: i64,
}
