//! Disks that are rolled back: nodes get back what their disks held earlier.

use toml::Table;

use super::{DiskLoss, FaultKeys, Inject, Strike, Target, Victims, victims};
use crate::random::address::Aspect;
use crate::scenario::{Cluster, Dice, DrawnCluster, KeyDoc, Problem};

/// The node stops, its data is replaced by what was safe there at a moment that is drawn, and it
/// restarts at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollbackDisk {
    /// The nodes whose disks are rolled back.
    pub victims: Victims,
}

impl Inject for RollbackDisk {
    const NAME: &'static str = "rollback-disk";
    const ABOUT: &'static str =
        "nodes stop, get back what their disks held at an earlier moment, and restart at the end";
    const KEYS: &'static [KeyDoc] = victims::KEYS_DOC;
    const NEEDS_PAST: bool = true;

    fn parse(keys: &FaultKeys<'_>, cluster: &Cluster) -> Result<Self, Problem> {
        Ok(Self { victims: Victims::parse_alone(keys, cluster)? })
    }

    fn draw(dice: Dice, _cluster: &DrawnCluster, keys: &mut Table) {
        Victims::draw(dice, 1, keys);
    }

    fn describe(&self, cluster: &Cluster) -> String {
        self.victims.describe(cluster)
    }

    fn victims_mut(&mut self) -> Option<&mut Victims> {
        Some(&mut self.victims)
    }

    fn begin(&self, world: &mut dyn Target, strike: &Strike) {
        for node in strike.nodes() {
            let moments = world.moments(node);
            let draws = world.draws();
            let turn = draws.next(&strike.address());
            let to = draws.index(turn, Aspect::Moment, moments);
            world.take_down(node, DiskLoss::RolledBack { to });
        }
    }

    fn end(&self, world: &mut dyn Target, strike: &Strike) {
        for node in strike.nodes() {
            world.bring_up(node);
        }
    }
}
