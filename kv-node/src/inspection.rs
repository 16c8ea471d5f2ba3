//! The state of a node, as its core tells it: plain data for health checks, metrics and people.

use std::collections::{BTreeMap, BTreeSet};

use kv_core::coordinator::{Others, OutOfReach, OwnStorage};
use kv_core::cx::{LinkState, NodeContext};
use kv_core::event::RejectReason;
use kv_core::node::Node;
use kv_core::store::StoreFault;
use kv_core::time::Time;
use kv_core::types::NodeId;

/// The numbers that are published after each turn of the core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TurnCounts {
    /// The number of partitions that this node owns.
    pub partitions_owned: u64,
    /// The number of partitions for which this node is complete, so that it serves reads of them.
    pub partitions_complete: u64,
    /// The number of hints that this node keeps for others.
    pub hints_pending: u64,
    /// The number of client operations in flight.
    pub operations: u64,
    /// The number of peers that seem to be down.
    pub peers_down: u64,
    /// The number of peers.
    pub peers: u64,
}

/// The state of a node, in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// The numbers of the last turn.
    pub counts: TurnCounts,
    /// False while the node waits until its cluster is founded.
    pub is_founded: bool,
    /// The number of partitions of the whole ring.
    pub partitions: u64,
    /// The quorums and the mode of requests that give none.
    pub quorums: DefaultQuorums,
    /// The partitions of the ring in which a default request could not be met now.
    pub out_of_reach: OutOfReach,
    /// The number of this node's partitions of which so many owners are incomplete that none can
    /// become complete, until an operator accepts that.
    pub partitions_loss_undecided: u64,
    /// The number of keys whose records are corrupt here and not repaired yet.
    pub corrupt_keys: u64,
    /// The state of the node's storage.
    pub storage: StorageFact,
    /// The silence, in milliseconds, after which a peer counts as not heard: by then it has
    /// gossiped many times, and so has every other one.
    pub heard_within_ms: u64,
    /// The other members, in the order of their names.
    pub peers: Vec<PeerState>,
}

/// The state of a node's storage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StorageFact {
    /// The storage reads and writes.
    #[default]
    Writable,
    /// The disk is full: the storage reads, and refuses writes.
    Full,
    /// The system has no more file descriptors: the storage reads, and refuses writes.
    OutOfFiles,
    /// The storage failed, and does nothing any more.
    Failed,
}

impl From<StoreFault> for StorageFact {
    fn from(fault: StoreFault) -> Self {
        match fault {
            StoreFault::Full => Self::Full,
            StoreFault::OutOfFiles => Self::OutOfFiles,
            StoreFault::Failed => Self::Failed,
        }
    }
}

impl StorageFact {
    /// The state in one word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Writable => "writable",
            Self::Full => "full",
            Self::OutOfFiles => "out-of-files",
            Self::Failed => "failed",
        }
    }

    const fn own(self) -> OwnStorage {
        match self {
            Self::Writable => OwnStorage::Writable,
            Self::Full | Self::OutOfFiles => OwnStorage::ReadOnly,
            Self::Failed => OwnStorage::Failed,
        }
    }
}

/// The quorums and the mode of a request that gives none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DefaultQuorums {
    /// The number of answers that a read waits for.
    pub read: u64,
    /// The number of durable copies that a write waits for.
    pub write: u64,
    /// The mode, in one word: whether fallbacks count.
    pub mode: &'static str,
}

/// Another member, as this node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerState {
    /// The id of the member.
    pub node: NodeId,
    /// The name of the member.
    pub name: String,
    /// False if gossip says that it is silent.
    pub seems_up: bool,
    /// True while the connection on which this node speaks to it stands.
    pub is_connected: bool,
    /// The time in milliseconds since the member's last message; `None` if there was none since
    /// this node started.
    pub silent_ms: Option<u64>,
    /// The reason, in one word, why this node refuses the peer; `None` if it does not.
    pub refused: Option<&'static str>,
}

impl Inspection {
    /// Tells whether this node has heard a peer lately.
    pub fn hears(&self, peer: &PeerState) -> bool {
        peer.silent_ms.is_some_and(|ms| ms <= self.heard_within_ms)
    }
}

impl PeerState {
    /// Tells whether the peer would answer a request now, as far as can be known.
    pub const fn can_be_asked(&self) -> bool {
        self.seems_up && self.is_connected && self.silent_ms.is_some()
    }
}

/// The observations of the peers by the driver of a core, beside the opinions of the core.
#[derive(Debug, Default)]
pub struct PeerWatch {
    heard: BTreeMap<NodeId, Time>,
    connected: BTreeSet<NodeId>,
    refused: BTreeMap<NodeId, &'static str>,
    /// The last answer and its question: going through a large ring takes its time, and nothing
    /// changes as a rule.
    reach: Option<(ReachQuestion, OutOfReach)>,
}

/// The values on which [`OutOfReach::of`] depends, beside those that never change.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ReachQuestion {
    others: Others,
    complete: usize,
    storage: StorageFact,
}

impl PeerWatch {
    /// Notes that a peer has said something.
    pub fn on_heard(&mut self, peer: NodeId, now: Time) {
        self.heard.insert(peer, now);
        self.refused.remove(&peer);
    }

    /// Notes that a connection to a peer came to be, or broke.
    pub fn on_link(&mut self, peer: NodeId, state: LinkState) {
        match state {
            LinkState::Up => {
                self.connected.insert(peer);
                self.refused.remove(&peer);
            }
            LinkState::Down => {
                self.connected.remove(&peer);
            }
        }
    }

    /// Notes that a message of a peer was rejected: if all of its messages are, it is as good as
    /// silent.
    pub fn on_rejected(&mut self, peer: NodeId, reason: RejectReason) {
        match reason {
            RejectReason::Cluster => self.refuse(peer, "cluster"),
            RejectReason::Addressee => self.refuse(peer, "addressee"),
            RejectReason::Layout => self.refuse(peer, "layout"),
            // Such a sender is nobody's peer.
            RejectReason::Stranger => {}
            // What its clock has to do with is rejected, and nothing else.
            RejectReason::Future => {}
        }
    }

    /// Notes that a connection in the name of a peer was refused. While the connection to the peer
    /// stands, it came from another process.
    pub fn on_refused(&mut self, peer: NodeId, reason: &'static str) {
        if !self.connected.contains(&peer) {
            self.refuse(peer, reason);
        }
    }

    fn refuse(&mut self, peer: NodeId, reason: &'static str) {
        self.refused.insert(peer, reason);
        self.heard.remove(&peer);
    }

    /// Lists all other members as they seem now.
    pub fn peers(&self, local: &NodeContext, now: Time) -> Vec<PeerState> {
        let others = local.topology().members().iter().filter(|member| member.id != local.me());
        let state = |member: &kv_core::layout::Member| PeerState {
            node: member.id,
            name: member.name.clone(),
            seems_up: local.is_up(member.id),
            is_connected: self.connected.contains(&member.id),
            silent_ms: self.heard.get(&member.id).map(|&heard| now.since(heard).as_ms()),
            refused: self.refused.get(&member.id).copied(),
        };
        let mut peers: Vec<_> = others.map(state).collect();
        peers.sort_by(|left, right| left.name.cmp(&right.name));
        peers
    }

    /// The partitions in which these peers could not meet a default request.
    pub fn out_of_reach(
        &mut self,
        node: &Node,
        peers: &[PeerState],
        storage: StorageFact,
    ) -> OutOfReach {
        let local = node.local();
        let asked = peers.iter().filter(|peer| peer.can_be_asked()).map(|peer| peer.node);
        let others =
            Others { can_be_asked: asked.collect(), incomplete: node.incomplete_elsewhere() };
        let question = ReachQuestion { others, complete: local.complete.len(), storage };
        match &self.reach {
            Some((known, answer)) if *known == question => *answer,
            Some(_) | None => {
                let answer = OutOfReach::of(local, storage.own(), &question.others);
                self.reach = Some((question, answer));
                answer
            }
        }
    }
}
