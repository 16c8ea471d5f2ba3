//! Messages of members that wait for their cluster to be founded ([`crate::founding`]).

use alloc::vec::Vec;

use super::family::{Family, family};
use crate::codec::codec;
use crate::types::{FoundingId, Key};

family! {
    /// A message between members of a cluster that is not founded yet.
    FoundingMessage,
    /// The kind of a [`FoundingMessage`].
    FoundingKind {
        /// The sender's knowledge of the founding.
        Tell(Tell) = 60 "founding-tell",
        /// Asks the receiver to promise that its store is new.
        Pledge(Pledge) = 61 "founding-pledge",
        /// The answer: the promise, or a refusal.
        Pledged(Pledged) = 62 "founding-pledged",
    }
}

impl Family for FoundingMessage {
    fn keys(&self) -> Vec<&Key> {
        match self {
            Self::Tell(_) | Self::Pledge(_) | Self::Pledged(_) => Vec::new(),
        }
    }

    fn weight(&self) -> usize {
        match self {
            Self::Tell(_) | Self::Pledge(_) | Self::Pledged(_) => 0,
        }
    }

    fn is_urgent(&self) -> bool {
        match self {
            Self::Tell(_) | Self::Pledge(_) | Self::Pledged(_) => true,
        }
    }
}

/// The sender's knowledge of the founding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tell {
    /// The sender waits for the founding. A receiver that knows more answers.
    Waiting,
    /// The cluster is founded.
    Founded {
        /// The founding.
        founding: FoundingId,
    },
}

codec!(enum Tell { 0 => Waiting, 1 => Founded { founding } });

/// The request of a member that was told to found the cluster: promise that your store is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pledge {
    /// The founding that is to come.
    pub founding: FoundingId,
}

codec!(struct Pledge { founding });

/// The answer to a [`Pledge`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pledged {
    /// The sender has promised, durably, that its store is new.
    Promised {
        /// The founding.
        founding: FoundingId,
    },
    /// No promise: the sender was told to found the cluster as well, and has not ended yet.
    AlsoFounding {
        /// The founding that was asked for.
        founding: FoundingId,
    },
}

codec!(enum Pledged { 0 => Promised { founding }, 1 => AlsoFounding { founding } });

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    impl FoundingMessage {
        /// One message of each kind.
        pub(in crate::message) fn samples() -> Vec<Self> {
            let founding = FoundingId(11);
            vec![
                Self::Tell(Tell::Founded { founding }),
                Self::Pledge(Pledge { founding }),
                Self::Pledged(Pledged::Promised { founding }),
            ]
        }
    }
}
