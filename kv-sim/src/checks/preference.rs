//! Check `preference`: a read of which one answer is enough is not answered by an owner that is known to
//! be behind, as long as another can answer.
//!
//! An owner is behind for whom a hint is kept, or was given up and the owner is not repaired yet. Who
//! keeps the hint knows it at once, so the check looks at coordinators that keep one themselves, or gave
//! one up for a partition that they own too. They wait for another answer for the hedge delay of the configuration; an owner
//! that is well and seems up gives one, so the answer of the other alone must not have counted by then
//! (semantics.md §5). Whether an owner is repaired is judged by the disks: it is not, as long as it lacks
//! something that the coordinator has minted before it gave the hint up.

use std::collections::BTreeMap;

use kv_core::event::Event;
use kv_core::time::{Span, Time};
use kv_core::types::{NodeId, PartitionId};

use super::check::Check;
use super::counted_sets::CountedSets;
use super::findings::Findings;
use super::history::History;
use super::occasions::{
    ChangeKind, NodeChange, NodeEvent, OperationAnswer, OperationEnd, OperationEnding,
};
use super::operation::Operation;
use super::story::when;
use super::{Obstacle, Setting, WhichImage, WorldView};

/// The time for which nothing may have changed before a read is judged: news of a broken connection
/// makes a coordinator hedge at once.
const CALM: Span = Span::from_ms(1_000);

/// The share of the hedge delay within which a read is judged. A fault may have changed the speed of the
/// coordinator's clock meanwhile.
const SHARE: u64 = 3;

/// The obstacles that keep an owner from answering a read in time: nobody can be blamed for not having
/// waited for such an owner.
const OBSTACLES: &[Obstacle] = &[
    Obstacle::Asleep,
    Obstacle::Unfounded,
    Obstacle::DiskFails,
    Obstacle::DiskSlow,
    Obstacle::Incomplete,
    Obstacle::Corrupt,
    Obstacle::Unrepaired,
];

/// The `preference` check.
#[derive(Clone, Debug)]
pub(super) struct Preference {
    /// The findings so far, counted in reads that were answered while an owner was behind.
    findings: Findings,
    /// The time that a coordinator waits before it hedges.
    hedge: Span,
    /// The time since when a node keeps hints for another one.
    kept_since: BTreeMap<(NodeId, NodeId), Time>,
    /// The time at which a node last gave up a hint for another one, by partition.
    given_up: BTreeMap<(NodeId, NodeId, PartitionId), Time>,
    /// The time at which each node last changed its opinion of any other.
    opinions: BTreeMap<NodeId, Time>,
}

impl Check for Preference {
    const NAME: &'static str = "preference";
    const ABOUT: &'static str =
        "a read that one answer is enough for does not take that of an owner that is behind";

    fn new(setting: &Setting) -> Self {
        Self {
            findings: Findings::default(),
            hedge: setting.config.hedge(),
            kept_since: BTreeMap::new(),
            given_up: BTreeMap::new(),
            opinions: BTreeMap::new(),
        }
    }

    fn findings(&self) -> &Findings {
        &self.findings
    }

    fn on_end(&mut self, end: &mut OperationEnd<'_, impl WorldView>) {
        let OperationEnding::Value(ref answer) = end.ending else { return };
        let &mut OperationEnd { at, operation, ref history, world, names, .. } = end;
        if !operation.terms.reads.as_ref().is_some_and(CountedSets::ask_for_one) {
            return;
        }
        let owners = world.owners(&history.key);
        let coordinator = operation.coordinator;
        let behind: Vec<_> = owners
            .iter()
            .map(|&owner| (owner, self.behind_since(coordinator, owner, history, world)))
            .collect();
        let was_behind = |since: Option<Time>| since.filter(|&since| since < operation.started);
        if !behind.iter().any(|&(_, since)| was_behind(since).is_some()) {
            return;
        }
        self.findings.examined += 1;
        let &[by] = &answer.achieved.owners[..] else { return };
        let since = behind.iter().find(|(owner, _)| *owner == by).and_then(|&(_, since)| since);
        let Some(since) = was_behind(since) else { return };
        if !self.is_judged(at, operation, answer, world) {
            return;
        }
        let able = |&&(other, since): &&(NodeId, Option<Time>)| {
            let is_well = !OBSTACLES.iter().any(|&one| world.meets(other, &history.key, one));
            let can_answer = is_well && seems_up(coordinator, other, world);
            other != by && since.is_none() && can_answer
        };
        if let Some(&(other, _)) = behind.iter().find(able) {
            self.findings.violated_about(|| history.subject([]), || {
                format!(
                    "a read with R = 1 was answered by an owner that is known to be behind\n  \
                     read:    operation {} of {:?} through {} from {} to {}\n  \
                     answer:  of {} alone, for whom that node keeps hints, or gave one up, since {}\n  \
                     instead: {} is well, is not behind, and was not waited for",
                    operation.number,
                    history.key,
                    names.node(coordinator),
                    when(operation.started),
                    when(at),
                    names.node(by),
                    when(since),
                    names.node(other),
                )
            });
        }
    }

    fn on_event(&mut self, event: &NodeEvent<'_, impl WorldView>) {
        let &NodeEvent { at, node, event, .. } = event;
        match *event {
            Event::HintStored { target } => {
                self.kept_since.entry((node, target)).or_insert(at);
            }
            // Some may be left; then more will be stored or delivered.
            Event::HintsDelivered { target, .. } => {
                self.kept_since.remove(&(node, target));
            }
            Event::HintDropped { target, partition } => {
                self.kept_since.remove(&(node, target));
                self.given_up.insert((node, target, partition), at);
            }
            Event::Suspected { .. } | Event::Trusted { .. } => {
                self.opinions.insert(node, at);
            }
            _ => {}
        }
    }

    fn on_node_change(&mut self, &NodeChange { node, change }: &NodeChange) {
        match change {
            ChangeKind::Stops => {
                self.kept_since.retain(|&(keeper, _), _| keeper != node);
                self.given_up.retain(|&(keeper, ..), _| keeper != node);
            }
            ChangeKind::Starts(_)
            | ChangeKind::ClockStands(_)
            | ChangeKind::ClockRuns(_)
            | ChangeKind::ClockStrays(_)
            | ChangeKind::Pauses(_)
            | ChangeKind::Wakes(_)
            | ChangeKind::Rots(..)
            | ChangeKind::LosesData(_) => {}
        }
    }
}

impl Preference {
    /// The time since when a keeper knows that a node may lack something of a key.
    fn behind_since(
        &self,
        keeper: NodeId,
        node: NodeId,
        history: &History,
        world: &impl WorldView,
    ) -> Option<Time> {
        let kept = self.kept_since.get(&(keeper, node)).copied();
        let given_up = || {
            let partition = world.partition_of(&history.key);
            let given_up = self.given_up.get(&(keeper, node, partition)).copied()?;
            let is_owner = world.owners(&history.key).contains(&keeper);
            (is_owner && lacks(node, (keeper, given_up), history, world)).then_some(given_up)
        };
        kept.or_else(given_up)
    }

    /// Tells whether it is certain that the coordinator had not hedged yet, and what it took the others
    /// for.
    fn is_judged(
        &self,
        at: Time,
        operation: &Operation,
        answer: &OperationAnswer<'_>,
        world: &impl WorldView,
    ) -> bool {
        let Operation { coordinator, started, .. } = *operation;
        let takes = at.since(started).times(SHARE);
        let is_before_hedge =
            world.lasts(coordinator, self.hedge).is_some_and(|hedge| takes < hedge)
                && takes < self.hedge;
        let opinions = self.opinions.get(&coordinator).copied().unwrap_or_default();
        let is_calm = world.last_change().max(opinions) + CALM < started;
        is_before_hedge && is_calm && answer.achieved.fallbacks.is_empty()
    }
}

/// Tells whether a node lacks something of a key that another one minted before a time.
fn lacks(
    node: NodeId,
    (minter, before): (NodeId, Time),
    history: &History,
    world: &impl WorldView,
) -> bool {
    let held = world.copy(node, &history.key, WhichImage::Live);
    let reach = history.reach(&held);
    let mut missed = reach.unreached.iter();
    missed.any(|event| {
        let event = history.event(event);
        event.by == minter && event.at < before
    })
}

/// Tells whether a node seems up to another one.
fn seems_up(to: NodeId, node: NodeId, world: &impl WorldView) -> bool {
    let views = world.views();
    let view = views.iter().find(|(of, _)| *of == to);
    view.is_some_and(|(_, members)| members.iter().any(|view| view.of == node && view.is_up))
}
