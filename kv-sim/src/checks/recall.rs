//! Check `recall`: a node whose disk has lost what it had acknowledged learns that from others that were
//! told of it, before it trusts its data again.
//!
//! Takes the moment at which a node trusts what lies on its disk, together with the nodes that were told of
//! more before it started. One of them that works, is heard by it and hears it, each by a clock that runs
//! and by messages that no fault touches, all the time since then, must have told it.

use kv_core::message::{GossipKind, Kind, RecallKind};
use kv_core::types::NodeId;

use super::check::Check;
use super::findings::Findings;
use super::occasions::Trust;
use super::story::when;
use super::{Setting, WorldView};

/// The `recall` check.
#[derive(Clone, Debug, Default)]
pub(super) struct Recall {
    /// The findings so far, counted in disks that had lost something.
    findings: Findings,
}

impl Check for Recall {
    const NAME: &'static str = "recall";
    const ABOUT: &'static str =
        "a node that lost what it acknowledged learns that from others that were told of it";

    fn new(_: &Setting) -> Self {
        Self::default()
    }

    fn findings(&self) -> &Findings {
        &self.findings
    }

    fn on_loss_learned(&mut self) {
        self.findings.examined += 1;
    }

    fn on_trusted(&mut self, trust: &Trust<'_, impl WorldView>) {
        let &Trust { at, node, remembering, world, names } = trust;
        self.findings.examined += 1;
        let could_tell = |other: &&NodeId| could_tell(**other, node, world);
        match remembering.iter().find(could_tell) {
            None => self.findings.weakened += 1,
            Some(&other) => self.findings.violated(|| {
                format!(
                    "{} trusts its data at {}, and has lost some of what it had acknowledged: \
                     {} was told of it before, and could have told it since {}",
                    names.node(node),
                    when(at),
                    names.node(other),
                    when(world.node_changed(node)),
                )
            }),
        }
    }
}

/// Tells whether nothing has kept a node from telling another one what it remembers, since that one
/// started.
fn could_tell(other: NodeId, node: NodeId, world: &impl WorldView) -> bool {
    let since = world.node_changed(node);
    let kinds = [
        Kind::Gossip(GossipKind::Syn),
        Kind::Gossip(GossipKind::Ack),
        Kind::Gossip(GossipKind::Ack2),
        Kind::Recall(RecallKind::Ask),
        Kind::Recall(RecallKind::Remembered),
    ];
    world.node_changed(other) <= since
        && world.link_changed(node, other) <= since
        && [node, other].into_iter().all(|one| world.keeps_time(one))
        && kinds
            .into_iter()
            .all(|kind| world.reaches(node, other, kind) && world.reaches(other, node, kind))
}
