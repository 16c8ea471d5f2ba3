//! What the trial of overload is told.

use std::path::PathBuf;
use std::time::Duration;

use crate::beside::Command;
use crate::key_arguments::{KeyArguments, positive};
use crate::peers::PeerName;

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// The store that is asked for too much
    #[arg(long, value_enum, default_value_t = PeerName::KvNode)]
    pub(super) store: PeerName,
    /// What it is asked for
    #[arg(long, value_enum, default_value_t = Command::Set)]
    pub(super) command: Command,
    /// Bytes of a value
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    pub(super) size: u32,
    #[command(flatten)]
    pub(super) keys: KeyArguments,
    /// Numbers of connections of the closed loops that look for the capacity
    #[arg(long, value_delimiter = ',', default_values_t = [10, 50, 200, 1_000], value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(super) capacity_connections: Vec<u16>,
    /// Requests in a pipeline of these loops. With more than one a store does more at once, and the overload
    /// is heavier
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1_024))]
    pub(super) capacity_pipeline: u16,
    /// How long each of them lasts, in seconds
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(super) capacity_seconds: u64,
    /// How many times the capacity is asked for, one after the other
    #[arg(long, value_delimiter = ',', default_values_t = [1.0, 2.0, 3.0], value_parser = positive)]
    pub(super) factors: Vec<f64>,
    /// Connections of the open loop
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(super) connections: u16,
    /// The most requests on one connection that are not answered
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(super) in_flight: u16,
    /// How long clients wait for an answer, in milliseconds
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    pub(super) timeout_ms: u64,
    /// How long each overload lasts, in seconds
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(super) seconds: u64,
    /// The most requests of one overload, which ends sooner then
    #[arg(long, default_value_t = 5_000_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub(super) requests_max: u64,
    /// How long memory may take to come down afterwards, in seconds
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(0..=3_600))]
    pub(super) settle: u64,
    /// Other processes that take all of a core that they get, from before the capacity is looked for
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=256))]
    pub(super) busy: u16,
    /// A file for all that was measured
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
}

impl Arguments {
    pub(super) const fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    /// How long so many operations in a second are asked for.
    pub(super) fn time(&self, per_second: f64) -> Duration {
        let until_enough = self.requests_max as f64 / per_second;
        Duration::from_secs_f64(until_enough.min(self.seconds as f64))
    }
}
