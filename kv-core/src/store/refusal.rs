//! The reasons why a storage command was not executed.

use alloc::vec::Vec;

use thiserror::Error;

use super::StoreFault;
use crate::codec::codec;
use crate::fingerprint;

/// The reason why a replica did not do what it was asked. It changed nothing; only of a merge of
/// several containers may some have been joined, which harms nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum Refusal {
    /// One more sibling would pass the limit.
    #[error(
        "the key has as many siblings as are allowed ({max}): read it and write with the context"
    )]
    TooManySiblings {
        /// The limit.
        max: u64,
    },
    /// The record is there and cannot be read.
    #[error("the record is corrupt here")]
    Corrupt,
    /// The owner has lost data and has not yet copied it back.
    #[error("this replica is incomplete: it has not copied yet what it lost")]
    Incomplete,
    /// The disk has no room.
    #[error("the disk is full")]
    DiskFull,
    /// The disk failed; the node stops serving.
    #[error("the disk failed")]
    DiskFailed,
    /// Too many bytes of hints are kept already.
    #[error("too many hints are kept already")]
    HintsFull,
    /// The request was planned under a layout that this node does not serve.
    #[error("the request was planned under another layout")]
    Layout,
    /// The request asks to overwrite what is held, and nothing proves that it is not an old one.
    #[error("nothing proves that the request is not an old one")]
    Late,
    /// The system gives the node no more file descriptors.
    #[error("no file descriptors are left to this node")]
    OutOfFiles,
}

codec!(enum Refusal {
    0 => TooManySiblings { max },
    1 => Corrupt,
    2 => Incomplete,
    3 => DiskFull,
    4 => DiskFailed,
    5 => HintsFull,
    6 => Layout,
    7 => Late,
    8 => OutOfFiles,
});

impl From<StoreFault> for Refusal {
    fn from(fault: StoreFault) -> Self {
        match fault {
            StoreFault::Full => Self::DiskFull,
            StoreFault::OutOfFiles => Self::OutOfFiles,
            StoreFault::Failed => Self::DiskFailed,
        }
    }
}

impl Refusal {
    /// Appends what tells it from other refusals.
    pub(crate) fn fingerprint(self, out: &mut Vec<u8>) {
        fingerprint::number(out, self.number());
        if let Self::TooManySiblings { max } = self {
            fingerprint::number(out, max);
        }
    }

    /// A number that is stable.
    const fn number(self) -> u64 {
        match self {
            Self::TooManySiblings { .. } => 1,
            Self::Corrupt => 2,
            Self::Incomplete => 3,
            Self::DiskFull => 4,
            Self::DiskFailed => 5,
            Self::HintsFull => 6,
            Self::Layout => 7,
            Self::Late => 8,
            Self::OutOfFiles => 9,
        }
    }
}
