//! Version vectors: for each actor, up to which of its events everything is accounted for.

use alloc::vec::Vec;
use core::cmp::Ordering;

use super::{Actor, Dot};
use crate::codec::{Codec, Malformed, Reader};

/// For each actor the greatest event known; all its earlier events on the same key are accounted
/// for too.
///
/// Invariant: strictly sorted by actor, no zero counters. So equal vectors have equal bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct VersionVector(Vec<(Actor, u64)>);

impl VersionVector {
    /// The greatest event of this actor that is known; 0 if none is.
    pub fn get(&self, actor: Actor) -> u64 {
        self.position(actor).map_or(0, |at| self.0[at].1)
    }

    /// Whether this event is known, standing or overwritten.
    pub fn covers(&self, dot: Dot) -> bool {
        self.get(dot.actor) >= dot.n
    }

    /// Whether every event that `other` knows is known here.
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
        let mut merged = Vec::with_capacity(self.0.len() + other.0.len());
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

    /// How many actors are known.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

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
        self.0.encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        let entries = Vec::<(Actor, u64)>::decode(input)?;
        let sorted = entries.windows(2).all(|pair| pair[0].0 < pair[1].0);
        let counted = entries.iter().all(|&(_, n)| n > 0);
        if sorted && counted { Ok(Self(entries)) } else { Err(Malformed) }
    }
}
