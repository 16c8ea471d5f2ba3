//! The configuration of a node: one TOML file, and flags or environment above it.
//!
//! In: a text and [`Overrides`]. Out: [`Settings`], which exist only if everything in them makes
//! sense (parse, don't validate), or a [`ConfigError`] with every problem, each at its line.
//!
//! `default.toml` beside this file documents every key; `kv-node config default` prints it, and a
//! test holds it equal to what stands where a file says nothing.

mod layout;
mod limits;
mod problem;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kv_core::config::{Config, OutOfRange};
use kv_core::ring::Ring;
use kv_core::types::NodeId;
use serde::de::{DeserializeOwned, IntoDeserializer as _};
use serde::{Deserialize, Deserializer};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub use layout::founder_id;
pub use limits::Limits;
pub use problem::{ConfigError, Problem};

use crate::storage::Durability;

/// A complete configuration with every key at its default, and what each of them means.
pub const DEFAULT: &str = include_str!("default.toml");

/// The range of `self.sync_interval_ms`.
const SYNC_INTERVAL_MS: std::ops::RangeInclusive<u64> = 1..=60_000;

/// The range of `cluster.n`.
const COPIES: std::ops::RangeInclusive<u8> = 1..=16;

/// The range of a member's weight.
const WEIGHTS: std::ops::RangeInclusive<u16> = 1..=1_024;

/// Everything that a node is told. Made by [`Settings::parse`] only.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The cluster's name.
    pub cluster: String,
    /// The members and their places: the cluster's first layout.
    pub ring: Arc<Ring>,
    /// Where the peers of each member reach it.
    pub addresses: BTreeMap<NodeId, String>,
    /// Which of them this node is.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// Where its data lies.
    pub data_dir: PathBuf,
    /// Where it listens.
    pub listen: Listen,
    /// What an acknowledged write has survived.
    pub durability: Durability,
    /// What the core is told.
    pub core: Config,
    /// What the node will bear.
    pub limits: Limits,
}

/// Where a node listens. Port 0 lets the system choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// For Redis clients.
    pub redis: SocketAddr,
    /// For peers.
    pub peer: SocketAddr,
    /// For health checks and metrics.
    pub http: SocketAddr,
}

/// What flags and the environment say of `[self]`; it wins over the file.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Overrides {
    /// Which of the members this node is
    #[arg(long, env = "KV_NODE_NAME")]
    pub name: Option<String>,
    /// The folder of its data
    #[arg(long, env = "KV_NODE_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Where it listens for Redis clients
    #[arg(long, env = "KV_NODE_REDIS", value_name = "ADDRESS:PORT")]
    pub redis: Option<SocketAddr>,
    /// Where it listens for peers
    #[arg(long, env = "KV_NODE_PEER", value_name = "ADDRESS:PORT")]
    pub peer: Option<SocketAddr>,
    /// Where it listens for health checks and metrics
    #[arg(long, env = "KV_NODE_HTTP", value_name = "ADDRESS:PORT")]
    pub http: Option<SocketAddr>,
    /// What an acknowledged write has survived
    #[arg(long, env = "KV_NODE_DURABILITY", value_enum)]
    pub durability: Option<DurabilityWord>,
    /// How long what is written may stay without a sync under `interval`
    #[arg(long, env = "KV_NODE_SYNC_INTERVAL_MS", value_name = "MS", value_parser = clap::value_parser!(u64).range(SYNC_INTERVAL_MS))]
    pub sync_interval_ms: Option<u64>,
}

/// How durability is spelled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum DurabilityWord {
    /// Synced before it is acknowledged.
    #[default]
    Always,
    /// Synced within an interval.
    Interval,
    /// Synced when the operating system likes.
    Never,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClusterKeys {
    name: Spanned<String>,
    #[serde(default = "default_partitions")]
    partitions: Spanned<u32>,
    #[serde(default = "default_copies")]
    n: Spanned<u8>,
    /// No key any more. Whoever still gives it is told why.
    founding: Option<Spanned<toml::Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MemberKeys {
    name: Spanned<String>,
    address: Spanned<String>,
    machine: Option<String>,
    rack: Option<String>,
    datacenter: Option<String>,
    weight: Option<Spanned<u16>>,
    id: Option<Spanned<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnKeys {
    name: Option<Spanned<String>>,
    data_dir: Option<PathBuf>,
    #[serde(default, deserialize_with = "address")]
    redis: Option<SocketAddr>,
    #[serde(default, deserialize_with = "address")]
    peer: Option<SocketAddr>,
    #[serde(default, deserialize_with = "address")]
    http: Option<SocketAddr>,
    durability: Option<DurabilityWord>,
    sync_interval_ms: Option<Spanned<u64>>,
}

fn default_partitions() -> Spanned<u32> {
    Spanned::new(0..0, 4_096)
}

fn default_copies() -> Spanned<u8> {
    Spanned::new(0..0, 3)
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let expected = "an address and a port, such as 127.0.0.1:7001";
    text.parse()
        .map(Some)
        .map_err(|_| serde::de::Error::invalid_value(serde::de::Unexpected::Str(&text), &expected))
}

impl Settings {
    /// Reads a file.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn load(path: &Path, overrides: &Overrides) -> Result<Self, ConfigError> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable {
            path: shown.clone(),
            reason: error.to_string(),
        })?;
        Self::parse(&shown, &text, overrides)
    }

    /// The settings that a text describes. `path` is only a name: nothing is read.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`], with every problem that could be found.
    pub fn parse(path: &str, text: &str, overrides: &Overrides) -> Result<Self, ConfigError> {
        parse(text, overrides).map_err(|mut problems| {
            problems.sort_by_key(|problem| problem.span.as_ref().map(|span| span.start));
            ConfigError::Invalid { path: path.to_owned(), text: text.into(), problems }
        })
    }
}

/// A table that was taken out of the document.
struct Table<'a>(Spanned<DeValue<'a>>);

impl Table<'_> {
    fn span(&self) -> Range<usize> {
        self.0.span()
    }

    /// Where the value of each key stands.
    fn spans(&self) -> BTreeMap<String, Range<usize>> {
        match self.0.get_ref() {
            DeValue::Table(keys) => keys
                .iter()
                .map(|(key, value)| (key.get_ref().clone().into_owned(), value.span()))
                .collect(),
            _ => BTreeMap::new(),
        }
    }

    fn keys<T: DeserializeOwned>(self) -> Result<T, Problem> {
        let span = self.span();
        T::deserialize(self.0.into_deserializer()).map_err(|error| Problem::from_toml(&error, span))
    }
}

fn parse(text: &str, overrides: &Overrides) -> Result<Settings, Vec<Problem>> {
    let mut document = DeTable::parse(text)
        .map_err(|error| vec![Problem::from_toml(&error, 0..text.len())])?
        .into_inner();
    let mut problems = Vec::new();
    let mut take = |name: &str| document.remove(name).map(Table);
    let (cluster, members) = (take("cluster"), take("member"));
    let (own, node, limits) = (take("self"), take("node"), take("limits"));
    let tables = ["cluster", "member", "self", "node", "limits"];
    problems.extend(
        document
            .keys()
            .map(|key| Problem::unknown_word(key.span(), "table", key.get_ref(), &tables)),
    );

    let cluster = match cluster {
        Some(table) => keep(&mut problems, cluster_keys(table)),
        None => keep(&mut problems, Err(missing("the table [cluster] is missing"))),
    };
    let members = match members {
        Some(table) => keep(&mut problems, member_keys(table)),
        None => keep(&mut problems, Err(missing("there is no [[member]] table"))),
    };
    let own = match own {
        Some(table) => keep(&mut problems, own_keys(table)),
        None => Some(OwnKeys::default()),
    };
    let limits = match limits {
        Some(table) => keep(&mut problems, limit_keys(table)),
        None => Some(Limits::default()),
    };
    let spans = node.as_ref().map(Table::spans).unwrap_or_default();
    let core = match node {
        Some(table) => keep(&mut problems, core_keys(table, &spans)),
        None => Some(Config::default()),
    };
    let (Some(cluster), Some(members)) = (cluster, members) else {
        return Err(problems);
    };
    let layout = keep(&mut problems, layout::layout(&cluster, &members));
    let own = own
        .zip(layout.as_ref())
        .and_then(|(keys, (ring, _))| keep(&mut problems, place(keys, overrides, ring)));
    let core = core.zip(layout.as_ref()).and_then(|(core, (ring, _))| {
        keep(&mut problems, with_quorums(core, ring.layout().copies(), &spans))
    });
    match (layout, own, core, limits) {
        (Some((ring, addresses)), Some(own), Some(core), Some(limits)) if problems.is_empty() => {
            let Own { node, name, data_dir, listen, durability } = own;
            Ok(Settings {
                cluster: cluster.name.into_inner(),
                ring: Arc::new(ring),
                addresses,
                node,
                name,
                data_dir,
                listen,
                durability,
                core,
                limits,
            })
        }
        _ => Err(problems),
    }
}

/// Keeps a value, or its problem.
fn keep<T>(problems: &mut Vec<Problem>, result: Result<T, Problem>) -> Option<T> {
    result.map_err(|problem| problems.push(problem)).ok()
}

fn missing(message: impl Into<String>) -> Problem {
    Problem::at(None, message, "").help("`kv-node config default` prints a complete file")
}

fn cluster_keys(table: Table<'_>) -> Result<ClusterKeys, Problem> {
    let keys: ClusterKeys = table.keys()?;
    if let Some(founding) = &keys.founding {
        let message = "`founding` is no key of a configuration";
        let label =
            "leave it out: a new cluster is founded by `kv-node init`, said once to one member";
        return Err(Problem::at(Some(founding.span()), message, label));
    }
    if keys.name.get_ref().is_empty() {
        return Err(Problem::at(Some(keys.name.span()), "the cluster has no name", "give it one"));
    }
    if !COPIES.contains(keys.n.get_ref()) {
        let message = format!("n = {} is out of range", keys.n.get_ref());
        return Err(Problem::at(Some(keys.n.span()), message, "must lie in 1..=16"));
    }
    Ok(keys)
}

fn member_keys(table: Table<'_>) -> Result<Vec<MemberKeys>, Problem> {
    if !matches!(table.0.get_ref(), DeValue::Array(_)) {
        let label = "write [[member]], with two brackets";
        return Err(Problem::at(Some(table.span()), "`member` is a list of tables", label));
    }
    let keys: Vec<MemberKeys> = table.keys()?;
    let mut names = BTreeSet::new();
    for MemberKeys { name, address, weight, .. } in &keys {
        if !names.insert(name.get_ref()) {
            let message = format!("two members are called `{}`", name.get_ref());
            return Err(Problem::at(Some(name.span()), message, "the second one"));
        }
        let port = address.get_ref().rsplit_once(':').map(|(host, port)| (host, port.parse()));
        if !matches!(port, Some((host, Ok(1..=u16::MAX))) if !host.is_empty()) {
            let message = format!("`{}` is no address of a peer", address.get_ref());
            return Err(Problem::at(Some(address.span()), message, "write HOST:PORT"));
        }
        if let Some(weight) = weight.as_ref().filter(|weight| !WEIGHTS.contains(weight.get_ref())) {
            let message = format!("weight = {} is out of range", weight.get_ref());
            return Err(Problem::at(Some(weight.span()), message, "must lie in 1..=1024"));
        }
    }
    Ok(keys)
}

fn own_keys(table: Table<'_>) -> Result<OwnKeys, Problem> {
    let keys: OwnKeys = table.keys()?;
    match &keys.sync_interval_ms {
        Some(ms) if !SYNC_INTERVAL_MS.contains(ms.get_ref()) => {
            let message = format!("sync_interval_ms = {} is out of range", ms.get_ref());
            Err(Problem::at(Some(ms.span()), message, "must lie in 1..=60000"))
        }
        Some(_) | None => Ok(keys),
    }
}

fn core_keys(table: Table<'_>, spans: &BTreeMap<String, Range<usize>>) -> Result<Config, Problem> {
    let config: Config = table.keys()?;
    config.validate().map_err(|error| out_of_range(&error, spans))?;
    Ok(config)
}

fn limit_keys(table: Table<'_>) -> Result<Limits, Problem> {
    let spans = table.spans();
    let limits: Limits = table.keys()?;
    limits.validate().map_err(|error| out_of_range(&error, &spans))?;
    Ok(limits)
}

fn out_of_range(error: &OutOfRange, spans: &BTreeMap<String, Range<usize>>) -> Problem {
    let OutOfRange { knob, value, min, max } = error;
    let message = format!("{knob} = {value} is out of range");
    Problem::at(spans.get(*knob).cloned(), message, format!("must lie in {min}..={max}"))
}

/// What `[self]` and the overrides say together.
struct Own {
    node: NodeId,
    name: String,
    data_dir: PathBuf,
    listen: Listen,
    durability: Durability,
}

fn place(keys: OwnKeys, overrides: &Overrides, ring: &Ring) -> Result<Own, Problem> {
    let needed = |key: &str, flag: &str| {
        missing(format!("it is not said what `{key}` is: neither in [self] nor by {flag}"))
    };
    let span = keys.name.as_ref().filter(|_| overrides.name.is_none()).map(Spanned::span);
    let name = overrides.name.clone().or(keys.name.map(Spanned::into_inner));
    let name = name.ok_or_else(|| needed("name", "--name"))?;
    let Some(member) = ring.members().iter().find(|member| member.name == name) else {
        let names: Vec<_> = ring.members().iter().map(|member| &*member.name).collect();
        return Err(Problem::at(span, format!("`{name}` is no member"), "no such member")
            .help(format!("the members are {}", names.join(", "))));
    };
    let redis = overrides.redis.or(keys.redis).ok_or_else(|| needed("redis", "--redis"))?;
    let peer = overrides.peer.or(keys.peer).ok_or_else(|| needed("peer", "--peer"))?;
    let http = overrides.http.or(keys.http).ok_or_else(|| needed("http", "--http"))?;
    let data_dir = overrides.data_dir.clone().or(keys.data_dir);
    let word = overrides.durability.or(keys.durability).unwrap_or_default();
    let interval = keys.sync_interval_ms.map(Spanned::into_inner);
    let every = Duration::from_millis(overrides.sync_interval_ms.or(interval).unwrap_or(1_000));
    Ok(Own {
        node: member.id,
        name,
        data_dir: data_dir.ok_or_else(|| needed("data_dir", "--data-dir"))?,
        listen: Listen { redis, peer, http },
        durability: match word {
            DurabilityWord::Always => Durability::Always,
            DurabilityWord::Interval => Durability::Interval { every },
            DurabilityWord::Never => Durability::Never,
        },
    })
}

/// R and W can be met; where nothing was said, by all the owners that there are.
fn with_quorums(
    mut core: Config,
    copies: usize,
    spans: &BTreeMap<String, Range<usize>>,
) -> Result<Config, Problem> {
    let copies = copies as u64;
    for (name, value) in
        [("read_quorum", &mut core.read_quorum), ("write_quorum", &mut core.write_quorum)]
    {
        match spans.get(name) {
            None => *value = (*value).min(copies),
            Some(span) if *value > copies => {
                let message = format!("{name} = {value}, and there are {copies} of each key");
                return Err(Problem::at(Some(span.clone()), message, "no request could meet this"));
            }
            Some(_) => {}
        }
    }
    Ok(core)
}
