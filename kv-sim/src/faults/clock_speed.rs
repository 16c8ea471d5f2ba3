//! Clocks that run at another speed, or not at all. A node has two clocks, and they can be wrong
//! apart from each other.

use serde::Deserialize;
use toml::{Spanned, Table, Value};

use super::keys::NameList;
use super::{FaultKeys, Inject, Strike, Target, Victims, WhichClock, victims};
use crate::scenario::{Cluster, DRIFT_PPM_MAX, Dice, DrawnCluster, KeyDoc, Problem, ValueDoc};

/// Clocks run at another speed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockDrift {
    /// The nodes whose clocks drift.
    pub victims: Victims,
    /// The drift in parts per million; fast if above zero, slow if below. Within ±500,000.
    pub drift_ppm: i32,
    /// The clocks that drift.
    pub clock: WhichClock,
}

/// Clocks stand still, and run on at the end from where they stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockFreeze {
    /// The nodes whose clocks stand still.
    pub victims: Victims,
    /// The clocks that stand still.
    pub clock: WhichClock,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DriftKeys {
    drift_ppm: Spanned<i64>,
    clock: Option<WhichClock>,
    nodes: Option<NameList>,
    random: Option<Spanned<u64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FreezeKeys {
    clock: Option<WhichClock>,
    nodes: Option<NameList>,
    random: Option<Spanned<u64>>,
}

impl Inject for ClockDrift {
    const NAME: &'static str = "clock-drift";
    const ABOUT: &'static str =
        "clocks run fast or slow, the wall clock or the monotonic one or both";
    const KEYS: &'static [KeyDoc] = &[
        KeyDoc::new(
            "drift_ppm",
            ValueDoc::Whole(-(DRIFT_PPM_MAX as i64), DRIFT_PPM_MAX),
            "by how much clocks run fast, or slow if it is below zero; not zero",
        ),
        KeyDoc::new(
            "clock",
            ValueDoc::Word(&["wall", "monotonic", "both"]),
            "the clocks that are hit",
        )
        .or("\"both\""),
        victims::NODES_DOC,
        victims::RANDOM_DOC,
    ];

    fn parse(keys: &FaultKeys<'_>, cluster: &Cluster) -> Result<Self, Problem> {
        let DriftKeys { drift_ppm: given, clock, nodes, random } = keys.parse()?;
        let drift_ppm = *given.get_ref();
        if drift_ppm == 0 || drift_ppm.unsigned_abs() > DRIFT_PPM_MAX {
            return Err(Problem::at(given.span(), format!("no drift of {drift_ppm} ppm"))
                .label(format!("not zero, and at most {DRIFT_PPM_MAX} either way"))
                .help("a clock that stands still is a clock-freeze"));
        }
        let span = keys.span.clone();
        let victims = Victims::parse(nodes.as_ref(), random.as_ref(), span, cluster)?;
        let clock = clock.unwrap_or(WhichClock::Both);
        Ok(Self { victims, drift_ppm: drift_ppm as i32, clock })
    }

    fn draw(dice: Dice, _cluster: &DrawnCluster, keys: &mut Table) {
        let ppm = dice.magnitude("by", (100, 300_000)) as i64;
        let drift = if dice.chance("slow", 50) { -ppm } else { ppm };
        keys.insert("drift_ppm".to_owned(), Value::Integer(drift));
        draw_clock(dice, keys);
        Victims::draw(dice, 2, keys);
    }

    fn describe(&self, cluster: &Cluster) -> String {
        let Self { victims, drift_ppm, clock } = self;
        format!("{} by {drift_ppm} ppm{}", victims.describe(cluster), clock.describe())
    }

    fn victims_mut(&mut self) -> Option<&mut Victims> {
        Some(&mut self.victims)
    }

    fn begin(&self, world: &mut dyn Target, strike: &Strike) {
        for node in strike.nodes() {
            world.drift_clocks(node, self.clock, self.drift_ppm);
        }
    }

    fn end(&self, world: &mut dyn Target, strike: &Strike) {
        for node in strike.nodes() {
            world.drift_clocks(node, self.clock, -self.drift_ppm);
        }
    }
}

impl Inject for ClockFreeze {
    const NAME: &'static str = "clock-freeze";
    const ABOUT: &'static str =
        "clocks stand still, likewise, and run on at the end from where they stood";
    const KEYS: &'static [KeyDoc] = &[
        KeyDoc::new(
            "clock",
            ValueDoc::Word(&["wall", "monotonic", "both"]),
            "the clocks that are hit",
        )
        .or("\"both\""),
        victims::NODES_DOC,
        victims::RANDOM_DOC,
    ];

    fn parse(keys: &FaultKeys<'_>, cluster: &Cluster) -> Result<Self, Problem> {
        let FreezeKeys { clock, nodes, random } = keys.parse()?;
        let span = keys.span.clone();
        let victims = Victims::parse(nodes.as_ref(), random.as_ref(), span, cluster)?;
        Ok(Self { victims, clock: clock.unwrap_or(WhichClock::Both) })
    }

    fn draw(dice: Dice, _cluster: &DrawnCluster, keys: &mut Table) {
        draw_clock(dice, keys);
        Victims::draw(dice, 2, keys);
    }

    fn describe(&self, cluster: &Cluster) -> String {
        format!("{}{}", self.victims.describe(cluster), self.clock.describe())
    }

    fn victims_mut(&mut self) -> Option<&mut Victims> {
        Some(&mut self.victims)
    }

    fn begin(&self, world: &mut dyn Target, strike: &Strike) {
        for node in strike.nodes() {
            world.freeze_clocks(node, self.clock);
        }
    }

    fn end(&self, world: &mut dyn Target, strike: &Strike) {
        for node in strike.nodes() {
            world.thaw_clocks(node, self.clock);
        }
    }
}

/// Draws the key of the clocks that are hit.
fn draw_clock(dice: Dice, keys: &mut Table) {
    let clock = dice.one_of("clock", &["wall", "monotonic", "both"]);
    keys.insert("clock".to_owned(), clock.into());
}
