//! Histories of a register: operations on one key, each at one moment between its call and its
//! answer (Herlihy and Wing, 1990).
//!
//! Takes a recorded history in which every read tells which write it saw, and finds the few
//! operations that contradict each other, if any do. Knowing which write a read saw makes this
//! easy, where the general question is NP-complete: a write and its reads form a *cluster*, and in
//! a register clusters follow each other without overlap. One cluster must come before another one
//! if an operation of it ended before an operation of the other began. If two must each come before
//! the other, the history is wrong; if there are no such two, and no read ended before its write
//! began, it is right (Gibbons and Korach, "Testing shared memories", 1997). That takes a sort.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use kv_core::time::Time;

use super::OperationNumber;
use super::story::when;

/// The identity of a write, by a number that the recorder gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct WriteId(pub(super) u64);

/// One operation on the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RegisterOperation {
    /// The number of the operation.
    pub(super) number: OperationNumber,
    /// The time at which the client asked.
    pub(super) called: Time,
    /// The time at which the client was answered. None for a write of which nobody knows whether it
    /// happened; a read without an answer is not recorded.
    pub(super) answered: Option<Time>,
    /// The write or read that the operation did.
    pub(super) act: Act,
}

/// The act of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// A write. No two writes of a history have the same id.
    Write(WriteId),
    /// A read that saw this write, or none if the key had never been written.
    Read(Option<WriteId>),
}

/// Operations that no register can have performed. There are at most four of them: the smallest
/// window that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RegisterViolation {
    /// The reason why no register can have performed them.
    pub(super) reason: RegisterReason,
    /// The operations, in the order of their calls.
    pub(super) operations: Vec<RegisterOperation>,
}

/// The reason why a history is no register's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RegisterReason {
    /// A read saw a write that nobody made.
    FromNowhere,
    /// A read saw a write that was not asked for before the read had been answered.
    FromTheFuture,
    /// One value was there before and after another one.
    CameBack,
}

/// A write and all reads that saw it.
#[derive(Clone, Copy, Debug)]
struct WriteCluster {
    /// The operation that was answered first. The write took effect no later than that.
    first_answered: usize,
    /// The operation that was called last. The value stood until that call at least.
    last_called: usize,
    first_answer: RegisterMoment,
    last_call: RegisterMoment,
}

/// A point in time, with one before and one after all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum RegisterMoment {
    Beginning,
    At(Time),
    Never,
}

/// Checks whether the history of one key is that of a register.
///
/// # Errors
/// [`RegisterViolation`], with the contradiction that spans the shortest time.
///
/// # Panics
/// If two writes have the same id: then no read tells what it saw.
pub(super) fn check(history: &[RegisterOperation]) -> Result<(), RegisterViolation> {
    let clusters = clusters(history)?;
    let conflicts = conflicts(&clusters);
    let violation = |&(a, b): &(usize, usize)| {
        let (a, b) = (&clusters[a], &clusters[b]);
        let named = [a.first_answered, a.last_called, b.first_answered, b.last_called];
        RegisterViolation::of(history, RegisterReason::CameBack, &named)
    };
    match conflicts.iter().map(violation).min_by_key(RegisterViolation::span) {
        None => Ok(()),
        Some(violation) => Err(violation),
    }
}

/// The index of the operation that no client made: the key was empty from the beginning.
const NOBODY: usize = usize::MAX;

fn clusters(history: &[RegisterOperation]) -> Result<Vec<WriteCluster>, RegisterViolation> {
    let mut by_write: BTreeMap<Option<WriteId>, WriteCluster> = BTreeMap::new();
    let initial = WriteCluster {
        first_answered: NOBODY,
        last_called: NOBODY,
        first_answer: RegisterMoment::Beginning,
        last_call: RegisterMoment::Beginning,
    };
    by_write.insert(None, initial);
    for (at, operation) in history.iter().enumerate() {
        if let Act::Write(id) = operation.act {
            let cluster = WriteCluster {
                first_answered: at,
                last_called: at,
                first_answer: operation.answer(),
                last_call: RegisterMoment::At(operation.called),
            };
            assert!(by_write.insert(Some(id), cluster).is_none(), "{id:?} was written twice");
        }
    }
    let writes: BTreeMap<Option<WriteId>, usize> =
        by_write.iter().map(|(&id, cluster)| (id, cluster.first_answered)).collect();
    for (at, operation) in history.iter().enumerate() {
        let Act::Read(seen) = operation.act else { continue };
        let Some(cluster) = by_write.get_mut(&seen) else {
            return Err(RegisterViolation::of(history, RegisterReason::FromNowhere, &[at]));
        };
        let write = writes[&seen];
        if write != NOBODY && operation.answer() < RegisterMoment::At(history[write].called) {
            return Err(RegisterViolation::of(
                history,
                RegisterReason::FromTheFuture,
                &[write, at],
            ));
        }
        if operation.answer() < cluster.first_answer {
            (cluster.first_answer, cluster.first_answered) = (operation.answer(), at);
        }
        if RegisterMoment::At(operation.called) > cluster.last_call {
            (cluster.last_call, cluster.last_called) = (RegisterMoment::At(operation.called), at);
        }
    }
    Ok(by_write.into_values().collect())
}

/// Finds pairs of clusters of which each must come before the other; at least one, if there are
/// any.
///
/// A cluster *spans* time if an operation of it ended before another began: from then to then the
/// register held its value. Spans must not overlap, and where they do not, each other cluster can
/// only be in conflict with the last span that began before its last call.
fn conflicts(clusters: &[WriteCluster]) -> Vec<(usize, usize)> {
    let spans_time = |cluster: &WriteCluster| cluster.first_answer < cluster.last_call;
    let (mut spans, others): (Vec<usize>, Vec<usize>) =
        (0..clusters.len()).partition(|&at| spans_time(&clusters[at]));
    spans.sort_by_key(|&at| clusters[at].first_answer);
    let mut found = Vec::new();
    let mut longest: Option<usize> = None;
    for &at in &spans {
        if let Some(before) = longest {
            if clusters[at].first_answer < clusters[before].last_call {
                found.push((before, at));
            }
            if clusters[at].last_call <= clusters[before].last_call {
                continue;
            }
        }
        longest = Some(at);
    }
    if !found.is_empty() {
        return found;
    }
    for at in others {
        let cluster = &clusters[at];
        let began = spans.partition_point(|&span| clusters[span].first_answer < cluster.last_call);
        if let Some(&span) = began.checked_sub(1).and_then(|last| spans.get(last))
            && cluster.first_answer < clusters[span].last_call
        {
            found.push((span, at));
        }
    }
    found
}

impl RegisterOperation {
    fn answer(&self) -> RegisterMoment {
        self.answered.map_or(RegisterMoment::Never, RegisterMoment::At)
    }
}

impl RegisterViolation {
    fn of(history: &[RegisterOperation], reason: RegisterReason, named: &[usize]) -> Self {
        let mut named: Vec<_> = named.iter().copied().filter(|&at| at != NOBODY).collect();
        named.sort_by_key(|&at| (history[at].called, at));
        named.dedup();
        let operations = named.into_iter().map(|at| history[at].clone()).collect();
        Self { reason, operations }
    }

    /// The length of the window in microseconds, from the first call to the last answer that is
    /// known, and its number of operations.
    fn span(&self) -> (u64, usize) {
        let calls = self.operations.iter().map(|operation| operation.called);
        let answers = self.operations.iter().filter_map(|operation| operation.answered);
        let (first, last) = (calls.clone().min(), answers.chain(calls).max());
        let micros = last.zip(first).map_or(0, |(last, first)| last.since(first).0);
        (micros, self.operations.len())
    }
}

impl RegisterViolation {
    /// The story of the violation, in which each write is called as `write_name` says.
    pub(super) fn story(&self, write_name: impl Fn(WriteId) -> String) -> String {
        let reason = match self.reason {
            RegisterReason::FromNowhere => "a read saw what nobody wrote",
            RegisterReason::FromTheFuture => {
                "a read saw a write that had not begun when the read ended"
            }
            RegisterReason::CameBack => "a value was there before and after another one",
        };
        let mut story = format!("{reason}\n  the smallest window that is wrong:");
        for RegisterOperation { number, called, answered, act } in &self.operations {
            let until = answered.map_or_else(|| "nobody knows when".to_owned(), when);
            let act = match act {
                Act::Write(id) => format!("wrote {}", write_name(*id)),
                Act::Read(Some(id)) => format!("saw {}", write_name(*id)),
                Act::Read(None) => "saw nothing".to_owned(),
            };
            let from = when(*called);
            let _ = write!(story, "\n    from {from} to {until}: operation {number} {act}");
        }
        story
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn operation(called: u64, answered: Option<u64>, act: Act) -> RegisterOperation {
        let number = OperationNumber(called);
        RegisterOperation { number, called: Time(called), answered: answered.map(Time), act }
    }

    fn write(called: u64, answered: u64, id: u64) -> RegisterOperation {
        operation(called, Some(answered), Act::Write(WriteId(id)))
    }

    fn read(called: u64, answered: u64, seen: u64) -> RegisterOperation {
        let seen = (seen > 0).then_some(WriteId(seen));
        operation(called, Some(answered), Act::Read(seen))
    }

    fn violation(history: &[RegisterOperation]) -> RegisterViolation {
        check(history).expect_err("no register does that")
    }

    #[test]
    fn operations_one_after_the_other_are_a_register() {
        let history = [read(0, 1, 0), write(2, 3, 1), read(4, 5, 1), write(6, 7, 2), read(8, 9, 2)];
        assert_eq!(check(&history), Ok(()));
    }

    #[test]
    fn a_read_beside_a_write_may_see_it_or_not() {
        assert_eq!(check(&[write(0, 9, 1), read(1, 2, 0), read(3, 4, 1)]), Ok(()));
        let backwards = violation(&[write(0, 9, 1), read(1, 2, 1), read(3, 4, 0)]);
        assert_eq!((backwards.reason, backwards.operations.len()), (RegisterReason::CameBack, 2));
    }

    #[test]
    fn a_stale_read_is_found_among_many_operations_and_shown_alone() {
        let mut history: Vec<_> = (1..=1_000)
            .flat_map(|id| [write(10 * id, 10 * id + 2, id), read(10 * id + 4, 10 * id + 6, id)])
            .collect();
        history.push(read(5_007, 5_008, 499));
        let violation = violation(&history);
        assert_eq!(violation.reason, RegisterReason::CameBack);
        assert!(violation.operations.len() <= 4, "{violation:?}");
        assert!(violation.operations.contains(&read(5_007, 5_008, 499)), "{violation:?}");
        assert!(violation.span().0 <= 30, "{violation:?}");
    }

    #[test]
    fn a_write_without_an_answer_may_happen_at_any_time_after_its_call_or_never() {
        let lost = || operation(1, None, Act::Write(WriteId(7)));
        assert_eq!(check(&[lost(), write(2, 3, 1), read(4, 5, 1)]), Ok(()));
        assert_eq!(check(&[lost(), write(2, 3, 1), read(4, 5, 1), read(6, 7, 7)]), Ok(()));
        let twice = [lost(), read(2, 3, 7), write(4, 5, 1), read(6, 7, 1), read(8, 9, 7)];
        assert_eq!(violation(&twice).reason, RegisterReason::CameBack);
    }

    #[test]
    fn what_is_seen_must_have_been_written_before() {
        assert_eq!(violation(&[read(0, 1, 5)]).reason, RegisterReason::FromNowhere);
        let early = violation(&[read(0, 1, 5), write(2, 3, 5)]);
        assert_eq!((early.reason, early.operations.len()), (RegisterReason::FromTheFuture, 2));
    }

    #[test]
    fn a_violation_reads_like_a_story() {
        let violation = violation(&[write(0, 1, 1), write(2, 3, 2), read(4, 5, 1)]);
        let text = violation.story(|WriteId(id)| format!("value {id}"));
        let expected = "a value was there before and after another one\n  the smallest window that is wrong:\n    \
                        from 0.000000 s to 0.000001 s: operation #0 of client 0 wrote value 1\n    \
                        from 0.000002 s to 0.000003 s: operation #2 of client 0 wrote value 2\n    \
                        from 0.000004 s to 0.000005 s: operation #4 of client 0 saw value 1";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_hundred_thousand_operations_at_once_do_not_explode() {
        // Fifty clients that overlap all the time, on a register that behaves.
        let history: Vec<_> = (1..=50_000_u64)
            .flat_map(|id| {
                [write(id * 10, id * 10 + 500, id), read(id * 10 + 3, id * 10 + 480, id)]
            })
            .collect();
        assert_eq!(check(&history), Ok(()));
        let mut wrong = history;
        wrong.push(read(400_000, 400_001, 1));
        wrong.push(read(400_002, 400_003, 39_990));
        wrong.push(read(400_004, 400_005, 1));
        let violation = violation(&wrong);
        assert!(violation.operations.len() <= 4, "{violation:?}");
    }

    /// Tells whether there is an order of all operations that a register could have performed:
    /// tries all.
    fn has_an_order(
        history: &[RegisterOperation],
        done: &mut Vec<bool>,
        value: Option<WriteId>,
    ) -> bool {
        let is_lost = |operation: &RegisterOperation| operation.answered.is_none();
        if history.iter().zip(&*done).all(|(operation, done)| *done || is_lost(operation)) {
            return true;
        }
        let earliest = history.iter().zip(&*done).filter(|(_, done)| !**done);
        let earliest = earliest.map(|(operation, _)| operation.answer()).min();
        for at in 0..history.len() {
            let operation = &history[at];
            let may_be_next =
                earliest.is_none_or(|end| RegisterMoment::At(operation.called) <= end);
            let next = match operation.act {
                Act::Write(id) => Some(id),
                Act::Read(seen) if seen == value => value,
                Act::Read(_) => continue,
            };
            if !done[at] && may_be_next {
                done[at] = true;
                if has_an_order(history, done, next) {
                    return true;
                }
                done[at] = false;
            }
        }
        false
    }

    fn small_history() -> impl Strategy<Value = Vec<RegisterOperation>> {
        let one = (0_u64..12, 0_u64..6, 0_u64..8, any::<bool>());
        proptest::collection::vec(one, 1..7).prop_map(|drawn| {
            let writes = drawn.iter().filter(|(.., is_read)| !is_read).count() as u64;
            let mut id = 0;
            let mut operations = Vec::new();
            for (called, length, choice, is_read) in drawn {
                if is_read {
                    operations.push(read(called, called + length, choice % (writes + 1)));
                } else {
                    id += 1;
                    let answered = (choice != 7).then_some(called + length);
                    operations.push(operation(called, answered, Act::Write(WriteId(id))));
                }
            }
            operations
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn it_says_what_trying_all_orders_says(history in small_history()) {
            let expected = has_an_order(&history, &mut vec![false; history.len()], None);
            prop_assert_eq!(check(&history).is_ok(), expected);
        }

        #[test]
        fn what_it_shows_is_wrong_by_itself(history in small_history()) {
            if let Err(violation) = check(&history) {
                prop_assert!(violation.operations.len() <= 4);
                // A read is wrong only together with the write that it saw; those that were left
                // out because others prove the same are put back.
                let mut window = violation.operations.clone();
                for operation in &history {
                    let is_seen = |read: &RegisterOperation| match (read.act, operation.act) {
                        (Act::Read(Some(seen)), Act::Write(id)) => seen == id,
                        _ => false,
                    };
                    if !window.contains(operation) && window.iter().any(is_seen) {
                        window.push(operation.clone());
                    }
                }
                prop_assert!(!has_an_order(&window, &mut vec![false; window.len()], None));
            }
        }
    }
}
