//! Lost syncs: disks report syncs that they do not do.

use toml::Table;

use super::{Ailment, FaultKeys, Inject, Strike, Target, Victims, victims};
use crate::scenario::{Cluster, Dice, DrawnCluster, KeyDoc, Problem};

/// Disks report syncs that they do not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostSync {
    /// The nodes whose disks are hit.
    pub victims: Victims,
}

impl Inject for LostSync {
    const NAME: &'static str = "lost-sync";
    const ABOUT: &'static str = "disks report syncs that they do not do: the next kill shows it";
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
            world.afflict(node, Ailment::Lies);
        }
    }

    fn end(&self, world: &mut dyn Target, strike: &Strike) {
        for node in strike.nodes() {
            world.cure(node, Ailment::Lies);
        }
    }
}
