//! The details of a violation that is about no single key: the operations, keys, nodes and messages
//! that it is about.

use kv_core::version::Dot;

use super::focus::Leftovers;
use super::{BrokenPromise, Report};
use crate::checks::CheckName;
use crate::cluster::world::World;
use crate::scenario::OutcomeBounds;
use crate::story::record::Record;
use crate::story::record::fact::{RecordedEnding, RecordedMessage, RecordedOperation};
use crate::story::result::{OUTCOMES, Outcomes};

/// The most details of one violation.
const DETAILS_MAX: usize = 12;

/// The operations by which broken bounds on outcomes are explained: those of which there are too many;
/// or, if there are too few of a kind, those that ended otherwise.
pub(super) fn to_blame<'a>(
    record: &'a Record,
    outcomes: Outcomes,
    bounds: &OutcomeBounds,
) -> Vec<&'a RecordedOperation> {
    let OutcomeBounds { acknowledged, unknown, refused, siblings } = *bounds;
    // What made no sense is not among what was refused, and had to be.
    let Outcomes {
        acknowledged: answered,
        unknown: silent,
        refused: denied,
        misused: _,
        siblings: forked,
    } = outcomes;
    let is_to_blame = |operation: &&RecordedOperation| match &operation.ending {
        RecordedEnding::Answered { shown, .. } => {
            (shown.len() > 1 && forked > siblings.max) || answered > acknowledged.max
        }
        RecordedEnding::Refused(_) | RecordedEnding::Unreachable => {
            denied > refused.max || answered < acknowledged.min
        }
        RecordedEnding::Unknown { .. } | RecordedEnding::Never => {
            silent > unknown.max || answered < acknowledged.min
        }
    };
    record.operations.iter().filter(is_to_blame).collect()
}

impl Report<'_> {
    /// Adds to each violation what it is about in detail, as far as its own story does not say that.
    pub(super) fn add_details(&mut self, world: Option<&World>) {
        let details: Vec<Vec<String>> = self
            .violations
            .iter()
            .map(|violation| match violation.check.as_str() {
                OUTCOMES => self.outcome_details(),
                "convergence" => world.map(|world| self.leftovers(world)).unwrap_or_default(),
                "quiescence" => self.idle_work(),
                _ => Vec::new(),
            })
            .collect();
        for (violation, details) in self.violations.iter_mut().zip(details) {
            let more = details.len().saturating_sub(DETAILS_MAX);
            violation.details = details.into_iter().take(DETAILS_MAX).collect();
            if more > 0 {
                violation.details.push(format!("and {more} more"));
            }
        }
    }

    fn outcome_details(&self) -> Vec<String> {
        let bounds = &self.plan.scenario.expect.outcomes;
        let blamed = to_blame(&self.record, self.result.outcomes, bounds);
        let words = |operation: &RecordedOperation| {
            let RecordedOperation { client, number, node, begun, ended, .. } = operation;
            let (node, asked) = (self.node(*node), self.asked(operation));
            format!(
                "operation #{number} of client {client}, from {begun} to {ended}: it asks {node} {asked}: {}",
                self.ending(operation)
            )
        };
        blamed.into_iter().map(words).collect()
    }

    /// What keeps the cluster from having converged.
    fn leftovers(&self, world: &World) -> Vec<String> {
        let Leftovers { different, hints } = Leftovers::of(&world.scene);
        let dots = |container: &kv_core::version::Container| {
            self.writes(&container.dots().collect::<Vec<Dot>>())
        };
        let differs = different.iter().map(|(key, copies)| {
            let held = copies
                .iter()
                .map(|(node, copy)| format!("{} holds {}", self.node(*node), dots(copy)));
            format!("the owners of {key:?} differ: {}", held.collect::<Vec<_>>().join(", "))
        });
        let kept = hints.iter().map(|(keeper, target, key, container)| {
            let (keeper, target) = (self.node(*keeper), self.node(*target));
            format!("{keeper} keeps a hint of {key:?} for {target}: {}", dots(container))
        });
        differs.chain(kept).collect()
    }

    /// What an idle cluster did that it should not have.
    fn idle_work(&self) -> Vec<String> {
        let since = self.record.idle_since().unwrap_or(self.ended);
        let is_work = |message: &&RecordedMessage| {
            message.sent >= since && !crate::checks::is_idle(message.kind)
        };
        let said = self.record.messages.iter().filter(is_work).map(|message| {
            let RecordedMessage { from, to, kind, sent, key, content, .. } = message;
            let (from, to) = (self.node(*from), self.node(*to));
            let about = key.as_ref().map(|key| format!(" about {key:?}")).unwrap_or_default();
            let words = &content.words;
            let note = if words.is_empty() { String::new() } else { format!(", {words}") };
            format!("at {sent} {from} sends {to} {}{about}{note}", kind.name())
        });
        let notes = self.record.notes.iter().filter(|note| note.at >= since);
        let noticed = notes.filter_map(|note| {
            let node = self.node(note.node?);
            Some(format!("at {} {node} {}", note.at, note.text))
        });
        said.chain(noticed).collect()
    }
}

impl BrokenPromise {
    /// The promise in one sentence.
    pub(super) fn promise(&self) -> &'static str {
        let check = CheckName::find(&self.check);
        check.map_or("operations end as the scenario expects", CheckName::about)
    }

    /// The keys that the violation is about, the one in its story first.
    pub(super) fn keys(&self) -> impl Iterator<Item = &kv_core::types::Key> {
        self.subject.iter().map(|subject| &subject.key).chain(&self.other_keys)
    }
}
