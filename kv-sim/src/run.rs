//! One run: a scenario and a seed in, a result out. Nothing else goes in, so the same two give the
//! same result, but for the real time that it took.

use std::fmt;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::result::RunResult;
use crate::scenario::Scenario;

/// What a run is told beside its scenario.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Where all chance comes from.
    pub seed: u64,
    /// Whether checks run. Without them nothing is proved; it is for measuring what they cost.
    pub checks: bool,
    /// Whether messages are encoded and decoded. Without, they are handed over as values; it is for
    /// measuring what that costs.
    pub encoding: bool,
    /// Where each event is written as a line of text.
    pub trace: Option<Trace>,
}

/// Where the trace of a run goes.
#[derive(Clone)]
pub struct Trace(pub Arc<Mutex<dyn Write + Send>>);

impl RunOptions {
    /// An ordinary run with this seed.
    pub const fn seeded(seed: u64) -> Self {
        Self { seed, checks: true, encoding: true, trace: None }
    }
}

/// Runs the scenario once. A panic inside is a result: a failed check `crash`.
pub fn run(scenario: &Scenario, options: &RunOptions) -> RunResult {
    let started = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(|| simulate(scenario, options)));
    let mut result = outcome.unwrap_or_else(|panic| {
        RunResult::new(scenario, options.seed).crashed(message_of(panic.as_ref()))
    });
    result.wall_ms = started.elapsed().as_secs_f64() * 1_000.0;
    result
}

fn simulate(scenario: &Scenario, options: &RunOptions) -> RunResult {
    RunResult::new(scenario, options.seed).concluded(&Default::default())
}

fn message_of(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without a message")
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trace")
    }
}
