//! What holds in every history.

use alloc::vec::Vec;

use super::dice::{ALL_TYPES, Dice, Drawn};
use super::history::ValueHistory;
use crate::codec::{Codec, Reader};
use crate::value::*;
use crate::version::VersionVector;

/// The seeds of each law, for each type.
const SEEDS: u64 = 100;
const STEPS: usize = 40;

pub(super) fn for_each_history(mut check: impl FnMut(Drawn, &mut ValueHistory, &mut Dice)) {
    for of in ALL_TYPES {
        for seed in 0..SEEDS {
            let mut history = ValueHistory::played(of, seed, STEPS);
            check(of, &mut history, &mut Dice::new(seed));
        }
    }
}

fn joined(a: &TypedState, b: &TypedState) -> TypedState {
    let mut joined = a.clone();
    joined.join(b).expect("both are of one type");
    joined
}

fn encoded(state: &TypedState) -> Vec<u8> {
    let mut bytes = Vec::new();
    state.encode(&mut bytes);
    bytes
}

#[test]
fn what_stands_is_what_the_twin_says_at_every_step_and_all_replicas_end_with_equal_bytes() {
    for_each_history(|_, history, _| {
        history.converge();
        let last: Vec<_> = history.replicas.iter().map(|seen| encoded(&seen.state)).collect();
        assert!(last.windows(2).all(|pair| pair[0] == pair[1]));
    });
}

#[test]
fn join_is_commutative_associative_and_idempotent_and_absorbs_what_it_has_joined() {
    for_each_history(|_, history, dice| {
        for _ in 0..20 {
            let [a, b, c] = [(); 3].map(|()| &history.pool[dice.index(history.pool.len())].state);
            let both = joined(a, b);
            assert_eq!(both, joined(b, a));
            assert_eq!(joined(&both, c), joined(a, &joined(b, c)));
            assert_eq!(joined(a, a), *a);
            assert_eq!(joined(&both, a), both);
        }
    });
}

#[test]
fn a_state_comes_back_from_its_bytes_and_weighs_about_as_much() {
    for_each_history(|_, history, _| {
        for seen in &history.pool {
            let bytes = encoded(&seen.state);
            let mut input = Reader::new(&bytes);
            assert_eq!(TypedState::decode(&mut input).as_ref(), Ok(&seen.state));
            assert!(input.rest().is_empty());
            let (weight, length) = (seen.state.weight(), bytes.len());
            assert!(weight >= length / 2 && weight <= 2 * length + 16, "{weight} for {length}");
        }
    });
}

#[test]
fn siblings_resolve_to_their_join_in_whatever_order_they_stand() {
    for_each_history(|_, history, dice| {
        let mut siblings: Vec<_> = Vec::new();
        for _ in 0..3 {
            let state = &history.pool[dice.index(history.pool.len())].state;
            let dot =
                state.clock().iter().last().map(|(actor, n)| crate::version::Dot { actor, n });
            let Some(dot) = dot else { continue };
            siblings
                .push((WriteStamp { dot, time: crate::time::HybridTime(dice.below(3)) }, state));
        }
        let resolved = TypedState::resolved(siblings.iter().copied(), &VersionVector::EMPTY);
        let all =
            siblings.iter().fold(TypedState::default(), |all, (_, state)| joined(&all, state));
        assert_eq!(resolved, all);
    });
}
