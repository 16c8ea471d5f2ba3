//! Messages about how far the logs of nodes had come ([`crate::recall`]).

use alloc::vec::Vec;

use super::family::{Family, family};
use crate::codec::codec;
use crate::log_runs::LogReach;
use crate::types::{Key, LogPosition};

family! {
    /// A message between a node and one that may remember its log.
    RecallMessage,
    /// The kind of a [`RecallMessage`].
    RecallKind {
        /// Asks what the receiver remembers of the sender's log.
        Ask(Ask) = 58 "recall-ask",
        /// What the sender remembers of the receiver's log: the answer, or news that it did not ask for.
        Remembered(Remembered) = 59 "recall-remembered",
    }
}

impl Family for RecallMessage {
    fn keys(&self) -> Vec<&Key> {
        match self {
            Self::Ask(_) | Self::Remembered(_) => Vec::new(),
        }
    }

    fn weight(&self) -> usize {
        match self {
            Self::Ask(_) => 0,
            Self::Remembered(remembered) => size_of_val(&remembered.reaches[..]),
        }
    }

    fn is_urgent(&self) -> bool {
        match self {
            Self::Ask(_) | Self::Remembered(_) => true,
        }
    }
}

/// The payload of [`RecallMessage::Ask`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// How far the sender's log went when it started.
    pub log: LogPosition,
}

codec!(struct Ask { log });

/// The payload of [`RecallMessage::Remembered`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// How far the receiver's log had come in each of its runs that the sender remembers.
    pub reaches: Vec<LogReach>,
}

codec!(struct Remembered { reaches });

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::types::Generation;

    impl RecallMessage {
        /// One message of each kind.
        pub(in crate::message) fn samples() -> Vec<Self> {
            let reach = LogReach { generation: Generation(2), log: LogPosition(300) };
            let ask = Ask { log: LogPosition(200) };
            vec![Self::Ask(ask), Self::Remembered(Remembered { reaches: vec![reach] })]
        }
    }
}
