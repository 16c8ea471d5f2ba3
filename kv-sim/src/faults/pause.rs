//! Pauses: nodes stand still, as in a long garbage collection.

use toml::Table;

use super::{FaultKeys, Inject, Strike, Target, Victims, victims};
use crate::scenario::{Cluster, Dice, DrawnCluster, KeyDoc, Problem};

/// A pause: nodes stand still, with their memory, and go on at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// The nodes that stand still.
    pub victims: Victims,
}

impl Inject for Pause {
    const NAME: &'static str = "pause";
    const ABOUT: &'static str = "nodes stand still and go on at the end, as in a long collection";
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

    fn may_last(&self) -> bool {
        true
    }

    fn victims_mut(&mut self) -> Option<&mut Victims> {
        Some(&mut self.victims)
    }

    fn begin(&self, world: &mut dyn Target, strike: &Strike) {
        for node in strike.nodes() {
            world.pause(node);
        }
    }

    fn end(&self, world: &mut dyn Target, strike: &Strike) {
        for &victim in &strike.victims {
            world.resume(victim);
        }
    }
}
