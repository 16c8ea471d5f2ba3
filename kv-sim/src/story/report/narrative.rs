//! The story of a failure, in the order of time: who asked for the write in question, which replica
//! minted its dot, where copies of it stood, who vouched for them, what happened to them, and what
//! was seen in the end. A violation that is about no write is told by the requests for its key; one
//! that is about no key, by the faults.

use kv_core::message::{CoordinatorKind, Kind};
use kv_core::time::Span;
use kv_core::types::Key;
use kv_core::version::Dot;
use serde::Serialize;

use super::{BrokenPromise, Report};
use crate::cluster::world_time::WorldTime;
use crate::scenario::NodeIndex;
use crate::story::record::fact::{
    ClientVerb, Copy, RecordedEnding, RecordedFault, RecordedMessage, RecordedOperation,
    RecordedOutage, RecordedWrite,
};

/// The most lines of a story; if there are more, those in the middle are left out.
const LINES_MAX: usize = 70;
/// The number of other operations on the key that are told of: the last ones.
const OTHERS_MAX: usize = 16;
/// The time after the violation at which the story ends.
const AFTERWARDS: Span = Span::from_ms(1_000);

/// A line of the story: one thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Line {
    /// The time of the line, in microseconds since the world began.
    pub(super) at_us: u64,
    /// The sort of thing that happened.
    pub(super) sort: Sort,
    /// The words of the line.
    pub(super) text: String,
}

/// The sort of thing that happened in a line of the story.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Sort {
    /// A client asked something.
    Asked,
    /// A replica minted a dot.
    Minted,
    /// A copy came, changed or went.
    Copy,
    /// A node answered another, or was not heard.
    Said,
    /// A client was answered.
    Told,
    /// Something was broken, or repaired.
    Fault,
    /// Lines are left out here.
    Gap,
    /// A promise was broken.
    Violated,
}

/// A node's knowledge of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Knowledge {
    Nothing,
    Fresh,
    Durable,
    Overwritten,
}

impl Report<'_> {
    /// The lines of the story; none if everything held.
    pub(super) fn narrative(&self) -> Vec<Line> {
        let Some(violation) = self.violations.first() else { return Vec::new() };
        let key = violation.subject.as_ref().map(|subject| &subject.key);
        let writes = self.writes_of(violation);
        let asked: Vec<_> = writes.iter().filter_map(|write| self.requester_of(write)).collect();
        let from = asked
            .iter()
            .map(|operation| operation.begun)
            .chain(writes.iter().map(|write| write.at))
            .min();
        let others = self.others(violation, key, &asked);
        let from = from.or_else(|| others.first().map(|operation| operation.begun));
        let from = from.unwrap_or_default();

        let mut lines = Vec::new();
        for operation in asked.iter().chain(&others) {
            self.tell_operation(operation, &mut lines);
        }
        for write in &writes {
            let (node, dot) = (self.node(write.node), self.names.dot(write.dot));
            lines.push(line(write.at, Sort::Minted, format!("{node} mints {dot}")));
        }
        for operation in &asked {
            self.tell_answers(operation, &mut lines);
        }
        if let Some(subject) = &violation.subject {
            for &dot in &subject.dots {
                self.tell_copies(dot, subject.dots.len() > 1, &mut lines);
            }
        }
        self.tell_faults(from, violation.at, &mut lines);
        let until = violation.at + AFTERWARDS;
        lines.retain(|line| line.at_us <= until.0);
        lines.sort_by_key(|line| (line.at_us, line.sort));
        for BrokenPromise { check, at, story, .. } in &self.violations {
            let first = story.lines().next().unwrap_or_default();
            let text = format!("{check} is violated: {first}");
            lines.push(line(*at, Sort::Violated, text));
        }
        lines.sort_by_key(|line| line.at_us);
        shortened(lines)
    }

    /// The name of a node.
    pub(super) fn node(&self, node: NodeIndex) -> &str {
        self.plan.scenario.cluster.name(node)
    }

    fn nodes(&self, nodes: &[NodeIndex]) -> String {
        if nodes.is_empty() { "nobody".to_owned() } else { self.plan.scenario.cluster.names(nodes) }
    }

    fn writes_of(&self, violation: &BrokenPromise) -> Vec<&RecordedWrite> {
        let Some(subject) = &violation.subject else { return Vec::new() };
        self.record.writes.iter().filter(|write| subject.dots.contains(&write.dot)).collect()
    }

    /// The operation that asked for a write.
    fn requester_of(&self, write: &RecordedWrite) -> Option<&RecordedOperation> {
        let requester = crate::cluster::client_ids::requester_of(write.request)?;
        let is_it =
            |operation: &&RecordedOperation| (operation.client, operation.number) == requester;
        self.record.operations.iter().find(is_it)
    }

    /// The last other operations on the key that ended before the violation was noticed.
    fn others(
        &self,
        violation: &BrokenPromise,
        key: Option<&Key>,
        asked: &[&RecordedOperation],
    ) -> Vec<&RecordedOperation> {
        let is_other = |operation: &&RecordedOperation| {
            Some(&operation.key) == key
                && operation.ended <= violation.at
                && !asked.contains(operation)
        };
        let others = self.record.operations.iter().rev().filter(is_other);
        let mut others: Vec<_> = others.take(OTHERS_MAX).collect();
        others.reverse();
        others
    }

    fn tell_operation(&self, operation: &RecordedOperation, lines: &mut Vec<Line>) {
        let RecordedOperation { client, number, node, asked, begun, ended, .. } = operation;
        let (node, key) = (self.node(*node), &operation.key);
        let what = match asked {
            ClientVerb::Get => format!("to read {key:?}"),
            ClientVerb::Put(value) => format!("to write \"{value}\" to {key:?}"),
            ClientVerb::Delete => format!("to delete {key:?}"),
        };
        let text = format!("client {client} asks {node} {what} (operation #{number})");
        lines.push(line(*begun, Sort::Asked, text));
        let text = format!("client {client} is told of #{number}: {}", self.ending(operation));
        lines.push(line(*ended, Sort::Told, text));
    }

    /// Tells what replicas answered the coordinator of an operation, and which messages were lost
    /// on the way.
    fn tell_answers(&self, operation: &RecordedOperation, lines: &mut Vec<Line>) {
        let requester = Some((operation.client, operation.number));
        for message in
            self.record.messages.iter().filter(|message| message.requester() == requester)
        {
            let RecordedMessage { from, to, kind, sent, ended, lost, .. } = message;
            let (name, from, to) = (kind.name(), self.node(*from), self.node(*to));
            let text = match (kind, lost) {
                (_, Some(how)) => format!("a {name} from {from} to {to} {how}"),
                (Kind::Coordinator(CoordinatorKind::Acked), None) => {
                    format!("{to} hears from {from}, as of {sent} s, that it has it durably")
                }
                (Kind::Coordinator(CoordinatorKind::Refused), None) => {
                    format!("{to} hears from {from} that it refuses")
                }
                _ => continue,
            };
            lines.push(line(*ended, Sort::Said, text));
        }
    }

    /// The ending of an operation, in words.
    pub(super) fn ending(&self, operation: &RecordedOperation) -> String {
        match &operation.ending {
            RecordedEnding::Never => "nothing: the run was over".to_owned(),
            RecordedEnding::Unreachable => "nobody listens".to_owned(),
            RecordedEnding::Unknown => "nothing: it may have happened or not".to_owned(),
            RecordedEnding::Refused(reason) => format!("refused: {reason}"),
            RecordedEnding::Answered { shown, owners, fallbacks } => {
                let shown = self.stand(shown);
                let by = match fallbacks.len() {
                    0 => self.nodes(owners),
                    _ => format!(
                        "{}, and {} in their stead",
                        self.nodes(owners),
                        self.nodes(fallbacks)
                    ),
                };
                match operation.asked {
                    ClientVerb::Get => format!("{shown}, as {by} say"),
                    ClientVerb::Put(_) | ClientVerb::Delete => {
                        format!("it is durable on {by}; {shown} now")
                    }
                }
            }
        }
    }

    /// Puts the standing siblings into words.
    fn stand(&self, dots: &[Dot]) -> String {
        let verb = if dots.len() > 1 { "stand" } else { "stands" };
        format!("{} {verb}", self.names.dots(dots.iter().copied()))
    }

    /// Tells how the copies of a write came and went. `by_name` if the story is about several
    /// writes.
    fn tell_copies(&self, dot: Dot, by_name: bool, lines: &mut Vec<Line>) {
        let Some(bit) = self.record.focus.dots.iter().position(|&other| other == dot) else {
            return;
        };
        let it = if by_name { self.names.dot(dot) } else { "it".to_owned() };
        let mut before = vec![Knowledge::Nothing; self.plan.scenario.cluster.nodes.len()];
        let Some(key) = self.key_of(dot) else { return };
        for change in self.record.copies.iter().filter(|change| change.key == key) {
            let now = standing(&change.copy, dot, bit);
            let then = std::mem::replace(&mut before[change.node.0], now);
            if now == then {
                continue;
            }
            let node = self.node(change.node);
            let role = if self.owners[key].contains(&change.node) { "" } else { " for an owner" };
            let text = match now {
                Knowledge::Fresh => format!("{node} holds {it}{role}, and not yet durably"),
                Knowledge::Durable => format!("{node} holds {it} durably{role}"),
                Knowledge::Overwritten => {
                    let by = self.stand(&change.copy.live);
                    format!("{node} takes {it} for overwritten: {by} there")
                }
                Knowledge::Nothing => {
                    let why = self.why_gone(change.node, change.at);
                    format!("{node} holds {it} no more{why}")
                }
            };
            lines.push(line(change.at, Sort::Copy, text));
        }
    }

    /// The followed key that the violations' write of this name was written to.
    fn key_of(&self, dot: Dot) -> Option<usize> {
        let subjects = self.violations.iter().filter_map(|violation| violation.subject.as_ref());
        let mut of_dot = subjects.filter(|subject| subject.dots.contains(&dot));
        self.record.focus.position(&of_dot.next()?.key)
    }

    fn why_gone(&self, node: NodeIndex, at: WorldTime) -> &'static str {
        let went_down = |outage: &RecordedOutage| outage.node == node && outage.from == at;
        if self.record.outages.iter().any(went_down) {
            return ": it goes down, and loses it";
        }
        let has_hit = |fault: &RecordedFault| fault.from == at && fault.nodes.contains(&node);
        if self.record.faults.iter().any(has_hit) { ": a fault took it" } else { "" }
    }

    fn tell_faults(&self, from: WorldTime, until: WorldTime, lines: &mut Vec<Line>) {
        let within = |at: WorldTime| from <= at && at <= until;
        for fault in self.record.faults.iter() {
            let RecordedFault { kind, what, .. } = fault;
            let lasts = fault.from < from && fault.until.is_none_or(|end| end > from);
            if lasts {
                let since = fault.from;
                let text = format!("{kind} is at work since {since} s: {what}");
                lines.push(line(from, Sort::Fault, text));
            }
            if within(fault.from) {
                lines.push(line(fault.from, Sort::Fault, format!("{kind} begins: {what}")));
            }
            if let Some(end) = fault.until.filter(|&end| within(end)) {
                lines.push(line(end, Sort::Fault, format!("{kind} ends: {what}")));
            }
        }
        for RecordedOutage { node, how, from, until } in self.record.outages.iter() {
            let node = self.node(*node);
            if within(*from) {
                lines.push(line(*from, Sort::Fault, format!("{node} is {how}")));
            }
            if let Some(end) = until.filter(|&end| within(end)) {
                lines.push(line(end, Sort::Fault, format!("{node} is back: it was {how}")));
            }
        }
    }
}

fn line(at: WorldTime, sort: Sort, text: String) -> Line {
    Line { at_us: at.0, sort, text }
}

fn standing(copy: &Copy, dot: Dot, bit: usize) -> Knowledge {
    if copy.knows >> bit & 1 == 0 {
        Knowledge::Nothing
    } else if !copy.live.contains(&dot) {
        Knowledge::Overwritten
    } else if copy.durable.contains(&dot) {
        Knowledge::Durable
    } else {
        Knowledge::Fresh
    }
}

fn shortened(mut lines: Vec<Line>) -> Vec<Line> {
    let Some(more @ 1..) = lines.len().checked_sub(LINES_MAX) else { return lines };
    let middle = LINES_MAX / 2;
    let at_us = lines[middle].at_us;
    let gap = Line { at_us, sort: Sort::Gap, text: format!("{} more", more + 1) };
    lines.splice(middle..=middle + more, [gap]);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_story_keeps_its_beginning_and_its_end() {
        let lines = (0..200).map(|at| line(WorldTime(at), Sort::Copy, String::new())).collect();
        let short = shortened(lines);
        assert_eq!((short.len(), short[0].at_us, short[LINES_MAX - 1].at_us), (LINES_MAX, 0, 199));
        let gap = short.iter().find(|line| line.sort == Sort::Gap).expect("it says so");
        assert_eq!(gap.text, "131 more");
    }
}
