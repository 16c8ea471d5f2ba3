//! The commands of a founding to the storage. Each writes about the whole store, in whatever
//! partition it is executed.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Refusal;
use super::family::{AnswerFamily, CommandFamily, Written, refused};
use crate::fingerprint;
use crate::types::{FoundingId, Key, NodeId, RequestId};

/// A command of a founding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoundingCommand {
    /// Write that this store was new before a founding, which is still to come.
    Pledge {
        /// The founding, and the member that asked for the pledge.
        promise: Promise,
    },
    /// Write the marker which says that this owner holds all that it must hold.
    MarkComplete,
    /// Write that this store belongs to the cluster which came of a founding, and take away all
    /// pledges.
    Found {
        /// The founding.
        founding: FoundingId,
    },
}

/// A pledge that is on its way to the disk, and the member that asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promise {
    /// The founding.
    pub founding: FoundingId,
    /// The member.
    pub to: NodeId,
    /// The request that the member asked under.
    pub request: RequestId,
}

/// The answer to a [`FoundingCommand`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoundingAnswer {
    /// The answer to [`FoundingCommand::Pledge`].
    Pledged {
        /// The founding, and the member that asked for the pledge.
        promise: Promise,
        /// Success once the pledge is written.
        result: Result<(), Refusal>,
    },
    /// The answer to [`FoundingCommand::MarkComplete`].
    MarkedComplete {
        /// Success once the marker is written.
        result: Result<(), Refusal>,
    },
    /// The answer to [`FoundingCommand::Found`].
    Founded {
        /// Success once the founding is written.
        result: Result<(), Refusal>,
    },
}

impl CommandFamily for FoundingCommand {
    fn is_read(&self) -> bool {
        false
    }

    fn written(&self) -> Written<'_> {
        Written::Keys(Vec::<&Key>::new())
    }

    fn describe(&self) -> String {
        match self {
            Self::Pledge { promise } => format!("pledge before founding {}", promise.founding),
            Self::MarkComplete => "mark as complete".into(),
            Self::Found { founding } => format!("write down founding {founding}"),
        }
    }
}

impl AnswerFamily for FoundingAnswer {
    fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Pledged { result, .. }
            | Self::MarkedComplete { result }
            | Self::Founded { result } => result.err(),
        }
    }

    fn fingerprint(&self, out: &mut Vec<u8>) {
        match (self.refusal(), self) {
            (Some(refusal), _) => refused(out, refusal),
            (None, Self::MarkedComplete { .. }) => fingerprint::number(out, 11),
            (None, Self::Pledged { .. }) => fingerprint::number(out, 15),
            (None, Self::Founded { .. }) => fingerprint::number(out, 16),
        }
    }
}
