//! States as the values of versions in containers, as replicas keep and exchange them.
//!
//! What a replica reads of its siblings is the state that it would hold if states were all that there
//! is: the container adds nothing and loses nothing.

use alloc::vec::Vec;

use bytes::Bytes;

use super::dice::{ALL_TYPES, Dice, Drawn};
use crate::codec::{Codec, Reader};
use crate::time::HybridTime;
use crate::types::{Epoch, NodeId, RequestId};
use crate::value::*;
use crate::version::{Actor, Container, Content, Dot, Version};

/// What is read of the siblings of a container.
fn read(container: &Container) -> TypedState {
    let states: Vec<(WriteStamp, TypedState)> = container
        .siblings()
        .iter()
        .map(|(dot, version)| {
            let value = version.content.value().expect("deletions have a state too");
            let state = TypedState::decode(&mut Reader::new(value)).expect("it was encoded");
            (WriteStamp { dot: *dot, time: version.time }, state)
        })
        .collect();
    TypedState::resolved(states.iter().map(|(at, state)| (*at, state)), container.seen())
}

/// Puts a state as a version that overwrites all that the container holds.
fn put(container: &mut Container, state: &TypedState, at: WriteStamp) {
    let mut value = Vec::new();
    state.encode(&mut value);
    let version = Version {
        content: Content::Value(Bytes::from(value)),
        time: at.time,
        expiry: None,
        request: RequestId(at.dot.n.into()),
        tag: None,
    };
    let seen = container.seen().clone();
    container.discard(&seen);
    container.add(at.dot, version);
}

/// Plays a history in containers and, beside them, in states alone.
fn play(
    seed: u64,
    mut of: impl FnMut(&mut Dice) -> Drawn,
    mut check: impl FnMut(&Container, &TypedState),
) {
    let mut dice = Dice::new(seed);
    let mut replicas = [(); 3].map(|()| (Container::default(), TypedState::default()));
    for _ in 0..40 {
        let at = dice.index(replicas.len());
        if dice.below(3) == 0 {
            let (container, state) = replicas[dice.index(3)].clone();
            replicas[at].0.join(&container);
            // Where types differ, states alone do not join, and are not looked at.
            let _ = replicas[at].1.join(&state);
        } else {
            let (container, state) = &mut replicas[at];
            let actor = Actor { node: NodeId(at as u64), epoch: Epoch(0) };
            let dot = Dot { actor, n: container.seen().get(actor) + 1 };
            let stamp = WriteStamp { dot, time: HybridTime(dice.below(6)) };
            let of = of(&mut dice);
            if of == Drawn::Scalar && dice.below(4) == 0 {
                // A `SET`, which takes the place of all that the minter holds.
                let text: Bytes = alloc::format!("{}", dice.below(100)).into();
                *state = TypedState::of_text(state.clock().clone(), text.clone(), stamp);
                let set = TypedState::of_text(container.seen().clone(), text, stamp);
                put(container, &set, stamp);
            } else {
                let change = dice.change(of);
                let mut next = read(container);
                let applied = next.apply(&change, stamp);
                if applied.is_ok_and(|applied| applied.has_changed) {
                    put(container, &next, stamp);
                }
                let _ = state.apply(&change, stamp);
            }
        }
        check(&replicas[at].0, &replicas[at].1);
    }
    // At the end all hold the same, and read the same.
    let [first, second, third] = replicas.map(|(container, _)| container);
    let all = |mut joined: Container, others: [&Container; 2]| {
        for other in others {
            joined.join(other);
        }
        read(&joined)
    };
    let last = all(third.clone(), [&first, &second]);
    assert_eq!(all(first, [&second, &third]), last);
}

#[test]
fn what_is_read_of_siblings_is_the_join_of_all_that_was_changed() {
    for of in ALL_TYPES {
        for seed in 0..60 {
            play(seed, |_| of, |container, state| assert_eq!(read(container), *state));
        }
    }
}

#[test]
fn replicas_that_hold_the_same_read_the_same_whatever_types_met() {
    for seed in 0..200 {
        play(
            seed,
            |dice| dice.one_of(&ALL_TYPES),
            |container, _| {
                let state = read(container);
                state.invariants();
                assert_eq!(state.clock(), container.seen());
            },
        );
    }
}
