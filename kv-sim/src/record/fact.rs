//! What a recorder keeps: one type for each sort of thing that happens.

use kv_core::message::Kind;
use kv_core::types::{Key, RequestId};
use kv_core::version::Dot;

use crate::scenario::NodeIndex;
use crate::world_time::WorldTime;

/// A message that came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The sender.
    pub from: NodeIndex,
    /// The addressee.
    pub to: NodeIndex,
    /// What kind it is of.
    pub kind: Kind,
    /// The request that it belongs to.
    pub request: RequestId,
    /// When it was sent.
    pub sent: WorldTime,
    /// When it was read, or lost.
    pub ended: WorldTime,
    /// How it was lost; nothing, if it was read.
    pub lost: Option<&'static str>,
    /// The key that it is about, as far as that is known.
    pub key: Option<Key>,
}

/// What a client asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientVerb {
    /// To read.
    Get,
    /// To write this, shortened.
    Put(String),
    /// To delete.
    Delete,
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The run was over before.
    Never,
    /// It was answered: these siblings were shown, and these nodes vouch for it.
    Answered {
        /// The siblings.
        shown: Vec<Dot>,
        /// The owners that hold it, or answered.
        owners: Vec<NodeIndex>,
        /// The fallbacks that do.
        fallbacks: Vec<NodeIndex>,
    },
    /// It was refused, for this reason.
    Refused(String),
    /// Nobody listened.
    Unreachable,
    /// Nobody knows: it timed out, or the connection broke.
    Unknown,
}

/// An operation of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The client.
    pub client: u32,
    /// Its number with that client.
    pub number: u32,
    /// The node that was asked.
    pub node: NodeIndex,
    /// The key.
    pub key: Key,
    /// What was asked.
    pub asked: ClientVerb,
    /// When.
    pub begun: WorldTime,
    /// When it ended.
    pub ended: WorldTime,
    /// How.
    pub ending: Ending,
}

/// Something that a node or a check said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// When.
    pub at: WorldTime,
    /// Who; nothing, for a check.
    pub node: Option<NodeIndex>,
    /// What.
    pub text: String,
    /// The key that it is about, if it names one.
    pub key: Option<Key>,
}

/// A write of a followed key was named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Its name.
    pub dot: Dot,
    /// Which of the followed keys.
    pub key: usize,
    /// When.
    pub at: WorldTime,
    /// By whom.
    pub node: NodeIndex,
    /// For which request.
    pub request: RequestId,
    /// What it said, shortened; nothing, for a tombstone.
    pub value: Option<String>,
}

/// What a node holds of a followed key, from a moment on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyChange {
    /// When.
    pub at: WorldTime,
    /// Where.
    pub node: NodeIndex,
    /// Which of the followed keys.
    pub key: usize,
    /// What.
    pub copy: Copy,
}

/// A node's copy of a key, the hints for it included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copy {
    /// The siblings that stand.
    pub live: Vec<Dot>,
    /// Those that would stand after a crash.
    pub durable: Vec<Dot>,
    /// Bit `i`: accounts for the write `i` that the violations are about, standing or overwritten.
    pub knows: u8,
    /// The same, after a crash.
    pub keeps: u8,
}

/// Something was broken on purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Its word.
    pub kind: &'static str,
    /// What is done to whom, for people.
    pub what: String,
    /// The nodes that it hits, if it is one of nodes.
    pub nodes: Vec<NodeIndex>,
    /// When it began.
    pub from: WorldTime,
    /// When it ended; nothing, if it did not.
    pub until: Option<WorldTime>,
}

/// A node did not work for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outage {
    /// The node.
    pub node: NodeIndex,
    /// Why: a word for people.
    pub how: &'static str,
    /// From when on.
    pub from: WorldTime,
    /// When it worked again; nothing, if it did not.
    pub until: Option<WorldTime>,
}

/// How wrong the clocks of a node are at a moment. Between two of these they go evenly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockPoint {
    /// When.
    pub at: WorldTime,
    /// How far the wall clock is ahead of the true time, in microseconds.
    pub wall_us: i64,
    /// How far the monotonic clock has got ahead of the true time since the run began, likewise.
    pub monotonic_us: i64,
}
