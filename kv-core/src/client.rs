//! The requests of clients and the replies; and the session that keeps one client's writes in
//! order.

use alloc::vec::Vec;

use bytes::Bytes;
use thiserror::Error;

use crate::fifo::FifoCache;
use crate::fingerprint;
use crate::quorum::{Level, Mode};
use crate::store::Refusal;
use crate::tally::{Nodes, QuorumError};
use crate::time::WallTime;
use crate::types::{Key, RequestId, Token};
use crate::version::{Container, Content, Context, ContextError};

/// One request of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientOperation {
    /// The key that the request is about.
    pub key: Key,
    /// The verb: read, or write.
    pub verb: Verb,
    /// The options, such as the quorum and the timeout.
    pub options: Options,
}

/// The part of a request that says what to do with the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Reads the key.
    Get,
    /// Writes the key: a delete is a put of a tombstone.
    Put {
        /// The value, or the statement that there is none.
        content: Content,
        /// The time from which on the value is invisible; none if it does not expire.
        expiry: Option<WallTime>,
        /// The events that the write overwrites.
        context: PutContext,
    },
}

/// The events of the key that a write overwrites.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PutContext {
    /// The events that this token, which came with an earlier reply, covers. All others become
    /// siblings.
    Token(Bytes),
    /// No event: the client says that it knows of no value.
    Nothing,
    /// All that the replica which takes the write holds, and all that this session has seen (a
    /// plain Redis `SET`).
    Latest(Context),
}

/// The options of a request. `None` means as the node's configuration says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The owners that must answer a read, and the number of them.
    pub read: Option<Level>,
    /// The owners that must hold a write durably, and the number of them.
    pub write: Option<Level>,
    /// The mode, which says whether fallbacks count.
    pub mode: Option<Mode>,
    /// The time after which the answer is "unknown", in milliseconds.
    pub timeout_ms: Option<u64>,
    /// Tells whether a read may not be followed by an older one.
    pub monotonic: Option<bool>,
    /// The client's own id for this request; a retry sends the same.
    pub request: Option<RequestId>,
}

/// The answer to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The value of the key: what the replicas that answered hold, joined.
    Value {
        /// All siblings; [`crate::config::Config::resolve`] says how they are shown.
        container: Container,
        /// The token which covers exactly this container.
        context: Bytes,
        /// The nodes whose answers these are.
        achieved: Achieved,
    },
    /// The write stands.
    Stored {
        /// The container of the key with the write, as the minting replica holds it.
        container: Container,
        /// The token which covers exactly this container.
        context: Bytes,
        /// The nodes on which the write is durable.
        achieved: Achieved,
    },
    /// The request was refused, and nothing was done.
    Refused(RequestRefusal),
    /// The time is up. The write may stand or not, now or later; it was not undone.
    Unknown {
        /// The nodes that had answered when the time was up.
        achieved: Achieved,
    },
}

/// The nodes whose answers a reply rests on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Achieved {
    /// The owners that answered a read, or hold a write durably.
    pub owners: Nodes,
    /// The fallbacks that answered or hold it, each in the place of an owner.
    pub fallbacks: Nodes,
    /// The number of distinct machines among these nodes.
    pub machines: usize,
}

/// The reason for which a request was refused. Nothing was done.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RequestRefusal {
    /// The context token cannot be used.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// The quorum is impossible in this layout.
    #[error(transparent)]
    Quorum(#[from] QuorumError),
    /// The key is empty or too long.
    #[error("a key has 1 to {max} bytes; this one has {bytes}")]
    Key {
        /// The length of the key in bytes.
        bytes: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// The value is too long.
    #[error("a value has at most {max} bytes (value_bytes_max); this one has {bytes}")]
    Value {
        /// The length of the value in bytes.
        bytes: usize,
        /// The limit in bytes.
        max: u64,
    },
    /// Too many requests are in flight at this node.
    #[error("{max} requests are in flight at this node (requests_max): try again later")]
    Busy {
        /// The limit of requests in flight.
        max: u64,
    },
    /// The node waits until its cluster is founded, or until it hears that it is.
    #[error(
        "this node waits: no member that it can reach knows the cluster; if the cluster is new, say \
         `kv-node init` to one member, once"
    )]
    NotFounded,
    /// The node is stopping.
    #[error("this node is stopping: try another")]
    Stopping,
    /// The node's disk failed.
    #[error("this node's disk failed: try another")]
    StoreFailed,
    /// The replica that was to mint refused, and so did every other that was asked.
    #[error(transparent)]
    Replica(Refusal),
}

impl Reply {
    /// Appends what tells it from other replies, for the identity of a run.
    pub fn fingerprint(&self, out: &mut Vec<u8>) {
        match self {
            Self::Value { container, context, achieved } => {
                fingerprint::number(out, 1);
                container.fingerprint(out);
                fingerprint::bytes(out, context);
                achieved.fingerprint(out);
            }
            Self::Stored { container, context, achieved } => {
                fingerprint::number(out, 2);
                container.fingerprint(out);
                fingerprint::bytes(out, context);
                achieved.fingerprint(out);
            }
            Self::Refused(refusal) => {
                fingerprint::number(out, 3);
                refusal.fingerprint(out);
            }
            Self::Unknown { achieved } => {
                fingerprint::number(out, 4);
                achieved.fingerprint(out);
            }
        }
    }
}

impl Achieved {
    fn fingerprint(&self, out: &mut Vec<u8>) {
        let Self { owners, fallbacks, machines } = self;
        owners.iter().chain(fallbacks).for_each(|node| fingerprint::number(out, node.0));
        fingerprint::number(out, *machines as u64);
    }
}

impl RequestRefusal {
    fn fingerprint(&self, out: &mut Vec<u8>) {
        match self {
            Self::Context(error) => {
                fingerprint::number(out, 1);
                error.fingerprint(out);
            }
            Self::Quorum(error) => {
                fingerprint::number(out, 2);
                error.fingerprint(out);
            }
            Self::Key { bytes, max } => {
                fingerprint::numbers(out, [3, *bytes as u64, *max as u64]);
            }
            Self::Value { bytes, max } => fingerprint::numbers(out, [4, *bytes as u64, *max]),
            Self::Busy { max } => fingerprint::numbers(out, [5, *max]),
            Self::NotFounded => fingerprint::number(out, 6),
            Self::Stopping => fingerprint::number(out, 7),
            Self::StoreFailed => fingerprint::number(out, 8),
            Self::Replica(refusal) => {
                fingerprint::number(out, 9);
                refusal.fingerprint(out);
            }
        }
    }
}

/// The events that one connection has seen last of each key, so that its own writes overwrite each
/// other in order whichever replicas take them. Bounded: the key that was met first is forgotten,
/// and with it the order of its writes.
#[derive(Clone, Debug)]
pub struct Session {
    /// The contexts seen, by the token of the key: tokens lie in place, and no two keys share one.
    seen: FifoCache<Token, Context>,
}

impl Session {
    /// Makes a session that remembers at most so many keys.
    pub const fn new(keys_max: usize) -> Self {
        Self { seen: FifoCache::new(keys_max) }
    }

    /// Makes a session that remembers at most so many keys, with room for some from the beginning,
    /// so that it is not copied as it grows.
    pub fn with_room(keys_max: usize, room: usize) -> Self {
        Self { seen: FifoCache::with_room(keys_max, room) }
    }

    /// The context for a write that is to overwrite whatever stands.
    pub fn latest(&self, key: &Key) -> PutContext {
        PutContext::Latest(self.seen.get(&key.token()).cloned().unwrap_or_default())
    }

    /// Learns the events of a key that a reply covers.
    pub fn on_reply(&mut self, key: &Key, reply: &Reply) {
        let (Reply::Value { container, .. } | Reply::Stored { container, .. }) = reply else {
            return;
        };
        if let Some(seen) = self.seen.get_mut(&key.token()) {
            seen.learn(container);
        } else {
            self.seen.insert(key.token(), container.context());
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::types::{Epoch, NodeId};
    use crate::version::{Actor, Dot};

    fn stored(n: u64) -> Reply {
        let actor = Actor { node: NodeId(1), epoch: Epoch(1) };
        let mut container = Container::default();
        container.discard(&[Dot { actor, n }].into_iter().collect());
        Reply::Stored { container, context: Bytes::new(), achieved: Achieved::default() }
    }

    #[test]
    fn a_session_overwrites_what_it_has_seen_itself() {
        let mut session = Session::new(1);
        session.on_reply(&Key::from("a"), &stored(3));
        let PutContext::Latest(context) = session.latest(&Key::from("a")) else {
            panic!("a session overwrites the latest");
        };
        assert_eq!(context.seen.iter().map(|(_, n)| n).collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn a_full_session_forgets_the_key_that_it_met_first() {
        let mut session = Session::new(1);
        session.on_reply(&Key::from("a"), &stored(3));
        session.on_reply(&Key::from("b"), &stored(4));
        assert_eq!(session.latest(&Key::from("a")), PutContext::Latest(Context::default()));
        assert_ne!(session.latest(&Key::from("b")), PutContext::Latest(Context::default()));
    }
}
