//! Torn writes: a kill leaves a part of what was not synced.

use toml::Table;

use super::{Ailment, FaultKeys, Inject, Strike, Target, Victims, victims};
use crate::scenario::{Cluster, Dice, DrawnCluster, KeyDoc, Problem};

/// A kill leaves some of the first batches that were not synced: as many as are drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornWrite {
    /// The nodes whose disks are hit.
    pub victims: Victims,
}

impl Inject for TornWrite {
    const NAME: &'static str = "torn-write";
    const ABOUT: &'static str = "a kill in that time leaves some of the first batches that were \
                                 not synced, and the rest not at all";
    const KEYS: &'static [KeyDoc] = victims::KEYS_DOC;

    fn parse(keys: &FaultKeys<'_>, cluster: &Cluster) -> Result<Self, Problem> {
        Ok(Self { victims: Victims::parse_alone(keys, cluster)? })
    }

    fn draw(dice: Dice, cluster: &DrawnCluster, keys: &mut Table) {
        Victims::draw(dice, cluster.names.len() as u64, keys);
    }

    fn describe(&self, cluster: &Cluster) -> String {
        self.victims.describe(cluster)
    }

    fn victims_mut(&mut self) -> Option<&mut Victims> {
        Some(&mut self.victims)
    }

    fn begin(&self, world: &mut dyn Target, strike: &Strike) {
        for node in strike.nodes() {
            world.afflict(node, Ailment::Tears);
        }
    }

    fn end(&self, world: &mut dyn Target, strike: &Strike) {
        for node in strike.nodes() {
            world.cure(node, Ailment::Tears);
        }
    }
}
