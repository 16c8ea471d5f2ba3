//! Traffic over the whole run: counts per slice of time.
//!
//! The slices are few. When a run outlasts them, two become one and each is twice as long.

use serde::Serialize;

use crate::cluster::world_time::WorldTime;

/// The most slices that there are.
const SLICES_MAX: usize = 400;
/// The length of a slice at first, in microseconds.
const SLICE_US: u64 = 1_000;

/// The counts of one slice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// The number of messages that arrived.
    pub received: u32,
    /// The number of messages that were lost.
    pub lost: u32,
    /// The number of operations that were answered.
    pub answered: u32,
    /// The number of operations that failed: refused, unheard, or with an end that nobody knows.
    pub failed: u32,
}

/// The counts of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Traffic {
    /// The length of a slice, in microseconds.
    pub slice_us: u64,
    /// The slices, from the beginning of the run on.
    pub slices: Vec<Counts>,
}

impl Default for Traffic {
    fn default() -> Self {
        Self { slice_us: SLICE_US, slices: Vec::new() }
    }
}

impl Traffic {
    /// The counts of the slice that a moment lies in.
    pub fn at(&mut self, at: WorldTime) -> &mut Counts {
        while at.0 / self.slice_us >= SLICES_MAX as u64 {
            self.slices = self.slices.chunks(2).map(Counts::sum).collect();
            self.slice_us *= 2;
        }
        let slice = (at.0 / self.slice_us) as usize;
        if self.slices.len() <= slice {
            self.slices.resize(slice + 1, Counts::default());
        }
        &mut self.slices[slice]
    }
}

impl Counts {
    fn sum(counts: &[Self]) -> Self {
        let mut sum = Self::default();
        for Self { received, lost, answered, failed } in counts {
            sum.received += received;
            sum.lost += lost;
            sum.answered += answered;
            sum.failed += failed;
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_long_a_run_is_its_slices_are_few_and_nothing_is_uncounted() {
        let mut traffic = Traffic::default();
        for at in 0..100_000 {
            traffic.at(WorldTime(at * 997)).received += 1;
        }
        assert!((SLICES_MAX / 2..=SLICES_MAX).contains(&traffic.slices.len()));
        let sum: u32 = traffic.slices.iter().map(|slice| slice.received).sum();
        assert_eq!(sum, 100_000);
    }
}
