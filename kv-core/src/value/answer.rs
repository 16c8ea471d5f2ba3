//! What a change gives back: the answer for its command, or the reason for which nothing changed.

use alloc::vec::Vec;

use bytes::Bytes;
use thiserror::Error;

use super::score::Score;
use super::type_name::TypeName;
use crate::codec::codec;

/// The result of a change that was executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The answer for the command.
    pub answer: ValueAnswer,
    /// False if the state is what it was before, its clock included: then the dot is still free, and
    /// there is nothing to store.
    pub has_changed: bool,
}

codec!(struct Applied { answer, has_changed });

impl Applied {
    /// An answer from a state that is another one now.
    pub(crate) const fn changed(answer: ValueAnswer) -> Self {
        Self { answer, has_changed: true }
    }

    /// An answer from a state that is what it was before.
    pub(crate) const fn unchanged(answer: ValueAnswer) -> Self {
        Self { answer, has_changed: false }
    }
}

/// The answer to a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueAnswer {
    /// The change was executed, and there is nothing to tell.
    Done,
    /// So many were added, removed or set; for what pushes and inserts, the length of the list.
    Count(u64),
    /// The number that is read now.
    Integer(i64),
    /// The number or the score that is read now; none if a condition kept it from being written.
    Score(Option<Score>),
    /// The numbers of members that were added, and of those whose score became another one.
    Scored(ScoredMembers),
    /// The elements or members that were taken out, in the order in which they were.
    Elements(Vec<Bytes>),
    /// The members that were taken out, with their scores, in the order in which they were.
    ScoredElements(Vec<(Bytes, Score)>),
    /// The element beside which one was to be inserted is not there.
    NoPivot,
    /// Whether any register of a HyperLogLog rose, or the key is new.
    HasRisen(bool),
}

codec!(enum ValueAnswer {
    0 => Done,
    1 => Count(count),
    2 => Integer(number),
    3 => Score(score),
    4 => Scored(members),
    5 => Elements(elements),
    6 => ScoredElements(elements),
    7 => NoPivot,
    8 => HasRisen(has_risen),
});

/// The members that a change of scores concerned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScoredMembers {
    /// The number of members that were not there.
    pub added: u64,
    /// The number of members that were there, and have another score now.
    pub updated: u64,
}

codec!(struct ScoredMembers { added, updated });

/// The reason for which a change was refused. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ChangeError {
    /// The key holds a value of another type.
    #[error("the key holds a {0}, and the command is for another type: nothing was changed")]
    WrongType(TypeName),
    /// The state has seen the dot already, so that another event has it.
    #[error("the state has seen an event with this dot before: nothing was changed; draw an epoch")]
    DotIsKnown,
    /// What is to be counted up is no integer of 64 bits.
    #[error("the value is not an integer of 64 bits: nothing was changed")]
    NotAnInteger,
    /// What is to be counted up is no number.
    #[error("the value is not a number: nothing was changed")]
    NotANumber,
    /// The sum would not fit into 64 bits.
    #[error("the sum would not fit into 64 bits: nothing was changed")]
    Overflow,
    /// The sum would be infinite, or no number.
    #[error("the sum would not be a finite number: nothing was changed")]
    NotFinite,
    /// There is no element at this index.
    #[error("there is no element at this index: nothing was changed")]
    OutOfBounds,
    /// There is no such key, and the command does not make one.
    #[error("there is no such key: nothing was changed")]
    NoSuchKey,
    /// No position is left where an element is to go. No list that commands have made comes to it.
    #[error("no position is left at this end of the list: nothing was changed; copy the list")]
    NoPosition,
}

codec!(enum ChangeError {
    0 => WrongType(name),
    1 => DotIsKnown,
    2 => NotAnInteger,
    3 => NotANumber,
    4 => Overflow,
    5 => NotFinite,
    6 => OutOfBounds,
    7 => NoSuchKey,
    8 => NoPosition,
});
