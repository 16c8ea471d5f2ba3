//! Kills: at once, or exactly at a step of a storage command.

use serde::Deserialize;
use toml::Spanned;

use super::super::cluster::Cluster;
use super::super::error::Problem;
use super::keys::{Names, victims};
use super::{FaultKind, Victims};

/// A kill: nodes stop dead and restart at the end, without what was not synced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kill {
    /// The nodes that are killed.
    pub victims: Victims,
    /// The step of its disk at which a node dies; at once, if there is none. A node that takes no
    /// such step in time is spared.
    pub at: Option<StorageStep>,
}

/// A step of a storage command, just before which a node can die.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StorageStep {
    /// The command is about to execute. Until then it has done nothing.
    Execute,
    /// The sync that covers the command is about to end. The command was executed, its outcome may
    /// have been told to others, and it is lost.
    Sync,
    /// The node is about to be told of the sync. What was stored stands, and nobody was told.
    Answer,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KillKeys {
    at: Option<StorageStep>,
    nodes: Option<Names>,
    random: Option<Spanned<u64>>,
}

impl Kill {
    pub(super) fn describe(&self, cluster: &Cluster) -> String {
        let at = self.at.map_or_else(String::new, |step| format!(", {}", step.words()));
        format!("{}{at}", self.victims.describe(cluster))
    }
}

impl StorageStep {
    /// The moment at which a node dies at this step, in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Execute => "before the next command executes",
            Self::Sync => "before the next sync ends",
            Self::Answer => "before it hears of the next sync",
        }
    }
}

pub(super) fn kill(
    keys: &KillKeys,
    span: std::ops::Range<usize>,
    cluster: &Cluster,
) -> Result<FaultKind, Problem> {
    let victims = victims(keys.nodes.as_ref(), keys.random.as_ref(), span, cluster)?;
    Ok(FaultKind::Kill(Kill { victims, at: keys.at }))
}
