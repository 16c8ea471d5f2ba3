//! A report as data, which `--json` prints and the page shows.
//!
//! Times are microseconds since the world began. Nodes, keys, kinds and writes are named once, in
//! lists; everything else names them by their place there. Long lists are tables: the names of the
//! columns, and rows.

use std::collections::BTreeMap;

use kv_core::types::Key;
use kv_core::version::Dot;
use serde::Serialize;

use super::glossary::GLOSSARY;
use super::narrative::Line;
use super::{BrokenPromise, FORMAT, Report};
use crate::checks::CheckResult;
use crate::scenario::NodeIndex;
use crate::story::record::fact::{ClientVerb, RecordedEnding};
use crate::story::record::traffic::Traffic;
use crate::story::record::{Part, Record};
use crate::story::result::Verdict;

/// The most nodes whose clocks are shown: those that are wrong first.
const CLOCKS_MAX: usize = 64;
/// The length in bytes at which stories and scenarios are cut off.
const STORY_BYTES_MAX: usize = 16_384;
const SCENARIO_BYTES_MAX: usize = 65_536;
/// The length in bytes at which keys are cut off.
const KEY_BYTES_MAX: usize = 64;
/// The length of the part that is looked at first of a run in which everything held.
const OPENING_US: u64 = 500_000;
/// The times before and after the line where truth and claim part that are looked at first: longer ones
/// would make the milliseconds in which it happened too small to see.
const BEFORE_LIE_US: u64 = 20_000;
const AFTER_LIE_US: u64 = 30_000;
/// The time within which a violation is looked at together with that line.
const NEAR_US: u64 = 100_000;

#[derive(Serialize)]
pub(super) struct Model<'a> {
    format: u32,
    title: &'a str,
    scenario: &'a str,
    path: &'a str,
    seed: u64,
    digest: String,
    is_deterministic: bool,
    verdict: Verdict,
    again: &'a str,
    totals: Totals,
    ended_us: u64,
    time_base: String,
    /// The part of the run that is looked at first.
    opens: Opening,
    cluster: Vec<String>,
    words: &'static [(&'static str, &'static str)],
    violations: Vec<ViolationModel<'a>>,
    story: Vec<Line>,
    checks: &'a BTreeMap<String, CheckResult>,
    nodes: Vec<&'a str>,
    keys: Vec<KeyModel>,
    kinds: Vec<&'static str>,
    phases: Vec<PhaseModel>,
    moments: Vec<MomentModel>,
    faults: Vec<FaultModel<'a>>,
    outages: Vec<OutageModel>,
    clocks: Vec<ClockModel>,
    traffic: &'a Traffic,
    writes: ReportTable<WriteRow>,
    /// The writes that the bits of `knows` and `keeps` are about, the lowest bit first.
    bits: Vec<usize>,
    copies: ReportTable<CopyRow>,
    operations: ReportTable<OperationRow>,
    messages: ReportTable<MessageRow>,
    notes: ReportTable<NoteRow<'a>>,
    scenario_text: &'a str,
}

/// The part of the run that is looked at first: around the line where truth and claim part; or if there
/// is none, from the request to the violation.
#[derive(Serialize)]
struct Opening {
    from_us: u64,
    until_us: u64,
    /// The moment whose copies are shown: that of the line where truth and claim part, or of the
    /// violation.
    at_us: u64,
}

#[derive(Serialize)]
struct Totals {
    events: u64,
    messages: u64,
    operations: u64,
    acknowledged: u64,
    unknown: u64,
    refused: u64,
    siblings: u64,
}

#[derive(Serialize)]
struct ViolationModel<'a> {
    check: &'a str,
    promise: &'a str,
    at_us: u64,
    key: Option<usize>,
    writes: Vec<usize>,
    story: &'a str,
    details: &'a [String],
}

#[derive(Serialize)]
struct KeyModel {
    name: String,
    /// True if copies of the key were followed.
    is_followed: bool,
    /// The owners of a key that is followed.
    owners: Vec<usize>,
}

#[derive(Serialize)]
struct PhaseModel {
    name: &'static str,
    from_us: u64,
}

#[derive(Serialize)]
struct MomentModel {
    at_us: u64,
    what: String,
}

#[derive(Serialize)]
struct FaultModel<'a> {
    kind: &'static str,
    what: &'a str,
    nodes: Vec<usize>,
    from_us: u64,
    until_us: Option<u64>,
}

#[derive(Serialize)]
struct OutageModel {
    node: usize,
    how: &'static str,
    from_us: u64,
    until_us: Option<u64>,
}

#[derive(Serialize)]
struct ClockModel {
    node: usize,
    /// The time of each point, and how far the wall clock and the monotonic clock are ahead then.
    points: Vec<(u64, i64, i64)>,
}

#[derive(Serialize)]
struct ReportTable<R> {
    /// The number of rows that there were, of which `rows` are kept.
    of: u64,
    columns: &'static [&'static str],
    rows: Vec<R>,
}

type WriteRow =
    (String, Option<usize>, Option<u64>, Option<usize>, Option<(u32, u32)>, String, String);
type CopyRow = (u64, usize, usize, Vec<usize>, Vec<usize>, u8, u8);
type OperationRow = (
    u32,
    u32,
    usize,
    usize,
    &'static str,
    String,
    u64,
    u64,
    &'static str,
    Vec<usize>,
    String,
    String,
);
type MessageRow = (
    u64,
    u64,
    usize,
    usize,
    usize,
    Option<usize>,
    Option<(u32, u32)>,
    Option<&'static str>,
    String,
);
type NoteRow<'a> = (u64, Option<usize>, Option<usize>, &'a str);

/// The names that are given once, and their places.
struct Places<T> {
    names: Vec<T>,
    places: BTreeMap<T, usize>,
}

impl<T: Clone + Ord> Places<T> {
    fn new(first: impl IntoIterator<Item = T>) -> Self {
        let mut places = Self { names: Vec::new(), places: BTreeMap::new() };
        for name in first {
            places.of(&name);
        }
        places
    }

    fn of(&mut self, name: &T) -> usize {
        if let Some(&place) = self.places.get(name) {
            return place;
        }
        self.names.push(name.clone());
        self.places.insert(name.clone(), self.names.len() - 1);
        self.names.len() - 1
    }
}

impl Report<'_> {
    /// The whole report as data.
    pub(super) fn model(&self) -> Model<'_> {
        let Self { plan, result, record, violations, .. } = self;
        let scenario = plan.scenario;
        let mut keys = Places::new(record.focus.keys.iter().cloned());
        let mut kinds = Places::new([]);
        let mut dots = Places::new(record.writes.iter().map(|write| write.dot));

        let copies = self.copies(&mut dots);
        let operations = self.operations(&mut keys, &mut dots);
        let messages = self.messages(&mut keys, &mut kinds);
        let notes = self.notes(&mut keys);
        let violations =
            violations.iter().map(|violation| told(violation, &mut keys, &mut dots)).collect();
        let outcomes = result.outcomes;
        let story = self.narrative();
        Model {
            format: FORMAT,
            title: &scenario.title,
            scenario: scenario.name(),
            path: scenario.path(),
            seed: plan.seed,
            digest: result.digest.to_string(),
            is_deterministic: self.is_deterministic(),
            verdict: self.verdict(),
            again: plan.again,
            totals: Totals {
                events: result.events,
                messages: result.messages,
                operations: result.operations,
                acknowledged: outcomes.acknowledged,
                unknown: outcomes.unknown,
                refused: outcomes.refused,
                siblings: outcomes.siblings,
            },
            ended_us: self.ended.0,
            time_base: self.time_base(),
            opens: self.opening(&story),
            cluster: self.cluster_lines(),
            words: GLOSSARY,
            violations,
            story,
            checks: &result.checks,
            nodes: scenario.cluster.nodes.iter().map(|place| &*place.name).collect(),
            bits: record.focus.dots.iter().map(|dot| dots.of(dot)).collect(),
            writes: self.writes_table(&dots),
            copies,
            operations,
            messages,
            notes,
            keys: self.keys(&keys.names),
            kinds: kinds.names,
            phases: record
                .phases
                .iter()
                .map(|&(at, name)| PhaseModel { name, from_us: at.0 })
                .collect(),
            moments: self.moments(),
            faults: self.faults(),
            outages: self.outages(),
            clocks: clocks(record),
            traffic: &record.traffic,
            scenario_text: cut(scenario.text(), SCENARIO_BYTES_MAX),
        }
    }

    /// The verdict on the run, which is nondeterministic if its two digests differ.
    pub(super) fn verdict(&self) -> Verdict {
        if self.is_deterministic() { self.result.verdict } else { Verdict::Nondeterministic }
    }

    /// The part of the run to be looked at first. If everything held, the beginning.
    fn opening(&self, story: &[Line]) -> Opening {
        let Some(violation) = self.violations.first() else {
            let from_us = self.record.chaos_since().0;
            let until_us = self.ended.0.min(from_us + OPENING_US);
            return Opening { from_us, until_us, at_us: from_us };
        };
        let violated = violation.at.0;
        let lie = story.iter().find(|line| line.lie.is_some()).map(|line| line.at_us);
        let Some(lie) = lie else {
            let from_us = self.story_begins(violation).0;
            return Opening { from_us, until_us: violated, at_us: violated };
        };
        let is_near = violated.saturating_sub(lie) <= NEAR_US;
        Opening {
            from_us: self.story_begins(violation).0.max(lie.saturating_sub(BEFORE_LIE_US)),
            until_us: if is_near { violated } else { lie + AFTER_LIE_US },
            at_us: lie,
        }
    }

    fn moments(&self) -> Vec<MomentModel> {
        let (moments, _) = self.moments_told();
        moments.into_iter().map(|(at, what)| MomentModel { at_us: at.0, what }).collect()
    }

    fn keys(&self, keys: &[Key]) -> Vec<KeyModel> {
        let key = |(at, key): (usize, &Key)| KeyModel {
            name: cut(&key.bytes().escape_ascii().to_string(), KEY_BYTES_MAX).to_owned(),
            is_followed: at < self.record.focus.keys.len(),
            owners: self.owners.get(at).map_or_else(Vec::new, |owners| places(owners)),
        };
        keys.iter().enumerate().map(key).collect()
    }

    fn writes_table(&self, dots: &Places<Dot>) -> ReportTable<WriteRow> {
        let named: BTreeMap<_, _> =
            self.record.writes.iter().map(|write| (write.dot, write)).collect();
        let row = |&dot: &Dot| {
            let (name, write) = (self.names.dot(dot), named.get(&dot));
            let value = write.map(|write| {
                write.value.as_ref().map_or_else(|| "a tombstone".to_owned(), Clone::clone)
            });
            (
                name,
                write.map(|write| write.key),
                write.map(|write| write.at.0),
                write.map(|write| write.node.0),
                write.and_then(|write| crate::cluster::client_ids::requester_of(write.request)),
                value.unwrap_or_default(),
                self.write(dot),
            )
        };
        ReportTable {
            of: self.record.writes.of,
            columns: &["name", "key", "at_us", "by_node", "client_and_operation", "value", "label"],
            rows: dots.names.iter().map(row).collect(),
        }
    }

    fn copies(&self, dots: &mut Places<Dot>) -> ReportTable<CopyRow> {
        table(
            &self.record.copies,
            &["at_us", "node", "key", "live_writes", "durable_writes", "knows", "keeps"],
            |change| {
                let copy = &change.copy;
                let mut list = |names: &[Dot]| names.iter().map(|dot| dots.of(dot)).collect();
                let (live, durable) = (list(&copy.live), list(&copy.durable));
                (change.at.0, change.node.0, change.key, live, durable, copy.knows, copy.keeps)
            },
        )
    }

    fn operations(
        &self,
        keys: &mut Places<Key>,
        dots: &mut Places<Dot>,
    ) -> ReportTable<OperationRow> {
        table(
            &self.record.operations,
            &[
                "client",
                "number",
                "node",
                "key",
                "asked",
                "value",
                "begun_us",
                "ended_us",
                "ending",
                "shown_writes",
                "told",
                "asks",
            ],
            |operation| {
                let (asked, value) = match &operation.asked {
                    ClientVerb::Get => ("get", ""),
                    ClientVerb::Put(value) => ("put", &**value),
                    ClientVerb::Delete => ("delete", ""),
                };
                let (ending, shown) = match &operation.ending {
                    RecordedEnding::Never => ("never", &[][..]),
                    RecordedEnding::Answered { shown, .. } => ("answered", &shown[..]),
                    RecordedEnding::Refused(_) => ("refused", &[][..]),
                    RecordedEnding::Unreachable => ("unreachable", &[][..]),
                    RecordedEnding::Unknown { .. } => ("unknown", &[][..]),
                };
                // Writes of keys that are not followed are not told apart.
                let is_followed = self.record.focus.keys.contains(&operation.key);
                let shown = if is_followed { shown } else { &[] };
                let told = if is_followed { self.ending(operation) } else { String::new() };
                let asks = if is_followed { self.asked(operation) } else { String::new() };
                (
                    operation.client,
                    operation.number,
                    operation.node.0,
                    keys.of(&operation.key),
                    asked,
                    value.to_owned(),
                    operation.begun.0,
                    operation.ended.0,
                    ending,
                    shown.iter().map(|dot| dots.of(dot)).collect(),
                    told,
                    asks,
                )
            },
        )
    }

    fn messages(
        &self,
        keys: &mut Places<Key>,
        kinds: &mut Places<&'static str>,
    ) -> ReportTable<MessageRow> {
        table(
            &self.record.messages,
            &[
                "sent_us",
                "ended_us",
                "from",
                "to",
                "kind",
                "key",
                "client_and_operation",
                "lost_because_it",
                "says",
            ],
            |message| {
                let key = message.key.as_ref();
                // Writes of keys that are not followed are not told apart.
                let is_followed = key.is_none_or(|key| self.record.focus.keys.contains(key));
                let says = if is_followed { self.content(message) } else { String::new() };
                (
                    message.sent.0,
                    message.ended.0,
                    message.from.0,
                    message.to.0,
                    kinds.of(&message.kind.name()),
                    message.key.as_ref().map(|key| keys.of(key)),
                    message.requester(),
                    message.lost,
                    says,
                )
            },
        )
    }

    fn notes(&self, keys: &mut Places<Key>) -> ReportTable<NoteRow<'_>> {
        table(&self.record.notes, &["at_us", "node", "key", "text"], |note| {
            let key = note.key.as_ref().map(|key| keys.of(key));
            (note.at.0, note.node.map(|node| node.0), key, &*note.text)
        })
    }

    fn faults(&self) -> Vec<FaultModel<'_>> {
        let mut faults: Vec<_> = self.record.faults.iter().collect();
        faults.sort_by_key(|fault| fault.from);
        let model = faults.into_iter().map(|fault| FaultModel {
            kind: fault.kind,
            what: &fault.what,
            nodes: places(&fault.nodes),
            from_us: fault.from.0,
            until_us: fault.until.map(|at| at.0),
        });
        model.collect()
    }

    fn outages(&self) -> Vec<OutageModel> {
        let mut outages: Vec<_> = self.record.outages.iter().collect();
        outages.sort_by_key(|outage| outage.from);
        let model = outages.into_iter().map(|outage| OutageModel {
            node: outage.node.0,
            how: outage.how,
            from_us: outage.from.0,
            until_us: outage.until.map(|at| at.0),
        });
        model.collect()
    }
}

fn told<'a>(
    violation: &'a BrokenPromise,
    keys: &mut Places<Key>,
    dots: &mut Places<Dot>,
) -> ViolationModel<'a> {
    let BrokenPromise { check, at, subject, story, details, .. } = violation;
    let subject = subject.as_ref();
    ViolationModel {
        check,
        promise: violation.promise(),
        at_us: at.0,
        key: violation.keys().next().map(|key| keys.of(key)),
        writes: subject
            .map_or_else(Vec::new, |subject| subject.dots.iter().map(|dot| dots.of(dot)).collect()),
        story: cut(story, STORY_BYTES_MAX),
        details,
    }
}

fn table<'a, T, R>(
    part: &'a Part<T>,
    columns: &'static [&'static str],
    row: impl FnMut(&'a T) -> R,
) -> ReportTable<R> {
    ReportTable { of: part.of, columns, rows: part.iter().map(row).collect() }
}

/// The clocks of the nodes that were furthest off, in the order of the nodes.
fn clocks(record: &Record) -> Vec<ClockModel> {
    let mut clocks: Vec<_> = record
        .clocks
        .iter()
        .enumerate()
        .map(|(node, points)| ClockModel {
            node,
            points: points
                .iter()
                .map(|point| (point.at.0, point.wall_us, point.monotonic_us))
                .collect(),
        })
        .collect();
    let worst = |clock: &ClockModel| {
        let off =
            clock.points.iter().map(|(_, wall, mono)| wall.unsigned_abs().max(mono.unsigned_abs()));
        std::cmp::Reverse(off.max().unwrap_or_default())
    };
    clocks.sort_by_key(worst);
    clocks.truncate(CLOCKS_MAX);
    clocks.sort_by_key(|clock| clock.node);
    clocks
}

fn places(nodes: &[NodeIndex]) -> Vec<usize> {
    nodes.iter().map(|node| node.0).collect()
}

/// The beginning of a text that fits into so many bytes.
fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}
