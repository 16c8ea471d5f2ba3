//! Gossip messages: SYN, ACK, ACK2, as in Cassandra. State per node is a join: the greater
//! generation wins, then the greater version of each single state.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::codec::{Codec, Reader, codec};
use crate::types::{Generation, NodeId};

/// How much the sender knows of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The node.
    pub node: NodeId,
    /// Which run of it.
    pub generation: Generation,
    /// The greatest version among its heartbeat and states: its heartbeat.
    pub version: u64,
}

codec!(struct Known { node, generation, version });

/// What has changed about one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta {
    /// The node.
    pub node: NodeId,
    /// Which run of it.
    pub generation: Generation,
    /// What the receiver said that it knows of that run: the states up to here are left out, so a
    /// receiver that knows less than this (it has restarted since) must not take the delta.
    pub since: u64,
    /// Its heartbeat: a counter that it raises once per interval while it lives.
    pub heartbeat: u64,
    /// How long ago the heartbeat was raised, in milliseconds. Each who passes it on adds how long
    /// it kept it, by its own monotonic clock; the time on the links is not in it.
    pub age_ms: u32,
    /// The states that are newer than what was known.
    pub states: Vec<State>,
}

codec!(struct Delta { node, generation, since, heartbeat, age_ms, states });

/// Something that a node says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// What it is about.
    pub key: StateKey,
    /// The heartbeat that first carried it.
    pub version: u64,
    /// What it says.
    pub value: Bytes,
}

codec!(struct State { key, version, value });

/// What a state is about. Numbers are stable; an unknown one is passed on untouched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StateKey(pub u8);

codec!(struct StateKey(_));

impl StateKey {
    /// Who may lack acknowledged writes ([`Behind`]).
    pub const BEHIND: Self = Self(1);
}

/// What is said under [`StateKey::BEHIND`]: the nodes for which the sender keeps hints, or could not
/// keep them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Behind(pub Vec<NodeId>);

impl Behind {
    /// The value of the state.
    pub fn encode(&self) -> Bytes {
        let mut value = Vec::new();
        self.0.encode(&mut value);
        Bytes::from(value)
    }

    /// What a peer says. One that says nothing intelligible says nothing.
    pub fn decode(value: &[u8]) -> Self {
        Vec::decode(&mut Reader::new(value)).map(Self).unwrap_or_default()
    }
}

/// See [`super::Body::GossipSyn`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Syn {
    /// All nodes that the sender knows.
    pub known: Vec<Known>,
}

codec!(struct Syn { known });

/// See [`super::Body::GossipAck`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// What the other lacks.
    pub deltas: Vec<Delta>,
    /// What the sender lacks, and how much of it it knows.
    pub wanted: Vec<Known>,
}

codec!(struct Ack { deltas, wanted });

/// See [`super::Body::GossipAck2`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack2 {
    /// What the other said that it lacks.
    pub deltas: Vec<Delta>,
}

codec!(struct Ack2 { deltas });
