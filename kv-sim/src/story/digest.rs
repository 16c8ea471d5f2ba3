//! The digest of a run: a hash over everything that happened, in our own encoding. The same on any
//! machine, in debug and in release; so it never sees the text of `Debug`, an address, or a
//! `usize`.

use std::fmt;

use kv_core::client::Reply;
use kv_core::store::{AnswerFamily as _, Outcome};
use xxhash_rust::xxh3::Xxh3;

use crate::cluster::world_time::WorldTime;

/// The hash of all that has happened so far.
#[derive(Clone)]
pub struct RunningDigest {
    hasher: Xxh3,
    /// The bytes that are not hashed yet.
    pending: Vec<u8>,
}

/// The number of bytes that are gathered before they are hashed.
const PENDING_BYTES: usize = 8 * 1024;

/// The kind of an event. Numbers are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum DigestTag {
    /// A node received a message.
    Message = 1,
    /// A node learned of a connection.
    Link = 2,
    /// A node heard that a command was executed.
    Done = 3,
    /// A node heard that something is durable.
    Durable = 4,
    /// A node was called at its deadline.
    Deadline = 5,
    /// A node was asked something by a client.
    Ask = 6,
    /// A client got a reply.
    Reply = 7,
    /// A client got no reply.
    NoReply = 8,
    /// A fault began.
    FaultBegins = 9,
    /// A fault ended.
    FaultEnds = 10,
    /// A message was lost or dropped.
    Lost = 11,
    /// The operator gave up lost data.
    Operator = 12,
    /// A node heard that its disk failed.
    StoreFailed = 13,
    /// The operator told a node to found the cluster.
    Init = 14,
}

/// The entry of one event, to which more can be added.
pub struct Entry<'a>(&'a mut Vec<u8>);

impl RunningDigest {
    /// Creates the digest of a run in which nothing has happened yet.
    pub const fn new() -> Self {
        Self { hasher: Xxh3::new(), pending: Vec::new() }
    }

    /// Adds an event.
    pub fn event(&mut self, at: WorldTime, tag: DigestTag, whom: u32) -> Entry<'_> {
        if self.pending.len() >= PENDING_BYTES {
            self.hasher.update(&self.pending);
            self.pending.clear();
        }
        let mut head = [0; 13];
        head[..8].copy_from_slice(&at.0.to_le_bytes());
        head[8] = tag as u8;
        head[9..].copy_from_slice(&whom.to_le_bytes());
        self.pending.extend_from_slice(&head);
        Entry(&mut self.pending)
    }

    /// The digest so far.
    pub fn digest(&self) -> u128 {
        let mut hasher = self.hasher.clone();
        hasher.update(&self.pending);
        hasher.digest128()
    }
}

impl Entry<'_> {
    /// Adds bytes, behind their length.
    pub fn bytes(self, bytes: &[u8]) -> Self {
        let this = self.number(bytes.len() as u64);
        this.0.extend_from_slice(bytes);
        this
    }

    /// Adds a number.
    pub fn number(self, number: u64) -> Self {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    /// Adds a large number.
    pub fn large(self, number: u128) -> Self {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    /// Adds the outcome of a command, as far as it does not follow from the root after it.
    pub fn outcome(self, outcome: &Outcome) -> Self {
        let this = self.number(outcome.partition.0.into()).large(outcome.root.0);
        outcome.answer.fingerprint(this.0);
        this
    }

    /// Adds the reply to a client.
    pub fn reply(self, reply: &Reply) -> Self {
        reply.fingerprint(self.0);
        self
    }
}

impl Default for RunningDigest {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for RunningDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunningDigest({:032x})", self.digest())
    }
}
