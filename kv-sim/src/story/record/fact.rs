//! The facts that a recorder keeps: one type for each sort.

use kv_core::message::Kind;
use kv_core::types::{Key, PartitionId, RequestId};
use kv_core::version::Dot;

use super::questions::{AskedQuestion, MessageRole};
use crate::cluster::world_time::WorldTime;
use crate::scenario::NodeIndex;

/// A message that came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedMessage {
    /// The sender.
    pub from: NodeIndex,
    /// The addressee.
    pub to: NodeIndex,
    /// The kind of the message.
    pub kind: Kind,
    /// The request that the message belongs to.
    pub request: RequestId,
    /// The time at which the message was sent.
    pub sent: WorldTime,
    /// The time at which the message was read, or lost.
    pub ended: WorldTime,
    /// The way in which the message was lost; none, if it was read.
    pub lost: Option<&'static str>,
    /// The key that the message is about, as far as that is known.
    pub key: Option<Key>,
    /// The part of its content that is worth telling.
    pub content: MessageContent,
}

/// The part of a message's content that is worth telling.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageContent {
    /// The siblings in the container that it carries, of a followed key if there are several; none,
    /// if it carries no container.
    pub siblings: Option<Vec<Dot>>,
    /// A bit per write that the violations are about: set if that container accounts for it,
    /// standing or overwritten.
    pub knows: u8,
    /// The context of the write that it carries, if it asks for one.
    pub context: Option<WriteContext>,
    /// The number of the question that it asks or answers, if answers bear one.
    pub role: Option<MessageRole>,
    /// The question that it answers, as far as that is known.
    pub answered: Option<AskedQuestion>,
    /// What else there is to say, in words for people, such as the reason of a refusal; empty if
    /// there is nothing.
    pub words: String,
}

/// A client's request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientVerb {
    /// A read of the key.
    Get,
    /// A write of this value, shortened.
    Put(String),
    /// A delete of the key.
    Delete,
}

/// The context that a write carries: what it overwrites.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteContext {
    /// Nothing: the client says that it knows of no value.
    Nothing,
    /// The siblings that the client was shown, by a token that came with them.
    Shown(Vec<Dot>),
    /// What the replica holds that takes the write, and these siblings, which the client's session
    /// has seen.
    Latest(Vec<Dot>),
}

impl WriteContext {
    /// The writes that it names.
    pub fn dots(&self) -> &[Dot] {
        match self {
            Self::Nothing => &[],
            Self::Shown(dots) | Self::Latest(dots) => dots,
        }
    }

    /// Tells whether it names a write, or a later one of the same actor.
    pub fn covers(&self, dot: Dot) -> bool {
        self.dots().iter().any(|other| other.actor == dot.actor && other.n >= dot.n)
    }
}

/// The ending of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordedEnding {
    /// The run was over before the operation ended.
    Never,
    /// The operation was answered, with these siblings and by these nodes.
    Answered {
        /// The siblings that the client was shown.
        shown: Vec<Dot>,
        /// Of several, the one that a plain read takes for the value: the newest by its stamp.
        newest: Option<Dot>,
        /// The owners that hold the write, or answered the read.
        owners: Vec<NodeIndex>,
        /// The fallbacks that hold the write, or answered the read.
        fallbacks: Vec<NodeIndex>,
    },
    /// The operation was refused, for this reason.
    Refused(String),
    /// No node listened.
    Unreachable,
    /// Nobody knows how it ended: it timed out, or the connection broke.
    Unknown {
        /// The nodes that had answered when the time was up, as far as the client was told.
        heard: Vec<NodeIndex>,
    },
}

/// An operation of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedOperation {
    /// The number of the client.
    pub client: u32,
    /// The number of the operation with that client.
    pub number: u32,
    /// The node that was asked.
    pub node: NodeIndex,
    /// The key that was asked for.
    pub key: Key,
    /// The request of the client.
    pub asked: ClientVerb,
    /// The context of a write; none, for a read.
    pub context: Option<WriteContext>,
    /// The time at which the client asked.
    pub begun: WorldTime,
    /// The time at which the operation ended.
    pub ended: WorldTime,
    /// The ending of the operation.
    pub ending: RecordedEnding,
}

/// A note of a node or a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The time of the note.
    pub at: WorldTime,
    /// The node whose note it is; none, for a check.
    pub node: Option<NodeIndex>,
    /// The words of the note.
    pub text: String,
    /// The key that the note names, if it names one.
    pub key: Option<Key>,
    /// The partition that the note is about, if it is about one.
    pub partition: Option<PartitionId>,
    /// The sort of the note.
    pub sort: NoteSort,
}

/// The sort of a note, as far as it matters for a story.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteSort {
    /// A node claims that it holds again all that it had lost.
    Completed,
    /// Something that is seen better elsewhere, by whoever looks at one key alone.
    Detail,
    /// Anything else.
    Other,
}

/// A write of a followed key that was minted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedWrite {
    /// The dot of the write.
    pub dot: Dot,
    /// The position of the key among those that are followed.
    pub key: usize,
    /// The time at which the dot was minted.
    pub at: WorldTime,
    /// The node that minted the dot.
    pub node: NodeIndex,
    /// The request of the write.
    pub request: RequestId,
    /// The value, shortened; none, for a tombstone.
    pub value: Option<String>,
    /// The siblings that stood at the node and went because of the write.
    pub replaced: Vec<Dot>,
}

/// A change of a node's copy of a followed key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyChange {
    /// The time of the change.
    pub at: WorldTime,
    /// The node that holds the copy.
    pub node: NodeIndex,
    /// The position of the key among those that are followed.
    pub key: usize,
    /// The copy from that time on.
    pub copy: Copy,
}

/// A node's copy of a key, joined with its hints for the key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copy {
    /// The siblings that stand.
    pub live: Vec<Dot>,
    /// The siblings that would stand after a crash.
    pub durable: Vec<Dot>,
    /// A bit per write that the violations are about: set if the copy accounts for it, standing or
    /// overwritten.
    pub knows: u8,
    /// The same bits for the copy after a crash.
    pub keeps: u8,
}

/// A fault, from its beginning to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedFault {
    /// The word for the fault in a scenario.
    pub kind: &'static str,
    /// The fault and its victims, in words for people.
    pub what: String,
    /// The nodes that the fault hits, if it is one of nodes.
    pub nodes: Vec<NodeIndex>,
    /// The time at which the fault began.
    pub from: WorldTime,
    /// The time at which the fault ended; none, if it did not.
    pub until: Option<WorldTime>,
}

/// A time in which a node did not work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedOutage {
    /// The node that did not work.
    pub node: NodeIndex,
    /// The reason, in a word for people.
    pub how: &'static str,
    /// The time at which the outage began.
    pub from: WorldTime,
    /// The time at which the reason was gone; none, if it was not.
    pub until: Option<WorldTime>,
}

/// The error of a node's clocks at a moment. Between two of these they go evenly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockPoint {
    /// The time in the world.
    pub at: WorldTime,
    /// The time by which the wall clock is ahead of the true time, in microseconds.
    pub wall_us: i64,
    /// The time by which the monotonic clock has got ahead since the run began, in microseconds.
    pub monotonic_us: i64,
}
