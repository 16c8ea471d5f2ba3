//! What a node says to people while it runs: lines for eyes, or JSON for machines.

mod limiter;
mod named;

use std::io::IsTerminal as _;

use kv_core::event::Event;
use tracing_subscriber::EnvFilter;

pub use limiter::LogLimiter;
pub use named::Named;

/// In which form the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Human,
    /// One JSON value a line.
    Json,
}

/// Begins to log to standard error. `RUST_LOG` chooses levels and targets; without it, what an
/// operator should know is said. Does nothing if somebody has begun already.
pub fn begin(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let _begun = match format {
        LogFormat::Human => {
            let ansi = std::io::stderr().is_terminal();
            builder.with_ansi(ansi).with_target(false).try_init()
        }
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}

/// Says what the core observed, as loud as it matters to an operator.
pub fn event(event: &Event) {
    match event {
        Event::StoreFailed => tracing::error!("the storage failed: this node serves no more"),
        Event::Mended { key } => tracing::warn!(?key, "a damaged record was repaired from peers"),
        Event::Damaged { partition } => {
            tracing::warn!(partition = partition.0, "a record is damaged; peers will mend it");
        }
        Event::Stalled { ms } => tracing::warn!(ms, "this node stalled"),
        Event::ClockAhead { stamped_by, by_ms } => {
            tracing::warn!(%stamped_by, by_ms, "something is stamped far ahead of this node's clock");
        }
        Event::HintDropped { target, partition } => {
            tracing::warn!(%target, partition = partition.0, "a hint was dropped; repair follows");
        }
        Event::Rejected { from, reason } => {
            tracing::debug!(%from, ?reason, "a message was refused");
        }
        Event::Founded => {
            tracing::info!("the cluster is founded; this node is new in it and serves")
        }
        Event::DataMissing => tracing::warn!(
            "the cluster was founded before, and the data of this node is missing: it copies from \
             its peers, and answers reads of each partition when that is complete"
        ),
        Event::LossUndecided { partitions } => tracing::error!(
            partitions,
            "so many owners of these partitions have lost their data that this node can never copy \
             enough: acknowledged writes may be lost for good. Bring the other nodes back with their \
             data, or accept the loss with `kv-node accept-loss`"
        ),
        Event::Suspected { peer } => tracing::info!(%peer, "a peer seems to be down"),
        Event::Trusted { peer } => tracing::info!(%peer, "a peer seems to be up"),
        Event::HintsDelivered { target, count } => {
            tracing::debug!(%target, count, "hints were delivered");
        }
        Event::Synced { partition } => {
            tracing::info!(partition = partition.0, "a partition is synced again");
        }
        Event::EpochDrawn { partition, reason, .. } => {
            tracing::debug!(partition = partition.0, ?reason, "an epoch was drawn");
        }
        Event::RepairDiffered { peer, partition, keys } => {
            tracing::debug!(%peer, partition = partition.0, keys, "a repair found differences");
        }
        Event::RepairClean { .. }
        | Event::ReadRepair { .. }
        | Event::HintStored { .. }
        | Event::Minted { .. }
        | Event::Mark(_)
        | Event::ReadBeforeWrite { .. } => tracing::trace!(?event),
    }
}
