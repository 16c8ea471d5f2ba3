//! A connection of a load, and what has come in on it.

use std::io::{self, ErrorKind};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Shared;
use super::protocol::{LoadOperation, Verdict};
use super::resp::{self, Reply};

/// The bytes that one read makes room for.
const READ_BYTES: usize = 16 * 1_024;

/// An open connection.
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    pub(super) input: LoadInput,
}

impl Connection {
    /// Opens the connection of this number, and greets.
    pub(super) async fn open(shared: &Shared, index: usize) -> io::Result<Self> {
        let load = &shared.load;
        let stream = TcpStream::connect(&load.addresses[index % load.addresses.len()]).await?;
        stream.set_nodelay(true)?;
        let mut connection = Self { stream, input: LoadInput(BytesMut::new()) };
        if let Some(greeting) = load.protocol.greeting() {
            connection.stream.write_all(&greeting).await?;
            connection.input.greeted(&mut connection.stream).await?;
        }
        Ok(connection)
    }
}

/// Bytes that have come in and are not looked at yet.
pub(super) struct LoadInput(BytesMut);

impl LoadInput {
    /// What the next answer says, which is one to this operation.
    pub(super) async fn verdict(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        shared: &Shared,
        operation: &LoadOperation,
    ) -> io::Result<Verdict> {
        loop {
            let decoded = shared.load.protocol.decode(operation, &shared.values, &self.0)?;
            if let Some((verdict, length)) = decoded {
                self.0.advance(length);
                return Ok(verdict);
            }
            self.read(stream).await?;
        }
    }

    async fn greeted(&mut self, stream: &mut TcpStream) -> io::Result<()> {
        loop {
            if let Some((reply, length)) = resp::parse(&self.0)? {
                let said = self.0.split_to(length);
                return match reply {
                    Reply::Error => Err(io::Error::other(String::from_utf8_lossy(&said))),
                    Reply::Status | Reply::Integers(_) | Reply::Bulk => Ok(()),
                };
            }
            self.read(stream).await?;
        }
    }

    async fn read(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
        // What is there of a long answer is doubled, so that it is not moved too often.
        self.0.reserve(READ_BYTES.max(self.0.len()));
        match stream.read_buf(&mut self.0).await? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}
