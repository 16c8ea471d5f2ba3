//! Wipes: nodes lose all their data.

use toml::Table;

use super::{DiskLoss, FaultKeys, Inject, Strike, Target, Victims, victims};
use crate::scenario::{Cluster, Dice, DrawnCluster, KeyDoc, Problem};

/// Nodes stop, their data is deleted but not their identity, and they restart at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wipe {
    /// The nodes that lose their data.
    pub victims: Victims,
}

impl Inject for Wipe {
    const NAME: &'static str = "wipe";
    const ABOUT: &'static str =
        "nodes stop, lose their data but not their identity, and restart at the end";
    const KEYS: &'static [KeyDoc] = victims::KEYS_DOC;

    fn parse(keys: &FaultKeys<'_>, cluster: &Cluster) -> Result<Self, Problem> {
        Ok(Self { victims: Victims::parse_alone(keys, cluster)? })
    }

    /// Draws mostly one victim: nobody promises to keep what is lost everywhere.
    fn draw(dice: Dice, _cluster: &DrawnCluster, keys: &mut Table) {
        Victims::draw(dice, if dice.chance("several", 10) { 2 } else { 1 }, keys);
    }

    fn describe(&self, cluster: &Cluster) -> String {
        self.victims.describe(cluster)
    }

    fn may_last(&self) -> bool {
        true
    }

    fn victims_mut(&mut self) -> Option<&mut Victims> {
        Some(&mut self.victims)
    }

    fn begin(&self, world: &mut dyn Target, strike: &Strike) {
        for node in strike.nodes() {
            world.take_down(node, DiskLoss::Wiped);
        }
    }

    fn end(&self, world: &mut dyn Target, strike: &Strike) {
        for node in strike.nodes() {
            world.bring_up(node);
        }
    }
}
