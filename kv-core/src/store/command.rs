//! Commands and answers of all families, and what drivers ask of them.

use alloc::string::String;
use alloc::vec::Vec;

use super::family::{AnswerFamily, CommandFamily, Written};
use super::founding::{FoundingAnswer, FoundingCommand};
use super::handoff::{HandoffAnswer, HandoffCommand};
use super::recall::{RecallAnswer, RecallCommand};
use super::recovered::CorruptKey;
use super::refusal::Refusal;
use super::repair::{RepairAnswer, RepairCommand};
use super::replica::{ReplicaAnswer, ReplicaCommand, ReplicaDone};
use crate::event::Event;
use crate::types::{ContentHash, PartitionId};

/// A command of a node to its storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreCommand {
    /// The partition that it belongs to.
    pub partition: PartitionId,
    /// The work to do there.
    pub command: Command,
}

/// The outcome of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The partition that it belonged to.
    pub partition: PartitionId,
    /// The answer to the part that asked.
    pub answer: Answer,
    /// The partition's Merkle root after it, live.
    pub root: ContentHash,
    /// The events on the way. The node observes them when it learns of the outcome.
    pub events: Vec<Event>,
    /// Keys of which the owner's record was found to be corrupt just now.
    pub corrupt: Vec<CorruptKey>,
}

impl Outcome {
    /// Tells whether this is what a coordinator reads: most outcomes are, and they change nothing.
    pub const fn is_client_read(&self) -> bool {
        matches!(
            self.answer,
            Answer::Replica(ReplicaAnswer { result: Ok(ReplicaDone::Read(_)), .. })
        )
    }
}

macro_rules! families {
    ($($(#[$doc:meta])* $family:ident($command:ident, $answer:ident),)*) => {
        /// A command of one of the families.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Command {
            $($(#[$doc])* $family($command),)*
        }

        /// The answer to a [`Command`], of the same family.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Answer {
            $($(#[$doc])* $family($answer),)*
        }

        impl Command {
            fn family(&self) -> &dyn CommandFamily {
                match self {
                    $(Self::$family(command) => command,)*
                }
            }
        }

        impl Answer {
            fn family(&self) -> &dyn AnswerFamily {
                match self {
                    $(Self::$family(answer) => answer,)*
                }
            }
        }

        $(
            impl From<$command> for Command {
                fn from(command: $command) -> Self {
                    Self::$family(command)
                }
            }

            impl From<$answer> for Answer {
                fn from(answer: $answer) -> Self {
                    Self::$family(answer)
                }
            }
        )*
    };
}

families! {
    /// The family for coordinators.
    Replica(ReplicaCommand, ReplicaAnswer),
    /// The family of hinted handoff.
    Handoff(HandoffCommand, HandoffAnswer),
    /// The family of repair.
    Repair(RepairCommand, RepairAnswer),
    /// The family of a founding.
    Founding(FoundingCommand, FoundingAnswer),
    /// The family of recall.
    Recall(RecallCommand, RecallAnswer),
}

impl CommandFamily for Command {
    fn is_read(&self) -> bool {
        self.family().is_read()
    }

    fn written(&self) -> Written<'_> {
        self.family().written()
    }

    fn describe(&self) -> String {
        self.family().describe()
    }
}

impl AnswerFamily for Answer {
    fn refusal(&self) -> Option<Refusal> {
        self.family().refusal()
    }

    fn fingerprint(&self, out: &mut Vec<u8>) {
        self.family().fingerprint(out);
    }
}
