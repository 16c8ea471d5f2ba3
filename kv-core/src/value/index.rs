//! Indexes as commands count them: from 0 at the beginning, or from -1 at the end.

use core::ops::Range;

/// The element at an index, counted from the beginning; none if there is no such element.
pub fn element_at(index: i64, length: usize) -> Option<usize> {
    let at = from_the_beginning(index, length)?;
    (at < length).then_some(at)
}

/// The elements from one index to another, which is included. What lies beyond the ends is left out;
/// the range is empty if no element is left.
pub fn elements_between(start: i64, stop: i64, length: usize) -> Range<usize> {
    let first = from_the_beginning(start, length).unwrap_or(0);
    let end = from_the_beginning(stop, length).map_or(0, |stop| stop.saturating_add(1).min(length));
    if first < end { first..end } else { 0..0 }
}

/// An index from the beginning, which may lie beyond the end; none if it lies before the beginning.
fn from_the_beginning(index: i64, length: usize) -> Option<usize> {
    let at = usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX);
    if index >= 0 { Some(at) } else { length.checked_sub(at) }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn indexes_at_the_ends_of_64_bits_are_indexes() {
        assert_eq!(elements_between(i64::MIN, i64::MAX, 3), 0..3);
        assert_eq!(elements_between(i64::MAX, i64::MIN, 3), 0..0);
        assert_eq!(element_at(i64::MIN, 3), None);
        assert_eq!(element_at(i64::MAX, 3), None);
    }

    proptest! {
        #[test]
        fn indexes_are_those_of_a_list_that_is_written_twice(
            start in -12_i64..12, stop in -12_i64..12, length in 0_i64..8,
        ) {
            let names = |index: i64, at: i64| index == at || index == at - length;
            let length_usize = usize::try_from(length).expect("it is small");
            let at = (0..length).find(|&at| names(start, at));
            prop_assert_eq!(element_at(start, length_usize).map(|at| at as i64), at);
            let absolute = |index: i64| if index < 0 { index + length } else { index };
            let between = |at: &i64| (absolute(start)..=absolute(stop)).contains(at);
            let expected: Vec<i64> = (0..length).filter(between).collect();
            let found = elements_between(start, stop, length_usize).map(|at| at as i64);
            prop_assert_eq!(found.collect::<Vec<_>>(), expected);
        }
    }
}
