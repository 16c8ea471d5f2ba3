//! Frames: how bytes on a connection between peers become messages again. Pure: no socket is here.
//!
//! ```text
//!   0      3        4      5        8        12
//!   ┌──────┬────────┬──────┬────────┬────────┬─────────────────┐
//!   │ KVP  │ format │ kind │ length │ CRC-32 │ payload …       │     numbers are big-endian
//!   └──────┴────────┴──────┴────────┴────────┴─────────────────┘
//! ```
//! The checksum covers format, kind, length and payload. A stream that is wrong once cannot be
//! trusted to be right later: whoever reads it closes it.
//!
//! No frame is large. A message with more than [`PART_BYTES`] goes in parts (`assembly.rs`), and
//! other messages go between them.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use thiserror::Error;

/// The bytes with which every frame begins.
pub const MAGIC: [u8; 3] = *b"KVP";

/// The version of the frame itself; `kv_core::wire::FORMAT` is that of the messages.
pub const FORMAT: u8 = 2;

/// The number of bytes before the payload.
pub const HEADER_BYTES: usize = 12;

/// The largest message that goes in one piece, and the size of the parts of a larger one.
pub const PART_BYTES: usize = 64 * 1024;

/// The largest payload of a frame: a part, and the length of the whole before the first one.
pub const PAYLOAD_BYTES_MAX: usize = PART_BYTES + 8;

/// The kind of a frame's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FrameKind {
    /// The sender's hello (`hello.rs`). The first frame in either direction, and only that.
    Hello = 1,
    /// The reason why the sender closes this connection (`refusal.rs`).
    Refusal = 2,
    /// An empty payload, as a sign of life.
    Beat = 3,
    /// A whole message (`kv_core::wire`).
    Message = 4,
    /// The first part of a large message, after the length of the whole in 8 bytes.
    FirstPart = 5,
    /// A later part of the large message that has begun.
    NextPart = 6,
}

impl FrameKind {
    const ALL: [Self; 6] =
        [Self::Hello, Self::Refusal, Self::Beat, Self::Message, Self::FirstPart, Self::NextPart];

    fn of(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == number)
    }
}

/// A frame with its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The kind of the payload.
    pub kind: FrameKind,
    /// The payload, without the header.
    pub payload: Bytes,
}

/// The reason why a stream cannot be read any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// The bytes do not begin with [`MAGIC`].
    #[error("what arrived is no frame of a peer")]
    Magic,
    /// The sender frames its messages in another format.
    #[error(
        "the frame has format {0}, and this node reads format {FORMAT}: run the same version of \
         kv-node on all nodes"
    )]
    Format(u8),
    /// The kind is unknown in this format.
    #[error("the frame is of kind {0}, which this version does not know")]
    Kind(u8),
    /// The payload would be longer than is accepted here.
    #[error("the frame is said to have {bytes} bytes, and at most {max} are accepted")]
    Length {
        /// The length that the frame gives.
        bytes: usize,
        /// The largest length that is accepted.
        max: usize,
    },
    /// The checksum is wrong: the frame was changed on its way.
    #[error("the frame's checksum is wrong")]
    Checksum,
}

/// Appends a frame around the payload.
///
/// # Panics
/// If the payload has more than [`PAYLOAD_BYTES_MAX`] bytes: larger messages are cut before.
pub fn encode(kind: FrameKind, payload: &[u8], out: &mut BytesMut) {
    encode_pieces(kind, &[payload], out);
}

/// Appends a frame around a payload that lies in pieces.
///
/// # Panics
/// If the pieces have more than [`PAYLOAD_BYTES_MAX`] bytes together.
pub fn encode_pieces(kind: FrameKind, payload: &[&[u8]], out: &mut BytesMut) {
    let length: usize = payload.iter().map(|piece| piece.len()).sum();
    assert!(length <= PAYLOAD_BYTES_MAX, "larger messages are cut into parts");
    let kind = kind as u8;
    out.reserve(HEADER_BYTES + length);
    out.put_slice(&MAGIC);
    out.put_u8(FORMAT);
    out.put_u8(kind);
    out.put_uint(length as u64, 3);
    out.put_u32(checksum(kind, length, payload));
    payload.iter().for_each(|piece| out.put_slice(piece));
}

/// A reader of the frames in the bytes that have arrived so far.
#[derive(Clone, Copy, Debug)]
pub struct Decoder {
    payload_bytes_max: usize,
}

impl Decoder {
    /// Creates a decoder that accepts payloads of at most so many bytes.
    pub const fn new(payload_bytes_max: usize) -> Self {
        Self { payload_bytes_max }
    }

    /// Takes the next frame; `None` if it has not arrived as a whole. Then `buffer` is unchanged,
    /// and more is to be appended to it. Nothing is allocated on the word of a length.
    ///
    /// # Errors
    /// [`FrameError`], as soon as it can be told. The buffer is not changed; nothing more can be
    /// read from this stream.
    pub fn next(&self, buffer: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        let known = buffer.len().min(MAGIC.len());
        if buffer[..known] != MAGIC[..known] {
            return Err(FrameError::Magic);
        }
        if let Some(&format) = buffer.get(3).filter(|&&format| format != FORMAT) {
            return Err(FrameError::Format(format));
        }
        let Some(&number) = buffer.get(4) else { return Ok(None) };
        let kind = FrameKind::of(number).ok_or(FrameError::Kind(number))?;
        let Some(mut header) = buffer.get(5..HEADER_BYTES) else {
            return Ok(None);
        };
        let (bytes, sum) = (header.get_uint(3) as usize, header.get_u32());
        if bytes > self.payload_bytes_max {
            return Err(FrameError::Length { bytes, max: self.payload_bytes_max });
        }
        let Some(payload) = buffer.get(HEADER_BYTES..HEADER_BYTES + bytes) else {
            return Ok(None);
        };
        if checksum(number, bytes, &[payload]) != sum {
            return Err(FrameError::Checksum);
        }
        buffer.advance(HEADER_BYTES);
        Ok(Some(Frame { kind, payload: buffer.split_to(bytes).freeze() }))
    }
}

fn checksum(kind: u8, length: usize, payload: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[FORMAT, kind]);
    hasher.update(&(length as u32).to_be_bytes());
    payload.iter().for_each(|piece| hasher.update(piece));
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAX: usize = 1_000;

    fn framed(payloads: &[Vec<u8>]) -> BytesMut {
        let mut bytes = BytesMut::new();
        for payload in payloads {
            encode(FrameKind::Message, payload, &mut bytes);
        }
        bytes
    }

    /// Decodes all payloads in bytes that arrive in pieces of this size.
    fn decoded(bytes: &[u8], piece: usize) -> Result<Vec<Vec<u8>>, FrameError> {
        let (decoder, mut buffer, mut payloads) = (Decoder::new(MAX), BytesMut::new(), Vec::new());
        for piece in bytes.chunks(piece) {
            buffer.extend_from_slice(piece);
            while let Some(frame) = decoder.next(&mut buffer)? {
                assert_eq!(frame.kind, FrameKind::Message);
                payloads.push(frame.payload.to_vec());
            }
        }
        Ok(payloads)
    }

    #[test]
    fn a_frame_is_what_it_always_was() {
        let bytes = framed(&[b"hello".to_vec()]);
        assert_eq!(bytes[..8], *b"KVP\x02\x04\x00\x00\x05");
        assert_eq!(bytes[12..], *b"hello");
    }

    #[test]
    fn garbage_is_refused_at_its_first_byte() {
        assert_eq!(decoded(b"GET / HTTP/1.1\r\n", 1), Err(FrameError::Magic));
        assert_eq!(decoded(b"KVP\x01", 4), Err(FrameError::Format(1)));
        assert_eq!(decoded(b"KVP\x02\x09", 5), Err(FrameError::Kind(9)));
    }

    #[test]
    fn a_length_above_the_limit_is_refused_before_the_payload_arrives() {
        let bytes = framed(&[vec![0; MAX + 1]]);
        let error = FrameError::Length { bytes: MAX + 1, max: MAX };
        assert_eq!(decoded(&bytes[..HEADER_BYTES], HEADER_BYTES), Err(error));
    }

    proptest! {
        #[test]
        fn frames_arrive_as_they_were_sent_however_the_stream_is_cut(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..8),
            piece in 1..40_usize,
        ) {
            prop_assert_eq!(decoded(&framed(&payloads), piece), Ok(payloads));
        }

        #[test]
        fn a_changed_bit_is_noticed(payload in prop::collection::vec(any::<u8>(), 0..50), at: u16, bit in 0..8) {
            let mut bytes = framed(std::slice::from_ref(&payload));
            let at = usize::from(at) % bytes.len();
            bytes[at] ^= 1_u8 << bit;
            // A greater length makes it wait for what never comes; everything else is an error.
            let next = Decoder::new(MAX).next(&mut bytes);
            prop_assert!(matches!(next, Err(_) | Ok(None)), "{:?}", next);
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut framed = b"KVP\x02\x04".to_vec();
            framed.extend(&bytes);
            let _ = decoded(&framed, 7);
            let _ = decoded(&bytes, 7);
        }
    }
}
