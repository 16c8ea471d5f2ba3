//! The events by which the core speaks to people and to checks. They change nothing; every driver
//! may drop them.

use alloc::vec::Vec;

use crate::log_runs::LogReach;
use crate::probe::Probe;
use crate::types::{Epoch, Key, LogPosition, NodeId, PartitionId, RequestId};
use crate::version::Dot;

/// An event in a node that is worth telling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A replica minted a dot for a write.
    Minted {
        /// The key that was written.
        key: Key,
        /// The dot that was minted.
        dot: Dot,
        /// The request that the write is for.
        request: RequestId,
        /// The siblings that stood at the replica and were overwritten, because the writer asked to
        /// overwrite whatever it holds. Empty if the writer said itself what it had seen.
        replaced: Vec<Dot>,
    },
    /// A put without context read, before it wrote, the siblings that it will overwrite.
    ReadBeforeWrite {
        /// The request of the put.
        request: RequestId,
        /// The key that will be written: a client may use one request id for several.
        key: Key,
        /// The siblings that stand.
        dots: Vec<Dot>,
    },
    /// A replica drew a new epoch: it may have lost what it minted in the last one.
    EpochDrawn {
        /// The partition in which the epoch is used.
        partition: PartitionId,
        /// The epoch that was drawn.
        epoch: Epoch,
        /// The reason for which it was drawn.
        reason: EpochReason,
    },
    /// A record could not be read. It will be repaired from peers.
    Corrupt {
        /// The partition that the record lies in.
        partition: PartitionId,
    },
    /// An owner's copy of a key that was corrupt holds again all that enough others held.
    KeyRepaired {
        /// The key that is repaired.
        key: Key,
    },
    /// The cluster is founded, and this member, whose store is new, holds all that there is:
    /// nothing.
    Founded,
    /// The cluster was founded before, and this member's store is empty: it lost its data, or comes
    /// late. It is incomplete until it has copied.
    DataMissing,
    /// Another node remembers more of this node's log than was found at its start: it has lost some of
    /// what it acknowledged. It is incomplete until it has copied.
    LogFellBehind {
        /// The node that remembers.
        peer: NodeId,
        /// The position that this node's log had reached once, and the run in which it had.
        remembered: LogReach,
        /// The position at which the log of this node ended when this run began.
        found: LogPosition,
    },
    /// Acknowledged writes may be lost for good: so many owners of some partitions are incomplete
    /// that this one can never copy enough. An operator must accept that
    /// ([`crate::admin::AdminCommand::AcceptLoss`]).
    LossUndecided {
        /// The number of partitions of this node that are concerned.
        partitions: u64,
    },
    /// A peer seems to be down, having seemed up.
    Suspected {
        /// The peer that seems down.
        peer: NodeId,
    },
    /// A peer seems to be up again.
    Trusted {
        /// The peer that seems up.
        peer: NodeId,
    },
    /// The node's own loop stalled: its opinion of others is worth nothing for a while.
    Stalled {
        /// The time for which it stalled, in milliseconds.
        ms: u64,
    },
    /// A version is stamped far ahead of this node's clock. It was kept; the clock was not moved.
    ClockAhead {
        /// The coordinator, if it asks this node to mint; else the node that minted it, which took the
        /// time from the coordinator.
        stamped_by: NodeId,
        /// The time by which it is ahead, in milliseconds.
        by_ms: u64,
    },
    /// A hint was stored for a peer.
    HintStored {
        /// The owner that the hint is for.
        target: NodeId,
    },
    /// A hint was refused or dropped: its target is stale until it is repaired.
    HintDropped {
        /// The owner that the hint was for.
        target: NodeId,
        /// The partition that the hint belongs to.
        partition: PartitionId,
    },
    /// Hints were applied by their target, durably, and deleted here.
    HintsDelivered {
        /// The owner that the hints were for.
        target: NodeId,
        /// The number of hints.
        count: u64,
    },
    /// A repair with a peer found keys that differ.
    RepairDiffered {
        /// The peer that this node compared itself with.
        peer: NodeId,
        /// The partition in which the keys lie.
        partition: PartitionId,
        /// The number of keys that differ.
        keys: u64,
    },
    /// A repair with a peer ended with the copies of a partition known to be equal.
    RepairClean {
        /// The peer that this node compared itself with.
        peer: NodeId,
        /// The partition that is equal.
        partition: PartitionId,
    },
    /// A partition that had lost its data holds again all that a read quorum of the others held.
    Completed {
        /// The partition that is complete.
        partition: PartitionId,
    },
    /// A read found a replica behind and repairs it.
    ReadRepair {
        /// The replica that is repaired.
        peer: NodeId,
        /// The key that was read.
        key: Key,
    },
    /// A message was refused: another cluster, format, layout, addressee, or no message at all.
    Rejected {
        /// The sender, as far as known.
        from: NodeId,
        /// The reason for which it was refused.
        reason: RejectReason,
    },
    /// The store failed. The node answers nothing any more, so that it is replaced instead of
    /// trusted (a zombie in the ring is worse than a hole).
    StoreFailed,
    /// A rare branch was taken that nothing else tells of.
    Probe(Probe),
}

impl Event {
    /// The probe that this event tells of, if it tells of one.
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
            Self::LogFellBehind { .. } => Probe::LogFellBehind,
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

/// The reason for which an epoch was drawn (semantics.md §1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EpochReason {
    /// The replica mints for the first time since the process started.
    Start,
    /// A hint that this fallback minted into was deleted.
    HintDeleted,
    /// A record of the partition is corrupt.
    Corruption,
    /// A context or a peer shows an event of this actor that it does not remember.
    Ahead,
}

/// The reason for which a message was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectReason {
    /// The message belongs to another cluster.
    Cluster,
    /// The message is addressed to another node.
    Addressee,
    /// The sender is not a member.
    Stranger,
    /// The message was planned under another layout; two layouts under one version are a serious
    /// fault.
    Layout,
    /// The sender's clock or heartbeat is further ahead than can be true (CASSANDRA-8113).
    Future,
}
