//! The commands that an operator gives to a node, and the answers.

use alloc::vec::Vec;

use thiserror::Error;

use crate::store::Refusal;
use crate::types::{FoundingId, NodeId, PartitionId};

/// An operator's command to a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminCommand {
    /// Found the cluster, in which all members but those that are left out have new stores. It is
    /// said once in the life of a cluster, to any of its members.
    Init {
        /// The members that need not answer: they copy from the others when they come.
        without: Vec<NodeId>,
    },
    /// List the partitions that this node can never copy from enough others.
    Losses,
    /// Serve a partition although too few complete owners are left to copy it from. Acknowledged
    /// writes that only the others held are given up.
    AcceptLoss {
        /// The partition to serve.
        partition: PartitionId,
    },
}

/// The answer to an operator's command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminReply {
    /// The cluster is founded; this node serves.
    Founded {
        /// The id of the founding.
        founding: FoundingId,
    },
    /// The partitions that this node can never copy from enough others.
    Losses {
        /// The partitions, in ascending order.
        partitions: Vec<PartitionId>,
    },
    /// The loss is accepted, durably.
    LossAccepted,
    /// The command was refused, and changed nothing.
    Refused(AdminRefusal),
    /// The store failed while the command was written down. It stands or not: the node shows which when
    /// it serves again.
    Unknown,
}

/// The reason for which a command was refused. Nothing was founded or given up.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AdminRefusal {
    /// The cluster is founded already.
    #[error("the cluster is founded already: nothing is to be done")]
    AlreadyFounded,
    /// Two commands to found the cluster cross each other.
    #[error("node {by} is being told to found the cluster at the same time: say it to one of them")]
    AlsoFounding {
        /// The other member that founds; this node, if it was told twice.
        by: NodeId,
    },
    /// Members did not answer in time.
    #[error("not every member has answered")]
    Unanswered {
        /// The members that did not answer.
        members: Vec<NodeId>,
    },
    /// So many members would be left out that they could never copy what they must hold.
    #[error("so many members cannot be left out: partition {} would have too few complete owners", partition.0)]
    TooManyLeftOut {
        /// One partition that would have too few complete owners.
        partition: PartitionId,
    },
    /// The member that is told to found the cluster cannot be left out.
    #[error("the member that is told to found the cluster cannot be left out")]
    LeavesItselfOut,
    /// The cluster is not founded yet.
    #[error("the cluster is not founded yet")]
    NotFounded,
    /// The partition is not owned by this node.
    #[error("this node does not own partition {}", partition.0)]
    NotOwned {
        /// The partition.
        partition: PartitionId,
    },
    /// The partition has no loss to accept.
    #[error("this node holds all that it must hold of partition {}", partition.0)]
    NothingLost {
        /// The partition.
        partition: PartitionId,
    },
    /// The store did not take the record of it.
    #[error("it could not be written: {0}")]
    Store(Refusal),
    /// The node is stopping, or its store failed.
    #[error("this node does not serve any more")]
    Ended,
}
