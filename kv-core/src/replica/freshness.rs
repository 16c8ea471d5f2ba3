//! Tells which requests to overwrite "what is held" are fresh enough to be taken at their word.
//!
//! A plain `SET` overwrites what the replica holds that mints for it. That is right while the request is
//! new. If its message is slow, the coordinator asks another replica after the hedge delay, the
//! write is acknowledged, and others write the key again; the old request, arriving at last, would
//! overwrite what is newer than itself and was never seen by its writer. A message does not tell its
//! age, and clocks of different nodes are not compared. But it may carry an [`Echo`]: what its sender
//! last heard this node say of the time. It was sent after that. If that is less than half of the
//! hedge delay ago, by the clock of this node alone, then nobody else was asked yet, however the
//! message travelled, as long as no clock runs at twice the speed of another one. And whatever is
//! written later comes to this disk later, behind this command.
//!
//! A copy of a request that was taken is fresh as well; so each is taken once.

use alloc::collections::BTreeSet;

use crate::cx::{Cx, NodeContext};
use crate::message::{Echo, OperationId};
use crate::time::{Span, Time};
use crate::types::NodeId;

/// The requests of the last moments that were taken at their word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Freshness {
    pub(super) taken: BTreeSet<(NodeId, OperationId)>,
    /// The same requests, in the order in which they came.
    pub(super) by_time: BTreeSet<(Time, NodeId, OperationId)>,
}

impl Freshness {
    /// Tells whether a request may overwrite what is held here. If so, it may once.
    pub(super) fn admits(
        &mut self,
        cx: &Cx<'_>,
        local: &NodeContext,
        from: NodeId,
        operation: OperationId,
        echo: Option<Echo>,
    ) -> bool {
        // Between a node and itself nothing is late: its messages do not travel.
        if from == local.me() {
            return true;
        }
        let (now, age_max) = (cx.now.monotonic, Span(local.config.hedge().0 / 2));
        self.forget_before(Time(now.0.saturating_sub(age_max.0)));
        let is_fresh = echo.is_some_and(|Echo { generation, sent }| {
            generation == local.identity.generation && sent <= now && now.since(sent) < age_max
        });
        if !is_fresh || !self.taken.insert((from, operation)) {
            return false;
        }
        self.by_time.insert((now, from, operation));
        true
    }

    /// Forgets those of which every copy is too old by now.
    fn forget_before(&mut self, time: Time) {
        while let Some(&(at, from, operation)) = self.by_time.first() {
            if at >= time {
                break;
            }
            self.by_time.pop_first();
            self.taken.remove(&(from, operation));
        }
    }
}
