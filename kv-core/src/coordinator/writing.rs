//! The write phase: have one replica mint a dot, send what it holds then to all others, wait
//! for as many durable copies as are needed, and see that whoever missed it gets it later.

use alloc::vec::Vec;

use super::fallbacks::Fallbacks;
use super::operation::{Operation, Phase, Progress, answer};
use crate::client::{Reply, RequestRefusal};
use crate::cx::{Cx, NodeContext};
use crate::message::{
    Body, FallbackFor, HintRequest, MergeRequest, MintRequest, OperationId, ReplicaMessage,
};
use crate::probe::Probe;
use crate::quorum::Mode;
use crate::store::Refusal;
use crate::tally::{Nodes, OwnerSet, Tally};
use crate::types::{NodeId, PartitionId};
use crate::version::Container;
use crate::write::Write;

/// A write phase in flight.
#[derive(Clone, Debug)]
pub(super) struct Writing {
    pub(super) tally: Tally,
    /// The container that the write spreads; none until a replica has minted.
    pub(super) container: Option<Container>,
    pub(super) minting: Option<Minting>,
    pub(super) fallbacks: Fallbacks,
}

/// The search for a replica that mints.
#[derive(Clone, Debug)]
pub(super) struct Minting {
    pub(super) write: Write,
    /// The nodes that are asked to mint, in this order, and from the start again while the time
    /// lasts: the id of the request makes asking twice harmless.
    pub(super) candidates: Nodes,
    pub(super) next: usize,
    pub(super) asked: Nodes,
    pub(super) refused: Nodes,
    /// Tells whether the first minter has refused the request as late.
    pub(super) was_late: bool,
}

impl Writing {
    /// Makes a write that a replica is to mint.
    pub(super) fn mint(
        local: &NodeContext,
        partition: PartitionId,
        mode: Mode,
        write: Write,
        sets: Vec<OwnerSet>,
    ) -> Self {
        let candidates = candidates(local, partition, mode);
        let (next, asked, refused) = (0, Nodes::new(), Nodes::new());
        Self {
            tally: Tally::new(mode, sets),
            container: None,
            minting: Some(Minting { write, candidates, next, asked, refused, was_late: false }),
            fallbacks: Fallbacks::default(),
        }
    }

    /// Makes a write of what a read found, which `holders` hold already.
    pub(super) fn write_back(
        local: &NodeContext,
        mode: Mode,
        sets: Vec<OwnerSet>,
        container: Container,
        holders: &[NodeId],
    ) -> Self {
        let mut tally = Tally::new(mode, sets);
        for &holder in holders {
            if let Some(held) = answer(local, holder, holder) {
                tally.record(held);
            }
        }
        let fallbacks = Fallbacks::default();
        Self { tally, container: Some(container), minting: None, fallbacks }
    }

    /// The nodes that were asked to mint and refused.
    pub(super) fn refused_to_mint(&self) -> &[NodeId] {
        self.minting.as_ref().map_or(&[], |minting| &minting.refused)
    }

    pub(super) fn waits_for(&self, node: NodeId) -> bool {
        let asked_to_mint = self.minting.as_ref().is_some_and(|m| m.asked.contains(&node));
        let asked = match &self.container {
            Some(_) => self.tally.sets().iter().any(|set| set.owners.contains(&node)),
            None => asked_to_mint,
        };
        (asked || self.fallbacks.owner_of(node).is_some()) && !self.tally.has_answered(node)
    }
}

/// The nodes that may mint, the best first: this node if it is an owner, owners that seem up, and,
/// if fallbacks count, those. Owners that seem down come last: they may be up all the same.
fn candidates(local: &NodeContext, partition: PartitionId, mode: Mode) -> Nodes {
    let owners = local.topology().owners(partition);
    let owner_is = |up: bool| {
        owners.iter().copied().filter(move |&owner| owner != local.me() && local.is_up(owner) == up)
    };
    let mut candidates = Nodes::new();
    candidates.extend(owners.contains(&local.me()).then_some(local.me()));
    candidates.extend(owner_is(true));
    match mode {
        Mode::Sloppy => {
            candidates
                .extend(local.topology().fallbacks(partition).filter(|&node| local.is_up(node)));
        }
        Mode::Strict => {}
    }
    candidates.extend(owner_is(false));
    candidates
}

impl Operation {
    /// Asks the next candidate to mint.
    pub(super) fn ask_minter(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        id: OperationId,
    ) -> Progress {
        let Phase::Writing(writing) = &mut self.phase else { return Progress::Going };
        let Some(minting) = &mut writing.minting else { return Progress::Going };
        let count = minting.candidates.len();
        let in_turn = (minting.next..minting.next + count).map(|at| at % count);
        let willing = |&at: &usize| !minting.refused.contains(&minting.candidates[at]);
        let Some(at) = in_turn.clone().find(willing) else { return Progress::Going };
        let minter = minting.candidates[at];
        minting.next = at + 1;
        let is_first = minting.asked.is_empty();
        if !minting.asked.contains(&minter) {
            minting.asked.push(minter);
        }
        if !is_first {
            cx.probe(Probe::AnotherMinterAsked);
        }
        let mut write = minting.write.clone();
        if !is_first {
            write.basis = write.basis.of_a_spare();
        }
        let is_owner = local.topology().owns(minter, self.partition);
        let fallback_for = (!is_owner).then(|| {
            let owner = stood_in_for(local, self.partition, writing, minter);
            place_of(owner, &writing.tally)
        });
        let key = self.key.clone();
        let echo = local.peers.echoes.get(&minter).copied();
        let mint = MintRequest { operation: id, key, write, fallback_for, echo };
        self.send(cx, local, minter, Body::Replica(ReplicaMessage::Mint(mint.into())));
        Progress::Going
    }

    pub(super) fn on_minted(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        id: OperationId,
        from: NodeId,
        container: Container,
    ) -> Progress {
        let Phase::Writing(writing) = &mut self.phase else { return Progress::Going };
        let holder = match &mut writing.container {
            None => {
                if !local.topology().owns(from, self.partition) {
                    cx.probe(Probe::FallbackMinted);
                }
                writing.container = Some(container);
                self.be_patient_anew(cx, local);
                Some(from)
            }
            Some(known) if *known == container => return Progress::Going,
            // Two replicas minted for the write, because the first one's answer was late. What both
            // hold together goes to everybody.
            Some(known) => {
                cx.probe(Probe::TwinsMinted);
                known.join(&container);
                None
            }
        };
        self.spread_except(cx, local, id, holder)
    }

    pub(super) fn on_acked(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        from: NodeId,
        for_owner: NodeId,
    ) -> Progress {
        let Phase::Writing(writing) = &mut self.phase else { return Progress::Going };
        if let Some(counted) = answer(local, from, for_owner) {
            writing.tally.record(counted);
        }
        self.look_at_acks(cx, local)
    }

    pub(super) fn on_write_refused(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        id: OperationId,
        from: NodeId,
        refusal: Refusal,
    ) -> Progress {
        let Phase::Writing(writing) = &mut self.phase else { return Progress::Going };
        if writing.container.is_some() {
            let owner = writing.fallbacks.owner_of(from).unwrap_or(from);
            self.hint(cx, local, id, owner);
            return Progress::Going;
        }
        let Some(minting) = &mut writing.minting else { return Progress::Going };
        // A refusal of what was asked in the read phase says nothing of the write.
        if !minting.asked.contains(&from) {
            return Progress::Going;
        }
        if refusal == Refusal::Late {
            // Nothing was done, and now there is news of the minter's time: it is asked once more.
            // It will rely on it that nobody else is asked for a whole delay from now on. If
            // somebody else has been asked already, or it says so again, another one mints.
            if minting.asked[..] == [from] && !minting.was_late {
                cx.probe(Probe::LateAskedAgain);
                minting.was_late = true;
                minting.asked.clear();
                minting.next =
                    minting.candidates.iter().position(|&node| node == from).unwrap_or(0);
                self.restart_hedge(cx, local);
                return self.ask_minter(cx, local, id);
            }
            return Progress::Going;
        }
        if !minting.refused.contains(&from) {
            minting.refused.push(from);
        }
        // A limit that the key has reached is no better elsewhere; anything else may be.
        let final_word = matches!(refusal, Refusal::TooManySiblings { .. });
        let nobody_left = minting.refused.len() == minting.candidates.len();
        let all_refused = minting.asked.iter().all(|node| minting.refused.contains(node));
        if all_refused && (final_word || nobody_left) {
            cx.probe(Probe::WriteRefused);
            self.reply(cx, Reply::Refused(RequestRefusal::Replica(refusal)));
            return Progress::Over;
        }
        self.ask_minter(cx, local, id)
    }

    /// Asks the next minter or, once the write is minted, the missing owners again and fallbacks
    /// too.
    pub(super) fn hedge_write(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        id: OperationId,
    ) -> Progress {
        let Phase::Writing(writing) = &self.phase else { return Progress::Going };
        if writing.container.is_none() {
            return self.ask_minter(cx, local, id);
        }
        let owners = local.topology().owners(self.partition).iter().copied();
        let missing: Vec<NodeId> =
            owners.filter(|&owner| !writing.tally.has_answered(owner)).collect();
        if !missing.is_empty() {
            cx.probe(Probe::WriteHedged);
        }
        for owner in missing {
            self.send_container(cx, local, id, owner);
            self.hint(cx, local, id, owner);
        }
        self.look_at_acks(cx, local)
    }

    /// Sends the container to every owner that does not hold it yet.
    pub(super) fn spread(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        id: OperationId,
    ) -> Progress {
        self.spread_except(cx, local, id, None)
    }

    fn spread_except(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        id: OperationId,
        holder: Option<NodeId>,
    ) -> Progress {
        for &owner in local.topology().owners(self.partition) {
            if Some(owner) == holder {
                continue;
            }
            self.send_container(cx, local, id, owner);
            let Phase::Writing(writing) = &self.phase else { return Progress::Going };
            let has_fallback = writing.fallbacks.of(owner).any(|fallback| Some(fallback) == holder);
            if !local.is_up(owner) && !has_fallback {
                self.hint(cx, local, id, owner);
            }
        }
        self.look_at_acks(cx, local)
    }

    fn look_at_acks(&mut self, cx: &mut Cx<'_>, local: &NodeContext) -> Progress {
        let Phase::Writing(writing) = &self.phase else { return Progress::Going };
        if writing.container.is_none() {
            return Progress::Going;
        }
        if self.client.is_some() && writing.tally.reached() {
            self.on_write_quorum(cx, local);
        }
        let Phase::Writing(writing) = &self.phase else { return Progress::Going };
        let mut owners = local.topology().owners(self.partition).iter();
        if self.client.is_none() && owners.all(|&owner| writing.tally.is_cared_for(owner)) {
            Progress::Over
        } else {
            Progress::Going
        }
    }

    fn send_container(&self, cx: &mut Cx<'_>, local: &NodeContext, id: OperationId, owner: NodeId) {
        let Phase::Writing(Writing { container: Some(container), .. }) = &self.phase else {
            return;
        };
        let (key, container) = (self.key.clone(), container.clone());
        self.send(
            cx,
            local,
            owner,
            Body::Replica(ReplicaMessage::Merge(MergeRequest { operation: id, key, container })),
        );
    }

    /// Has the next fallback keep the write for an owner, unless one keeps it already that need not
    /// count in the place of another. If nobody is left, this node keeps it, and counts for
    /// nothing: the owner gets it sooner than by repair.
    fn hint(&mut self, cx: &mut Cx<'_>, local: &NodeContext, id: OperationId, owner: NodeId) {
        let Phase::Writing(writing) = &mut self.phase else { return };
        let Some(container) = writing.container.clone() else { return };
        let is_kept = writing.tally.is_cared_for(owner);
        if is_kept && !(self.client.is_some() && writing.tally.lacks_fallback(owner)) {
            return;
        }
        let fallback = match writing.fallbacks.assign(local, self.partition, owner) {
            Some(fallback) => {
                if writing.fallbacks.is_shared(fallback) {
                    cx.probe(Probe::FallbackForTwo);
                }
                fallback
            }
            None if is_kept || owner == local.me() => return,
            None if writing.fallbacks.of(owner).any(|kept_by| kept_by == local.me()) => return,
            None => {
                cx.probe(Probe::CoordinatorKeptHint);
                writing.fallbacks.note(owner, local.me());
                local.me()
            }
        };
        let fallback_for = place_of(owner, &writing.tally);
        let hint = HintRequest { operation: id, key: self.key.clone(), container, fallback_for };
        self.send(cx, local, fallback, Body::Replica(ReplicaMessage::Hint(hint)));
    }
}

/// The owner for which a minting fallback takes the write: one that has no fallback yet, preferably
/// one that seems down.
fn stood_in_for(
    local: &NodeContext,
    partition: PartitionId,
    writing: &mut Writing,
    minter: NodeId,
) -> NodeId {
    if let Some(owner) = writing.fallbacks.owner_of(minter) {
        return owner;
    }
    let owners = local.topology().owners(partition);
    let free = |&&owner: &&NodeId| writing.fallbacks.of(owner).next().is_none();
    let target = owners
        .iter()
        .filter(free)
        .min_by_key(|&&owner| local.is_up(owner))
        .or(owners.first())
        .copied()
        .expect("a partition has owners");
    writing.fallbacks.note(target, minter);
    target
}

fn place_of(owner: NodeId, tally: &Tally) -> FallbackFor {
    FallbackFor { owner, copies: u8::try_from(tally.owners_answered()).unwrap_or(u8::MAX) }
}
