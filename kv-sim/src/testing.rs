//! Helpers that the tests of this crate share.

use crate::scenario::{Cluster, Scenario};

/// Parses a scenario from its text; only `title` is supplied.
pub(crate) fn scenario(text: &str) -> Scenario {
    let text = format!("title = \"a test\"\n{text}");
    Scenario::parse("test.toml", &text).unwrap_or_else(|error| panic!("{error:?}"))
}

/// Makes a cluster of nodes called `n1`, `n2`, ...
pub(crate) fn cluster(nodes: usize) -> Cluster {
    scenario(&format!("nodes = {nodes}\nquorum = {{ n = 1, r = 1, w = 1 }}")).cluster
}
