//! Tables `[[init]]`: the cluster is new, and an operator tells a node to found it.
//!
//! Without one the cluster exists when the world begins.

use kv_core::time::Span;
use serde::Deserialize;
use toml::Spanned;

use super::cluster::{Cluster, NodeIndex};
use super::error::Problem;
use super::key_doc::{KeyDoc, ValueDoc};
use super::quantity::milliseconds;

/// An operator's order to found the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Init {
    /// The time of the order, since the chaos phase began.
    pub at: Span,
    /// The node that is told.
    pub node: NodeIndex,
    /// The nodes that are left out of the cluster.
    pub without: Vec<NodeIndex>,
}

/// The keys of a table `[[init]]`.
pub(super) const KEYS_DOC: &[KeyDoc] = &[
    KeyDoc::ms("at_ms", "when the order is given, from the beginning of the chaos phase"),
    KeyDoc::new("node", ValueDoc::Node, "the node that is told"),
    KeyDoc::new("without", ValueDoc::Nodes, "nodes that are left out of the cluster").or("[]"),
];

/// A table `[[init]]` as it stands in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InitKeys {
    at_ms: Spanned<u64>,
    node: Spanned<String>,
    #[serde(default)]
    without: Vec<Spanned<String>>,
}

pub(super) fn parse(keys: &InitKeys, cluster: &Cluster) -> Result<Init, Problem> {
    Ok(Init {
        at: milliseconds(&keys.at_ms)?,
        node: cluster.named(&keys.node)?,
        without: keys.without.iter().map(|name| cluster.named(name)).collect::<Result<_, _>>()?,
    })
}
