//! Check `hints`: a hint is kept until others hold it, refused only where there is no room, and counted
//! as it lies on the disk.
//!
//! A hint that is deleted because it was delivered is durable on its target then, or on all owners if
//! the target is none any more. One that has expired is durable on as many other owners as a write asks
//! for, and its time is over by the clock of the node that kept it. One that is refused would not have
//! fitted: what lies on the disk, with a hint as large as any, exceeds a limit. One that could not be
//! read was spoilt by a fault. And between two commands a node counts exactly the hints that it has.

use std::collections::{BTreeMap, BTreeSet};

use kv_core::config::Config;
use kv_core::store::{Answer, DropReason, KeptHints, ReplicaAnswer, ReplicaDone, StoredHint};
use kv_core::types::{NodeId, PartitionId};
use kv_core::version::VersionVector;

use super::check::Check;
use super::findings::Findings;
use super::history::History;
use super::occasions::{
    ChangeKind, Execution, HintDropReported, HintsDropped, NodeChange, NodeLoad,
};
use super::story::when;
use super::{HintLoad, Load, Setting, WhichImage, WorldView};

/// A demand exceeds the largest container that was ever minted by less than this factor: it may be the
/// join of several.
const JOINED: u64 = 4;

/// The `hints` check.
#[derive(Clone, Debug)]
pub(super) struct Hints {
    /// The findings so far, counted in hints that were deleted or refused, and in looks at nodes.
    findings: Findings,
    /// The configuration of all nodes, which says what the limits are.
    config: Config,
    /// The size of the largest container that was minted so far.
    largest: u64,
    /// The targets whose hints a node has deleted as expired, with the partition.
    expired: BTreeSet<(NodeId, NodeId, PartitionId)>,
    /// The partitions of which a fault has spoilt a record, by node.
    corrupt: BTreeSet<(NodeId, PartitionId)>,
}

impl Check for Hints {
    const NAME: &'static str = "hints";
    const ABOUT: &'static str =
        "a hint is deleted only if its target holds it durably, or its time is over";

    fn new(setting: &Setting) -> Self {
        Self {
            findings: Findings::default(),
            config: setting.config.clone(),
            largest: 0,
            expired: BTreeSet::new(),
            corrupt: BTreeSet::new(),
        }
    }

    fn findings(&self) -> &Findings {
        &self.findings
    }

    fn on_execution(&mut self, execution: &mut Execution<'_, impl WorldView>) {
        if let Answer::Replica(ReplicaAnswer { result: Ok(ReplicaDone::Minted(minted)), .. }) =
            &execution.outcome.answer
        {
            self.largest = self.largest.max(minted.container.weight() as u64);
        }
    }

    fn on_hints_dropped(&mut self, dropped: &HintsDropped<'_, impl WorldView>) {
        let &HintsDropped { keeper, target, partition, reason, .. } = dropped;
        if reason == DropReason::Expired {
            self.expired.insert((keeper, target, partition));
        }
        for item in &dropped.items {
            self.findings.examined += 1;
            match reason {
                DropReason::Delivered => self.on_delivered(dropped, item.history, &item.hint),
                DropReason::Expired => self.on_expired(dropped, item.history, &item.hint),
            }
        }
    }

    fn on_hint_drop_reported(&mut self, reported: &HintDropReported<'_>) {
        let &HintDropReported { at, node, target, partition, load, names } = reported;
        let is_known = self.corrupt.contains(&(node, partition))
            || self.expired.contains(&(node, target, partition));
        // While the answer to a command is on its way, the node counts what is gone already.
        let (false, Some(counted)) = (is_known, &load.counted) else { return };
        self.findings.examined += 1;
        // Where one cannot be read, nobody knows how long it was but the node, which has counted it.
        let bytes_of = |kept: &HintLoad| {
            let is_it = |count: &&KeptHints| {
                (count.target, count.partition) == (kept.target, kept.partition)
            };
            let count = counted.iter().find(is_it).filter(|_| kept.unreadable > 0);
            count.map_or(kept.bytes, |count| count.bytes)
        };
        let (mut for_target, mut total) = (0, 0);
        for kept in &load.hints {
            total += bytes_of(kept);
            for_target += if kept.target == target { bytes_of(kept) } else { 0 };
        }
        let demand = self.largest.saturating_mul(JOINED);
        let Config { hint_bytes_per_target, hint_bytes_total, .. } = self.config;
        let is_full =
            for_target + demand > hint_bytes_per_target || total + demand > hint_bytes_total;
        if !is_full {
            self.findings.violated(|| {
                format!(
                    "a hint was given up although there is room for it\n  {} gave up one for {} at {}; \
                     it keeps {for_target} bytes for that node ({hint_bytes_per_target} allowed) and \
                     {total} for all ({hint_bytes_total} allowed), and none has more than {demand}",
                    names.node(node),
                    names.node(target),
                    when(at),
                )
            });
        }
    }

    fn on_load(&mut self, load: &NodeLoad<'_>) {
        let &NodeLoad { at, node, load, names } = load;
        let Load { hints, counted: Some(counted), .. } = load else { return };
        self.findings.examined += 1;
        let (mut on_disk, mut spoilt) = (BTreeMap::new(), BTreeSet::new());
        for kept in hints {
            let place = (kept.target, kept.partition);
            if kept.unreadable == 0 {
                on_disk.insert(place, (kept.count, kept.bytes));
            } else {
                // Nobody knows how long it was.
                self.findings.weakened += 1;
                spoilt.insert(place);
            }
        }
        let counted =
            counted.iter().map(|kept| ((kept.target, kept.partition), (kept.count, kept.bytes)));
        let counted: BTreeMap<_, _> =
            counted.filter(|(place, _)| !spoilt.contains(place)).collect();
        let mut places = on_disk.keys().chain(counted.keys());
        let Some(place) = places.find(|&place| on_disk.get(place) != counted.get(place)) else {
            return;
        };
        let amount = |amounts: &BTreeMap<_, (u64, u64)>| {
            let (count, bytes) = amounts.get(place).copied().unwrap_or_default();
            format!("{count} of {bytes} bytes")
        };
        let (target, partition) = place;
        self.findings.violated(|| {
            format!(
                "a node counts other hints than it keeps\n  {} counts {} for {} in partition {} at {}, \
                 and {} lie on its disk",
                names.node(node),
                amount(&counted),
                names.node(*target),
                partition.0,
                when(at),
                amount(&on_disk),
            )
        });
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

impl Hints {
    /// Judges a hint that is deleted because its target holds it.
    fn on_delivered(
        &mut self,
        dropped: &HintsDropped<'_, impl WorldView>,
        history: &History,
        hint: &StoredHint,
    ) {
        let &HintsDropped { target, world, .. } = dropped;
        let owners = world.owners(&history.key);
        let recipients = if owners.contains(&target) { vec![target] } else { owners.to_vec() };
        let lacking = recipients.into_iter().find(|&node| !holds(node, history, hint, world));
        if let Some(node) = lacking {
            self.on_lost(dropped, history, hint, node);
        }
    }

    /// Judges a hint that is deleted because its target did not return in time.
    fn on_expired(
        &mut self,
        dropped: &HintsDropped<'_, impl WorldView>,
        history: &History,
        hint: &StoredHint,
    ) {
        let &HintsDropped { at, keeper, target, world, names, .. } = dropped;
        let latest = world.latest_date(keeper);
        if hint.terms.expires >= latest {
            self.findings.violated(|| {
                format!(
                    "a hint was deleted as expired before its time\n  {} deleted one of {:?} for {} at \
                     {}, when its clock had shown at most {} us; the hint was to be kept until {} us",
                    names.node(keeper),
                    history.key,
                    names.node(target),
                    when(at),
                    latest.0,
                    hint.terms.expires.0,
                )
            });
        }
        let others: Vec<_> =
            world.owners(&history.key).iter().copied().filter(|&owner| owner != target).collect();
        let needed = self.config.write_quorum.min(others.len() as u64).max(1);
        let lacking: Vec<_> =
            others.iter().copied().filter(|&node| !holds(node, history, hint, world)).collect();
        if ((others.len() - lacking.len()) as u64) < needed
            && let Some(&node) = lacking.first()
        {
            self.on_lost(dropped, history, hint, node);
        }
    }

    /// Judges that a node lacks what a hint held which is deleted now: a fault may have taken it since
    /// it was delivered.
    fn on_lost(
        &mut self,
        dropped: &HintsDropped<'_, impl WorldView>,
        history: &History,
        hint: &StoredHint,
        node: NodeId,
    ) {
        let &HintsDropped { at, keeper, target, names, .. } = dropped;
        if history.taken_at.is_some() {
            self.findings.weakened += 1;
            return;
        }
        let dots = hint.container.dots();
        self.findings.violated_about(
            || history.subject(dots.filter_map(|dot| history.named(dot))),
            || {
                format!(
                    "a hint was deleted too early\n  {} deleted the hint of {:?} \
                     for {} at {}, with siblings {}, which {} does not hold durably",
                    names.node(keeper),
                    history.key,
                    names.node(target),
                    when(at),
                    names.dots(hint.container.dots()),
                    names.node(node),
                )
            },
        );
    }
}

/// Tells whether a node holds durably all that a hint accounts for.
fn holds(node: NodeId, history: &History, hint: &StoredHint, world: &impl WorldView) -> bool {
    let accounts = |held: &VersionVector| held.includes(hint.container.seen());
    world.has_seen(node, &history.key, WhichImage::Reported, accounts)
}
