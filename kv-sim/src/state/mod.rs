//! One moment of a run, as it can be read and scripted: the state of nodes, disks, links, keys and
//! clients, with names in the place of ids.
//!
//! In goes a world ([`crate::world::World::state`]) and what the reader asks for ([`Focus`]); out
//! comes a [`WorldState`], which is plain data: its `Display` is the text, and as JSON every time is
//! in microseconds, every unit in its key. Keys are added, never renamed and never taken away.

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

use crate::result::RunDigest;
use crate::scenario::NodeIndex;

pub use clients::{ClientState, RequestState};
pub use disk::DiskState;
pub use keys::{ContainerState, CopyState, KeyState, SiblingState};
pub use links::{FaultState, LinkState, Trouble, TroubleKind, UnderWay};
pub use node::{
    AnswerState, ClockState, CopyingState, CoreState, DeadlineState, DialState, FallbackState,
    HintsState, NodeState, OperationState, PartnerState, PeerState, QuorumState, RepairState,
    RingState, Runs, SessionState, StaleState,
};

pub(crate) use keys::states as keys;
pub(crate) use links::troubles;
pub(crate) use node::states as nodes;

/// What the reader wants to see of a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Focus {
    /// Only these nodes, what lies on their disks, and what touches them; all, if empty.
    pub nodes: BTreeSet<NodeIndex>,
    /// Only these keys; all, if empty.
    pub keys: BTreeSet<Key>,
}

/// A moment of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WorldState {
    /// Which moment, since the world began. All that was to happen up to then has happened.
    pub at_us: u64,
    /// When the chaos phase began, from which scenarios count; nothing, if it has not.
    pub chaos_since_us: Option<u64>,
    /// When something happened last.
    pub changed_us: u64,
    /// How far the run has come: `setup`, `chaos`, `heal`, `check` or `over`.
    pub phase: &'static str,
    /// The identity of the run so far.
    pub digest: RunDigest,
    /// Inputs that cores and clients have handled.
    pub events: u64,
    /// The faults at work.
    pub faults: Vec<FaultState>,
    /// The links that are not as usual.
    pub links: Vec<LinkState>,
    /// The messages that are under way.
    pub under_way: Vec<UnderWay>,
    /// The nodes.
    pub nodes: Vec<NodeState>,
    /// What is held of each key, and where.
    pub keys: Vec<KeyState>,
    /// The clients, and what they wait for.
    pub clients: Vec<ClientState>,
}

impl Focus {
    /// Whether a node is to be shown.
    pub fn shows(&self, node: NodeIndex) -> bool {
        self.nodes.is_empty() || self.nodes.contains(&node)
    }

    /// Whether a key is to be shown.
    pub fn shows_key(&self, key: &Key) -> bool {
        self.keys.is_empty() || self.keys.contains(key)
    }
}
