//! Check `epochs`: an actor gets a fresh epoch only for a cause that is true.
//!
//! Each epoch is an entry in the vector of every key that is minted upon in it, for ever. So a replica
//! draws one at the first mint of a process, and later only when it may have lost what it minted: when a
//! hint that it minted into was deleted, or a record of the partition could not be read. Nobody ever
//! shows it an event of its own that it does not remember, as long as it draws when it must.

use std::collections::{BTreeMap, BTreeSet};

use kv_core::event::{EpochReason, Event};
use kv_core::store::{Command, ReplicaAction, ReplicaCommand, Role};
use kv_core::time::Time;
use kv_core::types::{NodeId, PartitionId};

use super::check::Check;
use super::findings::Findings;
use super::occasions::{ChangeKind, Execution, HintsDropped, NodeChange};
use super::story::{Names, when};
use super::{Setting, WorldView};

/// The `epochs` check.
#[derive(Clone, Debug, Default)]
pub(super) struct Epochs {
    /// The findings so far, counted in epochs that were drawn.
    findings: Findings,
    /// The actors that have drawn since their process started.
    drawn: BTreeSet<PartitionMinter>,
    /// The partitions in which a fallback's own hint was deleted since it last drew, by node.
    lost_hints: BTreeSet<(NodeId, PartitionId)>,
    /// The partitions of which a fault has spoilt a record, by node.
    corrupt: BTreeSet<(NodeId, PartitionId)>,
    /// The number of processes that each node has started.
    runs: BTreeMap<NodeId, u64>,
}

/// A minter of dots, whatever its epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct PartitionMinter {
    node: NodeId,
    partition: PartitionId,
    kind: MinterKind,
}

/// The part of a replica that mints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum MinterKind {
    Owner,
    Fallback,
}

impl Check for Epochs {
    const NAME: &'static str = "epochs";
    const ABOUT: &'static str = "a node begins a new epoch of dots only for a cause that is true";

    fn new(_: &Setting) -> Self {
        Self::default()
    }

    fn findings(&self) -> &Findings {
        &self.findings
    }

    fn on_execution(&mut self, execution: &mut Execution<'_, impl WorldView>) {
        let Command::Replica(ReplicaCommand { action: ReplicaAction::Mint(mint), .. }) =
            &execution.command.command
        else {
            return;
        };
        let kind = match mint.role {
            Role::Owner => MinterKind::Owner,
            Role::Fallback(_) => MinterKind::Fallback,
        };
        let &mut Execution { at, node, names, .. } = execution;
        for event in &execution.outcome.events {
            if let &Event::EpochDrawn { partition, reason, .. } = event {
                self.on_drawn(PartitionMinter { node, partition, kind }, reason, at, names);
            }
        }
    }

    fn on_hints_dropped(&mut self, dropped: &HintsDropped<'_, impl WorldView>) {
        if dropped.items.iter().any(|item| item.hint.minted) {
            self.lost_hints.insert((dropped.keeper, dropped.partition));
        }
    }

    fn on_node_change(&mut self, &NodeChange { node, change }: &NodeChange) {
        match change {
            ChangeKind::Starts(_) => {
                *self.runs.entry(node).or_default() += 1;
                self.drawn.retain(|actor| actor.node != node);
            }
            ChangeKind::Rots(_, partition) => {
                self.corrupt.insert((node, partition));
            }
            ChangeKind::ClockStands(_)
            | ChangeKind::ClockRuns(_)
            | ChangeKind::ClockStrays(_)
            | ChangeKind::Pauses(_)
            | ChangeKind::Wakes(_)
            | ChangeKind::Stops
            | ChangeKind::LosesData(_) => {}
        }
    }
}

impl Epochs {
    fn on_drawn(&mut self, actor: PartitionMinter, reason: EpochReason, at: Time, names: &Names) {
        self.findings.examined += 1;
        let PartitionMinter { node, partition, kind } = actor;
        let is_first = self.drawn.insert(actor);
        let lost_hint = kind == MinterKind::Fallback && self.lost_hints.remove(&(node, partition));
        let is_corrupt = self.corrupt.contains(&(node, partition));
        let is_true = match reason {
            EpochReason::Start => is_first,
            EpochReason::HintDeleted => lost_hint,
            EpochReason::Corruption => is_corrupt,
            EpochReason::Ahead => false,
        };
        if is_true {
            return;
        }
        let claim = match reason {
            EpochReason::Start => "its process has not minted yet, and it has",
            EpochReason::HintDeleted => {
                "a hint that it minted into was deleted, and none was since it last drew"
            }
            EpochReason::Corruption => "a record is corrupt, and no fault has spoilt any",
            EpochReason::Ahead => "others know an event of it that it does not remember",
        };
        self.findings.violated(|| {
            format!(
                "an epoch was drawn without a cause: with each, the vectors grow for ever\n  {} drew one \
                 as {} of partition {} at {}, in its run {}, saying that {claim}",
                names.node(node),
                match kind {
                    MinterKind::Owner => "an owner",
                    MinterKind::Fallback => "a fallback",
                },
                partition.0,
                when(at),
                self.runs.get(&node).copied().unwrap_or_default(),
            )
        });
    }
}
