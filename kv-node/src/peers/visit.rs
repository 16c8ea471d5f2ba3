//! One incoming connection: checks the peer's hello, hands messages to the core, and gives signs of
//! life.
//!
//! A sign of life says that something was received since the last one, or that what was received
//! waits for the core: the other side knows then that this node is there and hears it, however long
//! a message takes.

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use bytes::BytesMut;
use kv_core::message::Message;
use kv_core::types::NodeId;
use kv_core::wire;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::assembly::{Added, Assembly};
use super::error::LinkError;
use super::frame::{self, Decoder, FrameKind, PAYLOAD_BYTES_MAX};
use super::hello::{HELLO_BYTES_MAX, Hello, HelloError};
use super::presence::{PresenceEntry, Replaced};
use super::refusal::PeerRefusal;
use super::room::RoomShare;
use super::shared::{HELLO_TIMEOUT, PeersShared};
use super::stream::{beat, prepare, read, read_frame, refuse, write};
use crate::core_loop::{Urgent, Work};
use crate::log::Named;
use crate::metrics::{Direction, Discarded};

/// The bytes for which there is new room when the old is used up. Messages share the memory of the
/// reads that brought them, so it serves many reads before it is made anew.
const READ_BYTES: usize = 64 * 1024;

/// The room in bytes that a read finds, at least.
const READ_BYTES_MIN: usize = 8 * 1024;

/// The shortest time between two signs of life.
const BEAT_PAUSE: Duration = Duration::from_millis(500);

/// The time for which a peer may be silent. The peer notices much earlier that it is not heard;
/// this limit is for connections whose other side is gone.
const INCOMING_SILENCE_MAX: Duration = Duration::from_secs(15);

/// The time for which a large message may go without a part while the peer sends other things.
const STALL_MAX: Duration = Duration::from_secs(30);

/// The time for which a peer that has made another connection may finish its work on this one.
const LINGER: Duration = Duration::from_secs(2);

/// Serves one connection. The permit counts it among those that have not said hello.
pub(super) async fn visit(
    mut stream: TcpStream,
    from: SocketAddr,
    shared: PeersShared,
    stranger: OwnedSemaphorePermit,
) {
    let mut bytes = BytesMut::new();
    // Ports change with each attempt; a peer is known by where it comes from.
    let address = from.ip().to_string();
    let late = |_| LinkError::TimedOut { what: "say hello", within: HELLO_TIMEOUT };
    let welcomed = timeout(HELLO_TIMEOUT, welcome(&mut stream, &mut bytes, from, &shared)).await;
    let (peer, mut entry) = match welcomed.map_err(late).flatten() {
        Ok(welcomed) => welcomed,
        Err(error) => {
            leave(&mut stream, &address, &shared, error).await;
            return;
        }
    };
    drop(stranger);
    let name = format!("{} at {address}", shared.name_of(peer));
    let (reader, writer) = tokio::io::split(stream);
    let mut visit = Visit::new(peer, &name, bytes, reader, writer, &shared);
    let ended = visit.listen(&mut entry).await;
    let mut stream = visit.reader.unsplit(visit.writer);
    // Whoever comes now has this place.
    drop(entry);
    match ended {
        Ok(None) => {}
        Ok(Some(refusal)) => refuse(&mut stream, &refusal).await,
        Err(error) => leave(&mut stream, &name, &shared, error).await,
    }
}

/// Tells both sides why a connection ends.
async fn leave(stream: &mut TcpStream, who: &str, shared: &PeersShared, error: LinkError) {
    if let Some(word) = error.word() {
        shared.metrics.on_rejected(word);
        shared.complain_of(who, &error);
    } else if let LinkError::Refused(refusal) = &error {
        shared.metrics.on_refused(refusal.reason);
        shared.complain_of(who, &error);
    } else {
        tracing::debug!("peer {who}: {error}");
    }
    if let Some(refusal) = error.refusal() {
        refuse(stream, &refusal).await;
    }
}

/// Reads the peer's hello, and answers it.
async fn welcome(
    stream: &mut TcpStream,
    bytes: &mut BytesMut,
    from: SocketAddr,
    shared: &PeersShared,
) -> Result<(NodeId, PresenceEntry), LinkError> {
    prepare(stream)?;
    let first = read_frame(stream, bytes, HELLO_BYTES_MAX).await?;
    if first.kind != FrameKind::Hello {
        return Err(LinkError::OutOfTurn);
    }
    let PeersShared { identity, presence, .. } = shared;
    let hello =
        Hello::accept(&first.payload, identity, None, shared.wall()).inspect_err(|error| {
            if let Some(peer) = Hello::speaker(&first.payload) {
                shared.core.tell(Urgent::Refused { peer, reason: error.word() });
            }
        })?;
    let peer = hello.from;
    let entry = presence.enter(peer, hello.run, from.ip()).map_err(|newer| {
        let named = |node| Named::new(identity.topology.newest(), node);
        HelloError::Replaced { from: named(peer), me: named(identity.node), newer }
    })?;
    let mut answer = BytesMut::new();
    frame::encode(FrameKind::Hello, &shared.hello(peer).encode(), &mut answer);
    write(stream, &answer).await?;
    Ok((peer, entry))
}

/// A connection of a peer that is welcome.
struct Visit<'a, R, W> {
    peer: NodeId,
    name: &'a str,
    bytes: BytesMut,
    reader: R,
    writer: W,
    decoder: Decoder,
    assembly: Assembly,
    /// The room that the unfinished message takes.
    share: RoomShare,
    /// The time at which the unfinished message got its last part.
    part_at: Instant,
    shared: &'a PeersShared,
}

impl<'a, R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Visit<'a, R, W> {
    fn new(
        peer: NodeId,
        name: &'a str,
        bytes: BytesMut,
        reader: R,
        writer: W,
        shared: &'a PeersShared,
    ) -> Self {
        Self {
            peer,
            name,
            bytes,
            reader,
            writer,
            decoder: Decoder::new(PAYLOAD_BYTES_MAX),
            assembly: Assembly::default(),
            share: RoomShare::default(),
            part_at: Instant::now(),
            shared,
        }
    }

    /// Listens until the connection ends, without an error if the peer has another connection.
    /// Returns the refusal that the peer is to be sent.
    async fn listen(
        &mut self,
        entry: &mut PresenceEntry,
    ) -> Result<Option<PeerRefusal>, LinkError> {
        let mut heard = Instant::now();
        let (mut beat_at, mut owes_beat) = (heard, false);
        let mut leave_at = None;
        loop {
            self.take_frames().await?;
            if self.bytes.capacity() - self.bytes.len() < READ_BYTES_MIN {
                self.bytes.reserve(READ_BYTES);
            }
            let leaves = async move {
                match leave_at {
                    Some(leave_at) => sleep_until(leave_at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                count = read(&mut self.reader, &mut self.bytes) => {
                    self.shared.metrics.on_peer_bytes(Direction::In, count?);
                    heard = Instant::now();
                    owes_beat = true;
                }
                () = sleep_until(beat_at), if owes_beat => {
                    beat(&mut self.writer).await?;
                    beat_at = Instant::now() + BEAT_PAUSE;
                    owes_beat = false;
                }
                replaced = entry.replaced() => match replaced {
                    Some(Replaced::SameRun) => leave_at = Some(Instant::now() + LINGER),
                    Some(Replaced::NewerRun { from }) => return Ok(Some(self.replaced_by(from))),
                    None => return Ok(None),
                },
                () = leaves => return Ok(None),
                () = sleep_until(heard + INCOMING_SILENCE_MAX) => return Err(LinkError::Silent(INCOMING_SILENCE_MAX)),
            }
            if self.assembly.total().is_some() && self.part_at.elapsed() > STALL_MAX {
                return Err(LinkError::Stalled(STALL_MAX));
            }
        }
    }

    /// Tells a process, should it live, that another one has taken its place. Nobody else is told
    /// yet: after a restart the other end of this connection is a process that has ended.
    fn replaced_by(&self, newer: IpAddr) -> PeerRefusal {
        let named = |node| Named::new(self.shared.identity.topology.newest(), node);
        let (from, me) = (named(self.peer), named(self.shared.identity.node));
        let error = HelloError::Replaced { from, me, newer };
        PeerRefusal::new(error.word(), &error)
    }

    /// Hands over all messages that have arrived as a whole.
    async fn take_frames(&mut self) -> Result<(), LinkError> {
        let mut messages = Vec::new();
        while let Some(frame) = self.decoder.next(&mut self.bytes)? {
            match frame.kind {
                FrameKind::Beat => {}
                FrameKind::Message => messages.push(self.decode(&frame.payload)?),
                FrameKind::FirstPart => {
                    // There may be no room at once: nobody waits for that.
                    self.hand_over(std::mem::take(&mut messages), RoomShare::default()).await?;
                    let (total, part) = self.assembly.begin(&frame.payload)?;
                    if total > self.shared.limits.message_bytes as u64 {
                        self.discard(Discarded::TooLarge);
                    }
                    self.take_part(&part).await?;
                }
                FrameKind::NextPart => {
                    self.hand_over(std::mem::take(&mut messages), RoomShare::default()).await?;
                    self.take_part(&frame.payload).await?;
                }
                FrameKind::Refusal => {
                    return Err(LinkError::Refused(PeerRefusal::decode(&frame.payload)));
                }
                FrameKind::Hello => return Err(LinkError::OutOfTurn),
            }
        }
        self.hand_over(messages, RoomShare::default()).await
    }

    async fn take_part(&mut self, part: &[u8]) -> Result<(), LinkError> {
        self.part_at = Instant::now();
        if self.assembly.keeps() {
            let room = self.shared.room.extend(&mut self.share, part.len());
            if !beating(&mut self.writer, room).await? {
                self.discard(Discarded::NoRoom);
            }
        }
        match self.assembly.add(part)? {
            Added::Unfinished | Added::Discarded => Ok(()),
            Added::Whole(whole) => {
                let message = self.decode(&whole)?;
                let share = std::mem::take(&mut self.share);
                self.hand_over(vec![message], share).await
            }
        }
    }

    /// Drops the unfinished message, counts it and logs it.
    fn discard(&mut self, why: Discarded) {
        let bytes = self.assembly.total().unwrap_or_default();
        self.assembly.discard();
        self.share = RoomShare::default();
        let PeersShared { metrics, limits, log_limiter, .. } = self.shared;
        metrics.on_discarded(why);
        let name = self.name.to_owned();
        let max = match why {
            Discarded::TooLarge => limits.message_bytes,
            Discarded::NoRoom => limits.receive_bytes,
        };
        log_limiter.tell(self.name, why.name(), move |repeated| match why {
            Discarded::TooLarge => tracing::error!(
                repeated,
                "peer {name}: a message of {bytes} bytes was discarded, because {max} are \
                 accepted: make value_bytes_max and siblings_max in [node], and peer_frame_bytes \
                 in [limits], the same on all nodes"
            ),
            Discarded::NoRoom => tracing::warn!(
                repeated,
                "peer {name}: a message of {bytes} bytes was discarded, because {max} of large \
                 messages are being received already (limits.peer_receive_bytes); it will come again"
            ),
        });
    }

    fn decode(&self, payload: &bytes::Bytes) -> Result<Message, LinkError> {
        let message = wire::decode(payload)?;
        if message.header.from != self.peer {
            return Err(LinkError::SpeaksFor(message.header.from));
        }
        self.shared.metrics.on_message(Direction::In, message.body.kind());
        Ok(message)
    }

    /// Gives messages to the core, with the room that they take until it has them.
    async fn hand_over(
        &mut self,
        messages: Vec<Message>,
        share: RoomShare,
    ) -> Result<(), LinkError> {
        if messages.is_empty() {
            return Ok(());
        }
        let given = self.shared.core.work(Work::Peer { messages, share });
        // The core has ended: so does this connection, soon.
        let _ended = beating(&mut self.writer, given).await?;
        Ok(())
    }
}

/// Waits for a future, and gives signs of life meanwhile.
async fn beating<T>(
    writer: &mut (impl AsyncWrite + Unpin),
    future: impl Future<Output = T>,
) -> Result<T, LinkError> {
    let mut future = pin!(future);
    loop {
        tokio::select! {
            biased;
            done = &mut future => return Ok(done),
            () = sleep(BEAT_PAUSE) => beat(writer).await?,
        }
    }
}
