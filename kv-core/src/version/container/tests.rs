//! The merge laws, against a dumb twin that keeps sets of events instead of vectors.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::types::{Epoch, NodeId};
use crate::version::{Actor, Content};

/// The meaning of a container: the events that are known, and those that were really overwritten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Twin {
    known: BTreeSet<Dot>,
    overwritten: BTreeSet<Dot>,
}

#[derive(Clone, Debug)]
enum JoinStep {
    /// A put at a replica, with what replica `seen_at` held as its context.
    Put { at: usize, seen_at: usize },
    /// Replica `to` joins what replica `from` holds.
    Join { from: usize, to: usize },
}

const REPLICAS: usize = 4;

fn steps() -> impl Strategy<Value = Vec<JoinStep>> {
    let put = (0..REPLICAS, 0..REPLICAS).prop_map(|(at, seen_at)| JoinStep::Put { at, seen_at });
    let join = (0..REPLICAS, 0..REPLICAS).prop_map(|(from, to)| JoinStep::Join { from, to });
    proptest::collection::vec(prop_oneof![put, join], 0..40)
}

fn version(n: u64) -> Version {
    Version {
        content: if n.is_multiple_of(5) {
            Content::Tombstone
        } else {
            Content::Value(n.to_be_bytes().to_vec().into())
        },
        time: HybridTime(n),
        expiry: None,
        request: RequestId(u128::from(n)),
        tag: None,
    }
}

/// Runs the steps on containers and on their twins.
fn play(steps: &[JoinStep]) -> Vec<(Container, Twin)> {
    let mut replicas: Vec<(Container, Twin)> = (0..REPLICAS).map(|_| Default::default()).collect();
    let mut counters = BTreeMap::<usize, u64>::new();
    let mut writes = 0;
    for step in steps {
        match *step {
            JoinStep::Put { at, seen_at } => {
                let (context, context_twin) = replicas[seen_at].clone();
                let n = counters.entry(at).and_modify(|n| *n += 1).or_insert(1);
                let actor = Actor { node: NodeId(at as u64), epoch: Epoch(0) };
                let dot = Dot { actor, n: *n };
                writes += 1;
                let (container, twin) = &mut replicas[at];
                container.discard(context.seen());
                container.add(dot, version(writes));
                twin.known.extend(&context_twin.known);
                twin.overwritten.extend(&context_twin.known);
                twin.known.insert(dot);
            }
            JoinStep::Join { from, to } => {
                let (container, twin) = replicas[from].clone();
                replicas[to].0.join(&container);
                replicas[to].1.known.extend(&twin.known);
                replicas[to].1.overwritten.extend(&twin.overwritten);
            }
        }
    }
    replicas
}

fn joined(a: &Container, b: &Container) -> Container {
    let mut joined = a.clone();
    joined.join(b);
    joined
}

proptest! {
    #[test]
    fn what_stands_is_what_is_known_and_was_not_overwritten(steps in steps()) {
        for (container, twin) in play(&steps) {
            let standing: BTreeSet<Dot> = container.dots().collect();
            let truth: BTreeSet<Dot> = twin.known.difference(&twin.overwritten).copied().collect();
            prop_assert_eq!(standing, truth);
        }
    }

    #[test]
    fn join_is_commutative_associative_and_idempotent(steps in steps()) {
        let replicas = play(&steps);
        let [a, b, c] = [&replicas[0].0, &replicas[1].0, &replicas[2].0];
        prop_assert_eq!(joined(a, b), joined(b, a));
        prop_assert_eq!(joined(&joined(a, b), c), joined(a, &joined(b, c)));
        prop_assert_eq!(&joined(a, a), a);
    }

    #[test]
    fn a_join_has_seen_what_either_has_seen(steps in steps()) {
        let replicas = play(&steps);
        for (a, _) in &replicas {
            for (b, _) in &replicas {
                let both = joined(a, b);
                prop_assert!(matches!(both.compare(a), Relation::Newer | Relation::Equal));
                let mirrored = match a.compare(b) {
                    Relation::Older => Relation::Newer,
                    Relation::Newer => Relation::Older,
                    same @ (Relation::Equal | Relation::Concurrent) => same,
                };
                prop_assert_eq!(b.compare(a), mirrored);
                if a.compare(b) == Relation::Equal {
                    prop_assert_eq!(a, b);
                }
            }
        }
    }

    #[test]
    fn equal_containers_have_equal_bytes_and_hashes(steps in steps()) {
        let replicas = play(&steps);
        let (ab, ba) = (joined(&replicas[0].0, &replicas[1].0), joined(&replicas[1].0, &replicas[0].0));
        let bytes = encoded(&ab);
        prop_assert_eq!(&bytes, &encoded(&ba));
        prop_assert_eq!(ab.hash(&Key::from("k")), ba.hash(&Key::from("k")));
        prop_assert_eq!(Container::decode(&mut Reader::new(&bytes)), Ok(ab));
    }
}

fn encoded(container: &Container) -> Vec<u8> {
    let mut bytes = Vec::new();
    container.encode(&mut bytes);
    bytes
}

#[test]
fn joining_a_container_with_itself_does_not_empty_it() {
    let (container, _) = play(&[JoinStep::Put { at: 0, seen_at: 1 }]).swap_remove(0);
    assert_eq!(joined(&container, &container).siblings().len(), 1);
}

#[test]
fn twins_of_one_request_are_shown_as_one_and_the_greatest_dot_is_shown() {
    let actor = |node| Actor { node: NodeId(node), epoch: Epoch(0) };
    let mut container = Container::default();
    container.add(Dot { actor: actor(2), n: 1 }, version(1));
    container.add(Dot { actor: actor(1), n: 1 }, version(1));
    container.add(Dot { actor: actor(0), n: 1 }, version(2));
    let shown: Vec<NodeId> = container.distinct().iter().map(|(dot, _)| dot.actor.node).collect();
    assert_eq!(shown, [NodeId(0), NodeId(2)]);
}

#[test]
fn an_encoding_whose_vector_does_not_cover_its_siblings_is_refused() {
    let actor = Actor { node: NodeId(1), epoch: Epoch(0) };
    let siblings = smallvec::smallvec![(Dot { actor, n: 2 }, version(1))];
    let seen: VersionVector = [Dot { actor, n: 1 }].into_iter().collect();
    let uncovered = Container(Some(ContainerBody { siblings, seen }.into()));
    let bytes = encoded(&uncovered);
    assert_eq!(Container::decode(&mut Reader::new(&bytes)), Err(Malformed));
}

#[test]
#[should_panic(expected = "was minted before")]
fn one_dot_is_never_minted_twice() {
    let dot = Dot { actor: Actor { node: NodeId(1), epoch: Epoch(0) }, n: 1 };
    let mut container = Container::default();
    container.add(dot, version(1));
    container.add(dot, version(2));
}
