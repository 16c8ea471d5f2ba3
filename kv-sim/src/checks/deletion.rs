//! Check `deletion`: what was deleted does not come back.
//!
//! A delete is a write, so whether it is kept is for `durability` and `freshness` to judge. This
//! check looks from the other side, at what stands: a value that an acknowledged delete has
//! overwritten must not be shown by a strict read that the delete was promised to, and must not
//! stand when all is repaired (Cassandra's zombies). Tombstones are never purged yet, so the
//! promise has no end.

use std::collections::{BTreeMap, BTreeSet};

use kv_core::types::NodeId;

use super::ack::{GivenAck, Standing};
use super::check::Check;
use super::findings::Findings;
use super::freshness;
use super::history::{EventIndex, History, Reach, WriteIndex};
use super::occasions::{KeyEnd, OperationEnd, OperationEnding};
use super::operation::Operation;
use super::per_key::PerKey;
use super::story::{Names, when};
use super::{Disks, Setting, WorldView};

/// The `deletion` check.
#[derive(Clone, Debug, Default)]
pub(super) struct Deletion {
    /// The findings so far, counted in acknowledged deletes.
    findings: Findings,
    /// The events that acknowledged deletes have overwritten, each with the first that did.
    deleted: PerKey<BTreeMap<EventIndex, WriteIndex>>,
}

impl Check for Deletion {
    const NAME: &'static str = "deletion";
    const ABOUT: &'static str = "what was deleted does not come back";

    fn new(_: &Setting) -> Self {
        Self::default()
    }

    fn findings(&self) -> &Findings {
        &self.findings
    }

    fn on_end(&mut self, end: &mut OperationEnd<'_, impl WorldView>) {
        match end.ending {
            OperationEnding::Value(ref answer) => self.on_read(end, &answer.reach),
            OperationEnding::Stored(write, _) => self.on_stored(end.history, write),
            OperationEnding::Refused(_) | OperationEnding::Unknown => {}
        }
    }

    fn at_end_of_key(&mut self, end: &KeyEnd<'_, impl WorldView>) {
        let &KeyEnd { at, history, copies, world, names } = end;
        for (node, copy) in copies {
            for event in copy.dots().filter_map(|dot| history.named(dot)) {
                if let Some(delete) = self.deleted_by(history, event) {
                    if !can_know(*node, history, delete, world) {
                        self.findings.weakened += 1;
                        continue;
                    }
                    let shown = format!("in the end, at {}, on {}", when(at), names.node(*node));
                    let owed = [Standing::Whole, Standing::Weak];
                    self.on_revived(history, event, delete, &shown, &owed, names);
                }
            }
        }
    }
}

/// Tells whether a delete that was acknowledged must be known to an owner in the end: all that can
/// know of it, owners and those who acknowledged it, can tell it or, where something is broken for
/// ever, an owner that acknowledged it can, or is it, and no fault took it from there.
fn can_know(node: NodeId, history: &History, delete: WriteIndex, disks: &impl Disks) -> bool {
    let owners = disks.owners(&history.key);
    let can_tell = |other: &NodeId| *other == node || disks.can_make_equal(*other, node);
    let write = history.write(delete);
    let keeps = |owner: &&NodeId| !write.taken_from().contains(owner);
    let holders = write.ack.as_ref().map_or(&[][..], GivenAck::owners);
    let mut all = owners.iter().chain(write.ack.as_ref().map_or(&[][..], GivenAck::fallbacks));
    all.all(can_tell) || holders.iter().filter(keeps).any(can_tell)
}

impl Deletion {
    /// Judges a read that was answered with a container that reaches this far.
    fn on_read(&mut self, end: &OperationEnd<'_, impl WorldView>, reach: &Reach) {
        let &OperationEnd { at, operation: read, ref history, world, names, .. } = end;
        for &event in &reach.standing {
            let Some(delete) = self.deleted_by(history, event) else { continue };
            let write = history.write(delete);
            let ack = write.ack.as_ref().expect("only acknowledged deletes are looked for");
            if freshness::is_promised(ack, read, world.datacenters()) {
                let Operation { number, coordinator, .. } = read;
                let shown = format!(
                    "to operation {number} through {} at {}",
                    names.node(*coordinator),
                    when(at)
                );
                self.on_revived(history, event, delete, &shown, &[Standing::Whole], names);
            }
        }
    }

    /// Takes a put that was acknowledged, which may be a delete.
    fn on_stored(&mut self, history: &History, write: WriteIndex) {
        if history.is_delete(write) {
            self.findings.examined += 1;
            self.delete_ancestors(history, write);
        }
    }

    /// The first acknowledged delete that has overwritten an event.
    fn deleted_by(&self, history: &History, event: EventIndex) -> Option<WriteIndex> {
        self.deleted.get(history)?.get(&event).copied()
    }

    /// Records all that an acknowledged delete overwrites as deleted. Of twins, any may be the one
    /// that is left in the end, so only what each of them overwrites counts. The ancestors of what
    /// was deleted before are deleted already, so each of those is visited once.
    fn delete_ancestors(&mut self, history: &History, delete: WriteIndex) {
        let Some((&first, twins)) = history.write(delete).events.split_first() else { return };
        let deleted = self.deleted.get_mut(history);
        let mut to_visit = history.event(first).parents.to_vec();
        let mut visited = BTreeSet::new();
        while let Some(event) = to_visit.pop() {
            if deleted.contains_key(&event) || !visited.insert(event) {
                continue;
            }
            if twins.iter().all(|&twin| history.is_ancestor(event, twin)) {
                deleted.insert(event, delete);
            }
            to_visit.extend(&history.event(event).parents);
        }
    }

    /// Judges a deleted value that stands. It is a violation if the delete stands as one of `owed`.
    fn on_revived(
        &mut self,
        history: &History,
        event: EventIndex,
        delete: WriteIndex,
        shown: &str,
        owed: &[Standing],
        names: &Names,
    ) {
        if !owed.contains(&history.write(delete).standing) {
            self.findings.weakened += 1;
            return;
        }
        self.findings.violated_about(|| history.subject_of(delete), || {
            let ack = history.write(delete).ack.as_ref();
            format!(
                "a value of {:?} came back that had been deleted\n  value:   {}\n  deleted: {}\n  \
                 acked:   at {}\n  shown:   {shown}",
                history.key,
                history.describe(history.event(event).write, names),
                history.describe(delete, names),
                ack.map_or_else(String::new, |ack| when(ack.at)),
            )
        });
    }
}
