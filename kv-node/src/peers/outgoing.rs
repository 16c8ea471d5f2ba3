//! The connection to one peer: dials, says hello, and sends what is in the peer's queue.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use kv_core::cx::LinkState;
use kv_core::message::Message;
use kv_core::types::NodeId;
use kv_core::wire;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::frame::{self, FrameError};
use super::hello::{Hello, HelloError};
use super::incoming::read_frame;
use super::queue::Queue;
use super::{PATIENCE, Shared};
use crate::core_loop::Urgent;
use crate::metrics::Direction;

/// About how many bytes go into one write.
const BATCH_BYTES: usize = 256 * 1024;

/// The pause after the first failure; it doubles with each failure in a row.
const PAUSE_MIN: Duration = Duration::from_millis(50);

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(3);

/// The way to one peer.
pub(super) struct Outgoing {
    peer: NodeId,
    address: String,
    queue: Arc<Queue>,
    shared: Shared,
    /// Taken from the queue and not known to have left: sent again on the next connection.
    batch: Vec<Message>,
    failures: u32,
    /// Moves with every pause, so that nodes do not dial in step.
    jitter: u64,
}

/// Why a connection ended.
#[derive(Debug, Error)]
pub(super) enum LinkError {
    #[error("cannot be reached: {0}")]
    Dial(io::Error),
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
    #[error("closed the connection")]
    Closed,
    #[error("did nothing for {} s", PATIENCE.as_secs())]
    TimedOut,
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("{0}")]
    Hello(#[from] HelloError),
    #[error("speaks out of turn")]
    OutOfTurn,
}

impl Outgoing {
    pub(super) const fn new(
        peer: NodeId,
        address: String,
        queue: Arc<Queue>,
        jitter: u64,
        shared: Shared,
    ) -> Self {
        Self { peer, address, queue, shared, batch: Vec::new(), failures: 0, jitter }
    }

    /// Keeps a connection until the node stops.
    pub(super) async fn run(mut self) {
        let mut stopping = self.shared.stopping.clone();
        tokio::select! {
            biased;
            () = stopping.stopped() => {}
            () = self.keep_connected() => {}
        }
    }

    async fn keep_connected(&mut self) {
        loop {
            let error = match self.dial().await {
                Ok(stream) => {
                    self.failures = 0;
                    self.on_link(LinkState::Up);
                    let error = self.serve(stream).await;
                    self.on_link(LinkState::Down);
                    error
                }
                Err(error) => {
                    // Nobody can be reached there: what waits gets old. What is asked in the
                    // meantime waits until the next attempt.
                    let dropped = self.queue.clear() + self.batch.len() as u64;
                    self.batch.clear();
                    self.shared.metrics.messages_dropped.inc_by(dropped);
                    error
                }
            };
            if let LinkError::Hello(error) = &error {
                let (peer, reason) = (self.peer, error.word());
                self.shared.metrics.on_rejected(reason);
                self.shared.core.tell(Urgent::Refused { peer, reason });
            }
            self.shared.complain(&self.name(), &error);
            sleep(self.pause()).await;
        }
    }

    /// A connection on which both sides have said hello.
    async fn dial(&self) -> Result<TcpStream, LinkError> {
        let mut stream = timeout(PATIENCE, TcpStream::connect(&*self.address))
            .await
            .map_err(|_| LinkError::TimedOut)?
            .map_err(LinkError::Dial)?;
        stream.set_nodelay(true)?;
        let answered = timeout(PATIENCE, self.say_hello(&mut stream)).await;
        answered.map_err(|_| LinkError::TimedOut)??;
        Ok(stream)
    }

    async fn say_hello(&self, stream: &mut TcpStream) -> Result<(), LinkError> {
        let identity = &self.shared.identity;
        let mut bytes = BytesMut::new();
        frame::encode(&Hello::new(identity, self.peer).encode(), &mut bytes);
        stream.write_all(&bytes).await?;
        stream.flush().await?;
        bytes.clear();
        let answer = read_frame(stream, &mut bytes).await?.ok_or(LinkError::Closed)?;
        Hello::accept(&answer, identity, Some(self.peer))?;
        if bytes.is_empty() { Ok(()) } else { Err(LinkError::OutOfTurn) }
    }

    /// Sends until the connection ends.
    async fn serve(&mut self, stream: TcpStream) -> LinkError {
        self.shared.log_limiter.over(&self.name());
        let (mut reader, mut writer) = tokio::io::split(stream);
        let queue = Arc::clone(&self.queue);
        loop {
            if let Err(error) = self.send_waiting(&mut writer).await {
                return error;
            }
            tokio::select! {
                biased;
                ended = end_of(&mut reader) => return ended,
                () = queue.filled() => {}
            }
        }
    }

    /// Sends until nothing waits any more, many messages to a write, and flushes then.
    async fn send_waiting(
        &mut self,
        writer: &mut (impl AsyncWrite + Unpin),
    ) -> Result<(), LinkError> {
        let mut bytes = BytesMut::new();
        loop {
            if self.batch.is_empty() {
                self.queue.take(BATCH_BYTES, &mut self.batch);
            }
            if self.batch.is_empty() {
                return Ok(());
            }
            bytes.clear();
            self.encode_batch(&mut bytes);
            let sent = async {
                writer.write_all(&bytes).await?;
                writer.flush().await
            };
            timeout(PATIENCE, sent).await.map_err(|_| LinkError::TimedOut)??;
            let metrics = &self.shared.metrics;
            metrics.on_peer_bytes(Direction::Out, bytes.len());
            for message in self.batch.drain(..) {
                metrics.on_message(Direction::Out, message.body.kind());
            }
        }
    }

    fn encode_batch(&mut self, bytes: &mut BytesMut) {
        let (max, name) = (self.shared.limits.frame_bytes, self.name());
        self.batch.retain(|message| {
            let payload = wire::encode(message);
            let fits = payload.len() <= max;
            if fits {
                frame::encode(&payload, bytes);
            } else {
                // The peer would close the connection for it, again and again.
                self.shared.metrics.messages_too_large.inc();
                let (kind, bytes) = (message.body.kind().name(), payload.len());
                let peer = name.clone();
                self.shared.log_limiter.tell(&name, "too large", move |repeated| {
                    tracing::error!(
                        repeated,
                        peer,
                        kind,
                        bytes,
                        max,
                        "a message is too large for a frame"
                    );
                });
            }
            fits
        });
    }

    fn on_link(&self, state: LinkState) {
        match state {
            LinkState::Up => self.shared.metrics.links_up.inc(),
            LinkState::Down => self.shared.metrics.links_up.dec(),
        };
        self.shared.core.tell(Urgent::Link { peer: self.peer, state });
    }

    /// How long to wait before the next attempt: half of it is certain, half of it chance.
    fn pause(&mut self) -> Duration {
        let longest = PAUSE_MIN.saturating_mul(1 << self.failures.min(10)).min(PAUSE_MAX);
        self.failures = self.failures.saturating_add(1);
        // The constants of Knuth's generator; its high bits are good enough for this.
        self.jitter = self
            .jitter
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let share = (self.jitter >> 54) as u32;
        longest / 2 + longest * share / 2 / 1_024
    }

    /// How people know the peer.
    fn name(&self) -> String {
        match self.shared.identity.ring.member(self.peer) {
            Some(member) => format!("{} ({})", member.name, self.address),
            None => self.address.clone(),
        }
    }
}

/// Returns when a connection on which nothing more is to be heard ends.
async fn end_of(reader: &mut (impl AsyncRead + Unpin)) -> LinkError {
    match reader.read(&mut [0; 1]).await {
        Ok(0) => LinkError::Closed,
        Ok(_) => LinkError::OutOfTurn,
        Err(error) => LinkError::Broken(error),
    }
}

#[cfg(all(test, not(madsim)))]
mod tests {
    use kv_core::cx::Identity;
    use kv_core::layout::Layout;
    use kv_core::message::{Acked, Body, Header, OperationId};
    use kv_core::ring::Ring;
    use kv_core::time::Time;
    use kv_core::types::{ClusterId, Generation, RequestId};

    use super::*;
    use crate::metrics::Metrics;
    use crate::peers::PeerLimits;
    use crate::peers::queue::QueueLimits;
    use crate::{core_loop, stop};

    const FRAME_BYTES: usize = 1 << 20;

    fn message(n: u64) -> Message {
        let header = Header {
            cluster: ClusterId(1),
            from: NodeId(1),
            generation: Generation(1),
            to: NodeId(2),
            request: RequestId(n.into()),
            layout: (1, 1),
            fence: 0,
            sent: Time(0),
        };
        let body = Body::Acked(Acked { operation: OperationId(n), stands_for: None });
        Message { header, body }
    }

    /// The way from node 1 to node 2, on which so many messages wait.
    fn outgoing(waiting: u64) -> Outgoing {
        let nodes = (1..=2).map(|id| (NodeId(id), format!("n{id}")));
        let ring = Ring::new(Layout::single_datacenter(16, 2, nodes)).expect("a sound layout");
        let identity = Identity {
            node: NodeId(1),
            generation: Generation(1),
            cluster: ClusterId(1),
            ring: Arc::new(ring),
        };
        let queue = QueueLimits { messages: 1_000, bytes: 1 << 20 };
        let shared = Shared {
            identity,
            limits: PeerLimits { queue, frame_bytes: FRAME_BYTES, connections: 1 },
            core: core_loop::inboxes(1).0,
            metrics: Arc::new(Metrics::new()),
            log_limiter: Arc::default(),
            stopping: stop::channel().1,
        };
        let queue = Arc::new(Queue::new(queue));
        assert_eq!(queue.push((0..waiting).map(message)), 0);
        Outgoing::new(NodeId(2), "nowhere".to_owned(), queue, 0, shared)
    }

    #[tokio::test]
    async fn a_batch_whose_connection_broke_half_way_is_sent_whole_on_the_next() {
        let mut outgoing = outgoing(100);
        // Room for less than a message: the write waits for the peer, which goes.
        let (mut near, mut far) = tokio::io::duplex(64);
        let leave = async move {
            let mut some = [0; 150];
            far.read_exact(&mut some).await.expect("it is sent");
        };
        let (sent, ()) = tokio::join!(outgoing.send_waiting(&mut near), leave);
        assert!(matches!(sent, Err(LinkError::Broken(_))), "{sent:?}");
        assert_eq!(outgoing.queue.push([message(100)]), 0);

        let (mut near, mut far) = tokio::io::duplex(FRAME_BYTES);
        outgoing.send_waiting(&mut near).await.expect("the peer reads");
        drop(near);
        let mut bytes = BytesMut::new();
        while far.read_buf(&mut bytes).await.expect("it stands") > 0 {}
        let decoder = frame::Decoder::new(FRAME_BYTES);
        let mut received = Vec::new();
        while let Some(payload) = decoder.next(&mut bytes).expect("whole frames") {
            received.push(wire::decode(&payload).expect("a message").header.request.0);
        }
        assert_eq!(received, Vec::from_iter(0..=100));
        assert_eq!(outgoing.shared.metrics.messages_dropped.get(), 0);
    }
}
