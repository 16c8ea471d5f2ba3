//! Workloads: the number of clients, their keys, their pace, and their requests.

use kv_core::config::Config;
use kv_core::quorum::{Level, Mode};
use kv_core::time::Span;
use kv_core::types::KEY_BYTES_MAX;
use serde::Deserialize;
use toml::Spanned;

use super::cluster::{Cluster, NodeIndex};
use super::error::Problem;
use super::key_choice::{self, DistributionKey, KeyChoice, KeyChoiceKeys};
use super::key_doc::{KeyDoc, ValueDoc};
use super::quantity::{
    NumberOrRange, PPM, count, decimal_milliseconds, milliseconds, parts_per_million,
};
use super::quorum::{self, LevelKey, Quorum};
use super::untidiness::{self, Misuse, Untidiness, UntidinessKeys};

/// A group of clients that do the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// The kind of operation that the clients do.
    pub kind: WorkloadKind,
    /// The number of clients at work at once, each with one operation in flight; at least 1.
    pub clients: u32,
    /// The number of operations of all clients together; at least 1.
    pub operations: u64,
    /// The number of distinct keys; at least 1. Default 32.
    pub keys: u32,
    /// The prefix of the keys' names. Default `k`.
    pub key_prefix: String,
    /// The smallest and the largest length of a key's name in bytes, as far as prefix and number
    /// leave it free: what is missing stands between these two, so that names have a long beginning
    /// in common. None if nothing is added, which is the default.
    pub key_bytes: Option<(u32, u32)>,
    /// The choice of a key for each operation. Default uniform.
    pub choice: KeyChoice,
    /// The smallest and the largest length of a value in bytes. Default 16.
    pub value_bytes: (u32, u32),
    /// The time at which the clients begin, since the chaos phase began. Default zero.
    pub from: Span,
    /// The time between two operations of one client.
    pub pace: ClientPace,
    /// The share of operations that read, in parts per million. Default one half.
    pub read_share_ppm: u32,
    /// R, of the workload or else of the scenario.
    pub read: Level,
    /// W, of the workload or else of the scenario.
    pub write: Level,
    /// The mode, which says whose answers count, of the workload or else of the scenario.
    pub mode: Mode,
    /// The time for which the cluster may work on a request, of the workload or else of `[node]`.
    pub timeout: Span,
    /// True if a client's operations go through one session, so that they are ordered.
    pub session: bool,
    /// The nodes that the clients may talk to; never empty, sorted.
    pub nodes: Vec<NodeIndex>,
    /// True if a client stays with one node until that fails; if not, it draws one each time.
    pub sticky: bool,
    /// The shares of requests that are untidy: empty values, repetitions, ids used twice, misuse.
    pub untidy: Untidiness,
}

/// The time between two operations of one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientPace {
    /// A closed loop: from an answer to the next operation it takes this time on average. Default
    /// 10 ms.
    Thinks(Span),
    /// An open loop: from the beginning of an operation to that of the next it takes this time on
    /// average, however long answers take. A client that is not answered in time begins those that
    /// it is late with as soon as it is.
    Arrives(Span),
}

/// The kind of operation that the clients of a workload do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkloadKind {
    /// Puts and gets of random keys that know nothing of each other.
    PutGet,
    /// A get, then a put with the context that came back: siblings are resolved.
    ReadModifyWrite,
    /// Puts without a context, like a plain `SET`.
    BlindPut,
    /// Puts and gets like those of `put-get`, with deletes.
    PutGetDelete,
}

impl Workload {
    /// Tells whether clients come back to earlier writes.
    pub const fn comes_back(&self) -> bool {
        let Untidiness { retries, repeat_ppm, reuse_ppm, .. } = self.untidy;
        retries > 0 || repeat_ppm > 0 || reuse_ppm > 0
    }
}

impl WorkloadKind {
    /// The word for the kind in a scenario.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PutGet => "put-get",
            Self::ReadModifyWrite => "read-modify-write",
            Self::BlindPut => "blind-put",
            Self::PutGetDelete => "put-get-delete",
        }
    }
}

impl Workload {
    /// Tells whether any of the operations may be a read.
    pub fn reads(&self) -> bool {
        match self.kind {
            WorkloadKind::ReadModifyWrite => true,
            WorkloadKind::PutGet | WorkloadKind::BlindPut | WorkloadKind::PutGetDelete => {
                self.read_share_ppm > 0
            }
        }
    }
}

/// A table `[[workload]]` as it stands in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WorkloadKeys {
    kind: WorkloadKind,
    clients: Spanned<u64>,
    operations: Spanned<u64>,
    keys: Option<Spanned<u64>>,
    key_prefix: Option<String>,
    key_bytes: Option<Spanned<NumberOrRange>>,
    distribution: Option<DistributionKey>,
    exponent: Option<Spanned<f64>>,
    hot_keys: Option<Spanned<u64>>,
    hot_share: Option<Spanned<f64>>,
    value_bytes: Option<Spanned<NumberOrRange>>,
    from_ms: Option<Spanned<u64>>,
    think_ms_mean: Option<Spanned<f64>>,
    rate_per_second: Option<Spanned<u64>>,
    read_share: Option<Spanned<f64>>,
    r: Option<Spanned<LevelKey>>,
    w: Option<Spanned<LevelKey>>,
    mode: Option<Mode>,
    timeout_ms: Option<Spanned<u64>>,
    session: Option<bool>,
    at: Option<Spanned<Vec<Spanned<String>>>>,
    sticky: Option<bool>,
    empty_share: Option<Spanned<f64>>,
    retries: Option<Spanned<u64>>,
    repeat_share: Option<Spanned<f64>>,
    reuse_share: Option<Spanned<f64>>,
    misuse_share: Option<Spanned<f64>>,
    misuses: Option<Spanned<Vec<Misuse>>>,
}

/// The keys of a table `[[workload]]`.
pub(super) const KEYS_DOC: &[KeyDoc] = &[
    KeyDoc::new(
        "kind",
        ValueDoc::Word(&["put-get", "read-modify-write", "blind-put", "put-get-delete"]),
        "what the clients do: puts and gets; a get, then a put upon what it showed; puts without a \
         context, like a plain `SET`; puts, gets and deletes",
    ),
    KeyDoc::new("clients", ValueDoc::Whole(1, 100_000), "clients at work at once, each with one operation in flight"),
    KeyDoc::new("operations", ValueDoc::Whole(1, 1_000_000_000), "operations of all clients together"),
    KeyDoc::new("keys", ValueDoc::Whole(1, 100_000_000), "distinct keys").or("32"),
    KeyDoc::new("key_prefix", ValueDoc::Text, "how the names of keys begin").or("\"k\""),
    KeyDoc::new(
        "key_bytes",
        ValueDoc::WholeOrRange(1, KEY_BYTES_MAX as u64),
        "the length of a key's name, filled up between prefix and number, so that names have a long \
         beginning in common; of a range, each key has a length of its own",
    )
    .or_else("as short as prefix and number"),
    KeyDoc::new(
        "distribution",
        ValueDoc::Word(&["uniform", "zipfian", "latest", "in-turn", "hot"]),
        "which keys are preferred: none; the first, by Zipf's law; those that the client wrote last; \
         each in its turn; a few, which get a share",
    )
    .or("\"uniform\""),
    KeyDoc::new("exponent", ValueDoc::Decimal(0.0, key_choice::EXPONENT_MAX), "the exponent of Zipf's law, of `zipfian` and `latest`").or_else("0.99, where there is one"),
    KeyDoc::new("hot_keys", ValueDoc::Whole(1, 99_999_999), "keys that `hot` prefers; less than `keys`").or_else("1, where there are some"),
    KeyDoc::probability("hot_share", "share of the operations that `hot` gives to them").or_else("0.5, where there are some"),
    KeyDoc::new(
        "value_bytes",
        ValueDoc::WholeOrRange(0, 67_108_864),
        "the length of a value, at most `value_bytes_max` of `[node]`; of a range, each has a length \
         of its own",
    )
    .or("16"),
    KeyDoc::ms("from_ms", "when the clients begin, from the beginning of the chaos phase").or("0"),
    KeyDoc::decimal_ms("think_ms_mean", "mean pause from an answer to the client's next operation").or_else("10, unless a rate is given"),
    KeyDoc::new(
        "rate_per_second",
        ValueDoc::Whole(1, RATE_MAX),
        "operations that all clients together begin, however long answers take (an open loop); a \
         client that is late begins the next as soon as it is answered",
    )
    .optional(),
    KeyDoc::probability("read_share", "share of the operations that read; nothing for `read-modify-write`").or("0.5"),
    KeyDoc::new("r", quorum::LEVEL, "answers that a read waits for").or_else("as in `quorum`"),
    KeyDoc::new("w", quorum::LEVEL, "durable copies that a write waits for").or_else("as in `quorum`"),
    KeyDoc::new("mode", quorum::MODE, "whose answers count").or_else("as in `quorum`"),
    KeyDoc::new("timeout_ms", ValueDoc::Whole(10, 60_000), "how long the cluster may work on a request").or_else("as in `[node]`"),
    KeyDoc::new("session", ValueDoc::Flag, "whether a client's operations go through one session, so that they are ordered").or("true"),
    KeyDoc::new("at", ValueDoc::Nodes, "nodes that the clients talk to").or_else("all"),
    KeyDoc::new("sticky", ValueDoc::Flag, "whether a client stays with one node until that fails, or draws one each time").or("true"),
    KeyDoc::probability("empty_share", "share of the values that are empty").or("0.0"),
    KeyDoc::new(
        "retries",
        ValueDoc::Whole(0, untidiness::RETRIES_MAX),
        "how often a write is asked for again, under its id and of another node, when nobody knows \
         whether it happened",
    )
    .or("0"),
    KeyDoc::probability("repeat_share", "share of the operations that ask for one of the client's last writes once more, under its id").or("0.0"),
    KeyDoc::probability("reuse_share", "share of the writes that are given the id of another one of the client's last writes").or("0.0"),
    KeyDoc::probability("misuse_share", "share of the operations that make no sense, and must be refused").or("0.0"),
    KeyDoc::new(
        "misuses",
        ValueDoc::Words(&["other-key", "corrupt-token", "other-cluster", "empty-key", "long-key", "long-value"]),
        "how they make no sense: a token of another key, one that was altered, one of another \
         cluster; a key without bytes, a key or a value with one byte too many",
    )
    .or_else("all ways"),
];

/// The number of keys if none is given.
const KEYS: u64 = 32;

/// The length of a value in bytes if none is given.
const VALUE_BYTES: u32 = 16;

/// The most operations that a workload may begin in a second.
const RATE_MAX: u64 = 10_000_000;

/// Parses the workload that a table describes.
pub(super) fn parse(
    keys: &WorkloadKeys,
    cluster: &Cluster,
    quorum: &Quorum,
    node: &Config,
) -> Result<Workload, Problem> {
    let counted = |key: &Option<Spanned<u64>>, name, default, range| match key {
        Some(value) => count(value, name, range),
        None => Ok(default),
    };
    let level = |name, key: &Option<Spanned<LevelKey>>, default| match key {
        Some(value) => quorum::level(name, value, &quorum.replicas, cluster),
        None => Ok(default),
    };
    let between = |key: &Option<Spanned<NumberOrRange>>, name, range| {
        let bounds = key.as_ref().map(|bounds| NumberOrRange::within(bounds, name, range));
        bounds.map(|bounds| bounds.map(|(min, max)| (min as u32, max as u32))).transpose()
    };
    let timeout_range = 10..=60_000;
    let clients = count(&keys.clients, "clients", 1..=100_000)? as u32;
    let given_keys = match &keys.keys {
        Some(given) => given.clone(),
        None => Spanned::new(keys.clients.span(), KEYS),
    };
    Ok(Workload {
        kind: keys.kind,
        clients,
        operations: count(&keys.operations, "operations", 1..=1_000_000_000)?,
        keys: count(&given_keys, "keys", 1..=100_000_000)? as u32,
        key_prefix: keys.key_prefix.clone().unwrap_or_else(|| "k".to_owned()),
        key_bytes: between(&keys.key_bytes, "key_bytes", 1..=KEY_BYTES_MAX as u64)?,
        choice: key_choice::parse(
            &KeyChoiceKeys {
                distribution: keys.distribution,
                exponent: keys.exponent.as_ref(),
                hot_keys: keys.hot_keys.as_ref(),
                hot_share: keys.hot_share.as_ref(),
            },
            &given_keys,
        )?,
        value_bytes: between(
            &keys.value_bytes,
            "value_bytes",
            0..=node.value_bytes_max.saturating_mul(2),
        )?
        .unwrap_or((VALUE_BYTES, VALUE_BYTES)),
        from: keys.from_ms.as_ref().map_or(Ok(Span::ZERO), milliseconds)?,
        pace: pace(keys, clients)?,
        read_share_ppm: keys.read_share.as_ref().map_or(Ok(PPM / 2), parts_per_million)?,
        read: level("r", &keys.r, quorum.read)?,
        write: level("w", &keys.w, quorum.write)?,
        mode: keys.mode.unwrap_or(quorum.mode),
        timeout: Span::from_ms(counted(
            &keys.timeout_ms,
            "timeout_ms",
            node.timeout_ms,
            timeout_range,
        )?),
        session: keys.session.unwrap_or(true),
        nodes: match &keys.at {
            Some(names) => cluster.all_named(names)?,
            None => cluster.indices().collect(),
        },
        sticky: keys.sticky.unwrap_or(true),
        untidy: untidiness::parse(&UntidinessKeys {
            empty_share: keys.empty_share.as_ref(),
            retries: keys.retries.as_ref(),
            repeat_share: keys.repeat_share.as_ref(),
            reuse_share: keys.reuse_share.as_ref(),
            misuse_share: keys.misuse_share.as_ref(),
            misuses: keys.misuses.as_ref(),
        })?,
    })
}

/// Parses the pace of each of so many clients.
fn pace(keys: &WorkloadKeys, clients: u32) -> Result<ClientPace, Problem> {
    match (&keys.think_ms_mean, &keys.rate_per_second) {
        (Some(_), Some(rate)) => {
            Err(Problem::at(rate.span(), "clients that come at a rate do not think")
                .label("think_ms_mean is given as well")
                .help("give one of the two"))
        }
        (None, Some(rate)) => {
            let rate = count(rate, "rate_per_second", 1..=RATE_MAX)?;
            Ok(ClientPace::Arrives(Span(1_000_000 * u64::from(clients) / rate)))
        }
        (Some(mean), None) => Ok(ClientPace::Thinks(decimal_milliseconds(mean)?)),
        (None, None) => Ok(ClientPace::Thinks(Span::from_ms(10))),
    }
}
