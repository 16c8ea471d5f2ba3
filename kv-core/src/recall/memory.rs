//! The memory of how far the logs of others had come.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::log_runs::{LogReach, LogRuns};
use crate::types::{Generation, LogPosition, NodeId};

/// The greatest position that is known of each run of each other node, as far as no later run has said
/// that it found as much.
#[derive(Clone, Debug, Default)]
pub(super) struct LogMemory {
    nodes: BTreeMap<NodeId, BTreeMap<Generation, LogPosition>>,
}

impl LogMemory {
    /// The most runs of one node that are remembered; those that had come least far make room.
    pub(super) const RUNS_MAX: usize = 8;

    /// A node's log is durable up to here.
    pub(super) fn learn(&mut self, node: NodeId, LogReach { generation, log }: LogReach) {
        let runs = self.nodes.entry(node).or_default();
        let known = runs.entry(generation).or_default();
        *known = log.max(*known);
        if runs.len() > Self::RUNS_MAX {
            let least = runs.iter().min_by_key(|&(_, &log)| log).map(|(&generation, _)| generation);
            least.and_then(|least| runs.remove(&least));
        }
    }

    /// A node says which runs wrote its log: what those after a remembered one have found need not be
    /// remembered of it.
    pub(super) fn hold_against(&mut self, node: NodeId, said: &LogRuns) {
        let Some(runs) = self.nodes.get_mut(&node) else { return };
        runs.retain(|&generation, &mut log| !said.covers(LogReach { generation, log }));
    }

    /// What is remembered of a node.
    pub(super) fn of(&self, node: NodeId) -> Vec<LogReach> {
        let reach = |(&generation, &log)| LogReach { generation, log };
        self.nodes.get(&node).into_iter().flatten().map(reach).collect()
    }

    /// The nodes of which something is remembered, each with the number of its runs.
    pub(super) fn runs(&self) -> impl Iterator<Item = (NodeId, usize)> {
        self.nodes.iter().map(|(&node, runs)| (node, runs.len()))
    }
}
