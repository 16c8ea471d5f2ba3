//! Check `corruption`: a node reports a corrupt record only where a fault has spoilt one.

use std::collections::BTreeSet;

use kv_core::event::Event;
use kv_core::types::{NodeId, PartitionId};

use super::check::Check;
use super::findings::Findings;
use super::occasions::{ChangeKind, NodeChange, NodeEvent};
use super::story::when;
use super::{Setting, WorldView};

/// The `corruption` check.
#[derive(Clone, Debug, Default)]
pub(super) struct Corruption {
    /// The findings so far, counted in reports.
    findings: Findings,
    /// The partitions of which a fault has spoilt a record, by node.
    corrupt: BTreeSet<(NodeId, PartitionId)>,
}

impl Check for Corruption {
    const NAME: &'static str = "corruption";
    const ABOUT: &'static str = "a record is reported corrupt only where a fault has spoilt one";

    fn new(_: &Setting) -> Self {
        Self::default()
    }

    fn findings(&self) -> &Findings {
        &self.findings
    }

    fn on_event(&mut self, event: &NodeEvent<'_, impl WorldView>) {
        let &NodeEvent { at, node, event, names, .. } = event;
        let &Event::Corrupt { partition } = event else { return };
        self.findings.examined += 1;
        if !self.corrupt.contains(&(node, partition)) {
            self.findings.violated(|| {
                format!(
                    "a record was reported corrupt where no fault has spoilt any\n  {} in partition {} \
                     at {}",
                    names.node(node),
                    partition.0,
                    when(at),
                )
            });
        }
    }

    fn on_node_change(&mut self, &NodeChange { node, change }: &NodeChange) {
        match change {
            ChangeKind::Rots(_, partition) => {
                self.corrupt.insert((node, partition));
            }
            ChangeKind::Starts(_)
            | ChangeKind::ClockStands(_)
            | ChangeKind::ClockRuns(_)
            | ChangeKind::ClockStrays(_)
            | ChangeKind::Pauses(_)
            | ChangeKind::Wakes(_)
            | ChangeKind::Stops
            | ChangeKind::LosesData(_) => {}
        }
    }
}
