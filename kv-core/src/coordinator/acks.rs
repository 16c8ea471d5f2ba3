//! The acks of a write, and what it waits for.

use super::answers::answer;
use super::fallbacks::Fallbacks;
use crate::cx::NodeContext;
use crate::message::FallbackFor;
use crate::tally::Tally;
use crate::types::NodeId;

/// The acks of a write, which may come before the coordinator learns of the dot; and the fallbacks
/// that were asked for more of them.
#[derive(Clone, Debug)]
pub(super) struct Acks {
    pub(super) tally: Tally,
    pub(super) fallbacks: Fallbacks,
}

/// The state of a write phase after an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WriteProgress {
    /// The phase still awaits something.
    Going,
    /// The operation has ended.
    Over,
}

impl Acks {
    pub(super) fn new(tally: Tally) -> Self {
        Self { tally, fallbacks: Fallbacks::default() }
    }

    /// Counts the ack of a node; nothing, if the node is not in the ring.
    pub(super) fn record(&mut self, local: &NodeContext, from: NodeId, for_owner: NodeId) {
        if let Some(counted) = answer(local, from, for_owner) {
            self.tally.record(counted);
        }
    }

    /// The place in which a fallback takes the write.
    pub(super) fn place_of(&self, owner: NodeId) -> FallbackFor {
        let copies = u8::try_from(self.tally.owners_answered()).unwrap_or(u8::MAX);
        FallbackFor { owner, copies }
    }
}
