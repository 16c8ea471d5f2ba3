//! The chance of one history: draws of its seed, one after the other.

use kv_core::sampling::{between, mix};

/// The draws of a seed.
#[derive(Clone, Debug)]
pub(super) struct TortureChance {
    seed: u64,
    drawn: u64,
}

impl TortureChance {
    pub(super) const fn new(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    fn draw(&mut self) -> u64 {
        self.drawn += 1;
        mix(&[self.seed, self.drawn])
    }

    /// A number in `0..n`; 0 if there is none.
    pub(super) fn below(&mut self, n: usize) -> usize {
        // The result is smaller than `n`, so it fits.
        between(self.draw(), 0, (n as u64).saturating_sub(1)) as usize
    }

    /// A number in `min..=max`.
    pub(super) fn between(&mut self, min: usize, max: usize) -> usize {
        min + self.below(max - min + 1)
    }

    /// Comes true in so many of a hundred cases.
    pub(super) fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of the things, if there is one.
    pub(super) fn one_of<'a, T>(&mut self, things: &'a [T]) -> Option<&'a T> {
        things.get(self.below(things.len()))
    }
}
