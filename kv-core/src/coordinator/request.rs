//! The request that an operation carries out, whatever its phase; and one step of it.

use super::hedging::{Hedging, Rank};
use crate::client::{Achieved, Reply};
use crate::cx::{Cx, NodeContext};
use crate::message::{Body, OperationId, ReplicaMessage};
use crate::quorum::Mode;
use crate::time::{Span, Time};
use crate::types::{ClientRequest, Key, NodeId, PartitionId, RequestId};
use crate::version::Container;

/// The request that an operation carries out.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) id: RequestId,
    pub(super) key: Key,
    pub(super) partition: PartitionId,
    pub(super) mode: Mode,
    /// The client that waits; none once it was answered, or if no client asked.
    pub(super) client: Option<ClientRequest>,
    /// The time of the next hedge, or of the end.
    pub(super) wake_at: Time,
    pub(super) expires_at: Time,
    /// The time at which half of its time is over.
    pub(super) late_at: Time,
    /// The pause before the next hedge; it doubles with each.
    pub(super) hedge: Span,
}

/// One step of an operation: what its phase may use beside itself while it handles an input.
pub(super) struct OperationCx<'a, 'b> {
    pub(super) cx: &'a mut Cx<'b>,
    pub(super) local: &'a NodeContext,
    pub(super) operation: OperationId,
    pub(super) request: &'a mut Request,
    pub(super) hedging: &'a mut Hedging,
}

impl Request {
    pub(super) fn new(
        cx: &Cx<'_>,
        local: &NodeContext,
        id: RequestId,
        client: Option<ClientRequest>,
        key: Key,
        mode: Mode,
        timeout: Span,
    ) -> Self {
        let (now, hedge) = (cx.now.monotonic, local.config.hedge());
        Self {
            id,
            partition: local.topology().partition_of(key.token()),
            key,
            mode,
            client,
            wake_at: now + hedge.min(timeout),
            expires_at: now + timeout,
            late_at: now + Span(timeout.0 / 2),
            hedge,
        }
    }

    /// Starts the delay before the first hedge of a read.
    pub(super) fn begin_hedge(&mut self, now: Time, delay: Span) {
        self.pause(now, delay);
        self.wake_at = self.wake_at.min(self.late_at);
    }

    /// Doubles the pause before the next hedge, as the last one was silent.
    pub(super) fn lengthen_hedge(&mut self, now: Time) {
        self.pause(now, self.hedge.times(2));
    }

    /// Answers the client, if it still waits.
    pub(super) fn reply(&mut self, cx: &mut Cx<'_>, answer: Reply) {
        if let Some(client) = self.client.take() {
            super::reply(cx, client, answer);
        }
    }

    fn pause(&mut self, now: Time, hedge: Span) {
        self.hedge = hedge;
        self.wake_at = (now + hedge).min(self.expires_at);
    }
}

impl<'a> OperationCx<'a, '_> {
    /// The owners of the key.
    pub(super) fn owners(&self) -> &'a [NodeId] {
        self.local.topology().owners(self.request.partition)
    }

    /// Tells whether a node is an owner of the key.
    pub(super) fn owns(&self, node: NodeId) -> bool {
        self.local.topology().owns(node, self.request.partition)
    }

    /// Ranks an owner for the read of this operation's key.
    pub(super) fn rank(&self, owner: NodeId) -> Rank {
        self.hedging.rank(self.local, owner, self.request.partition, self.cx.now.monotonic)
    }

    /// Tells whether a client waits for the answer.
    pub(super) fn client_waits(&self) -> bool {
        self.request.client.is_some()
    }

    pub(super) fn send(&mut self, to: NodeId, message: ReplicaMessage) {
        self.cx.send(self.local.message(to, self.request.id, Body::Replica(message)));
    }

    /// Answers the client, if it still waits.
    pub(super) fn reply(&mut self, answer: Reply) {
        self.request.reply(self.cx, answer);
    }

    /// Answers a read.
    pub(super) fn reply_value(&mut self, container: Container, achieved: Achieved) {
        let context = self.token(&container);
        self.reply(Reply::Value { container, context, achieved });
    }

    /// Answers a write.
    pub(super) fn reply_stored(&mut self, container: Container, achieved: Achieved) {
        let context = self.token(&container);
        self.reply(Reply::Stored { container, context, achieved });
    }

    /// Starts the hedge delay anew: nobody else is asked before it is over.
    pub(super) fn restart_hedge(&mut self) {
        self.request.pause(self.cx.now.monotonic, self.local.config.hedge());
    }

    /// Starts the hedge delay anew if silence has lengthened it, as others than the silent are
    /// asked now. A first delay goes on.
    pub(super) fn shorten_hedge(&mut self) {
        if self.request.hedge > self.local.config.hedge() {
            self.restart_hedge();
        }
    }

    fn token(&self, container: &Container) -> bytes::Bytes {
        container.context().to_token(self.local.identity.cluster, &self.request.key)
    }
}
