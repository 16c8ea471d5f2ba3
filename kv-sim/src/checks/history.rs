//! The causal history of one key, as it really was.
//!
//! Takes clients' requests with what each client had seen, and every dot that a replica minted;
//! tells, for a container, which writes it lets a reader know of. No vector is ever believed here:
//! the parents of an event are the siblings that the writer was really shown, or that really stood
//! at the minter when it was asked to overwrite what it held.
//!
//! Each event keeps its *gaps*: the earlier events that are not among its ancestors. Histories are
//! nearly sequential, so the gaps are few and short, and what a container reaches is computed from
//! the gaps of its siblings alone, whatever the length of the history. Nothing is forgotten: a late
//! message or an old disk may show any event again. That costs about half a kilobyte per write.
//!
//! Invariants: parents were minted earlier than their children; a dot names one event.

use std::collections::BTreeMap;

use kv_core::time::{HybridTime, Time};
use kv_core::types::{Key, NodeId, RequestId};
use kv_core::version::{Actor, Container, Content, Dot, VersionVector};
use kv_core::write::Basis;
use smallvec::SmallVec;

use super::ack::{GivenAck, Standing};
use super::counted_sets::CountedSets;
use super::fingerprint::Fingerprint;
use super::ranges::Ranges;
use super::story::{Names, when};
use super::subject::Subject;
use super::{Dots, OperationNumber};

/// The place of a history among all, in the order in which keys were first asked for.
pub(super) type HistoryIndex = usize;

/// The place of an event in its history, in the order of minting.
pub(super) type EventIndex = u32;

/// The place of a write in its history, in the order in which clients first asked.
pub(super) type WriteIndex = usize;

/// The history of everything that was written to one key.
#[derive(Clone, Debug)]
pub(super) struct History {
    /// The key that the history is about.
    pub(super) key: Key,
    /// The history's place among all.
    pub(super) place: HistoryIndex,
    /// The time at which a fault last took anything of the key from any node.
    pub(super) taken_at: Option<Time>,
    events: Vec<HistoryEvent>,
    /// The name of each event, in the order of minting.
    names: Vec<Dot>,
    /// The events by their names.
    named: BTreeMap<Dot, EventIndex>,
    /// The highest number that each actor has minted for the key.
    minted: VersionVector,
    #[expect(clippy::vec_box, reason = "they are large, and a list that grows is moved")]
    writes: Vec<Box<HistoryWrite>>,
    has_twins: bool,
}

/// A dot that a replica minted.
#[derive(Clone, Debug)]
pub(super) struct HistoryEvent {
    /// The write that the event stands for.
    pub(super) write: WriteIndex,
    /// The time at which the dot was minted.
    pub(super) at: Time,
    /// The node that minted the dot.
    pub(super) by: NodeId,
    /// The hybrid time that the version was stamped with.
    pub(super) stamp: HybridTime,
    /// The greatest stamp among the ancestors; the least of all, if there are none.
    pub(super) stamp_known: HybridTime,
    /// The place of the content among those that were asked for with the write's id.
    content: usize,
    /// The events that the writer knew of.
    pub(super) parents: SmallVec<[EventIndex; 4]>,
    /// The earlier events that are not among the ancestors of this one.
    gaps: Ranges,
}

/// A request's write. It has several events if several replicas minted for it (twins). A client that
/// uses one id for several writes of a key has asked for one of them.
#[derive(Clone, Debug)]
pub(super) struct HistoryWrite {
    /// The id of the request.
    pub(super) request: RequestId,
    /// The client's operation that asked first; none if no client of the simulator did.
    pub(super) asked: Option<WriteRequest>,
    /// A fingerprint of the content that was asked for first.
    pub(super) content: Fingerprint,
    /// The events that replicas minted for the write.
    pub(super) events: SmallVec<[EventIndex; 4]>,
    /// The first promise that the client was given.
    pub(super) ack: Option<GivenAck>,
    /// The part of the promise that still stands.
    pub(super) standing: Standing,
    /// The siblings that the client had seen, for each time that it asked.
    attempts: SmallVec<[Dots; 1]>,
    /// The part that few writes have, kept apart because writes are many.
    rare: Option<Box<Rare>>,
}

/// The part of a write that few writes have.
#[derive(Clone, Debug, Default)]
struct Rare {
    /// The nodes that held the write durably until a fault took it.
    taken_from: Vec<NodeId>,
    /// The number of times that the client was told that nothing had been done.
    refusals: usize,
    /// The siblings that coordinators read before they wrote.
    reads: Vec<Dots>,
    /// The other contents that were asked for with the same id, in their order.
    others: Vec<Fingerprint>,
    /// The place of the client's last attempt among all that the checks were told, if it is not its
    /// first.
    asked_again: Option<u64>,
    /// The reason why the write must be refused, if it must.
    misuse: Option<&'static str>,
}

/// The client's operation that asked for a write.
#[derive(Clone, Debug)]
pub(super) struct WriteRequest {
    /// The number of the client's operation.
    pub(super) operation: OperationNumber,
    /// The node that the client asked.
    pub(super) coordinator: NodeId,
    /// The time at which the client asked.
    pub(super) at: Time,
    /// The operation's place among all that the checks were told.
    pub(super) step: u64,
    /// The owners that are read before the write is minted; none if none are, or if others than owners
    /// count.
    pub(super) strict_reads: Option<CountedSets>,
}

/// The events that a reader of one container knows of.
#[derive(Clone, Debug)]
pub(super) struct Reach {
    /// The siblings, in the order of minting.
    pub(super) standing: SmallVec<[EventIndex; 4]>,
    /// Siblings that nobody minted.
    pub(super) strangers: Vec<Dot>,
    /// The events that are neither siblings nor ancestors of one.
    pub(super) unreached: Ranges,
}

/// The error that a minted dot names another event already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reused {
    /// The event that the dot named first.
    pub(super) first: EventIndex,
}

/// A dot that was minted, as its replica reports it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Minting<'a> {
    /// The time at which the dot was minted.
    pub(super) at: Time,
    /// The node that minted the dot.
    pub(super) by: NodeId,
    /// The dot itself.
    pub(super) dot: Dot,
    /// The hybrid time that the version was stamped with.
    pub(super) stamp: HybridTime,
    /// The content that was minted.
    pub(super) content: &'a Content,
    /// The basis: what the replica was told to overwrite.
    pub(super) basis: &'a Basis,
    /// The siblings that were overwritten because the basis is "what is held".
    pub(super) replaced: &'a [Dot],
}

impl History {
    /// Creates the history of a key to which nothing was written, with room for `room` writes.
    pub(super) fn new(place: HistoryIndex, key: Key, room: usize) -> Self {
        Self {
            key,
            place,
            taken_at: None,
            events: Vec::with_capacity(room),
            names: Vec::with_capacity(room),
            named: BTreeMap::new(),
            minted: VersionVector::EMPTY,
            writes: Vec::with_capacity(room),
            has_twins: false,
        }
    }

    /// The event at this place.
    pub(super) fn event(&self, event: EventIndex) -> &HistoryEvent {
        &self.events[event as usize]
    }

    /// The event that a dot names.
    pub(super) fn named(&self, dot: Dot) -> Option<EventIndex> {
        // A reader is mostly shown the newest event, and these will be looked at anyway.
        const NEWEST: usize = 3;
        let rest = self.names.len().saturating_sub(NEWEST);
        let newest = self.names[rest..].iter().rposition(|&name| name == dot);
        newest.map(|at| (rest + at) as EventIndex).or_else(|| self.named.get(&dot).copied())
    }

    /// The dot that names an event.
    pub(super) fn dot(&self, event: EventIndex) -> Dot {
        self.names[event as usize]
    }

    /// The write at this place.
    pub(super) fn write(&self, write: WriteIndex) -> &HistoryWrite {
        &self.writes[write]
    }

    /// The write at this place, to be changed.
    pub(super) fn write_mut(&mut self, write: WriteIndex) -> &mut HistoryWrite {
        &mut self.writes[write]
    }

    /// The write that an event stands for.
    pub(super) fn write_of(&self, event: EventIndex) -> &HistoryWrite {
        self.write(self.event(event).write)
    }

    /// The fingerprint of the content that an event stands for.
    pub(super) fn content_of(&self, event: EventIndex) -> &Fingerprint {
        let HistoryEvent { write, content, .. } = *self.event(event);
        self.write(write).content(content)
    }

    /// Tells whether a write deletes the key, by whichever of its events.
    pub(super) fn is_delete(&self, write: WriteIndex) -> bool {
        let events = &self.write(write).events;
        !events.is_empty() && events.iter().all(|&event| self.content_of(event).is_tombstone())
    }

    /// The highest number that an actor has minted for this key; 0 if none.
    pub(super) fn minted_by(&self, actor: Actor) -> u64 {
        self.minted.get(actor)
    }

    /// All writes, in the order in which clients first asked.
    pub(super) fn writes(&self) -> impl Iterator<Item = (WriteIndex, &HistoryWrite)> {
        self.writes.iter().map(|write| &**write).enumerate()
    }

    /// The length of the longest value that anybody has asked to write, in bytes. A message may carry
    /// any of them, whatever its own operation writes.
    pub(super) fn value_bytes_max(&self) -> usize {
        self.writes().map(|(_, write)| write.content.value_bytes()).max().unwrap_or(0)
    }

    /// The writes that were acknowledged and must not be lost.
    pub(super) fn promised(&self) -> impl Iterator<Item = (WriteIndex, &HistoryWrite, &GivenAck)> {
        let promised = self.writes().filter(|(_, write)| write.is_promised());
        promised.filter_map(|(at, write)| write.ack.as_ref().map(|ack| (at, write, ack)))
    }

    /// Adds a request of which nothing was heard before.
    pub(super) fn on_request(
        &mut self,
        request: RequestId,
        asked: Option<WriteRequest>,
        content: &Content,
    ) -> WriteIndex {
        self.writes.push(Box::new(HistoryWrite {
            request,
            asked,
            content: Fingerprint::of(content),
            events: SmallVec::new(),
            ack: None,
            standing: Standing::Whole,
            attempts: SmallVec::new(),
            rare: None,
        }));
        self.writes.len() - 1
    }

    /// Adds a dot with its parents: all that its writer had seen, that was read before it was
    /// written, and that was overwritten with it.
    ///
    /// # Errors
    /// [`Reused`], if the dot names another event. Nothing has changed then.
    pub(super) fn on_minted(
        &mut self,
        write: WriteIndex,
        minting: Minting<'_>,
    ) -> Result<EventIndex, Reused> {
        let Minting { at, by, dot, stamp, content, basis, replaced } = minting;
        if let Some(first) = self.named(dot) {
            return Err(Reused { first });
        }
        let vector = match basis {
            Basis::Given(context) | Basis::Held(context) => &context.seen,
        };
        let written = &*self.writes[write];
        let (attempts, reads) = (&written.attempts, written.reads());
        let known = told(attempts, vector).chain(told(reads, vector)).chain(replaced);
        let mut parents: SmallVec<[_; 4]> = known.filter_map(|&dot| self.named(dot)).collect();
        parents.sort_unstable();
        parents.dedup();

        let event = self.events.len() as EventIndex;
        let gaps = self.missed_by(&parents);
        let known = parents.iter().map(|&parent| {
            let HistoryEvent { stamp, stamp_known, .. } = self.event(parent);
            *stamp.max(stamp_known)
        });
        let stamp_known = known.max().unwrap_or_default();
        let content = self.writes[write].place_of(content);
        self.events.push(HistoryEvent {
            write,
            at,
            by,
            stamp,
            stamp_known,
            content,
            parents,
            gaps,
        });
        self.names.push(dot);
        self.named.insert(dot, event);
        self.minted.raise(dot);
        let twins = &mut self.writes[write].events;
        twins.push(event);
        self.has_twins |= twins.len() > 1;
        Ok(event)
    }

    /// Computes the events that a reader of this container knows of.
    pub(super) fn reach(&self, container: &Container) -> Reach {
        let mut standing = SmallVec::with_capacity(container.siblings().len());
        let mut strangers = Vec::new();
        for dot in container.dots() {
            match self.named(dot) {
                Some(event) => standing.push(event),
                None => strangers.push(dot),
            }
        }
        standing.sort_unstable();
        let unreached = self.missed_by(&standing);
        Reach { standing, strangers, unreached }
    }

    /// Tells whether `ancestor` is a true ancestor of `event`.
    pub(super) fn is_ancestor(&self, ancestor: EventIndex, event: EventIndex) -> bool {
        ancestor < event && !self.event(event).gaps.contains(ancestor)
    }

    /// The events that were minted before this one and that its writer did not know of.
    pub(super) fn unknown_to(&self, event: EventIndex) -> impl Iterator<Item = EventIndex> + '_ {
        self.event(event).gaps.iter()
    }

    /// Keeps those of the events that cannot be reached from `standing` which cannot be reached even
    /// if twins count as one event: a write is known if any of its events is.
    pub(super) fn without_twins(
        &self,
        standing: &[EventIndex],
        unreached: Vec<EventIndex>,
    ) -> Vec<EventIndex> {
        if !self.has_twins || unreached.is_empty() {
            return unreached;
        }
        let mut known = vec![false; self.events.len()];
        let mut to_visit = standing.to_vec();
        while let Some(event) = to_visit.pop() {
            if std::mem::replace(&mut known[event as usize], true) {
                continue;
            }
            to_visit.extend_from_slice(&self.event(event).parents);
            to_visit.extend_from_slice(&self.write_of(event).events);
        }
        unreached.into_iter().filter(|&event| !known[event as usize]).collect()
    }

    /// Tells whether a container accounts for this write, standing or overwritten. That is only the
    /// replica's claim; [`History::reach`] tells whether it is true.
    pub(super) fn is_claimed(&self, write: WriteIndex, container: &Container) -> bool {
        self.is_among(write, container.seen())
    }

    /// Tells whether `seen` accounts for this write: [`History::is_claimed`] without the container.
    pub(super) fn is_among(&self, write: WriteIndex, seen: &VersionVector) -> bool {
        let events = &self.write(write).events;
        events.iter().any(|&event| seen.covers(self.dot(event)))
    }

    /// The events so far that are neither among `events` (in the order of minting) nor ancestors of
    /// one.
    fn missed_by(&self, events: &[EventIndex]) -> Ranges {
        let end = self.events.len() as EventIndex;
        let mut missed = Ranges::below(end);
        for &event in events.iter().rev() {
            if missed.is_empty() {
                break;
            }
            missed.keep(&self.event(event).gaps, event + 1..end);
        }
        missed
    }

    /// The subject of a violation that concerns these events.
    pub(super) fn subject(&self, events: impl IntoIterator<Item = EventIndex>) -> Subject {
        let events: Vec<_> = events.into_iter().collect();
        Subject {
            key: self.key.clone(),
            dots: events.iter().map(|&event| self.dot(event)).collect(),
            since: events.iter().map(|&event| self.event(event).at).min(),
            operations: Vec::new(),
        }
    }

    /// The subject of a violation that concerns a write.
    pub(super) fn subject_of(&self, write: WriteIndex) -> Subject {
        self.subject(self.write(write).events.iter().copied())
    }

    /// The number of dots that were minted.
    pub(super) fn minted(&self) -> usize {
        self.events.len()
    }

    /// Describes a write in words: who asked for it, its content and its dots.
    pub(super) fn describe(&self, write: WriteIndex, names: &Names) -> String {
        let written = self.write(write);
        let HistoryWrite { asked, events, request, .. } = written;
        let asked = match asked {
            Some(WriteRequest { operation, .. }) => format!("operation {operation}"),
            None => format!("request {request}"),
        };
        let contents: Vec<_> = written.contents().map(|content| content.to_string()).collect();
        let content = contents.join(", and with the same id ");
        let dots = events.iter().map(|&event| {
            let HistoryEvent { at, by, .. } = self.event(event);
            format!("{} by {} at {}", names.dot(self.dot(event)), names.node(*by), when(*at))
        });
        let dots: Vec<_> = dots.collect();
        let minted = if dots.is_empty() { "nowhere".to_owned() } else { dots.join(" and ") };
        format!("{asked} wrote {content}, minted as {minted}")
    }
}

/// Keeps the dots in those sets that were told to the minter. A single set was told. Of several,
/// each belongs to one of several attempts, and the vector shows which of them led here.
fn told<'a>(sets: &'a [Dots], vector: &'a VersionVector) -> impl Iterator<Item = &'a Dot> {
    let is_only = sets.len() == 1;
    let told = move |set: &&Dots| is_only || set.iter().all(|&dot| vector.covers(dot));
    sets.iter().filter(told).flatten()
}

impl HistoryWrite {
    /// True if the write was acknowledged and must not be lost.
    pub(super) fn is_promised(&self) -> bool {
        self.ack.is_some() && self.standing != Standing::Excused
    }

    /// The client's operation that asked for the write, if it was asked for once. If it was asked
    /// for again, nobody can tell for which of the operations a dot was minted.
    pub(super) fn asked_once(&self) -> Option<&WriteRequest> {
        self.asked.as_ref().filter(|_| self.attempts.len() == 1)
    }

    /// Records that the client asks for this content, with what it has seen. `step` is the attempt's
    /// place among all that the checks were told.
    pub(super) fn on_attempt(&mut self, seen: &[Dot], content: &Content, step: u64) {
        let is_first = self.attempts.is_empty();
        self.attempts.push(seen.into());
        if is_first {
            return;
        }
        self.rare_mut().asked_again = Some(step);
        if !self.contents().any(|asked| asked.is_of(content)) {
            self.rare_mut().others.push(Fingerprint::of(content));
        }
    }

    /// Tells whether the client asked once more after `step`.
    pub(super) fn was_asked_again_after(&self, step: u64) -> bool {
        let last = self.rare.as_ref().and_then(|rare| rare.asked_again);
        last.is_some_and(|last| last > step)
    }

    /// Records the reason why the write must be refused.
    pub(super) fn on_misuse(&mut self, misuse: &'static str) {
        self.rare_mut().misuse = Some(misuse);
    }

    /// The reason why the write must be refused, if it must.
    pub(super) fn misuse(&self) -> Option<&'static str> {
        self.rare.as_ref()?.misuse
    }

    /// The fingerprints of all contents that were asked for, in their order.
    fn contents(&self) -> impl Iterator<Item = &Fingerprint> {
        let others = self.rare.iter().flat_map(|rare| &rare.others);
        std::iter::once(&self.content).chain(others)
    }

    fn content(&self, place: usize) -> &Fingerprint {
        self.contents().nth(place).expect("events name contents that were asked for")
    }

    /// The place of a content among those that were asked for; the first, if it is none of them.
    fn place_of(&self, content: &Content) -> usize {
        if self.contents().nth(1).is_none() {
            return 0;
        }
        self.contents().position(|asked| asked.is_of(content)).unwrap_or(0)
    }

    /// Records that a coordinator has read these siblings and will overwrite them.
    pub(super) fn on_read(&mut self, dots: &[Dot]) {
        self.rare_mut().reads.push(dots.into());
    }

    /// Records that the client is told that nothing has been done.
    pub(super) fn on_refused(&mut self) {
        self.rare_mut().refusals += 1;
    }

    /// Records that a fault takes the write from a node that held it durably.
    pub(super) fn on_taken_from(&mut self, node: NodeId) {
        self.rare_mut().taken_from.push(node);
    }

    /// True if the client was told each time that nothing had been done.
    pub(super) fn is_refused(&self) -> bool {
        let refusals = self.rare.as_ref().map_or(0, |rare| rare.refusals);
        refusals > 0 && refusals == self.attempts.len()
    }

    /// The nodes that held the write durably until a fault took it.
    pub(super) fn taken_from(&self) -> &[NodeId] {
        self.rare.as_ref().map_or(&[], |rare| &rare.taken_from)
    }

    fn reads(&self) -> &[Dots] {
        self.rare.as_ref().map_or(&[], |rare| &rare.reads)
    }

    fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }
}
