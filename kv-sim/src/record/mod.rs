//! What happened in a run, kept so that a person can look at it.
//!
//! A [`Recorder`] is put into a world and told what happens there, in the order of time; afterwards it
//! gives a [`Record`]. It changes nothing in the world, and without one a run does no work for it. Its
//! memory is bounded: each sort of fact has a [`Reservoir`] with so much room, and what the
//! [`Focus`] names is kept before all else. What fails is known only when it has failed; but a run can
//! be had again, so it is first run without a recorder, to learn what to look at.

pub mod fact;
pub mod focus;
pub mod reservoir;
pub mod traffic;

use std::collections::{BTreeMap, VecDeque};

use kv_core::time::Now;
use kv_core::types::{Key, RequestId};

use crate::client::requester_of;
use crate::clock::EPOCH;
use crate::hashing::Table;
use crate::network::RuleName;
use crate::scenario::NodeIndex;
use crate::world_time::WorldTime;

use fact::{
    ClientVerb, ClockPoint, Copy, CopyChange, Ending, Fault, Message, Note, Operation, Outage,
    Write,
};
use focus::Focus;
use reservoir::{Kept, Reservoir, Room, Weight};
use traffic::Traffic;

const MESSAGES: Room = Room { about: 6_000, near: 4_000, rest: 6_000 };
const OPERATIONS: Room = Room { about: 2_500, near: 1_500, rest: 3_000 };
const NOTES: Room = Room { about: 800, near: 600, rest: 800 };
const COPIES: Room = Room { about: 5_000, near: 500, rest: 1_500 };
const WRITES: Room = Room { about: 2_500, near: 300, rest: 700 };
const FAULTS: Room = Room { about: 0, near: 0, rest: 1_000 };
const OUTAGES: Room = Room { about: 0, near: 0, rest: 2_000 };

/// Of so many requests the keys are remembered, for messages that do not name theirs.
const REQUESTS_MAX: usize = 65_536;
/// So many changes of a node's clocks are kept.
const CLOCK_POINTS_MAX: usize = 128;

/// See the module.
#[derive(Clone, Debug)]
pub struct Recorder {
    focus: Focus,
    messages: Reservoir<Message>,
    operations: Reservoir<Operation>,
    notes: Reservoir<Note>,
    copies: Reservoir<CopyChange>,
    writes: Reservoir<Write>,
    faults: Reservoir<Fault>,
    outages: Reservoir<Outage>,
    traffic: Traffic,
    phases: Vec<(WorldTime, &'static str)>,
    clocks: Vec<Vec<ClockPoint>>,
    /// What the monotonic clocks showed first.
    started: Vec<u64>,
    /// What each client waits for.
    open: BTreeMap<u32, Operation>,
    open_faults: BTreeMap<RuleName, Fault>,
    open_outages: BTreeMap<(NodeIndex, &'static str), WorldTime>,
    /// What nodes hold of the keys that are followed, as far as it was seen.
    held: BTreeMap<(NodeIndex, usize), Copy>,
    keys: Table<RequestId, Key>,
    requests: VecDeque<RequestId>,
}

/// What is kept of a run.
#[derive(Clone, Debug)]
pub struct Record {
    /// What was looked at closely.
    pub focus: Focus,
    /// Messages, in the order in which they ended.
    pub messages: Part<Message>,
    /// Operations of clients, likewise.
    pub operations: Part<Operation>,
    /// What nodes and checks said.
    pub notes: Part<Note>,
    /// What nodes held of the keys that were followed.
    pub copies: Part<CopyChange>,
    /// Writes of these keys, in the order in which they were named.
    pub writes: Part<Write>,
    /// What was broken on purpose, in the order in which it ended.
    pub faults: Part<Fault>,
    /// When nodes did not work, likewise.
    pub outages: Part<Outage>,
    /// How much went on.
    pub traffic: Traffic,
    /// When each phase began.
    pub phases: Vec<(WorldTime, &'static str)>,
    /// How wrong the clocks of each node were.
    pub clocks: Vec<Vec<ClockPoint>>,
}

/// What is kept of one sort of facts.
#[derive(Clone, Debug)]
pub struct Part<T> {
    /// In the order of time.
    pub kept: Vec<Kept<T>>,
    /// How many there were.
    pub of: u64,
}

impl Recorder {
    /// One to which nothing has been told yet.
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
            focus,
        }
    }

    /// What is looked at closely.
    pub const fn focus(&self) -> &Focus {
        &self.focus
    }

    /// A message has come to its end. `keys` are those that it names itself.
    pub fn on_message<'a>(
        &mut self,
        mut message: Message,
        keys: impl IntoIterator<Item = &'a Key>,
    ) {
        let counts = self.traffic.at(message.ended);
        match message.lost {
            None => counts.received += 1,
            Some(_) => counts.lost += 1,
        }
        let mut keys = keys.into_iter();
        if let Some(first) = keys.next() {
            let is_followed = |key: &&Key| self.focus.keys.contains(key);
            let followed = std::iter::once(first).chain(keys).find(is_followed);
            message.key = Some(followed.unwrap_or(first).clone());
        } else {
            message.key = self.keys.get(&message.request).cloned();
        }
        let weight = self.focus.weight(message.sent, message.ended, message.key.as_ref());
        self.messages.put(message.ended, weight, message);
    }

    /// A client asks something.
    pub fn on_begun(&mut self, operation: Operation, request: Option<RequestId>) {
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

    /// What a client asked has ended.
    pub fn on_ended(&mut self, at: WorldTime, client: u32, ending: Ending) {
        let Some(operation) = self.open.remove(&client) else { return };
        let counts = self.traffic.at(at);
        match &ending {
            Ending::Answered { .. } => counts.answered += 1,
            Ending::Refused(_) | Ending::Unreachable | Ending::Unknown => counts.failed += 1,
            Ending::Never => {}
        }
        let weight = self.focus.weight(operation.begun, at, Some(&operation.key));
        self.operations.put(at, weight, Operation { ended: at, ending, ..operation });
    }

    /// A node or a check said something.
    pub fn on_note(&mut self, note: Note) {
        let weight = self.focus.weight(note.at, note.at, note.key.as_ref());
        self.notes.put(note.at, weight, note);
    }

    /// A write of a followed key was named.
    pub fn on_write(&mut self, write: Write) {
        let weight = self.weight_of(write.at, write.key);
        self.writes.put(write.at, weight, write);
    }

    /// A node holds this of a followed key now.
    pub fn on_copy(&mut self, change: CopyChange) {
        let CopyChange { at, node, key, ref copy } = change;
        let before = self.held.entry((node, key)).or_default();
        if before != copy {
            before.clone_from(copy);
            let weight = self.weight_of(at, key);
            self.copies.put(at, weight, change);
        }
    }

    /// What a node was last seen to hold of a followed key.
    pub fn held(&self, node: NodeIndex, key: usize) -> Option<&Copy> {
        self.held.get(&(node, key))
    }

    /// A fault begins.
    pub fn on_fault(&mut self, name: RuleName, fault: Fault) {
        self.open_faults.insert(name, fault);
    }

    /// It ends.
    pub fn on_fault_ended(&mut self, at: WorldTime, name: RuleName) {
        if let Some(fault) = self.open_faults.remove(&name) {
            self.faults.put(at, Weight::Rest, Fault { until: Some(at), ..fault });
        }
    }

    /// A node does not work from now on, for this reason, unless it did not already.
    pub fn on_outage(&mut self, at: WorldTime, node: NodeIndex, how: &'static str) {
        self.open_outages.entry((node, how)).or_insert(at);
    }

    /// This reason, or all reasons, are gone.
    pub fn on_outage_ended(&mut self, at: WorldTime, node: NodeIndex, how: Option<&'static str>) {
        let is_it = |&(other, word): &(NodeIndex, &'static str)| {
            other == node && how.is_none_or(|how| how == word)
        };
        let ended: Vec<_> = self.open_outages.keys().copied().filter(is_it).collect();
        for key @ (node, how) in ended {
            if let Some(from) = self.open_outages.remove(&key) {
                self.outages.put(at, Weight::Rest, Outage { node, how, from, until: Some(at) });
            }
        }
    }

    /// A phase begins.
    pub fn on_phase(&mut self, at: WorldTime, name: &'static str) {
        self.phases.push((at, name));
    }

    /// The clocks of a node show this.
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

    /// The run is over: what is kept of it.
    pub fn finish(mut self, at: WorldTime) -> Record {
        for client in self.open.keys().copied().collect::<Vec<_>>() {
            self.on_ended(at, client, Ending::Never);
        }
        for fault in std::mem::take(&mut self.open_faults).into_values() {
            self.faults.put(at, Weight::Rest, fault);
        }
        for ((node, how), from) in std::mem::take(&mut self.open_outages) {
            self.outages.put(at, Weight::Rest, Outage { node, how, from, until: None });
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
    /// Leaves out every second of what matters least. Returns whether there was anything of which there
    /// was enough to leave out.
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
    /// Fewer than this are not worth it.
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

    /// What is kept.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.kept.iter().map(|kept| &kept.fact)
    }
}

impl Message {
    /// The client and its operation that it works for; nothing, for background work.
    pub fn requester(&self) -> Option<(u32, u32)> {
        requester_of(self.request)
    }
}

impl Operation {
    /// An operation that begins.
    pub fn begun(
        at: WorldTime,
        (client, number): (u32, u32),
        node: NodeIndex,
        key: Key,
        asked: ClientVerb,
    ) -> Self {
        Self { client, number, node, key, asked, begun: at, ended: at, ending: Ending::Never }
    }
}

fn ahead(shown: u64, truth: u64) -> i64 {
    let ahead = i128::from(shown) - i128::from(truth);
    i64::try_from(ahead).unwrap_or(if ahead < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests;
