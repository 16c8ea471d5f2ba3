//! The idle cluster as it is watched: what is counted of it, and what is counted apart because it is
//! sent in vain, or between nodes of which one cannot do its part.

use kv_core::message::Kind;
use kv_core::storage::{self, StoredRecord};
use kv_core::store::{Command, RepairCommand};
use kv_core::time::Span;

use super::SentMessages;
use crate::checks::IdleWindow;
use crate::cluster::disk::RecordKey;
use crate::cluster::scene::Scene;
use crate::faults::Kinds;
use crate::scenario::NodeIndex;

/// The counts of a cluster that is watched.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    /// The outlook of a message, for each sender and addressee in turn; empty if every node is well, so
    /// that all messages arrive and are answered.
    pairs: Box<[Outlook]>,
    nodes: usize,
    /// The kinds of messages that never pass.
    off: Kinds,
    /// The number of nodes that run.
    running: u64,
    /// The numbers of nodes that hear of each other.
    groups: Vec<u64>,
    /// The number of pairs of a node and another for which it keeps hints.
    kept: u64,
    /// True if hints for nodes that cannot be reached expire while the cluster is watched, so that
    /// other owners take them over.
    hints_expire: bool,
    /// The number of hints that cannot be read, and that nobody has found out yet.
    corrupt_hints: u64,
    counts: WatchCounts,
}

/// The counts of a cluster that is watched, up to some moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchCounts {
    /// All messages that were sent.
    traffic: SentMessages,
    /// The messages that were sent to nodes that the sender never hears.
    in_vain: SentMessages,
    /// The messages that were sent to nodes that are heard, but cannot do what they are asked for,
    /// or are heard through others only.
    hindered: SentMessages,
    /// The number of batches that were committed.
    commits: u64,
    /// The number of storage commands that were executed, but for those that look for corruption.
    commands: u64,
    /// The number of times that nodes were called at deadlines.
    calls: u64,
}

/// The outlook of a message between two nodes of an idle cluster: whether an answer can come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outlook {
    Answered,
    Hindered,
    InVain,
}

impl Watch {
    /// Begins to watch a cluster, for so long.
    pub(super) fn begin(scene: &Scene, off: Kinds, lasts: Span) -> Self {
        let groups = scene.groups();
        let mut pairs = Vec::new();
        if !scene.is_sound() {
            let of = |node: NodeIndex| {
                let id = scene.node(node).id;
                groups.iter().position(|group| group.nodes.contains(&id))
            };
            let of: Vec<_> = scene.cluster.indices().map(of).collect();
            for a in scene.cluster.indices() {
                let id = |node: NodeIndex| scene.node(node).id;
                pairs.extend(scene.cluster.indices().map(|b| match (of[a.0], of[b.0]) {
                    (Some(own), Some(other)) if own == other => {
                        let is_answered = scene.can_make_equal(id(a), id(b));
                        if is_answered { Outlook::Answered } else { Outlook::Hindered }
                    }
                    (Some(_), _) if scene.can_make_equal(id(a), id(a)) => Outlook::InVain,
                    // It goes on asking for what it could not write down, be it that the cluster is
                    // founded.
                    (Some(_) | None, _) => Outlook::Hindered,
                }));
            }
        }
        let (kept, hints_expire) = hints_that_stay(scene, lasts);
        Self {
            pairs: pairs.into(),
            nodes: scene.nodes.len(),
            off,
            running: scene.nodes.iter().filter(|node| node.is_awake()).count() as u64,
            groups: groups.iter().map(|group| group.nodes.len() as u64).collect(),
            kept,
            hints_expire,
            corrupt_hints: corrupt_hints(scene),
            counts: WatchCounts::default(),
        }
    }

    pub(super) fn on_sent(&mut self, (from, to): (NodeIndex, NodeIndex), kind: Kind, bytes: u64) {
        let outlook = self.pairs.get(from.0 * self.nodes + to.0).copied();
        self.counts.traffic.count(kind, bytes);
        match outlook.unwrap_or(Outlook::Answered) {
            Outlook::InVain => self.counts.in_vain.count(kind, bytes),
            Outlook::Hindered => self.counts.hindered.count(kind, bytes),
            Outlook::Answered if self.off.contain(kind) => self.counts.hindered.count(kind, bytes),
            Outlook::Answered => {}
        }
    }

    pub(super) fn on_command(&mut self, command: &Command) {
        let scrubs = matches!(command, Command::Repair(RepairCommand::Scrub { .. }));
        self.counts.commands += u64::from(!scrubs);
    }

    pub(super) const fn on_call(&mut self) {
        self.counts.calls += 1;
    }

    /// The counts up to now; `commits` are those of all nodes.
    pub(super) fn so_far(&self, commits: u64) -> WatchCounts {
        WatchCounts { commits, ..self.counts.clone() }
    }

    /// What the cluster did since some counts, in a window of this length.
    pub(super) fn since(
        &self,
        before: &WatchCounts,
        now: &WatchCounts,
        length: Span,
    ) -> IdleWindow {
        IdleWindow {
            length,
            messages: now.traffic.since(&before.traffic),
            in_vain: now.in_vain.since(&before.in_vain),
            hindered: now.hindered.since(&before.hindered),
            commits: now.commits - before.commits,
            commands: now.commands - before.commands,
            calls: now.calls - before.calls,
            running: self.running,
            members: self.nodes as u64,
            groups: self.groups.clone(),
            kept: self.kept,
            hints_expire: self.hints_expire,
            corrupt_hints: self.corrupt_hints,
        }
    }
}

/// The number of hints of nodes that work which cannot be read.
fn corrupt_hints(scene: &Scene) -> u64 {
    let is_hint = |key: &&RecordKey| {
        matches!(storage::parse_record_key(key), Some(StoredRecord::Hint { .. }))
    };
    let nodes = scene.nodes.iter().filter(|node| node.is_awake());
    nodes.map(|node| node.disk.image().corrupt().filter(is_hint).count() as u64).sum()
}

/// The number of pairs of a node that works and another for which it keeps hints, and whether any of
/// those hints expires within so long.
fn hints_that_stay(scene: &Scene, within: Span) -> (u64, bool) {
    let (mut kept, mut expire) = (0, false);
    for node in scene.nodes.iter().filter(|node| node.is_awake()) {
        let end = node.clock.now(scene.now).wall + within;
        let mut targets = Vec::new();
        storage::for_each_hint_terms(node.disk.image(), |terms| {
            expire |= terms.expires <= end;
            if !targets.contains(&terms.target) {
                targets.push(terms.target);
            }
        });
        kept += targets.len() as u64;
    }
    (kept, expire)
}
