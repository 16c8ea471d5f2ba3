//! Check `availability`: an operation succeeds while as many machines as it needs are reachable.
//!
//! Takes operations that ended. The world says whether the cluster had been well and
//! unchanged all the time, and the pace says whether its messages and its disks were fast enough
//! for the time that the operation had.

use std::collections::BTreeSet;

use kv_core::message::{CoordinatorKind, Kind, ReplicaKind};
use kv_core::quorum::Mode;
use kv_core::time::Span;
use kv_core::types::NodeId;

use super::check::Check;
use super::findings::Findings;
use super::history::History;
use super::occasions::{OperationEnd, OperationEnding};
use super::operation::{Operation, Terms};
use super::pace::{Pace, TRIP_FLOOR};
use super::story::when;
use super::{Disks, Setting, WorldView};

/// The `availability` check.
#[derive(Clone, Debug)]
pub(super) struct Availability {
    /// The findings so far, counted in operations that ended.
    findings: Findings,
    /// The time after the last change from which on operations must succeed.
    settle: Span,
    /// The shortest timeout of an operation that must succeed.
    timeout: Span,
    /// The silence after which a coordinator asks another node too.
    hedge: Span,
}

/// The most that an operation needs, one thing after the other, to succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct CriticalPath {
    /// The number of messages from one node to another.
    trips: usize,
    /// The number of storage commands.
    commands: u32,
}

impl Check for Availability {
    const NAME: &'static str = "availability";
    const ABOUT: &'static str = "an operation succeeds while enough machines can be reached";

    fn new(setting: &Setting) -> Self {
        let Setting { settle, timeout, ref config, .. } = *setting;
        Self { findings: Findings::default(), settle, timeout, hedge: config.hedge() }
    }

    fn findings(&self) -> &Findings {
        &self.findings
    }

    fn on_end(&mut self, end: &mut OperationEnd<'_, impl WorldView>) {
        self.findings.examined += 1;
        match end.ending {
            OperationEnding::Value(_)
            | OperationEnding::Stored(..)
            | OperationEnding::Refused(_) => {}
            OperationEnding::Unknown => self.judge(end),
        }
    }
}

impl Availability {
    /// Judges an operation of which nobody knows how it ended.
    fn judge(&mut self, end: &OperationEnd<'_, impl WorldView>) {
        let &OperationEnd { at, operation, ref history, pace, world, names, .. } = end;
        let is_settled = world.last_change() + self.settle <= operation.started;
        let reachable = reachable(operation, history, world);
        let has_time = self.has_time(operation, history, &reachable, (world, pace));
        let is_owed = has_quorum(operation, history, &reachable, world);
        let is_open = operation.terms.is_open;
        if operation.is_disturbed || !is_settled || !has_time || is_open || !is_owed {
            self.findings.weakened += 1;
            return;
        }
        self.findings.violated_about(
            || history.subject([]),
            || {
                let Operation { number, coordinator, started, terms, .. } = operation;
                let Terms { mode, reads, writes, .. } = terms;
                format!(
                    "an operation on {:?} failed though all that it needed was there\n  \
                 operation: {number} through {} from {} to {}\n  \
                 needed:    {}{}of {}\n  \
                 reachable: {}, unchanged since {}",
                    history.key,
                    names.node(*coordinator),
                    when(*started),
                    when(at),
                    reads.map_or(String::new(), |reads| format!("R = {reads} ")),
                    writes.map_or(String::new(), |writes| format!("W = {writes} ")),
                    match mode {
                        Mode::Sloppy => "any machines".to_owned(),
                        Mode::Strict =>
                            format!("owners {}", names.nodes(world.owners(&history.key))),
                    },
                    names.nodes(&reachable),
                    when(world.last_change()),
                )
            },
        );
    }

    /// Tells whether an operation could succeed in its time, at the pace of its messages and the
    /// disks.
    fn has_time(
        &self,
        operation: &Operation,
        history: &History,
        reachable: &[NodeId],
        (world, pace): (&impl WorldView, &Pace),
    ) -> bool {
        let Operation { coordinator, started, terms, trips, .. } = operation;
        let lasts = |span| world.lasts(*coordinator, span);
        let (Some(timeout), Some(hedge)) = (lasts(terms.timeout), lasts(self.hedge)) else {
            return false;
        };
        let everybody = world.owners(&history.key).iter().all(|owner| reachable.contains(owner));
        let path = CriticalPath::of(terms, everybody);
        let command = pace.command_max(*started).max(world.slowest_command());
        let there_and_back = trips_max(trips, 2) + command;
        let mut needed = trips_max(trips, path.trips) + command.times(path.commands.into());
        // A node that is slow to answer is taken for one that does not, and then another is asked.
        if there_and_back > hedge {
            needed = needed + hedge;
        }
        terms.timeout >= self.timeout && needed < timeout.min(terms.timeout)
    }
}

impl CriticalPath {
    /// Counts what an operation on these terms needs, if every owner answers, or if others must be
    /// asked first because one does not.
    fn of(terms: &Terms, every_owner_answers: bool) -> Self {
        let another = if every_owner_answers { 0 } else { 2 };
        let (mut trips, mut commands) = (0, 0);
        if terms.reads.is_some() {
            // A read and the answer to it.
            trips += 2 + another;
            commands += 1;
        }
        if terms.writes.is_some() || (terms.reads.is_some() && terms.monotonic) {
            // A mint and the answer, then a merge and the acknowledgement. A read that is made to
            // stand merges.
            let mints = terms.writes.is_some();
            trips += another + if mints { 4 } else { 2 };
            commands += if mints { 2 } else { 1 };
        }
        Self { trips, commands }
    }
}

/// Sums up how long `count` messages of an operation took at most, of which the slow ones took
/// `slow`.
fn trips_max(slow: &[Span], count: usize) -> Span {
    let mut slow = slow.to_vec();
    slow.sort_unstable();
    let slowest = slow.iter().rev().copied().chain(std::iter::repeat(TRIP_FLOOR));
    slowest.take(count).fold(Span::ZERO, |sum, trip| sum + trip)
}

/// Lists the nodes that can answer the coordinator, itself among them; none if it does not run, or
/// if no time passes for it: it would wait for ever for the first that does not answer.
/// Reachability depends on the kind of message: a network that drops hints keeps nobody from
/// reading.
fn reachable(operation: &Operation, history: &History, world: &impl WorldView) -> Vec<NodeId> {
    let coordinator = operation.coordinator;
    if !world.is_well(coordinator) || !world.keeps_time(coordinator) {
        return Vec::new();
    }
    let owners = world.owners(&history.key);
    let answers = |&node: &NodeId| {
        let (asked, answered) = conversation(&operation.terms, owners.contains(&node));
        let reaches = |kind: &Kind| world.reaches(coordinator, node, *kind);
        let is_heard = |kind: &Kind| world.reaches(node, coordinator, *kind);
        let both_ways = || asked.iter().all(reaches) && answered.iter().all(is_heard);
        node == coordinator || (world.is_well(node) && both_ways())
    };
    world.nodes().into_iter().filter(answers).collect()
}

/// Lists the kinds of messages with which an operation asks another node, and those of the answers.
fn conversation(terms: &Terms, is_owner: bool) -> (Vec<Kind>, Vec<Kind>) {
    let (mut asked, mut answered) = (Vec::new(), Vec::new());
    if terms.reads.is_some() {
        asked.push(Kind::Replica(ReplicaKind::Read));
        answered.push(Kind::Coordinator(CoordinatorKind::ReadReply));
    }
    if terms.writes.is_some() {
        asked.extend([Kind::Replica(ReplicaKind::Mint), Kind::Replica(ReplicaKind::Merge)]);
        answered.extend([
            Kind::Coordinator(CoordinatorKind::Minted),
            Kind::Coordinator(CoordinatorKind::Acked),
            Kind::Coordinator(CoordinatorKind::Refused),
        ]);
        if !is_owner {
            asked.push(Kind::Replica(ReplicaKind::Hint));
        }
    }
    (asked, answered)
}

fn has_quorum(
    operation: &Operation,
    history: &History,
    reachable: &[NodeId],
    disks: &impl Disks,
) -> bool {
    let Terms { mode, reads, writes, .. } = operation.terms;
    let Some(needed) = reads.max(writes) else { return false };
    let owners = disks.owners(&history.key);
    let counts = |node: &&NodeId| match mode {
        Mode::Sloppy => true,
        Mode::Strict => owners.contains(node),
    };
    let machines: BTreeSet<_> =
        reachable.iter().filter(counts).map(|&node| disks.machine(node)).collect();
    machines.len() >= needed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(reads: Option<usize>, writes: Option<usize>, monotonic: bool) -> Terms {
        let (mode, timeout) = (Mode::Strict, Span::from_ms(1_000));
        Terms { mode, reads, writes, is_open: false, monotonic, timeout }
    }

    #[test]
    fn a_path_is_as_long_as_the_phases_of_the_operation() {
        let path = |reads, writes, monotonic, all| {
            let CriticalPath { trips, commands } =
                CriticalPath::of(&terms(reads, writes, monotonic), all);
            (trips, commands)
        };
        assert_eq!(path(Some(2), None, false, true), (2, 1));
        assert_eq!(path(Some(2), None, true, true), (4, 2));
        assert_eq!(path(None, Some(2), false, true), (4, 2));
        assert_eq!(path(Some(2), Some(2), false, true), (6, 3));
        assert_eq!(path(Some(2), Some(2), true, false), (10, 3));
    }

    #[test]
    fn the_slowest_messages_count_and_the_others_as_the_floor_says() {
        let ms = Span::from_ms;
        let slow = [ms(30), ms(500), ms(70)];
        assert_eq!(trips_max(&slow, 1), ms(500));
        assert_eq!(trips_max(&slow, 3), ms(600));
        assert_eq!(trips_max(&slow, 5), ms(640));
        assert_eq!(trips_max(&[], 2), ms(40));
    }
}
