//! Messages on their way: encoded when they leave, decoded when they are read.

use kv_core::cx::Input;
use kv_core::message::{Kind, Message};
use kv_core::time::{Span, Time};
use kv_core::types::RequestId;
use kv_core::wire;

use super::{World, number};
use crate::address::Address;
use crate::agenda::Happening;
use crate::digest::Tag;
use crate::network::Fate;
use crate::scenario::NodeIndex;
use crate::world_time::WorldTime;

/// The messages that are under way, by number. Numbers are used again.
#[derive(Clone, Debug, Default)]
pub(super) struct Parcels {
    parcels: Vec<Option<Parcel>>,
    free: Vec<u32>,
    /// What messages were written in that are not under way any more. Kept for their room.
    buffers: Vec<Vec<u8>>,
    last_arrival: WorldTime,
}

/// A message that is under way.
#[derive(Clone, Debug)]
struct Parcel {
    from: NodeIndex,
    to: NodeIndex,
    kind: Kind,
    request: RequestId,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Encoded(Vec<u8>),
    /// Only where encoding is turned off to see what it costs.
    Plain(Box<Message>),
}

impl Parcels {
    /// When the last of them arrives, or arrived.
    pub(super) const fn last_arrival(&self) -> WorldTime {
        self.last_arrival
    }

    fn put(&mut self, parcel: Parcel, arrives: WorldTime) -> u32 {
        self.last_arrival = self.last_arrival.max(arrives);
        if let Some(number) = self.free.pop() {
            self.parcels[number as usize] = Some(parcel);
            return number;
        }
        self.parcels.push(Some(parcel));
        u32::try_from(self.parcels.len() - 1).expect("messages under way fit 32 bits")
    }

    fn encoded(&mut self, message: &Message) -> Vec<u8> {
        wire::encode_into(message, self.buffers.pop().unwrap_or_default())
    }

    fn reuse(&mut self, mut buffer: Vec<u8>) {
        buffer.clear();
        self.buffers.push(buffer);
    }

    fn get(&self, number: u32) -> &Parcel {
        self.parcels[number as usize].as_ref().expect("a planned parcel is under way")
    }

    fn take(&mut self, number: u32) -> Parcel {
        self.free.push(number);
        self.parcels[number as usize].take().expect("a planned parcel is under way")
    }
}

impl World {
    pub(super) fn send(&mut self, from: NodeIndex, message: Message) {
        let (kind, request) = (message.body.kind(), message.header.request);
        let to = self.scene.index_of(message.header.to);
        let content = if self.encoding {
            Content::Encoded(self.parcels.encoded(&message))
        } else {
            Content::Plain(Box::new(message))
        };
        let bytes = match &content {
            Content::Encoded(bytes) => bytes.len() as u64,
            Content::Plain(_) => 0,
        };
        self.tally.traffic.count(kind, bytes);
        let parcel = Parcel { from, to, kind, request, content };
        let address = Address::Message { from, to, kind, request };
        match self.scene.network.fate(&mut self.draws, address, from, to) {
            Fate::Cut => self.lose(&parcel, "is cut off"),
            Fate::Lost => {
                if let Some(checks) = &mut self.checks {
                    checks.on_message_lost(request);
                }
                self.lose(&parcel, "is lost");
            }
            Fate::Arrives { after, again } => {
                if let Some(again) = again {
                    self.forward(parcel.clone(), again);
                }
                self.forward(parcel, after);
            }
        }
    }

    fn forward(&mut self, parcel: Parcel, after: Span) {
        let at = self.scene.now + after;
        let parcel = self.parcels.put(parcel, at);
        self.agenda.plan(at, Happening::Arrive { parcel });
    }

    /// A message has come to the end of its way. It is dropped if the link is cut by now, or if
    /// nobody listens.
    pub(super) fn arrive(&mut self, parcel: u32) {
        let Parcel { from, to, .. } = *self.parcels.get(parcel);
        if self.scene.network.is_cut(from, to) {
            let parcel = self.parcels.take(parcel);
            return self.lose(&parcel, "is cut off on its way");
        }
        self.receive(parcel);
    }

    pub(super) fn receive(&mut self, parcel: u32) {
        let to = self.parcels.get(parcel).to;
        if !self.is_awake(to, Happening::Receive { parcel }) {
            if self.scene.node(to).process().is_none() {
                let parcel = self.parcels.take(parcel);
                self.lose(&parcel, "finds nobody");
            }
            return;
        }
        let Parcel { from, to, kind, request, content } = self.parcels.take(parcel);
        let entry = self.digest.event(self.scene.now, Tag::Message, number(to));
        let message = match content {
            Content::Encoded(bytes) => {
                drop(entry.bytes(&bytes));
                let message = wire::decode(&bytes).expect("what was encoded here can be decoded");
                self.parcels.reuse(bytes);
                message
            }
            Content::Plain(message) => {
                drop(entry.number(number(from).into()).number(kind as u64).large(request.0));
                *message
            }
        };
        self.trace(|scene| {
            let (from, to) = (scene.name(from), scene.name(to));
            format!("{to} receives {} of {request} from {from}: {:?}", kind.name(), message.body)
        });
        self.input(to, Input::Peer(message));
    }

    fn lose(&mut self, parcel: &Parcel, how: &str) {
        let Parcel { from, to, kind, request, content: _ } = parcel;
        let entry = self.digest.event(self.scene.now, Tag::Lost, number(*to));
        drop(entry.number(number(*from).into()).number(*kind as u64).large(request.0));
        self.tally.lost += 1;
        self.trace(|scene| {
            let (from, to) = (scene.name(*from), scene.name(*to));
            format!("{} of {request} from {from} to {to} {how}", kind.name())
        });
    }

    /// Drops what had waited for a process that is gone.
    pub(super) fn drop_backlog(&mut self, backlog: Vec<Happening>) {
        for what in backlog {
            if let Happening::Receive { parcel } = what {
                let parcel = self.parcels.take(parcel);
                self.lose(&parcel, "had waited in vain");
            }
        }
    }
}

/// The world's time as checks know it.
pub(super) const fn time(at: WorldTime) -> Time {
    Time(at.0)
}
