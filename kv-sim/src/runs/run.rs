//! One run: it takes a scenario and a seed and makes a result. Nothing else goes in, so the same
//! two give the same result, but for the real time that it took.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::cluster::world::World;
use crate::runs::options::{RunOptions, Trace};
use crate::runs::panics::PanicLog;
use crate::scenario::Scenario;
use crate::story::result::{Parting, RunDifference, RunDigest, RunResult, Verdict};

/// Runs the scenario once and judges it, bounds on what clients saw included. A panic inside is a
/// result: a failed check `crash`, with the numbers up to there.
pub fn run(scenario: &Scenario, options: &RunOptions) -> RunResult {
    run_by(scenario, options, World::run).0
}

/// Runs the scenario as [`run`] does, with a caller who drives the world to its end. The world is
/// handed back as it was left; none, if there can be no such world.
pub fn run_by(
    scenario: &Scenario,
    options: &RunOptions,
    drive: impl FnOnce(&mut World),
) -> (RunResult, Option<World>) {
    let started = Instant::now();
    let mut result = RunResult::new(scenario, options.seed);
    result.paranoid = options.paranoid;
    let (crash, world) = match World::new(scenario, options) {
        Err(error) => (Some(error.to_string()), None),
        Ok(mut world) => {
            let outcome = catch_unwind(AssertUnwindSafe(|| drive(&mut world)));
            world.report(&mut result);
            let crash = outcome.err().map(|panic| {
                let message = crash_message(panic.as_ref(), options.panics.as_ref());
                format!("at {} s: {message}", world.scene.now)
            });
            (crash, Some(world))
        }
    };
    result.wall_ms = started.elapsed().as_secs_f64() * 1_000.0;
    if options.checks {
        result = result.concluded(&scenario.expect.outcomes);
    }
    let result = match crash {
        Some(message) => result.crashed(&message),
        None => result,
    };
    (result, world)
}

/// Runs the scenario twice with the same seed. The figures and the trace are the first run's; if
/// the digests differ, the verdict tells that, and the difference tells where the two part.
pub fn run_twice(scenario: &Scenario, options: &RunOptions) -> RunResult {
    let first = run(scenario, options);
    let again = RunOptions { trace: None, ..options.clone() };
    let second = run(scenario, &again).digest;
    compared(first, second, || parting(scenario, [&again, &again]))
}

fn compared(
    mut first: RunResult,
    second: RunDigest,
    parting: impl FnOnce() -> Option<Parting>,
) -> RunResult {
    if first.digest != second {
        first.verdict = Verdict::Nondeterministic;
        first.difference = Some(RunDifference { second, parting: parting() });
    }
    first
}

/// Runs two worlds side by side up to the first event that differs. None, if no event does, or if
/// one world panics before.
fn parting(scenario: &Scenario, options: [&RunOptions; 2]) -> Option<Parting> {
    let lines = [(); 2].map(|()| Arc::new(Mutex::new(Vec::<u8>::new())));
    let world = |at: usize| {
        let trace = Some(Trace(lines[at].clone()));
        World::new(scenario, &RunOptions { trace, ..options[at].clone() }).ok()
    };
    let (mut first, mut second) = (world(0)?, world(1)?);
    let side_by_side = || {
        for event in 1.. {
            for line in &lines {
                line.lock().unwrap_or_else(PoisonError::into_inner).clear();
            }
            let goes_on = (first.step(), second.step());
            let said = |at: usize| {
                let lines = lines[at].lock().unwrap_or_else(PoisonError::into_inner);
                String::from_utf8_lossy(&lines).into_owned()
            };
            let (one, other) = (said(0), said(1));
            if first.digest() != second.digest() || one != other || goes_on.0 != goes_on.1 {
                return Some(Parting { event, first: one, second: other });
            }
            if goes_on == (false, false) {
                break;
            }
        }
        None
    };
    catch_unwind(AssertUnwindSafe(side_by_side)).ok().flatten()
}

/// The message of a panic, with its place, if that is known.
pub(crate) fn crash_message(panic: &(dyn std::any::Any + Send), log: Option<&PanicLog>) -> String {
    let place = log.and_then(PanicLog::take);
    let place = place.map_or_else(String::new, |place| format!("\n  in {place}"));
    format!("{}{place}", message_of(panic))
}

fn message_of(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without a message")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(rest: &str) -> Scenario {
        let text = format!("title = \"nobody does anything\"\nnodes = 3\n{rest}");
        Scenario::parse("idle.toml", &text).expect("it is valid")
    }

    #[test]
    fn a_second_digest_that_differs_is_a_verdict_of_its_own() {
        let first = RunResult::new(&scenario(""), 1);
        let second = RunDigest(first.digest.0 + 1);
        let result = compared(first.clone(), second, || None);
        assert_eq!(result.verdict, Verdict::Nondeterministic);
        assert_eq!(result.difference, Some(RunDifference { second, parting: None }));
        let result = compared(first.clone(), first.digest, || panic!("there is no difference"));
        assert_eq!((result.verdict, result.difference), (Verdict::Pass, None));
    }

    #[test]
    fn two_runs_that_differ_are_told_apart_by_their_first_event_that_differs() {
        let busy = scenario("[[workload]]\nkind = \"put-get\"\nclients = 2\noperations = 50\n");
        let seed = RunOptions::seeded;
        assert_eq!(parting(&busy, [&seed(1), &seed(1)]), None);
        let parting = parting(&busy, [&seed(1), &seed(2)]).expect("other seeds, other runs");
        assert_ne!(parting.first, parting.second);
    }

    #[test]
    fn a_seed_gives_the_same_digest_twice() {
        let result = run_twice(&scenario(""), &RunOptions::seeded(7));
        assert_eq!((result.seed, result.difference), (7, None));
    }

    #[test]
    fn a_run_is_judged_by_what_its_scenario_expects_of_clients() {
        let demanding = scenario("[expect.outcomes]\nacknowledged_min = 1\n");
        let result = run(&demanding, &RunOptions::seeded(1));
        assert_eq!(result.verdict, Verdict::Fail);
        assert_eq!(result.violation(), Some(("outcomes", "acknowledged = 0, expected at least 1")));
    }
}
