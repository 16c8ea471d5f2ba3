//! An operation that a client asked for and was not answered yet.

use bytes::Bytes;
use kv_core::client::{ClientOperation, Options, PutContext, Verb};
use kv_core::config::Config;
use kv_core::quorum::{Level, Mode};
use kv_core::store::Refusal;
use kv_core::time::{Span, Time};
use kv_core::types::{NodeId, RequestId};
use smallvec::SmallVec;

use super::counted_sets::CountedSets;
use super::datacenters::{Among, Datacenters};
use super::history::WriteIndex;
use super::operation_number::OperationNumber;

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
    /// The length of the value that is written, in bytes.
    pub(super) value_bytes: usize,
    /// The token that the client passes on, if it does.
    pub(super) token: Option<Bytes>,
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
    /// The refusals that replicas gave, each with the replica.
    pub(super) refusals: SmallVec<[(NodeId, Refusal); 1]>,
    /// The times that the messages took that were slow although no fault made them so.
    pub(super) trips: Vec<Span>,
    /// The reason why the operation must be refused, if it must.
    pub(super) misuse: Option<&'static str>,
}

/// The terms on which an operation succeeds, with the configuration's defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    /// The mode, which says whose answers count.
    pub(super) mode: Mode,
    /// The answers that are read; none if none are.
    pub(super) reads: Option<CountedSets>,
    /// The durable copies that are written; none if none are.
    pub(super) writes: Option<CountedSets>,
    /// True if a read may not be followed by an older one.
    pub(super) monotonic: bool,
    /// The time for which the coordinator tries.
    pub(super) timeout: Span,
}

impl Terms {
    /// Derives the terms of an operation that this coordinator is asked for.
    pub(super) fn of(
        operation: &ClientOperation,
        config: &Config,
        coordinator: NodeId,
        datacenters: &Datacenters,
    ) -> Self {
        let Options { read, write, mode, timeout_ms, monotonic, request: _ } = operation.options;
        let mode = mode.unwrap_or(config.mode);
        let sets = |level: Option<Level>, default| {
            let level = level.unwrap_or_else(|| count(default, datacenters));
            Some(CountedSets::of(level, coordinator, datacenters))
        };
        let reads_first = |context: &PutContext| match (mode, context) {
            (Mode::Strict, PutContext::Latest(_)) => true,
            (Mode::Strict, PutContext::Token(_) | PutContext::Nothing) | (Mode::Sloppy, _) => false,
        };
        let (reads, writes) = match &operation.verb {
            Verb::Get => (sets(read, config.read_quorum), None),
            Verb::Put { context, .. } if reads_first(context) => {
                (sets(read, config.read_quorum), sets(write, config.write_quorum))
            }
            Verb::Put { .. } => (None, sets(write, config.write_quorum)),
        };
        let timeout = Span::from_ms(timeout_ms.unwrap_or(config.timeout_ms));
        let monotonic = monotonic.unwrap_or(config.monotonic_reads);
        Self { mode, reads, writes, monotonic, timeout }
    }
}

/// The level of an operation that names none: so many answers, but no more than there are owners.
fn count(default: u64, datacenters: &Datacenters) -> Level {
    let owners = datacenters.copies(Among::All) as u64;
    Level::Count(u8::try_from(default.min(owners)).unwrap_or(u8::MAX))
}

#[cfg(test)]
mod tests {
    use kv_core::types::Key;
    use kv_core::version::{Content, Context};

    use super::*;

    fn put(context: PutContext, options: Options) -> ClientOperation {
        let verb = Verb::Put { content: Content::Tombstone, expiry: None, context };
        ClientOperation { key: Key::from("k"), verb, options }
    }

    /// The terms of an operation in a cluster with so many owners of each key.
    fn terms(operation: &ClientOperation, n: usize) -> Terms {
        let node = NodeId(1);
        let datacenters = Datacenters::new([(node, "dc1")], |_| n);
        Terms::of(operation, &Config::default(), node, &datacenters)
    }

    #[test]
    fn only_a_strict_put_that_overwrites_the_latest_reads_first() {
        let strict = || Options { mode: Some(Mode::Strict), ..Options::default() };
        let latest = || PutContext::Latest(Context::default());
        let reads = |operation| terms(&operation, 3).reads.map(|reads| reads.total());
        assert_eq!(reads(put(latest(), strict())), Some(2));
        assert_eq!(reads(put(latest(), Options::default())), None);
        assert_eq!(reads(put(PutContext::Nothing, strict())), None);
    }

    #[test]
    fn quorums_come_from_the_options_then_from_the_configuration_and_never_exceed_n() {
        let writes = |write, n| {
            let options = Options { write, ..Options::default() };
            let operation = put(PutContext::Nothing, options);
            terms(&operation, n).writes.map(|writes| writes.total())
        };
        assert_eq!(writes(None, 3), Some(2));
        assert_eq!(writes(None, 1), Some(1));
        assert_eq!(writes(Some(Level::Quorum), 5), Some(3));
        assert_eq!(writes(Some(Level::All), 5), Some(5));
        assert_eq!(writes(Some(Level::LocalQuorum), 5), Some(3));
    }
}
