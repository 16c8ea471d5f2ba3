//! The bytes that all connections of clients may hold together.
//!
//! Each connection has a [`BudgetShare`], which says what the connection holds: requests that have
//! arrived, whole or not, what is gathered for their replies, and replies that the client has not
//! taken. Nobody is made to wait by the budget itself: who may not grow ([`BudgetShare::may_grow`]) takes
//! nothing new, and who is answered keeps no more than there is room for ([`BudgetShare::room`]).
//!
//! Invariants: what is used is the sum of all shares, each rounded down to [`STEP_BYTES`]. The last
//! eighth is for connections that hold little, so that a few large ones cannot starve all others,
//! and for small answers to what the large ones have already asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// The step in which shares are counted, so that connections which hold little do not meet at the
/// counter with each command.
const STEP_BYTES: usize = 4 * 1024;

/// The bytes up to which a connection holds little.
pub(super) const LITTLE_BYTES: usize = 64 * 1024;

/// The bytes up to which an answer is small.
const SMALL_BYTES: usize = 4 * 1024;

/// The part of the budget, as one of so many, that is for connections that hold little.
const RESERVE_PART: usize = 8;

/// The bytes that all connections may hold, and those that they hold.
#[derive(Debug)]
pub(super) struct Budget {
    max: usize,
    used: AtomicUsize,
    /// A signal to those that wait for room that some was given back.
    given_back: Notify,
}

/// The bytes that one connection holds. Given back when it is dropped.
#[derive(Debug)]
pub(super) struct BudgetShare {
    budget: Arc<Budget>,
    bytes: usize,
    /// The part of `bytes` that was counted.
    counted: usize,
}

impl Budget {
    /// Creates a budget of so many bytes.
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, used: AtomicUsize::new(0), given_back: Notify::new() })
    }

    /// Creates a share that holds nothing yet.
    pub(super) fn share(self: &Arc<Self>) -> BudgetShare {
        BudgetShare { budget: Arc::clone(self), bytes: 0, counted: 0 }
    }

    /// The number of bytes that are held.
    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Tells whether only connections that hold little may hold more.
    pub(super) fn is_tight(&self) -> bool {
        self.used() >= self.max_for_large()
    }

    /// Waits until bytes are given back after this call, if the budget was tight until then.
    pub(super) fn given_back(&self) -> Notified<'_> {
        self.given_back.notified()
    }

    const fn max_for_large(&self) -> usize {
        self.max - self.max / RESERVE_PART
    }

    fn count(&self, before: usize, after: usize) {
        if after > before {
            self.used.fetch_add(after - before, Ordering::Relaxed);
        } else if after < before {
            let used = self.used.fetch_sub(before - after, Ordering::Relaxed);
            if used >= self.max_for_large() {
                self.given_back.notify_waiters();
            }
        }
    }
}

impl BudgetShare {
    /// Sets the bytes that the connection holds now.
    pub(super) fn set(&mut self, bytes: usize) {
        self.bytes = bytes;
        let counted = bytes / STEP_BYTES * STEP_BYTES;
        if counted != self.counted {
            self.budget.count(self.counted, counted);
            self.counted = counted;
        }
    }

    /// The bytes that the connection holds.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Tells whether the connection may take more from its client.
    pub(super) fn may_grow(&self) -> bool {
        let max =
            if self.bytes < LITTLE_BYTES { self.budget.max } else { self.budget.max_for_large() };
        self.budget.used() < max
    }

    /// The bytes of an answer that the connection may keep beside those it holds.
    pub(super) fn room(&self) -> usize {
        let free_for = |max: usize| max.saturating_sub(self.budget.used());
        let least = LITTLE_BYTES.saturating_sub(self.bytes).max(SMALL_BYTES);
        free_for(self.budget.max_for_large()).max(least.min(free_for(self.budget.max)))
    }
}

impl Drop for BudgetShare {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 8 * 1024 * 1024;

    #[test]
    fn what_is_used_is_the_sum_of_the_shares_and_comes_back_with_them() {
        let budget = Budget::new(MAX);
        let (mut one, mut other) = (budget.share(), budget.share());
        one.set(10 * STEP_BYTES);
        other.set(5 * STEP_BYTES + 1);
        assert_eq!(budget.used(), 15 * STEP_BYTES);
        one.set(STEP_BYTES);
        assert_eq!(budget.used(), 6 * STEP_BYTES);
        drop(other);
        assert_eq!(budget.used(), STEP_BYTES);
        one.set(STEP_BYTES - 1);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn the_last_part_is_for_those_that_hold_little() {
        let budget = Budget::new(MAX);
        let (mut large, mut small) = (budget.share(), budget.share());
        assert_eq!(large.room(), MAX / 8 * 7);
        large.set(MAX / 8 * 7);
        assert!(budget.is_tight());
        assert!(!large.may_grow() && small.may_grow());
        assert_eq!(large.room(), SMALL_BYTES);
        assert_eq!(small.room(), LITTLE_BYTES);
        small.set(LITTLE_BYTES);
        assert!(!small.may_grow());
        large.set(2 * MAX);
        small.set(0);
        assert!(!small.may_grow(), "there is nothing left");
        assert_eq!((large.room(), small.room()), (0, 0));
    }

    #[tokio::test]
    async fn who_waits_hears_when_room_was_given_back() {
        let budget = Budget::new(MAX);
        let mut share = budget.share();
        share.set(MAX);
        let given_back = budget.given_back();
        share.set(0);
        given_back.await;
    }
}
