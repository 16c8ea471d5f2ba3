//! Disks that are cloned: nodes get a copy of the data of another.

use serde::Deserialize;
use toml::{Spanned, Table};

use super::keys::NameList;
use super::{DiskLoss, FaultKeys, Inject, Strike, Target, Victims, victims};
use crate::random::address::Aspect;
use crate::scenario::{Cluster, Dice, DrawnCluster, KeyDoc, NodeIndex, Problem, ValueDoc};

/// The node stops, its data is replaced by a copy of another node's, and it restarts at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloneDisk {
    /// The nodes that get the copy.
    pub victims: Victims,
    /// The node whose data is copied; drawn from the seed if the file names none.
    pub from: Option<NodeIndex>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CloneDiskKeys {
    from: Option<Spanned<String>>,
    nodes: Option<NameList>,
    random: Option<Spanned<u64>>,
}

impl Inject for CloneDisk {
    const NAME: &'static str = "clone-disk";
    const ABOUT: &'static str =
        "nodes stop, get a copy of the data of another node, and restart at the end";
    const KEYS: &'static [KeyDoc] = &[
        KeyDoc::new("from", ValueDoc::Node, "the node whose data is copied")
            .or_else("another one, drawn"),
        victims::NODES_DOC,
        victims::RANDOM_DOC,
    ];

    fn parse(keys: &FaultKeys<'_>, cluster: &Cluster) -> Result<Self, Problem> {
        let CloneDiskKeys { from: name, nodes, random } = keys.parse()?;
        let span = keys.span.clone();
        if cluster.nodes.len() == 1 {
            return Err(Problem::at(span, "there is no other disk to copy").label("one node only"));
        }
        let from = name.as_ref().map(|name| cluster.named(name)).transpose()?;
        let victims = Victims::parse(nodes.as_ref(), random.as_ref(), span, cluster)?;
        if let (Some(from), Some(name), Victims::These(nodes)) = (from, &name, &victims)
            && nodes.contains(&from)
        {
            return Err(Problem::at(name.span(), "a disk is copied onto itself")
                .label("stands in nodes as well"));
        }
        Ok(Self { victims, from })
    }

    fn draw(dice: Dice, _cluster: &DrawnCluster, keys: &mut Table) {
        Victims::draw(dice, 1, keys);
    }

    fn describe(&self, cluster: &Cluster) -> String {
        let whom = self.victims.describe(cluster);
        match self.from {
            Some(from) => format!("{} onto {whom}", cluster.name(from)),
            None => format!("another one onto {whom}"),
        }
    }

    fn victims_mut(&mut self) -> Option<&mut Victims> {
        Some(&mut self.victims)
    }

    fn begin(&self, world: &mut dyn Target, strike: &Strike) {
        for node in strike.nodes() {
            let others: Vec<_> = world.cluster().indices().filter(|&other| other != node).collect();
            let draws = world.draws();
            let turn = draws.next(&strike.address());
            let drawn = others[draws.index(turn, Aspect::Donor, others.len())];
            let by = self.from.filter(|&from| from != node).unwrap_or(drawn);
            // The data that was copied there might be this node's own.
            let is_a_copy = world.holds_foreign_data(by);
            let loss = if is_a_copy { DiskLoss::Wiped } else { DiskLoss::Replaced { by } };
            world.take_down(node, loss);
        }
    }

    fn end(&self, world: &mut dyn Target, strike: &Strike) {
        for node in strike.nodes() {
            world.bring_up(node);
        }
    }
}
