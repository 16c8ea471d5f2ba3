//! The messages that are being sent to one peer: takes them from the queue and makes frames of
//! them.
//!
//! Each write holds what is urgent, then ordinary messages, then one part of a large message if
//! there is one: so a large message takes its share of the connection and keeps nobody waiting for
//! longer than a part takes. What was not written as a whole when a connection broke is sent again
//! on the next one, large messages from their first part.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kv_core::message::Kind;
use kv_core::wire;
use tokio::io::AsyncWrite;
use tokio::time::timeout;

use super::error::LinkError;
use super::frame::{self, FrameKind, PART_BYTES};
use super::queue::{Queue, Waiting, Weight};
use super::stream::write;
use crate::metrics::{Direction, Metrics};

/// The estimated bytes of urgent and ordinary messages that go into one write.
const BATCH_BYTES: usize = 64 * 1024;

/// The interval at which an idle connection sends a sign of life.
pub(super) const BEAT_INTERVAL: Duration = Duration::from_secs(1);

/// Messages that were taken from the queue and are not known to have left.
pub(super) struct Sender {
    queue: Arc<Queue>,
    metrics: Arc<Metrics>,
    batch: Vec<Waiting>,
    /// The large messages, of which the first is being sent. There are more only if messages were
    /// larger than they weighed.
    large: VecDeque<Large>,
}

struct Large {
    kind: Kind,
    payload: Bytes,
    sent: usize,
    _weight: Weight,
}

impl Large {
    fn new(waiting: Waiting) -> Self {
        let Waiting { message, weight } = waiting;
        Self::encoded(message.body.kind(), wire::encode(&message), weight)
    }

    const fn encoded(kind: Kind, payload: Bytes, weight: Weight) -> Self {
        Self { kind, payload, sent: 0, _weight: weight }
    }

    /// Appends the frame of the next part. Returns the number of bytes of the message in it.
    fn encode_part(&self, out: &mut BytesMut) -> usize {
        let end = self.payload.len().min(self.sent + PART_BYTES);
        let part = &self.payload[self.sent..end];
        if self.sent == 0 {
            let total = (self.payload.len() as u64).to_be_bytes();
            frame::encode_pieces(FrameKind::FirstPart, &[&total, part], out);
        } else {
            frame::encode(FrameKind::NextPart, part, out);
        }
        part.len()
    }
}

impl Sender {
    pub(super) const fn new(queue: Arc<Queue>, metrics: Arc<Metrics>) -> Self {
        Self { queue, metrics, batch: Vec::new(), large: VecDeque::new() }
    }

    /// Sends until the connection ends.
    pub(super) async fn send(&mut self, writer: &mut (impl AsyncWrite + Unpin)) -> LinkError {
        // The peer has forgotten the parts that it got on another connection.
        self.large.iter_mut().for_each(|large| large.sent = 0);
        let mut bytes = BytesMut::new();
        loop {
            bytes.clear();
            let part = self.encode(&mut bytes);
            if bytes.is_empty() {
                if bytes.capacity() > 2 * BATCH_BYTES {
                    // An idle connection needs little room.
                    bytes = BytesMut::new();
                }
                if timeout(BEAT_INTERVAL, self.queue.filled()).await.is_ok() {
                    continue;
                }
                frame::encode(FrameKind::Beat, &[], &mut bytes);
            }
            if let Err(error) = write(writer, &bytes).await {
                return error;
            }
            self.on_sent(bytes.len(), part);
        }
    }

    /// Drops all waiting messages, since nobody can be reached. Returns the number of them.
    pub(super) fn drop_all(&mut self) -> u64 {
        let taken = self.batch.drain(..).count() + self.large.drain(..).count();
        self.queue.clear() + taken as u64
    }

    /// Makes the frames of the next write. Returns the number of bytes of the large message among
    /// them.
    fn encode(&mut self, out: &mut BytesMut) -> usize {
        if self.batch.is_empty() {
            self.queue.take(BATCH_BYTES, &mut self.batch);
        }
        for waiting in std::mem::take(&mut self.batch) {
            let payload = wire::encode(&waiting.message);
            if payload.len() <= PART_BYTES {
                frame::encode(FrameKind::Message, &payload, out);
                self.batch.push(waiting);
            } else {
                let Waiting { message, weight } = waiting;
                self.large.push_back(Large::encoded(message.body.kind(), payload, weight));
            }
        }
        if self.large.is_empty() {
            self.large.extend(self.queue.take_large().map(Large::new));
        }
        self.large.front().map_or(0, |large| large.encode_part(out))
    }

    fn on_sent(&mut self, bytes: usize, part: usize) {
        self.metrics.on_peer_bytes(Direction::Out, bytes);
        for waiting in self.batch.drain(..) {
            self.metrics.on_message(Direction::Out, waiting.message.body.kind());
        }
        if let Some(large) = self.large.front_mut() {
            large.sent += part;
            if large.sent == large.payload.len() {
                self.metrics.on_message(Direction::Out, large.kind);
                self.large.pop_front();
            }
        }
    }
}

#[cfg(all(test, not(madsim)))]
mod tests {
    use kv_core::message::{
        Acked, Body, CoordinatorMessage, Header, MergeRequest, Message, OperationId, ReplicaMessage,
    };
    use kv_core::time::Time;
    use kv_core::types::{ClusterId, Generation, Key, LayoutHash, NodeId, RequestId};
    use kv_core::version::Container;
    use tokio::io::AsyncReadExt as _;

    use super::*;
    use crate::peers::assembly::{Added, Assembly};
    use crate::peers::frame::{Decoder, PAYLOAD_BYTES_MAX};
    use crate::peers::queue::{QueueLimits, Sum};

    fn message(n: u64, body: Body) -> Message {
        let header = Header {
            cluster: ClusterId(1),
            from: NodeId(1),
            generation: Generation(1),
            to: NodeId(2),
            request: RequestId(n.into()),
            layout: (1, LayoutHash(1)),
            fence: 0,
            sent: Time(0),
        };
        Message { header, body }
    }

    fn small(n: u64) -> Message {
        message(
            n,
            Body::Coordinator(CoordinatorMessage::Acked(Acked {
                operation: OperationId(n),
                for_owner: None,
                log: kv_core::types::LogPosition(0),
            })),
        )
    }

    fn large(n: u64, bytes: usize) -> Message {
        let (operation, container) = (OperationId(n), Container::default());
        let key = Key::from(vec![b'k'; bytes]);
        message(n, Body::Replica(ReplicaMessage::Merge(MergeRequest { operation, key, container })))
    }

    fn sender(messages: impl IntoIterator<Item = Message>) -> Sender {
        let limits = QueueLimits { messages: 1_000, bytes: 1 << 30 };
        let queue = Arc::new(Queue::new(limits, Arc::new(Sum::new(usize::MAX, 1))));
        assert_eq!(queue.push(messages), 0);
        Sender::new(queue, Arc::new(Metrics::new()))
    }

    /// Decodes the ids of the requests in a stream, in the order in which they become whole.
    fn received(bytes: &mut BytesMut) -> Vec<u128> {
        let (decoder, mut assembly) = (Decoder::new(PAYLOAD_BYTES_MAX), Assembly::default());
        let mut requests = Vec::new();
        while let Some(frame) = decoder.next(bytes).expect("sound frames") {
            let whole = match frame.kind {
                FrameKind::Message => Some(frame.payload),
                FrameKind::FirstPart | FrameKind::NextPart => {
                    let mut part = frame.payload;
                    if frame.kind == FrameKind::FirstPart {
                        (_, part) = assembly.begin(&part).expect("a sound part");
                    }
                    match assembly.add(&part).expect("a sound part") {
                        Added::Whole(whole) => Some(whole),
                        Added::Unfinished | Added::Discarded => None,
                    }
                }
                FrameKind::Hello | FrameKind::Refusal | FrameKind::Beat => None,
            };
            let decoded = whole.map(|whole| wire::decode(&whole).expect("a message"));
            requests.extend(decoded.map(|message| message.header.request.0));
        }
        requests
    }

    /// Collects the requests that are sent on a connection that stands until nothing waits any
    /// more.
    async fn sent(sender: &mut Sender, room: usize) -> Vec<u128> {
        let (mut near, mut far) = tokio::io::duplex(room);
        let (mut bytes, mut beat) = (BytesMut::new(), BytesMut::new());
        frame::encode(FrameKind::Beat, &[], &mut beat);
        tokio::select! {
            biased;
            error = sender.send(&mut near) => panic!("{error}"),
            // Until the first sign that nothing is left.
            () = async {
                while !bytes.ends_with(&beat) {
                    far.read_buf(&mut bytes).await.expect("it stands");
                }
            } => {}
        }
        received(&mut bytes)
    }

    #[tokio::test]
    async fn a_batch_whose_connection_broke_half_way_is_sent_whole_on_the_next() {
        let mut sender = sender((0..100).map(small));
        // Room for less than a message: the write waits for the peer, which goes.
        let (mut near, mut far) = tokio::io::duplex(64);
        let leave = async move {
            let mut some = [0; 150];
            far.read_exact(&mut some).await.expect("it is sent");
        };
        let (error, ()) = tokio::join!(sender.send(&mut near), leave);
        assert!(matches!(error, LinkError::Broken(_)), "{error:?}");
        assert_eq!(sender.queue.push([small(100)]), 0);
        assert_eq!(sent(&mut sender, 1 << 20).await, Vec::from_iter(0..=100));
        assert_eq!(sender.metrics.messages_dropped.get(), 0);
    }

    #[tokio::test]
    async fn messages_that_are_not_large_go_before_large_ones_and_between_their_parts() {
        let mut sender = sender([large(1, 10 * PART_BYTES), small(2), large(3, 1_000)]);
        assert_eq!(sent(&mut sender, 1 << 20).await, [2, 3, 1]);

        sender.queue.push([large(4, 10 * PART_BYTES)]);
        let mut bytes = BytesMut::new();
        let first = sender.encode(&mut bytes);
        sender.on_sent(bytes.len(), first);
        sender.queue.push([small(5)]);
        let part = sender.encode(&mut bytes);
        assert_eq!(part, PART_BYTES);
        assert_eq!(received(&mut bytes), [5], "the large one has hardly begun");
    }

    #[tokio::test]
    async fn a_large_message_whose_connection_broke_is_sent_from_its_first_part() {
        let mut sender = sender([large(1, 10 * PART_BYTES)]);
        let (mut near, mut far) = tokio::io::duplex(PART_BYTES);
        let leave = async move {
            let mut some = vec![0; 5 * PART_BYTES];
            far.read_exact(&mut some).await.expect("it is sent");
        };
        let (error, ()) = tokio::join!(sender.send(&mut near), leave);
        assert!(matches!(error, LinkError::Broken(_)), "{error:?}");
        assert_eq!(sent(&mut sender, 1 << 20).await, [1]);
    }
}
