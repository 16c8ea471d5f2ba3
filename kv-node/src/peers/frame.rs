//! Frames: how bytes on a connection between peers become messages again. Pure: no socket is here.
//!
//! ```text
//!   0      3        4        8        12
//!   ┌──────┬────────┬────────┬────────┬─────────────────┐
//!   │ KVP  │ format │ length │ CRC-32 │ payload …       │     numbers are big-endian
//!   └──────┴────────┴────────┴────────┴─────────────────┘
//! ```
//! The checksum covers format, length and payload. The first payload on a connection is a hello
//! (`hello.rs`), every later one a message (`kv_core::wire`). A stream that is wrong once cannot be
//! trusted to be right later: whoever reads it closes it.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use thiserror::Error;

/// What every frame begins with.
pub const MAGIC: [u8; 3] = *b"KVP";

/// The version of the frame itself; that of the messages is `kv_core::wire::FORMAT`.
pub const FORMAT: u8 = 1;

/// Bytes before the payload.
pub const HEADER_BYTES: usize = 12;

/// Why a stream is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// No frame of ours begins like this.
    #[error("what arrived is no frame of a peer")]
    Magic,
    /// The sender's software frames its messages in another way.
    #[error("the frame has format {0}; this version reads format {FORMAT}")]
    Format(u8),
    /// The payload would be longer than is accepted.
    #[error("the frame is said to have {bytes} bytes, and at most {max} are accepted")]
    Length {
        /// The length in the frame.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// The frame was changed on its way.
    #[error("the frame's checksum is wrong")]
    Checksum,
}

/// Appends a frame around the payload.
///
/// # Panics
/// If the payload has 4 GiB or more: the limits of keys, values and batches lie far below.
pub fn encode(payload: &[u8], out: &mut BytesMut) {
    let length = u32::try_from(payload.len()).expect("messages are far smaller than 4 GiB");
    out.reserve(HEADER_BYTES + payload.len());
    out.put_slice(&MAGIC);
    out.put_u8(FORMAT);
    out.put_u32(length);
    out.put_u32(checksum(FORMAT, length, payload));
    out.put_slice(payload);
}

/// Takes frames out of what has arrived so far.
#[derive(Clone, Copy, Debug)]
pub struct Decoder {
    payload_bytes_max: usize,
}

impl Decoder {
    /// A decoder that accepts payloads of at most so many bytes.
    pub const fn new(payload_bytes_max: usize) -> Self {
        Self { payload_bytes_max }
    }

    /// The payload of the next frame; `None` if it has not arrived as a whole. Then `buffer` is as
    /// before, and more is to be appended to it. Nothing is allocated on the word of a length.
    ///
    /// # Errors
    /// [`FrameError`], as soon as it can be told. The buffer is not changed; nothing more can be
    /// read from this stream.
    pub fn next(&self, buffer: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
        let known = buffer.len().min(MAGIC.len());
        if buffer[..known] != MAGIC[..known] {
            return Err(FrameError::Magic);
        }
        if let Some(&format) = buffer.get(3).filter(|&&format| format != FORMAT) {
            return Err(FrameError::Format(format));
        }
        let Some(mut header) = buffer.get(4..HEADER_BYTES) else {
            return Ok(None);
        };
        let (length, sum) = (header.get_u32(), header.get_u32());
        let bytes = length as usize;
        if bytes > self.payload_bytes_max {
            return Err(FrameError::Length { bytes, max: self.payload_bytes_max });
        }
        let Some(payload) = buffer.get(HEADER_BYTES..HEADER_BYTES + bytes) else {
            return Ok(None);
        };
        if checksum(FORMAT, length, payload) != sum {
            return Err(FrameError::Checksum);
        }
        buffer.advance(HEADER_BYTES);
        Ok(Some(buffer.split_to(bytes).freeze()))
    }
}

fn checksum(format: u8, length: u32, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[format]);
    hasher.update(&length.to_be_bytes());
    hasher.update(payload);
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
            encode(payload, &mut bytes);
        }
        bytes
    }

    /// All payloads in bytes that arrive in pieces of this size.
    fn decoded(bytes: &[u8], piece: usize) -> Result<Vec<Vec<u8>>, FrameError> {
        let (decoder, mut buffer, mut payloads) = (Decoder::new(MAX), BytesMut::new(), Vec::new());
        for piece in bytes.chunks(piece) {
            buffer.extend_from_slice(piece);
            while let Some(payload) = decoder.next(&mut buffer)? {
                payloads.push(payload.to_vec());
            }
        }
        Ok(payloads)
    }

    #[test]
    fn a_frame_is_what_it_always_was() {
        let bytes = framed(&[b"hello".to_vec()]);
        assert_eq!(bytes[..8], *b"KVP\x01\x00\x00\x00\x05");
        assert_eq!(bytes[12..], *b"hello");
    }

    #[test]
    fn garbage_is_refused_at_its_first_byte() {
        assert_eq!(decoded(b"GET / HTTP/1.1\r\n", 1), Err(FrameError::Magic));
        assert_eq!(decoded(b"KVP\x02", 4), Err(FrameError::Format(2)));
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
            prop_assert_ne!(decoded(&bytes, bytes.len()), Ok(vec![payload]));
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut framed = b"KVP\x01".to_vec();
            framed.extend(&bytes);
            let _ = decoded(&framed, 7);
            let _ = decoded(&bytes, 7);
        }
    }
}
