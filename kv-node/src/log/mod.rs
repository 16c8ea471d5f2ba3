//! The log of a node: lines for people, or JSON for machines, to standard error.
//!
//! - `sink.rs`: writes lines without ever making anybody wait, and counts those that are lost.
//! - `filter.rs`: reads `RUST_LOG`.
//! - `panics.rs`: logs panics.
//! - `limiter.rs`: one line per fact, then a count each minute.
//! - `events.rs`: puts the core's events in words. `named.rs`: names nodes as people know them.

mod events;
#[cfg(not(madsim))]
mod filter;
mod limiter;
mod named;
#[cfg(not(madsim))]
mod panics;
mod sink;

#[cfg(not(madsim))]
use std::io::IsTerminal as _;

pub use events::EventLog;
pub use limiter::LogLimiter;
pub use named::Named;
pub use sink::{Sink, lines_lost};

/// In which form the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Human,
    /// One JSON value a line.
    Json,
}

/// Begins to log to standard error, panics too. `RUST_LOG` chooses levels and targets. Does nothing
/// if a log was begun already.
#[cfg(not(madsim))]
pub fn begin(format: LogFormat, stderr: &Sink) {
    let filter::Filter { filter, problem } = filter::Filter::from_env();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // A line that cannot be put together is lost; to say so on standard error could block.
        .log_internal_errors(false)
        .with_writer(stderr.clone());
    let begun = match format {
        LogFormat::Human => {
            let ansi = std::io::stderr().is_terminal();
            builder.with_ansi(ansi).with_target(false).try_init()
        }
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if begun.is_ok() {
        panics::log(stderr.clone());
        if let Some(problem) = problem {
            tracing::warn!("{problem}");
        }
    }
}
