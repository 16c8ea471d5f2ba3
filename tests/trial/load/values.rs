//! The value of each key, so that a read can be held against it. Values do not compress.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use super::base64;

/// So many different values there are. They lie over one another in one pool of random bytes.
const VALUES: u64 = 20_000;

/// Values begin at multiples of this, so that the text of one is a part of the text of all.
const GROUP: usize = 3;

/// The values of one size.
pub(crate) struct Values {
    pool: Vec<u8>,
    /// The pool in base64.
    text: Vec<u8>,
    bytes: usize,
}

impl Values {
    /// Values of so many bytes. They are the same for all loads: one reads what another wrote.
    pub(crate) fn new(bytes: usize) -> Self {
        let mut pool = vec![0; bytes + VALUES as usize * GROUP];
        ChaCha8Rng::seed_from_u64(0).fill_bytes(&mut pool);
        let mut text = Vec::new();
        base64::encode(&pool, &mut text);
        Self { pool, text, bytes }
    }

    /// The value of a key.
    pub(crate) fn of(&self, key: u64) -> &[u8] {
        &self.pool[Self::start(key)..][..self.bytes]
    }

    /// The same in base64: what can be taken from the text of all, and the rest.
    pub(crate) fn text_of(&self, key: u64) -> (&[u8], Vec<u8>) {
        let whole = self.bytes / GROUP * GROUP;
        let start = Self::start(key);
        let mut rest = Vec::new();
        base64::encode(&self.of(key)[whole..], &mut rest);
        (&self.text[start / GROUP * 4..][..whole / GROUP * 4], rest)
    }

    fn start(key: u64) -> usize {
        (key % VALUES) as usize * GROUP
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_value_is_its_base64() {
        for bytes in [1, 2, 3, 100, 101, 102] {
            let values = Values::new(bytes);
            for key in [0, 1, 19_999, 20_000, 123_456] {
                let (mut text, rest) = (Vec::new(), values.text_of(key));
                base64::encode(values.of(key), &mut text);
                assert_eq!([rest.0, &rest.1].concat(), text, "{bytes} bytes of key {key}");
            }
        }
    }

    #[test]
    fn neighbours_have_different_values() {
        let values = Values::new(100);
        assert_ne!(values.of(1), values.of(2));
        assert_eq!(values.of(1).len(), 100);
    }
}
