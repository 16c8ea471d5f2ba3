//! A run in which one can go back and forth.
//!
//! A world is a plain value, so it can be kept: a copy is, at checkpoints so many steps apart. To
//! get to a moment, the nearest checkpoint before it is taken up and run on. When there are too
//! many checkpoints, every second one is dropped and their distance doubles; so they cost a bounded
//! number of worlds, and a moment costs a bounded part of the run, once it has been passed.
//!
//! Checks are off here. They never influence a run, and their memory of it would be kept many times
//! over.

use std::panic::{AssertUnwindSafe, catch_unwind};

use kv_core::time::Span;
use thiserror::Error;

use crate::cluster::world::{Phase, World, WorldError};
use crate::cluster::world_time::WorldTime;
use crate::runs::options::RunOptions;
use crate::runs::panics::PanicLog;
use crate::runs::run::crash_message;
use crate::scenario::Scenario;

/// A run, and the checkpoints in it.
#[derive(Clone, Debug)]
pub struct Timeline {
    here: Checkpoint,
    /// The checkpoints in the order of time; the first is the beginning.
    checkpoints: Vec<Checkpoint>,
    spacing: Spacing,
    /// The end of the run, once it is known.
    end: Option<End>,
    steps_taken: u64,
    panics: Option<PanicLog>,
}

/// The distance of checkpoints, and their greatest number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spacing {
    /// The number of steps from one checkpoint to the next, at first; at least 1.
    pub steps: u64,
    /// The number of checkpoints that are kept; at least 2.
    pub checkpoints_max: usize,
}

/// A world, and the number of steps that it has made.
#[derive(Clone, Debug)]
struct Checkpoint {
    steps: u64,
    world: World,
}

/// The end of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// The time at which the run ends.
    pub at: WorldTime,
    /// The panic that ended the run, with its place. The state is that before the step of the
    /// panic.
    pub panic: Option<String>,
    /// The number of steps that the run has made.
    steps: u64,
}

/// The error that there is no such moment: the run has ended before.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the run ended at {} s, before {} s: ask for a moment from 0 to {}{}", .end.at, .asked, .end.at, panic_words(.end))]
pub struct AfterTheEnd {
    /// The moment that was asked for.
    pub asked: WorldTime,
    /// The end of the run.
    pub end: End,
}

fn panic_words(end: &End) -> String {
    let words = |panic: &String| format!("\n  it ended in a panic: {panic}");
    end.panic.as_ref().map_or_else(String::new, words)
}

impl Default for Spacing {
    fn default() -> Self {
        Self { steps: 4_096, checkpoints_max: 64 }
    }
}

impl Timeline {
    /// Creates the run of a scenario and a seed, at its beginning.
    ///
    /// # Errors
    /// [`WorldError`], if no world can be made of the scenario.
    pub fn new(
        scenario: &Scenario,
        options: &RunOptions,
        spacing: Spacing,
    ) -> Result<Self, WorldError> {
        let options = RunOptions { checks: false, trace: None, ..options.clone() };
        let here = Checkpoint { steps: 0, world: World::new(scenario, &options)? };
        let checkpoints = vec![here.clone()];
        let panics = options.panics;
        Ok(Self { here, checkpoints, spacing, end: None, steps_taken: 0, panics })
    }

    /// Goes to a moment: all that happens up to then has happened, and nothing else.
    ///
    /// # Errors
    /// [`AfterTheEnd`], if the run has ended before. Then the world is at some other moment.
    pub fn seek(&mut self, at: WorldTime) -> Result<&World, AfterTheEnd> {
        self.rewind(at);
        while self.end.as_ref().is_none_or(|end| self.here.steps < end.steps) {
            if self.here.world.next_at().is_none_or(|next| next > at) {
                return Ok(&self.here.world);
            }
            self.step();
        }
        match &self.end {
            Some(end) if end.at < at => Err(AfterTheEnd { asked: at, end: end.clone() }),
            Some(_) | None => Ok(&self.here.world),
        }
    }

    /// The number of steps that have been made since the beginning, in all directions.
    pub const fn steps_taken(&self) -> u64 {
        self.steps_taken
    }

    /// The number of steps that lie between two checkpoints now.
    pub const fn spacing(&self) -> u64 {
        self.spacing.steps
    }

    /// The number of checkpoints that are kept.
    pub const fn checkpoints(&self) -> usize {
        self.checkpoints.len()
    }

    /// The end of the run, once it has been seen.
    pub const fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// Takes up the nearest checkpoint before a moment, unless the present world is nearer.
    fn rewind(&mut self, at: WorldTime) {
        let before = self.checkpoints.partition_point(|point| point.world.scene.now <= at);
        let nearest = &self.checkpoints[before.max(1) - 1];
        let is_nearer = self.here.world.scene.now <= at && self.here.steps >= nearest.steps;
        if !is_nearer {
            self.here = nearest.clone();
        }
    }

    fn step(&mut self) {
        let steps = self.here.steps;
        self.steps_taken += 1;
        match catch_unwind(AssertUnwindSafe(|| self.here.world.step())) {
            Ok(_) => {
                self.here.steps += 1;
                if *self.here.world.phase() == Phase::Over {
                    self.end_here(self.here.world.scene.now, None);
                } else {
                    self.keep();
                }
            }
            Err(panic) => {
                let panic = crash_message(panic.as_ref(), self.panics.as_ref());
                // The world has stopped in the middle of a step: it is made anew up to that one.
                let at = self.here.world.scene.now;
                self.here = self.checkpoints.last().expect("the beginning is kept").clone();
                while self.here.steps < steps {
                    self.step();
                }
                self.end_here(at, Some(panic));
            }
        }
    }

    fn end_here(&mut self, at: WorldTime, panic: Option<String>) {
        self.end = Some(End { at, panic, steps: self.here.steps });
    }

    fn keep(&mut self) {
        let last = self.checkpoints.last().map_or(0, |point| point.steps);
        if self.here.steps < last + self.spacing.steps {
            return;
        }
        self.checkpoints.push(self.here.clone());
        if self.checkpoints.len() > self.spacing.checkpoints_max {
            self.spacing.steps *= 2;
            let mut number = 0_usize;
            self.checkpoints.retain(|_| {
                number += 1;
                !number.is_multiple_of(2)
            });
        }
    }
}

/// Parses the moment that a text names: seconds since the world began, as traces and violations
/// show it, or with a unit of `s`, `ms` or `us`.
///
/// # Errors
/// A text that names the problem.
pub fn moment(text: &str) -> Result<WorldTime, String> {
    const FORM: &str = "a moment is written 3.25, 3.25s, 3250ms or 3250000us, counted from the \
                        beginning of the world";
    let text = text.trim();
    if text.starts_with('-') {
        return Err("time begins at 0".to_owned());
    }
    let units = [("ms", 1_000), ("us", 1), ("s", 1_000_000)];
    let unit = units.iter().find_map(|&(unit, us)| Some((text.strip_suffix(unit)?, us)));
    let (number, us_per_unit) = unit.unwrap_or((text, 1_000_000));
    let (whole, part) = number.trim_end().split_once('.').unwrap_or((number.trim_end(), ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() && part.is_empty() || !is_digits(whole) || !is_digits(part) {
        return Err(format!("`{text}` is no moment: {FORM}"));
    }
    let too_late = || format!("`{text}` is too late: {FORM}");
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| too_late())? };
    let mut us = whole.checked_mul(us_per_unit).ok_or_else(too_late)?;
    let mut worth = us_per_unit;
    for digit in part.bytes() {
        if !worth.is_multiple_of(10) {
            return Err(format!("`{text}` is finer than a microsecond"));
        }
        worth /= 10;
        us = us.checked_add(u64::from(digit - b'0') * worth).ok_or_else(too_late)?;
    }
    Ok(WorldTime(0) + Span(us))
}

#[cfg(test)]
mod tests;
