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
        /// The positions of the receiver's log that the sender remembers: the answer to [`RecallKind::Ask`], or
        /// news that nobody asked for.
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
    /// The position up to which the sender's log is durable.
    pub log: LogPosition,
}

codec!(struct Ask { log });

/// The payload of [`RecallMessage::Remembered`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// The greatest position of the receiver's log in each of its runs, as far as the sender remembers them.
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
