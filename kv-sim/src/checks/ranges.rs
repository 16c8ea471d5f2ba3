//! Sets of numbers that come in long runs.

use std::ops::Range;

use smallvec::{SmallVec, smallvec};

/// A set of numbers, as ranges: sorted, disjoint, none empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ranges(RangeList);

type RangeList = SmallVec<[Range<u32>; 2]>;

impl Ranges {
    /// Creates the set of all numbers below `end`.
    pub(super) fn below(end: u32) -> Self {
        let all = 0..end;
        Self(if all.is_empty() { RangeList::new() } else { smallvec![all] })
    }

    /// True if the set is empty.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Tells whether a number is in the set.
    pub(super) fn contains(&self, number: u32) -> bool {
        let at = self.0.partition_point(|range| range.end <= number);
        self.0.get(at).is_some_and(|range| range.contains(&number))
    }

    /// All numbers in the set, rising.
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().cloned().flatten()
    }

    /// Keeps what is in `others` as well, or in the range `tail`, which begins behind `others`.
    pub(super) fn keep(&mut self, others: &Self, tail: Range<u32>) {
        let mut kept = RangeList::new();
        let mut theirs = others.0.iter().cloned().chain([tail]).peekable();
        let mut mine = self.0.iter().cloned().peekable();
        while let (Some(a), Some(b)) = (mine.peek(), theirs.peek()) {
            let both = a.start.max(b.start)..a.end.min(b.end);
            let mine_ends_first = a.end <= b.end;
            if !both.is_empty() {
                kept.push(both);
            }
            if mine_ends_first {
                mine.next();
            } else {
                theirs.next();
            }
        }
        self.0 = kept;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn ranges(numbers: &BTreeSet<u32>) -> Ranges {
        let mut ranges = Ranges::default();
        for &number in numbers {
            match ranges.0.last_mut() {
                Some(last) if last.end == number => last.end += 1,
                _ => ranges.0.push(number..number + 1),
            }
        }
        ranges
    }

    proptest! {
        #[test]
        fn keeping_is_the_intersection_of_sets(
            mine in proptest::collection::btree_set(0_u32..60, 0..40),
            others in proptest::collection::btree_set(0_u32..30, 0..25),
            tail in 30_u32..50,
        ) {
            let mut kept = ranges(&mine);
            kept.keep(&ranges(&others), tail..55);
            let expected: Vec<_> = mine
                .iter()
                .copied()
                .filter(|number| others.contains(number) || (tail..55).contains(number))
                .collect();
            prop_assert_eq!(kept.iter().collect::<Vec<_>>(), expected.clone());
            for number in 0..60 {
                prop_assert_eq!(kept.contains(number), expected.contains(&number));
            }
            prop_assert_eq!(kept.is_empty(), expected.is_empty());
        }
    }
}
