//! The table `[node]`: the core's own [`Config`], with the range of every number demanded here and
//! each problem pointed at in the text.
//!
//! R, W and the mode may stand in `quorum` or in `[node]`, and not in both: of two places that can
//! disagree, one would be believed and the other one read.

use std::collections::BTreeMap;
use std::ops::Range;

use kv_core::config::Config;
use kv_core::quorum::Level;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use toml::Spanned;
use toml::de::DeValue;

use super::cluster::Cluster;
use super::error::Problem;
use super::quorum::{self, LevelKey, Quorum, QuorumKeys};

/// The table `[node]`, its shape checked and its numbers not yet.
#[derive(Default)]
pub(super) struct NodeTable {
    config: Config,
    /// The place in the text of the value of each key that was given.
    spans: BTreeMap<String, Range<usize>>,
}

/// Parses the shape of the table into a value of the core.
pub(super) fn shape(table: Option<Spanned<DeValue<'_>>>) -> Result<NodeTable, Problem> {
    let Some(table) = table else {
        return Ok(NodeTable::default());
    };
    let span = table.span();
    let spans = match table.get_ref() {
        DeValue::Table(keys) => keys
            .iter()
            .map(|(key, value)| (key.get_ref().clone().into_owned(), value.span()))
            .collect(),
        _ => BTreeMap::new(),
    };
    let config = Config::deserialize(table.into_deserializer())
        .map_err(|error| Problem::from_toml(&error, span, &[]))?;
    Ok(NodeTable { config, spans })
}

/// Fills the quorum and the configuration, each from the other.
pub(super) fn parse(
    table: NodeTable,
    keys: &QuorumKeys,
    cluster: &Cluster,
    nodes: Range<usize>,
) -> Result<(Config, Quorum), Problem> {
    let NodeTable { mut config, spans } = table;
    let replicas = quorum::replicas(keys.n.as_ref(), cluster, nodes)?;
    let level = |name, key: Option<&Spanned<LevelKey>>, knob: &str, value: u64| {
        let value = match (key, spans.get(knob)) {
            (Some(_), Some(span)) => return Err(twice(span.clone(), knob, name)),
            (Some(key), None) => return quorum::level(name, key, &replicas, cluster),
            (None, Some(span)) => Spanned::new(span.clone(), LevelKey::Count(value)),
            // Neither is given: the core's default, or all owners where there are fewer.
            (None, None) => {
                let owners = replicas.values().map(|copies| u64::from(*copies)).sum();
                return Ok(Level::Count(value.min(owners) as u8));
            }
        };
        quorum::level(knob, &value, &replicas, cluster)
    };
    let read = level("r", keys.r.as_ref(), "read_quorum", config.read_quorum)?;
    let write = level("w", keys.w.as_ref(), "write_quorum", config.write_quorum)?;
    if let (Some(mode), span) = (&keys.mode, spans.get("mode")) {
        if let Some(span) = span {
            return Err(twice(span.clone(), "mode", "mode"));
        }
        config.mode = *mode.get_ref();
    }
    let quorum = Quorum { read, write, mode: config.mode, replicas };
    config.read_quorum = u64::from(quorum.needed(read));
    config.write_quorum = u64::from(quorum.needed(write));
    config.validate().map_err(|error| {
        let span = spans.get(error.knob).cloned().unwrap_or_default();
        Problem::at(span, format!("{} = {} is out of range", error.knob, error.value))
            .label(format!("must lie in {}..={}", error.min, error.max))
    })?;
    Ok((config, quorum))
}

fn twice(span: Range<usize>, knob: &str, key: &str) -> Problem {
    Problem::at(span, format!("`{knob}` is also given as `{key}` in quorum"))
        .label("the second place")
        .help("give it in one of the two")
}
