//! One line per fact, then a count each minute: what happens thousands of times must not fill the
//! log, and must not be hidden by what does.
//!
//! A *fact* is a kind of event about a subject, such as "cannot be reached" about `n2`.
//!
//! ```text
//!   tell    line at once ─► counted … ─► line with `repeated`, each minute ─► a quiet minute: forgotten
//!   gather  counted … ─► line with the sum, after five quiet seconds or each minute
//! ```
//! The limiter knows no clock: somebody calls [`LogLimiter::tick`] every [`TICK`]. Each node has
//! one limiter, so that what is said about one node never hides what is said about another.
//!
//! Invariants: no more than [`FACTS_MAX`] facts are remembered; what does not fit is counted, and
//! the count is told each minute.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::stop::Stopping;

/// The time between two calls of [`LogLimiter::tick`].
const TICK: Duration = Duration::from_secs(1);

/// The number of ticks between two reports of a count: a minute.
const TICKS_PER_PERIOD: u64 = 60;

/// The number of ticks without an event after which a sum is told.
const QUIET_TICKS: u64 = 5;

/// The number of facts that are remembered at once.
const FACTS_MAX: usize = 1_000;

/// A function that writes a line of the log. The argument is the number of events without a line
/// since the last one, for a field `repeated`; `None` for the first, which stands for itself.
type Line = Box<dyn Fn(Option<u64>) + Send>;

/// Decides which facts are logged and which are only counted. See the module's documentation.
#[derive(Default)]
pub struct LogLimiter(Mutex<LimiterState>);

#[derive(Default)]
struct LimiterState {
    ticks: u64,
    /// The facts by subject, then by kind.
    facts: BTreeMap<String, BTreeMap<String, Fact>>,
    facts_len: usize,
    /// The number of events since the last period whose facts did not fit.
    overflowed: u64,
}

struct Fact {
    /// The number of events that no line has told of yet.
    untold: u64,
    /// The line of the first untold event: its fields are fresher than those of the last line.
    line: Option<Line>,
    pace: Pace,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// Counts are told each period.
    Period,
    /// The sum is told when no event has come for a while.
    Quiet {
        /// The number of ticks since the last event.
        ticks: u64,
    },
}

impl Fact {
    /// Takes the line that tells of all untold events.
    fn take(&mut self) -> Option<DueLine> {
        let line = self.line.take()?;
        Some(DueLine { line, repeated: Some(std::mem::take(&mut self.untold)) })
    }
}

/// A line that is written when nothing is locked any more.
struct DueLine {
    line: Line,
    repeated: Option<u64>,
}

impl DueLine {
    fn write(self) {
        (self.line)(self.repeated);
    }
}

impl LogLimiter {
    /// Logs a fact at once if it is new, and counts it if it is not.
    ///
    /// `line` writes the line, with its argument as the field `repeated`:
    ///
    /// ```
    /// # let limiter = kv_node::log::LogLimiter::default();
    /// let peer = "n2";
    /// limiter.tell(peer, "too many connections", move |repeated| {
    ///     tracing::warn!(repeated, "peer {peer}: too many connections");
    /// });
    /// ```
    pub fn tell(&self, subject: &str, kind: &str, line: impl Fn(Option<u64>) + Send + 'static) {
        if let Some(line) = self.state().tell(subject, kind, line) {
            line(None);
        }
    }

    /// Counts events that come in crowds, such as one for each of a thousand partitions. `line`
    /// logs the sum when it has been quiet for five seconds, and each minute if it never is.
    pub fn gather(
        &self,
        subject: &str,
        kind: &str,
        count: u64,
        line: impl Fn(u64) + Send + 'static,
    ) {
        let mut state = self.state();
        let fact = state.fact(subject, kind, Pace::Quiet { ticks: 0 });
        match fact {
            Some((fact, _is_new)) => {
                fact.untold += count;
                fact.pace = Pace::Quiet { ticks: 0 };
                fact.line.get_or_insert_with(|| Box::new(move |sum| line(sum.unwrap_or(0))));
            }
            None => state.overflowed += count,
        }
    }

    /// Forgets all facts about a subject, because they are true no more; untold counts are told.
    /// The next event is logged at once: so this must not be called for a state that comes and goes
    /// many times a second.
    pub fn over(&self, subject: &str) {
        let due = {
            let mut state = self.state();
            let facts = state.facts.remove(subject).unwrap_or_default();
            state.facts_len -= facts.len();
            facts.into_values().filter_map(|mut fact| fact.take()).collect()
        };
        write_all(due);
    }

    /// Tells the counts that are due, and forgets facts without an event for a minute.
    pub fn tick(&self) {
        let due = self.state().tick();
        write_all(due);
    }

    /// Tells all counts, since the node ends.
    pub fn flush(&self) {
        let due = self.state().flush();
        write_all(due);
    }

    /// Ticks until the node stops.
    pub async fn run(&self, mut stopping: Stopping) {
        loop {
            tokio::select! {
                biased;
                () = stopping.stopped() => return,
                () = tokio::time::sleep(TICK) => self.tick(),
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, LimiterState> {
        // Counts of log lines: nothing about them can be half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write_all(due: Vec<DueLine>) {
    due.into_iter().for_each(DueLine::write);
}

impl LimiterState {
    /// Counts an event, and returns the line if it is to be written now.
    fn tell<L: Fn(Option<u64>) + Send + 'static>(
        &mut self,
        subject: &str,
        kind: &str,
        line: L,
    ) -> Option<L> {
        match self.fact(subject, kind, Pace::Period) {
            Some((_, true)) => return Some(line),
            Some((fact, false)) => {
                fact.untold += 1;
                fact.line.get_or_insert_with(|| Box::new(line));
            }
            None => self.overflowed += 1,
        }
        None
    }

    /// Finds or adds a fact, and returns whether it is new. `None` if there is no room for another
    /// one.
    fn fact(&mut self, subject: &str, kind: &str, pace: Pace) -> Option<(&mut Fact, bool)> {
        let is_known = self.facts.get(subject).is_some_and(|kinds| kinds.contains_key(kind));
        if !is_known {
            if self.facts_len >= FACTS_MAX {
                return None;
            }
            self.facts_len += 1;
            let fact = Fact { untold: 0, line: None, pace };
            self.facts.entry(subject.to_owned()).or_default().insert(kind.to_owned(), fact);
        }
        Some((self.facts.get_mut(subject)?.get_mut(kind)?, !is_known))
    }

    fn tick(&mut self) -> Vec<DueLine> {
        self.ticks += 1;
        let is_period = self.ticks.is_multiple_of(TICKS_PER_PERIOD);
        let mut due = Vec::new();
        self.retain(|fact| match &mut fact.pace {
            Pace::Period => {
                let line = is_period.then(|| fact.take()).flatten();
                let is_quiet = is_period && line.is_none();
                due.extend(line);
                !is_quiet
            }
            Pace::Quiet { ticks } => {
                *ticks += 1;
                let is_quiet = *ticks >= QUIET_TICKS;
                if is_period || is_quiet {
                    due.extend(fact.take());
                }
                !is_quiet
            }
        });
        if is_period {
            due.extend(self.take_overflowed());
        }
        due
    }

    fn flush(&mut self) -> Vec<DueLine> {
        let facts = std::mem::take(&mut self.facts).into_values().flat_map(BTreeMap::into_values);
        self.facts_len = 0;
        let mut due: Vec<_> = facts.filter_map(|mut fact| fact.take()).collect();
        due.extend(self.take_overflowed());
        due
    }

    fn take_overflowed(&mut self) -> Option<DueLine> {
        let events = std::mem::take(&mut self.overflowed);
        let line: Line = Box::new(move |_| {
            tracing::warn!(events, "too many different things went wrong to log each of them");
        });
        (events > 0).then_some(DueLine { line, repeated: None })
    }

    fn retain(&mut self, mut keep: impl FnMut(&mut Fact) -> bool) {
        self.facts.retain(|_, kinds| {
            kinds.retain(|_, fact| keep(fact));
            !kinds.is_empty()
        });
        self.facts_len = self.facts.values().map(BTreeMap::len).sum();
    }
}

impl fmt::Debug for LogLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogLimiter").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// The lines that were logged: the value with which a line was made, and the argument that it
    /// got.
    #[derive(Clone, Default)]
    struct Logged(Arc<Mutex<LoggedLines>>);

    /// The value and the argument of each line.
    type LoggedLines = Vec<(u64, Option<u64>)>;

    impl Logged {
        fn line(&self, value: u64) -> impl Fn(Option<u64>) + Send + 'static {
            let logged = Arc::clone(&self.0);
            move |repeated| logged.lock().expect("nobody panics").push((value, repeated))
        }

        fn sum(&self, value: u64) -> impl Fn(u64) + Send + 'static {
            let line = self.line(value);
            move |sum| line(Some(sum))
        }

        fn take(&self) -> Vec<(u64, Option<u64>)> {
            std::mem::take(&mut self.0.lock().expect("nobody panics"))
        }
    }

    fn pass_period(limiter: &LogLimiter) {
        (0..TICKS_PER_PERIOD).for_each(|_| limiter.tick());
    }

    #[test]
    fn a_fact_is_logged_once_then_counted_each_minute_and_at_once_after_a_quiet_one() {
        let (limiter, logged) = (LogLimiter::default(), Logged::default());
        (0..1_000).for_each(|n| limiter.tell("n2", "clock", logged.line(n)));
        assert_eq!(logged.take(), [(0, None)]);
        pass_period(&limiter);
        assert_eq!(logged.take(), [(1, Some(999))]);
        limiter.tell("n2", "clock", logged.line(7));
        assert_eq!(logged.take(), []);
        pass_period(&limiter);
        assert_eq!(logged.take(), [(7, Some(1))]);
        pass_period(&limiter);
        limiter.tell("n2", "clock", logged.line(8));
        assert_eq!(logged.take(), [(8, None)]);
    }

    #[test]
    fn facts_differ_by_subject_and_by_kind() {
        let (limiter, logged) = (LogLimiter::default(), Logged::default());
        limiter.tell("n2", "clock", logged.line(1));
        limiter.tell("n3", "clock", logged.line(2));
        limiter.tell("n2", "hello", logged.line(3));
        assert_eq!(logged.take(), [(1, None), (2, None), (3, None)]);
    }

    #[test]
    fn what_is_over_tells_its_count_and_is_logged_at_once_when_it_comes_again() {
        let (limiter, logged) = (LogLimiter::default(), Logged::default());
        (0..3).for_each(|n| limiter.tell("n2", "link", logged.line(n)));
        limiter.tell("n3", "link", logged.line(9));
        assert_eq!(logged.take(), [(0, None), (9, None)]);
        limiter.over("n2");
        assert_eq!(logged.take(), [(1, Some(2))]);
        limiter.tell("n2", "link", logged.line(4));
        limiter.tell("n3", "link", logged.line(9));
        assert_eq!(logged.take(), [(4, None)]);
    }

    #[test]
    fn what_comes_in_crowds_is_one_line_after_some_quiet_or_a_minute() {
        let (limiter, logged) = (LogLimiter::default(), Logged::default());
        (0..4_096).for_each(|n| limiter.gather("", "complete", 1, logged.sum(n)));
        (1..QUIET_TICKS).for_each(|_| limiter.tick());
        assert_eq!(logged.take(), []);
        limiter.tick();
        assert_eq!(logged.take(), [(0, Some(4_096))]);
        for _ in QUIET_TICKS..TICKS_PER_PERIOD {
            limiter.gather("", "complete", 1, logged.sum(1));
            limiter.tick();
        }
        assert_eq!(logged.take(), [(1, Some(55))], "it never was quiet");
    }

    #[test]
    fn what_does_not_fit_is_counted_and_what_is_counted_is_told_at_the_end() {
        let (limiter, logged) = (LogLimiter::default(), Logged::default());
        let all = FACTS_MAX as u64 + 5;
        (0..all).for_each(|n| limiter.tell(&n.to_string(), "knock", logged.line(n)));
        assert_eq!(logged.take().len(), FACTS_MAX);
        limiter.tell("0", "knock", logged.line(0));
        limiter.gather("0", "crowd", 3, logged.sum(0));
        assert_eq!(limiter.state().overflowed, 5 + 3);
        limiter.flush();
        assert_eq!(logged.take(), [(0, Some(1))]);
        let state = limiter.state();
        assert_eq!((state.overflowed, state.facts_len), (0, 0));
    }
}
