//! Check `dirty-reads`: what a replica answers to a read is durable there.
//!
//! An answer that is not durable may be gone after a crash: a client was shown what then never
//! happened. Each answer is judged by what the disk of the replica has reported as durable, when the disk
//! gives it. That of an owner is judged again when the node sends it; a node that asks itself sends
//! nothing. A fallback's is not, since between the two its hint may have been deleted, as its target
//! holds it durably.

use kv_core::store::{
    Answer, Command, CopyKind, ReplicaAction, ReplicaAnswer, ReplicaCommand, ReplicaDone,
};
use kv_core::time::Time;
use kv_core::types::NodeId;
use kv_core::version::{Container, Dot, VersionVector};

use super::check::Check;
use super::findings::Findings;
use super::history::History;
use super::occasions::{Execution, ReadReplySent};
use super::story::{Names, when};
use super::{Setting, WhichImage, WorldView};

/// The `dirty-reads` check.
#[derive(Clone, Debug, Default)]
pub(super) struct DirtyReads {
    /// The findings so far, counted in answers of disks and in answers of nodes.
    findings: Findings,
}

impl Check for DirtyReads {
    const NAME: &'static str = "dirty-reads";
    const ABOUT: &'static str = "what a replica answers to a read is durable there";

    fn new(_: &Setting) -> Self {
        Self::default()
    }

    fn findings(&self) -> &Findings {
        &self.findings
    }

    fn on_execution(&mut self, execution: &mut Execution<'_, impl WorldView>) {
        let &mut Execution { at, node, command, outcome, ref mut histories, world, names, .. } =
            execution;
        let (
            Command::Replica(ReplicaCommand { action: ReplicaAction::Read { key, copy }, .. }),
            Answer::Replica(ReplicaAnswer { result: Ok(ReplicaDone::Read(container)), .. }),
        ) = (&command.command, &outcome.answer)
        else {
            return;
        };
        let Some(history) = histories.of_mut(key) else { return };
        if !is_durable(node, history, *copy, container, world) {
            self.on_dirty(at, node, history, container, ("its disk read", names));
        }
        self.findings.examined += 1;
    }

    fn on_read_reply(&mut self, sent: &ReadReplySent<'_, impl WorldView>) {
        let &ReadReplySent { at, node, asked, history, container, world, names } = sent;
        if !world.owners(&history.key).contains(&node) {
            return;
        }
        self.findings.examined += 1;
        if is_durable(node, history, CopyKind::Owned, container, world) {
            return;
        }
        if history.taken_at.is_some_and(|taken_at| taken_at >= asked) {
            self.findings.weakened += 1;
        } else if concerns(history, container) {
            self.on_dirty(at, node, history, container, ("it sent", names));
        }
    }
}

impl DirtyReads {
    fn on_dirty(
        &mut self,
        at: Time,
        node: NodeId,
        history: &History,
        container: &Container,
        (how, names): (&str, &Names),
    ) {
        let about = || history.subject(container.dots().filter_map(|dot| history.named(dot)));
        self.findings.violated_about(about, || {
            format!(
                "{} answered a read of {:?} with what is not durable there\n  \
                 answer:  siblings {}, which {how} at {}",
                names.node(node),
                history.key,
                names.dots(container.dots()),
                when(at),
            )
        });
    }
}

/// Tells whether an answer is one about this key. A message is known by its request, and a client may use
/// one id for two keys: what accounts for events that the one never had is about the other.
fn concerns(history: &History, answer: &Container) -> bool {
    answer.seen().iter().all(|(actor, n)| history.named(Dot { actor, n }).is_some())
}

/// Tells whether a node holds durably all that an answer accounts for. The answer from hints is the join
/// of all of them; of the two kinds of copies one may hold what the other was asked for.
fn is_durable(
    node: NodeId,
    history: &History,
    copy: CopyKind,
    answer: &Container,
    world: &impl WorldView,
) -> bool {
    let accounts = |held: &VersionVector| held.includes(answer.seen());
    answer.is_empty()
        || world.has_seen(node, &history.key, WhichImage::Reported, accounts)
        || copy == CopyKind::Hinted
            && accounts(world.copy(node, &history.key, WhichImage::Reported).seen())
}
