//! Slow disks: commands and syncs take longer, or nothing ends before the fault does.

use serde::Deserialize;
use toml::{Spanned, Table};

use super::keys::NameList;
use super::{FaultKeys, Inject, Slowness, Strike, Target, Victims, victims};
use crate::scenario::quantity::{count, decimal_milliseconds};
use crate::scenario::{Cluster, Dice, DrawnCluster, KeyDoc, Problem, ValueDoc, integer};

/// All that the disk does takes longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlowDisk {
    /// The nodes whose disks are slow.
    pub victims: Victims,
    /// The slowness of their disks.
    pub slowness: Slowness,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SlowDiskKeys {
    sync_ms_mean: Option<Spanned<f64>>,
    factor: Option<Spanned<u64>>,
    #[serde(default)]
    stall: bool,
    nodes: Option<NameList>,
    random: Option<Spanned<u64>>,
}

impl Inject for SlowDisk {
    const NAME: &'static str = "slow-disk";
    const ABOUT: &'static str =
        "disks take longer, by a factor or to a new mean of syncs, or stall = true until the end";
    const KEYS: &'static [KeyDoc] = &[
        KeyDoc::decimal_ms("sync_ms_mean", "the time that a sync takes on average")
            .or_else("as it was; one of the three is required"),
        KeyDoc::new("factor", ValueDoc::Whole(1, 100_000), "by how much everything takes longer")
            .or_else("1; one of the three is required"),
        KeyDoc::new("stall", ValueDoc::Flag, "whether nothing ends before the fault does")
            .or_else("false; one of the three is required"),
        victims::NODES_DOC,
        victims::RANDOM_DOC,
    ];

    fn parse(keys: &FaultKeys<'_>, cluster: &Cluster) -> Result<Self, Problem> {
        let SlowDiskKeys { sync_ms_mean, factor, stall, nodes, random } = keys.parse()?;
        let span = keys.span.clone();
        if sync_ms_mean.is_none() && factor.is_none() && !stall {
            return Err(
                Problem::at(span, "how slow?").label("give factor, sync_ms_mean or stall = true")
            );
        }
        let factor = match &factor {
            Some(factor) => count(factor, "factor", 1..=100_000)? as u32,
            None => 1,
        };
        let sync_mean = sync_ms_mean.as_ref().map(decimal_milliseconds).transpose()?;
        let victims = Victims::parse(nodes.as_ref(), random.as_ref(), span, cluster)?;
        Ok(Self { victims, slowness: Slowness { sync_mean, factor, stalls: stall } })
    }

    fn draw(dice: Dice, _cluster: &DrawnCluster, keys: &mut Table) {
        if dice.chance("stalls", 25) {
            keys.insert("stall".to_owned(), true.into());
        } else {
            keys.insert("factor".to_owned(), integer(dice.magnitude("factor", (2, 1_000))));
        }
        Victims::draw(dice, 2, keys);
    }

    fn describe(&self, cluster: &Cluster) -> String {
        let Self { victims, slowness: Slowness { sync_mean, factor, stalls } } = self;
        let whom = victims.describe(cluster);
        if *stalls {
            return format!("{whom}: at a standstill");
        }
        let mean = sync_mean
            .map_or_else(String::new, |mean| format!("{} ms mean of syncs, ", mean.as_ms()));
        format!("{whom}: {mean}{factor} times as long")
    }

    fn victims_mut(&mut self) -> Option<&mut Victims> {
        Some(&mut self.victims)
    }

    fn begin(&self, world: &mut dyn Target, strike: &Strike) {
        let lasts = strike.lasts.expect("a slow disk must become fast again");
        for node in strike.nodes() {
            world.slow_disk(node, self.slowness, lasts);
        }
    }

    fn end(&self, world: &mut dyn Target, strike: &Strike) {
        for node in strike.nodes() {
            world.end_slow_disk(node);
        }
    }
}
