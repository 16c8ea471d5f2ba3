//! Positions in a list: between any two there is room for others, for ever.
//!
//! A position is a path, and paths are ordered level by level; one that goes on lies behind one that
//! ends. Each level has a number, and behind it the dot of the write that made it and the index of
//! the element within that write. So elements of one write stay together, no two writes make the
//! same position, and a position means the same wherever the list is joined: no tombstone has to hold
//! its place.
//!
//! Pushing makes paths of one level, with the next number up or down, however often it is done.
//! Inserting takes the highest level on which a number is free, and so goes one level down only
//! where the numbers beside it are taken: insertions that follow each other forwards or backwards
//! share a level. Only insertions that halve one gap again and again go deeper each time.

use alloc::vec::Vec;

use smallvec::SmallVec;

use super::dot_codec::{ActorTable, DotCodec};
use super::dot_store::Weighted;
use crate::codec::{Codec, Malformed, Reader};
use crate::version::{Dot, VersionVector};

/// The position of an element in a list.
///
/// Invariants: at least one level; no number beyond [`NUMBER_MAX`] on either side of 0.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position(SmallVec<[PathLevel; 1]>);

/// A step of the path to a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct PathLevel {
    number: i64,
    /// The dot of the write that put the element there.
    dot: Dot,
    /// The index of the element within the write.
    index: u64,
}

/// The greatest number of a level. One push a nanosecond takes 146 years to get there.
const NUMBER_MAX: i64 = 1 << 62;

impl Position {
    /// The positions of elements that a write puts between two neighbours, in order; none where a
    /// neighbour is missing at the end of the list. Returns nothing if no number is left there.
    ///
    /// The dot is new, and `left` lies before `right`.
    pub(crate) fn between(left: Option<&Self>, right: Option<&Self>, dot: Dot) -> Option<Self> {
        let (above, number): (&[PathLevel], i64) = match (left, right) {
            (None, None) => (&[], 0),
            (Some(left), None) => (&[], left.0.first()?.number + 1),
            (None, Some(right)) => (&[], right.0.first()?.number - 1),
            (Some(Self(left)), Some(Self(right))) => {
                let shared = left.iter().zip(right).take_while(|(a, b)| a == b).count();
                match (left.get(shared), right.get(shared)) {
                    (Some(a), Some(b)) if a.number + 1 < b.number => {
                        (&left[..shared], a.number + 1)
                    }
                    // No number is free between the two: behind the left one, a level down.
                    (Some(_), Some(_)) => match left.get(shared + 1) {
                        Some(below) => (&left[..=shared], below.number + 1),
                        None => (&left[..], 0),
                    },
                    // The right one lies below the left one.
                    (_, Some(below)) => (&left[..], below.number - 1),
                    (_, None) => return None,
                }
            }
        };
        if number.abs() > NUMBER_MAX {
            return None;
        }
        let mut path = SmallVec::with_capacity(above.len() + 1);
        path.extend_from_slice(above);
        path.push(PathLevel { number, dot, index: 0 });
        Some(Self(path))
    }

    /// The position of the element with an index within the same write.
    #[must_use]
    pub(crate) fn with_index(&self, index: u64) -> Self {
        let mut position = self.clone();
        position.0.last_mut().expect("a position has a level").index = index;
        position
    }

    /// Tells whether the dots of all levels are covered by what the state has seen.
    pub(crate) fn is_covered_by(&self, seen: &VersionVector) -> bool {
        self.0.iter().all(|level| seen.covers(level.dot))
    }

    /// The write that made the position, and the index within it.
    #[cfg(test)]
    pub(crate) fn id(&self) -> (Dot, u64) {
        let last = self.0.last().expect("a position has a level");
        (last.dot, last.index)
    }

    /// The number of levels.
    #[cfg(test)]
    pub(crate) fn depth(&self) -> usize {
        self.0.len()
    }
}

impl Weighted for Position {
    fn weight(&self) -> usize {
        /// The bytes of a level, as a rule.
        const LEVEL_BYTES: usize = 7;
        1 + LEVEL_BYTES * self.0.len()
    }
}

impl DotCodec for Position {
    fn encode_with(&self, actors: &ActorTable, out: &mut Vec<u8>) {
        (self.0.len() as u64).encode(out);
        for PathLevel { number, dot, index } in &self.0 {
            number.encode(out);
            dot.encode_with(actors, out);
            index.encode(out);
        }
    }

    fn decode_with(actors: &ActorTable, input: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut path = SmallVec::new();
        for _ in 0..input.count()? {
            let number = i64::decode(input)?;
            let dot = Dot::decode_with(actors, input)?;
            let index = u64::decode(input)?;
            if !(-NUMBER_MAX..=NUMBER_MAX).contains(&number) {
                return Err(Malformed);
            }
            path.push(PathLevel { number, dot, index });
        }
        if path.is_empty() { Err(Malformed) } else { Ok(Self(path)) }
    }
}
