//! The occasions on which checks are told something: one type for each method of
//! [`Check`](super::check::Check), so that what one of them lacks is added without touching others.

use kv_core::client::{Achieved, RequestRefusal};
use kv_core::event::Event;
use kv_core::message::gossip::GossipMessage;
use kv_core::store::{DropReason, Outcome, Refusal, StoreCommand, StoredHint};
use kv_core::time::{Time, WallTime};
use kv_core::types::{NodeId, PartitionId};
use kv_core::version::Container;

use super::histories::Histories;
use super::history::{EventIndex, History, Minting, Reach, Reused, WriteIndex};
use super::operation::Operation;
use super::pace::Pace;
use super::{Left, Load, Names, Rest};

/// The end of a client's operation.
pub(super) struct OperationEnd<'a, W> {
    /// The time at which the client was told, or gave up.
    pub(super) at: Time,
    /// The end's place among all that the checks were told.
    pub(super) step: u64,
    /// The operation.
    pub(super) operation: &'a Operation,
    /// The history of the operation's key.
    pub(super) history: &'a mut History,
    /// The news that the client was given.
    pub(super) ending: OperationEnding<'a>,
    /// The pace of messages and disks so far.
    pub(super) pace: &'a Pace,
    /// The world at that time.
    pub(super) world: &'a W,
    /// The names of nodes.
    pub(super) names: &'a Names,
}

/// The news with which an operation ends for its client.
pub(super) enum OperationEnding<'a> {
    /// A read was answered.
    Value(OperationAnswer<'a>),
    /// A write was acknowledged. Its history knows the first acknowledgement of it already.
    Stored(WriteIndex, OperationAnswer<'a>),
    /// The operation was refused.
    Refused(&'a RequestRefusal),
    /// Nobody knows whether the operation happened.
    Unknown,
}

/// The answer to an operation that succeeded.
pub(super) struct OperationAnswer<'a> {
    /// The container that the client is shown.
    pub(super) container: &'a Container,
    /// The events that the container lets the client know of.
    pub(super) reach: Reach,
    /// The token that covers the container.
    pub(super) token: &'a [u8],
    /// The nodes that the answer says took part.
    pub(super) achieved: &'a Achieved,
}

/// The execution of a storage command.
pub(super) struct Execution<'a, W> {
    /// The time at which the disk executed the command.
    pub(super) at: Time,
    /// The node that the disk belongs to.
    pub(super) node: NodeId,
    /// The command.
    pub(super) command: &'a StoreCommand,
    /// The outcome of the command.
    pub(super) outcome: &'a Outcome,
    /// The histories of all keys that were ever asked for.
    pub(super) histories: &'a mut Histories,
    /// The world after the command.
    pub(super) world: &'a W,
    /// The names of nodes.
    pub(super) names: &'a Names,
    /// A line for each write that is excused because of the command.
    pub(super) excuses: Vec<String>,
}

/// A refusal that a replica sends to the coordinator of an operation.
pub(super) struct RefusalSent<'a, W> {
    /// The time at which it is sent.
    pub(super) at: Time,
    /// The replica.
    pub(super) node: NodeId,
    /// The reason that it gives.
    pub(super) refusal: Refusal,
    /// The operation, which knows what the disks of replicas have refused.
    pub(super) operation: &'a Operation,
    /// The history of the operation's key.
    pub(super) history: &'a History,
    /// The world at that time.
    pub(super) world: &'a W,
    /// The names of nodes.
    pub(super) names: &'a Names,
}

/// The answer of a replica to a read, as it leaves for the coordinator.
pub(super) struct ReadReplySent<'a, W> {
    /// The time at which the answer is sent.
    pub(super) at: Time,
    /// The node that answers.
    pub(super) node: NodeId,
    /// The time at which the client asked.
    pub(super) asked: Time,
    /// The history of the key that is read.
    pub(super) history: &'a History,
    /// The answer.
    pub(super) container: &'a Container,
    /// The world at that time.
    pub(super) world: &'a W,
    /// The names of nodes.
    pub(super) names: &'a Names,
}

/// The dot that a replica minted for a write.
pub(super) struct WriteMint<'a> {
    /// The history of the write's key, which knows the dot already.
    pub(super) history: &'a History,
    /// The write that the dot was minted for.
    pub(super) write: WriteIndex,
    /// The dot with its basis, as the replica reports it.
    pub(super) minting: Minting<'a>,
    /// The container that the replica holds with the new version.
    pub(super) container: &'a Container,
    /// The latest date that the clock of the coordinator has shown; none if nobody can tell which node
    /// that is.
    pub(super) date: Option<WallTime>,
    /// The event that the dot names; or the error that it names another one.
    pub(super) event: Result<EventIndex, Reused>,
    /// The names of nodes.
    pub(super) names: &'a Names,
}

/// The deletion of hints that a node is about to carry out.
pub(super) struct HintsDropped<'a, W> {
    /// The time of the deletion.
    pub(super) at: Time,
    /// The node that kept the hints.
    pub(super) keeper: NodeId,
    /// The owner that the hints were kept for.
    pub(super) target: NodeId,
    /// The partition that the hints belong to.
    pub(super) partition: PartitionId,
    /// The reason that the node gives for it.
    pub(super) reason: DropReason,
    /// The hints as they lie on the disk. One that has grown since it was delivered is kept.
    pub(super) items: Vec<DroppedHint<'a>>,
    /// The world at that time.
    pub(super) world: &'a W,
    /// The names of nodes.
    pub(super) names: &'a Names,
}

/// A hint that is deleted.
pub(super) struct DroppedHint<'a> {
    /// The history of its key.
    pub(super) history: &'a History,
    /// The hint.
    pub(super) hint: StoredHint,
}

/// The report of a node that it gave up a hint, or refused to keep one.
pub(super) struct HintDropReported<'a> {
    /// The time of the report.
    pub(super) at: Time,
    /// The node that gave it up.
    pub(super) node: NodeId,
    /// The owner that the hint was for.
    pub(super) target: NodeId,
    /// The partition that the hint belongs to.
    pub(super) partition: PartitionId,
    /// The load that the node carries.
    pub(super) load: &'a Load,
    /// The names of nodes.
    pub(super) names: &'a Names,
}

/// A gossip message that passes a node.
pub(super) struct GossipPassed<'a> {
    /// The time at which it does.
    pub(super) at: Time,
    /// The node.
    pub(super) node: NodeId,
    /// The message.
    pub(super) message: &'a GossipMessage,
    /// The way in which it passes.
    pub(super) passage: Passage,
}

/// The way in which a message passes a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// The node sends the message.
    Leaves,
    /// The message is read by the node.
    Arrives,
}

/// An event that a node reports.
pub(super) struct NodeEvent<'a, W> {
    /// The time of the report.
    pub(super) at: Time,
    /// The node that reports.
    pub(super) node: NodeId,
    /// The event.
    pub(super) event: &'a Event,
    /// The world at that time.
    pub(super) world: &'a W,
    /// The names of nodes.
    pub(super) names: &'a Names,
}

/// A change that something outside the protocol makes to a node.
pub(super) struct NodeChange {
    /// The node.
    pub(super) node: NodeId,
    /// The change.
    pub(super) change: ChangeKind,
}

/// The ways in which something outside the protocol changes a node, with the time at which it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChangeKind {
    /// A process starts.
    Starts(Time),
    /// The clock with which the node measures time stands still from now on.
    ClockStands(Time),
    /// The clock with which the node measures time runs again.
    ClockRuns(Time),
    /// A fault touches a clock of the node: its speed, or its date.
    ClockStrays(Time),
    /// The process stands still from now on.
    Pauses(Time),
    /// The process that stood still goes on.
    Wakes(Time),
    /// The process ends.
    Stops,
    /// A fault has spoilt a record of a partition, or brings one that is.
    Rots(Time, PartitionId),
    /// A fault is about to destroy data that the node had reported durable.
    LosesData(Time),
}

/// A look at the load of a node.
pub(super) struct NodeLoad<'a> {
    /// The time of the look.
    pub(super) at: Time,
    /// The node that was looked at.
    pub(super) node: NodeId,
    /// The load that it carries.
    pub(super) load: &'a Load,
    /// The names of nodes.
    pub(super) names: &'a Names,
}

/// A key of which a fault is about to destroy what a node had reported durable.
pub(super) struct KeyLoss<'a, W> {
    /// The time of the fault.
    pub(super) at: Time,
    /// The node that the fault hits.
    pub(super) node: NodeId,
    /// The history of the key.
    pub(super) history: &'a mut History,
    /// The node's copy of the key, as it was reported durable.
    pub(super) before: &'a Container,
    /// The part of the copy that the fault leaves.
    pub(super) left: &'a Left,
    /// The world before the fault.
    pub(super) world: &'a W,
    /// The names of nodes.
    pub(super) names: &'a Names,
    /// A line for each write that is excused because of the fault.
    pub(super) excuses: &'a mut Vec<String>,
}

/// The verdict on whether the cluster came to rest in time.
pub(super) struct RestVerdict<'a> {
    /// The time of the verdict.
    pub(super) at: Time,
    /// The verdict.
    pub(super) rest: &'a Rest,
    /// The pace of messages and disks so far.
    pub(super) pace: &'a Pace,
    /// The names of nodes.
    pub(super) names: &'a Names,
}

/// A node trusts what lies on its disk, which lacks some of what it had reported durable.
pub(super) struct Trust<'a, W> {
    /// The time from which it does.
    pub(super) at: Time,
    /// The node.
    pub(super) node: NodeId,
    /// The nodes that were told of more before it started.
    pub(super) remembering: &'a [NodeId],
    /// The world at that time, in which the node has last changed when it started.
    pub(super) world: &'a W,
    /// The names of nodes.
    pub(super) names: &'a Names,
}

/// The end of a key, once the run is over and all that could be repaired has been.
pub(super) struct KeyEnd<'a, W> {
    /// The time at which the run ended.
    pub(super) at: Time,
    /// The history of the key.
    pub(super) history: &'a History,
    /// The copy of each owner.
    pub(super) copies: &'a [(NodeId, Container)],
    /// The world in the end.
    pub(super) world: &'a W,
    /// The names of nodes.
    pub(super) names: &'a Names,
}

/// The end of the run.
pub(super) struct RunEnd<'a, W> {
    /// The time at which the run ended.
    pub(super) at: Time,
    /// The world in the end.
    pub(super) world: &'a W,
    /// The pace of messages and disks in the run.
    pub(super) pace: &'a Pace,
    /// The names of nodes.
    pub(super) names: &'a Names,
}
