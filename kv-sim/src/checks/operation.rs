//! An operation that a client asked for and was not answered yet.

use kv_core::client::{ClientOperation, Options, PutContext, Verb};
use kv_core::config::Config;
use kv_core::quorum::{Level, Mode};
use kv_core::time::{Span, Time};
use kv_core::types::{NodeId, RequestId};

use super::OperationNumber;
use super::history::WriteIndex;

/// An operation that is under way.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    /// The number of the operation.
    pub(super) number: OperationNumber,
    /// The node that the client asked.
    pub(super) coordinator: NodeId,
    /// The index of the key's history.
    pub(super) history: usize,
    /// The write, if the operation is one.
    pub(super) write: Option<WriteIndex>,
    /// The id of the request, as the cluster knows it.
    pub(super) request: Option<RequestId>,
    /// The time at which the client asked.
    pub(super) started: Time,
    /// The operation's place among all that the checks were told.
    pub(super) step: u64,
    /// The terms on which the operation succeeds.
    pub(super) terms: Terms,
    /// True if a message of the operation was lost.
    pub(super) is_disturbed: bool,
    /// The times that the messages took that were slow although no fault made them so.
    pub(super) trips: Vec<Span>,
    /// The reason why the operation must be refused, if it must.
    pub(super) misuse: Option<&'static str>,
}

/// The terms on which an operation succeeds, with the configuration's defaults filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    /// The mode, which says whose answers count.
    pub(super) mode: Mode,
    /// The number of answers that are read. None if none are, or if the level does not determine by
    /// itself how many it takes.
    pub(super) reads: Option<usize>,
    /// The number of durable copies that are written. None if none are, or if the level does not
    /// determine it.
    pub(super) writes: Option<usize>,
    /// True if the number of answers cannot be told here, as a level names data centers.
    pub(super) is_open: bool,
    /// True if a read may not be followed by an older one.
    pub(super) monotonic: bool,
    /// The time for which the coordinator tries.
    pub(super) timeout: Span,
}

impl Terms {
    /// Derives the terms of an operation on a key that has `n` owners.
    pub(super) fn of(operation: &ClientOperation, config: &Config, n: usize) -> Self {
        let Options { read, write, mode, timeout_ms, monotonic, request: _ } = operation.options;
        let mode = mode.unwrap_or(config.mode);
        let read = needed(read, config.read_quorum, n);
        let write = needed(write, config.write_quorum, n);
        let reads_first = |context: &PutContext| match (mode, context) {
            (Mode::Strict, PutContext::Latest(_)) => true,
            (Mode::Strict, PutContext::Token(_) | PutContext::Nothing) | (Mode::Sloppy, _) => false,
        };
        let (reads, writes, is_open) = match &operation.verb {
            Verb::Get => (read, None, read.is_none()),
            Verb::Put { context, .. } if reads_first(context) => {
                (read, write, read.is_none() || write.is_none())
            }
            Verb::Put { .. } => (None, write, write.is_none()),
        };
        let timeout = Span::from_ms(timeout_ms.unwrap_or(config.timeout_ms));
        let monotonic = monotonic.unwrap_or(config.monotonic_reads);
        Self { mode, reads, writes, is_open, monotonic, timeout }
    }
}

/// The number of answers that a level takes in a single data center; none if that depends on more
/// than N.
fn needed(level: Option<Level>, default: u64, n: usize) -> Option<usize> {
    match level {
        None => Some(usize::try_from(default).map_or(n, |default| default.min(n))),
        Some(Level::Count(count)) => Some(usize::from(count)),
        Some(Level::One) => Some(1),
        Some(Level::Quorum) => Some(n / 2 + 1),
        Some(Level::All) => Some(n),
        Some(Level::LocalQuorum | Level::EachQuorum) => None,
    }
}

#[cfg(test)]
mod tests {
    use kv_core::types::Key;
    use kv_core::version::{Content, VersionVector};

    use super::*;

    fn put(context: PutContext, options: Options) -> ClientOperation {
        let verb = Verb::Put { content: Content::Tombstone, expiry: None, context };
        ClientOperation { key: Key::from("k"), verb, options }
    }

    #[test]
    fn only_a_strict_put_that_overwrites_the_latest_reads_first() {
        let strict = || Options { mode: Some(Mode::Strict), ..Options::default() };
        let latest = || PutContext::Latest(VersionVector::default());
        let reads = |operation| Terms::of(&operation, &Config::default(), 3).reads;
        assert_eq!(reads(put(latest(), strict())), Some(2));
        assert_eq!(reads(put(latest(), Options::default())), None);
        assert_eq!(reads(put(PutContext::Nothing, strict())), None);
    }

    /// Seen at seed 24067 of swarm.toml: a strict put that reads first from a local quorum.
    #[test]
    fn a_level_that_names_data_centers_is_open_for_those_who_read_or_write_with_it() {
        let read = || Options { read: Some(Level::LocalQuorum), ..Options::default() };
        let strict = || Options { mode: Some(Mode::Strict), ..read() };
        let latest = || PutContext::Latest(VersionVector::default());
        let is_open = |operation| Terms::of(&operation, &Config::default(), 3).is_open;
        assert!(is_open(put(latest(), strict())));
        assert!(!is_open(put(latest(), read())) && !is_open(put(PutContext::Nothing, strict())));
    }

    #[test]
    fn quorums_come_from_the_options_then_from_the_configuration_and_never_exceed_n() {
        let writes = |write, n| {
            let options = Options { write, ..Options::default() };
            Terms::of(&put(PutContext::Nothing, options), &Config::default(), n).writes
        };
        assert_eq!(writes(None, 3), Some(2));
        assert_eq!(writes(None, 1), Some(1));
        assert_eq!(writes(Some(Level::Quorum), 5), Some(3));
        assert_eq!(writes(Some(Level::All), 5), Some(5));
        assert_eq!(writes(Some(Level::LocalQuorum), 5), None);
    }
}
