//! The commands of recall to the storage: what the store says of the runs that wrote its log.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Refusal;
use super::family::{AnswerFamily, CommandFamily, Written, refused};

use crate::fingerprint;
use crate::log_runs::LogRuns;
use crate::types::Key;

/// A command of recall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecallCommand {
    /// Write which runs have written the log, about the whole store, in whatever partition it is
    /// executed.
    Record {
        /// The runs.
        runs: LogRuns,
    },
    /// Take away the data marker of the partition: some of what this owner had to hold is lost.
    Unmark,
}

/// The answer to a [`RecallCommand`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecallAnswer {
    /// The answer to [`RecallCommand::Record`].
    Recorded {
        /// Success once the runs are written.
        result: Result<(), Refusal>,
    },
    /// The answer to [`RecallCommand::Unmark`].
    Unmarked {
        /// Success once the marker is gone.
        result: Result<(), Refusal>,
    },
}

impl CommandFamily for RecallCommand {
    fn is_read(&self) -> bool {
        false
    }

    fn written(&self) -> Written<'_> {
        Written::Keys(Vec::<&Key>::new())
    }

    fn describe(&self) -> String {
        match self {
            Self::Record { runs } => {
                format!("write down the runs of the log: {}", runs.begun.len())
            }
            Self::Unmark => "take the data marker away".into(),
        }
    }
}

impl AnswerFamily for RecallAnswer {
    fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Recorded { result } | Self::Unmarked { result } => result.err(),
        }
    }

    fn fingerprint(&self, out: &mut Vec<u8>) {
        match (self.refusal(), self) {
            (Some(refusal), _) => refused(out, refusal),
            (None, Self::Recorded { .. }) => fingerprint::number(out, 17),
            (None, Self::Unmarked { .. }) => fingerprint::number(out, 18),
        }
    }
}
