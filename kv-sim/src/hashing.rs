//! Hashing for tables whose order never shows: fast, and the same in every run and on every machine,
//! which that of the standard library is not.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A table that is looked up and never walked through in its own order.
pub(crate) type Table<K, V> = HashMap<K, V, BuildHasherDefault<Xxh3Hasher>>;

/// The golden ratio, as bits.
const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

/// xxh3 over what a key is made of, piece by piece; a number is multiplied in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Xxh3Hasher(u64);

impl Hasher for Xxh3Hasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
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
