//! Writing all keys into a store, before it is measured.

use std::io;
use std::time::Duration;

use crate::load::{self, KeyChoice, Load, Pace, Protocol, Request};

/// How long writing all keys may take.
const TIME_MAX: Duration = Duration::from_secs(1_800);

/// The bytes that are on their way at most, where a value is not larger: on one connection, and on all.
const IN_FLIGHT_BYTES: (usize, usize) = (64 << 10, 4 << 20);

/// How often all is written again when a store has refused a part of it.
const ATTEMPTS: u32 = 10;

/// How long after such a refusal.
const PAUSE: Duration = Duration::from_secs(1);

/// The keys that a store is filled with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filling {
    pub(crate) keys: u64,
    pub(crate) value_bytes: usize,
    /// The most connections.
    pub(crate) connections: usize,
    /// The most requests in a pipeline.
    pub(crate) depth: usize,
}

impl Filling {
    /// Writes each key, once if none is refused.
    ///
    /// # Errors
    /// Not all could be written.
    pub(crate) fn write(self, addresses: &[String], protocol: Protocol) -> io::Result<()> {
        let mut attempts = 1..ATTEMPTS;
        loop {
            match self.write_once(addresses.to_vec(), protocol) {
                Err(error) if attempts.next().is_none() => return Err(error),
                Err(_refused) => std::thread::sleep(PAUSE),
                Ok(()) => return Ok(()),
            }
        }
    }

    fn write_once(self, addresses: Vec<String>, protocol: Protocol) -> io::Result<()> {
        let (on_one, on_all) = IN_FLIGHT_BYTES;
        let value_bytes = self.value_bytes.max(1);
        let filled = load::drive(Load {
            addresses,
            protocol,
            request: Request::Set,
            pace: Pace::Closed { operations: self.keys },
            connections: (on_all / value_bytes).clamp(1, self.connections),
            depth: (on_one / value_bytes).clamp(1, self.depth),
            keys: KeyChoice::InTurn { count: self.keys },
            value_bytes: self.value_bytes,
            time_max: TIME_MAX,
            timeout: None,
            seed: 0,
            last_due: None,
        })?;
        if filled.operations == self.keys {
            return Ok(());
        }
        let why = filled.shortcomings().unwrap_or_else(|| "it takes too long".to_owned());
        Err(io::Error::other(format!("not all keys could be written: {why}")))
    }
}
