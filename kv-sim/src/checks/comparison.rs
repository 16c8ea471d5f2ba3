//! Check `comparison`: when a comparison of a partition ends, both sides are equal.
//!
//! Takes what nodes have their storage do, and the records on both disks: when a comparison begins to
//! go down the tree, and at the moment at which its node says that both sides are equal. From then
//! on each side must know all that either knew at the beginning, whatever else was written
//! meanwhile. And if nothing but the comparison itself has changed the partition on either side, no
//! write, no hint, no other comparison, both must hold the same bytes. Who lost something to a fault
//! or a kill meanwhile, or finds a record corrupt and gives it up, is not judged. What converges only after many comparisons seems to work for
//! as long as there are few keys.

use std::collections::BTreeMap;

use kv_core::event::Event;
use kv_core::storage;
use kv_core::store::{
    BranchesFor, Command, HandoffCommand, JoinFor, RepairCommand, ReplicaAction, Role,
};
use kv_core::time::Time;
use kv_core::types::{Key, NodeId, PartitionId, RequestId};
use kv_core::version::VersionVector;
use smallvec::SmallVec;

use super::check::Check;
use super::findings::Findings;
use super::occasions::{ChangeKind, Execution, NodeChange, NodeEvent};
use super::story::when;
use super::{OwnedRecords, Setting, WorldView};

/// The `comparison` check.
#[derive(Clone, Debug, Default)]
pub(super) struct Comparison {
    /// The findings so far, counted in comparisons of a partition that ended.
    findings: Findings,
    /// The comparisons that go on, by the partition. A node asks for one at a time.
    going_on: BTreeMap<PartitionId, SmallVec<[OpenComparison; 2]>>,
}

/// A comparison that goes down the tree of a partition.
#[derive(Clone, Debug)]
struct OpenComparison {
    /// The node that asks.
    asks: NodeId,
    /// The node that answers; none, if it has not been asked yet.
    answers: Option<NodeId>,
    request: RequestId,
    began: Time,
    /// The events of each key that either side knew of at the beginning.
    known: BTreeMap<Key, VersionVector>,
    /// True if something else has changed the partition since.
    is_disturbed: bool,
    /// True if one side has lost something since, or may have.
    has_lost: bool,
}

impl Check for Comparison {
    const NAME: &'static str = "comparison";
    const ABOUT: &'static str = "when a comparison of a partition ends, both sides are equal";

    fn new(_: &Setting) -> Self {
        Self::default()
    }

    fn findings(&self) -> &Findings {
        &self.findings
    }

    fn on_execution(&mut self, execution: &mut Execution<'_, impl WorldView>) {
        let &mut Execution { at, node, command, outcome, world, .. } = execution;
        let partition = command.partition;
        if !outcome.corrupt.is_empty() {
            let going_on = self.going_on.get_mut(&partition).into_iter().flatten();
            for comparison in going_on.filter(|comparison| comparison.involves(node)) {
                comparison.has_lost = true;
            }
        }
        match &command.command {
            Command::Repair(RepairCommand::Branches { whose: BranchesFor::Session(step) }) => {
                let known = events(&world.owned_records(node, partition));
                self.on_begun(
                    partition,
                    OpenComparison {
                        asks: node,
                        answers: None,
                        request: step.request,
                        began: at,
                        known,
                        is_disturbed: false,
                        has_lost: false,
                    },
                );
            }
            Command::Repair(RepairCommand::Branches { whose: BranchesFor::Peer(caller, _) }) => {
                let going_on = self.going_on.get_mut(&partition).into_iter().flatten();
                let begins = |comparison: &&mut OpenComparison| {
                    comparison.request == caller.request && comparison.answers.is_none()
                };
                // A message that comes twice is answered again, with what is known by then.
                for comparison in going_on.filter(begins) {
                    comparison.answers = Some(node);
                    for (key, seen) in events(&world.owned_records(node, partition)) {
                        comparison.known.entry(key).or_default().merge(&seen);
                    }
                }
            }
            _ if self.going_on.is_empty() => {}
            command => {
                if let Some(by) = changes(command) {
                    let going_on = self.going_on.get_mut(&partition).into_iter().flatten();
                    for comparison in going_on.filter(|comparison| comparison.involves(node)) {
                        comparison.is_disturbed |= by != Some(comparison.request);
                    }
                }
            }
        }
    }

    fn on_node_change(&mut self, &NodeChange { node, change }: &NodeChange) {
        match change {
            ChangeKind::Stops | ChangeKind::LosesData(_) => {
                let going_on = self.going_on.values_mut().flatten();
                for comparison in going_on.filter(|comparison| comparison.involves(node)) {
                    comparison.has_lost = true;
                }
            }
            ChangeKind::ClockStands(_)
            | ChangeKind::ClockRuns(_)
            | ChangeKind::ClockStrays(_)
            | ChangeKind::Starts(_)
            | ChangeKind::Pauses(_)
            | ChangeKind::Wakes(_)
            | ChangeKind::Rots(..) => {}
        }
    }

    fn on_event(&mut self, event: &NodeEvent<'_, impl WorldView>) {
        let &Event::RepairClean { peer, partition } = event.event else { return };
        let NodeEvent { at, node, names, world, .. } = *event;
        let Some(comparison) = self.take(node, partition) else { return };
        if comparison.has_lost || comparison.answers != Some(peer) {
            return;
        }
        self.findings.examined += 1;
        let [own, other] = [node, peer].map(|side| world.owned_records(side, partition));
        let lacking = [(node, &own), (peer, &other)].into_iter().find_map(|(side, records)| {
            let key = comparison.first_unknown_to(records)?;
            Some(format!("{key:?}: {} does not know all that was known then", names.node(side)))
        });
        let unequal = || {
            let key = first_difference(&own, &other).filter(|_| !comparison.is_disturbed)?;
            Some(format!("{key:?}: nothing else has changed it since, and it is not the same"))
        };
        if let Some(difference) = lacking.or_else(unequal) {
            self.findings.violated(|| {
                let PartitionId(number) = partition;
                format!(
                    "a comparison of partition {number} ended, and both sides differ\n  began:   at \
                     {}, {} with {}\n  ended:   at {}\n  differs: {difference}",
                    when(comparison.began),
                    names.node(node),
                    names.node(peer),
                    when(at),
                )
            });
        }
    }
}

impl Comparison {
    fn on_begun(&mut self, partition: PartitionId, begun: OpenComparison) {
        for going_on in self.going_on.values_mut() {
            going_on.retain(|comparison| comparison.asks != begun.asks);
        }
        self.going_on.retain(|_, going_on| !going_on.is_empty());
        self.going_on.entry(partition).or_default().push(begun);
    }

    /// Takes out the comparison of a partition that a node asks for.
    fn take(&mut self, node: NodeId, partition: PartitionId) -> Option<OpenComparison> {
        let going_on = self.going_on.get_mut(&partition)?;
        let at = going_on.iter().position(|comparison| comparison.asks == node)?;
        let comparison = going_on.remove(at);
        if going_on.is_empty() {
            self.going_on.remove(&partition);
        }
        Some(comparison)
    }
}

impl OpenComparison {
    /// Tells whether a node takes part, or may.
    fn involves(&self, node: NodeId) -> bool {
        self.asks == node || self.answers.is_none_or(|answers| answers == node)
    }

    /// The first key of which these records do not know all that was known at the beginning. What
    /// cannot be read is passed over.
    fn first_unknown_to(&self, records: &OwnedRecords) -> Option<&Key> {
        let is_unknown = |(key, known): &(&Key, &VersionVector)| match records.get(*key) {
            None => true,
            Some(record) => {
                let owned = record.as_ref().ok().and_then(|it| storage::decode_owned(it).ok());
                owned.is_some_and(|(_, container)| !container.seen().includes(known))
            }
        };
        self.known.iter().find(is_unknown).map(|(key, _)| key)
    }
}

/// The events of each key that these records know of, as far as they can be read.
fn events(records: &OwnedRecords) -> BTreeMap<Key, VersionVector> {
    let readable = records.iter().filter_map(|(key, record)| {
        let (_, container) = storage::decode_owned(record.as_ref().ok()?).ok()?;
        Some((key.clone(), container.seen().clone()))
    });
    readable.collect()
}

/// The first key of which two sides hold different bytes; none, if some of it cannot be read.
fn first_difference<'a>(own: &'a OwnedRecords, other: &'a OwnedRecords) -> Option<&'a Key> {
    if own.values().chain(other.values()).any(Result::is_err) {
        return None;
    }
    let mut keys = own.keys().chain(other.keys());
    keys.find(|key| own.get(*key) != other.get(*key))
}

/// The reason for which a command may change what a node holds as an owner: the comparison of a
/// request, or something else. None, if it does not.
fn changes(command: &Command) -> Option<Option<RequestId>> {
    match command {
        Command::Replica(command) => match &command.action {
            ReplicaAction::Mint(mint) => (mint.role == Role::Owner).then_some(None),
            ReplicaAction::Merge(_) => Some(None),
            ReplicaAction::Hint(_) | ReplicaAction::Read { .. } => None,
        },
        Command::Handoff(HandoffCommand::Receive { .. })
        | Command::Repair(RepairCommand::MarkRepaired { .. }) => Some(None),
        Command::Repair(RepairCommand::Join { whose, .. }) => Some(match whose {
            JoinFor::Session(step) => Some(step.request),
            JoinFor::Peer(caller, _) => Some(caller.request),
            JoinFor::CorruptKey(_) => None,
        }),
        Command::Handoff(HandoffCommand::Read { .. } | HandoffCommand::Drop { .. })
        | Command::Repair(
            RepairCommand::Branches { .. }
            | RepairCommand::Leaves { .. }
            | RepairCommand::Summaries { .. }
            | RepairCommand::Fetch { .. }
            | RepairCommand::MarkComplete { .. }
            | RepairCommand::Scrub { .. },
        )
        | Command::Founding(_)
        | Command::Recall(_) => None,
    }
}
