//! Bytes that are no state, or not one that commands have made.

use alloc::vec::Vec;

use super::dice::{ALL_TYPES, Dice, Drawn};
use super::history::ValueHistory;
use super::laws::for_each_history;
use super::twin::in_words;
use crate::codec::{Codec, Malformed, Reader};
use crate::time::HybridTime;
use crate::value::*;
use crate::version::Dot;

fn encoded(value: &impl Codec) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.encode(&mut bytes);
    bytes
}

/// Checks that bytes are refused or make a state that is valid, has no other bytes, and can be read,
/// joined and changed. Returns whether they make one.
fn is_state(bytes: &[u8], of: Drawn, other: &TypedState, dice: &mut Dice) -> bool {
    let mut input = Reader::new(bytes);
    let Ok(mut state) = TypedState::decode(&mut input) else { return false };
    state.invariants();
    assert_eq!(encoded(&state), bytes[..bytes.len() - input.rest().len()]);
    in_words(&state);
    let mut joined = state.clone();
    if joined.join(other).is_ok() {
        joined.invariants();
        in_words(&joined);
        assert_eq!(joined.join(&state), Ok(false));
    }
    let mut joined = other.clone();
    if joined.join(&state).is_ok() {
        joined.invariants();
    }
    for actor in state.clock().iter().map(|(actor, _)| actor).collect::<Vec<_>>() {
        let n = state.clock().get(actor).saturating_add(1);
        let at = WriteStamp { dot: Dot { actor, n }, time: HybridTime(7) };
        let before = state.clone();
        if state.apply(&dice.change(of), at).is_err() {
            assert_eq!(state, before);
        }
        state.invariants();
    }
    true
}

#[test]
fn bytes_that_were_altered_are_refused_or_make_another_valid_state() {
    let (mut refused, mut accepted) = (0, 0);
    for_each_history(|of, history, dice| {
        for _ in 0..20 {
            let [state, other] =
                [(); 2].map(|()| &history.pool[dice.index(history.pool.len())].state);
            let mut bytes = encoded(state);
            for _ in 0..=dice.below(3) {
                let at = dice.index(bytes.len().max(1));
                match dice.below(4) {
                    0 => bytes.truncate(at),
                    1 => bytes.insert(at.min(bytes.len()), dice.draw() as u8),
                    _ => {
                        if let Some(byte) = bytes.get_mut(at) {
                            *byte ^= 1 << dice.below(8);
                        }
                    }
                }
            }
            if is_state(&bytes, of, other, dice) { accepted += 1 } else { refused += 1 }
        }
    });
    assert!(refused > 500 && accepted > 500, "{refused} refused, {accepted} accepted");
}

#[test]
fn noise_is_refused_or_makes_a_valid_state() {
    let other = TypedState::default();
    let mut accepted = 0;
    for seed in 0..3_000 {
        let mut dice = Dice::new(seed);
        let of = dice.one_of(&ALL_TYPES);
        // A clock of two actors, so that the data is looked at, and small numbers in it.
        let mut bytes = [2].to_vec();
        for actor in 1..=2 {
            bytes.extend_from_slice(&[actor; 16]);
            bytes.push(100);
        }
        bytes.push(dice.below(8) as u8);
        let most = dice.one_of(&[2, 4, 256]);
        bytes.extend((0..dice.below(40)).map(|_| dice.below(most) as u8));
        accepted += u32::from(is_state(&bytes, of, &other, &mut dice));
    }
    assert!(accepted > 50, "{accepted} were accepted");
}

#[test]
fn a_collection_that_is_empty_or_names_what_it_has_not_seen_is_refused() {
    let clock = |n: u8| [&[1][..], &[7; 16], &[n]].concat();
    let decode = |data: &[u8]| {
        let bytes = [&clock(5)[..], data].concat();
        let mut input = Reader::new(&bytes);
        let state = TypedState::decode(&mut input);
        assert!(state.is_err() || input.rest().is_empty());
        state
    };
    let member: &[u8] = &[2, 1, 1, b'a', 1, 0, 5];
    assert!(decode(member).is_ok());
    let refused: [(&str, &[u8]); 10] = [
        ("a type that there is not", &[7, 0]),
        ("an empty set", &[2, 0]),
        ("a number of nothing", &[1, 0, 0]),
        ("a member of nothing", &[2, 1, 1, b'a', 0]),
        ("a dot that was not seen", &[2, 1, 1, b'a', 1, 0, 6]),
        ("a dot 0", &[2, 1, 1, b'a', 1, 0, 0]),
        ("an actor that is not in the clock", &[2, 1, 1, b'a', 1, 1, 5]),
        ("two dots of one actor", &[2, 1, 1, b'a', 2, 0, 4, 0, 5]),
        ("a member twice", &[2, 2, 1, b'a', 1, 0, 5, 1, b'a', 1, 0, 5]),
        ("members that do not rise", &[2, 2, 1, b'b', 1, 0, 5, 1, b'a', 1, 0, 5]),
    ];
    for (what, data) in refused {
        assert_eq!(decode(data), Err(Malformed), "{what}");
    }
}

#[test]
fn what_comes_from_bytes_shares_their_memory_and_is_the_same() {
    for_each_history(|_, history, _| {
        let state = &history.replicas[0].state;
        let bytes = bytes::Bytes::from(encoded(state));
        assert_eq!(TypedState::decode(&mut Reader::sharing(&bytes)).as_ref(), Ok(state));
    });
}

#[test]
fn changes_and_answers_come_back_from_their_bytes() {
    fn check<T: Codec + PartialEq + core::fmt::Debug>(value: &T) {
        let bytes = encoded(value);
        let mut input = Reader::new(&bytes);
        assert_eq!(T::decode(&mut input).as_ref(), Ok(value));
        assert!(input.rest().is_empty());
    }
    for of in ALL_TYPES {
        let history = ValueHistory::played(of, 1, 40);
        let mut dice = Dice::new(7);
        for n in 0..200 {
            let change = dice.change(of);
            check(&change);
            let state = &history.pool[dice.index(history.pool.len())].state;
            let Some((actor, seen)) = state.clock().iter().next() else { continue };
            let at = WriteStamp { dot: Dot { actor, n: seen + 1 }, time: HybridTime(n) };
            check(&at);
            match state.clone().apply(&change, at) {
                Ok(applied) => check(&applied),
                Err(error) => check(&error),
            }
        }
    }
}
