//! Kills: at once, or exactly at a step of a storage command.

use serde::Deserialize;
use toml::{Spanned, Table};

use super::keys::NameList;
use super::{DiskLoss, FaultKeys, Inject, StorageStep, Strike, Target, Victims, victims};
use crate::scenario::{Cluster, Dice, DrawnCluster, KeyDoc, Problem, ValueDoc};

/// A kill: nodes stop dead and restart at the end, without what was not synced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kill {
    /// The nodes that are killed.
    pub victims: Victims,
    /// The step of its disk at which a node dies; at once, if there is none. A node that takes no
    /// such step in time is spared.
    pub at: Option<StorageStep>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KillKeys {
    at: Option<StorageStep>,
    nodes: Option<NameList>,
    random: Option<Spanned<u64>>,
}

impl Inject for Kill {
    const NAME: &'static str = "kill";
    const ABOUT: &'static str = "nodes stop dead, lose what was not synced, and restart at the \
                                 end; at once, or exactly at a step of a storage command";
    const KEYS: &'static [KeyDoc] = &[
        KeyDoc::new(
            "at",
            ValueDoc::Word(&["execute", "sync", "answer"]),
            "the step of a storage command at which a node dies, from `from_ms` on: before it is \
             executed, between that and its sync, before the node hears of it",
        )
        .or_else("at once"),
        victims::NODES_DOC,
        victims::RANDOM_DOC,
    ];

    fn parse(keys: &FaultKeys<'_>, cluster: &Cluster) -> Result<Self, Problem> {
        let KillKeys { at, nodes, random } = keys.parse()?;
        let span = keys.span.clone();
        Ok(Self { victims: Victims::parse(nodes.as_ref(), random.as_ref(), span, cluster)?, at })
    }

    fn draw(dice: Dice, cluster: &DrawnCluster, keys: &mut Table) {
        Victims::draw(dice, cluster.names.len() as u64, keys);
        if dice.chance("at a step", 40) {
            let step = dice.one_of("step", &["execute", "sync", "answer"]);
            keys.insert("at".to_owned(), step.into());
        }
    }

    fn describe(&self, cluster: &Cluster) -> String {
        let at = self.at.map_or_else(String::new, |step| format!(", {}", step.words()));
        format!("{}{at}", self.victims.describe(cluster))
    }

    fn may_last(&self) -> bool {
        true
    }

    fn victims_mut(&mut self) -> Option<&mut Victims> {
        Some(&mut self.victims)
    }

    fn begin(&self, world: &mut dyn Target, strike: &Strike) {
        for node in strike.nodes() {
            match self.at {
                None => world.take_down(node, DiskLoss::Nothing),
                Some(step) => world.take_down_at(node, step, strike.name),
            }
        }
    }

    fn end(&self, world: &mut dyn Target, strike: &Strike) {
        for node in strike.nodes() {
            match self.at {
                None => world.bring_up(node),
                Some(_) => world.spare_or_bring_up(node, strike.name),
            }
        }
    }
}
