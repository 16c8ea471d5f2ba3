//! What one client sees that waits for each answer: before an overload, and when it is over.

use std::io;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use crate::load::{self, Load, Pace};

/// How long it asks to know the latency.
const KNOWING: Duration = Duration::from_secs(1);

/// How long it asks before it looks whether the latency is the former.
const WINDOW: Duration = Duration::from_millis(100);

/// How long after an overload the former latency is waited for.
const TIME_MAX: Duration = Duration::from_secs(60);

/// The former latency is back when half of all answers come within so many times of it.
const FORMER_FACTOR: f64 = 1.5;

/// A client that waits for each answer.
#[derive(Clone)]
pub(super) struct SingleClient(Load);

impl SingleClient {
    /// One that asks for the same as a load.
    pub(super) fn new(load: &Load) -> Self {
        let pace = Pace::Closed { operations: u64::MAX / 2 };
        Self(Load { pace, connections: 1, depth: 1, timeout: None, last_due: None, ..load.clone() })
    }

    /// The median of what it waits, in milliseconds.
    ///
    /// # Errors
    /// There was no answer.
    pub(super) fn latency_ms(&self) -> io::Result<f64> {
        self.median_ms(KNOWING)
    }

    /// How long after an overload the former latency is back; none if it does not come back within a
    /// minute. Waits until the last operation of the overload is due.
    pub(super) fn until_former(
        &self,
        former_ms: f64,
        last_due: &Receiver<Instant>,
    ) -> Option<Duration> {
        let over = last_due.recv().ok()?;
        while over.elapsed() < TIME_MAX {
            let begun = over.elapsed();
            match self.median_ms(WINDOW) {
                Ok(median) if median <= former_ms * FORMER_FACTOR => return Some(begun),
                Ok(_) => {}
                Err(_no_answer) => std::thread::sleep(WINDOW),
            }
        }
        None
    }

    fn median_ms(&self, time_max: Duration) -> io::Result<f64> {
        let measured = load::drive(Load { time_max, ..self.0.clone() })?;
        // Refusals come fast, and are no answers.
        match measured.shortcomings() {
            None => Ok(measured.latency_ms(0.5)),
            Some(what) => Err(io::Error::other(what)),
        }
    }
}
