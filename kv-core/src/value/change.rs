//! The changes that commands make of values, by type.

use super::hash::HashChange;
use super::hyper_log_log::HyperLogLogChange;
use super::list::ListChange;
use super::scalar::ScalarChange;
use super::set::SetChange;
use super::sorted_set::SortedSetChange;
use crate::codec::codec;

/// A change of the value of a key, as the minter executes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueChange {
    /// Removes the value, of whatever type. The answer is the number of values removed.
    Clear,
    /// Changes a number, or begins one.
    Scalar(ScalarChange),
    /// Changes a set, or begins one.
    Set(SetChange),
    /// Changes a hash, or begins one.
    Hash(HashChange),
    /// Changes a sorted set, or begins one.
    SortedSet(SortedSetChange),
    /// Changes a list, or begins one.
    List(ListChange),
    /// Changes a HyperLogLog, or begins one.
    HyperLogLog(HyperLogLogChange),
}

// A change has the number of the data that it is for.
codec!(enum ValueChange {
    0 => Clear,
    1 => Scalar(change),
    2 => Set(change),
    3 => Hash(change),
    4 => SortedSet(change),
    5 => List(change),
    6 => HyperLogLog(change),
});

impl ValueChange {
    /// Tells whether the change puts something in the place of whatever the key holds, without a look
    /// at it.
    pub(crate) const fn is_replacement(&self) -> bool {
        match self {
            Self::Clear
            | Self::Set(SetChange::Replace(_))
            | Self::Hash(HashChange::Replace(_))
            | Self::SortedSet(SortedSetChange::Replace(_))
            | Self::List(ListChange::Replace(_)) => true,
            Self::Scalar(_)
            | Self::Set(_)
            | Self::Hash(_)
            | Self::SortedSet(_)
            | Self::List(_)
            | Self::HyperLogLog(_) => false,
        }
    }
}
