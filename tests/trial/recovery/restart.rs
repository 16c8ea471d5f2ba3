//! One start of a server that has data, and how long it took to get where.

use std::io;
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::arguments::Stop;
use super::restartable::Restartable;
use crate::median::median;
use crate::peers::RunningServer;
use crate::process_stat::{resident_bytes, resident_bytes_max};
use crate::support::{Answer, Client};

/// How long a start may take.
const START_MAX: Duration = Duration::from_secs(1_800);

/// How often is looked how far it is.
const LOOK: Duration = Duration::from_millis(1);

/// How long one read may take before it is tried anew.
const READ_TIMEOUT: Duration = Duration::from_secs(1);

/// What one start has shown, or the medians of several.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Restart {
    pub(super) data_bytes: f64,
    /// From the order to end until the end.
    pub(super) stop_ms: f64,
    /// From the start until it takes connections.
    pub(super) listens_ms: f64,
    /// From the start until it says that it serves.
    pub(super) ready_ms: f64,
    /// From the start until a read brings a value.
    pub(super) first_get_ms: f64,
    pub(super) memory_before: f64,
    /// When the first read was answered.
    pub(super) memory_after: f64,
    /// The most from the start until then.
    pub(super) memory_max: f64,
}

impl Restart {
    /// Ends a running server and starts it again.
    ///
    /// # Errors
    /// It ended again, or did not get there in time.
    pub(super) fn make(
        subject: &(dyn Restartable + Sync),
        running: RunningServer,
        stop: Stop,
        value_bytes: usize,
    ) -> io::Result<(Self, RunningServer)> {
        let memory_before = resident_bytes(running.id()).unwrap_or(0);
        let begun = Instant::now();
        match stop {
            Stop::Clean => drop(running.stop()),
            Stop::Kill => running.kill(),
        }
        let stop_ms = ms(begun.elapsed());
        let data_bytes = bytes_below(subject.data())?;

        let begun = Instant::now();
        let mut running = subject.start();
        let is_over = AtomicBool::new(false);
        let until = |is_so: &dyn Fn() -> bool| -> Option<f64> {
            while !is_over.load(Ordering::Relaxed) {
                if is_so() {
                    return Some(ms(begun.elapsed()));
                }
                std::thread::sleep(LOOK);
            }
            None
        };
        let (listens, ready, first_get) = std::thread::scope(|scope| {
            let listens = scope.spawn(|| until(&|| TcpStream::connect(subject.address()).is_ok()));
            let ready = scope.spawn(|| until(&|| subject.is_ready()));
            let first_get = scope.spawn(|| until(&|| reads(subject.address(), value_bytes)));
            while ![&listens, &ready, &first_get].iter().all(|it| it.is_finished()) {
                if !running.is_running() || begun.elapsed() > START_MAX {
                    is_over.store(true, Ordering::Relaxed);
                }
                std::thread::sleep(LOOK);
            }
            let [listens, ready, first_get] =
                [listens, ready, first_get].map(|it| it.join().expect("it only looks"));
            (listens, ready, first_get)
        });
        let (Some(listens_ms), Some(ready_ms), Some(first_get_ms)) = (listens, ready, first_get)
        else {
            return Err(io::Error::other(format!("{} does not come back", subject.name())));
        };
        let restart = Self {
            data_bytes: data_bytes as f64,
            stop_ms,
            listens_ms,
            ready_ms,
            first_get_ms,
            memory_before: memory_before as f64,
            memory_after: resident_bytes(running.id()).unwrap_or(0) as f64,
            memory_max: resident_bytes_max(running.id()).unwrap_or(0) as f64,
        };
        Ok((restart, running))
    }

    /// The median of each figure.
    pub(super) fn medians(rounds: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| median(rounds.iter().map(figure));
        Self {
            data_bytes: of(|round| round.data_bytes),
            stop_ms: of(|round| round.stop_ms),
            listens_ms: of(|round| round.listens_ms),
            ready_ms: of(|round| round.ready_ms),
            first_get_ms: of(|round| round.first_get_ms),
            memory_before: of(|round| round.memory_before),
            memory_after: of(|round| round.memory_after),
            memory_max: of(|round| round.memory_max),
        }
    }
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

/// Whether a read brings the first key's value.
fn reads(address: &str, value_bytes: usize) -> bool {
    let read = Client::connect_within(address, READ_TIMEOUT)
        .and_then(|mut client| client.try_ask(&["GET", "key-00000000"]));
    matches!(read, Ok(Answer::Bulk(Some(value))) if value.len() == value_bytes)
}

/// The bytes that all files in a folder have on the disk.
fn bytes_below(folder: &Path) -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt as _;
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let about = entry.metadata()?;
        bytes += match about.is_dir() {
            true => bytes_below(&entry.path())?,
            // In units of 512 bytes, on every system.
            false => about.blocks() * 512,
        };
    }
    Ok(bytes)
}
