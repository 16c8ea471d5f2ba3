//! The invariants of a replica between two inputs.

use super::Replica;
use super::freshness::Freshness;

impl Replica {
    /// Checks what waits for the disk, and the requests that were taken at their word.
    ///
    /// # Panics
    /// If what must hold does not.
    pub fn invariants(&self) {
        let Self { clock: _, commands: _, acks, freshness, log: _ } = self;
        acks.invariants();
        freshness.invariants();
    }
}

impl Freshness {
    fn invariants(&self) {
        let Self { taken, by_time } = self;
        assert!(taken.len() == by_time.len(), "a request was taken at its word at two times");
        for &(_, from, operation) in by_time {
            assert!(
                taken.contains(&(from, operation)),
                "a request of {from:?} was taken at its word, and may be again"
            );
        }
    }
}
