//! How the core speaks to people and to checks. Events change nothing; every driver may drop them.

use alloc::vec::Vec;

use crate::probe::Probe;
use crate::types::{Epoch, Key, NodeId, PartitionId, RequestId};
use crate::version::Dot;

/// Something that happened in a node and is worth telling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A replica minted a dot.
    Minted {
        /// The key that was written.
        key: Key,
        /// The dot.
        dot: Dot,
        /// The request that it was made for.
        request: RequestId,
        /// Siblings that stood at the replica and were overwritten because the writer asked to
        /// overwrite what the replica holds. Empty if the writer said itself what it had seen.
        replaced: Vec<Dot>,
    },
    /// A put without context read, before it wrote, that these siblings stand.
    ReadBeforeWrite {
        /// The request that will overwrite them.
        request: RequestId,
        /// The siblings.
        dots: Vec<Dot>,
    },
    /// A replica drew a new epoch: it may have lost what it minted in the last one.
    EpochDrawn {
        /// The partition that it is for.
        partition: PartitionId,
        /// The new epoch.
        epoch: Epoch,
        /// Why.
        reason: EpochReason,
    },
    /// A record could not be read. It will be repaired from peers.
    Corrupt {
        /// The partition that it lies in.
        partition: PartitionId,
    },
    /// An owner's copy of a key that was corrupt holds again all that enough others held.
    KeyRepaired {
        /// The key.
        key: Key,
    },
    /// The cluster is founded, and this member, whose store is new, holds all that there is: nothing.
    Founded,
    /// The cluster was founded, and this member's store has nothing to show of it: it lost its data, or
    /// comes late. It is incomplete until it has copied.
    DataMissing,
    /// Acknowledged writes may be lost for good: so many owners of some partitions are incomplete that this
    /// one can never copy enough. An operator must accept that ([`crate::admin::AdminCommand::AcceptLoss`]).
    LossUndecided {
        /// How many partitions of this node that concerns.
        partitions: u64,
    },
    /// A peer seems to be down.
    Suspected {
        /// The peer.
        peer: NodeId,
    },
    /// A peer seems to be up.
    Trusted {
        /// The peer.
        peer: NodeId,
    },
    /// The node's own loop stalled: its opinion of others is worth nothing for a while.
    Stalled {
        /// For how long, in milliseconds.
        ms: u64,
    },
    /// A version is stamped far ahead of the own clock. It was kept; the clock was not moved.
    ClockAhead {
        /// The node that stamped it.
        stamped_by: NodeId,
        /// How far, in milliseconds.
        by_ms: u64,
    },
    /// A hint was stored for a peer.
    HintStored {
        /// Whom it is for.
        target: NodeId,
    },
    /// A hint was refused or dropped: its target is stale until it is repaired.
    HintDropped {
        /// Whom it was for.
        target: NodeId,
        /// What it would have written to.
        partition: PartitionId,
    },
    /// Hints were applied by their target, durably, and deleted here.
    HintsDelivered {
        /// Whom they were for.
        target: NodeId,
        /// How many.
        count: u64,
    },
    /// A repair with a peer found keys that differ.
    RepairDiffered {
        /// The peer.
        peer: NodeId,
        /// The partition.
        partition: PartitionId,
        /// How many keys.
        keys: u64,
    },
    /// A repair with a peer ended with a partition known to be equal.
    RepairClean {
        /// The peer.
        peer: NodeId,
        /// The partition.
        partition: PartitionId,
    },
    /// A partition that had lost its data holds again all that a read quorum of the others held.
    Completed {
        /// The partition.
        partition: PartitionId,
    },
    /// A read found a replica behind and brings it up.
    ReadRepair {
        /// The replica.
        peer: NodeId,
        /// The key.
        key: Key,
    },
    /// A message was refused: another cluster, format, layout, addressee, or no message at all.
    Rejected {
        /// Who sent it, as far as known.
        from: NodeId,
        /// Why.
        reason: RejectReason,
    },
    /// The store failed. The node answers nothing any more, so that it is replaced instead of
    /// trusted (a zombie in the ring is worse than a hole).
    StoreFailed,
    /// A rare branch was taken that nothing else tells of.
    Probe(Probe),
}

impl Event {
    /// The rare branch that this tells of, if it is one.
    pub const fn probe(&self) -> Option<Probe> {
        Some(match self {
            Self::Minted { replaced, .. } if replaced.len() > 1 => Probe::MintedUponHeld,
            Self::Minted { .. } => return None,
            Self::ReadBeforeWrite { .. } => Probe::ReadBeforeWrite,
            Self::EpochDrawn { reason, .. } => match reason {
                EpochReason::Start => Probe::EpochAtStart,
                EpochReason::HintDeleted => Probe::EpochAfterHint,
                EpochReason::Corruption => Probe::EpochAfterCorruption,
                EpochReason::Ahead => Probe::EpochAhead,
            },
            Self::Corrupt { .. } => Probe::Corrupt,
            Self::KeyRepaired { .. } => Probe::KeyRepaired,
            Self::Founded => Probe::Founded,
            Self::DataMissing => Probe::DataMissing,
            Self::LossUndecided { .. } => Probe::LossUndecided,
            Self::Suspected { .. } => Probe::Suspected,
            Self::Trusted { .. } => Probe::Trusted,
            Self::Stalled { .. } => Probe::Stalled,
            Self::ClockAhead { .. } => Probe::ClockAhead,
            Self::HintStored { .. } => Probe::HintStored,
            Self::HintDropped { .. } => Probe::HintDropped,
            Self::HintsDelivered { .. } => Probe::HintsDelivered,
            Self::RepairDiffered { .. } => Probe::RepairDiffered,
            Self::RepairClean { .. } => Probe::RepairClean,
            Self::Completed { .. } => Probe::Completed,
            Self::ReadRepair { .. } => Probe::ReadRepair,
            Self::Rejected { .. } => Probe::Rejected,
            Self::StoreFailed => Probe::StoreFailed,
            Self::Probe(probe) => *probe,
        })
    }
}

/// Why an epoch was drawn (semantics.md §1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EpochReason {
    /// The first mint since the process started.
    Start,
    /// A hint that this fallback minted into was deleted.
    HintDeleted,
    /// A record of the partition is corrupt.
    Corruption,
    /// A context or a peer shows an event of this actor that it does not remember.
    Ahead,
}

/// Why a message was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectReason {
    /// It belongs to another cluster.
    Cluster,
    /// It is addressed to another node.
    Addressee,
    /// Its sender is not a member.
    Stranger,
    /// It was planned under another layout; two layouts under one version are a serious fault.
    Layout,
    /// Its sender's clock or heartbeat is further ahead than can be true (CASSANDRA-8113).
    Future,
}
