//! Check `availability`: an operation succeeds while as many machines as it needs are reachable.
//!
//! In go operations that ended; out of the world's [`Topology`] comes whether the cluster had been
//! well and unchanged all the time.

use std::collections::BTreeSet;

use kv_core::message::Kind;
use kv_core::quorum::Mode;
use kv_core::time::{Span, Time};
use kv_core::types::NodeId;

use super::findings::Findings;
use super::history::History;
use super::operation::{Operation, Terms};
use super::story::{Names, when};
use super::{Disks, Topology};

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Availability {
    /// What was found so far; counted in operations that ended.
    pub(super) findings: Findings,
    settle: Span,
    patience: Span,
}

impl Availability {
    /// Demands success of operations that begin `settle` after the last change, and may take
    /// `patience` or more.
    pub(super) fn new(settle: Span, patience: Span) -> Self {
        Self { findings: Findings::default(), settle, patience }
    }

    /// An operation was answered.
    pub(super) const fn on_answered(&mut self) {
        self.findings.examined += 1;
    }

    /// Nobody knows how an operation ended.
    pub(super) fn on_unknown(
        &mut self,
        history: &History,
        operation: &Operation,
        at: Time,
        world: &(impl Disks + Topology),
        names: &Names,
    ) {
        self.findings.examined += 1;
        let is_settled = world.last_change() + self.settle <= operation.started;
        let has_time = operation.terms.timeout >= self.patience;
        let reachable = reachable(operation, history, world);
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
}

/// The nodes that can answer the coordinator, itself among them; none if it does not run, or if no
/// time passes for it: it would wait for ever for the first who does not answer. Whether
/// they can hangs on what they are asked: a network that drops hints keeps nobody from reading.
fn reachable(
    operation: &Operation,
    history: &History,
    world: &(impl Disks + Topology),
) -> Vec<NodeId> {
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

/// The kinds of messages with which an operation asks another node, and in which that answers.
fn conversation(terms: &Terms, is_owner: bool) -> (Vec<Kind>, Vec<Kind>) {
    let (mut asked, mut answered) = (Vec::new(), Vec::new());
    if terms.reads.is_some() {
        asked.push(Kind::Read);
        answered.push(Kind::ReadReply);
    }
    if terms.writes.is_some() {
        asked.extend([Kind::Mint, Kind::Merge]);
        answered.extend([Kind::Minted, Kind::Acked, Kind::Refused]);
        if !is_owner {
            asked.push(Kind::Hint);
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
