//! What of a message is refused, and telling people of it: once per message and reason, so that one
//! bad message cannot flood them.

use crate::cx::{Cx, NodeContext};
use crate::event::{Event, RejectReason};
use crate::membership::Horizon;
use crate::membership::state::Stamp;
use crate::probe::Probe;
use crate::types::NodeId;

/// What one message may say, and what it said beyond that.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gate {
    horizon: Horizon,
    strangers: bool,
    future: bool,
    unsaid: bool,
}

impl Gate {
    /// For a message that comes now.
    pub(super) fn new(cx: &Cx<'_>, local: &NodeContext) -> Self {
        let horizon = Horizon::new(cx.now.wall, local.config.gossip_interval());
        Self { horizon, strangers: false, future: false, unsaid: false }
    }

    /// Passes what is known of a node that may be none of the members.
    pub(super) const fn member(&mut self, slot: Option<usize>) -> Option<usize> {
        self.strangers |= slot.is_none();
        slot
    }

    /// Passes what can have been said by now, if it is sound otherwise too.
    pub(super) fn stamp(&mut self, stamp: Stamp, sound: bool) -> Option<Stamp> {
        let passes = sound && stamp.is_within(self.horizon);
        self.future |= !passes;
        passes.then_some(stamp)
    }

    /// Notes that this is about the node itself, which never said it. Returns it. What nobody can have
    /// said by now tells nothing of a second node under this id.
    pub(super) fn unsaid(&mut self, stamp: Stamp, is_unsaid: bool) -> bool {
        self.unsaid |= is_unsaid && stamp.is_within(self.horizon);
        is_unsaid
    }

    /// Tells people what was refused.
    pub(super) fn tell(self, cx: &mut Cx<'_>, from: NodeId) {
        let Self { horizon: _, strangers, future, unsaid } = self;
        if unsaid {
            cx.probe(Probe::UnsaidNews);
        }
        let reasons = [(strangers, RejectReason::Stranger), (future, RejectReason::Future)];
        for (_, reason) in reasons.into_iter().filter(|&(refused, _)| refused) {
            cx.observe(Event::Rejected { from, reason });
        }
    }
}
