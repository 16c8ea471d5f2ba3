//! This node as a replica of its keys: requests of coordinators in, storage commands
//! ([`crate::store`]) out; outcomes in, answers out. A coordinator on this node is served like any
//! other. Records are seen in [`crate::storage`] only, where the commands are executed.
//!
//! Of a write it says two things: what it holds now ([`CoordinatorMessage::Minted`], at once, so that the other
//! replicas can be sent it), and that it is durable ([`CoordinatorMessage::Acked`], not before it is).

mod freshness;
mod inspect;
mod invariants;

use self::freshness::Freshness;
pub use self::inspect::ReplicaSnapshot;
use crate::cx::{CommandCount, Cx, Issuer, NodeContext};
use crate::durable::DurableQueue;
use crate::event::Event;
use crate::hybrid::{HybridClock, Observed};
use crate::message::{
    Acked, CoordinatorMessage, FallbackFor, HintRequest, MergeRequest, MintRequest, Minted,
    OperationId, ReadReply, ReadRequest, Refused, ReplicaMessage,
};
use crate::probe::Probe;
use crate::store::{
    CopyKind, Hint, HintGrowth, HintTerms, Mint, Refusal, ReplicaAction, ReplicaAnswer,
    ReplicaCommand, ReplicaDone, Requester, Role,
};
use crate::time::{HybridTime, Span};
use crate::types::{LogPosition, NodeId, PartitionId, RequestId, Seq};
use crate::version::Container;
use crate::write::Basis;

/// The part of a node that holds the keys that it owns, and those of others as a fallback.
#[derive(Clone, Debug, Default)]
pub struct Replica {
    clock: HybridClock,
    commands: CommandCount,
    acks: DurableQueue<Requester>,
    freshness: Freshness,
    /// How far the log is durable, as far as this run has been told; acks say so.
    log: LogPosition,
}

impl Replica {
    /// The time of a request that this node is asked for now: above all that it has adopted.
    pub fn now(&mut self, cx: &Cx<'_>) -> HybridTime {
        self.clock.now(cx.now.wall)
    }

    /// A coordinator asks something of this node as a replica.
    pub fn on_message(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        from: (NodeId, RequestId),
        message: ReplicaMessage,
    ) {
        match message {
            ReplicaMessage::Mint(message) => self.on_mint(cx, local, from, *message),
            ReplicaMessage::Merge(message) => self.on_merge(cx, local, from, message),
            ReplicaMessage::Hint(message) => self.on_hint(cx, local, from, message),
            ReplicaMessage::Read(message) => self.on_read(cx, local, from, message),
        }
    }

    /// A coordinator asks this node to mint.
    fn on_mint(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        (from, request): (NodeId, RequestId),
        message: MintRequest,
    ) {
        let MintRequest { operation, key, write, fallback_for, echo } = message;
        let for_owner = fallback_for.map(|fallback_for| fallback_for.owner);
        let requester = Requester { node: from, request, operation, for_owner };
        let partition = local.topology().partition_of(key.token());
        if fallback_for.is_none() && !local.topology().owns(local.me(), partition) {
            return refuse(cx, local, requester, Refusal::Layout);
        }
        match write.basis {
            Basis::Held(_) if !self.freshness.admits(cx, local, from, operation, echo) => {
                cx.probe(Probe::OldRequestRefused);
                return refuse(cx, local, requester, Refusal::Late);
            }
            Basis::Held(_) | Basis::Given(_) => {}
        }
        self.look_at_time(cx, local, (from, write.time));
        let mint = Mint {
            key,
            write,
            role: fallback_for.map_or(Role::Owner, |fallback_for| {
                Role::Fallback(hint_terms(cx, local, fallback_for))
            }),
            request,
            spare: cx.spare_epoch(partition),
            siblings_max: local.config.siblings_max,
        };
        self.start(cx, requester, partition, ReplicaAction::Mint(mint.into()));
    }

    /// A coordinator asks this owner to join a container into its own.
    fn on_merge(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        (from, request): (NodeId, RequestId),
        message: MergeRequest,
    ) {
        let MergeRequest { operation, key, container } = message;
        let requester = Requester { node: from, request, operation, for_owner: None };
        let partition = local.topology().partition_of(key.token());
        if !local.topology().owns(local.me(), partition) {
            return refuse(cx, local, requester, Refusal::Layout);
        }
        self.look_at_times(cx, local, &container);
        self.start(cx, requester, partition, ReplicaAction::Merge((key, container).into()));
    }

    /// A coordinator asks this node to keep a container for an owner.
    fn on_hint(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        (from, request): (NodeId, RequestId),
        message: HintRequest,
    ) {
        let HintRequest { operation, key, container, fallback_for } = message;
        let for_owner = Some(fallback_for.owner);
        let requester = Requester { node: from, request, operation, for_owner };
        let partition = local.topology().partition_of(key.token());
        self.look_at_times(cx, local, &container);
        let hint = Hint { key, container, terms: hint_terms(cx, local, fallback_for) };
        self.start(cx, requester, partition, ReplicaAction::Hint(hint.into()));
    }

    /// A coordinator asks what this node holds of a key.
    fn on_read(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        (from, request): (NodeId, RequestId),
        message: ReadRequest,
    ) {
        let ReadRequest { operation, key, copy } = message;
        let requester = Requester { node: from, request, operation, for_owner: None };
        let partition = local.topology().partition_of(key.token());
        // The storage knows of the marker when it is written; it counts when it is durable, for then
        // all that was copied before it is durable too.
        if copy == CopyKind::Owned && !local.is_complete(partition) {
            cx.probe(Probe::IncompleteReadRefused);
            return refuse(cx, local, requester, Refusal::Incomplete);
        }
        self.start(cx, requester, partition, ReplicaAction::Read { key, copy });
    }

    /// Says that a request to keep a hint was not even tried.
    pub fn refuse(
        &self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        (from, request): (NodeId, RequestId),
        operation: OperationId,
        refusal: Refusal,
    ) {
        let requester = Requester { node: from, request, operation, for_owner: None };
        refuse(cx, local, requester, refusal);
    }

    /// A storage command was executed. Returns by how much it made hints grow.
    pub fn on_store_done(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        seq: Seq,
        ReplicaAnswer { requester, result }: ReplicaAnswer,
    ) -> Option<HintGrowth> {
        self.commands.end();
        let operation = requester.operation;
        let mut hinted = None;
        match result {
            Ok(ReplicaDone::Minted(minted)) => {
                hinted = minted.hinted;
                if let Some(HintGrowth { target, .. }) = hinted {
                    cx.observe(Event::HintStored { target });
                }
                let minted = Minted { operation, container: minted.container };
                answer(cx, local, requester, CoordinatorMessage::Minted(minted));
                self.acks.push(seq, requester);
            }
            Ok(ReplicaDone::Merged) => self.acks.push(seq, requester),
            Ok(ReplicaDone::Hinted(growth)) => {
                hinted = Some(growth);
                cx.observe(Event::HintStored { target: growth.target });
                self.acks.push(seq, requester);
            }
            Ok(ReplicaDone::Read(container)) => {
                let reply = ReadReply { operation, container };
                answer(cx, local, requester, CoordinatorMessage::ReadReply(reply));
            }
            Err(refusal) => refuse(cx, local, requester, refusal),
        }
        self.acknowledge(cx, local);
        hinted
    }

    /// The store is durable up to a position.
    pub fn on_durable(&mut self, cx: &mut Cx<'_>, local: &NodeContext, seq: Seq, log: LogPosition) {
        self.acks.on_durable(seq);
        self.log = self.log.max(log);
        self.acknowledge(cx, local);
    }

    fn acknowledge(&mut self, cx: &mut Cx<'_>, local: &NodeContext) {
        while let Some(requester) = self.acks.pop() {
            let Requester { operation, for_owner, .. } = requester;
            let acked = Acked { operation, for_owner, log: self.log };
            answer(cx, local, requester, CoordinatorMessage::Acked(acked));
        }
    }

    fn start(
        &mut self,
        cx: &mut Cx<'_>,
        requester: Requester,
        partition: PartitionId,
        action: ReplicaAction,
    ) {
        let ticket = self.commands.begin(Issuer::Replica);
        cx.store(ticket, partition, ReplicaCommand { requester, action });
    }

    fn look_at_times(&mut self, cx: &mut Cx<'_>, local: &NodeContext, container: &Container) {
        if let Some(newest) = container.newest_stamp() {
            self.look_at_time(cx, local, newest);
        }
    }

    /// Keeps the clock from falling behind what comes from another node. Nothing is refused for its
    /// time; a time that is too far ahead is only reported.
    fn look_at_time(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        (stamped_by, time): (NodeId, HybridTime),
    ) {
        match self.clock.observe(time, cx.now.wall, local.config.clock_ahead_ms) {
            Observed::Adopted | Observed::Behind => {}
            Observed::TooFarAhead { by_ms } => {
                cx.observe(Event::ClockAhead { stamped_by, by_ms });
            }
        }
    }
}

/// The terms of a hint for this owner, by the own clock: the same that will say when it has
/// expired.
fn hint_terms(cx: &Cx<'_>, local: &NodeContext, fallback_for: FallbackFor) -> HintTerms {
    let (created, expiry) = (cx.now.wall, Span::from_ms(local.config.hint_expiry_ms));
    HintTerms {
        target: fallback_for.owner,
        created,
        expires: created + expiry,
        copies: fallback_for.copies,
    }
}

fn refuse(cx: &mut Cx<'_>, local: &NodeContext, requester: Requester, refusal: Refusal) {
    let refused = Refused { operation: requester.operation, refusal };
    answer(cx, local, requester, CoordinatorMessage::Refused(refused));
}

fn answer(cx: &mut Cx<'_>, local: &NodeContext, requester: Requester, message: CoordinatorMessage) {
    cx.send(local.message(requester.node, requester.request, message.into()));
}

#[cfg(test)]
mod tests;
