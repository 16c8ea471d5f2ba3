//! A value that is written, and to which concurrent additions add up.
//!
//! What was written last is the *base*. Each actor that adds to it has one sum, under the dot of
//! its last addition, and the sum names the base that it adds to. The value is the base with the
//! sums of all actors that name it.
//!
//! - Additions to one base add up, whoever made them. So do additions where there was no base.
//! - Of concurrent bases the greatest (time, dot) is read, and with it only what was added to it:
//!   not what was added to another one, or where there was none. All that stands until a write has
//!   seen it: dropped at a join, it would be missing where the greatest base is removed later.
//! - A base that was removed leaves the sums that its remover had not seen. They are read if no base
//!   stands, so that no addition is missing that was made after or beside the removal.
//!
//! Limit: such a sum is that of all additions of its actor, also of those that the remover had
//! seen. A removal that is concurrent with an addition of an actor thus takes away nothing of what
//! that actor has added, as with the counters of Riak.

use alloc::vec::Vec;

use super::dot_codec::{ActorTable, DotCodec};
use super::dot_store::{DotFun, DotStore, Weighted};
use super::write_stamp::{Timed, WriteStamp};
use crate::codec::{Codec, Malformed, Reader};
use crate::version::{Dot, VersionVector};

/// An amount that can be added to a value.
pub(crate) trait Summand: Clone + Codec + Default + Weighted {
    /// The sum of two amounts. Sums are taken in the order of dots, so that it need not be
    /// associative.
    fn plus(&self, other: &Self) -> Self;
}

/// A base, and sums that add to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Accumulator<B, S> {
    bases: DotFun<Timed<B>>,
    sums: DotFun<Contribution<S>>,
}

/// All that one actor has added to a base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Contribution<S> {
    /// The dot of the base; none if there was none.
    onto: Option<Dot>,
    sum: S,
}

impl<B, S> Default for Accumulator<B, S> {
    fn default() -> Self {
        Self { bases: DotFun::default(), sums: DotFun::default() }
    }
}

impl<B, S: Summand> Accumulator<B, S> {
    /// The base, if one stands.
    pub(crate) fn base(&self) -> Option<&B> {
        self.bases.latest().map(|(_, base)| base)
    }

    /// The sum of what was added to the base; none if nothing was.
    pub(crate) fn sum(&self) -> Option<S> {
        let base = self.bases.latest().map(|(dot, _)| dot);
        let counted = self.sums.iter().filter(|(_, added)| added.counts_for(base));
        counted.map(|(_, added)| added.sum.clone()).reduce(|sum, next| sum.plus(&next))
    }

    /// Writes a base in the place of all that stands.
    pub(crate) fn assign(&mut self, base: B, at: WriteStamp) {
        self.bases.overwrite(base, at);
        self.sums.retain(|_, _| false);
    }

    /// Adds to the base that is read, and takes away the others, with what was added to them.
    pub(crate) fn add(&mut self, amount: &S, at: WriteStamp) {
        let onto = self.bases.latest().map(|(dot, _)| dot);
        self.bases.retain(|dot, _| Some(dot) == onto);
        self.sums.retain(|_, added| added.counts_for(onto));
        let own = self.sums.take(at.dot);
        let sum = own.map_or_else(|| amount.clone(), |own| own.sum.plus(amount));
        self.sums.insert(at.dot, Contribution { onto, sum });
    }
}

impl<S> Contribution<S> {
    /// Tells whether the sum counts where this base is read, or none.
    fn counts_for(&self, base: Option<Dot>) -> bool {
        base.is_none() || self.onto == base
    }
}

impl<B, S> DotStore for Accumulator<B, S>
where
    B: Clone + Codec + Weighted,
    S: Summand,
{
    fn is_empty(&self) -> bool {
        self.bases.is_empty() && self.sums.is_empty()
    }

    fn dots(&self) -> usize {
        self.bases.dots() + self.sums.dots()
    }

    fn is_covered_by(&self, seen: &VersionVector) -> bool {
        self.bases.is_covered_by(seen)
            && self.sums.is_covered_by(seen)
            && self.sums.iter().all(|(_, added)| added.onto.is_none_or(|base| seen.covers(base)))
    }

    fn forget(&mut self, seen: &VersionVector) {
        self.bases.forget(seen);
        self.sums.forget(seen);
    }

    fn join(&mut self, seen: &VersionVector, other: &Self, seen_by_other: &VersionVector) {
        self.bases.join(seen, &other.bases, seen_by_other);
        self.sums.join(seen, &other.sums, seen_by_other);
    }

    fn weight(&self) -> usize {
        self.bases.weight() + self.sums.weight()
    }
}

impl<B: Codec, S: Codec> DotCodec for Accumulator<B, S> {
    fn encode_with(&self, actors: &ActorTable, out: &mut Vec<u8>) {
        self.bases.encode_with(actors, out);
        self.sums.encode_with(actors, out);
    }

    fn decode_with(actors: &ActorTable, input: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            bases: DotFun::decode_with(actors, input)?,
            sums: DotFun::decode_with(actors, input)?,
        })
    }
}

impl<S: Weighted> Weighted for Contribution<S> {
    fn weight(&self) -> usize {
        /// The choice whether there is a base, and its dot.
        const ONTO_BYTES: usize = 3;
        ONTO_BYTES + self.sum.weight()
    }
}

impl<S: Codec> DotCodec for Contribution<S> {
    fn encode_with(&self, actors: &ActorTable, out: &mut Vec<u8>) {
        self.onto.encode_with(actors, out);
        self.sum.encode(out);
    }

    fn decode_with(actors: &ActorTable, input: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self { onto: DotCodec::decode_with(actors, input)?, sum: S::decode(input)? })
    }
}
