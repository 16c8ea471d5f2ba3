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
    /// What the clients do that they should not.
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
        value_bytes: between(&keys.value_bytes, "value_bytes", 0..=node.value_bytes_max)?
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
