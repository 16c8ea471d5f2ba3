//! Messages on their way: encoded when they leave, decoded when they are read.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use bytes::{Bytes, BytesMut};
use kv_core::cx::Input;
use kv_core::message::{Body, CoordinatorMessage, Kind, Message};
use kv_core::time::{Span, Time};
use kv_core::types::RequestId;
use kv_core::wire;

use super::{World, number};
use crate::checks::{Passage, TRIP_FLOOR};
use crate::cluster::event_queue::SimEvent;
use crate::cluster::network::{self, Fate, Trip, Way};
use crate::cluster::probes::WorldProbe;
use crate::cluster::world_time::WorldTime;
use crate::faults::ClogOrder;
use crate::scenario::NodeIndex;
use crate::story::digest::DigestTag;
use crate::story::record::fact;

/// The messages that are under way, by number. Numbers are used again.
#[derive(Clone, Debug, Default)]
pub(super) struct MessagesInTransit {
    in_transit: Vec<Option<InTransit>>,
    free: Vec<u32>,
    /// The message that is being written. Kept for its room.
    draft: Vec<u8>,
    /// The room for encoded messages, which share it.
    room: BytesMut,
    last_arrival: WorldTime,
}

/// The number of bytes that are reserved for messages at a time, as they are small and many.
const ROOM_BYTES: usize = 4 * 1024;

/// A message that is under way.
#[derive(Clone, Debug)]
pub(super) struct InTransit {
    from: NodeIndex,
    to: NodeIndex,
    kind: Kind,
    request: RequestId,
    content: InTransitContent,
    sent: WorldTime,
    /// The value that picks the bits that were flipped on the way; none if none were.
    corruption: Option<NonZeroU64>,
}

#[derive(Clone, Debug)]
enum InTransitContent {
    Encoded(Bytes),
    /// A message that is not encoded, as encoding is turned off to measure its cost.
    Plain(Box<Message>),
}

/// An event that waits for the end of a clog.
#[derive(Clone, Copy, Debug)]
struct Held {
    way: Way,
    what: SimEvent,
    /// The time that the event takes from the end of the clog on.
    after: Span,
}

/// The events that wait on clogged links, in the order in which they were sent.
#[derive(Clone, Debug, Default)]
pub(super) struct WaitingMessages(Vec<Held>);

impl WaitingMessages {
    /// The events that wait, in the order in which they were sent.
    pub(super) fn events(&self) -> impl Iterator<Item = SimEvent> + '_ {
        self.0.iter().map(|held| held.what)
    }

    /// True if no event waits.
    #[cfg(test)]
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl InTransit {
    const fn way(&self) -> Way {
        Way { from: self.from, to: self.to, kind: Some(self.kind) }
    }

    /// Decodes the message as it was sent, before any corruption; none, if it cannot be read.
    pub(super) fn read(&self) -> Option<Message> {
        match &self.content {
            InTransitContent::Encoded(bytes) => wire::decode(bytes).ok(),
            InTransitContent::Plain(message) => Some((**message).clone()),
        }
    }

    /// The fact to record for the message if it ends now and was not lost.
    pub(super) fn as_fact(&self, ended: WorldTime) -> fact::RecordedMessage {
        let Self { from, to, kind, request, sent, .. } = *self;
        let content = fact::MessageContent::default();
        fact::RecordedMessage {
            from,
            to,
            kind,
            request,
            sent,
            ended,
            lost: None,
            key: None,
            content,
        }
    }
}

impl MessagesInTransit {
    /// The time at which the last message under way arrives, or arrived.
    pub(super) const fn last_arrival(&self) -> WorldTime {
        self.last_arrival
    }

    /// Notes the time at which a message arrives.
    fn arrives(&mut self, at: WorldTime) {
        self.last_arrival = self.last_arrival.max(at);
    }

    /// The messages under way, by number, each with its way and its kind.
    pub(super) fn under_way(&self) -> impl Iterator<Item = (u32, Way, Kind)> + '_ {
        let numbered = (0..).zip(&self.in_transit);
        numbered.filter_map(|(number, message)| {
            let message = message.as_ref()?;
            Some((number, message.way(), message.kind))
        })
    }

    fn put(&mut self, message: InTransit) -> u32 {
        if let Some(number) = self.free.pop() {
            self.in_transit[number as usize] = Some(message);
            return number;
        }
        self.in_transit.push(Some(message));
        u32::try_from(self.in_transit.len() - 1).expect("messages under way fit 32 bits")
    }

    fn encoded(&mut self, message: &Message) -> Bytes {
        self.draft.clear();
        wire::encode_into(message, &mut self.draft);
        if self.room.capacity() < self.draft.len() {
            self.room.reserve(self.draft.len().max(ROOM_BYTES));
        }
        self.room.extend_from_slice(&self.draft);
        self.room.split().freeze()
    }

    fn get(&self, number: u32) -> &InTransit {
        self.in_transit[number as usize].as_ref().expect("a planned message is under way")
    }

    fn take(&mut self, number: u32) -> InTransit {
        self.free.push(number);
        self.in_transit[number as usize].take().expect("a planned message is under way")
    }
}

impl World {
    pub(super) fn send(&mut self, from: NodeIndex, message: &Message) {
        let (kind, request) = (message.body.kind(), message.header.request);
        if let Body::Coordinator(CoordinatorMessage::Refused(refused)) = &message.body
            && let Some(checks) = &mut self.checks
        {
            let (at, id) = (time(self.scene.now), self.scene.node(from).id);
            let coordinator = self.scene.node(self.scene.index_of(message.header.to)).process();
            // Whoever does not wait any more is told nothing.
            let key = coordinator.and_then(|process| process.core.key_of(refused.operation));
            if let Some(key) = key {
                checks.on_refusal_sent(at, id, (request, key), refused.refusal, &self.scene);
            }
        }
        let to = self.scene.index_of(message.header.to);
        let content = if self.encoding {
            InTransitContent::Encoded(self.in_transit.encoded(message))
        } else {
            InTransitContent::Plain(Box::new(message.clone()))
        };
        let bytes = match &content {
            InTransitContent::Encoded(bytes) => bytes.len() as u64,
            InTransitContent::Plain(_) => 0,
        };
        self.tally.traffic.count(kind, bytes);
        if let Some(watch) = &mut self.watch {
            watch.on_sent((from, to), kind, bytes);
        }
        let sent = self.scene.now;
        if let Some(checks) = &mut self.checks {
            let node = message.header.from;
            match &message.body {
                Body::Coordinator(CoordinatorMessage::ReadReply(reply)) => {
                    checks.on_read_reply(time(sent), node, request, &reply.container, &self.scene);
                }
                Body::Gossip(gossip) => {
                    checks.on_gossip(time(sent), node, gossip, Passage::Leaves);
                }
                _ => {}
            }
        }
        let way = Way { from, to, kind: Some(kind) };
        let message =
            |content, corruption| InTransit { from, to, kind, request, content, sent, corruption };
        match self.scene.network.fate(&mut self.draws, way, kind, request) {
            Fate::Cut => self.lose(&message(content, None), "is cut off"),
            Fate::Lost => {
                if let Some(checks) = &mut self.checks {
                    checks.on_message_lost(request);
                }
                self.lose(&message(content, None), "is lost");
            }
            Fate::Arrives { first, again } => {
                self.note_trip(
                    way,
                    request,
                    first.after.min(again.map_or(first.after, |trip| trip.after)),
                );
                if let Some(Trip { after, corruption }) = again {
                    let message = self.in_transit.put(message(content.clone(), corruption));
                    self.put_on_its_way(way, SimEvent::Arrive { message }, after);
                }
                let Trip { after, corruption } = first;
                let message = self.in_transit.put(message(content, corruption));
                self.put_on_its_way(way, SimEvent::Arrive { message }, after);
            }
        }
    }

    /// Tells the checks if a message takes long, unless a fault makes its way slow.
    fn note_trip(&mut self, way: Way, request: RequestId, takes: Span) {
        if takes > TRIP_FLOOR
            && let Some(checks) = &mut self.checks
            && self.scene.network.is_nominal(way)
        {
            checks.on_message_slow(time(self.scene.now), request, takes);
        }
    }

    /// Plans an event at the end of a way, after `after`; if the way is clogged, after the end of
    /// that.
    pub(super) fn put_on_its_way(&mut self, way: Way, what: SimEvent, after: Span) {
        if self.scene.network.clog_of(way).is_none() {
            return self.plan_arrival(what, self.scene.now + after);
        }
        self.tally.probes.count(WorldProbe::MessageHeld);
        self.trace(|scene| {
            let (from, to) = (scene.name(way.from), scene.name(way.to));
            let what = if let SimEvent::Arrive { message } = what {
                let InTransit { kind, request, .. } = self.in_transit.get(message);
                format!("{} of {request}", kind.name())
            } else {
                "news of a connection".to_owned()
            };
            format!("{what} from {from} to {to} waits: the link is clogged")
        });
        self.waiting.0.push(Held { way, what, after });
    }

    /// Plans the arrival, in this order, of the events that wait on links that are no longer
    /// clogged.
    pub(super) fn plan_freed(&mut self, order: ClogOrder) {
        let is_clogged = |held: &Held| self.scene.network.clog_of(held.way).is_some();
        let waiting = std::mem::take(&mut self.waiting.0);
        let (kept, freed): (Vec<_>, Vec<_>) = waiting.into_iter().partition(is_clogged);
        self.waiting.0 = kept;
        // The time of the last event that was sent before on each link.
        let mut last: BTreeMap<(NodeIndex, NodeIndex), Span> = BTreeMap::new();
        for Held { way, what, after } in freed {
            let last = last.entry((way.from, way.to)).or_default();
            *last = after.max(*last);
            let after = match order {
                ClogOrder::Sent => *last,
                ClogOrder::Drawn => after,
            };
            self.plan_arrival(what, self.scene.now + after);
        }
    }

    fn plan_arrival(&mut self, what: SimEvent, at: WorldTime) {
        self.in_transit.arrives(at);
        self.event_queue.plan(at, what);
    }

    /// Takes a message at the end of its way. It is dropped if the link is cut by now, or if nobody
    /// listens.
    pub(super) fn arrive(&mut self, message: u32) {
        if self.scene.network.is_cut(self.in_transit.get(message).way()) {
            let message = self.in_transit.take(message);
            return self.lose(&message, "is cut off on its way");
        }
        self.receive(message);
    }

    pub(super) fn receive(&mut self, message: u32) {
        let to = self.in_transit.get(message).to;
        if !self.is_awake(to, SimEvent::Receive { message }) {
            if self.scene.node(to).process().is_none() {
                let message = self.in_transit.take(message);
                self.lose(&message, "finds nobody");
            }
            return;
        }
        let message = self.in_transit.take(message);
        if let Some(corruption) = message.corruption {
            return self.drop_corrupted(&message, corruption);
        }
        let fact = self.recorder.as_ref().map(|_| message.as_fact(self.scene.now));
        let InTransit { from, to, kind, request, content, .. } = message;
        let entry = self.digest.event(self.scene.now, DigestTag::Message, number(to));
        let message = match content {
            InTransitContent::Encoded(bytes) => {
                entry.bytes(&bytes);
                wire::decode(&bytes).expect("what was encoded here can be decoded")
            }
            InTransitContent::Plain(message) => {
                entry.number(number(from).into()).number(kind.number().into()).large(request.0);
                *message
            }
        };
        self.record_received(fact, &message.body);
        if self.scene.is_founded(to) {
            self.scene.hear(to, &message);
        }
        // Who does not know that the cluster is founded reads none of it.
        if let Body::Gossip(gossip) = &message.body
            && let Some(checks) = &mut self.checks
            && self.scene.is_founded(to)
        {
            let node = self.scene.node(to).id;
            checks.on_gossip(time(self.scene.now), node, gossip, Passage::Arrives);
        }
        self.trace(|scene| {
            let (from, to) = (scene.name(from), scene.name(to));
            format!("{to} receives {} of {request} from {from}: {:?}", kind.name(), message.body)
        });
        self.input(to, Input::Peer(message));
    }

    /// Drops a message whose bytes are not those that were sent. Real nodes carry a checksum with
    /// each frame and drop it; so does the simulator, which has none: it knows. (A real node gives
    /// up the connection as well, and connects anew.) It decodes the bytes all the same, since a
    /// decoder must survive everything.
    #[cold]
    #[inline(never)]
    fn drop_corrupted(&mut self, message: &InTransit, corruption: NonZeroU64) {
        let passes = match &message.content {
            InTransitContent::Encoded(bytes) => {
                wire::decode(&Bytes::from(network::flipped(bytes, corruption.get()))).is_ok()
            }
            InTransitContent::Plain(_) => false,
        };
        self.tally.probes.count(WorldProbe::MessageCorrupted);
        if passes {
            self.tally.probes.count(WorldProbe::CorruptionUndetected);
        }
        if let Some(checks) = &mut self.checks {
            checks.on_message_lost(message.request);
        }
        self.lose(message, "is corrupt: its checksum is wrong");
    }

    #[cold]
    #[inline(never)]
    fn lose(&mut self, message: &InTransit, how: &'static str) {
        let InTransit { from, to, kind, request, .. } = message;
        let entry = self.digest.event(self.scene.now, DigestTag::Lost, number(*to));
        entry.number(number(*from).into()).number(kind.number().into()).large(request.0);
        self.tally.lost += 1;
        self.record_lost(message, how);
        self.trace(|scene| {
            let (from, to) = (scene.name(*from), scene.name(*to));
            format!("{} of {request} from {from} to {to} {how}", kind.name())
        });
    }

    /// Drops the events that had waited for a process that is gone.
    pub(super) fn drop_backlog(&mut self, backlog: Vec<SimEvent>) {
        for what in backlog {
            if let SimEvent::Receive { message } = what {
                let message = self.in_transit.take(message);
                self.lose(&message, "had waited in vain");
            }
        }
    }
}

/// Converts the world's time to that of the checks.
pub(super) const fn time(at: WorldTime) -> Time {
    Time(at.0)
}
