//! The memory and the progress of each connection, as seen from outside of its own task, and the
//! rules by which stalled and slow ones are dropped.
//!
//! ```text
//!   each connection ─► Account { held, moved, standing } ─► Accounts::watch ─► Account::dropped
//! ```
//! A connection is *stalled* when no byte has moved on its socket for a while although its client
//! owes something: the rest of a request, or taking its replies. It is *slow* when at its present
//! pace that would take longer than [`SLOW_SECONDS`]. As Redis drops clients for the memory that
//! they hold: stalled ones with much of it after a time, and when all together hold as much as they
//! may, the largest slow one at once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::budget::{Budget, LITTLE_BYTES};
use crate::config::Limits;
use crate::core_loop::ConnectionId;
use crate::metrics::ConnectionDropReason;

/// The interval at which connections are looked at.
const TICK: Duration = Duration::from_millis(250);

/// The time over which the pace of a connection is measured.
const PACE: Duration = Duration::from_secs(1);

/// The seconds within which a connection that is not slow moves all that it holds.
const SLOW_SECONDS: u64 = 60;

/// The side for which a connection waits: its client, the core or neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Standing {
    /// Neither the client nor the core is awaited.
    Idle,
    /// The core works for the client.
    Working,
    /// The client owes the rest of a request.
    Receiving,
    /// The client is to take replies.
    Sending,
}

/// The account of one connection.
#[derive(Debug)]
pub(super) struct Account {
    held: AtomicUsize,
    /// The number of bytes that were ever read and written.
    moved: AtomicU64,
    standing: AtomicU8,
    dropped: OnceLock<ConnectionDropReason>,
    told: Notify,
    seen: Mutex<SeenProgress>,
}

/// The findings of the looks at a connection.
#[derive(Debug)]
struct SeenProgress {
    moved: u64,
    /// The time at which it was first found that nothing has moved since.
    still_since: Instant,
    /// The moved bytes at the beginning of the present stretch of [`PACE`].
    pace_moved: u64,
    pace_since: Instant,
    is_slow: bool,
}

/// The accounts of all connections.
#[derive(Debug, Default)]
pub(super) struct Accounts(Mutex<BTreeMap<ConnectionId, Arc<Account>>>);

/// The rules by which connections are dropped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// The time after which an idle client is dropped; `None`: never.
    pub(super) idle: Option<Duration>,
    /// The time after which a stalled client is dropped.
    pub(super) stalled: Duration,
    /// The bytes that a stalled client must hold to be dropped.
    pub(super) stalled_bytes: usize,
}

impl Rules {
    /// Takes the rules from the limits.
    pub(super) fn new(limits: &Limits) -> Self {
        let ms = |ms: usize| Duration::from_millis(ms as u64);
        let idle = (limits.idle_timeout_ms > 0).then(|| ms(limits.idle_timeout_ms));
        let (stalled, stalled_bytes) = (ms(limits.stalled_ms), limits.stalled_bytes);
        Self { idle, stalled, stalled_bytes }
    }
}

impl Standing {
    const fn of(number: u8) -> Self {
        match number {
            0 => Self::Idle,
            1 => Self::Working,
            2 => Self::Receiving,
            _ => Self::Sending,
        }
    }
}

impl Account {
    /// Creates the account of a connection that was just made.
    pub(super) fn new(now: Instant) -> Self {
        let seen = SeenProgress {
            moved: 0,
            still_since: now,
            pace_moved: 0,
            pace_since: now,
            is_slow: false,
        };
        Self {
            held: AtomicUsize::new(0),
            moved: AtomicU64::new(0),
            standing: AtomicU8::new(Standing::Idle as u8),
            dropped: OnceLock::new(),
            told: Notify::new(),
            seen: Mutex::new(seen),
        }
    }

    /// Notes that bytes were read or written.
    pub(super) fn on_moved(&self, bytes: usize) {
        self.moved.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Sets the bytes that the connection holds, and the side for which it waits.
    pub(super) fn update(&self, held: usize, standing: Standing) {
        self.held.store(held, Ordering::Relaxed);
        self.standing.store(standing as u8, Ordering::Relaxed);
    }

    /// The bytes that the connection holds.
    pub(super) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Waits until the connection is to be dropped, and returns why.
    pub(super) async fn dropped(&self) -> ConnectionDropReason {
        loop {
            let told = self.told.notified();
            if let Some(&reason) = self.dropped.get() {
                return reason;
            }
            told.await;
        }
    }

    fn drop_for(&self, reason: ConnectionDropReason) {
        // The first reason stands.
        let _dropped_before = self.dropped.set(reason);
        self.told.notify_waiters();
    }

    fn standing(&self) -> Standing {
        Standing::of(self.standing.load(Ordering::Relaxed))
    }

    /// Looks at the connection. Returns the reason to drop it whatever others do, if there is one.
    fn look(&self, now: Instant, rules: &Rules) -> Option<ConnectionDropReason> {
        let (held, moved) = (self.held(), self.moved.load(Ordering::Relaxed));
        let mut seen = lock(&self.seen);
        if moved != seen.moved {
            seen.moved = moved;
            seen.still_since = now;
        }
        let stretch = now.saturating_duration_since(seen.pace_since);
        if stretch >= PACE {
            let pace = u128::from(moved - seen.pace_moved) * 1_000 / stretch.as_millis();
            seen.is_slow = pace * u128::from(SLOW_SECONDS) < held as u128;
            seen.pace_moved = moved;
            seen.pace_since = now;
        }
        let still = now.saturating_duration_since(seen.still_since);
        let is_stalled = still >= rules.stalled && held >= rules.stalled_bytes;
        match self.standing() {
            Standing::Idle => {
                rules.idle.filter(|idle| still >= *idle).map(|_| ConnectionDropReason::Idle)
            }
            Standing::Working => None,
            Standing::Receiving => is_stalled.then_some(ConnectionDropReason::Unfinished),
            Standing::Sending => is_stalled.then_some(ConnectionDropReason::SlowReader),
        }
    }

    /// Tells whether the client is the reason why the connection holds as much as it does.
    fn is_slow(&self) -> bool {
        let owes = match self.standing() {
            Standing::Idle | Standing::Working => false,
            Standing::Receiving | Standing::Sending => true,
        };
        owes && lock(&self.seen).is_slow && self.held() >= LITTLE_BYTES
    }
}

impl Accounts {
    /// Adds the account of a new connection.
    pub(super) fn open(&self, id: ConnectionId, account: Arc<Account>) {
        lock(&self.0).insert(id, account);
    }

    /// Removes the account of a connection that has ended.
    pub(super) fn close(&self, id: ConnectionId) {
        lock(&self.0).remove(&id);
    }

    /// Looks at all connections from time to time, and drops those that break the rules.
    pub(super) async fn watch(&self, rules: &Rules, budget: &Budget, looked: impl Fn()) {
        loop {
            tokio::time::sleep(TICK).await;
            self.look(Instant::now(), rules, budget);
            looked();
        }
    }

    fn look(&self, now: Instant, rules: &Rules, budget: &Budget) {
        let all: Vec<_> = lock(&self.0).values().map(Arc::clone).collect();
        let mut is_relieved = false;
        for account in &all {
            if let Some(reason) = account.look(now, rules) {
                account.drop_for(reason);
                is_relieved |= account.held() >= LITTLE_BYTES;
            }
        }
        if budget.is_tight() && !is_relieved {
            let slow = all.iter().filter(|account| account.is_slow());
            if let Some(largest) = slow.max_by_key(|account| account.held()) {
                largest.drop_for(ConnectionDropReason::Memory);
            }
        }
    }
}

/// Locks a mutex. Nothing about its content can be half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    const RULES: Rules = Rules {
        idle: Some(Duration::from_secs(100)),
        stalled: Duration::from_secs(30),
        stalled_bytes: MIB,
    };

    /// Accounts that are looked at second by second.
    struct World {
        accounts: Accounts,
        budget: Arc<Budget>,
        now: Instant,
        next: u64,
    }

    impl World {
        fn new() -> Self {
            let (accounts, budget) = (Accounts::default(), Budget::new(64 * MIB));
            Self { accounts, budget, now: Instant::now(), next: 0 }
        }

        fn connection(&mut self, held: usize, standing: Standing) -> Arc<Account> {
            let account = Arc::new(Account::new(self.now));
            account.update(held, standing);
            self.next += 1;
            self.accounts.open(ConnectionId(self.next), Arc::clone(&account));
            account
        }

        fn pass(&mut self, seconds: u64) {
            for _ in 0..seconds {
                self.now += Duration::from_secs(1);
                self.accounts.look(self.now, &RULES, &self.budget);
            }
        }
    }

    fn reason(account: &Account) -> Option<ConnectionDropReason> {
        account.dropped.get().copied()
    }

    #[test]
    fn a_client_that_holds_much_and_does_not_move_is_dropped_after_a_time() {
        let mut world = World::new();
        let reader = world.connection(MIB, Standing::Sending);
        let writer = world.connection(MIB, Standing::Receiving);
        let little = world.connection(MIB - 1, Standing::Sending);
        let working = world.connection(9 * MIB, Standing::Working);
        let moving = world.connection(9 * MIB, Standing::Sending);
        for second in 1..=29 {
            moving.on_moved(1);
            world.pass(1);
            assert_eq!((reason(&reader), reason(&writer)), (None, None), "{second}");
        }
        moving.on_moved(1);
        world.pass(1);
        assert_eq!(reason(&reader), Some(ConnectionDropReason::SlowReader));
        assert_eq!(reason(&writer), Some(ConnectionDropReason::Unfinished));
        for other in [little, working, moving] {
            assert_eq!(reason(&other), None);
        }
    }

    #[test]
    fn an_idle_client_is_dropped_after_its_time_and_one_that_waits_for_the_core_is_not() {
        let mut world = World::new();
        let idle = world.connection(0, Standing::Idle);
        let working = world.connection(0, Standing::Working);
        let talking = world.connection(0, Standing::Idle);
        world.pass(50);
        talking.on_moved(7);
        world.pass(49);
        assert_eq!(reason(&idle), None);
        world.pass(1);
        assert_eq!(reason(&idle), Some(ConnectionDropReason::Idle));
        assert_eq!((reason(&working), reason(&talking)), (None, None));
    }

    #[test]
    fn where_all_hold_too_much_the_largest_slow_client_is_dropped_one_at_a_time() {
        let mut world = World::new();
        let mut share = world.budget.share();
        share.set(63 * MIB);
        let large = world.connection(30 * MIB, Standing::Sending);
        let larger = world.connection(31 * MIB, Standing::Sending);
        let fast = world.connection(32 * MIB, Standing::Sending);
        let small = world.connection(LITTLE_BYTES - 1, Standing::Receiving);
        fast.on_moved(MIB);
        world.pass(1);
        assert_eq!(reason(&larger), Some(ConnectionDropReason::Memory));
        assert_eq!(reason(&large), None);
        larger.update(0, Standing::Idle);
        fast.on_moved(MIB);
        world.pass(1);
        assert_eq!(reason(&large), Some(ConnectionDropReason::Memory));
        large.update(0, Standing::Idle);
        share.set(0);
        world.pass(9);
        assert_eq!((reason(&fast), reason(&small)), (None, None));
    }

    #[tokio::test]
    async fn a_connection_hears_that_it_is_dropped_before_and_after_it_listens() {
        let account = Account::new(Instant::now());
        let listening = account.dropped();
        let dropping = async { account.drop_for(ConnectionDropReason::Memory) };
        assert_eq!(tokio::join!(listening, dropping).0, ConnectionDropReason::Memory);
        assert_eq!(account.dropped().await, ConnectionDropReason::Memory);
    }
}
