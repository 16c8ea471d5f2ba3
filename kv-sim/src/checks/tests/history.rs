use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::checks::history::{EventIndex, History};

/// Finds all events that can be reached through parents, one by one.
fn ancestors(history: &History, of: EventIndex) -> BTreeSet<EventIndex> {
    let mut found = BTreeSet::new();
    let mut to_visit = history.event(of).parents.to_vec();
    while let Some(event) = to_visit.pop() {
        if found.insert(event) {
            to_visit.extend(history.event(event).parents.iter());
        }
    }
    found
}

proptest! {
    #[test]
    fn what_is_computed_from_gaps_is_what_a_walk_through_parents_finds(
        parents in proptest::collection::vec(proptest::collection::vec(0_usize..40, 0..4), 1..40),
        standing in proptest::collection::btree_set(0_usize..40, 0..5),
    ) {
        let mut fixture = Fixture::new();
        let mut dots = Vec::new();
        for parents in parents {
            let seen: Vec<Dot> = parents.iter().filter_map(|&at| dots.get(at).copied()).collect();
            let asked = fixture.ask(Mode::Sloppy, &seen);
            dots.push(fixture.mint(CLUSTER[dots.len() % 5], 1, &asked, context(&seen)));
        }
        let history = fixture.checks.histories.iter().next().expect("there is one key");
        let end = dots.len() as EventIndex;
        for event in 0..end {
            let expected = ancestors(history, event);
            for other in 0..end {
                prop_assert_eq!(history.is_ancestor(other, event), expected.contains(&other));
            }
        }

        let mut container = Container::default();
        let mut known = BTreeSet::new();
        for at in standing.into_iter().filter(|&at| at < dots.len()) {
            let owner = &fixture.cluster.live[&dots[at].actor.node];
            let event = history.named(dots[at]).expect("it was minted");
            if let Some(version) = owner.get(dots[at])
                && !container.seen().covers(dots[at])
            {
                container.add(dots[at], version.clone());
                known.insert(event);
                known.extend(ancestors(history, event));
            }
        }
        let unreached: BTreeSet<_> = history.reach(&container).unreached.iter().collect();
        prop_assert_eq!(unreached, (0..end).filter(|event| !known.contains(event)).collect());
    }
}
