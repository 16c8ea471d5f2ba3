//! Check `durability`: an acknowledged write is present or truly overwritten.
//!
//! Takes acknowledgements, what faults destroy, and the disks. An acknowledgement is checked when
//! it is given (it must be durable where it claims to be) and at the end (it must be reachable from
//! what the owners hold). In between, when faults destroy every durable copy of a write, and only
//! then, exactly that write is excused.

use std::collections::{BTreeMap, BTreeSet};

use kv_core::client::Achieved;
use kv_core::event::Event;
use kv_core::quorum::Mode;
use kv_core::store::{Answer as StoreAnswer, Command, HandoffAnswer, HandoffCommand};
use kv_core::tally::Nodes;
use kv_core::time::Time;
use kv_core::types::NodeId;
use kv_core::version::{Container, VersionVector};
use smallvec::SmallVec;

use super::ack::{GivenAck, Standing};
use super::check::Check;
use super::counted_sets::CountedSets;
use super::datacenters::{Among, Datacenters};
use super::findings::Findings;
use super::held_copies::HeldCopies;
use super::history::{EventIndex, History, HistoryWrite, Minting, WriteIndex, WriteRequest};
use super::occasions::{
    ChangeKind, Execution, KeyEnd, KeyLoss, NodeChange, OperationEnd, OperationEnding, WriteMint,
};
use super::operation::Operation;
use super::per_key::PerKey;
use super::story::{Names, when};
use super::{Disks, Left, Setting, WhichImage, WorldView};

/// The `durability` check.
#[derive(Clone, Debug, Default)]
pub(super) struct Durability {
    /// The findings so far, counted in acknowledged writes.
    findings: Findings,
    /// The time at which each node last lost some of what it had acknowledged, for a reason that is
    /// known and no fault of the protocol.
    losses: BTreeMap<NodeId, Time>,
    /// The time until which the clock with which a node measures time stood still; none while it
    /// does.
    stood: BTreeMap<NodeId, Option<Time>>,
    /// The time at which each node last deleted a delivered hint for each target, by node and
    /// target.
    hints_dropped: PerKey<BTreeMap<(NodeId, NodeId), Time>>,
}

/// The state of the nodes that an acknowledgement names.
#[derive(Default)]
struct Holders {
    /// The nodes that hold the write.
    holding: Nodes,
    /// The nodes from which a fault has taken some of what they held since the operation began.
    taken_from: Nodes,
    /// The fallbacks that have delivered the write to its owner since the operation began.
    delivered: Vec<NodeId>,
    /// The nodes that should hold the write and do not.
    missing: Vec<NodeId>,
}

impl Check for Durability {
    const NAME: &'static str = "durability";
    const ABOUT: &'static str =
        "an acknowledged write is durable, and stays until a writer that saw it overwrites it";

    fn new(_: &Setting) -> Self {
        Self::default()
    }

    fn findings(&self) -> &Findings {
        &self.findings
    }

    fn on_end(&mut self, end: &mut OperationEnd<'_, impl WorldView>) {
        match end.ending {
            OperationEnding::Stored(write, ref answer) => {
                let achieved = answer.achieved;
                self.on_stored(end, write, achieved);
            }
            OperationEnding::Value(_) | OperationEnding::Refused(_) | OperationEnding::Unknown => {}
        }
    }

    fn on_execution(&mut self, execution: &mut Execution<'_, impl WorldView>) {
        if let (
            Command::Handoff(HandoffCommand::Drop { target, items, .. }),
            StoreAnswer::Handoff(HandoffAnswer::Dropped { result: Ok(_), .. }),
        ) = (&execution.command.command, &execution.outcome.answer)
        {
            for (key, _) in items {
                let Execution { at, node, world, names, .. } = *execution;
                let Some(history) = execution.histories.of_mut(key) else { continue };
                self.hints_dropped.get_mut(history).insert((node, *target), at);
                let excuses = self.on_delivered(history, (node, *target), at, world, names);
                execution.excuses.extend(excuses);
            }
        }
        for event in &execution.outcome.events {
            // Hints that were too old are gone, even if a write was acknowledged upon them.
            if let Event::HintDropped { .. } = event {
                self.losses.insert(execution.node, execution.at);
            }
        }
    }

    fn on_minted(&mut self, mint: &WriteMint<'_>) {
        self.on_replaced(mint);
    }

    fn on_node_change(&mut self, &NodeChange { node, change }: &NodeChange) {
        match change {
            ChangeKind::ClockStands(_) => {
                self.stood.insert(node, None);
            }
            ChangeKind::ClockRuns(at) => {
                self.stood.insert(node, Some(at));
            }
            ChangeKind::LosesData(at) => {
                self.losses.insert(node, at);
            }
            ChangeKind::Starts(_)
            | ChangeKind::ClockStrays(_)
            | ChangeKind::Pauses(_)
            | ChangeKind::Wakes(_)
            | ChangeKind::Stops
            | ChangeKind::Rots(..) => {}
        }
    }

    /// Excuses the writes of which no durable copy is left once the fault has destroyed the node's.
    ///
    /// The fault may also take from the node that it knows of an earlier loss: an old image of a
    /// disk that was wiped holds the data marker of that time.
    fn before_loss(&mut self, loss: &mut KeyLoss<'_, impl WorldView>) {
        let KeyLoss { at, node, before, left, world, names, .. } = *loss;
        let history = &mut *loss.history;
        let is_lost = |write| {
            history.is_claimed(write, before) && !history.is_claimed(write, &left.container)
        };
        let writes = history.writes().map(|(write, _)| write);
        let mut lost: Vec<_> = writes.filter(|&write| is_lost(write)).collect();
        for &write in &lost {
            history.write_mut(write).on_taken_from(node);
        }
        lost.retain(|&write| history.write(write).is_promised());
        for write in self.weaken(history, &lost, Some((node, left)), world) {
            loss.excuses.push(excuse(history, write, node, at, names));
        }
        if left.is_believed {
            recount(history, (node, &left.container), world);
        }
    }

    fn at_end_of_key(&mut self, end: &KeyEnd<'_, impl WorldView>) {
        let &KeyEnd { at, history, copies, world, names } = end;
        let mut held = Container::default();
        for (_, copy) in copies {
            held.join(copy);
        }
        let mut lost = unreached(history, &held);
        if lost.is_empty() {
            return;
        }
        for node in world.nodes() {
            held.join(&world.copy(node, &history.key, WhichImage::Live));
        }
        lost = unreached(history, &held);
        for write in lost {
            let story = || story(history, write, at, world, names);
            self.findings.violated_about(|| history.subject_of(write), story);
        }
    }
}

impl Durability {
    /// Judges the acknowledgement of a put.
    fn on_stored(
        &mut self,
        end: &mut OperationEnd<'_, impl WorldView>,
        write: WriteIndex,
        achieved: &Achieved,
    ) {
        let OperationEnd { at, operation, world, names, .. } = *end;
        let history = &mut *end.history;
        self.findings.examined += 1;
        let Achieved { owners, fallbacks, machines: _ } = achieved;
        let mode = operation.terms.mode;
        let quorum = operation.terms.writes.as_ref().expect("what is stored was to be written");
        let holders = self.holders(history, write, operation, achieved, world);
        let Holders { holding, taken_from, delivered, missing } = &holders;
        let datacenters = world.datacenters();
        let machines = |among| {
            let counts = |node: &&NodeId| match mode {
                // A fallback may hold it for an owner anywhere.
                Mode::Sloppy if fallbacks.contains(node) => true,
                Mode::Sloppy | Mode::Strict => {
                    owners.contains(node) && datacenters.is_among(among, **node)
                }
            };
            let held = holding.iter().chain(taken_from).chain(delivered).filter(counts);
            let mut machines: SmallVec<[_; 8]> = held.map(|&node| world.machine(node)).collect();
            machines.sort_unstable();
            machines.dedup();
            machines.len()
        };
        if !missing.is_empty() || !quorum.are_reached(machines) {
            self.findings.violated_about(
                || history.subject_of(write),
                || {
                    let Operation { number, coordinator, .. } = operation;
                    format!(
                        "a write to {:?} was acknowledged before it was durable\n  write:    {}\n  \
                     promised: at {} by {} to operation {number}: {}\n  \
                     durable:  on {}{} ({} distinct machines that count){}",
                        history.key,
                        history.describe(write, names),
                        when(at),
                        names.node(*coordinator),
                        promise((mode, quorum), datacenters, owners, fallbacks, names),
                        names.nodes(holding),
                        no_longer(taken_from, delivered, names),
                        machines(Among::All),
                        not_on(missing, names),
                    )
                },
            );
        }
        self.findings.weakened += u64::from(!taken_from.is_empty() || !delivered.is_empty());
        let was_taken = || self.was_taken_after_delivery(history, write, operation, achieved);
        if !taken_from.is_empty() || was_taken() {
            self.weaken(history, &[write], None, world);
        }
    }

    fn holders(
        &self,
        history: &History,
        write: WriteIndex,
        operation: &Operation,
        achieved: &Achieved,
        disks: &impl Disks,
    ) -> Holders {
        let mut holders = Holders::default();
        let since_start = |at: Option<&Time>| at.is_some_and(|&at| at >= operation.started);
        for &node in achieved.owners.iter().chain(&achieved.fallbacks) {
            let of_node = |((by, _), _): &(&(NodeId, NodeId), &Time)| *by == node;
            let mut dropped = self.hints_dropped(history).filter(of_node);
            let was_delivered =
                achieved.fallbacks.contains(&node) && dropped.any(|(_, at)| since_start(Some(at)));
            let has_seen = |seen: &VersionVector| history.is_among(write, seen);
            if disks.has_seen(node, &history.key, WhichImage::Reported, has_seen) {
                holders.holding.push(node);
            } else if since_start(self.losses.get(&node)) {
                holders.taken_from.push(node);
            } else if was_delivered {
                holders.delivered.push(node);
            } else {
                holders.missing.push(node);
            }
        }
        holders
    }

    fn hints_dropped(&self, history: &History) -> impl Iterator<Item = (&(NodeId, NodeId), &Time)> {
        self.hints_dropped.get(history).into_iter().flatten()
    }

    /// Judges a replica that overwrote what it held for a write whose basis was no more than "what
    /// is held". If that write had been acknowledged before, this is a second dot of it, and what
    /// others wrote since then was known neither to its writer nor to the replica that minted for
    /// it first.
    ///
    /// The replica recognizes a late request by its clock: it is promised nothing if that stood
    /// still while the request was on its way.
    /// A client that asks once more after the acknowledgement wants what is held then overwritten.
    fn on_replaced(&mut self, mint: &WriteMint<'_>) {
        let &WriteMint { history, write, minting, names, .. } = mint;
        let Minting { at, by, replaced, .. } = minting;
        let Some(ack) = &history.write(write).ack else { return };
        for event in replaced.iter().filter_map(|&dot| history.named(dot)) {
            let victim = history.event(event).write;
            let began_later = |asked: &WriteRequest| asked.step > ack.step;
            let HistoryWrite { asked, ack: promise, .. } = history.write(victim);
            if promise.is_some() && asked.as_ref().is_some_and(began_later) {
                let is_wanted = history.write(write).was_asked_again_after(ack.step);
                if is_wanted || self.stood_since(by, history.write(write)) {
                    self.findings.weakened += 1;
                    continue;
                }
                self.findings.violated_about(|| history.subject_of(victim), || {
                    format!(
                        "an acknowledged write to {:?} was overwritten at {} by a second mint of \
                         one that was acknowledged before it began\n  lost:   {}\n  by:     {}\n  \
                         acked:  at {}",
                        history.key,
                        when(at),
                        history.describe(victim, names),
                        history.describe(write, names),
                        when(ack.at),
                    )
                });
            }
        }
    }

    /// Tells whether the clock with which a node measures time stood still since a write was asked
    /// for.
    fn stood_since(&self, node: NodeId, write: &HistoryWrite) -> bool {
        let asked_at = write.asked.as_ref().map_or(Time(0), |asked| asked.at);
        let ended_since = |until: &Option<Time>| until.is_none_or(|until| until >= asked_at);
        self.stood.get(&node).is_some_and(ended_since)
    }

    /// Judges a fallback that has deleted its hint for a target, which had answered that it holds
    /// it durably; or, if the hint had expired, the other owners had. If a fault has taken it from
    /// them since, the hint was perhaps the last copy: its deletion was decided before the fault,
    /// and belongs to it.
    fn on_delivered(
        &mut self,
        history: &mut History,
        (node, target): (NodeId, NodeId),
        at: Time,
        disks: &impl Disks,
        names: &Names,
    ) -> Vec<String> {
        let owners = disks.owners(&history.key);
        let others: Vec<_> = owners.iter().filter(|&&owner| owner != target).collect();
        let has_answered = |write: &HistoryWrite| {
            let quorum = write.ack.as_ref().map(|ack| ack.quorum.total());
            let owners_needed = quorum.unwrap_or(others.len()).clamp(1, others.len().max(1));
            write.taken_from().contains(&target)
                || others.iter().filter(|other| write.taken_from().contains(other)).count()
                    >= owners_needed
        };
        let taken_from = history.promised().filter(|(_, write, _)| has_answered(write));
        let taken_from: Vec<_> = taken_from.map(|(at, ..)| at).collect();
        let nodes = disks.nodes();
        let keeps =
            |write, &node: &NodeId| HeldCopies::of(node, history, disks).keeps(write, history);
        let is_gone = |write: &WriteIndex| !nodes.iter().any(|node| keeps(*write, node));
        let gone: Vec<_> = taken_from.into_iter().filter(is_gone).collect();
        self.findings.weakened += gone.len() as u64;
        for &write in &gone {
            history.write_mut(write).standing = Standing::Excused;
        }
        gone.into_iter().map(|write| excuse(history, write, node, at, names)).collect()
    }

    /// Looks for durable copies of writes that one node (`but`, if it is about to lose them) no
    /// longer has. Returns the writes that had to be excused.
    ///
    /// A write that waited for W of N owners is met by every reader of N - W + 1, as long as no
    /// more than N - W owners answer without it. An owner whose disk was wiped knows that, and does
    /// not answer before it has copied all back; nor does one about a key whose record is corrupt.
    /// One whose disk lied or was rolled back does not know. Of those that know, only the one that
    /// is hit now is not counted: others may have been told of half of what they lost, by owners
    /// that did not have this, and count these among the enough that they ask.
    ///
    /// A copy counts only if it is there to stay: a hint that was delivered, and whose deletion is
    /// not durable yet, is still in the durable image and not in the live one.
    fn weaken(
        &mut self,
        history: &mut History,
        writes: &[WriteIndex],
        but: Option<(NodeId, &Left)>,
        disks: &impl Disks,
    ) -> Vec<WriteIndex> {
        if writes.is_empty() {
            return Vec::new();
        }
        let owners = disks.owners(&history.key);
        let others = |node: &&NodeId| but.is_none_or(|(but, _)| but != **node);
        let is_silent =
            |&owner: &NodeId| but.is_some_and(|(but, left)| but == owner && !left.is_believed);
        let owned: Vec<_> = owners
            .iter()
            .filter(others)
            .map(|&owner| (owner, HeldCopies::of(owner, history, disks)))
            .collect();
        let elsewhere = disks.nodes();
        let elsewhere = elsewhere.iter().filter(|node| others(node) && !owners.contains(*node));
        let mut kept: Option<Vec<HeldCopies>> = None;

        let mut weakened = Vec::new();
        for &write in writes {
            let keeps = |copy: &HeldCopies| copy.keeps(write, history);
            let holding = owned.iter().filter(|(_, copy)| keeps(copy));
            let holding: Nodes = holding.map(|&(owner, _)| owner).collect();
            let is_gone = holding.is_empty() && {
                let nodes = elsewhere.clone();
                let kept = kept.get_or_insert_with(|| {
                    nodes.map(|&node| HeldCopies::of(node, history, disks)).collect()
                });
                !kept.iter().any(keeps)
            };
            let without = |owner: &&NodeId| !is_silent(owner) && !holding.contains(owner);
            if is_gone {
                weakened.push((write, Standing::Excused));
            } else if may_miss(history.write(write), owners.iter().filter(without), disks) {
                weakened.push((write, Standing::Weak));
            }
        }
        for &(write, standing) in &weakened {
            self.findings.weakened += u64::from(standing == Standing::Excused);
            history.write_mut(write).standing = standing;
        }
        weakened.retain(|&(_, standing)| standing == Standing::Excused);
        weakened.into_iter().map(|(write, _)| write).collect()
    }

    /// Tells whether one of the nodes that an acknowledgement names has, since the operation began,
    /// deleted a hint for a target that held the write durably, and a fault has taken it from the
    /// target.
    fn was_taken_after_delivery(
        &self,
        history: &History,
        write: WriteIndex,
        operation: &Operation,
        achieved: &Achieved,
    ) -> bool {
        let taken_from = history.write(write).taken_from();
        self.hints_dropped(history).any(|((by, target), &at)| {
            at >= operation.started
                && achieved.fallbacks.contains(by)
                && taken_from.contains(target)
        })
    }
}

/// Weakens the writes that a node was the last to lose, as it believes again what is left to it: it
/// was not counted among those that answer without them, and now it is. The loss was judged then,
/// so nothing is excused.
fn recount(history: &mut History, (node, left): (NodeId, &Container), disks: &impl Disks) {
    let owners = disks.owners(&history.key);
    let lost_last = |write: &HistoryWrite| write.taken_from().last() == Some(&node);
    let promised = history.promised();
    let forgotten =
        promised.filter(|&(at, write, _)| lost_last(write) && !history.is_claimed(at, left));
    let is_weak = |&(at, write, _): &(WriteIndex, &HistoryWrite, &GivenAck)| {
        let keeps = |owner| HeldCopies::of(owner, history, disks).keeps(at, history);
        let without = |&&owner: &&NodeId| owner == node || !keeps(owner);
        may_miss(write, owners.iter().filter(without), disks)
    };
    let weak: Vec<_> = forgotten.filter(is_weak).map(|(at, ..)| at).collect();
    for write in weak {
        history.write_mut(write).standing = Standing::Weak;
    }
}

/// Tells whether a quorum may miss a write, if these owners may answer without it: more of them, or of
/// those in one data center, than the write left out there.
fn may_miss<'a>(
    write: &HistoryWrite,
    without: impl Iterator<Item = &'a NodeId>,
    disks: &impl Disks,
) -> bool {
    let Some(GivenAck { quorum, .. }) = &write.ack else { return true };
    let (without, datacenters): (Nodes, _) = (without.copied().collect(), disks.datacenters());
    datacenters.all().any(|among| {
        let least = quorum.least(among, datacenters);
        let there = without.iter().filter(|&&owner| datacenters.is_among(among, owner)).count();
        least > 0 && there > datacenters.copies(among) - least
    })
}

fn excuse(history: &History, write: WriteIndex, node: NodeId, at: Time, names: &Names) -> String {
    format!(
        "durability of {:?} is excused at {}: {} held the last durable copy of what {}",
        history.key,
        when(at),
        names.node(node),
        history.describe(write, names),
    )
}

/// Lists the promised writes that are neither present nor truly overwritten.
fn unreached(history: &History, held: &Container) -> Vec<WriteIndex> {
    let reach = history.reach(held);
    let is_reached = |event: &EventIndex| !reach.unreached.contains(*event);
    let lost = history.promised().filter(|(_, write, _)| !write.events.iter().any(is_reached));
    let (lost, never_named): (Vec<_>, Vec<_>) =
        lost.partition(|(_, write, _)| !write.events.is_empty());
    let events = lost.iter().flat_map(|(_, write, _)| write.events.iter().copied()).collect();
    let events = history.without_twins(&reach.standing, events);
    let lost: BTreeSet<_> = events.into_iter().map(|event| history.event(event).write).collect();
    lost.into_iter().chain(never_named.into_iter().map(|(write, ..)| write)).collect()
}

fn story(
    history: &History,
    write: WriteIndex,
    at: Time,
    disks: &impl Disks,
    names: &Names,
) -> String {
    let ack = history.write(write).ack.as_ref().expect("only promised writes are looked for");
    let mut nodes = disks.owners(&history.key).to_vec();
    nodes.extend(ack.fallbacks().iter().filter(|&node| !nodes.contains(node)).collect::<Vec<_>>());
    let copies = nodes.iter().map(|&node| {
        let copy = disks.copy(node, &history.key, WhichImage::Live);
        let claimed = if history.is_claimed(write, &copy) { "accounts for" } else { "never saw" };
        let stand = names.dots(copy.dots());
        format!("\n            {} holds {stand} and {claimed} the write", names.node(node))
    });
    let copies: String = copies.collect();
    format!(
        "an acknowledged write to {:?} is lost: it neither stands nor was overwritten by what does\n  \
         write:    {}\n  promised: at {}: {}\n  now:      at {}{copies}",
        history.key,
        history.describe(write, names),
        when(ack.at),
        promise((ack.mode, &ack.quorum), disks.datacenters(), ack.owners(), ack.fallbacks(), names),
        when(at),
    )
}

fn promise(
    (mode, quorum): (Mode, &CountedSets),
    datacenters: &Datacenters,
    owners: &[NodeId],
    fallbacks: &[NodeId],
    names: &Names,
) -> String {
    let mode = match mode {
        Mode::Sloppy => "sloppy",
        Mode::Strict => "strict",
    };
    let quorum = quorum.words(datacenters);
    let (owners, fallbacks) = (names.nodes(owners), names.nodes(fallbacks));
    format!("{mode} W = {quorum}, durable on owners {owners} and fallbacks {fallbacks}")
}

/// The nodes that were said to hold a write and do not.
fn not_on(missing: &[NodeId], names: &Names) -> String {
    if missing.is_empty() { String::new() } else { format!("; not on {}", names.nodes(missing)) }
}

fn no_longer(taken_from: &[NodeId], delivered: &[NodeId], names: &Names) -> String {
    let mut story = String::new();
    if !taken_from.is_empty() {
        story.push_str(&format!(", on {} until a fault took it", names.nodes(taken_from)));
    }
    if !delivered.is_empty() {
        story.push_str(&format!(", on {} until it was delivered", names.nodes(delivered)));
    }
    story
}
