//! What a typed state holds: one of the types.

use alloc::vec::Vec;

use super::answer::{Applied, ChangeError, ValueAnswer};
use super::change::ValueChange;
use super::dot_codec::{ActorTable, DotCodec};
use super::dot_store::DotStore;
use super::hash::Hash;
use super::hyper_log_log::HyperLogLog;
use super::list::List;
use super::scalar::{Scalar, ScalarChange};
use super::set::Set;
use super::sorted_set::SortedSet;
use super::type_name::TypeName;
use super::write_stamp::WriteStamp;
use crate::codec::{Codec, Malformed, Reader};
use crate::version::VersionVector;

/// A value of one of the types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// A text, or a number that is counted.
    Scalar(Scalar),
    /// A set.
    Set(Set),
    /// A hash.
    Hash(Hash),
    /// A sorted set.
    SortedSet(SortedSet),
    /// A list.
    List(List),
    /// A HyperLogLog.
    HyperLogLog(HyperLogLog),
}

/// Evaluates one expression on the store of whatever type it is.
macro_rules! for_each_type {
    ($data:expr, $store:ident => $result:expr) => {
        match $data {
            Data::Scalar($store) => $result,
            Data::Set($store) => $result,
            Data::Hash($store) => $result,
            Data::SortedSet($store) => $result,
            Data::List($store) => $result,
            Data::HyperLogLog($store) => $result,
        }
    };
}

impl Data {
    /// The type of the value, as Redis names it.
    pub const fn type_name(&self) -> TypeName {
        match self {
            Self::Scalar(_) | Self::HyperLogLog(_) => TypeName::String,
            Self::Set(_) => TypeName::Set,
            Self::Hash(_) => TypeName::Hash,
            Self::SortedSet(_) => TypeName::SortedSet,
            Self::List(_) => TypeName::List,
        }
    }

    /// Tells whether another value is of the same type, so that the two can be joined.
    pub(crate) fn has_type_of(&self, other: &Self) -> bool {
        self.number() == other.number()
    }

    /// Tells whether nothing stands.
    pub(crate) fn is_empty(&self) -> bool {
        for_each_type!(self, store => DotStore::is_empty(store))
    }

    /// The number of dots that stand.
    pub(crate) fn dots(&self) -> usize {
        for_each_type!(self, store => store.dots())
    }

    /// Tells whether every dot in the data is covered by what the state has seen.
    pub(crate) fn is_covered_by(&self, seen: &VersionVector) -> bool {
        let has_seen_positions = match self {
            Self::List(list) => list.has_seen_positions(seen),
            Self::Scalar(_)
            | Self::Set(_)
            | Self::Hash(_)
            | Self::SortedSet(_)
            | Self::HyperLogLog(_) => true,
        };
        has_seen_positions && for_each_type!(self, store => store.is_covered_by(seen))
    }

    /// The approximate size of the encoding, in bytes.
    pub(crate) fn weight(&self) -> usize {
        for_each_type!(self, store => DotStore::weight(store))
    }

    /// Takes away every dot that another state has seen and no longer has.
    pub(crate) fn forget(&mut self, seen: &VersionVector) {
        for_each_type!(self, store => store.forget(seen));
    }

    /// Joins data of the same type. Returns whether it is that.
    pub(crate) fn join(
        &mut self,
        seen: &VersionVector,
        other: &Self,
        seen_by_other: &VersionVector,
    ) -> bool {
        match (self, other) {
            (Self::Scalar(mine), Self::Scalar(other)) => mine.join(seen, other, seen_by_other),
            (Self::Set(mine), Self::Set(other)) => mine.join(seen, other, seen_by_other),
            (Self::Hash(mine), Self::Hash(other)) => mine.join(seen, other, seen_by_other),
            (Self::SortedSet(mine), Self::SortedSet(other)) => {
                mine.join(seen, other, seen_by_other);
            }
            (Self::List(mine), Self::List(other)) => mine.join(seen, other, seen_by_other),
            (Self::HyperLogLog(mine), Self::HyperLogLog(other)) => {
                mine.join(seen, other, seen_by_other);
            }
            (
                Self::Scalar(_)
                | Self::Set(_)
                | Self::Hash(_)
                | Self::SortedSet(_)
                | Self::List(_)
                | Self::HyperLogLog(_),
                _,
            ) => return false,
        }
        true
    }

    /// Executes a change on what stands, or on nothing, and leaves what then stands. On an error
    /// nothing is changed.
    pub(crate) fn apply(
        standing: &mut Option<Self>,
        change: &ValueChange,
        at: WriteStamp,
    ) -> Result<Applied, ChangeError> {
        // What is begun, and what is changed, as one, so that a command finds an empty collection
        // where there is none.
        let begun = match change {
            ValueChange::Clear => {
                let removed = u64::from(standing.take().is_some());
                let answer = ValueAnswer::Count(removed);
                return Ok(Applied { answer, has_changed: removed > 0 });
            }
            ValueChange::Scalar(_) => Self::Scalar(Scalar::default()),
            ValueChange::Set(_) => Self::Set(Set::default()),
            ValueChange::Hash(_) => Self::Hash(Hash::default()),
            ValueChange::SortedSet(_) => Self::SortedSet(SortedSet::default()),
            ValueChange::List(_) => Self::List(List::default()),
            ValueChange::HyperLogLog(_) => Self::HyperLogLog(HyperLogLog::default()),
        };
        let replaced = if change.is_replacement() { standing.take() } else { None };
        let data = standing.get_or_insert(begun);
        let applied = match (&mut *data, change) {
            (Self::Scalar(scalar), ValueChange::Scalar(change)) => apply_to(scalar, change, at),
            (Self::Set(set), ValueChange::Set(change)) => Ok(set.apply(change, at)),
            (Self::Hash(hash), ValueChange::Hash(change)) => hash.apply(change, at),
            (Self::SortedSet(set), ValueChange::SortedSet(change)) => set.apply(change, at),
            (Self::List(list), ValueChange::List(change)) => list.apply(change, at),
            (Self::HyperLogLog(log), ValueChange::HyperLogLog(change)) => Ok(log.apply(change, at)),
            (other, _) => Err(ChangeError::WrongType(other.type_name())),
        };
        if data.is_empty() {
            *standing = None;
        }
        match applied {
            Ok(Applied { answer, has_changed }) => {
                Ok(Applied { answer, has_changed: has_changed || replaced.is_some() })
            }
            Err(error) => {
                if replaced.is_some() {
                    *standing = replaced;
                }
                Err(error)
            }
        }
    }

    /// The number that the type has on the wire and on disk, for ever.
    const fn number(&self) -> u8 {
        match self {
            Self::Scalar(_) => 1,
            Self::Set(_) => 2,
            Self::Hash(_) => 3,
            Self::SortedSet(_) => 4,
            Self::List(_) => 5,
            Self::HyperLogLog(_) => 6,
        }
    }
}

fn apply_to(
    scalar: &mut Scalar,
    change: &ScalarChange,
    at: WriteStamp,
) -> Result<Applied, ChangeError> {
    let answer = match change {
        ScalarChange::Increment(by) => ValueAnswer::Integer(scalar.increment(*by, at)?),
        ScalarChange::IncrementFloat(by) => {
            ValueAnswer::Score(Some(scalar.increment_float(*by, at)?))
        }
    };
    Ok(Applied::changed(answer))
}

/// The number where no type stands.
const NOTHING: u8 = 0;

impl DotCodec for Option<Data> {
    fn encode_with(&self, actors: &ActorTable, out: &mut Vec<u8>) {
        out.push(self.as_ref().map_or(NOTHING, Data::number));
        if let Some(data) = self {
            for_each_type!(data, store => store.encode_with(actors, out));
        }
    }

    fn decode_with(actors: &ActorTable, input: &mut Reader<'_>) -> Result<Self, Malformed> {
        let data = match u8::decode(input)? {
            NOTHING => return Ok(None),
            1 => Data::Scalar(DotCodec::decode_with(actors, input)?),
            2 => Data::Set(DotCodec::decode_with(actors, input)?),
            3 => Data::Hash(DotCodec::decode_with(actors, input)?),
            4 => Data::SortedSet(DotCodec::decode_with(actors, input)?),
            5 => Data::List(DotCodec::decode_with(actors, input)?),
            6 => Data::HyperLogLog(DotCodec::decode_with(actors, input)?),
            _ => return Err(Malformed),
        };
        if data.is_empty() { Err(Malformed) } else { Ok(Some(data)) }
    }
}
