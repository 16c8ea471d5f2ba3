//! The digest of a run: a hash over everything that happened, in our own encoding. The same on any
//! machine, in debug and in release; so it never sees the text of `Debug`, an address, or a
//! `usize`.

use std::fmt;

use kv_core::client::{Achieved, Reply, RequestRefusal};
use kv_core::store::{Done, Outcome, Refusal};
use kv_core::tally::QuorumError;
use kv_core::version::{Container, ContextError, Dot};
use xxhash_rust::xxh3::Xxh3;

use crate::world_time::WorldTime;

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
pub enum Tag {
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
    pub fn event(&mut self, at: WorldTime, tag: Tag, whom: u32) -> Entry<'_> {
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

    /// Adds a dot.
    pub fn dot(self, dot: Dot) -> Self {
        let words = [dot.actor.node.0, dot.actor.epoch.0, dot.n];
        self.0.extend_from_slice(words.map(u64::to_le_bytes).as_flattened());
        self
    }

    /// Adds the dots of a container and the events that it has seen; the values follow from those.
    pub fn container(mut self, container: &Container) -> Self {
        self = self.number(container.siblings().len() as u64);
        for dot in container.dots() {
            self = self.dot(dot);
        }
        self = self.number(container.seen().len() as u64);
        for (actor, n) in container.seen().iter() {
            self = self.dot(Dot { actor, n });
        }
        self
    }

    /// Adds the outcome of a command, as far as it does not follow from the root after it.
    pub fn outcome(self, outcome: &Outcome) -> Self {
        let this = self.number(outcome.partition.0.into()).large(outcome.root.0);
        match &outcome.result {
            Ok(Done::Minted { dot, container, hinted }) => {
                let grown = hinted.map_or(0, |growth| growth.bytes);
                this.number(1).dot(*dot).container(container).number(grown)
            }
            Ok(Done::Merged) => this.number(2),
            Ok(Done::Hinted(growth)) => this.number(3).number(growth.bytes),
            Ok(Done::Read(container)) => this.number(4).container(container),
            Ok(Done::HintBatch { hints, dropped: _ }) => {
                hints.iter().fold(this.number(5), |this, hint| this.container(&hint.container))
            }
            Ok(Done::HintDropped { count, bytes }) => this.number(6).number(*count).number(*bytes),
            Ok(Done::Branches(digests)) => {
                digests.iter().fold(this.number(7), |this, digest| this.large(digest.0))
            }
            Ok(Done::Leaves(leaves)) => leaves.iter().fold(this.number(8), |this, (leaf, hash)| {
                this.number(leaf.0.into()).large(hash.0)
            }),
            Ok(Done::Summaries { entries, more }) => {
                entries.iter().fold(this.number(9).number((*more).into()), |this, entry| {
                    this.large(entry.hash.0)
                })
            }
            Ok(Done::Fetched(items)) => {
                items.iter().fold(this.number(10), |this, (_, container)| this.container(container))
            }
            Ok(Done::MarkedComplete) => this.number(11),
            Ok(Done::Pledged) => this.number(15),
            Ok(Done::Founded) => this.number(16),
            Ok(Done::Scrubbed { next }) => {
                this.number(13).number(next.map_or(0, |leaf| leaf.0.into()))
            }
            Ok(Done::MarkedRepaired { is_repaired }) => {
                this.number(14).number((*is_repaired).into())
            }
            Err(refusal) => this.number(12).refusal(*refusal),
        }
    }

    /// Adds the reply that a client was given.
    pub fn reply(self, reply: &Reply) -> Self {
        match reply {
            Reply::Value { container, context, achieved } => {
                self.number(1).container(container).bytes(context).achieved(achieved)
            }
            Reply::Stored { container, context, achieved } => {
                self.number(2).container(container).bytes(context).achieved(achieved)
            }
            Reply::Refused(refusal) => self.number(3).request_refusal(refusal),
            Reply::Unknown { achieved } => self.number(4).achieved(achieved),
        }
    }

    /// Adds a replica's reason to refuse: by a number, since words may change at any time.
    fn refusal(self, refusal: Refusal) -> Self {
        match refusal {
            Refusal::TooManySiblings { max } => self.number(1).number(max),
            Refusal::Corrupt => self.number(2),
            Refusal::Incomplete => self.number(3),
            Refusal::DiskFull => self.number(4),
            Refusal::DiskFailed => self.number(5),
            Refusal::HintsFull => self.number(6),
            Refusal::Layout => self.number(7),
            Refusal::Late => self.number(8),
            Refusal::OutOfFiles => self.number(9),
        }
    }

    /// Adds the reason why nothing was done for a client.
    fn request_refusal(self, refusal: &RequestRefusal) -> Self {
        match refusal {
            RequestRefusal::Context(error) => self.number(1).context_error(*error),
            RequestRefusal::Quorum(error) => self.number(2).quorum_error(error),
            RequestRefusal::Key { bytes, max } => {
                self.number(3).number(*bytes as u64).number(*max as u64)
            }
            RequestRefusal::Value { bytes, max } => {
                self.number(4).number(*bytes as u64).number(*max)
            }
            RequestRefusal::Busy { max } => self.number(5).number(*max),
            RequestRefusal::NotFounded => self.number(6),
            RequestRefusal::Stopping => self.number(7),
            RequestRefusal::StoreFailed => self.number(8),
            RequestRefusal::Replica(refusal) => self.number(9).refusal(*refusal),
        }
    }

    fn context_error(self, error: ContextError) -> Self {
        match error {
            ContextError::Corrupt => self.number(1),
            ContextError::Format(format) => self.number(2).number(format.into()),
            ContextError::OtherCluster => self.number(3),
            ContextError::OtherKey => self.number(4),
        }
    }

    fn quorum_error(self, error: &QuorumError) -> Self {
        match error {
            QuorumError::NoAnswers => self.number(1),
            QuorumError::MoreThanOwners { asked, owners } => {
                self.number(2).number((*asked).into()).number(*owners as u64)
            }
            QuorumError::NoLocalOwners { datacenter } => {
                self.number(3).bytes(datacenter.as_bytes())
            }
        }
    }

    fn achieved(self, achieved: &Achieved) -> Self {
        let Achieved { owners, fallbacks, machines } = achieved;
        let this = owners.iter().fold(self, |this, owner| this.number(owner.0));
        let this = fallbacks.iter().fold(this, |this, fallback| this.number(fallback.0));
        this.number(*machines as u64)
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
