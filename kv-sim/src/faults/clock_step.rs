//! Steps of clocks: a wall clock jumps.

use serde::Deserialize;
use toml::{Spanned, Table, Value};

use super::keys::NameList;
use super::{FaultKeys, Inject, Strike, Target, Victims, victims};
use crate::scenario::{Cluster, Dice, DrawnCluster, KeyDoc, Problem, ValueDoc};

/// Wall clocks jump at the beginning, and back by as much at the end, if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockStep {
    /// The nodes whose clocks jump.
    pub victims: Victims,
    /// The jump in microseconds; forwards if above zero. Never zero.
    pub step_us: i64,
}

/// The largest step in milliseconds: a hundred years.
const STEP_MS_MAX: i64 = 100 * 365 * 24 * 60 * 60 * 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockStepKeys {
    step_ms: Spanned<i64>,
    nodes: Option<NameList>,
    random: Option<Spanned<u64>>,
}

impl Inject for ClockStep {
    const NAME: &'static str = "clock-step";
    const ABOUT: &'static str = "wall clocks jump, forwards or backwards";
    const KEYS: &'static [KeyDoc] = &[
        KeyDoc::new(
            "step_ms",
            ValueDoc::Whole(-STEP_MS_MAX, STEP_MS_MAX as u64),
            "by how much wall clocks jump, backwards if it is below zero; not zero",
        ),
        victims::NODES_DOC,
        victims::RANDOM_DOC,
    ];
    const MUST_END: bool = false;

    fn parse(keys: &FaultKeys<'_>, cluster: &Cluster) -> Result<Self, Problem> {
        let ClockStepKeys { step_ms: given, nodes, random } = keys.parse()?;
        let step_ms = *given.get_ref();
        if step_ms == 0 || !(-STEP_MS_MAX..=STEP_MS_MAX).contains(&step_ms) {
            return Err(Problem::at(given.span(), format!("a clock cannot step by {step_ms} ms"))
                .label("not zero, and at most a hundred years either way"));
        }
        let span = keys.span.clone();
        let victims = Victims::parse(nodes.as_ref(), random.as_ref(), span, cluster)?;
        Ok(Self { victims, step_us: step_ms * 1_000 })
    }

    fn draw(dice: Dice, _cluster: &DrawnCluster, keys: &mut Table) {
        let ms = dice.magnitude("by", (1, 100_000_000)) as i64;
        let step = if dice.chance("backwards", 50) { -ms } else { ms };
        keys.insert("step_ms".to_owned(), Value::Integer(step));
        Victims::draw(dice, 2, keys);
    }

    fn describe(&self, cluster: &Cluster) -> String {
        format!("{} by {} ms", self.victims.describe(cluster), self.step_us / 1_000)
    }

    fn victims_mut(&mut self) -> Option<&mut Victims> {
        Some(&mut self.victims)
    }

    fn begin(&self, world: &mut dyn Target, strike: &Strike) {
        for node in strike.nodes() {
            world.step_clock(node, self.step_us);
        }
    }

    fn end(&self, world: &mut dyn Target, strike: &Strike) {
        for node in strike.nodes() {
            world.step_clock(node, -self.step_us);
        }
    }
}
