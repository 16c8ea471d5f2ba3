//! Hashing for tables whose order never shows: fast, and the same in every run and on every machine,
//! which that of the standard library is not.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A table that is looked up and never walked through in its own order.
pub(crate) type Table<K, V> = HashMap<K, V, BuildHasherDefault<FoldHasher>>;

/// The golden ratio, as bits.
const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

/// What a key is made of, multiplied in word by word; of each product, the halves are folded over one
/// another, as in wyhash. Keys are short, and chosen by the simulator: nobody attacks these tables.
#[derive(Clone, Debug, Default)]
pub(crate) struct FoldHasher(u64);

impl Hasher for FoldHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks();
        for &word in words {
            self.write_u64(u64::from_le_bytes(word));
        }
        if !rest.is_empty() {
            let word = rest.iter().fold(0, |word, &byte| word << 8 | u64::from(byte));
            self.write_u64(word);
        }
    }

    fn write_u64(&mut self, number: u64) {
        let product = u128::from(self.0 ^ number) * u128::from(ODD);
        self.0 = (product >> 64) as u64 ^ product as u64;
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    fn write_u128(&mut self, number: u128) {
        self.write_u64(number as u64);
        self.write_u64((number >> 64) as u64);
    }

    /// The length that stands before bytes.
    fn write_usize(&mut self, length: usize) {
        self.0 = self.0.wrapping_add(length as u64);
    }
}
