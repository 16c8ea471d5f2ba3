//! The versions of a key, and the join of what two replicas know of it.
//!
//! A key's state is a [`Container`]: the siblings that stand, each under the [`Dot`] of the write
//! that made it, and a [`VersionVector`] of everything that is known of the key, standing or
//! overwritten (dotted version vectors, Preguiça et al. 2012; dotted version vector sets, Almeida
//! et al. 2014). Nothing here knows of nodes, clocks or disks.

mod container;
mod context;
mod vector;

pub use container::{Container, Relation};
pub use context::{Context, ContextError};
pub use vector::VersionVector;

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::codec::{Codec, Malformed, Reader, codec};
use crate::fingerprint;
use crate::time::{HybridTime, WallTime};
use crate::types::{Epoch, NodeId, RequestId};

/// The minter of dots: a node, in one stretch of its life in which it lost nothing that it minted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Actor {
    /// The node that mints.
    pub node: NodeId,
    /// The epoch of the node, drawn anew whenever it may have forgotten what it minted.
    pub epoch: Epoch,
}

impl Codec for Actor {
    fn encode(&self, out: &mut Vec<u8>) {
        let words = [self.node.0, self.epoch.0];
        out.extend_from_slice(words.map(u64::to_le_bytes).as_flattened());
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        let both = u128::from_le_bytes(input.array()?);
        Ok(Self { node: NodeId(both as u64), epoch: Epoch((both >> 64) as u64) })
    }
}

/// The identity of one write event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dot {
    /// The actor that minted the dot.
    pub actor: Actor,
    /// The number of the event among those of the actor, from 1.
    pub n: u64,
}

codec!(struct Dot { actor, n });

impl Dot {
    /// Appends the dot, for the identity of a run.
    pub fn fingerprint(self, out: &mut Vec<u8>) {
        fingerprint::numbers(out, [self.actor.node.0, self.actor.epoch.0, self.n]);
    }
}

/// One write: its content, its time, and its request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Version {
    /// The value, or the statement that there is none.
    pub content: Content,
    /// The time at which it was written; orders siblings where a bucket says so, and nothing else.
    pub time: HybridTime,
    /// The time from which on it is invisible, if it expires.
    pub expiry: Option<WallTime>,
    /// The request that made the write; retries carry the same.
    pub request: RequestId,
    /// The place in the order of the key, for linearizable writes only.
    pub tag: Option<Box<Tag>>,
}

codec!(struct Version { content, time, expiry, request, tag });

/// The content of a write.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Content {
    /// The value that the key holds.
    Value(Bytes),
    /// The deletion of the key: an event with a dot and a context, never mere absence.
    Tombstone,
}

codec!(enum Content { 0 => Value(value), 1 => Tombstone });

/// The place of a linearizable write in the order of its key (multi-writer ABD).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag {
    /// The number of the round: one more than the greatest that the writer saw.
    pub round: u64,
    /// The node that wrote, which breaks ties.
    pub coordinator: NodeId,
    /// The request that it wrote for, which breaks ties within one coordinator.
    pub request: RequestId,
}

codec!(struct Tag { round, coordinator, request });

impl Content {
    /// The value, if there is one.
    pub const fn value(&self) -> Option<&Bytes> {
        match self {
            Self::Value(value) => Some(value),
            Self::Tombstone => None,
        }
    }
}
