//! Messages of members that wait for their cluster to be founded ([`crate::founding`]).

use crate::codec::codec;
use crate::types::FoundingId;

/// The sender's knowledge of the founding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tell {
    /// It waits. A receiver that knows more answers.
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
    /// It is promised, durably.
    Promised {
        /// The founding.
        founding: FoundingId,
    },
    /// It is not: the sender was told to found the cluster as well, and has not ended yet.
    AlsoFounding {
        /// The founding that was asked for.
        founding: FoundingId,
    },
}

codec!(enum Pledged { 0 => Promised { founding }, 1 => AlsoFounding { founding } });
