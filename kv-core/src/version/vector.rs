//! Version vectors: for each actor, the event up to which all of its events are accounted for.

use alloc::vec::Vec;
use core::cmp::Ordering;

use smallvec::SmallVec;

use super::{Actor, Dot};
use crate::codec::{Codec, Malformed, Reader, encode_list};

/// The greatest known event of each actor; all its earlier events on the same key are accounted for
/// too.
///
/// Invariant: strictly sorted by actor, no zero counters. So equal vectors have equal bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct VersionVector(Entries);

/// The entries; as many as a key has owners, as a rule, and then they lie in place.
type Entries = SmallVec<[(Actor, u64); 3]>;

impl VersionVector {
    /// The vector of nothing known.
    pub const EMPTY: Self = Self(SmallVec::new_const());

    /// The greatest known event of an actor; 0 if none is known.
    pub fn get(&self, actor: Actor) -> u64 {
        self.position(actor).map_or(0, |at| self.0[at].1)
    }

    /// Tells whether an event is known, standing or overwritten.
    pub fn covers(&self, dot: Dot) -> bool {
        self.get(dot.actor) >= dot.n
    }

    /// Tells whether every event that `other` knows is known here.
    pub fn includes(&self, other: &Self) -> bool {
        let mut mine = self.0.iter();
        other.0.iter().all(|&(actor, n)| {
            mine.by_ref()
                .find(|(candidate, _)| *candidate >= actor)
                .is_some_and(|&(found, known)| found == actor && known >= n)
        })
    }

    /// Learns of all events of the dot's actor up to the dot.
    pub fn raise(&mut self, dot: Dot) {
        if dot.n == 0 {
            return;
        }
        match self.position(dot.actor) {
            Ok(at) => self.0[at].1 = self.0[at].1.max(dot.n),
            Err(at) => self.0.insert(at, (dot.actor, dot.n)),
        }
    }

    /// Learns of everything that `other` knows: the least upper bound. Returns whether anything was
    /// new here.
    pub fn merge(&mut self, other: &Self) -> bool {
        if self.includes(other) {
            return false;
        }
        let mut merged = Entries::with_capacity(self.0.len().max(other.0.len()));
        let (mut mine, mut theirs) = (self.0.iter().peekable(), other.0.iter().peekable());
        loop {
            let order = match (mine.peek(), theirs.peek()) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((a, _)), Some((b, _))) => a.cmp(b),
            };
            let next = match order {
                Ordering::Less => mine.next().copied(),
                Ordering::Greater => theirs.next().copied(),
                Ordering::Equal => {
                    mine.next().zip(theirs.next()).map(|(&(actor, a), &(_, b))| (actor, a.max(b)))
                }
            };
            merged.extend(next);
        }
        self.0 = merged;
        true
    }

    /// All entries, in the order of their actors.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Actor, u64)> + '_ {
        self.0.iter().copied()
    }

    /// The number of actors of which events are known.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells whether no event is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks that the vector is canonical, so that equal ones have equal bytes.
    ///
    /// # Panics
    /// If it is not.
    pub fn invariants(&self) {
        let rises = self.0.windows(2).all(|pair| pair[0].0 < pair[1].0);
        assert!(rises, "the actors of a version vector do not rise strictly");
        assert!(self.0.iter().all(|&(_, n)| n > 0), "a version vector names an event 0");
    }

    /// Reads a vector into this one, which must be empty.
    pub(super) fn decode_onto_nothing(&mut self, input: &mut Reader<'_>) -> Result<(), Malformed> {
        let Self(entries) = self;
        let count = input.count()?;
        for _ in 0..count {
            let (actor, n) = Codec::decode(input)?;
            let is_sorted = entries.last().is_none_or(|&(last, _)| last < actor);
            if !is_sorted || n == 0 {
                return Err(Malformed);
            }
            entries.push((actor, n));
        }
        Ok(())
    }

    /// Out of line: it is called in many places, one after the other.
    #[inline(never)]
    fn position(&self, actor: Actor) -> Result<usize, usize> {
        self.0.binary_search_by_key(&actor, |&(candidate, _)| candidate)
    }
}

impl FromIterator<Dot> for VersionVector {
    fn from_iter<I: IntoIterator<Item = Dot>>(dots: I) -> Self {
        let mut vector = Self::default();
        for dot in dots {
            vector.raise(dot);
        }
        vector
    }
}

impl Codec for VersionVector {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_list(&self.0, out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut vector = Self::EMPTY;
        vector.decode_onto_nothing(input)?;
        Ok(vector)
    }
}
