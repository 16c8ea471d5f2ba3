//! The links, disks and clocks under the nodes when nothing is broken, with their ordinary delays
//! and their ordinary rates of misfortune. Faults come on top of them.

use kv_core::config::Config;
use kv_core::sampling;
use kv_core::time::Span;
use serde::Deserialize;
use toml::Spanned;

use super::cluster::{Cluster, NodeIndex};
use super::distances::{self, BetweenKeys, Distances, LinkDelay};
use super::error::Problem;
use super::expect::CONVERGED_WITHIN;
use super::key_doc::{KeyDoc, MS_MAX, ValueDoc};
use super::quantity::{
    count, decimal_milliseconds, microseconds, milliseconds, min_and_mean, parts_per_million,
};

/// The fastest that a clock may run wrong, in parts per million: half the speed, or one and a half.
pub(crate) const DRIFT_PPM_MAX: u64 = 500_000;

/// The properties of every link between two nodes, one way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkSettings {
    /// The shortest time that a message takes. Default 1 ms.
    pub delay_min: Span,
    /// The time that a message takes on average; at least `delay_min`. Default 5 ms.
    pub delay_mean: Span,
    /// The probability that a message is lost, in parts per million. Default 0.
    pub loss_ppm: u32,
    /// The probability that a message arrives twice, in parts per million. Default 0.
    pub duplicate_ppm: u32,
    /// The probability that a message is held back by an extra delay, so that later ones may
    /// overtake it, in parts per million. Default 0.
    pub reorder_ppm: u32,
    /// The longest extra delay of a message that is held back. Default 50 ms.
    pub reorder_max: Span,
    /// The delays between places, where they differ from these.
    pub distances: Option<Distances>,
}

/// The properties of every node's disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskSettings {
    /// The shortest time that a command takes. Default 20 µs.
    pub execute_min: Span,
    /// The time that a command takes on average; at least `execute_min`. Default 50 µs.
    pub execute_mean: Span,
    /// The shortest time that a sync takes. Default 200 µs.
    pub sync_min: Span,
    /// The time that a sync takes on average; at least `sync_min`. Default 1 ms.
    pub sync_mean: Span,
}

/// The bounds on how wrong the clocks of the nodes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// The most that a wall clock is off at the start, either way. Default 50 ms.
    pub offset_max: Span,
    /// The most that a node's clocks run fast or slow, in parts per million. Default 50.
    pub drift_ppm_max: u32,
}

impl NetworkSettings {
    /// The delays of messages from one node to another.
    pub fn delay(&self, from: NodeIndex, to: NodeIndex) -> LinkDelay {
        let own = self.delay_everywhere();
        self.distances.as_ref().map_or(own, |distances| distances.between(from, to))
    }

    /// The longest time that a message takes which is not held back.
    pub fn delay_max(&self) -> Span {
        let longest = |LinkDelay { min, mean }: LinkDelay| {
            let drawn = mean.0.saturating_sub(min.0);
            let drawn_max = drawn.saturating_mul(sampling::EXPONENTIAL_MEANS_MAX);
            Span(min.0.saturating_add(drawn_max))
        };
        self.delays().map(longest).max().unwrap_or_default()
    }

    /// The time that a message takes on average on the slowest links.
    fn slowest_mean(&self) -> Span {
        self.delays().map(|delay| delay.mean).max().unwrap_or_default()
    }

    /// All delays that there are.
    fn delays(&self) -> impl Iterator<Item = LinkDelay> + '_ {
        let elsewhere = self.distances.is_none().then(|| self.delay_everywhere());
        self.distances.iter().flat_map(Distances::all).chain(elsewhere)
    }

    const fn delay_everywhere(&self) -> LinkDelay {
        LinkDelay { min: self.delay_min, mean: self.delay_mean }
    }
}

/// The default time after the last fault in which replicas must become equal: half a minute, or as
/// long as rounds of repair last on slow links and slow disks.
pub(super) fn converged_within(
    network: &NetworkSettings,
    disk: &DiskSettings,
    node: &Config,
) -> Span {
    /// The number of rounds, with a few other owners, each of which may have to be compared with
    /// more than once.
    const ROUNDS: u64 = 15;
    /// The number of steps from the first comparison to the last key that is exchanged, one after
    /// the other.
    const STEPS: u64 = 12;
    let step = network.slowest_mean() + disk.execute_mean + disk.sync_mean;
    let round = Span::from_ms(node.repair_interval_ms) + step.times(STEPS);
    CONVERGED_WITHIN.max(round.times(ROUNDS))
}

/// The keys of `network`.
pub(super) const NETWORK_DOC: &[KeyDoc] = &[
    KeyDoc::decimal_ms("delay_ms_min", "shortest time that a message takes")
        .or_else("1, or the mean if that is less"),
    KeyDoc::decimal_ms("delay_ms_mean", "time that a message takes on average")
        .or_else("5, or the shortest if that is more"),
    KeyDoc::probability("loss", "chance of a message to be lost").or("0.0"),
    KeyDoc::probability("duplicate", "chance of a message to arrive twice").or("0.0"),
    KeyDoc::probability(
        "reorder",
        "chance of a message to be held back, so that later ones may overtake it",
    )
    .or("0.0"),
    KeyDoc::decimal_ms("reorder_ms", "longest time for which a message is held back").or("50.0"),
    KeyDoc::new("between", ValueDoc::Table("network.between"), "delays between places").or("[]"),
];

/// The keys of `disk`.
pub(super) const DISK_DOC: &[KeyDoc] = &[
    KeyDoc::new("execute_us_min", ValueDoc::Whole(0, MS_MAX), "shortest time that a command takes")
        .or_else("20, or the mean if that is less"),
    KeyDoc::new(
        "execute_us_mean",
        ValueDoc::Whole(0, MS_MAX),
        "time that a command takes on average",
    )
    .or_else("50, or the shortest if that is more"),
    KeyDoc::new("sync_us_min", ValueDoc::Whole(0, MS_MAX), "shortest time that a sync takes")
        .or_else("200, or the mean if that is less"),
    KeyDoc::new("sync_us_mean", ValueDoc::Whole(1, MS_MAX), "time that a sync takes on average")
        .or_else("1000, or the shortest if that is more"),
];

/// The keys of `clocks`.
pub(super) const CLOCKS_DOC: &[KeyDoc] = &[
    KeyDoc::ms("offset_ms_max", "most by which a wall clock is wrong at the start, either way")
        .or("50"),
    KeyDoc::new(
        "drift_ppm_max",
        ValueDoc::Whole(0, DRIFT_PPM_MAX),
        "most by which a node's clocks run fast or slow",
    )
    .or("50"),
];

/// `network` as it stands in the file.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table such as { delay_ms_mean = 5 }")]
pub(super) struct NetworkKeys {
    delay_ms_min: Option<Spanned<f64>>,
    delay_ms_mean: Option<Spanned<f64>>,
    loss: Option<Spanned<f64>>,
    duplicate: Option<Spanned<f64>>,
    reorder: Option<Spanned<f64>>,
    reorder_ms: Option<Spanned<f64>>,
    between: Vec<BetweenKeys>,
}

/// `disk` as it stands in the file.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table such as { sync_us_mean = 1000 }")]
pub(super) struct DiskKeys {
    execute_us_min: Option<Spanned<u64>>,
    execute_us_mean: Option<Spanned<u64>>,
    sync_us_min: Option<Spanned<u64>>,
    sync_us_mean: Option<Spanned<u64>>,
}

/// `clocks` as it stands in the file.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table such as { offset_ms_max = 50 }")]
pub(super) struct ClocksKeys {
    offset_ms_max: Option<Spanned<u64>>,
    drift_ppm_max: Option<Spanned<u64>>,
}

pub(super) fn network(keys: &NetworkKeys) -> Result<NetworkSettings, Problem> {
    let (delay_min, delay_mean) = min_and_mean(
        (keys.delay_ms_min.as_ref(), Span::from_ms(1)),
        (keys.delay_ms_mean.as_ref(), Span::from_ms(5)),
        decimal_milliseconds,
    )?;
    let probability = |key: &Option<Spanned<f64>>| key.as_ref().map_or(Ok(0), parts_per_million);
    Ok(NetworkSettings {
        delay_min,
        delay_mean,
        loss_ppm: probability(&keys.loss)?,
        duplicate_ppm: probability(&keys.duplicate)?,
        reorder_ppm: probability(&keys.reorder)?,
        reorder_max: given(keys.reorder_ms.as_ref(), Span::from_ms(50), decimal_milliseconds)?,
        distances: None,
    })
}

/// Adds the delays between the places of a cluster to a network.
pub(super) fn with_distances(
    network: NetworkSettings,
    keys: &NetworkKeys,
    cluster: &Cluster,
) -> Result<NetworkSettings, Problem> {
    let distances = distances::parse(&keys.between, network.delay_everywhere(), cluster)?;
    Ok(NetworkSettings { distances, ..network })
}

pub(super) fn disk(keys: &DiskKeys) -> Result<DiskSettings, Problem> {
    let (execute_min, execute_mean) = min_and_mean(
        (keys.execute_us_min.as_ref(), Span(20)),
        (keys.execute_us_mean.as_ref(), Span(50)),
        microseconds,
    )?;
    if let Some(key) = keys.sync_us_mean.as_ref().filter(|key| *key.get_ref() == 0) {
        return Err(Problem::at(
            key.span(),
            "a sync takes time: one that fails in no time fails for ever",
        )
        .label("must be at least 1"));
    }
    let (sync_min, sync_mean) = min_and_mean(
        (keys.sync_us_min.as_ref(), Span(200)),
        (keys.sync_us_mean.as_ref(), Span(1_000)),
        microseconds,
    )?;
    Ok(DiskSettings { execute_min, execute_mean, sync_min, sync_mean })
}

pub(super) fn clocks(keys: &ClocksKeys) -> Result<Clocks, Problem> {
    let drift_ppm_max = match &keys.drift_ppm_max {
        Some(drift) => count(drift, "drift_ppm_max", 0..=DRIFT_PPM_MAX)? as u32,
        None => 50,
    };
    let offset_max = given(keys.offset_ms_max.as_ref(), Span::from_ms(50), milliseconds)?;
    Ok(Clocks { offset_max, drift_ppm_max })
}

fn given<T>(
    key: Option<&Spanned<T>>,
    default: Span,
    convert: impl Fn(&Spanned<T>) -> Result<Span, Problem>,
) -> Result<Span, Problem> {
    key.map_or(Ok(default), convert)
}
