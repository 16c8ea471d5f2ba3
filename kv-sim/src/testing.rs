//! Helpers that the tests of this crate share.

use crate::scenario::{Cluster, Colour, Scenario, Workload};

/// The first lines of a scenario of five nodes.
pub(crate) const VALID: &str = r#"title = "a scenario"
nodes = 5
"#;

/// Parses a scenario from its text; only `title` is supplied.
pub(crate) fn scenario(text: &str) -> Scenario {
    let text = format!("title = \"a test\"\n{text}");
    Scenario::parse("test.toml", &text).unwrap_or_else(|error| panic!("{error:?}"))
}

/// Makes a cluster of nodes called `n1`, `n2`, ...
pub(crate) fn cluster(nodes: usize) -> Cluster {
    scenario(&format!("nodes = {nodes}\nquorum = {{ n = 1, r = 1, w = 1 }}")).cluster
}

/// Parses the scenario of five nodes that has these lines besides.
pub(crate) fn scenario_of_five(rest: &str) -> Scenario {
    let text = format!("{VALID}{rest}");
    match Scenario::parse("scenarios/example.toml", &text) {
        Ok(scenario) => scenario,
        Err(error) => panic!("{}", error.render(Colour::Plain)),
    }
}

/// The error of a scenario's whole text, which must be refused.
pub(crate) fn refused_text(text: &str) -> String {
    match Scenario::parse("scenarios/example.toml", text) {
        Ok(_) => panic!("this was not refused:\n{text}"),
        Err(error) => error.render(Colour::Plain),
    }
}

/// The error of the scenario of five nodes that has these lines besides, which must be refused.
pub(crate) fn refused(rest: &str) -> String {
    refused_text(&format!("{VALID}{rest}"))
}

/// The workload of a scenario of five nodes that has these keys besides what it needs.
pub(crate) fn workload(keys: &str) -> Workload {
    let workload = "[[workload]]\nkind = \"put-get\"\nclients = 2\noperations = 10\n";
    scenario_of_five(&format!("{workload}{keys}")).workloads.remove(0)
}
