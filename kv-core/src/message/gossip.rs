//! Gossip messages: SYN, ACK, ACK2, as in Cassandra. State per node is a join: the greater
//! generation wins, then the greater version of each single state.

use alloc::vec::Vec;

use bytes::Bytes;

use super::family::{Family, family};
use crate::codec::{Codec, Reader, codec};
use crate::log_runs::LogRuns;
use crate::types::{Generation, Key, LogPosition, NodeId, PartitionId};

family! {
    /// A message between the memberships of two nodes.
    GossipMessage,
    /// The kind of a [`GossipMessage`].
    GossipKind {
        /// The versions that the sender knows of all nodes.
        Syn(Syn) = 1 "gossip-syn",
        /// The changes that the receiver lacks, and the nodes of which the sender lacks some.
        Ack(Ack) = 2 "gossip-ack",
        /// The changes that the receiver said it lacks.
        Ack2(Ack2) = 3 "gossip-ack2",
    }
}

impl Family for GossipMessage {
    fn keys(&self) -> Vec<&Key> {
        match self {
            Self::Syn(_) | Self::Ack(_) | Self::Ack2(_) => Vec::new(),
        }
    }

    fn weight(&self) -> usize {
        match self {
            Self::Syn(syn) => weight_of_known(&syn.known),
            Self::Ack(ack) => weight_of_deltas(&ack.deltas) + weight_of_known(&ack.wanted),
            Self::Ack2(ack2) => weight_of_deltas(&ack2.deltas),
        }
    }

    fn is_urgent(&self) -> bool {
        match self {
            Self::Syn(_) | Self::Ack(_) | Self::Ack2(_) => true,
        }
    }
}

const fn weight_of_known(known: &[Known]) -> usize {
    size_of_val(known)
}

fn weight_of_deltas(deltas: &[Delta]) -> usize {
    let states = deltas.iter().flat_map(|delta| &delta.states);
    size_of_val(deltas) + states.map(|state| state.value.len()).sum::<usize>()
}

/// The extent of the sender's knowledge of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The node.
    pub node: NodeId,
    /// The run of that node.
    pub generation: Generation,
    /// The greatest version among its heartbeat and states: its heartbeat.
    pub version: u64,
}

codec!(struct Known { node, generation, version });

/// The changes about one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta {
    /// The node.
    pub node: NodeId,
    /// The run of that node.
    pub generation: Generation,
    /// The version of that run that the receiver said it knows: the states up to here are left out,
    /// so a receiver that knows less than this (it has restarted since) must not take the delta.
    pub since: u64,
    /// The node's heartbeat: a counter that it raises once per interval while it lives.
    pub heartbeat: u64,
    /// The time since the heartbeat was raised, in milliseconds. Each node that passes it on adds
    /// how long it kept it, by its own monotonic clock; the time on the links is not in it.
    pub age_ms: u32,
    /// The states that are newer than what was known.
    pub states: Vec<State>,
}

codec!(struct Delta { node, generation, since, heartbeat, age_ms, states });

/// A statement of a node about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The subject of the statement.
    pub key: StateKey,
    /// The heartbeat that first carried the statement.
    pub version: u64,
    /// The encoded statement.
    pub value: Bytes,
}

codec!(struct State { key, version, value });

/// The subject of a state. Numbers are stable; an unknown one is passed on untouched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StateKey(pub u8);

codec!(struct StateKey(_));

impl StateKey {
    /// The nodes that may lack acknowledged writes ([`Behind`]).
    pub const BEHIND: Self = Self(1);
    /// The partitions of which a node does not hold all that it must ([`Incomplete`]).
    pub const INCOMPLETE: Self = Self(2);
    /// The position up to which a node's log is durable, with the runs that wrote it ([`LogState`]).
    pub const LOG: Self = Self(3);
}

/// The value under [`StateKey::BEHIND`]: the nodes for which the sender keeps hints, or could not
/// keep them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Behind(pub Vec<NodeId>);

impl Behind {
    /// Encodes the value of the state.
    pub fn encode(&self) -> Bytes {
        let mut value = Vec::new();
        self.0.encode(&mut value);
        Bytes::from(value)
    }

    /// Decodes the value that a peer sent. One that cannot be decoded counts as empty.
    pub fn decode(value: &[u8]) -> Self {
        Vec::decode(&mut Reader::new(value)).map(Self).unwrap_or_default()
    }
}

/// The value under [`StateKey::INCOMPLETE`]: the places, in the list of the partitions that the
/// sender owns ([`crate::ring::Ring::owned_by`]), of those of which it does not hold all that it
/// must, as ranges from a place up to another. A node that was never incomplete does not send it.
///
/// For people and load balancers: a read finds out when it asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Incomplete(pub Vec<(u32, u32)>);

impl Incomplete {
    /// The most ranges. If there are more, the last one goes on to the end: too much is said to be
    /// incomplete then, never too little.
    const RANGES_MAX: usize = 256;

    /// The places of those partitions that are not complete.
    pub fn of(owned: &[PartitionId], is_complete: impl Fn(PartitionId) -> bool) -> Self {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for (at, _) in (0_u32..).zip(owned).filter(|&(_, &partition)| !is_complete(partition)) {
            let is_full = ranges.len() == Self::RANGES_MAX;
            match ranges.last_mut() {
                Some((_, end)) if *end == at || is_full => *end = at + 1,
                Some(_) | None => ranges.push((at, at + 1)),
            }
        }
        Self(ranges)
    }

    /// Tells whether everything is complete.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The partitions, of one that owns these. Ranges that make no sense are none.
    pub fn partitions(&self, owned: &[PartitionId]) -> impl Iterator<Item = PartitionId> {
        let range = |&(start, end): &(u32, u32)| {
            owned.get(start as usize..(end as usize).min(owned.len())).unwrap_or_default()
        };
        self.0.iter().take(Self::RANGES_MAX).flat_map(range).copied()
    }

    /// Encodes the value of the state.
    pub fn encode(&self) -> Bytes {
        let mut value = Vec::new();
        self.0.encode(&mut value);
        Bytes::from(value)
    }

    /// Decodes the value that a peer sent. One that cannot be decoded counts as empty.
    pub fn decode(value: &[u8]) -> Self {
        Vec::decode(&mut Reader::new(value)).map(Self).unwrap_or_default()
    }
}

/// The value under [`StateKey::LOG`]: how far the sender's log goes, so that it can be told if it comes
/// back with less.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogState {
    /// The runs that wrote the log, the sender's own the last.
    pub runs: LogRuns,
    /// The position up to which the log is durable.
    pub durable: LogPosition,
}

codec!(struct LogState { runs, durable });

impl LogState {
    /// Encodes the value of the state.
    pub fn encoded(&self) -> Bytes {
        let mut value = Vec::new();
        self.encode(&mut value);
        Bytes::from(value)
    }

    /// Decodes the value that a peer sent. One that cannot be decoded says nothing.
    pub fn of(value: &[u8]) -> Self {
        Self::decode(&mut Reader::new(value)).unwrap_or_default()
    }
}

/// The payload of [`GossipMessage::Syn`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Syn {
    /// Every node that the sender knows.
    pub known: Vec<Known>,
}

codec!(struct Syn { known });

/// The payload of [`GossipMessage::Ack`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The changes that the receiver lacks.
    pub deltas: Vec<Delta>,
    /// The nodes of which the sender lacks something, and how much of them it knows.
    pub wanted: Vec<Known>,
}

codec!(struct Ack { deltas, wanted });

/// The payload of [`GossipMessage::Ack2`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack2 {
    /// The changes that the receiver said it lacks.
    pub deltas: Vec<Delta>,
}

codec!(struct Ack2 { deltas });

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    impl GossipMessage {
        /// One message of each kind.
        pub(in crate::message) fn samples() -> Vec<Self> {
            let known = vec![Known { node: NodeId(1), generation: Generation(2), version: 3 }];
            let state = State { key: StateKey(1), version: 2, value: Bytes::from_static(b"s") };
            let deltas = vec![Delta {
                node: NodeId(1),
                generation: Generation(2),
                since: 1,
                heartbeat: 3,
                age_ms: 4,
                states: vec![state],
            }];
            vec![
                Self::Syn(Syn { known: known.clone() }),
                Self::Ack(Ack { deltas: deltas.clone(), wanted: known }),
                Self::Ack2(Ack2 { deltas }),
            ]
        }
    }

    fn passed_on(owned: &[u32], complete: &[u32]) -> Vec<u32> {
        let owned: Vec<_> = owned.iter().copied().map(PartitionId).collect();
        let said = Incomplete::of(&owned, |partition| complete.contains(&partition.0));
        let heard = Incomplete::decode(&said.encode());
        assert_eq!(heard, said);
        heard.partitions(&owned).map(|partition| partition.0).collect()
    }

    #[test]
    fn what_is_incomplete_arrives_as_it_was_said() {
        assert_eq!(passed_on(&[3, 5, 8, 9], &[]), [3, 5, 8, 9]);
        assert_eq!(passed_on(&[3, 5, 8, 9], &[5]), [3, 8, 9]);
        assert_eq!(passed_on(&[3, 5, 8, 9], &[3, 5, 8, 9]), []);
        assert_eq!(passed_on(&[], &[]), []);
    }

    #[test]
    fn many_gaps_are_said_to_be_incomplete_rather_than_too_few() {
        let owned: Vec<u32> = (0..2_000).collect();
        let odd: Vec<u32> = (0..2_000).filter(|partition| partition % 2 == 1).collect();
        let heard = passed_on(&owned, &odd);
        assert!((0..2_000).step_by(2).all(|partition| heard.contains(&partition)));
        assert!(heard.len() < 2_000, "as long as there is room, gaps are told");
        let partitions: Vec<_> = owned.iter().copied().map(PartitionId).collect();
        let said = Incomplete::of(&partitions, |partition| odd.contains(&partition.0));
        assert_eq!(said.0.len(), Incomplete::RANGES_MAX);
    }

    #[test]
    fn ranges_that_make_no_sense_are_none() {
        let owned = [PartitionId(1), PartitionId(2)];
        for range in [(5, 9), (2, 1), (u32::MAX, u32::MAX)] {
            assert_eq!(Incomplete(Vec::from([range])).partitions(&owned).count(), 0, "{range:?}");
        }
        let beyond = Incomplete(Vec::from([(1, u32::MAX)]));
        assert_eq!(beyond.partitions(&owned).collect::<Vec<_>>(), [PartitionId(2)]);
    }
}
