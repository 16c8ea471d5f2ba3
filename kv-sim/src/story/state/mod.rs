//! One moment of a run, as it can be read and scripted: the state of nodes, disks, links, keys and
//! clients, with names in the place of ids.
//!
//! Takes a world ([`crate::cluster::world::World::state`]) and what the reader asks for ([`StateFocus`]), and
//! makes a [`WorldState`], which is plain data: its `Display` is the text, and as JSON every time
//! is in microseconds, every unit in its key. Keys are added, never renamed and never taken away.

mod clients;
mod disk;
mod keys;
mod links;
mod node;
mod phi;
mod text;

use std::collections::BTreeSet;

use kv_core::types::Key;
use serde::Serialize;

use crate::scenario::NodeIndex;
use crate::story::result::RunDigest;

pub use clients::{ClientState, RequestState};
pub use disk::DiskState;
pub use keys::{ContainerState, CopyState, KeyState, SiblingState};
pub use links::{FaultState, ShownLink, Trouble, TroubleKind, UnderWay};
pub use node::{
    AnswerState, ClockState, CopyingState, CoreState, DeadlineState, DialState, FallbackState,
    HintsState, NodeState, OperationState, PartnerState, PeerState, ProcessState, QuorumState,
    RepairState, RingState, SessionState, StaleState,
};

pub(crate) use keys::states as keys;
pub(crate) use links::troubles;
pub(crate) use node::states as nodes;

/// The part of a moment that the reader wants to see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateFocus {
    /// The nodes that are shown, with their disks and all that touches them; all, if empty.
    pub nodes: BTreeSet<NodeIndex>,
    /// The keys that are shown; all, if empty.
    pub keys: BTreeSet<Key>,
}

/// The state of the world at a moment of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WorldState {
    /// The moment, since the world began. All that was to happen up to then has happened.
    pub at_us: u64,
    /// The time at which the chaos phase began, from which scenarios count; none, if it has not.
    pub chaos_since_us: Option<u64>,
    /// The time at which something happened last.
    pub changed_us: u64,
    /// The phase of the run: `setup`, `chaos`, `heal`, `check` or `over`.
    pub phase: &'static str,
    /// The digest of the run so far.
    pub digest: RunDigest,
    /// The number of inputs that cores and clients have handled.
    pub events: u64,
    /// The faults at work.
    pub faults: Vec<FaultState>,
    /// The links that are not as usual.
    pub links: Vec<ShownLink>,
    /// The messages that are under way.
    pub under_way: Vec<UnderWay>,
    /// The nodes and their machines.
    pub nodes: Vec<NodeState>,
    /// The copies of each key.
    pub keys: Vec<KeyState>,
    /// The clients, and the operations that they wait for.
    pub clients: Vec<ClientState>,
}

impl StateFocus {
    /// Tells whether a node is to be shown.
    pub fn shows(&self, node: NodeIndex) -> bool {
        self.nodes.is_empty() || self.nodes.contains(&node)
    }

    /// Tells whether a key is to be shown.
    pub fn shows_key(&self, key: &Key) -> bool {
        self.keys.is_empty() || self.keys.contains(key)
    }
}
