//! The refusal of parts of a gossip message. People are told once per message and reason, so that
//! one bad message cannot flood them.

use crate::cx::{Cx, NodeContext};
use crate::event::{Event, RejectReason};
use crate::membership::Horizon;
use crate::membership::state::Stamp;
use crate::probe::Probe;
use crate::types::NodeId;

/// The check of one message's claims, with the reasons for which some were refused.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gate {
    horizon: Horizon,
    strangers: bool,
    future: bool,
    unsaid: bool,
}

impl Gate {
    /// Makes the gate for a message that comes now.
    pub(super) fn new(cx: &Cx<'_>, local: &NodeContext) -> Self {
        let horizon = Horizon::new(cx.now.wall, local.config.gossip_interval());
        Self { horizon, strangers: false, future: false, unsaid: false }
    }

    /// Passes a claim about a member, and refuses one about a stranger.
    pub(super) const fn member(&mut self, slot: Option<usize>) -> Option<usize> {
        self.strangers |= slot.is_none();
        slot
    }

    /// Passes a heartbeat that can have been reached by now, if it is sound otherwise too.
    pub(super) fn stamp(&mut self, stamp: Stamp, sound: bool) -> Option<Stamp> {
        let passes = sound && stamp.is_within(self.horizon);
        self.future |= !passes;
        passes.then_some(stamp)
    }

    /// Notes that a claim is about this node, which never said it. Returns `is_unsaid`. A claim
    /// beyond the horizon is not noted: it is no sign of a second node under this id.
    pub(super) fn unsaid(&mut self, stamp: Stamp, is_unsaid: bool) -> bool {
        self.unsaid |= is_unsaid && stamp.is_within(self.horizon);
        is_unsaid
    }

    /// Tells people of what was refused.
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
