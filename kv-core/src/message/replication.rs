//! Messages between a coordinator and the replicas of a key: requests go to a replica
//! ([`ReplicaMessage`]), answers to a coordinator ([`CoordinatorMessage`]).

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::family::{Family, family};
use super::{Echo, OperationId};
use crate::codec::codec;
use crate::store::{CopyKind, Refusal};
use crate::types::{Key, LogPosition, NodeId};
use crate::version::Container;
use crate::write::Write;

family! {
    /// A request to a node as a replica.
    ReplicaMessage,
    /// The kind of a [`ReplicaMessage`].
    ReplicaKind {
        /// Mint a dot for this write, and store it.
        Mint(Box<MintRequest>) = 10 "mint",
        /// Join this container into the own one.
        Merge(MergeRequest) = 12 "merge",
        /// Keep this container for another node.
        Hint(HintRequest) = 13 "hint",
        /// Answer with what is held of this key, durably.
        Read(ReadRequest) = 20 "read",
    }
}

family! {
    /// The answer of a replica to a coordinator.
    CoordinatorMessage,
    /// The kind of a [`CoordinatorMessage`].
    CoordinatorKind {
        /// The write is stored, but not durable yet; this is the container to send on.
        Minted(Minted) = 11 "minted",
        /// The write or container is durable at the sender.
        Acked(Acked) = 14 "acked",
        /// The sender did not do what it was asked.
        Refused(Refused) = 15 "refused",
        /// The durable container that the sender holds of the key.
        ReadReply(ReadReply) = 21 "read-reply",
    }
}

impl Family for ReplicaMessage {
    fn keys(&self) -> Vec<&Key> {
        Vec::from([match self {
            Self::Mint(request) => &request.key,
            Self::Merge(request) => &request.key,
            Self::Hint(request) => &request.key,
            Self::Read(request) => &request.key,
        }])
    }

    fn weight(&self) -> usize {
        let keys = self.keys().iter().map(|key| key.bytes().len()).sum::<usize>();
        keys + match self {
            Self::Mint(request) => request.write.content.value().map_or(0, bytes::Bytes::len),
            Self::Merge(request) => request.container.weight(),
            Self::Hint(request) => request.container.weight(),
            Self::Read(_) => 0,
        }
    }

    fn is_urgent(&self) -> bool {
        false
    }
}

impl Family for CoordinatorMessage {
    fn keys(&self) -> Vec<&Key> {
        match self {
            Self::Minted(_) | Self::Acked(_) | Self::Refused(_) | Self::ReadReply(_) => Vec::new(),
        }
    }

    fn weight(&self) -> usize {
        match self {
            Self::Minted(minted) => minted.container.weight(),
            Self::ReadReply(reply) => reply.container.weight(),
            Self::Acked(_) | Self::Refused(_) => 0,
        }
    }

    fn is_urgent(&self) -> bool {
        match self {
            Self::Acked(_) | Self::Refused(_) => true,
            Self::Minted(_) | Self::ReadReply(_) => false,
        }
    }
}

/// The room that a request needs among the hints of the node that it asks.
#[derive(Clone, Copy, Debug)]
pub struct HintDemand<'a> {
    /// The operation that the request belongs to.
    pub operation: OperationId,
    /// The key.
    pub key: &'a Key,
    /// The owner that the hint is for.
    pub target: NodeId,
    /// About how many bytes it takes.
    pub bytes: usize,
}

impl ReplicaMessage {
    /// The hint that the receiver keeps if it does what this asks.
    pub fn hint_demand(&self) -> Option<HintDemand<'_>> {
        match self {
            Self::Mint(request) => {
                let MintRequest { operation, key, write, fallback_for, .. } = &**request;
                let target = fallback_for.as_ref()?.owner;
                let bytes = write.content.value().map_or(0, bytes::Bytes::len);
                Some(HintDemand { operation: *operation, key, target, bytes })
            }
            Self::Hint(HintRequest { operation, key, container, fallback_for }) => {
                let (target, bytes) = (fallback_for.owner, container.weight());
                Some(HintDemand { operation: *operation, key, target, bytes })
            }
            Self::Merge(_) | Self::Read(_) => None,
        }
    }
}

/// The payload of [`ReplicaMessage::Mint`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MintRequest {
    /// The operation; it comes back with the answer.
    pub operation: OperationId,
    /// The key.
    pub key: Key,
    /// The write.
    pub write: Write,
    /// The owner in whose place the receiver is asked, if it is asked as a fallback.
    pub fallback_for: Option<FallbackFor>,
    /// The last time heard from the receiver, as a proof that this request is not old.
    pub echo: Option<Echo>,
}

codec!(struct MintRequest { operation, key, write, fallback_for, echo });

/// The place of an owner that cannot be reached, and that somebody else is to take. When it is taken,
/// and until when, is for that node's own clock to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FallbackFor {
    /// The owner.
    pub owner: NodeId,
    /// The number of other copies believed to stand: hints with few are delivered first.
    pub copies: u8,
}

codec!(struct FallbackFor { owner, copies });

/// The payload of [`CoordinatorMessage::Minted`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Minted {
    /// The operation that this answers.
    pub operation: OperationId,
    /// The container that the minter holds now.
    pub container: Container,
}

codec!(struct Minted { operation, container });

/// The payload of [`ReplicaMessage::Merge`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeRequest {
    /// The operation; it comes back with the answer.
    pub operation: OperationId,
    /// The key.
    pub key: Key,
    /// The container to join.
    pub container: Container,
}

codec!(struct MergeRequest { operation, key, container });

/// The payload of [`ReplicaMessage::Hint`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HintRequest {
    /// The operation; it comes back with the answer.
    pub operation: OperationId,
    /// The key.
    pub key: Key,
    /// The container to keep.
    pub container: Container,
    /// The owner that the container is kept for.
    pub fallback_for: FallbackFor,
}

codec!(struct HintRequest { operation, key, container, fallback_for });

/// The payload of [`CoordinatorMessage::Acked`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acked {
    /// The operation that this answers.
    pub operation: OperationId,
    /// The owner that the sender keeps it for, if not for itself.
    pub for_owner: Option<NodeId>,
    /// The position up to which the sender's log is durable, this write included.
    pub log: LogPosition,
}

codec!(struct Acked { operation, for_owner, log });

/// The payload of [`CoordinatorMessage::Refused`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The operation that this answers.
    pub operation: OperationId,
    /// The reason.
    pub refusal: Refusal,
}

codec!(struct Refused { operation, refusal });

/// The payload of [`ReplicaMessage::Read`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadRequest {
    /// The operation; it comes back with the answer.
    pub operation: OperationId,
    /// The key.
    pub key: Key,
    /// The kind of copy: the receiver's own, or the hints that it keeps for owners.
    pub copy: CopyKind,
}

codec!(struct ReadRequest { operation, key, copy });

/// The payload of [`CoordinatorMessage::ReadReply`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadReply {
    /// The operation that this answers.
    pub operation: OperationId,
    /// The durable container of the sender. Empty if it knows nothing of the key.
    pub container: Container,
}

codec!(struct ReadReply { operation, container });

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::message::samples::{OPERATION, container, key};
    use crate::time::{HybridTime, Time};
    use crate::types::Generation;
    use crate::version::Content;
    use crate::write::Basis;

    const FALLBACK_FOR: FallbackFor = FallbackFor { owner: NodeId(9), copies: 1 };

    impl ReplicaMessage {
        /// One message of each kind.
        pub(in crate::message) fn samples() -> Vec<Self> {
            let (operation, fallback_for) = (OPERATION, FALLBACK_FOR);
            let basis = Basis::Held(container().context());
            vec![
                Self::Mint(Box::new(MintRequest {
                    operation,
                    key: key(),
                    write: Write {
                        content: Content::Tombstone,
                        expiry: None,
                        basis,
                        time: HybridTime(6),
                    },
                    fallback_for: Some(fallback_for),
                    echo: Some(Echo { generation: Generation(3), sent: Time(10) }),
                })),
                Self::Merge(MergeRequest { operation, key: key(), container: container() }),
                Self::Hint(HintRequest {
                    operation,
                    key: key(),
                    container: container(),
                    fallback_for,
                }),
                Self::Read(ReadRequest { operation, key: key(), copy: CopyKind::Hinted }),
            ]
        }
    }

    impl CoordinatorMessage {
        /// One message of each kind.
        pub(in crate::message) fn samples() -> Vec<Self> {
            let operation = OPERATION;
            let refusal = Refusal::TooManySiblings { max: 64 };
            vec![
                Self::Minted(Minted { operation, container: container() }),
                Self::Acked(Acked {
                    operation,
                    for_owner: Some(FALLBACK_FOR.owner),
                    log: LogPosition(300),
                }),
                Self::Refused(Refused { operation, refusal }),
                Self::ReadReply(ReadReply { operation, container: Container::default() }),
            ]
        }
    }
}
