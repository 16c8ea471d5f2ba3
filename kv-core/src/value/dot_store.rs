//! What of a state stands, each part under the dots of the writes that made it (dot stores:
//! Almeida, Shoker and Baquero 2018).
//!
//! A store lies beside the vector of all that its state has seen. A dot that the vector covers and
//! that the store has not was removed; a dot above the vector was never seen. So a join needs no
//! tombstones: a dot stands if both sides have it, or if one has it and the other has not seen it.
//!
//! What lies under one dot is the same wherever the dot stands, and is never changed: a write takes
//! away what it has seen and puts what is to stand under a dot of its own. That alone makes every
//! join here commutative, associative and idempotent. To keep under all dots only the greatest
//! value would not: when the write of that value is removed, one replica would show the next and
//! another nothing.

use alloc::vec::Vec;

use bytes::Bytes;
use smallvec::SmallVec;

use super::dot_codec::{ActorTable, DotCodec};
use crate::codec::{Codec, Malformed, Reader};
use crate::version::{Dot, VersionVector};

/// Parts of a state that stand, under their dots.
pub(crate) trait DotStore: Clone + Default + DotCodec {
    /// Tells whether nothing stands.
    fn is_empty(&self) -> bool;

    /// The number of dots that stand.
    fn dots(&self) -> usize;

    /// Tells whether every dot that stands is covered by what the state has seen.
    fn is_covered_by(&self, seen: &VersionVector) -> bool;

    /// Takes away every dot that another state has seen and no longer has.
    fn forget(&mut self, seen: &VersionVector);

    /// Joins what stands in another state: a dot stands if both have it, or if one has it and the
    /// other has not seen it.
    fn join(&mut self, seen: &VersionVector, other: &Self, seen_by_other: &VersionVector);

    /// The approximate size of the encoding, in bytes.
    fn weight(&self) -> usize;
}

/// A value that takes room in an encoding.
pub(crate) trait Weighted {
    /// The approximate size of the encoding, in bytes.
    fn weight(&self) -> usize;
}

/// The bytes that a dot takes in an encoding, as a rule.
const DOT_BYTES: usize = 3;

impl Weighted for () {
    fn weight(&self) -> usize {
        0
    }
}

impl Weighted for Bytes {
    fn weight(&self) -> usize {
        2 + self.len()
    }
}

/// Values under the dots of their writes. More than one stands only where writes were concurrent.
///
/// Invariant: strictly sorted by actor, one dot of each: what an actor writes takes the place of
/// all that it has seen, and so of what it wrote before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DotFun<V>(SmallVec<[(Dot, V); 1]>);

impl<V> Default for DotFun<V> {
    fn default() -> Self {
        Self(SmallVec::new())
    }
}

impl<V> DotFun<V> {
    /// The values with their dots, in the order of these.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &(Dot, V)> {
        self.0.iter()
    }

    /// The value under a dot.
    pub(crate) fn get(&self, dot: Dot) -> Option<&V> {
        self.0.iter().find(|(candidate, _)| *candidate == dot).map(|(_, value)| value)
    }

    /// Puts a value in the place of all that stands.
    pub(crate) fn replace(&mut self, dot: Dot, value: V) {
        self.0.clear();
        self.0.push((dot, value));
    }

    /// Takes the value of an actor away, if one stands.
    pub(crate) fn take(&mut self, dot: Dot) -> Option<V> {
        let at = self.0.iter().position(|(candidate, _)| candidate.actor == dot.actor)?;
        Some(self.0.remove(at).1)
    }

    /// Adds a value beside those that stand. None of them is of the same actor.
    pub(crate) fn insert(&mut self, dot: Dot, value: V) {
        let at = self.0.partition_point(|(candidate, _)| candidate.actor < dot.actor);
        self.0.insert(at, (dot, value));
    }

    /// Takes away all values but those that are asked for.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(Dot, &V) -> bool) {
        self.0.retain(|(dot, value)| keep(*dot, value));
    }
}

impl<V: Clone + DotCodec + Weighted> DotStore for DotFun<V> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn dots(&self) -> usize {
        self.0.len()
    }

    fn is_covered_by(&self, seen: &VersionVector) -> bool {
        self.0.iter().all(|&(dot, _)| seen.covers(dot))
    }

    fn forget(&mut self, seen: &VersionVector) {
        self.retain(|dot, _| !seen.covers(dot));
    }

    fn join(&mut self, seen: &VersionVector, other: &Self, seen_by_other: &VersionVector) {
        self.0.retain(|&mut (dot, _)| !seen_by_other.covers(dot) || other.get(dot).is_some());
        for (dot, value) in other.iter().filter(|&&(dot, _)| !seen.covers(dot)) {
            // An earlier dot of the actor is gone by now: the other has seen it, and not kept it.
            self.insert(*dot, value.clone());
        }
    }

    fn weight(&self) -> usize {
        let values: usize = self.0.iter().map(|(_, value)| DOT_BYTES + value.weight()).sum();
        1 + values
    }
}

impl<V: DotCodec> DotCodec for DotFun<V> {
    fn encode_with(&self, actors: &ActorTable, out: &mut Vec<u8>) {
        (self.0.len() as u64).encode(out);
        for (dot, value) in &self.0 {
            dot.encode_with(actors, out);
            value.encode_with(actors, out);
        }
    }

    fn decode_with(actors: &ActorTable, input: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut values = Self::default();
        for _ in 0..input.count()? {
            let dot = Dot::decode_with(actors, input)?;
            if values.0.last().is_some_and(|(last, _)| last.actor >= dot.actor) {
                return Err(Malformed);
            }
            values.0.push((dot, V::decode_with(actors, input)?));
        }
        Ok(values)
    }
}

/// Makes a store of a type around one.
macro_rules! dot_store {
    ($name:ident) => {
        impl $crate::value::dot_store::DotStore for $name {
            fn is_empty(&self) -> bool {
                self.0.is_empty()
            }

            fn dots(&self) -> usize {
                self.0.dots()
            }

            fn is_covered_by(&self, seen: &$crate::version::VersionVector) -> bool {
                self.0.is_covered_by(seen)
            }

            fn forget(&mut self, seen: &$crate::version::VersionVector) {
                self.0.forget(seen);
            }

            fn join(
                &mut self,
                seen: &$crate::version::VersionVector,
                other: &Self,
                seen_by_other: &$crate::version::VersionVector,
            ) {
                self.0.join(seen, &other.0, seen_by_other);
            }

            fn weight(&self) -> usize {
                self.0.weight()
            }
        }

        impl $crate::value::dot_codec::DotCodec for $name {
            fn encode_with(
                &self,
                actors: &$crate::value::dot_codec::ActorTable,
                out: &mut alloc::vec::Vec<u8>,
            ) {
                self.0.encode_with(actors, out);
            }

            fn decode_with(
                actors: &$crate::value::dot_codec::ActorTable,
                input: &mut $crate::codec::Reader<'_>,
            ) -> Result<Self, $crate::codec::Malformed> {
                $crate::value::dot_codec::DotCodec::decode_with(actors, input).map(Self)
            }
        }
    };
}

pub(crate) use dot_store;
