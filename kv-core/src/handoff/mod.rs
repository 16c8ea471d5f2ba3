//! Hints: what is kept here for owners that could not be reached, and how they get it.
//!
//! ```text
//!   a hint was kept ──▶ HintBatch ──▶ HintDelivery ──▶ HintDelivered ──▶ HintDrop
//!                       (store)       (to the target)  (durable there)   (store)
//!   HintDelivery ──▶ Merge ──▶ durable ──▶ HintDelivered          the target's side
//! ```
//!
//! Replay goes on until it is done, however often it fails (Riak #847: tried once; Dynomite #552:
//! never heals a node that was down). It is fair over targets and over the partitions of a target,
//! and under a budget: one batch in each pause, one batch at a time for each target. Replay is a
//! join, so order, loss and repetition cannot harm.
//!
//! Invariants:
//! - A hint is deleted only when every node that it was delivered to has said that it is durable
//!   there; never if it has grown since.
//! - It is delivered to its target or, if that is down and the hint has expired, to other owners, as
//!   many as a write asks for.
//! - There is a `Replay` for a target if and only if something is kept for it.
//! - No answer of an earlier life of this process is taken for one of this life: each delivery
//!   has a request id of its own, half of it drawn once per life.
//! - The receiving side keeps nothing but what waits for the disk.

mod inspect;
mod invariants;
mod ledger;
mod receive;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec;
use alloc::vec::Vec;

pub use self::inspect::{HandoffSnapshot, KeptSnapshot, ReplaySnapshot};
use self::ledger::{Amount, Ledger};
use crate::cx::{CommandCount, Cx, Issuer, NodeContext, Purpose};
use crate::durable::DurableQueue;
use crate::event::Event;
use crate::in_flight::InFlight;
use crate::message::{Body, HandoffMessage, HintDelivered, HintDelivery};
use crate::probe::Probe;
use crate::store::{
    DropReason, Dropped, HandoffAnswer, HandoffCommand, HintBatch, HintGrowth, KeptHints, Receipt,
    Refusal, StoredHint,
};
use crate::time::{Span, Time};
use crate::types::{ContentHash, Key, NodeId, PartitionId, RequestId, Seq};
use crate::version::Container;

/// After so many failures in a row the timeout with a target does not grow any more: 64 times
/// [`crate::config::Config::hint_retry_ms`].
const DOUBLINGS_MAX: u32 = 6;

/// Keeps count of hints, replays them, and takes in what others kept for this node.
#[derive(Clone, Debug, Default)]
pub struct Handoff {
    ledger: Ledger,
    replays: BTreeMap<NodeId, Replay>,
    /// No batch is begun before.
    pace_at: Time,
    /// The target that had the last turn.
    last_turn: NodeId,
    deliveries: InFlight<Delivery>,
    commands: CommandCount,
    /// Half of the request ids of this life.
    life: Option<u64>,
    receipts: DurableQueue<Receipt>,
    /// Targets that lack a hint which was dropped or never kept, and since when.
    stale: BTreeMap<(NodeId, PartitionId), Time>,
}

/// A target lacks something of a partition that no hint will bring: it must be repaired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stale {
    /// The target.
    pub target: NodeId,
    /// The partition.
    pub partition: PartitionId,
}

/// The progress of the replay for one target.
#[derive(Clone, Debug, Default)]
struct Replay {
    turn: ReplayTurn,
    /// The partition that was replayed last.
    last_partition: Option<PartitionId>,
    /// The number of failures in a row.
    failures: u32,
}

#[derive(Clone, Copy, Debug)]
enum ReplayTurn {
    /// The next batch may be begun at this time.
    Rests { until: Time },
    /// The storage reads or deletes hints.
    AtStore,
    /// A delivery is on its way, and given up at this time.
    Delivers { delivery: u64, until: Time },
}

/// A batch of hints that is on its way.
#[derive(Clone, Debug)]
struct Delivery {
    target: NodeId,
    partition: PartitionId,
    request: RequestId,
    /// Each key with the hash of what was sent of it.
    items: Vec<(Key, ContentHash)>,
    /// The nodes that have not answered yet.
    waits_for: BTreeSet<NodeId>,
    /// The reason why the hints are deleted when all have answered.
    reason: DropReason,
}

impl Default for ReplayTurn {
    fn default() -> Self {
        Self::Rests { until: Time(0) }
    }
}

impl Handoff {
    /// Begins with the hints that the store holds.
    pub fn new(kept: &[KeptHints]) -> Self {
        let mut handoff = Self::default();
        for kept in kept {
            handoff.ledger.load(kept);
        }
        handoff.replays =
            handoff.ledger.targets().map(|target| (target, Replay::default())).collect();
        handoff
    }

    /// The owners for which hints are kept here: they may lack acknowledged writes.
    pub fn targets_pending(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.ledger.targets()
    }

    /// The number of hints kept.
    pub const fn pending_hints(&self) -> u64 {
        self.ledger.total().count
    }

    /// The bytes of the hints kept.
    pub const fn pending_bytes(&self) -> u64 {
        self.ledger.total().bytes
    }

    /// The owners that must be repaired, each with the partition, because a hint for them was
    /// dropped or refused since this process started.
    pub fn stale(&self) -> impl Iterator<Item = Stale> + '_ {
        self.stale.keys().map(|&(target, partition)| Stale { target, partition })
    }

    /// Tells whether so many more bytes of hints may be kept for a target.
    pub fn admits(&self, local: &NodeContext, target: NodeId, bytes: u64) -> bool {
        let config = &local.config;
        self.ledger.of(target).bytes.saturating_add(bytes) <= config.hint_bytes_per_target
            && self.ledger.total().bytes.saturating_add(bytes) <= config.hint_bytes_total
    }

    /// The time at which [`Handoff::on_deadline`] is to be called.
    pub fn next_deadline(&self) -> Option<Time> {
        let deadlines = self.replays.values().filter_map(|replay| match replay.turn {
            ReplayTurn::Rests { until } => Some(until.max(self.pace_at)),
            ReplayTurn::AtStore => None,
            ReplayTurn::Delivers { until, .. } => Some(until),
        });
        deadlines.min()
    }

    /// A hint was kept, or grew.
    pub fn on_hinted(&mut self, partition: PartitionId, growth: HintGrowth) {
        let target = growth.target;
        self.ledger.grow(target, partition, growth);
        self.replays.entry(target).or_default();
    }

    /// A hint was not kept, because [`Handoff::admits`] said no.
    pub fn on_refused(&mut self, cx: &mut Cx<'_>, target: NodeId, partition: PartitionId) {
        cx.observe(Event::HintDropped { target, partition });
        self.stale.insert((target, partition), cx.now.monotonic);
    }

    /// A target was seen to be up after it was down: what failed before says nothing any more.
    pub fn on_peer_up(&mut self, cx: &mut Cx<'_>, target: NodeId) {
        let Some(replay) = self.replays.get_mut(&target) else { return };
        replay.failures = 0;
        match replay.turn {
            ReplayTurn::Rests { .. } => replay.turn = ReplayTurn::default(),
            ReplayTurn::AtStore => {}
            ReplayTurn::Delivers { delivery, .. } => {
                cx.probe(Probe::HintReplayRestarted);
                self.deliveries.remove(delivery);
                replay.turn = ReplayTurn::default();
            }
        }
    }

    /// A target was found equal to this node in all that both own, by a comparison that began at
    /// `began`: what it lacked before, it has now.
    pub fn on_repaired(&mut self, local: &NodeContext, target: NodeId, began: Time) {
        self.stale.retain(|&(stale, partition), &mut since| {
            stale != target || since >= began || !local.owns(partition)
        });
    }

    /// Gives up what went unanswered for too long, and begins one batch at most.
    pub fn on_deadline(&mut self, cx: &mut Cx<'_>, local: &NodeContext) {
        let now = cx.now.monotonic;
        for replay in self.replays.values_mut() {
            if let ReplayTurn::Delivers { delivery, until } = replay.turn
                && until <= now
            {
                cx.probe(Probe::HintDeliveryTimedOut);
                self.deliveries.remove(delivery);
                replay.failures += 1;
                replay.turn = ReplayTurn::Rests { until: now };
            }
        }
        if self.pace_at <= now
            && let Some(target) = self.next_target(now)
        {
            self.pace_at = now + Span::from_ms(local.config.hint_pause_ms);
            self.last_turn = target;
            self.begin(cx, local, target);
        }
    }

    /// The keeper of hints and their target talk to each other.
    pub fn on_message(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        from: (NodeId, RequestId),
        message: HandoffMessage,
    ) {
        match message {
            HandoffMessage::Deliver(message) => self.on_delivery(cx, local, from, message),
            HandoffMessage::Delivered(message) => self.on_delivered(cx, from, message),
        }
    }

    /// A peer says that what was delivered is durable there.
    fn on_delivered(
        &mut self,
        cx: &mut Cx<'_>,
        (from, request): (NodeId, RequestId),
        message: HintDelivered,
    ) {
        let HintDelivered { delivery: id } = message;
        let Some(delivery) = self.deliveries.get_mut(id) else { return };
        if delivery.request != request {
            return;
        }
        delivery.waits_for.remove(&from);
        if !delivery.waits_for.is_empty() {
            return;
        }
        if let Some(Delivery { target, partition, items, reason, .. }) = self.deliveries.remove(id)
        {
            self.drop_hints(cx, target, partition, items, reason);
        }
    }

    /// A storage command was executed. Returns a target that has become stale by it.
    pub fn on_store_done(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        partition: PartitionId,
        seq: Seq,
        answer: HandoffAnswer,
    ) -> Option<Stale> {
        self.commands.end();
        match answer {
            HandoffAnswer::Read { target, result } => {
                self.on_batch(cx, local, Stale { target, partition }, result)
            }
            HandoffAnswer::Dropped { target, reason, result } => {
                self.on_dropped(cx, local, Stale { target, partition }, reason, result)
            }
            HandoffAnswer::Received { receipt, result } => {
                self.on_received(cx, local, receipt, seq, result);
                None
            }
        }
    }

    /// The next target, in a circle, that may have a turn.
    fn next_target(&self, now: Time) -> Option<NodeId> {
        let may_begin = |(_, replay): &(&NodeId, &Replay)| match replay.turn {
            ReplayTurn::Rests { until } => until <= now,
            ReplayTurn::AtStore | ReplayTurn::Delivers { .. } => false,
        };
        let mut behind = self.replays.iter().filter(|&(&target, _)| target > self.last_turn);
        let next = behind.find(may_begin).or_else(|| self.replays.iter().find(may_begin));
        next.map(|(&target, _)| target)
    }

    /// Reads a batch for a target. Also for one that seems to be down: what has expired is to go.
    fn begin(&mut self, cx: &mut Cx<'_>, local: &NodeContext, target: NodeId) {
        let Some(replay) = self.replays.get_mut(&target) else { return };
        let partition = self.ledger.partition_after(target, replay.last_partition);
        let partition = partition.expect("a replay is of something");
        replay.last_partition = Some(partition);
        replay.turn = ReplayTurn::AtStore;
        let command = HandoffCommand::Read { target, bytes: local.config.hint_batch_bytes };
        cx.store(self.commands.begin(Issuer::Handoff), partition, command);
    }

    /// Hints were read. Returns their target, if some were corrupt and are gone.
    fn on_batch(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        of: Stale,
        result: Result<HintBatch, Refusal>,
    ) -> Option<Stale> {
        let Stale { target, partition } = of;
        let Ok(HintBatch { hints, left }) = result else {
            self.fail(cx, local, target);
            return None;
        };
        if let Some(left) = left {
            self.ledger.recount(&left);
        }
        if hints.is_empty() {
            self.ledger.clear(target, partition);
            self.rest(cx, local, target);
        } else {
            self.hand_over(cx, local, of, &hints);
        }
        left.is_some().then(|| {
            self.stale.insert((target, partition), cx.now.monotonic);
            of
        })
    }

    /// Delivers hints that were read: to their target or, if they have expired, to other owners.
    fn hand_over(&mut self, cx: &mut Cx<'_>, local: &NodeContext, of: Stale, hints: &[StoredHint]) {
        let Stale { target, partition } = of;
        // What can be delivered is delivered, however old.
        let recipients = recipients(local, target, partition);
        if recipients.iter().all(|&recipient| local.is_up(recipient)) {
            return self.deliver(cx, local, (of, DropReason::Delivered), &recipients, hints);
        }
        let has_expired = |hint: &&StoredHint| hint.terms.expires < cx.now.wall;
        let expired: Vec<_> = hints.iter().filter(has_expired).cloned().collect();
        match other_owners(local, target, partition) {
            Some(owners) if !expired.is_empty() => {
                self.deliver(cx, local, (of, DropReason::Expired), &owners, &expired);
            }
            _ => self.fail(cx, local, target),
        }
    }

    fn deliver(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        (Stale { target, partition }, reason): (Stale, DropReason),
        recipients: &[NodeId],
        hints: &[StoredHint],
    ) {
        let life = *self
            .life
            .get_or_insert_with(|| cx.draw.u64(Purpose::Requests, Issuer::Handoff as u64));
        let id = self.deliveries.next_id();
        let request = RequestId(u128::from(life) << 64 | u128::from(id));
        let timeout = self.timeout(local, target);
        let items: Vec<(Key, Container)> =
            hints.iter().map(|hint| (hint.key.clone(), hint.container.clone())).collect();
        for &recipient in recipients {
            if recipient == local.me() {
                self.receive(
                    cx,
                    Receipt { to: recipient, request, delivery: id },
                    partition,
                    &items,
                );
                continue;
            }
            let body = HintDelivery { delivery: id, partition, items: items.clone() };
            cx.send(local.message(
                recipient,
                request,
                Body::Handoff(HandoffMessage::Deliver(body)),
            ));
        }
        self.deliveries.insert(Delivery {
            target,
            partition,
            request,
            items: hints.iter().map(name).collect(),
            waits_for: recipients.iter().copied().collect(),
            reason,
        });
        if let Some(replay) = self.replays.get_mut(&target) {
            replay.turn = ReplayTurn::Delivers { delivery: id, until: cx.now.monotonic + timeout };
        }
    }

    fn drop_hints(
        &mut self,
        cx: &mut Cx<'_>,
        target: NodeId,
        partition: PartitionId,
        items: Vec<(Key, ContentHash)>,
        reason: DropReason,
    ) {
        if let Some(replay) = self.replays.get_mut(&target) {
            replay.turn = ReplayTurn::AtStore;
        }
        let command = HandoffCommand::Drop { target, reason, items };
        cx.store(self.commands.begin(Issuer::Handoff), partition, command);
    }

    fn on_dropped(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        Stale { target, partition }: Stale,
        reason: DropReason,
        result: Result<Dropped, Refusal>,
    ) -> Option<Stale> {
        let Ok(Dropped { count, bytes }) = result else {
            self.fail(cx, local, target);
            return None;
        };
        self.ledger.shrink(target, partition, Amount { count, bytes });
        let stale = match reason {
            DropReason::Delivered => {
                if count > 0 {
                    cx.observe(Event::HintsDelivered { target, count });
                }
                if let Some(replay) = self.replays.get_mut(&target) {
                    replay.failures = 0;
                }
                None
            }
            DropReason::Expired if count == 0 => None,
            DropReason::Expired => {
                cx.probe(Probe::HintInherited);
                cx.observe(Event::HintDropped { target, partition });
                self.stale.insert((target, partition), cx.now.monotonic);
                Some(Stale { target, partition })
            }
        };
        self.rest(cx, local, target);
        stale
    }

    /// Ends a turn that went well.
    fn rest(&mut self, cx: &Cx<'_>, local: &NodeContext, target: NodeId) {
        if self.ledger.of(target).count == 0 {
            self.replays.remove(&target);
        } else if let Some(replay) = self.replays.get_mut(&target) {
            let pause = Span::from_ms(local.config.hint_pause_ms);
            replay.turn = ReplayTurn::Rests { until: cx.now.monotonic + pause };
        }
    }

    /// Ends a turn that came to nothing before anything was sent.
    fn fail(&mut self, cx: &Cx<'_>, local: &NodeContext, target: NodeId) {
        let timeout = self.timeout(local, target);
        if let Some(replay) = self.replays.get_mut(&target) {
            replay.failures += 1;
            replay.turn = ReplayTurn::Rests { until: cx.now.monotonic + timeout };
        }
    }

    /// The timeout for a target now, and the time before it is tried again.
    fn timeout(&self, local: &NodeContext, target: NodeId) -> Span {
        let failures = self.replays.get(&target).map_or(0, |replay| replay.failures);
        Span::from_ms(local.config.hint_retry_ms).times(1 << failures.min(DOUBLINGS_MAX))
    }
}

/// The nodes that the hints of a partition go to: the target, if it still owns the partition, or
/// else all that do now (semantics.md §5).
fn recipients(local: &NodeContext, target: NodeId, partition: PartitionId) -> Vec<NodeId> {
    if local.topology().owns(target, partition) {
        vec![target]
    } else {
        local.topology().owners(partition).to_vec()
    }
}

/// The nodes that take over hints that have expired, so that their target can be repaired later:
/// the owners that are up. There must be as many as a write asks for, or the hint is kept: it may
/// be one of the copies that a sloppy write was acknowledged for.
fn other_owners(
    local: &NodeContext,
    target: NodeId,
    partition: PartitionId,
) -> Option<Vec<NodeId>> {
    let others =
        local.topology().owners(partition).iter().copied().filter(|&owner| owner != target);
    let (up, down): (Vec<_>, Vec<_>) = others.partition(|&owner| local.is_up(owner));
    let needed = local.config.write_quorum.min((up.len() + down.len()) as u64).max(1);
    (up.len() as u64 >= needed).then_some(up)
}

/// The name of a hint as it was read: should it grow, it is another.
fn name(hint: &StoredHint) -> (Key, ContentHash) {
    (hint.key.clone(), hint.container.hash(&hint.key))
}

#[cfg(test)]
mod tests;
