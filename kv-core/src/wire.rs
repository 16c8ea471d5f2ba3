//! The encoding of messages as bytes: format, kind, header, payload. The header and the payloads
//! are frozen per format version ([`crate::codec`]); the kind stands outside, so that an unknown
//! one is a clear error.
//!
//! Decoding never panics, never recurses with the input, and never allocates more than
//! [`DECODE_BYTES_PER_BYTE`] times the input: every count in the input is of things that take at
//! least one byte of it.

use alloc::vec::Vec;

use bytes::Bytes;
use thiserror::Error;

use crate::codec::{Codec, Malformed, Reader};
use crate::message::{Body, Header, Kind, Message};

/// The format version that this software writes and reads.
pub const FORMAT: u8 = 3;

/// A bound on the bytes that decoding allocates, per byte of input.
pub const DECODE_BYTES_PER_BYTE: usize = 256;

/// The reason for which bytes are not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum WireError {
    /// The bytes are fewer than the shortest message has.
    #[error("the message is cut short")]
    Short,
    /// The message was written by a version of this software that uses another format.
    #[error("the message has format {0}; this version reads format {FORMAT}")]
    Format(u8),
    /// The message is of a kind that this version does not know.
    #[error("the message is of kind {0}, which this version does not know")]
    Kind(u8),
    /// The header or the payload does not decode, or not to its canonical form.
    #[error("the message is malformed")]
    Malformed,
    /// Bytes lie behind the payload.
    #[error("the message has {0} bytes too many")]
    Trailing(usize),
}

/// Encodes a message as bytes.
pub fn encode(message: &Message) -> Bytes {
    let mut bytes = Vec::with_capacity(256);
    encode_into(message, &mut bytes);
    Bytes::from(bytes)
}

/// Appends the bytes of a message to a buffer.
pub fn encode_into(message: &Message, out: &mut Vec<u8>) {
    out.extend_from_slice(&[FORMAT, message.body.kind().number()]);
    message.header.encode(out);
    message.body.encode(out);
}

/// Decodes a message. Its values share the bytes.
///
/// # Errors
/// [`WireError`], if the bytes are not a message of this format.
pub fn decode(bytes: &Bytes) -> Result<Message, WireError> {
    let &[format, kind] = bytes.first_chunk().ok_or(WireError::Short)?;
    if format != FORMAT {
        return Err(WireError::Format(format));
    }
    let kind = Kind::from_number(kind).ok_or(WireError::Kind(kind))?;
    let mut input = Reader::sharing(bytes);
    input.take(2)?;
    let header = Header::decode(&mut input)?;
    let body = Body::decode(kind, &mut input)?;
    match input.rest() {
        [] => Ok(Message { header, body }),
        rest => Err(WireError::Trailing(rest.len())),
    }
}

impl From<Malformed> for WireError {
    fn from(Malformed: Malformed) -> Self {
        Self::Malformed
    }
}

#[cfg(test)]
mod tests;
