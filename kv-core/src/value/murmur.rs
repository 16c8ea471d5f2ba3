//! MurmurHash64A (Appleby, in the public domain), as HyperLogLogs of Redis use it: elements that are
//! counted in both set the same registers.

/// The seed of HyperLogLogs in Redis.
const SEED: u64 = 0xadc8_3b19;

const M: u64 = 0xc6a4_a793_5bd1_e995;
const R: u32 = 47;

/// The hash of an element.
pub(crate) fn murmur_hash_64a(bytes: &[u8]) -> u64 {
    let mut hash = SEED ^ (bytes.len() as u64).wrapping_mul(M);
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        let mixed = mix(u64::from_le_bytes(*word).wrapping_mul(M)).wrapping_mul(M);
        hash = (hash ^ mixed).wrapping_mul(M);
    }
    if !rest.is_empty() {
        let word = rest.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte));
        hash = (hash ^ word).wrapping_mul(M);
    }
    mix(mix(hash).wrapping_mul(M))
}

const fn mix(word: u64) -> u64 {
    word ^ word >> R
}
