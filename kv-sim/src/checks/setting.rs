//! What the checks are told before a run.

use std::sync::Arc;

use kv_core::config::Config;
use kv_core::time::Span;

use super::datacenters::Datacenters;
use super::story::Names;

/// The facts that the checks are told before a run.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The configuration of all nodes.
    pub config: Config,
    /// The data centers, and the copies that each of them keeps.
    pub datacenters: Arc<Datacenters>,
    /// The time after a change of the topology during which nodes may still disagree on who is
    /// there.
    pub settle: Span,
    /// The time within which a node that falls silent is taken for down, and one that is heard again
    /// for up.
    pub suspect: Span,
    /// The shortest timeout of an operation that must succeed.
    pub timeout: Span,
    /// The names by which people know the nodes.
    pub names: Names,
    /// True if no fault is at work in the run, and no message has a misfortune.
    pub is_untroubled: bool,
    /// The most containers that owners may join because of comparisons, if the scenario says so.
    pub comparison_merges_max: Option<u64>,
    /// The number of operations to make room for from the beginning.
    pub operations: usize,
    /// The number of keys to make room for.
    pub keys: usize,
}

impl Setting {
    /// The number of writes to make room for in the history of a key: half of the operations write,
    /// as a rule, and few keys get half as many again as the others.
    pub(super) fn writes_each(&self) -> usize {
        const WRITES_MAX: usize = 64;
        (self.operations * 3 / 4).checked_div(self.keys).unwrap_or(0).min(WRITES_MAX)
    }
}
