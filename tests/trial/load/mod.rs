//! A load: many connections to one store, all asking for the same kind of operation.
//!
//! In a *closed loop* each connection sends a pipeline of requests, waits until all of it is answered, and
//! sends the next: a slow store is asked less. In an *open loop* operations come at a rate, however long
//! answers take. Latency counts from when an operation was meant to begin.
//!
//! All connections share one thread, so that the load takes little from who bears it.

mod base64;
mod closed_loop;
mod connection;
mod etcd_json;
mod key_choice;
mod measured;
mod open_loop;
mod protocol;
mod resp;
mod schedule;
#[cfg(test)]
mod tests;
mod timer;
mod values;
mod zipf;

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

use self::connection::Connection;
pub(crate) use self::key_choice::KeyChoice;
pub(crate) use self::measured::Measured;
use self::protocol::Verdict;
pub(crate) use self::protocol::{EtcdReads, Often, Protocol, Request, Words};
use self::values::Values;

/// A load.
#[derive(Clone)]
pub(crate) struct Load {
    /// Who is asked; the connections are dealt out in turn.
    pub(crate) addresses: Vec<String>,
    pub(crate) protocol: Protocol,
    pub(crate) request: Request,
    pub(crate) pace: Pace,
    pub(crate) connections: usize,
    /// In a closed loop, requests in a pipeline. In an open one, the most on one connection that are not
    /// answered: what comes beyond has to wait before it is sent.
    pub(crate) depth: usize,
    pub(crate) keys: KeyChoice,
    pub(crate) value_bytes: usize,
    /// How long new operations are begun.
    pub(crate) time_max: Duration,
    /// When nobody waits for an answer any more; none: there is no end to it.
    pub(crate) timeout: Option<Duration>,
    pub(crate) seed: u64,
    /// Who is told when the last operation of an open loop was due.
    pub(crate) last_due: Option<Sender<Instant>>,
}

/// When operations begin.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// When those before are answered; so many in all.
    Closed { operations: u64 },
    /// So many in a second.
    Open { per_second: f64 },
}

/// Drives a load to its end.
///
/// # Errors
/// No connection could be made. In a closed loop also: one broke, or nothing was answered any more.
pub(crate) fn drive(load: Load) -> io::Result<Measured> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async {
        let pace = load.pace;
        let shared = Rc::new(Shared::new(load));
        let mut connections = Vec::new();
        for index in 0..shared.load.connections {
            connections.push(Connection::open(&shared, index).await?);
        }
        match pace {
            Pace::Closed { operations } => {
                closed_loop::drive(&shared, connections, operations).await
            }
            Pace::Open { per_second } => open_loop::drive(&shared, connections, per_second).await,
        }
    })
}

/// What the connections of a load share.
struct Shared {
    load: Load,
    values: Values,
    measured: RefCell<Measured>,
}

impl Shared {
    fn new(load: Load) -> Self {
        let values = Values::new(load.value_bytes);
        Self { load, values, measured: RefCell::new(Measured::nothing()) }
    }

    /// Counts an answer to what was meant to begin then, in a load that began earlier.
    fn on_answer(&self, verdict: Verdict, intended: Instant, begun: Instant) {
        let (after, timeout) = (intended.elapsed(), self.load.timeout);
        let mut measured = self.measured.borrow_mut();
        if verdict == Verdict::Right && timeout.is_none_or(|timeout| after <= timeout) {
            measured.took = begun.elapsed();
        }
        measured.on_answer(verdict, after, timeout);
    }

    /// A source of chance; each number has its own.
    fn random(&self, number: u64) -> ChaCha8Rng {
        let mut random = ChaCha8Rng::seed_from_u64(self.load.seed);
        random.set_stream(number);
        random
    }
}
