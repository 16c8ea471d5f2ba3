//! The repair of a node: the comparison that it leads, its partners, and what it copies back.

use kv_core::repair::{DescentAwaits, RepairSnapshot, SessionSnapshot, SessionStage};
use kv_core::time::Time;
use serde::Serialize;

use super::{Teller, numbers};
use crate::story::state::keys::names_of;

/// The state of a node's repair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RepairState {
    /// The comparison that the node leads, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionState>,
    /// The peers that the node compares with.
    pub partners: Vec<PartnerState>,
    /// The keys that are being repaired.
    pub corrupt_keys: Vec<String>,
    /// The partitions that are being copied back.
    pub copying: Vec<CopyingState>,
    /// The number of storage commands that have not been answered.
    pub commands: usize,
    /// The number of steps that wait for the disk to sync.
    pub awaits_sync: usize,
}

/// A comparison with one peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SessionState {
    /// The peer that this session compares with.
    pub peer: String,
    /// The id of the session's messages.
    pub request: String,
    /// The time for which the session has been going on.
    pub for_us: u64,
    /// The stage of the session, in words.
    pub stage: String,
    /// The number of partitions that the present look has not asked about yet.
    pub to_look: usize,
    /// The partitions that differed at the first look.
    pub again: Vec<u32>,
    /// The partitions that are known to differ.
    pub to_repair: Vec<u32>,
    /// The partitions that are lost here and not there.
    pub to_copy: Vec<u32>,
}

/// A peer that a node compares with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartnerState {
    /// The name of the peer.
    pub node: String,
    /// The time since the last comparison ended, well or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub served_ago_us: Option<u64>,
    /// The time since the beginning of the last comparison that ended well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clean_ago_us: Option<u64>,
    /// True if the last comparison brought nothing of what was lost here.
    pub is_fruitless: bool,
}

/// A partition that is being copied back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CopyingState {
    /// The number of the partition.
    pub partition: u32,
    /// The nodes from which all of the partition was copied.
    pub sources: Vec<String>,
    /// True if the partition's data marker is being written.
    pub is_marking: bool,
}

impl Teller<'_> {
    pub(super) fn repair(&self, repair: &RepairSnapshot) -> RepairState {
        let ago = |time: Time| self.now.since(time).0;
        let partners = repair.partners.iter().map(|partner| PartnerState {
            node: self.names.node(partner.node),
            served_ago_us: partner.served_at.map(ago),
            clean_ago_us: partner.clean_since.map(ago),
            is_fruitless: partner.is_fruitless,
        });
        let copying = repair.copying.iter().map(|copying| CopyingState {
            partition: copying.partition.0,
            sources: names_of(self.names, &copying.sources),
            is_marking: copying.is_marking,
        });
        RepairState {
            session: repair.session.as_ref().map(|session| self.session(session)),
            partners: partners.collect(),
            corrupt_keys: repair
                .corrupt_keys
                .iter()
                .map(|corrupt| corrupt.key.to_string())
                .collect(),
            copying: copying.collect(),
            commands: repair.commands,
            awaits_sync: repair.awaits_sync,
        }
    }

    fn session(&self, session: &SessionSnapshot) -> SessionState {
        let stage = match session.stage {
            SessionStage::Comparing => "compares one digest over everything".to_owned(),
            SessionStage::Looking { partitions } => format!("compares {partitions} roots"),
            SessionStage::Settling => "gives writes in flight time to arrive".to_owned(),
            SessionStage::Descending { partition, awaits, leaves, keys_that_differed } => {
                let awaits = match awaits {
                    DescentAwaits::OwnStorage => "its own storage",
                    DescentAwaits::Branches => "inner nodes of the tree",
                    DescentAwaits::Leaves => "leaves of the tree",
                    DescentAwaits::Summaries => "the keys of a leaf",
                    DescentAwaits::Containers => "containers",
                    DescentAwaits::Sync => "its own disk",
                };
                format!(
                    "repairs partition {}: waits for {awaits}, {leaves} leaves left, \
                     {keys_that_differed} keys differed",
                    partition.0
                )
            }
        };
        SessionState {
            peer: self.names.node(session.peer),
            request: session.request.to_string(),
            for_us: self.now.since(session.began).0,
            stage,
            to_look: session.to_look,
            again: numbers(&session.again),
            to_repair: numbers(&session.to_repair),
            to_copy: numbers(&session.to_copy),
        }
    }
}
