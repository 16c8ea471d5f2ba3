//! The serving half of a replica: requests of coordinators in, storage commands out; outcomes in,
//! answers out. A coordinator on this node is served like any other.
//!
//! Of a write it says two things: what it holds now ([`Body::Minted`], at once, so that the other
//! replicas can be sent it), and that it is durable ([`Body::Acked`], not before it is).

use super::young::Young;
use crate::cx::{Cx, Desk, Site};
use crate::durable::DurableQueue;
use crate::event::Event;
use crate::hybrid::{HybridClock, Observed};
use crate::in_flight::InFlight;
use crate::mark::Mark;
use crate::message::{
    Acked, Body, HintRequest, MergeRequest, MintRequest, Minted, OperationId, Place, ReadReply,
    ReadRequest, Refused,
};
use crate::store::{
    Action, Basis, CopyKind, Done, Hint, HintGrowth, Mint, Outcome, Refusal, Role, StandIn,
};
use crate::time::Span;
use crate::types::{NodeId, PartitionId, RequestId, Seq, Ticket};
use crate::version::Container;

/// This node as a replica of the keys that it owns, and as a stand-in for others.
#[derive(Clone, Debug, Default)]
pub struct Replica {
    clock: HybridClock,
    errands: InFlight<Errand>,
    acks: DurableQueue<Asker>,
    young: Young,
}

/// What a replica is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicaSnapshot {
    /// Storage commands of coordinators that have not been answered.
    pub commands: usize,
    /// Answers that wait until what they tell of is durable.
    pub awaits_sync: usize,
}

/// By how much the hints for a target grew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HintGrown {
    /// Whom they are for.
    pub target: NodeId,
    /// The partition.
    pub partition: PartitionId,
    /// By how much.
    pub growth: HintGrowth,
}

/// Whom to answer.
#[derive(Clone, Copy, Debug)]
struct Asker {
    node: NodeId,
    request: RequestId,
    operation: OperationId,
    /// The owner that this node stands in for.
    stands_for: Option<NodeId>,
}

/// A storage command in flight.
#[derive(Clone, Copy, Debug)]
struct Errand {
    asker: Asker,
    partition: PartitionId,
}

impl Replica {
    /// What it is at now.
    pub fn inspect(&self) -> ReplicaSnapshot {
        ReplicaSnapshot { commands: self.errands.len(), awaits_sync: self.acks.len() }
    }

    /// A coordinator asks this node to name a write.
    pub fn on_mint(
        &mut self,
        cx: &mut Cx<'_>,
        site: &Site,
        (from, request): (NodeId, RequestId),
        message: MintRequest,
    ) {
        let MintRequest { operation, key, content, expiry, basis, place, echo } = message;
        let stands_for = place.map(|place| place.owner);
        let asker = Asker { node: from, request, operation, stands_for };
        let partition = site.ring().partition_of(key.token());
        if place.is_none() && !site.ring().owns(site.me(), partition) {
            return refuse(cx, site, asker, Refusal::Layout);
        }
        match basis {
            Basis::Held(_) if !self.young.admits(cx, site, from, operation, echo) => {
                cx.mark(Mark::OldRequestRefused);
                return refuse(cx, site, asker, Refusal::Late);
            }
            Basis::Held(_) | Basis::Given(_) => {}
        }
        let mint = Mint {
            key,
            content,
            expiry,
            basis,
            role: place.map_or(Role::Owner, |place| Role::StandIn(stand_in(cx, site, place))),
            request,
            spare: cx.spare_epoch(partition),
            time: self.clock.now(cx.now.wall),
            siblings_max: site.config.siblings_max,
        };
        self.start(cx, asker, partition, Action::Mint(mint.into()));
    }

    /// A coordinator asks this owner to join a container into its own.
    pub fn on_merge(
        &mut self,
        cx: &mut Cx<'_>,
        site: &Site,
        (from, request): (NodeId, RequestId),
        message: MergeRequest,
    ) {
        let MergeRequest { operation, key, container } = message;
        let asker = Asker { node: from, request, operation, stands_for: None };
        let partition = site.ring().partition_of(key.token());
        if !site.ring().owns(site.me(), partition) {
            return refuse(cx, site, asker, Refusal::Layout);
        }
        self.look_at_time(cx, site, &container);
        let items = [(key, container)].into();
        self.start(cx, asker, partition, Action::Merge { items });
    }

    /// A coordinator asks this node to keep a container for an owner.
    pub fn on_hint(
        &mut self,
        cx: &mut Cx<'_>,
        site: &Site,
        (from, request): (NodeId, RequestId),
        message: HintRequest,
    ) {
        let HintRequest { operation, key, container, place } = message;
        let stands_for = Some(place.owner);
        let asker = Asker { node: from, request, operation, stands_for };
        let partition = site.ring().partition_of(key.token());
        self.look_at_time(cx, site, &container);
        let hint = Hint { key, container, stand_in: stand_in(cx, site, place) };
        self.start(cx, asker, partition, Action::Hint(hint.into()));
    }

    /// A coordinator asks what this node holds of a key.
    pub fn on_read(
        &mut self,
        cx: &mut Cx<'_>,
        site: &Site,
        (from, request): (NodeId, RequestId),
        message: ReadRequest,
    ) {
        let ReadRequest { operation, key, copy } = message;
        let asker = Asker { node: from, request, operation, stands_for: None };
        let partition = site.ring().partition_of(key.token());
        // The storage knows of the marker when it is written; it counts when it is durable, for then
        // all that was copied before it is durable too.
        if copy == CopyKind::Owned && !site.synced.contains(&partition) {
            cx.mark(Mark::UnsyncedReadRefused);
            return refuse(cx, site, asker, Refusal::NotSynced);
        }
        self.start(cx, asker, partition, Action::Read { key, copy });
    }

    /// Says that a request to keep a hint was not even tried.
    pub fn refuse(
        &self,
        cx: &mut Cx<'_>,
        site: &Site,
        (from, request): (NodeId, RequestId),
        operation: OperationId,
        refusal: Refusal,
    ) {
        let asker = Asker { node: from, request, operation, stands_for: None };
        refuse(cx, site, asker, refusal);
    }

    /// A storage command was executed. Returns by how much it made hints grow.
    pub fn on_store_done(
        &mut self,
        cx: &mut Cx<'_>,
        site: &Site,
        errand: u64,
        seq: Seq,
        outcome: Outcome,
    ) -> Option<HintGrown> {
        let Errand { asker, partition } =
            self.errands.remove(errand).expect("each command is answered once");
        let mut hinted = None;
        let grown = |target, growth| HintGrown { target, partition, growth };
        match outcome.result {
            Ok(Done::Minted { container, hinted: growth, .. }) => {
                hinted = asker.stands_for.zip(growth).map(|(target, by)| grown(target, by));
                if let Some(HintGrown { target, .. }) = hinted {
                    cx.observe(Event::HintStored { target });
                }
                let minted = Minted { operation: asker.operation, container };
                answer(cx, site, asker, Body::Minted(minted));
                self.acks.push(seq, asker);
            }
            Ok(Done::Merged) => self.acks.push(seq, asker),
            Ok(Done::Hinted(growth)) => {
                let target = asker.stands_for.expect("a hint is for somebody");
                hinted = Some(grown(target, growth));
                cx.observe(Event::HintStored { target });
                self.acks.push(seq, asker);
            }
            Ok(Done::Read(container)) => {
                let reply = ReadReply { operation: asker.operation, container };
                answer(cx, site, asker, Body::ReadReply(reply));
            }
            Ok(
                other @ (Done::HintBatch { .. }
                | Done::HintDropped { .. }
                | Done::Branches(_)
                | Done::Leaves(_)
                | Done::Summaries { .. }
                | Done::Fetched(_)
                | Done::MarkedSynced
                | Done::Pledged
                | Done::Founded
                | Done::Scrubbed { .. }
                | Done::MadeWhole { .. }),
            ) => panic!("the replica did not ask for {other:?}"),
            Err(refusal) => refuse(cx, site, asker, refusal),
        }
        self.acknowledge(cx, site);
        hinted
    }

    /// The store is durable up to a position.
    pub fn on_durable(&mut self, cx: &mut Cx<'_>, site: &Site, seq: Seq) {
        self.acks.on_durable(seq);
        self.acknowledge(cx, site);
    }

    fn acknowledge(&mut self, cx: &mut Cx<'_>, site: &Site) {
        while let Some(asker) = self.acks.pop() {
            let acked = Acked { operation: asker.operation, stands_for: asker.stands_for };
            answer(cx, site, asker, Body::Acked(acked));
        }
    }

    fn start(&mut self, cx: &mut Cx<'_>, asker: Asker, partition: PartitionId, action: Action) {
        let errand = self.errands.insert(Errand { asker, partition });
        cx.store(Ticket::new(Desk::Replica, errand), partition, action);
    }

    /// Keeps the clock from falling behind what others have stamped. A container is never refused
    /// for its time; a time that is too far ahead is only reported.
    fn look_at_time(&mut self, cx: &mut Cx<'_>, site: &Site, container: &Container) {
        let Some((stamped_by, newest)) = container.newest_stamp() else { return };
        match self.clock.observe(newest, cx.now.wall, site.config.clock_ahead_ms) {
            Observed::Adopted | Observed::Behind => {}
            Observed::TooFarAhead { by_ms } => {
                cx.observe(Event::ClockAhead { stamped_by, by_ms });
            }
        }
    }
}

/// How a hint is kept in this place, by the own clock: the same that will say when it has expired.
fn stand_in(cx: &Cx<'_>, site: &Site, place: Place) -> StandIn {
    let (created, expiry) = (cx.now.wall, Span::from_ms(site.config.hint_expiry_ms));
    StandIn { target: place.owner, created, expires: created + expiry, copies: place.copies }
}

fn refuse(cx: &mut Cx<'_>, site: &Site, asker: Asker, refusal: Refusal) {
    let refused = Refused { operation: asker.operation, refusal };
    answer(cx, site, asker, Body::Refused(refused));
}

fn answer(cx: &mut Cx<'_>, site: &Site, asker: Asker, body: Body) {
    cx.send(site.message(asker.node, asker.request, body));
}

#[cfg(test)]
mod tests;
