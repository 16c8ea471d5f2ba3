//! Replies that a client has not taken yet, in pieces: none is moved when more come, and each gives
//! its memory back as soon as it was sent.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::mem;

use bytes::{Buf, BytesMut};

/// The size in bytes at which a piece is complete; a longer reply is a piece by itself.
const PIECE_BYTES: usize = 16 * 1024;

/// Replies that a client has not taken yet, in order. As a [`Buf`] it gives the first bytes.
#[derive(Debug, Default)]
pub struct Output {
    pieces: VecDeque<Piece>,
    /// The number of bytes in `pieces`.
    piece_bytes: usize,
    /// The memory of `pieces`, in bytes.
    piece_room: usize,
    /// The last piece, to which small replies are appended.
    tail: BytesMut,
}

#[derive(Debug)]
struct Piece {
    bytes: BytesMut,
    /// The memory that the piece takes until all of it was sent, in bytes.
    room: usize,
}

impl Output {
    /// The number of bytes that are to be sent.
    pub fn len(&self) -> usize {
        self.piece_bytes + self.tail.len()
    }

    /// Tells whether there is nothing to be sent.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The memory of all pieces and of the tail, in bytes.
    pub fn held_bytes(&self) -> usize {
        self.piece_room + self.tail.capacity()
    }

    /// Returns the tail, to which a reply is appended.
    pub fn tail(&mut self) -> &mut BytesMut {
        self.settle();
        &mut self.tail
    }

    /// Appends a whole reply.
    pub fn push(&mut self, reply: BytesMut) {
        if reply.len() < PIECE_BYTES {
            self.tail().extend_from_slice(&reply);
        } else {
            self.complete_tail();
            self.add(reply);
        }
    }

    /// Turns the tail into a piece if it has become long.
    pub fn settle(&mut self) {
        if self.tail.len() >= PIECE_BYTES {
            self.complete_tail();
        }
    }

    fn complete_tail(&mut self) {
        if !self.tail.is_empty() {
            let tail = mem::take(&mut self.tail);
            self.add(tail);
        }
    }

    fn add(&mut self, bytes: BytesMut) {
        let room = bytes.capacity();
        self.piece_bytes += bytes.len();
        self.piece_room += room;
        self.pieces.push_back(Piece { bytes, room });
    }
}

impl Buf for Output {
    fn remaining(&self) -> usize {
        self.len()
    }

    fn chunk(&self) -> &[u8] {
        self.pieces.front().map_or(&self.tail, |piece| &piece.bytes)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let tail = (!self.tail.is_empty()).then_some(&self.tail);
        let all = self.pieces.iter().map(|piece| &piece.bytes).chain(tail);
        let filled = slices.iter_mut().zip(all).map(|(slice, bytes)| *slice = IoSlice::new(bytes));
        filled.count()
    }

    fn advance(&mut self, mut count: usize) {
        while let Some(piece) = self.pieces.front_mut() {
            let sent = count.min(piece.bytes.len());
            piece.bytes.advance(sent);
            self.piece_bytes -= sent;
            count -= sent;
            if !piece.bytes.is_empty() {
                return;
            }
            self.piece_room -= piece.room;
            self.pieces.pop_front();
        }
        self.tail.advance(count);
        if self.tail.is_empty() {
            // Who had much to say once need not keep the room for it.
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(length: usize) -> BytesMut {
        (0..length).map(|n| (n % 251) as u8).collect()
    }

    #[test]
    fn bytes_leave_as_they_came_however_they_are_cut() {
        let (mut output, mut expected) = (Output::default(), Vec::new());
        for length in [1, PIECE_BYTES, 5, 3 * PIECE_BYTES, PIECE_BYTES - 1, 700, 20_000, 0, 9] {
            output.push(reply(length));
            expected.extend_from_slice(&reply(length));
            output.tail().extend_from_slice(b"+OK\r\n");
            expected.extend_from_slice(b"+OK\r\n");
        }
        assert_eq!(output.len(), expected.len());
        let mut sent = Vec::new();
        for step in (1..).map(|n| n * 37) {
            let mut slices = [IoSlice::new(&[]); 4];
            let count = output.chunks_vectored(&mut slices);
            let bytes: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.to_vec()).collect();
            let cut = step.min(bytes.len());
            sent.extend_from_slice(&bytes[..cut]);
            output.advance(cut);
            if output.is_empty() {
                break;
            }
        }
        assert!(sent == expected);
    }

    #[test]
    fn memory_is_counted_until_it_is_given_back() {
        let mut output = Output::default();
        assert_eq!(output.held_bytes(), 0);
        output.push(reply(100_000));
        output.push(reply(10));
        let all = output.held_bytes();
        assert!(all >= 100_010);
        output.advance(99_999);
        assert_eq!(output.held_bytes(), all, "a part of a piece gives nothing back");
        output.advance(1);
        assert!(output.held_bytes() < 1_000);
        output.advance(10);
        assert_eq!(output.held_bytes(), 0);
    }
}
