//! Keys, each with its place on the ring. A short key lies in place, a long one in memory that its
//! clones share.

use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};

use bytes::Bytes;

use crate::codec::{Codec, Malformed, Reader, encode_bytes};
use crate::types::Token;

/// A key: at most [`crate::types::KEY_BYTES_MAX`] arbitrary bytes.
///
/// A key holds its token, so that it is hashed once on each node. Keys are ordered by their bytes.
#[derive(Clone)]
pub struct Key {
    text: Text,
    token: Token,
}

/// The bytes of a key. Invariant: those that fit in place lie there.
#[derive(Clone)]
enum Text {
    Short { length: u8, bytes: [u8; SHORT_MAX] },
    Long(Bytes),
}

/// The most bytes of a key in place: as many as fit where a longer key has its pointers.
const SHORT_MAX: usize = 23;

impl Key {
    /// The key as clients know it.
    pub fn bytes(&self) -> &[u8] {
        self.text.bytes()
    }

    /// The position of the key on the ring.
    pub const fn token(&self) -> Token {
        self.token
    }
}

impl Text {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Short { length, bytes } => &bytes[..usize::from(*length)],
            Self::Long(bytes) => bytes,
        }
    }

    /// Some bytes in place, if they fit.
    fn short(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; SHORT_MAX];
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        Some(Self::Short { length: text.len() as u8, bytes })
    }
}

impl From<Text> for Key {
    fn from(text: Text) -> Self {
        let token = Token::of(text.bytes());
        Self { text, token }
    }
}

impl From<Bytes> for Key {
    fn from(bytes: Bytes) -> Self {
        Self::from(Text::short(&bytes).unwrap_or(Text::Long(bytes)))
    }
}

impl From<Vec<u8>> for Key {
    fn from(bytes: Vec<u8>) -> Self {
        Self::from(Text::short(&bytes).unwrap_or_else(|| Text::Long(bytes.into())))
    }
}

impl From<&[u8]> for Key {
    fn from(bytes: &[u8]) -> Self {
        let long = || Text::Long(Bytes::copy_from_slice(bytes));
        Self::from(Text::short(bytes).unwrap_or_else(long))
    }
}

impl From<&str> for Key {
    fn from(key: &str) -> Self {
        Self::from(key.as_bytes())
    }
}

impl Codec for Key {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_bytes(self.bytes(), out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        let length = input.count()?;
        let text = match input.rest().get(..length).and_then(Text::short) {
            Some(short) => {
                input.take(length)?;
                short
            }
            None => Text::Long(input.piece(length)?),
        };
        Ok(Self::from(text))
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes().cmp(other.bytes())
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Nothing else about a key is as evenly spread, and it is known.
        state.write_u64(self.token.high());
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.bytes().escape_ascii())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.bytes().escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_any_length_is_what_it_was_made_of() {
        for length in 0..=3 * SHORT_MAX {
            let bytes = (0..length as u8).collect::<Vec<_>>();
            let key = Key::from(&bytes[..]);
            assert_eq!(key.bytes(), bytes);
            assert_eq!(key.token(), Token::of(&bytes));
            assert_eq!(key, Key::from(bytes.clone()));
            assert_eq!(key, Key::from(Bytes::from(bytes)));
            let mut encoded = Vec::new();
            key.encode(&mut encoded);
            encoded.push(7);
            let mut input = Reader::new(&encoded);
            assert_eq!(Key::decode(&mut input), Ok(key));
            assert_eq!(input.rest(), [7]);
        }
    }

    #[test]
    fn a_key_that_is_cut_off_is_malformed() {
        for length in [1, SHORT_MAX, SHORT_MAX + 1] {
            let mut encoded = Vec::new();
            Key::from(&[1; SHORT_MAX + 1][..length]).encode(&mut encoded);
            encoded.pop();
            assert_eq!(Key::decode(&mut Reader::new(&encoded)), Err(Malformed));
        }
    }

    #[test]
    fn keys_have_the_order_of_their_bytes_whatever_their_lengths() {
        let keys = ["", "a", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "ab", "b"].map(Key::from);
        assert!(keys.is_sorted());
    }

    #[test]
    fn what_lies_in_place_takes_no_room_of_its_own() {
        assert_eq!(size_of::<Text>(), size_of::<Bytes>());
    }
}
