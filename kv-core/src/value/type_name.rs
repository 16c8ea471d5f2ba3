//! The types of values as clients know them.

use core::fmt;

use crate::codec::codec;

/// The type of a value, as the Redis command `TYPE` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TypeName {
    /// Bytes, a number that is counted, or a HyperLogLog.
    String,
    /// A set of members.
    Set,
    /// A map from fields to texts and numbers.
    Hash,
    /// A set of members, each with a score.
    SortedSet,
    /// A list of elements.
    List,
}

codec!(enum TypeName { 0 => String, 1 => Set, 2 => Hash, 3 => SortedSet, 4 => List });

impl TypeName {
    /// The word for the type.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Set => "set",
            Self::Hash => "hash",
            Self::SortedSet => "zset",
            Self::List => "list",
        }
    }
}

impl fmt::Display for TypeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
