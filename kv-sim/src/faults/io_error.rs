//! Errors of disks: syncs or commits fail, so that nodes stop.

use serde::Deserialize;
use toml::{Spanned, Table};

use super::keys::NameList;
use super::{Ailment, FaultKeys, Inject, Strike, Target, Victims, victims};
use crate::scenario::{Cluster, Dice, DrawnCluster, KeyDoc, Problem, ValueDoc};

/// The log fails, so that the node stops. It restarts at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IoError {
    /// The nodes whose disks are hit.
    pub victims: Victims,
    /// The step of the log that fails.
    pub fails: LogStep,
}

/// The step of the log that fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogStep {
    /// Writing a batch to the log fails: the batch is not there.
    Commit,
    /// Syncing the log fails: the batches are there while the process runs, and never safe.
    #[default]
    Sync,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IoErrorKeys {
    #[serde(default)]
    fails: LogStep,
    nodes: Option<NameList>,
    random: Option<Spanned<u64>>,
}

impl Inject for IoError {
    const NAME: &'static str = "io-error";
    const ABOUT: &'static str =
        "syncs fail (or, with fails = \"commit\", commits), so nodes stop; they restart at the end";
    const KEYS: &'static [KeyDoc] = &[
        KeyDoc::new("fails", ValueDoc::Word(&["sync", "commit"]), "what fails").or("\"sync\""),
        victims::NODES_DOC,
        victims::RANDOM_DOC,
    ];

    fn parse(keys: &FaultKeys<'_>, cluster: &Cluster) -> Result<Self, Problem> {
        let IoErrorKeys { fails, nodes, random } = keys.parse()?;
        let span = keys.span.clone();
        Ok(Self { victims: Victims::parse(nodes.as_ref(), random.as_ref(), span, cluster)?, fails })
    }

    fn draw(dice: Dice, _cluster: &DrawnCluster, keys: &mut Table) {
        let fails = if dice.chance("commits", 50) { "commit" } else { "sync" };
        keys.insert("fails".to_owned(), fails.into());
        Victims::draw(dice, 2, keys);
    }

    fn describe(&self, cluster: &Cluster) -> String {
        let what = match self.fails {
            LogStep::Commit => "commits",
            LogStep::Sync => "syncs",
        };
        format!("{}: {what}", self.victims.describe(cluster))
    }

    fn may_last(&self) -> bool {
        true
    }

    fn victims_mut(&mut self) -> Option<&mut Victims> {
        Some(&mut self.victims)
    }

    fn begin(&self, world: &mut dyn Target, strike: &Strike) {
        for node in strike.nodes() {
            world.afflict(node, self.ailment());
        }
    }

    fn end(&self, world: &mut dyn Target, strike: &Strike) {
        for node in strike.nodes() {
            world.cure(node, self.ailment());
            world.restart_if_disk_is_well(node);
        }
    }
}

impl IoError {
    const fn ailment(&self) -> Ailment {
        match self.fails {
            LogStep::Commit => Ailment::FailsCommits,
            LogStep::Sync => Ailment::FailsSyncs,
        }
    }
}
