//! What is known of one node, and how two opinions of it become one.
//!
//! A node raises its heartbeat once per round, and a state that it sets has the version of the next
//! heartbeat. So one number says how much is known of a run: *whoever knows a heartbeat of a run
//! knows the newest value that each state had by then*. A delta therefore names the heartbeat that
//! it builds upon, and [`NodeState::learn`] does not take one that builds upon more than is known:
//! it may have been made for an earlier run of the receiver.
//!
//! Invariant: `heartbeat` is the greatest version; only a node's own states may have the version
//! after it, until its next round. `join` is commutative, associative and idempotent.

use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;

use bytes::Bytes;

use crate::membership::Horizon;
use crate::message::gossip::{Delta, Known, State, StateKey};
use crate::time::Span;
use crate::types::{Generation, NodeId};

/// A run of a node and a heartbeat of it: the greater run is greater, then the greater heartbeat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stamp {
    pub(super) generation: Generation,
    pub(super) heartbeat: u64,
}

/// The gossip state of one member: its newest heartbeat, and its states as of then.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct NodeState {
    pub(super) stamp: Stamp,
    pub(super) states: BTreeMap<StateKey, Versioned>,
}

/// The value of a state, ordered by version. Two values never share a version unless two nodes run
/// under one id; then the greater one wins everywhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Versioned {
    pub(super) version: u64,
    value: Bytes,
}

/// The news that a gossip delta brought of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Nothing new, or nothing that can be used.
    None,
    /// A newer heartbeat of the run that was known, perhaps with states.
    Heartbeat,
    /// A newer run of the node.
    Run,
}

impl From<Known> for Stamp {
    fn from(known: Known) -> Self {
        Self { generation: known.generation, heartbeat: known.version }
    }
}

impl Stamp {
    pub(super) const fn known(self, node: NodeId) -> Known {
        Known { node, generation: self.generation, version: self.heartbeat }
    }

    /// Tells whether the horizon admits this heartbeat.
    pub(super) fn is_within(self, horizon: Horizon) -> bool {
        horizon.admits(self.generation, self.heartbeat)
    }

    /// The heartbeat up to which this covers the run of a generation: 0 for any other run.
    fn within(self, generation: Generation) -> u64 {
        if self.generation == generation { self.heartbeat } else { 0 }
    }
}

impl NodeState {
    /// The value of a state, if it was ever set.
    pub(super) fn value(&self, key: StateKey) -> Option<&Bytes> {
        self.states.get(&key).map(|state| &state.value)
    }

    /// The delta that brings somebody at `theirs` up to this, if they lack anything. `age` is the
    /// age of this heartbeat.
    pub(super) fn delta(&self, node: NodeId, theirs: Stamp, age: Span) -> Option<Delta> {
        if theirs >= self.stamp {
            return None;
        }
        let Stamp { generation, heartbeat } = self.stamp;
        let since = theirs.within(generation);
        let lacking = |state: &Versioned| state.version > since && state.version <= heartbeat;
        let states = self.states.iter().filter(|&(_, state)| lacking(state));
        let states = states.map(|(&key, state)| State {
            key,
            version: state.version,
            value: state.value.clone(),
        });
        let age_ms = u32::try_from(age.as_ms()).unwrap_or(u32::MAX);
        Some(Delta { node, generation, since, heartbeat, age_ms, states: states.collect() })
    }

    /// Takes a delta, if it says something new and builds upon no more than is known. The caller
    /// has checked that no state in it is newer than its heartbeat.
    pub(super) fn learn(&mut self, delta: Delta) -> News {
        let Delta { node: _, generation, since, heartbeat, age_ms: _, states } = delta;
        let before = self.stamp;
        let stamp = Stamp { generation, heartbeat };
        if stamp <= before || since > before.within(generation) {
            return News::None;
        }
        let mut brought = Self { stamp, states: BTreeMap::new() };
        for State { key, version, value } in states {
            brought.raise(key, Versioned { version, value });
        }
        self.join(brought);
        if generation > before.generation { News::Run } else { News::Heartbeat }
    }

    /// Joins what two nodes know: the greater run entirely; within a run, the greatest of
    /// everything.
    pub(super) fn join(&mut self, other: Self) {
        if other.stamp.generation > self.stamp.generation {
            *self = other;
        } else if other.stamp.generation == self.stamp.generation {
            self.stamp = self.stamp.max(other.stamp);
            other.states.into_iter().for_each(|(key, state)| self.raise(key, state));
        }
    }

    /// Sets a state of this node itself, which travels with the next heartbeat. A value that is set
    /// again before it travels is replaced under the same version.
    pub(super) fn set(&mut self, key: StateKey, value: Bytes) {
        if self.value(key) != Some(&value) {
            let version = self.stamp.heartbeat.saturating_add(1);
            self.states.insert(key, Versioned { version, value });
        }
    }

    fn raise(&mut self, key: StateKey, state: Versioned) {
        match self.states.entry(key) {
            Entry::Vacant(entry) => {
                entry.insert(state);
            }
            Entry::Occupied(mut entry) => {
                if state > *entry.get() {
                    entry.insert(state);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    const NODE: NodeId = NodeId(1);

    fn joined(a: &NodeState, b: &NodeState) -> NodeState {
        let mut joined = a.clone();
        joined.join(b.clone());
        joined
    }

    fn any_state() -> impl Strategy<Value = NodeState> {
        let versioned = (0_u64..6, any::<bool>()).prop_map(|(version, value)| Versioned {
            version,
            value: Bytes::from(vec![u8::from(value)]),
        });
        let states = prop::collection::btree_map((0_u8..3).prop_map(StateKey), versioned, 0..4);
        (0_u64..3, 0_u64..6, states).prop_map(|(generation, heartbeat, states)| {
            let newest = states.values().map(|state| state.version).max().unwrap_or(0);
            let stamp =
                Stamp { generation: Generation(generation), heartbeat: heartbeat.max(newest) };
            NodeState { stamp, states }
        })
    }

    #[test]
    fn what_is_set_twice_before_it_travels_travels_once() {
        let mut state = NodeState::default();
        state.set(StateKey(1), Bytes::from_static(b"first"));
        state.set(StateKey(1), Bytes::from_static(b"second"));
        assert_eq!(state.delta(NODE, Stamp::default(), Span::ZERO), None);
        state.stamp.heartbeat = 1;
        let delta = state.delta(NODE, Stamp::default(), Span::ZERO).expect("a heartbeat is new");
        let said: Vec<_> = delta.states.iter().map(|state| (state.version, &state.value)).collect();
        assert_eq!(said, [(1, &Bytes::from_static(b"second"))]);
    }

    #[test]
    fn setting_what_is_set_already_says_nothing_new() {
        let mut state = NodeState::default();
        state.set(StateKey(1), Bytes::from_static(b"same"));
        state.stamp.heartbeat = 1;
        state.set(StateKey(1), Bytes::from_static(b"same"));
        state.stamp.heartbeat = 2;
        let stamp = Stamp { heartbeat: 1, ..Stamp::default() };
        assert_eq!(state.delta(NODE, stamp, Span::ZERO).expect("a heartbeat is new").states, []);
    }

    #[test]
    fn a_delta_that_was_made_for_an_earlier_run_of_the_receiver_is_not_taken() {
        let mut sender = NodeState::default();
        sender.set(StateKey(1), Bytes::from_static(b"old"));
        sender.stamp.heartbeat = 7;
        let for_one_who_knew_it = Stamp { heartbeat: 5, ..sender.stamp };
        let delta =
            sender.delta(NODE, for_one_who_knew_it, Span::ZERO).expect("a heartbeat is new");
        let mut restarted = NodeState::default();
        assert_eq!(restarted.learn(delta), News::None);
        let delta = sender.delta(NODE, restarted.stamp, Span::ZERO).expect("all is new");
        assert_eq!(restarted.learn(delta), News::Heartbeat);
        assert_eq!(restarted, sender);
    }

    proptest! {
        #[test]
        fn the_join_is_commutative_associative_and_idempotent(
            a in any_state(), b in any_state(), c in any_state(),
        ) {
            prop_assert_eq!(joined(&a, &b), joined(&b, &a));
            prop_assert_eq!(joined(&joined(&a, &b), &c), joined(&a, &joined(&b, &c)));
            prop_assert_eq!(joined(&a, &a), a);
        }

        /// One node's run, and two others that hear of it by deltas which are lost, doubled and
        /// late: whoever knows a heartbeat knows all that was set by then.
        #[test]
        fn deltas_in_any_order_never_leave_a_hole(
            steps in prop::collection::vec((0_u8..4, 0_usize..8, any::<u8>()), 0..80),
        ) {
            let mut sender = NodeState::default();
            let mut history = vec![sender.clone()];
            let mut receivers = [NodeState::default(), NodeState::default()];
            let mut sent = Vec::new();
            for (step, choice, value) in steps {
                let receiver = choice % 2;
                match step {
                    0 => {
                        sender.set(StateKey(value % 3), Bytes::from(vec![value]));
                        sender.stamp.heartbeat += 1;
                        history.push(sender.clone());
                    }
                    1 => sent.extend(sender.delta(NODE, receivers[receiver].stamp, Span::ZERO)),
                    2 if !sent.is_empty() => {
                        let delta: Delta = sent[choice % sent.len()].clone();
                        receivers[receiver].learn(delta);
                    }
                    2 => {}
                    _ => receivers[receiver] = NodeState::default(),
                }
                for receiver in &receivers {
                    prop_assert_eq!(receiver, &history[receiver.stamp.heartbeat as usize]);
                }
            }
        }
    }
}
