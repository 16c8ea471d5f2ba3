//! Faults of clocks: a node has two of them, and they can be wrong apart from each other.

use serde::Deserialize;
use toml::Spanned;

use super::super::cluster::Cluster;
use super::super::environment::DRIFT_PPM_MAX;
use super::super::error::Problem;
use super::keys::{Names, victims};
use super::{FaultKind, Victims};

/// The clocks of a node that a fault hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhichClock {
    /// The clock that tells the date.
    Wall,
    /// The clock that measures how long something takes.
    Monotonic,
    /// Both clocks.
    Both,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClockStepKeys {
    step_ms: Spanned<i64>,
    nodes: Option<Names>,
    random: Option<Spanned<u64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClockDriftKeys {
    drift_ppm: Spanned<i64>,
    clock: Option<WhichClock>,
    nodes: Option<Names>,
    random: Option<Spanned<u64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClockFreezeKeys {
    clock: Option<WhichClock>,
    nodes: Option<Names>,
    random: Option<Spanned<u64>>,
}

impl WhichClock {
    /// True if the wall clock is hit.
    pub const fn is_wall(self) -> bool {
        matches!(self, Self::Wall | Self::Both)
    }

    /// True if the monotonic clock is hit.
    pub const fn is_monotonic(self) -> bool {
        matches!(self, Self::Monotonic | Self::Both)
    }

    /// Describes the clock for people: ` (wall clock)`, or nothing for both.
    pub(super) const fn describe(self) -> &'static str {
        match self {
            Self::Wall => " (wall clock)",
            Self::Monotonic => " (monotonic clock)",
            Self::Both => "",
        }
    }
}

pub(super) fn clock_step(
    keys: &ClockStepKeys,
    span: std::ops::Range<usize>,
    cluster: &Cluster,
) -> Result<FaultKind, Problem> {
    /// The largest step in milliseconds: a hundred years.
    const STEP_MS_MAX: i64 = 100 * 365 * 24 * 60 * 60 * 1_000;
    let step_ms = *keys.step_ms.get_ref();
    if step_ms == 0 || !(-STEP_MS_MAX..=STEP_MS_MAX).contains(&step_ms) {
        return Err(Problem::at(
            keys.step_ms.span(),
            format!("a clock cannot step by {step_ms} ms"),
        )
        .label("not zero, and at most a hundred years either way"));
    }
    let victims = victims(keys.nodes.as_ref(), keys.random.as_ref(), span, cluster)?;
    Ok(FaultKind::ClockStep { victims, step_us: step_ms * 1_000 })
}

pub(super) fn clock_drift(
    keys: &ClockDriftKeys,
    span: std::ops::Range<usize>,
    cluster: &Cluster,
) -> Result<FaultKind, Problem> {
    let drift_ppm = *keys.drift_ppm.get_ref();
    if drift_ppm == 0 || drift_ppm.unsigned_abs() > DRIFT_PPM_MAX {
        return Err(Problem::at(keys.drift_ppm.span(), format!("no drift of {drift_ppm} ppm"))
            .label(format!("not zero, and at most {DRIFT_PPM_MAX} either way"))
            .help("a clock that stands still is a clock-freeze"));
    }
    let victims = victims(keys.nodes.as_ref(), keys.random.as_ref(), span, cluster)?;
    let clock = keys.clock.unwrap_or(WhichClock::Both);
    Ok(FaultKind::ClockDrift { victims, drift_ppm: drift_ppm as i32, clock })
}

pub(super) fn clock_freeze(
    keys: &ClockFreezeKeys,
    span: std::ops::Range<usize>,
    cluster: &Cluster,
) -> Result<FaultKind, Problem> {
    let victims: Victims = victims(keys.nodes.as_ref(), keys.random.as_ref(), span, cluster)?;
    Ok(FaultKind::ClockFreeze { victims, clock: keys.clock.unwrap_or(WhichClock::Both) })
}
