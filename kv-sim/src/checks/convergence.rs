//! Check `convergence`: after the last fault, replicas become equal byte for byte, their trees show
//! that truthfully, and no hint is left.
//!
//! Takes the world's verdict on whether the cluster came to rest in time, and the disks. The roots
//! that nodes claim are compared with sums that are computed here, from containers alone: two trees
//! that are blind agree with each other about anything (Riak 1.4).
//!
//! Where something is broken for ever, owners become equal that can still make each other so, and
//! hints are kept that cannot be delivered.
//!
//! Repairs wait only so long for an answer. If messages or disks take longer without any fault, the
//! cluster need not come to rest in time; whatever its trees claim must be true all the same.

use std::collections::BTreeMap;

use kv_core::time::Time;
use kv_core::types::{ContentHash, Key, NodeId, PartitionId};
use kv_core::version::Container;

use super::check::Check;
use super::findings::Findings;
use super::occasions::{KeyEnd, RestVerdict, RunEnd};
use super::story::{Names, when};
use super::{Rest, Restless, Setting, WorldView};

/// The `convergence` check.
#[derive(Clone, Debug, Default)]
pub(super) struct Convergence {
    /// The findings so far, counted in keys.
    findings: Findings,
    /// True if owners need not be equal, because the world was too slow for that.
    is_excused: bool,
    /// The digests of what each owner holds in the end, summed up over each partition.
    sums: BTreeMap<(PartitionId, NodeId), ContentHash>,
}

impl Check for Convergence {
    const NAME: &'static str = "convergence";
    const ABOUT: &'static str =
        "after the last fault, all replicas of a key become equal and all hints are delivered";

    fn new(_: &Setting) -> Self {
        Self::default()
    }

    fn findings(&self) -> &Findings {
        &self.findings
    }

    fn on_rest(&mut self, verdict: &RestVerdict<'_>) {
        let &RestVerdict { at, rest, pace, names } = verdict;
        match rest {
            Rest::Converged { after: _ } => {}
            Rest::Restless(Restless { within, .. })
                if pace.hinders_repair(Time(at.0.saturating_sub(within.0))) =>
            {
                self.findings.weakened += 1;
                self.is_excused = true;
            }
            Rest::Restless(restless) => self.findings.violated(|| restless.story(at, names)),
        }
    }

    fn on_loss_accepted(&mut self) {
        self.findings.weakened += 1;
    }

    /// Compares the owners' own copies, and sums up their digests.
    fn at_end_of_key(&mut self, end: &KeyEnd<'_, impl WorldView>) {
        let &KeyEnd { history, world, names, .. } = end;
        self.findings.examined += 1;
        let key = &history.key;
        let owned = |&owner| (owner, world.owned(owner, key));
        let copies: Vec<(NodeId, Container)> = world.owners(key).iter().map(owned).collect();
        for (at, (b, second)) in copies.iter().enumerate() {
            let mut before = copies[..at].iter().rev();
            let Some((a, first)) = before.find(|(a, _)| world.can_make_equal(*a, *b)) else {
                continue;
            };
            if first == second {
                continue;
            }
            if self.is_excused {
                self.findings.weakened += 1;
                continue;
            }
            self.findings.violated_about(
                || history.subject([]),
                || {
                    let show = |copy: &Container| {
                        let stand = names.dots(copy.dots());
                        format!("{stand}, hash {}", copy.hash(key))
                    };
                    let (first, second) = (show(first), show(second));
                    let (a, b) = (names.node(*a), names.node(*b));
                    format!("owners of {key:?} differ\n  {a}: {first}\n  {b}: {second}")
                },
            );
        }
        self.sum_up(world.partition_of(key), key, &copies);
    }

    /// Compares what the owners hold with what their trees claim.
    fn at_end(&mut self, end: &RunEnd<'_, impl WorldView>) {
        let &RunEnd { world, names, .. } = end;
        for ((partition, node), sum) in std::mem::take(&mut self.sums) {
            // One that stands still, or cannot write, does not find what has rotted since.
            let is_up_to_date = world.can_make_equal(node, node);
            let Some(claimed) = world.root(node, partition).filter(|_| is_up_to_date) else {
                continue;
            };
            if claimed != sum {
                self.findings.violated(|| {
                    let (node, PartitionId(partition)) = (names.node(node), partition);
                    format!(
                        "the tree of {node} over partition {partition} does not show what it \
                         holds\n  claimed: {claimed}\n  holds:   {sum}"
                    )
                });
            }
        }
    }
}

impl Convergence {
    /// Adds the digests of a key's copies to those of their partition.
    fn sum_up(&mut self, partition: PartitionId, key: &Key, copies: &[(NodeId, Container)]) {
        let mut last: Option<(&Container, ContentHash)> = None;
        for (node, copy) in copies.iter().filter(|(_, copy)| !copy.is_empty()) {
            // As a rule, all are equal: then one hash is enough.
            let hash = match last {
                Some((other, hash)) if other == copy => hash,
                _ => copy.hash(key),
            };
            last = Some((copy, hash));
            let sum = self.sums.entry((partition, *node)).or_default();
            sum.0 = sum.0.wrapping_add(hash.0);
        }
    }
}

impl Restless {
    const LISTED_MAX: usize = 5;

    fn story(&self, at: Time, names: &Names) -> String {
        let Self { within, partitions, hints, incomplete, corrupt, unaware } = self;
        let mut story = format!(
            "the cluster had not converged by {}, {} ms after the last fault",
            when(at),
            within.as_ms()
        );
        let partitions = partitions.iter().map(|(PartitionId(partition), owners)| {
            format!("partition {partition} differs between {}", names.nodes(owners))
        });
        let hints =
            hints.iter().map(|&(node, count)| format!("{} keeps {count} hints", names.node(node)));
        let incomplete = incomplete.iter().map(|&(node, PartitionId(partition))| {
            format!("{} has not copied partition {partition} back", names.node(node))
        });
        let corrupt = corrupt
            .iter()
            .map(|&(node, count)| format!("{} has not repaired {count} records", names.node(node)));
        let unaware = unaware.iter().map(|&(node, other)| {
            let (node, other) = (names.node(node), names.node(other));
            format!("{node} has not learned of {other} that its disk has lost what it had synced")
        });
        let mut lines = partitions.chain(hints).chain(incomplete).chain(corrupt).chain(unaware);
        for line in lines.by_ref().take(Self::LISTED_MAX) {
            story.push_str("\n  ");
            story.push_str(&line);
        }
        match lines.count() {
            0 => {}
            more => story.push_str(&format!("\n  and {more} more of the kind")),
        }
        story
    }
}
