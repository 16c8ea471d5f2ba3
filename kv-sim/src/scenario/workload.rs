//! Workloads: the number of clients, their keys, their pace, and their requests.

use kv_core::config::Config;
use kv_core::quorum::{Level, Mode};
use kv_core::time::Span;
use serde::Deserialize;
use toml::Spanned;

use super::cluster::{Cluster, NodeIndex};
use super::error::Problem;
use super::quantity::{PPM, count, decimal_milliseconds, milliseconds, parts_per_million};
use super::quorum::{self, LevelKey, Quorum};

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
    /// The length of a value in bytes; at least 8. Default 16.
    pub value_bytes: u32,
    /// The time at which the clients begin, since the chaos phase began. Default zero.
    pub from: Span,
    /// The mean pause between an answer and the client's next operation. Default 10 ms.
    pub think_mean: Span,
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
    value_bytes: Option<Spanned<u64>>,
    from_ms: Option<Spanned<u64>>,
    think_ms_mean: Option<Spanned<f64>>,
    read_share: Option<Spanned<f64>>,
    r: Option<Spanned<LevelKey>>,
    w: Option<Spanned<LevelKey>>,
    mode: Option<Mode>,
    timeout_ms: Option<Spanned<u64>>,
    session: Option<bool>,
    at: Option<Spanned<Vec<Spanned<String>>>>,
    sticky: Option<bool>,
}

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
    let timeout_range = 10..=60_000;
    Ok(Workload {
        kind: keys.kind,
        clients: count(&keys.clients, "clients", 1..=100_000)? as u32,
        operations: count(&keys.operations, "operations", 1..=1_000_000_000)?,
        keys: counted(&keys.keys, "keys", 32, 1..=100_000_000)? as u32,
        key_prefix: keys.key_prefix.clone().unwrap_or_else(|| "k".to_owned()),
        value_bytes: counted(&keys.value_bytes, "value_bytes", 16, 8..=node.value_bytes_max)?
            as u32,
        from: keys.from_ms.as_ref().map_or(Ok(Span::ZERO), milliseconds)?,
        think_mean: match &keys.think_ms_mean {
            Some(mean) => decimal_milliseconds(mean)?,
            None => Span::from_ms(10),
        },
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
    })
}
