//! Histories of replicas that change one value and join what others held, beside their twins.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use bytes::Bytes;

use super::commands::{expected_answer, expected_list};
use super::dice::{Dice, Drawn};
use super::twin::{EventLog, Execution, TwinEvent, in_words};
use crate::time::HybridTime;
use crate::types::{Epoch, NodeId};
use crate::value::*;
use crate::version::{Actor, Dot};

/// An element of a list: the write that put it there, and its index within that.
pub(super) type ElementId = (Dot, u64);

/// A state with the events that it has seen.
#[derive(Clone, Default)]
pub(super) struct Seen {
    pub(super) state: TypedState,
    known: BTreeSet<Dot>,
}

/// One history of a value.
pub(super) struct ValueHistory {
    of: Drawn,
    dice: Dice,
    log: EventLog,
    /// What each replica holds now.
    pub(super) replicas: Vec<Seen>,
    actors: Vec<Dot>,
    /// All that was ever held anywhere, which may arrive at any time.
    pub(super) pool: Vec<Seen>,
    /// Every order of two elements of a list that was ever seen.
    orders: BTreeSet<(ElementId, ElementId)>,
}

pub(super) const REPLICAS: usize = 3;

impl ValueHistory {
    /// A history of so many steps, in which all is checked that can be checked at each.
    pub(super) fn played(of: Drawn, seed: u64, steps: usize) -> Self {
        let actor = |at| Actor { node: NodeId(at), epoch: Epoch(0) };
        let mut history = Self {
            of,
            dice: Dice::new(seed),
            log: EventLog::default(),
            replicas: [const { None }; REPLICAS].map(Option::unwrap_or_default).into(),
            actors: (0..REPLICAS as u64).map(|at| Dot { actor: actor(at), n: 0 }).collect(),
            pool: [Seen::default()].into(),
            orders: BTreeSet::new(),
        };
        for _ in 0..steps {
            let at = history.dice.index(REPLICAS);
            match history.dice.below(10) {
                0..=5 => history.change(at),
                6 => {
                    // A node that may have forgotten what it minted draws an epoch.
                    let dot = &mut history.actors[at];
                    *dot = Dot {
                        actor: Actor { epoch: Epoch(dot.actor.epoch.0 + 1), ..dot.actor },
                        n: 0,
                    };
                }
                7 => {
                    let late = history.dice.index(history.pool.len());
                    let late = history.pool[late].clone();
                    history.join(at, &late);
                }
                _ => {
                    let other = history.dice.index(REPLICAS);
                    let other = history.replicas[other].clone();
                    history.join(at, &other);
                }
            }
        }
        history
    }

    /// Joins all that the replicas hold, everywhere, each in an order of its own.
    pub(super) fn converge(&mut self) {
        let last = self.replicas.clone();
        for at in 0..REPLICAS {
            let first = self.dice.index(REPLICAS);
            for other in 0..REPLICAS {
                self.join(at, &last[(first + other) % REPLICAS]);
            }
        }
    }

    fn change(&mut self, at: usize) {
        let change = self.dice.change(self.of);
        let mut dot = self.actors[at];
        dot.n += 1;
        let stamp = WriteStamp { dot, time: HybridTime(self.dice.below(6)) };
        let before = self.replicas[at].clone();
        let applied = self.replicas[at].state.apply(&change, stamp);
        let expected = expected_answer(&before.state, &change);
        let answered = applied.as_ref().map(|applied| &applied.answer);
        if is_exact(&before.state) {
            assert_eq!(answered, expected.as_ref(), "{change:?} on {:?}", in_words(&before.state));
        }
        if let Ok(ValueAnswer::Integer(number)) = answered {
            let number = alloc::format!("{number}");
            let lines = in_words(&self.replicas[at].state);
            let is_read =
                |line: &alloc::string::String| line.contains(&number) || line.contains("float");
            assert!(lines.iter().any(is_read), "{lines:?} has no {number}");
        }
        let has_changed = applied.as_ref().is_ok_and(|applied| applied.has_changed);
        assert_eq!(self.replicas[at].state.clock().covers(dot), has_changed);
        let event = applied.as_ref().map_or_else(
            |_| TwinEvent::default(),
            |applied| self.event_of(&before, &change, stamp, &applied.answer),
        );
        if let (ValueChange::List(change), Ok(_)) = (&change, &applied) {
            let (expected, _) = expected_list(&elements_of(&before.state), change, dot);
            assert_eq!(elements_of(&self.replicas[at].state), expected, "{change:?}");
        }
        assert_eq!(event.is_nothing(), !has_changed, "{change:?} on {:?}", in_words(&before.state));
        if !has_changed {
            assert_eq!(self.replicas[at].state, before.state);
            return;
        }
        self.actors[at] = dot;
        self.log.0.insert(dot, event);
        self.replicas[at].known.insert(dot);
        self.check(at);
    }

    fn event_of(
        &self,
        before: &Seen,
        change: &ValueChange,
        at: WriteStamp,
        answer: &ValueAnswer,
    ) -> TwinEvent {
        let standing = self.log.standing(self.of, &before.known);
        let mut execution = Execution { standing: &standing, at, event: TwinEvent::default() };
        let (Drawn::List, ValueChange::List(change)) = (self.of, change) else {
            execution.execute(change, answer);
            return execution.event;
        };
        let elements = elements_of(&before.state);
        let (after, written) = expected_list(&elements, change, at.dot);
        for (id, _) in &elements {
            if !after.iter().any(|(other, _)| other == id) {
                execution.remove_element(*id);
            }
        }
        for (id, text) in after.iter().filter(|(id, _)| written.contains(id)) {
            execution.set_element(*id, text);
        }
        execution.event
    }

    fn join(&mut self, at: usize, other: &Seen) {
        let before = self.replicas[at].state.clone();
        let replica = &mut self.replicas[at];
        let was_new = replica.state.join(&other.state).expect("all are of one type");
        assert_eq!(was_new, replica.state != before, "a join says whether anything was new");
        replica.known.extend(&other.known);
        self.check(at);
    }

    /// Compares a replica with its twin, and keeps what it holds.
    fn check(&mut self, at: usize) {
        let Seen { state, known } = self.replicas[at].clone();
        state.invariants();
        let standing = self.log.standing(self.of, &known);
        assert_eq!(in_words(&state), standing.in_words());
        assert_eq!(state.data().map_or(0, Data::dots), standing.dots(), "no more stands unread");
        if let Some(Data::List(list)) = state.data() {
            let ids = list.ids();
            for (index, left) in ids.iter().enumerate() {
                for right in &ids[index + 1..] {
                    assert!(!self.orders.contains(&(*right, *left)), "two orders of one list");
                    self.orders.insert((*left, *right));
                }
            }
        }
        self.pool.push(Seen { state, known });
    }
}

/// Tells whether no number in the state has stopped at an end, beyond which increments that were made
/// apart have gone, or is too large for its fractions.
fn is_exact(state: &TypedState) -> bool {
    let ends = [i64::MAX, i64::MIN].map(|end| alloc::format!("integer {end}"));
    in_words(state).iter().all(|line| {
        let is_large = line.contains("float") && line.contains("e1");
        !is_large && !ends.iter().any(|end| line.ends_with(end))
    })
}

/// The elements of a list, with their texts.
pub(super) fn elements_of(state: &TypedState) -> Vec<(ElementId, Bytes)> {
    match state.data() {
        Some(Data::List(list)) => list.ids().into_iter().zip(list.iter().cloned()).collect(),
        None => Vec::new(),
        Some(other) => panic!("{other:?} is no list"),
    }
}
