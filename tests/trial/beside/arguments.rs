//! What the trial beside others is told.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

use crate::key_arguments::{KeyArguments, positive};
use crate::load::{Pace, Request};
use crate::peers::{OTHERS, PeerName};

/// A value is at most so large: our nodes take no larger ones by default.
const VALUE_BYTES_MAX: i64 = 1 << 20;

/// Pipelines whose values are more than this are left out: nobody would send them.
const PIPELINE_BYTES_MAX: usize = 1 << 20;

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Stores to hold ours against; those that are not installed are passed over
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = OTHERS)]
    pub(super) peers: Vec<PeerName>,
    /// Numbers of connections, all at once
    #[arg(long, value_delimiter = ',', default_values_t = [50], value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(super) connections: Vec<u16>,
    /// Bytes of a value
    #[arg(long, value_delimiter = ',', default_values_t = [100], value_parser = clap::value_parser!(u32).range(1..=VALUE_BYTES_MAX))]
    pub(super) sizes: Vec<u32>,
    #[command(flatten)]
    pub(super) keys: KeyArguments,
    /// Commands to measure
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Command::Set, Command::Get])]
    pub(super) commands: Vec<Command>,
    /// Requests that a connection sends before it waits; in an open loop, the most that it has unanswered
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16], value_parser = clap::value_parser!(u16).range(1..=1_024))]
    pub(super) pipeline: Vec<u16>,
    /// Whether connections wait for answers before they ask for more
    #[arg(long = "loop", value_enum, default_value_t = LoopKind::Closed)]
    pub(super) loop_kind: LoopKind,
    /// Operations in a second of an open loop
    #[arg(long, required_if_eq("loop_kind", "open"), value_parser = positive)]
    pub(super) rate: Option<f64>,
    /// How often everything is measured, in turns; the table shows medians
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub(super) rounds: u64,
    /// Operations of one measurement in a closed loop
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) operations: u64,
    /// How long one measurement may take, in seconds
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub(super) seconds: u64,
    /// How long each load runs unmeasured before, in seconds
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(0..=3_600))]
    pub(super) warm_up: u64,
    /// A file for all that was measured, every round of it
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
}

/// A command to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Command {
    Set,
    Get,
}

impl Command {
    pub(crate) const fn request(self) -> Request {
        match self {
            Self::Set => Request::Set,
            Self::Get => Request::Get,
        }
    }
}

/// Whether connections wait for answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LoopKind {
    /// Each connection asks for more when all before is answered
    Closed,
    /// Operations come at a rate, and latency counts from when each was due
    Open,
}

impl Arguments {
    /// As they were before other stores than Redis could be asked for.
    pub(crate) fn beside_redis(mut self) -> Self {
        self.peers = vec![PeerName::Redis];
        self
    }

    /// The stores to start, ours first.
    pub(super) fn stores(&self) -> Vec<PeerName> {
        let mut stores = vec![PeerName::KvNode];
        for peer in &self.peers {
            if !stores.contains(peer) {
                stores.push(*peer);
            }
        }
        stores
    }

    pub(super) fn pace(&self) -> Pace {
        match (self.loop_kind, self.rate) {
            (LoopKind::Open, Some(per_second)) => Pace::Open { per_second },
            (LoopKind::Open, None) | (LoopKind::Closed, _) => {
                Pace::Closed { operations: self.operations }
            }
        }
    }

    pub(super) const fn time_max(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// How long one round of one case takes at most, with what is not measured before.
    pub(super) const fn round_seconds_max(&self) -> u64 {
        self.warm_up + self.seconds
    }

    /// The depths that are measured with values of so many bytes.
    pub(super) fn depths(&self, value_bytes: usize) -> Vec<usize> {
        let depths = self.pipeline.iter().map(|depth| usize::from(*depth));
        depths.filter(|depth| *depth == 1 || depth * value_bytes <= PIPELINE_BYTES_MAX).collect()
    }

    /// The load in words.
    pub(super) fn words(&self) -> String {
        let Self { rounds, operations, seconds, .. } = self;
        match self.pace() {
            Pace::Closed { .. } => {
                format!(
                    "closed loop, medians of {rounds} rounds of {operations} operations or {seconds} s"
                )
            }
            Pace::Open { per_second } => format!(
                "open loop of {per_second} operations/s, latency from when each was due, medians of {rounds} \
                 rounds of {seconds} s"
            ),
        }
    }
}
