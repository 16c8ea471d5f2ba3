//! Socket operations that both ends of a connection share.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::error::LinkError;
use super::frame::{self, Decoder, Frame, FrameKind};
use super::refusal::PeerRefusal;
use crate::socket;

/// The silence after which the system asks whether the other side is there.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(5);

/// The time after which the system gives up a connection for unacknowledged bytes. Longer than
/// [`STUCK_MAX`]: that one knows more.
const USER_TIMEOUT: Duration = Duration::from_secs(15);

/// The bytes that the system may keep unsent, at most. Heartbeats cannot overtake them.
const UNSENT_BYTES_MAX: u32 = 64 * 1024;

/// The time within which the other side must take some of the bytes that wait for it.
pub(super) const STUCK_MAX: Duration = Duration::from_secs(10);

/// The time within which a refusal must arrive.
const GOODBYE: Duration = Duration::from_secs(1);

/// Sets the options of a socket.
pub(super) fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    socket::keep_alive(stream, KEEPALIVE_IDLE, USER_TIMEOUT)?;
    socket::limit_unsent(stream, UNSENT_BYTES_MAX)
}

/// Appends the bytes that have arrived, at least one and at most as many as `bytes` has room for.
/// Nothing is lost if the future is dropped.
pub(super) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    bytes: &mut BytesMut,
) -> Result<usize, LinkError> {
    match stream.read_buf(bytes).await {
        Ok(0) => Err(LinkError::Closed),
        Ok(count) => Ok(count),
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Err(LinkError::Closed),
        Err(error) => Err(LinkError::Broken(error)),
    }
}

/// Reads the next frame, of at most so many bytes of payload.
pub(super) async fn read_frame(
    stream: &mut (impl AsyncRead + Unpin),
    bytes: &mut BytesMut,
    payload_bytes_max: usize,
) -> Result<Frame, LinkError> {
    let decoder = Decoder::new(payload_bytes_max);
    loop {
        if let Some(frame) = decoder.next(bytes)? {
            return Ok(frame);
        }
        bytes.reserve(frame::HEADER_BYTES + payload_bytes_max);
        read(stream, bytes).await?;
    }
}

/// Writes all bytes. There is no deadline for the whole, only for progress.
pub(super) async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    mut bytes: &[u8],
) -> Result<(), LinkError> {
    let stuck = |_| LinkError::Stuck(STUCK_MAX);
    while !bytes.is_empty() {
        let count = timeout(STUCK_MAX, stream.write(bytes)).await.map_err(stuck)??;
        if count == 0 {
            return Err(LinkError::Closed);
        }
        bytes = &bytes[count..];
    }
    Ok(timeout(STUCK_MAX, stream.flush()).await.map_err(stuck)??)
}

/// Writes a sign of life.
pub(super) async fn beat(stream: &mut (impl AsyncWrite + Unpin)) -> Result<(), LinkError> {
    let mut bytes = BytesMut::new();
    frame::encode(FrameKind::Beat, &[], &mut bytes);
    write(stream, &bytes).await
}

/// Tells the other side why the connection ends, and gives it a moment to read that: closed at
/// once, with something unread, a connection may be reset before its last bytes are seen.
pub(super) async fn refuse(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    refusal: &PeerRefusal,
) {
    let goodbye = async {
        write(stream, &refusal.frame()).await?;
        stream.shutdown().await?;
        let mut rest = BytesMut::with_capacity(4_096);
        loop {
            rest.clear();
            read(stream, &mut rest).await?;
        }
    };
    // However it ends, it has ended.
    let _ended: Result<Result<(), LinkError>, _> = timeout(GOODBYE, goodbye).await;
}
