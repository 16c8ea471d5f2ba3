//! The record of a run, kept so that a person can look at it.
//!
//! A [`Recorder`] is put into a world and told of what happens there, in the order of time;
//! afterwards it gives a [`Record`]. It changes nothing in the world, and without one a run does no
//! work for it. Its memory is bounded: each sort of fact has a [`Reservoir`] with so much room, and
//! facts that the [`Focus`] names are kept before all else. A failure is known only when it has
//! happened; but a run can be had again, so it is first run without a recorder, to learn the focus.

pub mod fact;
pub mod focus;
pub mod questions;
pub mod reservoir;
pub mod traffic;

use std::collections::{BTreeMap, VecDeque};

use kv_core::time::Now;
use kv_core::types::{Key, RequestId};

use crate::cluster::client_ids::requester_of;
use crate::cluster::clock::EPOCH;
use crate::cluster::world_time::WorldTime;
use crate::faults::RuleName;
use crate::hashing::Table;
use crate::scenario::NodeIndex;

use fact::{
    ClientVerb, ClockPoint, Copy, CopyChange, Note, RecordedEnding, RecordedFault, RecordedMessage,
    RecordedOperation, RecordedOutage, RecordedWrite, WriteContext,
};
use focus::Focus;
use questions::{AskedQuestion, MessageRole, Questions};
use reservoir::{Kept, Reservoir, Room, Weight};
use traffic::Traffic;

const MESSAGES: Room = Room { about: 6_000, near: 4_000, rest: 6_000 };
const OPERATIONS: Room = Room { about: 2_500, near: 1_500, rest: 3_000 };
const NOTES: Room = Room { about: 800, near: 600, rest: 800 };
const COPIES: Room = Room { about: 5_000, near: 500, rest: 1_500 };
const WRITES: Room = Room { about: 2_500, near: 300, rest: 700 };
const FAULTS: Room = Room { about: 0, near: 0, rest: 1_000 };
const OUTAGES: Room = Room { about: 0, near: 0, rest: 2_000 };

/// The number of requests whose keys are remembered, for messages that do not name theirs.
const REQUESTS_MAX: usize = 65_536;
/// The number of changes of a node's clocks that are kept.
const CLOCK_POINTS_MAX: usize = 128;

/// The recorder of a run.
#[derive(Clone, Debug)]
pub struct Recorder {
    focus: Focus,
    messages: Reservoir<RecordedMessage>,
    operations: Reservoir<RecordedOperation>,
    notes: Reservoir<Note>,
    copies: Reservoir<CopyChange>,
    writes: Reservoir<RecordedWrite>,
    faults: Reservoir<RecordedFault>,
    outages: Reservoir<RecordedOutage>,
    traffic: Traffic,
    phases: Vec<(WorldTime, &'static str)>,
    clocks: Vec<Vec<ClockPoint>>,
    /// The microseconds that the monotonic clocks showed when the world began, by node.
    started: Vec<u64>,
    /// The operation that each client waits for.
    open: BTreeMap<u32, RecordedOperation>,
    open_faults: BTreeMap<RuleName, RecordedFault>,
    open_outages: BTreeMap<(NodeIndex, &'static str), WorldTime>,
    /// The copies of followed keys, by node and key, as they were last seen.
    held: BTreeMap<(NodeIndex, usize), Copy>,
    keys: Table<RequestId, Key>,
    requests: VecDeque<RequestId>,
    questions: Questions,
}

/// The kept facts of a run.
#[derive(Clone, Debug)]
pub struct Record {
    /// The keys, writes and moments that were looked at closely.
    pub focus: Focus,
    /// The messages, in the order in which they ended.
    pub messages: Part<RecordedMessage>,
    /// The operations of clients, in the order in which they ended.
    pub operations: Part<RecordedOperation>,
    /// The notes of nodes and checks.
    pub notes: Part<Note>,
    /// The changes of nodes' copies of followed keys.
    pub copies: Part<CopyChange>,
    /// The writes of followed keys, in the order in which they were minted.
    pub writes: Part<RecordedWrite>,
    /// The faults, in the order in which they ended.
    pub faults: Part<RecordedFault>,
    /// The times in which nodes did not work, in the order in which they ended.
    pub outages: Part<RecordedOutage>,
    /// The counts of messages and operations over time.
    pub traffic: Traffic,
    /// The time at which each phase began, with its name.
    pub phases: Vec<(WorldTime, &'static str)>,
    /// The errors of the clocks, by node.
    pub clocks: Vec<Vec<ClockPoint>>,
}

/// The kept facts of one sort.
#[derive(Clone, Debug)]
pub struct Part<T> {
    /// The facts that are kept, in the order of time.
    pub kept: Vec<Kept<T>>,
    /// The number of facts that there were.
    pub of: u64,
}

impl Recorder {
    /// Creates a recorder for so many nodes, to which nothing has been told yet.
    pub fn new(focus: Focus, nodes: usize) -> Self {
        let pivot = focus.pivot();
        Self {
            messages: Reservoir::new(MESSAGES, pivot),
            operations: Reservoir::new(OPERATIONS, pivot),
            notes: Reservoir::new(NOTES, pivot),
            copies: Reservoir::new(COPIES, pivot),
            writes: Reservoir::new(WRITES, pivot),
            faults: Reservoir::new(FAULTS, pivot),
            outages: Reservoir::new(OUTAGES, pivot),
            traffic: Traffic::default(),
            phases: Vec::new(),
            clocks: vec![Vec::new(); nodes],
            started: vec![0; nodes],
            open: BTreeMap::new(),
            open_faults: BTreeMap::new(),
            open_outages: BTreeMap::new(),
            held: BTreeMap::new(),
            keys: Table::default(),
            requests: VecDeque::new(),
            questions: Questions::default(),
            focus,
        }
    }

    /// The keys, writes and moments that are looked at closely.
    pub const fn focus(&self) -> &Focus {
        &self.focus
    }

    /// Takes a message that has come to its end. `keys` are those that it names itself.
    pub fn on_message<'a>(
        &mut self,
        mut message: RecordedMessage,
        keys: impl IntoIterator<Item = &'a Key>,
    ) {
        let counts = self.traffic.at(message.ended);
        match message.lost {
            None => counts.received += 1,
            Some(_) => counts.lost += 1,
        }
        let ends = (message.from, message.to);
        if let Some(MessageRole::Answers(number)) = message.content.role {
            message.content.answered = self.questions.answered(ends, number).cloned();
        }
        let asked = message.content.answered.as_ref().and_then(|question| question.key.as_ref());
        let own = self.focus.foremost_of(keys);
        let key = self.focus.foremost_of(own.into_iter().chain(asked));
        if own.is_some() && own != key {
            // What it carries is of another key than the one that matters.
            message.content.siblings = None;
            message.content.knows = 0;
        }
        message.key = key.or_else(|| self.keys.get(&message.request)).cloned();
        if let Some(MessageRole::Asks(number)) = message.content.role {
            let content = &message.content;
            let question = AskedQuestion {
                kind: message.kind,
                key: message.key.clone(),
                siblings: content.siblings.clone(),
                knows: content.knows,
            };
            self.questions.ask(ends, number, question);
        }
        let weight = self.focus.weight(message.sent, message.ended, message.key.as_ref());
        self.messages.put(message.ended, weight, message);
    }

    /// Takes an operation that a client begins, with its request id if it has one.
    pub fn on_begun(&mut self, operation: RecordedOperation, request: Option<RequestId>) {
        if let Some(request) = request {
            self.keys.insert(request, operation.key.clone());
            self.requests.push_back(request);
            if self.requests.len() > REQUESTS_MAX
                && let Some(oldest) = self.requests.pop_front()
            {
                self.keys.remove(&oldest);
            }
        }
        self.open.insert(operation.client, operation);
    }

    /// Takes the ending of an operation.
    pub fn on_ended(&mut self, at: WorldTime, client: u32, ending: RecordedEnding) {
        let Some(operation) = self.open.remove(&client) else { return };
        let counts = self.traffic.at(at);
        match &ending {
            RecordedEnding::Answered { .. } => counts.answered += 1,
            RecordedEnding::Refused(_)
            | RecordedEnding::Unreachable
            | RecordedEnding::Unknown { .. } => counts.failed += 1,
            RecordedEnding::Never => {}
        }
        let weight = self.focus.weight(operation.begun, at, Some(&operation.key));
        self.operations.put(at, weight, RecordedOperation { ended: at, ending, ..operation });
    }

    /// Takes a note of a node or a check.
    pub fn on_note(&mut self, note: Note) {
        let weight = self.focus.weight(note.at, note.at, note.key.as_ref());
        self.notes.put(note.at, weight, note);
    }

    /// Takes a write of a followed key that was minted.
    pub fn on_write(&mut self, write: RecordedWrite) {
        let weight = self.weight_of(write.at, write.key);
        self.writes.put(write.at, weight, write);
    }

    /// Takes a node's copy of a followed key, if it has changed.
    pub fn on_copy(&mut self, change: CopyChange) {
        let CopyChange { at, node, key, ref copy } = change;
        let before = self.held.entry((node, key)).or_default();
        if before != copy {
            before.clone_from(copy);
            let weight = self.weight_of(at, key);
            self.copies.put(at, weight, change);
        }
    }

    /// A node's copy of a followed key as it was last seen.
    pub fn held(&self, node: NodeIndex, key: usize) -> Option<&Copy> {
        self.held.get(&(node, key))
    }

    /// Takes a fault that begins.
    pub fn on_fault(&mut self, name: RuleName, fault: RecordedFault) {
        self.open_faults.insert(name, fault);
    }

    /// Takes the end of a fault.
    pub fn on_fault_ended(&mut self, at: WorldTime, name: RuleName) {
        if let Some(fault) = self.open_faults.remove(&name) {
            self.faults.put(at, Weight::Rest, RecordedFault { until: Some(at), ..fault });
        }
    }

    /// Takes the beginning of an outage for a reason, unless there is one for that reason already.
    pub fn on_outage(&mut self, at: WorldTime, node: NodeIndex, how: &'static str) {
        self.open_outages.entry((node, how)).or_insert(at);
    }

    /// Takes the end of an outage for one reason, or for all reasons.
    pub fn on_outage_ended(&mut self, at: WorldTime, node: NodeIndex, how: Option<&'static str>) {
        let is_it = |&(other, word): &(NodeIndex, &'static str)| {
            other == node && how.is_none_or(|how| how == word)
        };
        let ended: Vec<_> = self.open_outages.keys().copied().filter(is_it).collect();
        for key @ (node, how) in ended {
            if let Some(from) = self.open_outages.remove(&key) {
                self.outages.put(
                    at,
                    Weight::Rest,
                    RecordedOutage { node, how, from, until: Some(at) },
                );
            }
        }
    }

    /// Takes the beginning of a phase.
    pub fn on_phase(&mut self, at: WorldTime, name: &'static str) {
        self.phases.push((at, name));
    }

    /// Takes the times that the clocks of a node show.
    pub fn on_clocks(&mut self, at: WorldTime, node: NodeIndex, now: Now) {
        let points = &mut self.clocks[node.0];
        if points.is_empty() {
            self.started[node.0] = now.monotonic.0.saturating_sub(at.0);
        }
        let point = ClockPoint {
            at,
            wall_us: ahead(now.wall.0, EPOCH.0 + at.0),
            monotonic_us: ahead(now.monotonic.0, self.started[node.0] + at.0),
        };
        // The last place is for the end.
        if points.len() == CLOCK_POINTS_MAX {
            points.pop();
        }
        points.push(point);
    }

    /// Ends the recording and returns what is kept of the run.
    pub fn finish(mut self, at: WorldTime) -> Record {
        for client in self.open.keys().copied().collect::<Vec<_>>() {
            self.on_ended(at, client, RecordedEnding::Never);
        }
        for fault in std::mem::take(&mut self.open_faults).into_values() {
            self.faults.put(at, Weight::Rest, fault);
        }
        for ((node, how), from) in std::mem::take(&mut self.open_outages) {
            self.outages.put(at, Weight::Rest, RecordedOutage { node, how, from, until: None });
        }
        Record {
            focus: self.focus,
            messages: Part::of(self.messages),
            operations: Part::of(self.operations),
            notes: Part::of(self.notes),
            copies: Part::of(self.copies),
            writes: Part::of(self.writes),
            faults: Part::of(self.faults),
            outages: Part::of(self.outages),
            traffic: self.traffic,
            phases: self.phases,
            clocks: self.clocks,
        }
    }

    fn weight_of(&self, at: WorldTime, key: usize) -> Weight {
        self.focus.weight(at, at, self.focus.keys.get(key))
    }
}

impl Record {
    /// The time since which the cluster idled and was watched; none, if it never did.
    pub fn idle_since(&self) -> Option<WorldTime> {
        self.phases.iter().find(|(_, name)| *name == "check").map(|&(at, _)| at)
    }

    /// The time at which clients and faults began; the beginning, if they never did.
    pub fn chaos_since(&self) -> WorldTime {
        let chaos = self.phases.iter().find(|(_, name)| *name == "chaos");
        chaos.map_or(WorldTime(0), |&(at, _)| at)
    }

    /// Leaves out every second of the facts that matter least. Returns whether there were enough of
    /// any.
    pub fn thin(&mut self) -> bool {
        let Self { messages, operations, notes, copies, writes, .. } = self;
        [Weight::Rest, Weight::Near, Weight::About].into_iter().any(|weight| {
            let parts = [
                messages.thin(weight),
                operations.thin(weight),
                notes.thin(weight),
                copies.thin(weight),
                writes.thin(weight),
            ];
            parts.contains(&true)
        })
    }
}

impl<T> Part<T> {
    /// The number of facts below which leaving some out is not worth it.
    const THINNED_MIN: usize = 64;

    fn thin(&mut self, weight: Weight) -> bool {
        let is_it = |kept: &Kept<T>| kept.weight == weight;
        if self.kept.iter().filter(|kept| is_it(kept)).count() < Self::THINNED_MIN {
            return false;
        }
        let mut place = 0_u64;
        self.kept.retain(|kept| {
            place += u64::from(is_it(kept));
            !is_it(kept) || !place.is_multiple_of(2)
        });
        true
    }

    fn of(reservoir: Reservoir<T>) -> Self {
        Self { of: reservoir.offered(), kept: reservoir.into_kept() }
    }

    /// The facts that are kept, in the order of time.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.kept.iter().map(|kept| &kept.fact)
    }
}

impl RecordedMessage {
    /// The client and the number of its operation that the message works for; none, for background
    /// work.
    pub fn requester(&self) -> Option<(u32, u32)> {
        requester_of(self.request)
    }
}

impl RecordedOperation {
    /// Creates the operation at its beginning.
    pub fn begun(
        at: WorldTime,
        (client, number): (u32, u32),
        node: NodeIndex,
        key: Key,
        (asked, context): (ClientVerb, Option<WriteContext>),
    ) -> Self {
        Self {
            client,
            number,
            node,
            key,
            asked,
            context,
            begun: at,
            ended: at,
            ending: RecordedEnding::Never,
        }
    }
}

fn ahead(shown: u64, truth: u64) -> i64 {
    let ahead = i128::from(shown) - i128::from(truth);
    i64::try_from(ahead).unwrap_or(if ahead < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests;
