//! The configuration of a node: one TOML file, and flags or environment above it.
//!
//! In: a text, [`Overrides`] and [`Surroundings`]. Out: [`Settings`], which exist only if
//! everything in them makes sense (parse, don't validate), or a [`ConfigError`] with every problem,
//! each at its line.
//!
//! - `table.rs` reads key by key: each must make sense by itself.
//! - `layout.rs` and `address.rs` make the cluster of `[cluster]` and `[[member]]`.
//! - `relations.rs` checks the rules between keys.
//!
//! `default.toml` beside this file documents every key; `kv-node config default` prints it, and a
//! test holds it equal to what stands where a file says nothing.

mod address;
mod layout;
mod limits;
mod problem;
mod relations;
mod surroundings;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kv_core::config::Config;
use kv_core::ring::Ring;
use kv_core::types::NodeId;
use serde::Deserialize;
use toml::Spanned;
use toml::de::DeTable;

pub use layout::founder_id;
pub use limits::Limits;
pub use problem::{ConfigError, ConfigProblem, ConfigSeverity, Findings};
pub use surroundings::Surroundings;

use layout::SharedConfig;
use relations::{Ports, Relations};
use table::{OwnKeys, Table, check_cluster, check_own, in_range, keep};

use crate::storage::Durability;

/// A complete configuration with every key at its default, and an explanation of each.
pub const DEFAULT: &str = include_str!("default.toml");

/// The range of `self.sync_interval_ms`.
const SYNC_INTERVAL_MS: std::ops::RangeInclusive<u64> = 1..=60_000;

/// The settings of a node. Made by [`Settings::parse`] only.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The cluster's name.
    pub cluster: String,
    /// The ring of the members: the cluster's first layout.
    pub ring: Arc<Ring>,
    /// The address at which peers reach each member.
    pub addresses: BTreeMap<NodeId, String>,
    /// The id of this node.
    pub node: NodeId,
    /// The name of this node.
    pub name: String,
    /// The directory of this node's data: an absolute path.
    pub data_dir: PathBuf,
    /// The addresses on which this node listens.
    pub listen: Listen,
    /// The durability of an acknowledged write.
    pub durability: Durability,
    /// The settings of the core.
    pub core: Config,
    /// The limits on the loads that the node takes.
    pub limits: Limits,
    /// The settings that are probably not meant, to be shown to people.
    pub warnings: Findings,
}

/// The addresses on which a node listens. Port 0 lets the system choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// The address for Redis clients.
    pub redis: SocketAddr,
    /// The address for peers.
    pub peer: SocketAddr,
    /// The address for health checks and metrics.
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

impl Settings {
    /// Reads the configuration from a file.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn load(
        path: &Path,
        overrides: &Overrides,
        around: &Surroundings,
    ) -> Result<Self, ConfigError> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable {
            path: shown.clone(),
            reason: error.to_string(),
        })?;
        Self::parse_in(&shown, &text, overrides, around)
    }

    /// Reads the settings from a text, without the environment. Nothing is opened; `path` is the
    /// name of the text, and its folder is the one at which relative paths begin.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`], with every problem that could be found.
    pub fn parse(path: &str, text: &str, overrides: &Overrides) -> Result<Self, ConfigError> {
        Self::parse_in(path, text, overrides, &Surroundings::default())
    }

    fn parse_in(
        path: &str,
        text: &str,
        overrides: &Overrides,
        around: &Surroundings,
    ) -> Result<Self, ConfigError> {
        let mut problems = around.problems();
        let folder = Path::new(path).parent().unwrap_or(Path::new(""));
        let settings = read(text, folder, overrides, around, &mut problems);
        let findings = Findings::new(path, text, problems);
        match settings {
            Some(settings) if !findings.has_errors() => Ok(Self { warnings: findings, ..settings }),
            Some(_) | None => Err(ConfigError::Invalid(findings)),
        }
    }
}

/// Reads the settings from a text; `None`, if they cannot be put together. They may be used only if
/// no problem is an error.
fn read(
    text: &str,
    folder: &Path,
    overrides: &Overrides,
    around: &Surroundings,
    problems: &mut Vec<ConfigProblem>,
) -> Option<Settings> {
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let everything = 0..text.len();
        problems
            .extend(errors.iter().map(|error| ConfigProblem::from_toml(error, everything.clone())));
        return None;
    }
    let mut document = document.into_inner();
    let mut take = |name: &str| document.remove(name);
    let (cluster, members) = (take("cluster"), take("member"));
    let (own, node, limits) = (take("self"), take("node"), take("limits"));
    let tables = ["cluster", "member", "self", "node", "limits"];
    problems.extend(
        document
            .keys()
            .map(|key| ConfigProblem::unknown_word(key.span(), "table", key.get_ref(), &tables)),
    );

    let table = |value: Option<_>, problems: &mut Vec<ConfigProblem>| {
        value.and_then(|value| keep(problems, Table::of(value)))
    };
    if cluster.is_none() {
        problems.push(missing("the table [cluster] is missing"));
    }
    let (cluster, cluster_spans) = match table(cluster, problems) {
        Some(mut table) => {
            let at = table.span();
            if let Some(founding) = table.remove("founding") {
                let message = "`founding` is no key of a configuration";
                let label = "leave it out: a new cluster is founded by `kv-node init`, said once to \
                             one member";
                problems.push(ConfigProblem::at(Some(founding), message, label));
            }
            let (keys, spans) = table.read(problems, check_cluster);
            if !spans.contains_key("name") {
                let message = "the key `name` is missing";
                problems.push(ConfigProblem::at(Some(at), message, "this needs `name`"));
            }
            (keys, spans)
        }
        None => Default::default(),
    };
    if members.is_none() {
        problems.push(missing("there is no [[member]] table"));
    }
    let members = members.map_or_else(Vec::new, |value| Table::list(value, problems));
    let cluster_name = cluster.name.as_ref().map_or("", |name| name.get_ref());
    let members: Vec<_> =
        members.into_iter().map(|table| layout::member(cluster_name, table, problems)).collect();
    let (own, own_spans) = match table(own, problems) {
        Some(table) => table.read(problems, check_own),
        None => Default::default(),
    };
    let (core, core_spans) = match table(node, problems) {
        Some(table) => {
            table.read(problems, |keys: &Config, at| in_range(keys.out_of_range().next(), at))
        }
        None => Default::default(),
    };
    let (limits, limit_spans) = match table(limits, problems) {
        Some(table) => {
            table.read(problems, |keys: &Limits, at| in_range(keys.out_of_range().next(), at))
        }
        None => Default::default(),
    };

    let shared =
        if members.is_empty() { None } else { layout::shared(&cluster, &members, problems) };
    let copies = shared.as_ref().map(|shared| shared.ring.layout().copies());
    let core = with_quorums(core, copies, &core_spans);
    let names = members.iter().map(|read| (&*read.member.name, read.member.id)).collect();
    let own = own_place((own, &own_spans), folder, overrides, &names, problems);
    let relations = Relations {
        core: &core,
        core_spans: &core_spans,
        limits: &limits,
        limit_spans: &limit_spans,
        members: &members,
        partitions: (
            cluster.partitions.as_ref().map_or(4_096, |count| u64::from(*count.get_ref())),
            cluster_spans.get("partitions").cloned(),
        ),
        copies,
        node: own.node.as_ref().map(|(_, id)| *id),
        ports: own.ports,
        own_spans: &own_spans,
        memory_bytes: around.memory_bytes,
    };
    problems.extend(relations.problems());

    let SharedConfig { cluster: name, ring, addresses } = shared?;
    let (own_name, node) = own.node?;
    let Ports { redis: Some(redis), peer: Some(peer), http: Some(http) } = own.ports else {
        return None;
    };
    Some(Settings {
        cluster: name,
        ring: Arc::new(ring),
        addresses,
        node,
        name: own_name,
        data_dir: own.data_dir?,
        listen: Listen { redis, peer, http },
        durability: own.durability,
        core,
        limits,
        warnings: Findings::default(),
    })
}

fn missing(message: impl Into<String>) -> ConfigProblem {
    ConfigProblem::at(None, message, "").help("`kv-node config default` prints a complete file")
}

/// The settings of `[self]` and the overrides together, as far as they are valid.
struct Own {
    node: Option<(String, NodeId)>,
    data_dir: Option<PathBuf>,
    ports: Ports,
    durability: Durability,
}

fn own_place(
    (keys, spans): (OwnKeys, &table::Spans),
    folder: &Path,
    overrides: &Overrides,
    members: &BTreeMap<&str, NodeId>,
    problems: &mut Vec<ConfigProblem>,
) -> Own {
    let OwnKeys { name, data_dir, redis, peer, http, durability, sync_interval_ms } = keys;
    let ports = Ports {
        redis: overrides.redis.or(redis),
        peer: overrides.peer.or(peer),
        http: overrides.http.or(http),
    };
    for (key, flag, is_overridden) in [
        ("name", "--name", overrides.name.is_some()),
        ("data_dir", "--data-dir", overrides.data_dir.is_some()),
        ("redis", "--redis", overrides.redis.is_some()),
        ("peer", "--peer", overrides.peer.is_some()),
        ("http", "--http", overrides.http.is_some()),
    ] {
        if !is_overridden && !spans.contains_key(key) {
            let message =
                format!("it is not said what `{key}` is: neither in [self] nor by {flag}");
            problems.push(missing(message));
        }
    }
    let node = own_name(name, overrides, members, problems);
    let data_dir = match (&overrides.data_dir, data_dir) {
        // A shell completes paths from the folder that it is in, and so they are meant.
        (Some(path), _) => keep(problems, absolute(Path::new(""), path, None)),
        (None, Some(path)) => keep(problems, absolute(folder, path.get_ref(), Some(path.span()))),
        (None, None) => None,
    };
    let interval = sync_interval_ms.map(Spanned::into_inner);
    let every = Duration::from_millis(overrides.sync_interval_ms.or(interval).unwrap_or(1_000));
    let durability = match overrides.durability.or(durability).unwrap_or_default() {
        DurabilityWord::Always => Durability::Always,
        DurabilityWord::Interval => Durability::Interval { every },
        DurabilityWord::Never => Durability::Never,
    };
    Own { node, data_dir, ports, durability }
}

fn own_name(
    name: Option<Spanned<String>>,
    overrides: &Overrides,
    members: &BTreeMap<&str, NodeId>,
    problems: &mut Vec<ConfigProblem>,
) -> Option<(String, NodeId)> {
    let span = name.as_ref().filter(|_| overrides.name.is_none()).map(Spanned::span);
    let name = overrides.name.clone().or(name.map(Spanned::into_inner))?;
    if let Some(id) = members.get(&*name) {
        return Some((name, *id));
    }
    let names: Vec<_> = members.keys().copied().collect();
    let problem = ConfigProblem::at(span, format!("`{name}` is no member"), "no such member");
    problems.push(problem.help(format!("the members are {}", names.join(", "))));
    None
}

/// Makes a path absolute, so that it means the same whichever folder a node is started in.
fn absolute(
    folder: &Path,
    path: &Path,
    span: Option<std::ops::Range<usize>>,
) -> Result<PathBuf, ConfigProblem> {
    if path.as_os_str().is_empty() {
        return Err(ConfigProblem::at(span, "`data_dir` is empty", "name a folder"));
    }
    if path.starts_with("~") {
        let message = format!("`{}`: only a shell knows what ~ is", path.display());
        return Err(ConfigProblem::at(span, message, "write the path out"));
    }
    std::path::absolute(folder.join(path)).map_err(|error| {
        let message = format!("`{}` cannot be made an absolute path: {error}", path.display());
        ConfigProblem::at(span, message, "write the path out")
    })
}

/// Lowers R and W, where they were not given, so that the existing owners can meet them.
fn with_quorums(mut core: Config, copies: Option<usize>, spans: &table::Spans) -> Config {
    let copies = copies.map_or(u64::MAX, |copies| copies as u64);
    for (name, value) in
        [("read_quorum", &mut core.read_quorum), ("write_quorum", &mut core.write_quorum)]
    {
        if !spans.contains_key(name) {
            *value = (*value).min(copies);
        }
    }
    core
}
