//! The way through the pieces of a list that may be taken out: the whole, its halves, their halves,
//! down to single elements, as in delta debugging. A piece that goes makes the list shorter, and the
//! way goes on behind it, in pieces of the same size.

use std::ops::Range;

/// A piece of a list, and the way on from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Chunks {
    /// The size of the piece; none, before the first.
    size: Option<usize>,
    /// The place at which the piece begins.
    from: usize,
}

impl Chunks {
    /// The next piece of a list of this length; none, if all were tried.
    pub(super) fn next(&mut self, length: usize) -> Option<Range<usize>> {
        let mut size = self.size.unwrap_or(length).min(length);
        if self.from >= length && size > 0 {
            size = if size == 1 { 0 } else { size.div_ceil(2) };
            self.from = 0;
        }
        self.size = Some(size);
        (size > 0).then(|| self.from..(self.from + size).min(length))
    }

    /// Goes on behind a piece that must stay. One that went needs no step: what stood behind it
    /// stands in its place.
    pub(super) fn skip(&mut self) {
        self.from += self.size.unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left of a list, and the number of attempts, if the elements that `must_stay` names
    /// cannot be taken out.
    fn left(length: usize, must_stay: &[usize]) -> (Vec<usize>, usize) {
        let mut list: Vec<usize> = (0..length).collect();
        let (mut chunks, mut attempts) = (Chunks::default(), 0);
        while let Some(piece) = chunks.next(list.len()) {
            attempts += 1;
            if list[piece.clone()].iter().any(|element| must_stay.contains(element)) {
                chunks.skip();
            } else {
                list.drain(piece);
            }
        }
        (list, attempts)
    }

    #[test]
    fn the_whole_goes_at_once_and_then_halves_and_then_single_elements() {
        let mut chunks = Chunks::default();
        let pieces: Vec<_> = std::iter::from_fn(|| {
            let piece = chunks.next(5);
            chunks.skip();
            piece
        })
        .collect();
        let expected = [0..5, 0..3, 3..5, 0..2, 2..4, 4..5, 0..1, 1..2, 2..3, 3..4, 4..5];
        assert_eq!(pieces, expected);
        assert_eq!(left(9, &[]), (vec![], 1));
        assert_eq!(left(0, &[]), (vec![], 0));
    }

    #[test]
    fn what_must_stay_stays_and_nothing_else_and_most_goes_in_large_pieces() {
        assert_eq!(left(5, &[0, 1, 2, 3, 4]).0, [0, 1, 2, 3, 4]);
        let (list, attempts) = left(1_000, &[17, 500]);
        assert_eq!(list, [17, 500]);
        assert!(attempts < 50, "{attempts} attempts");
    }
}
