//! What peers say: listens, checks who comes, and hands their messages to the core.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kv_core::message::Message;
use kv_core::types::NodeId;
use kv_core::wire::{self, WireError};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

use super::frame::{self, Decoder, FrameError};
use super::hello::Hello;
use super::outgoing::LinkError;
use super::{PATIENCE, Shared};
use crate::core_loop::{Urgent, Work};
use crate::metrics::Direction;
use crate::tasks::Tasks;

/// The largest hello: it has a few numbers.
const HELLO_BYTES_MAX: usize = 256;

/// The pause after the system refused a connection (no more file descriptors, for one).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Room for one read.
const READ_BYTES: usize = 64 * 1024;

/// Why a peer is not listened to any more.
#[derive(Debug, Error)]
enum PeerError {
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error("{0}")]
    Message(#[from] WireError),
    #[error("it speaks for node {0}")]
    SpeaksFor(NodeId),
}

impl PeerError {
    /// The reason in one word, for metrics; `None` where the network is to blame.
    const fn word(&self) -> Option<&'static str> {
        match self {
            Self::Link(LinkError::Hello(error)) => Some(error.word()),
            Self::Link(LinkError::Frame(FrameError::Format(_))) => Some("format"),
            Self::Link(LinkError::Frame(_) | LinkError::OutOfTurn) => Some("garbage"),
            Self::Message(WireError::Format(_) | WireError::Kind(_)) => Some("format"),
            Self::Message(_) => Some("garbage"),
            Self::SpeaksFor(_) => Some("stranger"),
            Self::Link(
                LinkError::Dial(_) | LinkError::Broken(_) | LinkError::Closed | LinkError::TimedOut,
            ) => None,
        }
    }
}

/// Accepts peers until the node stops.
pub(super) async fn listen(listener: TcpListener, shared: Shared) {
    let mut stopping = shared.stopping.clone();
    let room = Arc::new(Semaphore::new(shared.limits.connections));
    let mut tasks = Tasks::default();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stopping.stopped() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, from)) => match Arc::clone(&room).try_acquire_owned() {
                Ok(permit) => tasks.spawn(hear(stream, from, shared.clone(), permit)),
                Err(_) => {
                    shared.metrics.on_rejected("too-many");
                    shared.complain(&from.ip().to_string(), &"too many connections");
                }
            },
            Err(error) => {
                let kind = error.to_string();
                shared.log_limiter.tell("peers", &kind, move |repeated| {
                    tracing::warn!(repeated, "a peer cannot be accepted: {error}");
                });
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn hear(stream: TcpStream, from: SocketAddr, shared: Shared, _permit: OwnedSemaphorePermit) {
    // Ports change with each attempt; a peer is known by where it comes from.
    let from = from.ip().to_string();
    let Err(error) = listen_to(stream, &from, &shared).await else { return };
    match error.word() {
        Some(word) => {
            shared.metrics.on_rejected(word);
            shared.complain(&from, &error);
        }
        None => tracing::debug!("peer {from}: {error}"),
    }
}

/// Listens to one peer. Ends without an error only when the node does.
async fn listen_to(mut stream: TcpStream, from: &str, shared: &Shared) -> Result<(), PeerError> {
    stream.set_nodelay(true).map_err(LinkError::from)?;
    let mut bytes = BytesMut::new();
    let peer = timeout(PATIENCE, welcome(&mut stream, &mut bytes, shared))
        .await
        .map_err(|_| LinkError::TimedOut)??;
    shared.log_limiter.over(from);
    let decoder = Decoder::new(shared.limits.frame_bytes);
    loop {
        let messages = decode(&decoder, &mut bytes, peer, shared)?;
        if !messages.is_empty() && shared.core.work(Work::Peer(messages)).await.is_err() {
            return Ok(());
        }
        if bytes.is_empty() {
            // Nothing is half way: an idle peer needs no room.
            bytes = BytesMut::new();
        }
        let count = read(&mut stream, &mut bytes, READ_BYTES).await?;
        shared.metrics.on_peer_bytes(Direction::In, count);
    }
}

/// Hears who comes, and answers.
async fn welcome(
    stream: &mut TcpStream,
    bytes: &mut BytesMut,
    shared: &Shared,
) -> Result<NodeId, LinkError> {
    let payload = read_frame(stream, bytes).await?.ok_or(LinkError::Closed)?;
    let hello = Hello::accept(&payload, &shared.identity, None).inspect_err(|error| {
        if let Some(peer) = Hello::speaker(&payload) {
            shared.core.tell(Urgent::Refused { peer, reason: error.word() });
        }
    })?;
    let mut answer = BytesMut::new();
    frame::encode(&Hello::new(&shared.identity, hello.from).encode(), &mut answer);
    stream.write_all(&answer).await?;
    stream.flush().await?;
    Ok(hello.from)
}

/// All messages that have arrived as a whole.
fn decode(
    decoder: &Decoder,
    bytes: &mut BytesMut,
    peer: NodeId,
    shared: &Shared,
) -> Result<Vec<Message>, PeerError> {
    let mut messages = Vec::new();
    while let Some(payload) = decoder.next(bytes).map_err(LinkError::from)? {
        let message = wire::decode(&payload)?;
        if message.header.from != peer {
            return Err(PeerError::SpeaksFor(message.header.from));
        }
        shared.metrics.on_message(Direction::In, message.body.kind());
        messages.push(message);
    }
    Ok(messages)
}

/// The first frame of a connection; `None` if it ended before.
pub(super) async fn read_frame(
    stream: &mut TcpStream,
    bytes: &mut BytesMut,
) -> Result<Option<Bytes>, LinkError> {
    let decoder = Decoder::new(HELLO_BYTES_MAX);
    loop {
        if let Some(payload) = decoder.next(bytes)? {
            return Ok(Some(payload));
        }
        match read(stream, bytes, HELLO_BYTES_MAX).await {
            Ok(_) => {}
            Err(LinkError::Closed) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
}

/// Appends what has arrived, at least one byte.
async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    bytes: &mut BytesMut,
    room: usize,
) -> Result<usize, LinkError> {
    bytes.reserve(room);
    match stream.read_buf(bytes).await {
        Ok(0) => Err(LinkError::Closed),
        Ok(count) => Ok(count),
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Err(LinkError::Closed),
        Err(error) => Err(LinkError::Broken(error)),
    }
}
