//! Admission of reads: bounds those in the core by the bytes that their answers are likely to hold.
//!
//! The core keeps the answers of replicas until there are enough, and nobody knows how long a value
//! is before it was read. So each read is charged with an expected size, and waits when all that
//! are under way are expected to hold as much as they may together. Who waits is served in the
//! order in which it came. An admitted read ends within its time-out, so nobody waits for ever.
//!
//! The expected size grows at once with a longer value, read or written, and shrinks slowly with
//! short ones: for one connection within a hundred replies, for the node in steps of [`PERIOD`]. A
//! connection that has only read short values so far is charged an eighth of the longest that the
//! node has met.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The number of bytes that a permit stands for.
const UNIT_BYTES: usize = 1024;

/// The least charge of a read, in bytes.
const CHARGE_BYTES_MIN: usize = 16 * 1024;

/// The least value, in bytes, that a connection which has read nothing expects.
const FIRST_BYTES: usize = 64 * 1024;

/// The value, in bytes, that a node which has met none expects, if values may be as long.
const START_BYTES: usize = 256 * 1024;

/// The time in which the node may halve its longest value.
const PERIOD: Duration = Duration::from_secs(10);

/// The number of shorter values after which the node may halve its longest value.
const VALUES_PER_PERIOD: usize = 1_000;

/// The gate for all reads of a node.
#[derive(Debug)]
pub(super) struct ReadGate {
    permits: Arc<Semaphore>,
    units: u32,
    /// The longest recent value, in bytes.
    longest: AtomicUsize,
    /// The longest value of this period, in bytes; the next field counts the values.
    longest_now: AtomicUsize,
    values_now: AtomicUsize,
}

/// The reads of one connection. Their charges are given back when it is dropped.
pub(super) struct Reads {
    gate: Arc<ReadGate>,
    /// The length of the value that the next read is expected to find, in bytes.
    expected: usize,
    /// The permits of all admitted reads.
    charged: Option<OwnedSemaphorePermit>,
    /// The units of `charged` for a read that has not begun yet.
    spare: u32,
    waiting: Option<Pin<Box<dyn Future<Output = OwnedSemaphorePermit> + Send>>>,
}

/// The charge of an admitted read, in units; to be given back with [`Reads::end`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Charge(u32);

impl std::ops::AddAssign for Charge {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl ReadGate {
    /// Creates a gate for reads that hold so many bytes together, of values up to a length.
    pub(super) fn new(bytes_max: usize, value_bytes_max: usize) -> Arc<Self> {
        let units = u32::try_from(bytes_max / UNIT_BYTES).unwrap_or(u32::MAX).max(1);
        Arc::new(Self {
            permits: Arc::new(Semaphore::new(units as usize)),
            units,
            longest: AtomicUsize::new(value_bytes_max.min(START_BYTES)),
            longest_now: AtomicUsize::new(0),
            values_now: AtomicUsize::new(0),
        })
    }

    /// Learns the length of a value that was read or written.
    pub(super) fn learn(&self, bytes: usize) {
        self.values_now.fetch_add(1, Ordering::Relaxed);
        for longest in [&self.longest, &self.longest_now] {
            if bytes > longest.load(Ordering::Relaxed) {
                longest.fetch_max(bytes, Ordering::Relaxed);
            }
        }
    }

    /// Forgets the length of former values, period by period.
    pub(super) async fn forget(&self) {
        loop {
            tokio::time::sleep(PERIOD).await;
            self.end_period();
        }
    }

    fn end_period(&self) {
        if self.values_now.load(Ordering::Relaxed) < VALUES_PER_PERIOD {
            return;
        }
        self.values_now.store(0, Ordering::Relaxed);
        let longest_now = self.longest_now.swap(0, Ordering::Relaxed);
        let half = self.longest.load(Ordering::Relaxed) / 2;
        self.longest.store(half.max(longest_now), Ordering::Relaxed);
    }

    /// Creates the reads of a connection that has not read yet.
    pub(super) fn reads(self: &Arc<Self>) -> Reads {
        let expected = self.longest.load(Ordering::Relaxed).max(FIRST_BYTES);
        let gate = Arc::clone(self);
        Reads { gate, expected, charged: None, spare: 0, waiting: None }
    }
}

impl Reads {
    /// Admits one read, if there is room for it. If not, [`Reads::granted`] tells when to try
    /// again.
    pub(super) fn begin(&mut self) -> Option<Charge> {
        if self.spare > 0 {
            return Some(Charge(std::mem::take(&mut self.spare)));
        }
        if self.waiting.is_some() {
            return None;
        }
        let (permits, units) = (Arc::clone(&self.gate.permits), self.units());
        match Arc::clone(&permits).try_acquire_many_owned(units) {
            Ok(permit) => {
                self.charge(permit);
                Some(Charge(units))
            }
            Err(_no_room) => {
                self.waiting = Some(Box::pin(async move {
                    permits.acquire_many_owned(units).await.expect("the gate is never closed")
                }));
                None
            }
        }
    }

    /// Waits until [`Reads::begin`] admits the next read; for ever, if none waits. May be dropped
    /// and called again: the place in the line stays.
    pub(super) async fn granted(&mut self) {
        match &mut self.waiting {
            None => std::future::pending().await,
            Some(waiting) => {
                let permit = waiting.as_mut().await;
                self.waiting = None;
                self.spare = u32::try_from(permit.num_permits()).expect("so many were asked for");
                self.charge(permit);
            }
        }
    }

    /// Gives back the charge of reads that have been answered.
    pub(super) fn end(&mut self, Charge(units): Charge) {
        if units > 0 {
            let charged = self.charged.as_mut().expect("an admitted read was charged");
            drop(charged.split(units as usize).expect("no more is given back than was charged"));
        }
    }

    /// Learns the length of the value that a read found.
    pub(super) fn learn(&mut self, bytes: usize) {
        self.gate.learn(bytes);
        if bytes >= self.expected {
            self.expected = bytes;
        } else {
            self.expected -= (self.expected - bytes) / 16;
        }
    }

    /// The charge of the next read, in units.
    fn units(&self) -> u32 {
        let least = self.gate.longest.load(Ordering::Relaxed) / 8;
        let bytes = self.expected.max(least).max(CHARGE_BYTES_MIN);
        u32::try_from(bytes / UNIT_BYTES).unwrap_or(u32::MAX).min(self.gate.units)
    }

    fn charge(&mut self, permit: OwnedSemaphorePermit) {
        match &mut self.charged {
            Some(charged) => charged.merge(permit),
            None => self.charged = Some(permit),
        }
    }
}

impl std::fmt::Debug for Reads {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { gate: _, expected, charged, spare, waiting } = self;
        out.debug_struct("Reads")
            .field("expected", expected)
            .field("charged", charged)
            .field("spare", spare)
            .field("is_waiting", &waiting.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    /// Begins as many reads as are admitted at once.
    fn begin_all(reads: &mut Reads) -> Vec<Charge> {
        std::iter::from_fn(|| reads.begin()).collect()
    }

    #[test]
    fn no_more_reads_are_admitted_than_may_hold_what_is_expected() {
        let gate = ReadGate::new(32 * MIB, MIB);
        gate.learn(MIB);
        let mut reads = gate.reads();
        let charges = begin_all(&mut reads);
        assert_eq!(charges.len(), 32);
        reads.end(charges[0]);
        assert_eq!(gate.permits.available_permits(), 1024);
        drop(reads);
        assert_eq!(gate.permits.available_permits(), 32 * 1024);
    }

    #[test]
    fn a_read_that_is_expected_to_hold_more_than_all_may_goes_alone() {
        let gate = ReadGate::new(MIB, 64 * MIB);
        gate.learn(64 * MIB);
        assert_eq!(begin_all(&mut gate.reads()).len(), 1);
    }

    #[test]
    fn a_connection_that_reads_short_values_is_charged_less_and_for_a_long_one_more() {
        let gate = ReadGate::new(32 * MIB, MIB);
        gate.learn(MIB);
        let mut reads = gate.reads();
        for _ in 0..200 {
            reads.learn(10);
        }
        assert_eq!(reads.units() as usize, MIB / 8 / UNIT_BYTES);
        reads.learn(MIB);
        assert_eq!(reads.units() as usize, MIB / UNIT_BYTES);
    }

    #[test]
    fn the_node_forgets_long_values_only_when_it_has_met_many_short_ones() {
        let gate = ReadGate::new(32 * MIB, MIB);
        gate.learn(MIB);
        gate.end_period();
        assert_eq!(gate.longest.load(Ordering::Relaxed), MIB, "nothing was met");
        for expected in [MIB, MIB / 2, MIB / 4] {
            for _ in 0..VALUES_PER_PERIOD {
                gate.learn(10);
            }
            gate.end_period();
            assert_eq!(gate.longest.load(Ordering::Relaxed), expected);
        }
    }

    #[tokio::test]
    async fn who_waits_is_served_in_its_turn() {
        let gate = ReadGate::new(MIB, MIB);
        gate.learn(MIB);
        let (mut first, mut second, mut third) = (gate.reads(), gate.reads(), gate.reads());
        let charge = first.begin().expect("there is room for one");
        assert_eq!(second.begin(), None);
        assert_eq!(third.begin(), None);
        // Both stand in the line once they were polled.
        tokio::select! { biased; () = second.granted() => panic!("all is taken"), () = async {} => {} }
        tokio::select! { biased; () = third.granted() => panic!("all is taken"), () = async {} => {} }
        first.end(charge);
        second.granted().await;
        assert!(second.begin().is_some());
        drop(second);
        third.granted().await;
        assert!(third.begin().is_some());
    }
}
