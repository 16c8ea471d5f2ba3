//! Chance in a real node: a stream that the operating system seeds at each start.
//!
//! The simulator needs draws that are functions of their address. A node needs that no two of them,
//! on no two nodes and in no two runs, have anything to do with each other.

use kv_core::cx::{Draw, Purpose};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

/// A stream of random numbers that this run of this node shares with no other.
#[derive(Debug)]
pub struct Draws(ChaCha8Rng);

impl Draws {
    /// Seeds a new stream from the operating system.
    ///
    /// # Errors
    /// The operating system has no randomness to give: a node without it must not start.
    pub fn from_os() -> Result<Self, getrandom::Error> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)?;
        Ok(Self(ChaCha8Rng::from_seed(seed)))
    }

    /// Draws a number below `bound`, for uses outside of the core. Not quite uniform.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0.next_u64() % bound.max(1)
    }
}

impl Draw for Draws {
    fn u64(&mut self, purpose: Purpose, subject: u64) -> u64 {
        self.0.next_u64() ^ subject ^ ((purpose as u64) << 56)
    }
}
