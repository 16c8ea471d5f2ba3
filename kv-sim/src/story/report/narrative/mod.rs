//! The story of a failure, in the order of time: who asked for the write in question and with which
//! context, which replica minted its dot, what nodes said to each other and to themselves, where
//! copies of it stood, what happened to them, and what was seen in the end. A violation that is about
//! no write is told by the requests for its keys; one that is about no key, by the faults.
//!
//! What a node or an answer claims is held against what disks hold. The first line in which the two
//! part is marked.

mod copies;
mod line;
mod messages;
mod operations;
mod said;

use std::collections::BTreeSet;

use kv_core::time::Span;
use kv_core::types::Key;

use super::{BrokenPromise, Report};
use crate::cluster::client_ids::requester_of;
use crate::cluster::world_time::WorldTime;
use crate::scenario::NodeIndex;
use crate::story::record::fact::{
    Note, NoteSort, RecordedFault, RecordedOperation, RecordedOutage, RecordedWrite,
};

use copies::CopyHistory;
use line::{mark_the_lie, shortened};
use messages::Requests;

pub(super) use line::{Line, Sort};

/// The number of other operations on the key that are told of: the last ones.
const OTHERS_MAX: usize = 16;
/// The time after the violation at which the story ends.
const AFTERWARDS: Span = Span::from_ms(1_000);
/// The time before a violation at which its story begins, if nothing that it is about is known.
const BEFORE: Span = Span::from_ms(2_000);

/// The operations that the story of a violation is about.
struct Plot<'a> {
    /// Those that asked for the writes in question.
    asked: Vec<&'a RecordedOperation>,
    /// Those that the violation names beside them.
    named: Vec<&'a RecordedOperation>,
    /// The last others on the same key.
    others: Vec<&'a RecordedOperation>,
    /// The writes in question.
    writes: Vec<&'a RecordedWrite>,
}

impl Plot<'_> {
    /// The time at which the story begins: that of the first request that it is about.
    fn begins(&self) -> Option<WorldTime> {
        let asked = self.asked.iter().chain(&self.named).map(|operation| operation.begun);
        let minted = self.writes.iter().map(|write| write.at);
        let others = self.others.iter().map(|operation| operation.begun);
        asked.chain(minted).min().or_else(|| others.min())
    }
}

impl Report<'_> {
    /// The lines of the story; none if everything held.
    pub(super) fn narrative(&self) -> Vec<Line> {
        let Some(violation) = self.violations.first() else { return Vec::new() };
        let (plot, from) = (self.plot(violation), self.story_begins(violation));
        let Plot { asked, named, others, writes } = &plot;

        let mut lines = Vec::new();
        let last = named.iter().map(|operation| operation.ended).max();
        for operation in asked.iter().chain(named) {
            let is_last = Some(operation.ended) == last && named.contains(operation);
            let wrong = if is_last { self.wrong_answer(violation) } else { None };
            self.tell_operation(operation, wrong, &mut lines);
        }
        let mut asides = Vec::new();
        for operation in others {
            self.tell_operation(operation, None, &mut asides);
        }
        // Where nothing else is known, they are what there is to tell.
        let is_all = asked.is_empty() && named.is_empty();
        lines.extend(asides.into_iter().map(|line| if is_all { line } else { line.aside() }));
        for write in self.record.writes.iter() {
            let line = self.minted(write);
            if writes.contains(&write) || is_of_any(write, named) {
                lines.push(line);
            } else if is_of_any(write, others) {
                // Else their siblings would come from nowhere.
                lines.push(line.doubted(None).aside());
            }
        }
        if let Some(key) = violation.keys().next() {
            let copies = CopyHistory::of(&self.record, self.record.focus.position(key));
            let numbers = |all: &[&RecordedOperation]| {
                all.iter().map(|operation| (operation.client, operation.number)).collect()
            };
            let requests = Requests { writes: numbers(asked), named: numbers(named) };
            self.tell_messages((key, violation.at), &requests, &copies, &mut lines);
            for &dot in violation.subject.iter().flat_map(|subject| &subject.dots) {
                self.tell_copies(dot, &copies, &mut lines);
            }
            self.tell_notes(key, (from, violation.at), &copies, &mut lines);
        }
        self.tell_faults(from, violation.at, &mut lines);
        let until = violation.at + AFTERWARDS;
        lines.retain(|line| line.at_us <= until.0);
        lines.sort_by_key(|line| (line.at_us, line.sort));
        let end = lines.partition_point(|line| line.at_us <= violation.at.0);
        mark_the_lie(&mut lines[..end]);
        for BrokenPromise { check, at, story, .. } in &self.violations {
            let first = story.lines().next().unwrap_or_default();
            let text = format!("{check} is violated: {first}");
            lines.push(Line::new(*at, Sort::Violated, text));
        }
        lines.sort_by_key(|line| line.at_us);
        shortened(lines)
    }

    /// The time at which the story of a violation begins: that of the first request that it is about; or
    /// some time before, if there is none.
    pub(super) fn story_begins(&self, violation: &BrokenPromise) -> WorldTime {
        let before = WorldTime(violation.at.0.saturating_sub(BEFORE.0));
        self.plot(violation).begins().unwrap_or(before)
    }

    fn plot(&self, violation: &BrokenPromise) -> Plot<'_> {
        let dots = violation.subject.iter().flat_map(|subject| &subject.dots).collect::<Vec<_>>();
        let writes: Vec<_> =
            self.record.writes.iter().filter(|write| dots.contains(&&write.dot)).collect();
        let requests: BTreeSet<_> =
            writes.iter().filter_map(|write| requester_of(write.request)).collect();
        let operations = || self.record.operations.iter();
        let number = |operation: &RecordedOperation| (operation.client, operation.number);
        let asked: Vec<_> =
            operations().filter(|operation| requests.contains(&number(operation))).collect();
        let is_named = |operation: &&RecordedOperation| {
            let key = || violation.keys().any(|key| *key == operation.key);
            violation.operations.contains(&number(operation))
                || (operation.ended == violation.at && key())
        };
        let named: Vec<_> = operations()
            .filter(|operation| is_named(operation) && !asked.contains(operation))
            .collect();
        let is_other = |operation: &&RecordedOperation| {
            violation.keys().any(|key| *key == operation.key)
                && operation.ended <= violation.at
                && !asked.contains(operation)
                && !named.contains(operation)
        };
        let mut others: Vec<_> = operations().rev().filter(is_other).take(OTHERS_MAX).collect();
        others.reverse();
        Plot { asked, named, others, writes }
    }

    fn minted(&self, write: &RecordedWrite) -> Line {
        let (node, dot) = (self.node(write.node), self.names.dot(write.dot));
        let mut text = format!("{node} stores {}, and mints {dot} for it", self.write(write.dot));
        if !write.replaced.is_empty() {
            text += &format!(": it overwrites {}", self.writes(&write.replaced));
        }
        let before = |other: &&RecordedWrite| other.dot == write.dot && other.at < write.at;
        let first = self.record.writes.iter().find(before);
        let doubt = first.map(|first| line::Doubt {
            weight: line::DoubtWeight::Statement,
            truth: format!(
                "that dot is the one of {} since {}: whoever knows it takes this for the same",
                self.write(first.dot),
                first.at
            ),
        });
        Line::new(write.at, Sort::Minted, text).doubted(doubt)
    }

    /// Tells what nodes noticed: of the key and its partition; and as asides, what they thought of each
    /// other.
    fn tell_notes(
        &self,
        key: &Key,
        (from, until): (WorldTime, WorldTime),
        copies: &CopyHistory<'_>,
        lines: &mut Vec<Line>,
    ) {
        let place = self.record.focus.position(key);
        let partition = place.and_then(|place| self.partitions.get(place));
        let notes = self.record.notes.iter().filter(|note| note.sort != NoteSort::Detail);
        for Note { at, node, text, key: about, partition: of, sort } in notes {
            let Some(node) = node.filter(|_| from <= *at && *at <= until) else { continue };
            let concerns =
                about.as_ref() == Some(key) || (of.is_some() && of.as_ref() == partition);
            let is_general = about.is_none() && of.is_none();
            if !concerns && !is_general {
                continue;
            }
            let doubt = match sort {
                NoteSort::Completed => self.untrue_completion(node, *at, copies),
                NoteSort::Detail | NoteSort::Other => None,
            };
            let line = Line::new(*at, Sort::Noticed, format!("{} {text}", self.node(node)));
            let line = line.doubted(doubt);
            lines.push(if concerns { line } else { line.aside() });
        }
    }

    fn tell_faults(&self, from: WorldTime, until: WorldTime, lines: &mut Vec<Line>) {
        let within = |at: WorldTime| from <= at && at <= until;
        let mut tell = |at, text| lines.push(Line::new(at, Sort::Fault, text));
        for fault in self.record.faults.iter() {
            let RecordedFault { kind, what, .. } = fault;
            let lasts = fault.from < from && fault.until.is_none_or(|end| end > from);
            if lasts {
                let since = fault.from;
                tell(from, format!("{kind} is at work since {since}: {what}"));
            }
            if within(fault.from) {
                tell(fault.from, format!("{kind} begins: {what}"));
            }
            if let Some(end) = fault.until.filter(|&end| within(end)) {
                tell(end, format!("{kind} ends: {what}"));
            }
        }
        for RecordedOutage { node, how, from, until } in self.record.outages.iter() {
            let node: &str = self.node(NodeIndex(node.0));
            if within(*from) {
                tell(*from, format!("{node} is {how}"));
            }
            if let Some(end) = until.filter(|&end| within(end)) {
                tell(end, format!("{node} is back: it was {how}"));
            }
        }
    }
}

/// Tells whether a write was minted for one of these operations.
fn is_of_any(write: &RecordedWrite, operations: &[&RecordedOperation]) -> bool {
    let asked = requester_of(write.request);
    operations.iter().any(|operation| Some((operation.client, operation.number)) == asked)
}
