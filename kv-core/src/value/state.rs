//! The state of a value with everything that it has seen, its join, and the execution of changes.

use alloc::vec::Vec;

use bytes::Bytes;
use thiserror::Error;

use super::answer::{Applied, ChangeError};
use super::change::ValueChange;
use super::data::Data;
use super::dot_codec::{ActorTable, DotCodec};
use super::scalar::Scalar;
use super::type_name::TypeName;
use super::write_stamp::WriteStamp;
use crate::codec::{Codec, Malformed, Reader};
use crate::version::VersionVector;

/// A value of one of the types, or none, with everything that is known of it: what a version of a key
/// holds.
///
/// What the clock covers and the data has not was removed; what lies above the clock was never seen.
///
/// Invariants: the clock covers every dot in the data; data of which nothing stands is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TypedState {
    clock: VersionVector,
    data: Option<Data>,
}

/// The error of a join of two values of different types. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a {mine} and a {other} that is kept in another way do not join: nothing was changed")]
pub struct TypesDiffer {
    /// The type of the value that was to be joined.
    pub mine: TypeName,
    /// The type of the other value.
    pub other: TypeName,
}

impl TypedState {
    /// The state of a key that is deleted: a join with it takes away what the clock covers, and leaves
    /// what the deletion had not seen.
    ///
    /// Of a tombstone that stands alone the clock is all that its container accounts for. Beside
    /// others it must be what the deletion had seen, which the version has to keep: that of a state
    /// after [`ValueChange::Clear`].
    pub const fn absent(clock: VersionVector) -> Self {
        Self { clock, data: None }
    }

    /// The state of a text that a version holds, with what its minter had seen; nothing, if the
    /// version does not say. Increments of it add up wherever they are made, since the text has the
    /// dot of its version.
    pub fn of_text(mut clock: VersionVector, text: Bytes, at: WriteStamp) -> Self {
        clock.raise(at.dot);
        let mut scalar = Scalar::default();
        scalar.assign(text, at);
        Self { clock, data: Some(Data::Scalar(scalar)) }
    }

    /// Everything that the state has seen, standing or removed.
    pub const fn clock(&self) -> &VersionVector {
        &self.clock
    }

    /// The value; none, if the key holds none.
    pub const fn data(&self) -> Option<&Data> {
        self.data.as_ref()
    }

    /// The type of the value, as Redis names it.
    pub const fn type_name(&self) -> Option<TypeName> {
        match &self.data {
            Some(data) => Some(data.type_name()),
            None => None,
        }
    }

    /// Joins what two states know: commutative, associative, idempotent. Returns whether anything in
    /// `other` was new here.
    ///
    /// # Errors
    /// [`TypesDiffer`], if both hold values, of different types.
    pub fn join(&mut self, other: &Self) -> Result<bool, TypesDiffer> {
        if self == other {
            return Ok(false);
        }
        let Self { clock, data } = self;
        let before = data.as_ref().map_or(0, Data::dots);
        match (&mut *data, &other.data) {
            (Some(mine), Some(theirs)) => {
                if !mine.join(clock, theirs, &other.clock) {
                    return Err(TypesDiffer { mine: mine.type_name(), other: theirs.type_name() });
                }
            }
            (Some(mine), None) => mine.forget(&other.clock),
            (None, Some(theirs)) => data.insert(theirs.clone()).forget(clock),
            (None, None) => {}
        }
        if data.as_ref().is_some_and(Data::is_empty) {
            *data = None;
        }
        // Where no event is new, none stands that did not, and some may have been removed.
        Ok(clock.merge(&other.clock) || data.as_ref().map_or(0, Data::dots) != before)
    }

    /// The one state of versions that stand beside each other in a container: what is read, and what a
    /// change is executed on. `seen` is all that the container accounts for.
    ///
    /// Values of one type are joined. If there are such of several types, that of the version of the
    /// greatest (time, dot) of which anything still stands is read. The state has seen the others, so
    /// that a change overwrites them, and all that was overwritten before.
    ///
    /// The result depends on nothing but which versions there are.
    pub fn resolved<'a>(
        siblings: impl IntoIterator<Item = (WriteStamp, &'a Self)>,
        seen: &VersionVector,
    ) -> Self {
        let mut siblings: Vec<_> = siblings.into_iter().collect();
        siblings.sort_by_key(|(at, _)| (at.time, at.dot));
        let data = siblings.iter().rev().find_map(|(_, state)| {
            let data = state.data.as_ref()?;
            let mut joined = (*state).clone();
            for (_, other) in &siblings {
                let is_alike = other.data.as_ref().is_none_or(|other| other.has_type_of(data));
                // What is of another type has seen the values of this type that it removed.
                let removed = (!is_alike).then(|| Self::absent(other.clock.clone()));
                let other = removed.as_ref().unwrap_or(other);
                joined.join(other).expect("both are of one type, or one holds no value");
            }
            joined.data
        });
        let mut clock = seen.clone();
        for (_, state) in siblings {
            clock.merge(&state.clock);
        }
        Self { clock, data }
    }

    /// Executes a change under a new dot, and learns of it. The state must hold all that the minter
    /// knows of the key, since whoever sees the dot takes it that all earlier ones of its actor are
    /// accounted for.
    ///
    /// # Errors
    /// [`ChangeError`], if the change is not possible. Then nothing is changed, the clock included.
    pub fn apply(&mut self, change: &ValueChange, at: WriteStamp) -> Result<Applied, ChangeError> {
        if at.dot.n <= self.clock.get(at.dot.actor) {
            return Err(ChangeError::DotIsKnown);
        }
        let applied = Data::apply(&mut self.data, change, at)?;
        if applied.has_changed {
            self.clock.raise(at.dot);
        }
        Ok(applied)
    }

    /// The approximate size of the encoding, in bytes.
    pub fn weight(&self) -> usize {
        /// The bytes of an actor with its counter.
        const ENTRY_BYTES: usize = 18;
        2 + ENTRY_BYTES * self.clock.len() + self.data.as_ref().map_or(0, Data::weight)
    }

    /// Checks that the clock covers every dot in the data, and that something stands of the data.
    ///
    /// # Panics
    /// If it is not so.
    pub fn invariants(&self) {
        self.clock.invariants();
        let Some(data) = &self.data else { return };
        assert!(!data.is_empty(), "a state keeps data of which nothing stands");
        assert!(data.is_covered_by(&self.clock), "a state has not seen a dot that stands in it");
    }
}

impl Codec for TypedState {
    fn encode(&self, out: &mut Vec<u8>) {
        self.clock.encode(out);
        self.data.encode_with(&ActorTable::of(&self.clock), out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        let clock = VersionVector::decode(input)?;
        let data = DotCodec::decode_with(&ActorTable::of(&clock), input)?;
        Ok(Self { clock, data })
    }
}
