//! What holds of a tally between two answers.

use super::{OwnerSet, Tally};

impl Tally {
    /// Checks that the sets can be reached, that each answer is there once, and that a quorum has
    /// at least as many machines and as many owners behind it as it needs.
    ///
    /// # Panics
    /// If it is not so.
    pub fn invariants(&self) {
        let Self { mode: _, sets, answers } = self;
        assert!(!sets.is_empty(), "a quorum is of no set of owners");
        sets.iter().for_each(OwnerSet::invariants);
        for (at, answer) in answers.iter().enumerate() {
            for later in &answers[at + 1..] {
                assert!(
                    (later.by, later.for_owner) != (answer.by, answer.for_owner),
                    "the answer of {:?} for {:?} is counted twice",
                    answer.by,
                    answer.for_owner
                );
                assert!(
                    later.by != answer.by || later.machine == answer.machine,
                    "{:?} answers from two machines",
                    answer.by
                );
            }
        }
        if self.reached() {
            sets.iter().for_each(|set| self.has_enough(set));
        }
    }

    /// Checks by plain counting what pairing off the copies has found. Fewer machines or owners
    /// than answers needed would be fewer copies.
    fn has_enough(&self, set: &OwnerSet) {
        let counting = || self.answers.iter().filter(|answer| set.counts(answer, self.mode));
        let machines = distinct(counting().map(|answer| answer.machine));
        let owners = distinct(counting().map(|answer| answer.for_owner));
        assert!(machines >= set.needed, "a quorum is reached on too few machines");
        assert!(owners >= set.needed, "a quorum is reached in the places of too few owners");
    }
}

impl OwnerSet {
    fn invariants(&self) {
        let Self { owners, needed } = self;
        assert!(
            (1..=owners.len()).contains(needed),
            "{needed} answers are needed of {} owners",
            owners.len()
        );
        assert!(distinct(owners.iter()) == owners.len(), "an owner stands twice in a set");
    }
}

/// The number of distinct items of a few: nothing is allocated, as a node has hundreds of operations
/// in flight and all are looked at after every input.
pub(crate) fn distinct<T: PartialEq>(items: impl Iterator<Item = T> + Clone) -> usize {
    let is_first = |(at, item): &(usize, T)| !items.clone().take(*at).any(|one| one == *item);
    items.clone().enumerate().filter(is_first).count()
}
