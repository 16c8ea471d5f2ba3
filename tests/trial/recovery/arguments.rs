//! What the trial of recovery is told.

use std::path::PathBuf;

use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Keys that are written before
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub(super) keys: u64,
    /// Bytes of a value
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    pub(super) size: u32,
    /// Nodes of our cluster, of which the first is ended: one alone, or three that all hold every key
    #[arg(long, default_value = "1", value_parser = PossibleValuesParser::new(["1", "3"]).map(|nodes| usize::from(nodes == "3") * 2 + 1))]
    pub(super) nodes: usize,
    /// How servers are ended
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Stop::Clean, Stop::Kill])]
    pub(super) stop: Vec<Stop>,
    /// Servers beside ours, each alone; those that are not installed are passed over
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [LogServer::Redis, LogServer::Valkey])]
    pub(super) peers: Vec<LogServer>,
    /// How often each is ended in each way, in turns; the table shows medians
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100))]
    pub(super) rounds: u64,
    /// A file for all that was measured, every round of it
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
}

/// How a server is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Stop {
    /// By SIGTERM, after which it ends by itself
    Clean,
    /// By SIGKILL
    Kill,
}

impl Stop {
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Clean => "SIGTERM",
            Self::Kill => "kill -9",
        }
    }
}

/// A server whose data is a log of commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LogServer {
    Redis,
    Valkey,
}
