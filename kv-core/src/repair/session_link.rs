//! The thread of a session: the peer, and the step that is awaited. Every question of a session, to the
//! peer or to the own storage, goes through it, so that each is a step of its own.

use super::{StoreAccess, Waiting};
use crate::cx::{Cx, NodeContext};
use crate::message::Body;
use crate::message::repair::Step;
use crate::store::{RepairCommand, SessionStep};
use crate::time::{Span, Time};
use crate::types::{NodeId, PartitionId, RequestId, Seq};

/// The thread of a session: the peer, and the answer that is awaited.
#[derive(Clone, Debug)]
pub(super) struct SessionLink {
    pub(super) peer: NodeId,
    pub(super) request: RequestId,
    /// The step of the question, the storage command or the sync that the session waits for.
    pub(super) step: Step,
    /// The time at which it ceases to wait. The own storage always answers: for that there is none.
    pub(super) until: Option<Time>,
}

impl SessionLink {
    /// Asks the peer something, as the next step of the session.
    pub(super) fn ask(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        body: impl FnOnce(Step) -> Body,
    ) {
        let timeout = Span::from_ms(local.config.repair_timeout_ms);
        self.step.0 += 1;
        self.until = Some(cx.now.monotonic + timeout);
        cx.send(local.message(self.peer, self.request, body(self.step)));
    }

    /// Asks the own storage something, as the next step of the session.
    pub(super) fn store(
        &mut self,
        cx: &mut Cx<'_>,
        access: &mut StoreAccess,
        partition: PartitionId,
        command: impl FnOnce(SessionStep) -> RepairCommand,
    ) {
        self.step.0 += 1;
        self.until = None;
        let step = SessionStep { request: self.request, step: self.step };
        access.store(cx, partition, command(step));
    }

    /// Lets the session wait until this time.
    pub(super) const fn wait_until(&mut self, time: Time) {
        self.step.0 += 1;
        self.until = Some(time);
    }

    /// Waits until the store is durable up to this position.
    pub(super) fn wait_for_disk(&mut self, access: &mut StoreAccess, seq: Seq) {
        self.step.0 += 1;
        self.until = None;
        let step = SessionStep { request: self.request, step: self.step };
        access.waiting.push(seq, Waiting::Session(step));
    }
}
