//! Hashing for tables whose order never shows: the same in every run and on every machine, which
//! that of the standard library is not.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A table that is looked up and never walked through in its own order.
pub(crate) type Table<K, V> = HashMap<K, V, BuildHasherDefault<FoldHasher>>;

/// The golden ratio, as bits.
const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

/// A hasher that multiplies a key in word by word; of each product, the halves are folded over one
/// another, as in wyhash. Keys are short, and chosen by the simulator: nobody attacks these tables.
#[derive(Clone, Debug, Default)]
pub(crate) struct FoldHasher(u64);

impl Hasher for FoldHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    /// Out of line, as it is called in many places.
    #[inline(never)]
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks();
        for &word in words {
            self.write_u64(u64::from_le_bytes(word));
        }
        if rest.is_empty() {
            return;
        }
        // The last word overlaps the one before, if there are enough bytes.
        let word = match bytes.last_chunk() {
            Some(&word) => u64::from_le_bytes(word),
            None => rest.iter().fold(0, |word, &byte| word << 8 | u64::from(byte)),
        };
        self.write_u64(word);
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

    /// Adds the length that stands before bytes.
    fn write_usize(&mut self, length: usize) {
        self.0 = self.0.wrapping_add(length as u64);
    }
}

/// A hasher that gives each request a place: those that one maker numbers one after the other lie
/// near those that its neighbours make meanwhile. Tables take a place from the lower bits, and the
/// upper ones tell neighbours apart.
#[derive(Clone, Debug, Default)]
pub(crate) struct RequestHasher(u64);

impl RequestHasher {
    /// The number of bits of makers of neighbouring numbers that are laid side by side.
    const NEIGHBOURS_BITS: u32 = 6;
}

impl Hasher for RequestHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _bytes: &[u8]) {
        unreachable!("only numbers of requests are keys here");
    }

    fn write_u128(&mut self, request: u128) {
        let (low, high) = (request as u64, (request >> u64::BITS) as u64);
        let (number, maker) = (low & u64::from(u32::MAX), low >> u32::BITS);
        let (neighbourhood, door) =
            (maker >> Self::NEIGHBOURS_BITS, maker & ((1 << Self::NEIGHBOURS_BITS) - 1));
        let begin = (high ^ neighbourhood).wrapping_mul(ODD) >> 32;
        let place = begin + (number << Self::NEIGHBOURS_BITS) + door;
        self.0 = place ^ low.wrapping_mul(ODD) & !(u64::MAX >> 8);
    }
}

/// A hasher that takes the hash of an address as it is, since it is one already.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _bytes: &[u8]) {
        unreachable!("only hashes of 64 bits are keys here");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn place(maker: u128, number: u128) -> u64 {
        let mut hasher = RequestHasher::default();
        hasher.write_u128(1 << 64 | maker << 32 | number);
        hasher.finish() << 8 >> 8
    }

    #[test]
    fn requests_that_neighbours_number_alike_lie_side_by_side() {
        for (maker, number) in [(0, 1), (1, 1), (62, 1), (3, 70_000)] {
            assert_eq!(place(maker, number) + 1, place(maker + 1, number));
            assert_eq!(place(maker, number) + 64, place(maker, number + 1));
        }
    }

    #[test]
    fn requests_of_few_makers_do_not_share_places() {
        let makers = (0..64).flat_map(|maker| (0..100).map(move |number| (maker, number)));
        let places: BTreeSet<_> = makers.map(|(maker, number)| place(maker, number)).collect();
        assert_eq!(places.len(), 6_400);
    }

    #[test]
    fn bytes_of_any_length_have_a_hash_of_their_own() {
        let hash = |bytes: &[u8]| {
            let mut hasher = FoldHasher::default();
            hasher.write_usize(bytes.len());
            hasher.write(bytes);
            hasher.finish()
        };
        let bytes = (101..=140).collect::<Vec<u8>>();
        let hashes: BTreeSet<_> = (0..=bytes.len()).map(|length| hash(&bytes[..length])).collect();
        assert_eq!(hashes.len(), bytes.len() + 1);
    }
}
