//! The configuration of a node: the same keys stand under `[node]` of a scenario and in the node's
//! own file. Each number has a range; the simulator's swarm draws from those ranges, so a value
//! that is allowed here is a value that has been tried.

use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::quorum::Mode;
use crate::time::Span;
use crate::version::{Container, Dot, Version};

/// The error that a number is out of its range.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{knob} = {value} is out of range: it must lie in {min}..={max}")]
pub struct OutOfRange {
    /// The key as it stands in the file.
    pub knob: &'static str,
    /// The value that was given.
    pub value: u64,
    /// The smallest value allowed.
    pub min: u64,
    /// The largest value allowed.
    pub max: u64,
}

/// The name, meaning, default and range of a number of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Knob {
    /// The key as it stands in the file.
    pub name: &'static str,
    /// The meaning, in a sentence or two.
    pub about: &'static str,
    /// The value if the file does not name the key.
    pub default: u64,
    /// The smallest value allowed.
    pub min: u64,
    /// The largest value allowed.
    pub max: u64,
}

impl Knob {
    /// Refuses a value that is out of the range.
    ///
    /// # Errors
    /// [`OutOfRange`] names the knob, the value and the range.
    pub fn check(&self, value: u64) -> Result<(), OutOfRange> {
        let Self { name: knob, about: _, default: _, min, max } = *self;
        let in_range = (min..=max).contains(&value);
        if in_range { Ok(()) } else { Err(OutOfRange { knob, value, min, max }) }
    }
}

macro_rules! config {
    ($($(#[doc = $doc:literal])* $knob:ident = $default:literal in $min:literal..=$max:literal,)*) => {
        /// The configuration of a node. All nodes of a cluster should have the same.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Config {
            $($(#[doc = $doc])* pub $knob: u64,)*
            /// The nodes whose answers count when a request does not say (semantics.md §3). Default
            /// `sloppy`.
            pub mode: Mode,
            /// Tells whether a read makes its answer stand on enough owners before it replies, so
            /// that the next read cannot go backwards (CASSANDRA-14740). Costs a round trip where
            /// replicas differ. Default `false`.
            pub monotonic_reads: bool,
            /// The resolution of siblings, by key prefix; the longest prefix wins. Keys that match
            /// none keep their siblings.
            pub buckets: Vec<Bucket>,
        }

        impl Default for Config {
            fn default() -> Self {
                Self {
                    $($knob: $default,)*
                    mode: Mode::Sloppy,
                    monotonic_reads: false,
                    buckets: Vec::new(),
                }
            }
        }

        impl Config {
            /// The name, meaning, default and range of every number, in the order in which they are
            /// documented.
            pub const KNOBS: &'static [Knob] = &[
                $(Knob {
                    name: stringify!($knob),
                    about: concat!($($doc),*).trim_ascii(),
                    default: $default,
                    min: $min,
                    max: $max,
                },)*
            ];

            /// The value of every number, in the order of [`Config::KNOBS`].
            fn values(&self) -> [u64; Self::KNOBS.len()] {
                [$(self.$knob,)*]
            }
        }
    };
}

config! {
    /// The number of answers that a read waits for when a request does not say; at most the
    /// layout's N.
    read_quorum = 2 in 1..=16,
    /// The number of durable copies that a write waits for when a request does not say; at most N.
    write_quorum = 2 in 1..=16,
    /// The time that a coordinator takes for a request before it answers "unknown", in
    /// milliseconds.
    timeout_ms = 1_000 in 10..=60_000,
    /// The longest time that a coordinator waits for an answer before it asks another replica too, in
    /// milliseconds: a write always waits so long, a read less where answers are usually faster. Well
    /// above the usual round trip, well below `timeout_ms`.
    hedge_ms = 100 in 1..=10_000,
    /// The most siblings that a key may have; a write that would add one more is refused, so that
    /// no value is dropped to make room.
    siblings_max = 64 in 1..=1_024,
    /// The largest value, in bytes.
    value_bytes_max = 1_048_576 in 1..=67_108_864,
    /// The most client requests that one coordinator works on at once; one more is refused.
    requests_max = 65_536 in 1..=1_048_576,
    /// The number of request ids that a replica remembers per partition, so that a retry is not a
    /// second write.
    recent_requests = 128 in 0..=65_536,
    /// The most by which a hybrid time may be ahead of the node's wall clock and still be adopted
    /// into its clock, in milliseconds. A container is never refused for its time.
    clock_ahead_ms = 10_000 in 0..=3_600_000,
    /// The time from one gossip round to the next, in milliseconds.
    gossip_interval_ms = 1_000 in 50..=60_000,
    /// The number of peers that one gossip round talks to.
    gossip_fanout = 3 in 1..=16,
    /// The time for which a hint is kept for a target that does not return, in milliseconds. After
    /// that the other owners take it over, and the target must be repaired. Default 7 days.
    hint_expiry_ms = 604_800_000 in 1_000..=31_536_000_000,
    /// The most hints kept for one target, in bytes.
    hint_bytes_per_target = 268_435_456 in 1_024..=1_099_511_627_776,
    /// The most hints kept for all targets together, in bytes.
    hint_bytes_total = 1_073_741_824 in 1_024..=1_099_511_627_776,
    /// The approximate size of a batch of hints that is replayed, in bytes.
    hint_batch_bytes = 65_536 in 256..=16_777_216,
    /// The pause between two batches of hints, in milliseconds: with the batch size it is the
    /// budget.
    hint_pause_ms = 10 in 0..=60_000,
    /// The time for which a batch of hints may go unanswered before it is tried again, in
    /// milliseconds; it doubles with each failure in a row, up to 64 times.
    hint_retry_ms = 1_000 in 10..=60_000,
    /// The time from one comparison with another replica to the next, in milliseconds. All pairs
    /// take as many rounds as a node has partners.
    repair_interval_ms = 1_000 in 10..=3_600_000,
    /// The pause between the two looks at a difference, in milliseconds: writes in flight are not
    /// repaired.
    repair_settle_ms = 500 in 0..=60_000,
    /// The time that a repair waits for an answer before it gives up the session, in milliseconds.
    repair_timeout_ms = 2_000 in 10..=60_000,
    /// The approximate size of a message of containers or summaries, in bytes.
    repair_batch_bytes = 65_536 in 256..=16_777_216,
    /// The approximate size of what a node reads in each interval of repair of what it holds, in
    /// bytes: some partitions or a part of a large one, to find corruption while there are others
    /// to repair it from.
    scrub_batch_bytes = 1_048_576 in 256..=16_777_216,
}

/// A bucket: the keys of one prefix, with one way to resolve siblings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bucket {
    /// The prefix of all keys of the bucket.
    pub prefix: String,
    /// The resolution of siblings in the bucket.
    pub resolve: Resolve,
}

/// The resolution of siblings on read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resolve {
    /// All siblings are shown to the client, which resolves them.
    #[default]
    Siblings,
    /// The greatest (hybrid time, dot) wins on read; a loser goes only when it is overwritten.
    Lww,
}

impl Resolve {
    /// The siblings that a reader is shown, tombstones among them.
    pub fn shown(self, container: &Container) -> Vec<&(Dot, Version)> {
        match self {
            Self::Siblings => container.distinct(),
            Self::Lww => container.latest().into_iter().collect(),
        }
    }

    /// The value for a reader that knows nothing of siblings: the greatest (hybrid time, dot) among
    /// the values that are shown at all; none if only tombstones are.
    pub fn single(self, container: &Container) -> Option<&Bytes> {
        self.shown(container)
            .into_iter()
            .filter_map(|(dot, version)| Some((version.time, dot, version.content.value()?)))
            .max_by_key(|&(time, dot, _)| (time, dot))
            .map(|(_, _, value)| value)
    }
}

impl Config {
    /// Checks that all numbers are within their ranges.
    ///
    /// # Errors
    /// The first error of [`Config::out_of_range`].
    pub fn validate(&self) -> Result<(), OutOfRange> {
        self.out_of_range().next().map_or(Ok(()), Err)
    }

    /// The errors of all numbers that are out of their ranges.
    pub fn out_of_range(&self) -> impl Iterator<Item = OutOfRange> {
        Self::KNOBS.iter().zip(self.values()).filter_map(|(knob, value)| knob.check(value).err())
    }

    /// The resolution of siblings of a key.
    pub fn resolve(&self, key: &[u8]) -> Resolve {
        self.buckets
            .iter()
            .filter(|bucket| key.starts_with(bucket.prefix.as_bytes()))
            .max_by_key(|bucket| bucket.prefix.len())
            .map_or(Resolve::Siblings, |bucket| bucket.resolve)
    }

    /// The timeout that a client asked for, brought into the range of `timeout_ms`; in
    /// milliseconds.
    pub fn timeout(asked_ms: u64) -> u64 {
        let knob = Self::KNOBS.iter().find(|knob| knob.name == "timeout_ms");
        let Knob { min, max, .. } = knob.expect("it is one of the knobs");
        asked_ms.clamp(*min, *max)
    }

    /// [`Config::hedge_ms`] as a span.
    pub fn hedge(&self) -> Span {
        Span::from_ms(self.hedge_ms)
    }

    /// [`Config::gossip_interval_ms`] as a span.
    pub fn gossip_interval(&self) -> Span {
        Span::from_ms(self.gossip_interval_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::HybridTime;
    use crate::types::{Epoch, NodeId, RequestId};
    use crate::version::{Actor, Content};

    /// Makes siblings, each written at its time by a node of its own.
    fn siblings(contents: &[(u64, Content)]) -> Container {
        let mut container = Container::default();
        for (node, (time, content)) in (1_u64..).zip(contents) {
            let dot = Dot { actor: Actor { node: NodeId(node), epoch: Epoch(1) }, n: 1 };
            let version = Version {
                content: content.clone(),
                time: HybridTime(*time),
                expiry: None,
                request: RequestId(u128::from(node)),
                tag: None,
            };
            container.add(dot, version);
        }
        container
    }

    fn value(text: &'static str) -> Content {
        Content::Value(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn a_reader_of_one_value_is_shown_the_greatest_time_and_then_the_greatest_dot() {
        let container = siblings(&[(7, value("a")), (9, value("b")), (9, value("c"))]);
        for resolve in [Resolve::Siblings, Resolve::Lww] {
            assert_eq!(resolve.single(&container), Some(&Bytes::from("c")));
        }
        assert_eq!(Resolve::Siblings.shown(&container).len(), 3);
        assert_eq!(Resolve::Lww.shown(&container).len(), 1);
    }

    #[test]
    fn a_later_deletion_hides_a_value_only_where_the_last_write_wins() {
        let container = siblings(&[(7, value("a")), (9, Content::Tombstone)]);
        assert_eq!(Resolve::Siblings.single(&container), Some(&Bytes::from("a")));
        assert_eq!(Resolve::Lww.single(&container), None);
    }

    #[test]
    fn nothing_is_shown_of_an_empty_container() {
        for resolve in [Resolve::Siblings, Resolve::Lww] {
            assert_eq!(resolve.single(&Container::default()), None);
        }
    }

    #[test]
    fn the_defaults_lie_in_their_own_ranges() {
        assert_eq!(Config::default().validate(), Ok(()));
    }

    #[test]
    fn a_number_out_of_range_is_named_with_its_range() {
        let config = Config { hedge_ms: 0, ..Config::default() };
        let error = config.validate().expect_err("zero is below the range");
        assert_eq!((error.knob, error.min, error.max), ("hedge_ms", 1, 10_000));
    }

    #[test]
    fn the_longest_prefix_decides_how_siblings_are_resolved() {
        let bucket = |prefix: &str, resolve| Bucket { prefix: prefix.into(), resolve };
        let buckets = alloc::vec![bucket("a", Resolve::Lww), bucket("a/b", Resolve::Siblings)];
        let config = Config { buckets, ..Config::default() };
        assert_eq!(config.resolve(b"a/x"), Resolve::Lww);
        assert_eq!(config.resolve(b"a/bx"), Resolve::Siblings);
        assert_eq!(config.resolve(b"c"), Resolve::Siblings);
    }
}
