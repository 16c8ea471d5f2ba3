//! Large messages, put together from their parts. Pure.
//!
//! A sender finishes one large message before it begins the next, so that a connection has one
//! unfinished message at most. One that is too large, or for which there is no room, is
//! *discarded*: its parts are taken and forgotten, and the connection goes on. Closing it would
//! make the sender send the same bytes again, for ever.

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;

/// The unfinished message of a connection, if there is one.
#[derive(Debug, Default)]
pub struct Assembly(AssemblyState);

#[derive(Debug, Default)]
enum AssemblyState {
    #[default]
    Empty,
    Growing {
        total: u64,
        bytes: BytesMut,
    },
    Discarding {
        total: u64,
        left: u64,
    },
}

/// The state of a message after a part was added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Added {
    /// More parts are to follow.
    Unfinished,
    /// The message is whole.
    Whole(Bytes),
    /// The last part of a message that was discarded has arrived.
    Discarded,
}

/// The reason why parts do not make a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PartError {
    /// The first part does not say how long the whole is, or a part is empty.
    #[error("a part of a large message is cut short")]
    Short,
    /// A large message begins before the last one has ended.
    #[error("a large message begins within another")]
    Nested,
    /// A part of a message that has not begun.
    #[error("a part of a large message lacks the first one")]
    Orphan,
    /// The parts are longer than the whole was said to be.
    #[error("a large message is longer than it was said to be")]
    Long,
}

impl Assembly {
    /// The number of bytes that are reserved for a length before any of them has arrived; more are
    /// reserved as parts arrive.
    const RESERVED_BYTES_MAX: u64 = 1 << 20;

    /// Begins a message with the payload of its first part; returns the length of the whole and the
    /// bytes that are to be [added](Self::add) first.
    ///
    /// # Errors
    /// [`PartError`]: nothing more can be read from this connection.
    pub fn begin(&mut self, payload: &Bytes) -> Result<(u64, Bytes), PartError> {
        let AssemblyState::Empty = self.0 else { return Err(PartError::Nested) };
        let mut part = payload.clone();
        let total = part.try_get_u64().map_err(|_| PartError::Short)?;
        let reserved = total.min(Self::RESERVED_BYTES_MAX) as usize;
        self.0 = AssemblyState::Growing { total, bytes: BytesMut::with_capacity(reserved) };
        Ok((total, part))
    }

    /// Adds the next part.
    ///
    /// # Errors
    /// [`PartError`]: nothing more can be read from this connection.
    pub fn add(&mut self, part: &[u8]) -> Result<Added, PartError> {
        let length = part.len() as u64;
        if length == 0 {
            return Err(PartError::Short);
        }
        match &mut self.0 {
            AssemblyState::Empty => Err(PartError::Orphan),
            AssemblyState::Growing { total, bytes } => {
                let missing = *total - bytes.len() as u64;
                if length > missing {
                    return Err(PartError::Long);
                }
                bytes.extend_from_slice(part);
                if length < missing {
                    return Ok(Added::Unfinished);
                }
                let whole = std::mem::take(bytes).freeze();
                self.0 = AssemblyState::Empty;
                Ok(Added::Whole(whole))
            }
            AssemblyState::Discarding { total: _, left } => {
                *left = left.checked_sub(length).ok_or(PartError::Long)?;
                if *left > 0 {
                    return Ok(Added::Unfinished);
                }
                self.0 = AssemblyState::Empty;
                Ok(Added::Discarded)
            }
        }
    }

    /// Drops the bytes of the unfinished message; the rest of it is dropped on arrival.
    pub fn discard(&mut self) {
        if let AssemblyState::Growing { total, bytes } = &self.0 {
            let (total, left) = (*total, *total - bytes.len() as u64);
            self.0 = AssemblyState::Discarding { total, left };
        }
    }

    /// Tells whether parts are kept, and not dropped.
    pub const fn keeps(&self) -> bool {
        matches!(self.0, AssemblyState::Growing { .. })
    }

    /// The length of the unfinished message.
    pub const fn total(&self) -> Option<u64> {
        match &self.0 {
            AssemblyState::Empty => None,
            AssemblyState::Growing { total, .. } | AssemblyState::Discarding { total, .. } => {
                Some(*total)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(total: u64, part: &[u8]) -> Bytes {
        Bytes::from([&total.to_be_bytes(), part].concat())
    }

    fn begun(total: u64, part: &[u8]) -> (Assembly, Result<Added, PartError>) {
        let mut assembly = Assembly::default();
        let (said, part) = assembly.begin(&first(total, part)).expect("it is well-formed");
        assert_eq!(said, total);
        let added = assembly.add(&part);
        (assembly, added)
    }

    #[test]
    fn parts_become_the_message_that_they_were_cut_from() {
        let (mut assembly, added) = begun(7, b"one");
        assert_eq!(added, Ok(Added::Unfinished));
        assert_eq!(assembly.add(b"tw"), Ok(Added::Unfinished));
        assert_eq!(assembly.add(b"o!"), Ok(Added::Whole(Bytes::from_static(b"onetwo!"))));
        assert_eq!(assembly.total(), None);
        assert!(assembly.begin(&first(1, b"x")).is_ok(), "the next one may begin");
    }

    #[test]
    fn what_is_discarded_is_forgotten_to_its_end_and_the_next_message_is_whole() {
        let (mut assembly, _) = begun(9, b"one");
        assembly.discard();
        assert!(!assembly.keeps());
        assert_eq!(assembly.add(b"two"), Ok(Added::Unfinished));
        assert_eq!(assembly.add(b"six"), Ok(Added::Discarded));
        let (_, part) = assembly.begin(&first(1, b"x")).expect("the last one has ended");
        assert_eq!(assembly.add(&part), Ok(Added::Whole(Bytes::from_static(b"x"))));
    }

    #[test]
    fn parts_out_of_order_are_refused() {
        assert_eq!(Assembly::default().add(b"x"), Err(PartError::Orphan));
        assert_eq!(
            Assembly::default().begin(&Bytes::from_static(b"1234567")),
            Err(PartError::Short)
        );
        assert_eq!(begun(0, b"").1, Err(PartError::Short));
        assert_eq!(begun(2, b"xyz").1, Err(PartError::Long));
        let (mut assembly, _) = begun(3, b"x");
        assert_eq!(assembly.begin(&first(1, b"x")), Err(PartError::Nested));
        assembly.discard();
        assert_eq!(assembly.add(b"xyz"), Err(PartError::Long));
    }

    #[test]
    fn a_length_alone_takes_no_more_than_a_little_memory() {
        let mut assembly = Assembly::default();
        assembly.begin(&first(u64::MAX, b"x")).expect("nothing is refused for its length here");
        let AssemblyState::Growing { bytes, .. } = &assembly.0 else { panic!("it has begun") };
        assert!(bytes.capacity() as u64 <= 2 * Assembly::RESERVED_BYTES_MAX);
    }
}
