//! Check `deletion`: what was deleted does not come back.
//!
//! A delete is a write, so whether it is kept is for `durability` and `freshness` to judge. This
//! check looks from the other side, at what stands: a value that an acknowledged delete has
//! overwritten must not be shown by a strict read that the delete was promised to, and must not
//! stand when all is repaired (Cassandra's zombies). Tombstones are never purged yet, so the
//! promise has no end.

use kv_core::time::Time;
use kv_core::types::NodeId;
use kv_core::version::Container;

use super::ack::Standing;
use super::findings::Findings;
use super::freshness;
use super::history::{EventIndex, History, Reach, WriteIndex};
use super::operation::Operation;
use super::story::{Names, when};

/// The `deletion` check.
#[derive(Clone, Debug, Default)]
pub(super) struct Deletion {
    /// The findings so far, counted in acknowledged deletes.
    pub(super) findings: Findings,
}

impl Deletion {
    /// Takes a put that was acknowledged, which may be a delete.
    pub(super) fn on_stored(&mut self, history: &mut History, write: WriteIndex) {
        if history.write(write).content.is_tombstone() {
            self.findings.examined += 1;
            history.delete_ancestors(write);
        }
    }

    /// Judges a read that was answered with a container that reaches this far.
    pub(super) fn on_read(
        &mut self,
        history: &History,
        reach: &Reach,
        read: &Operation,
        n: usize,
        at: Time,
        names: &Names,
    ) {
        for &event in &reach.standing {
            let Some(delete) = history.deleted_by(event) else { continue };
            let write = history.write(delete);
            let ack = write.ack.as_ref().expect("only acknowledged deletes are looked for");
            if freshness::is_promised(ack, read, n) {
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

    /// Judges an owner's copy once the run is over and all that could be repaired has been.
    pub(super) fn at_end(
        &mut self,
        history: &History,
        (node, copy): (NodeId, &Container),
        at: Time,
        names: &Names,
    ) {
        for event in copy.dots().filter_map(|dot| history.named(dot)) {
            if let Some(delete) = history.deleted_by(event) {
                let shown = format!("in the end, at {}, on {}", when(at), names.node(node));
                let owed = [Standing::Whole, Standing::Weak];
                self.on_revived(history, event, delete, &shown, &owed, names);
            }
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
