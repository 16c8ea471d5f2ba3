//! SHA-256 of bytes that lie in one piece, cut to 128 bits.
//!
//! Nearly all that is hashed here is short: a key, a value, a container without its values. The
//! general interface, which takes what comes piece by piece, spends as long on its buffer as on
//! hashing that.

use sha2::block_api::compress256;

const BLOCK_BYTES: usize = 64;

/// The state before the first block (FIPS 180-4, §5.3.3).
const BEGINNING: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// The first 128 bits of the SHA-256 of the bytes.
pub(crate) fn sha256_128(bytes: &[u8]) -> u128 {
    let mut state = BEGINNING;
    let (blocks, rest) = bytes.as_chunks::<BLOCK_BYTES>();
    if !blocks.is_empty() {
        compress256(&mut state, blocks);
    }
    // Behind the bytes come a bit, zeros to the end of a block, and the number of bits (§5.1.1).
    let mut end = [[0; BLOCK_BYTES]; 2];
    end[0][..rest.len()].copy_from_slice(rest);
    end[0][rest.len()] = 0x80;
    let blocks = if rest.len() < BLOCK_BYTES - 8 { 1 } else { 2 };
    let bits = 8 * bytes.len() as u64;
    end[blocks - 1][BLOCK_BYTES - 8..].copy_from_slice(&bits.to_be_bytes());
    compress256(&mut state, &end[..blocks]);
    state[..4].iter().fold(0, |first, &word| first << 32 | u128::from(word))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sha2::{Digest as _, Sha256};

    use super::*;

    proptest! {
        #[test]
        fn it_is_the_beginning_of_sha_256(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let hash = Sha256::digest(&bytes);
            prop_assert_eq!(&sha256_128(&bytes).to_be_bytes(), &hash[..16]);
        }
    }

    #[test]
    fn every_length_around_a_block_is_padded_as_it_should_be() {
        for length in 0..=3 * BLOCK_BYTES {
            let bytes = alloc::vec![7; length];
            assert_eq!(sha256_128(&bytes).to_be_bytes(), Sha256::digest(&bytes)[..16], "{length}");
        }
    }
}
