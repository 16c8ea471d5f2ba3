//! The choice of the connections to the HTTP interface that may stay when there are many.
//!
//! A connection is *busy* while a request that has arrived as a whole is answered, and *idle* else:
//! before its first request, between two, and while one is half sent. When a connection too many
//! comes, the one that has been idle for longest goes; if all are busy, the one that has been busy
//! for longest. So whoever holds connections cannot keep a health check out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::stop::{self, Stopper, Stopping};

/// The connections of the interface, at most as many as it was created for.
#[derive(Clone, Debug)]
pub(super) struct Pool(Arc<SharedPool>);

#[derive(Debug)]
struct SharedPool {
    connections_max: usize,
    state: Mutex<PoolState>,
}

#[derive(Debug, Default)]
struct PoolState {
    /// The number of the next connection.
    next: u64,
    connections: BTreeMap<u64, PooledConnection>,
}

#[derive(Debug)]
struct PooledConnection {
    activity: PoolRank,
    since: Instant,
    /// The link to the connection: dropped when the connection must go.
    _keeps: Stopper,
}

/// The activity of a connection. The least goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum PoolRank {
    Idle,
    Busy,
}

/// The right of a connection to stay. Dropped with it.
#[derive(Debug)]
pub(super) struct Permit {
    number: u64,
    pool: Pool,
    evicted: Stopping,
}

/// A guard that counts the connection as busy with a request until it is dropped.
#[derive(Debug)]
pub(super) struct Busy {
    number: u64,
    pool: Pool,
}

impl Pool {
    /// Creates an empty pool for so many connections, at least one.
    pub(super) fn new(connections_max: usize) -> Self {
        let connections_max = connections_max.max(1);
        Self(Arc::new(SharedPool { connections_max, state: Mutex::default() }))
    }

    /// Lets a new connection in. Returns whether another one must go for it.
    pub(super) fn admit(&self) -> (Permit, Evicted) {
        let mut state = self.state();
        let evicted = if state.connections.len() >= self.0.connections_max {
            state.evict()
        } else {
            Evicted::Nobody
        };
        let number = state.next;
        state.next += 1;
        let (keeps, left) = stop::channel();
        let entry =
            PooledConnection { activity: PoolRank::Idle, since: Instant::now(), _keeps: keeps };
        state.connections.insert(number, entry);
        (Permit { number, pool: self.clone(), evicted: left }, evicted)
    }

    /// Ends the connection that can be spared most easily, if there is one.
    pub(super) fn evict(&self) -> Evicted {
        self.state().evict()
    }

    fn state(&self) -> MutexGuard<'_, PoolState> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, number: u64, activity: PoolRank) {
        // One that must go is not in the pool any more.
        if let Some(entry) = self.state().connections.get_mut(&number) {
            (entry.activity, entry.since) = (activity, Instant::now());
        }
    }

    fn idle_since(&self, number: u64) -> Option<Instant> {
        let state = self.state();
        let entry = state.connections.get(&number)?;
        (entry.activity == PoolRank::Idle).then_some(entry.since)
    }
}

/// The answer whether a connection had to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evicted {
    /// No connection had to go.
    Nobody,
    /// One connection had to go.
    One,
}

impl PoolState {
    fn evict(&mut self) -> Evicted {
        let order =
            |(number, entry): (&u64, &PooledConnection)| (entry.activity, entry.since, *number);
        let Some((_, _, number)) = self.connections.iter().map(order).min() else {
            return Evicted::Nobody;
        };
        self.connections.remove(&number);
        Evicted::One
    }
}

impl Permit {
    /// Notes that a request has arrived as a whole.
    pub(super) fn begin_answer(&self) -> Busy {
        self.pool.set(self.number, PoolRank::Busy);
        Busy { number: self.number, pool: self.pool.clone() }
    }

    /// Waits until the connection must go: for another one, or because it was idle for so long.
    pub(super) async fn ended(&self, idle_max: Duration) {
        let mut evicted = self.evicted.clone();
        loop {
            let now = Instant::now();
            let since = self.pool.idle_since(self.number).unwrap_or(now);
            if now.duration_since(since) >= idle_max {
                return;
            }
            tokio::select! {
                biased;
                () = evicted.stopped() => return,
                () = sleep_until(since + idle_max) => {}
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.pool.state().connections.remove(&self.number);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.pool.set(self.number, PoolRank::Idle);
    }
}

#[cfg(all(test, not(madsim)))]
mod tests {
    use super::*;

    fn is_evicted(permit: &Permit) -> bool {
        permit.evicted.has_stopped()
    }

    #[test]
    fn the_one_that_has_been_idle_for_longest_goes_first() {
        let pool = Pool::new(3);
        let [a, b, c] = [(); 3].map(|()| pool.admit().0);
        let answering = a.begin_answer();
        let (d, evicted) = pool.admit();
        assert_eq!(evicted, Evicted::One);
        assert_eq!([&a, &b, &c].map(is_evicted), [false, true, false]);
        drop(answering);
        let (e, _) = pool.admit();
        assert_eq!([&a, &c, &d].map(is_evicted), [false, true, false], "it has just answered");
        let (_f, _) = pool.admit();
        assert_eq!([&a, &d, &e].map(is_evicted), [false, true, false]);
    }

    #[test]
    fn if_all_are_busy_the_one_that_has_been_for_longest_goes() {
        let pool = Pool::new(2);
        let (a, b) = (pool.admit().0, pool.admit().0);
        let _answering = (b.begin_answer(), a.begin_answer());
        let (_c, _) = pool.admit();
        assert_eq!([&a, &b].map(is_evicted), [false, true]);
    }

    #[test]
    fn a_connection_that_has_ended_makes_room() {
        let pool = Pool::new(1);
        let (a, _) = pool.admit();
        drop(a);
        assert_eq!(pool.admit().1, Evicted::Nobody);
        assert_eq!(pool.evict(), Evicted::Nobody, "there is none");
    }

    #[tokio::test]
    async fn an_idle_connection_ends_by_itself_and_a_busy_one_does_not() {
        let pool = Pool::new(2);
        let (idle, busy) = (pool.admit().0, pool.admit().0);
        let answering = busy.begin_answer();
        idle.ended(Duration::from_millis(1)).await;
        let waited = busy.ended(Duration::from_millis(1));
        tokio::select! {
            biased;
            () = waited => panic!("it was busy"),
            () = tokio::time::sleep(Duration::from_millis(20)) => {}
        }
        drop(answering);
        busy.ended(Duration::from_millis(1)).await;
    }
}
