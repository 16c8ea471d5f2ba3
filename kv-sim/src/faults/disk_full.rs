//! Full disks: they take nothing that needs room.

use toml::Table;

use super::{Ailment, FaultKeys, Inject, Strike, Target, Victims, victims};
use crate::scenario::{Cluster, Dice, DrawnCluster, KeyDoc, Problem};

/// Batches that need room are refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskFull {
    /// The nodes whose disks are hit.
    pub victims: Victims,
}

impl Inject for DiskFull {
    const NAME: &'static str = "disk-full";
    const ABOUT: &'static str = "disks take nothing that needs room";
    const KEYS: &'static [KeyDoc] = victims::KEYS_DOC;

    fn parse(keys: &FaultKeys<'_>, cluster: &Cluster) -> Result<Self, Problem> {
        Ok(Self { victims: Victims::parse_alone(keys, cluster)? })
    }

    fn draw(dice: Dice, _cluster: &DrawnCluster, keys: &mut Table) {
        Victims::draw(dice, 2, keys);
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
            world.afflict(node, Ailment::IsFull);
        }
    }

    fn end(&self, world: &mut dyn Target, strike: &Strike) {
        for node in strike.nodes() {
            world.cure(node, Ailment::IsFull);
        }
    }
}
