//! The write phase: have one replica name the write, send what it holds then to all others, wait
//! for as many durable copies as are needed, and see that whoever missed it gets it later.

use alloc::vec::Vec;

use super::fallbacks::Fallbacks;
use super::operation::{Operation, Phase, Progress, answer};
use crate::client::{Reply, RequestRefusal};
use crate::cx::{Cx, Site};
use crate::mark::Mark;
use crate::message::{Body, HintRequest, MergeRequest, MintRequest, OperationId, Place};
use crate::quorum::Mode;
use crate::store::{Basis, Refusal};
use crate::tally::{Nodes, OwnerSet, Tally};
use crate::time::WallTime;
use crate::types::{NodeId, PartitionId};
use crate::version::{Container, Content};

/// A write phase in flight.
#[derive(Clone, Debug)]
pub(super) struct Writing {
    pub(super) tally: Tally,
    /// What is to be held; unknown until a replica has named the write.
    pub(super) container: Option<Container>,
    minting: Option<Minting>,
    pub(super) fallbacks: Fallbacks,
}

/// What a client wants written.
#[derive(Clone, Debug)]
pub(super) struct Put {
    pub(super) content: Content,
    pub(super) expiry: Option<WallTime>,
    pub(super) basis: Basis,
}

/// The search for a replica that names the write.
#[derive(Clone, Debug)]
struct Minting {
    put: Put,
    /// Who is asked, in this order, and from the start again while the time lasts: the id of the
    /// request makes asking twice harmless.
    candidates: Nodes,
    next: usize,
    asked: Nodes,
    refused: Nodes,
    /// Whether the first has said that what it was asked came too late.
    was_late: bool,
}

impl Writing {
    /// A write that a replica is to name.
    pub(super) fn mint(
        site: &Site,
        partition: PartitionId,
        mode: Mode,
        put: Put,
        sets: Vec<OwnerSet>,
    ) -> Self {
        let candidates = candidates(site, partition, mode);
        let (next, asked, refused) = (0, Nodes::new(), Nodes::new());
        Self {
            tally: Tally::new(mode, sets),
            container: None,
            minting: Some(Minting { put, candidates, next, asked, refused, was_late: false }),
            fallbacks: Fallbacks::default(),
        }
    }

    /// What a read found, to be made to stand. Some hold it already.
    pub(super) fn write_back(
        site: &Site,
        mode: Mode,
        sets: Vec<OwnerSet>,
        container: Container,
        holders: &[NodeId],
    ) -> Self {
        let mut tally = Tally::new(mode, sets);
        for &holder in holders {
            if let Some(held) = answer(site, holder, holder) {
                tally.record(held);
            }
        }
        let fallbacks = Fallbacks::default();
        Self { tally, container: Some(container), minting: None, fallbacks }
    }

    /// Those that were asked to name the write and would not.
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

/// Who may name a write, the best first: this node if it is an owner, owners that seem up, and, if
/// fallbacks count, those. Owners that seem down come last: they may be up all the same.
fn candidates(site: &Site, partition: PartitionId, mode: Mode) -> Nodes {
    let owners = site.ring().owners(partition);
    let owner_is = |up: bool| {
        owners.iter().copied().filter(move |&owner| owner != site.me() && site.is_up(owner) == up)
    };
    let mut candidates = Nodes::new();
    candidates.extend(owners.contains(&site.me()).then_some(site.me()));
    candidates.extend(owner_is(true));
    match mode {
        Mode::Sloppy => {
            candidates.extend(site.ring().fallbacks(partition).filter(|&node| site.is_up(node)));
        }
        Mode::Strict => {}
    }
    candidates.extend(owner_is(false));
    candidates
}

impl Operation {
    /// Asks the next candidate to name the write.
    pub(super) fn ask_minter(&mut self, cx: &mut Cx<'_>, site: &Site, id: OperationId) -> Progress {
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
            cx.mark(Mark::AnotherMinterAsked);
        }
        let Put { content, expiry, basis } = minting.put.clone();
        let basis = if is_first { basis } else { basis.of_a_spare() };
        let is_owner = site.ring().owns(minter, self.partition);
        let place = (!is_owner).then(|| {
            let owner = stood_in_for(site, self.partition, writing, minter);
            place_of(owner, &writing.tally)
        });
        let key = self.key.clone();
        let echo = site.peers.echoes.get(&minter).copied();
        let mint = MintRequest { operation: id, key, content, expiry, basis, place, echo };
        self.send(cx, site, minter, Body::Mint(mint.into()));
        Progress::Going
    }

    pub(super) fn on_minted(
        &mut self,
        cx: &mut Cx<'_>,
        site: &Site,
        id: OperationId,
        from: NodeId,
        container: Container,
    ) -> Progress {
        let Phase::Writing(writing) = &mut self.phase else { return Progress::Going };
        let holder = match &mut writing.container {
            None => {
                if !site.ring().owns(from, self.partition) {
                    cx.mark(Mark::StandInMinted);
                }
                writing.container = Some(container);
                self.be_patient_anew(cx, site);
                Some(from)
            }
            Some(known) if *known == container => return Progress::Going,
            // Two replicas named the write, because the first one's answer was late. What both hold
            // together goes to everybody.
            Some(known) => {
                cx.mark(Mark::TwinsMinted);
                known.join(&container);
                None
            }
        };
        self.spread_except(cx, site, id, holder)
    }

    pub(super) fn on_acked(
        &mut self,
        cx: &mut Cx<'_>,
        site: &Site,
        from: NodeId,
        stands_for: NodeId,
    ) -> Progress {
        let Phase::Writing(writing) = &mut self.phase else { return Progress::Going };
        if let Some(counted) = answer(site, from, stands_for) {
            writing.tally.record(counted);
        }
        self.look_at_acks(cx, site)
    }

    pub(super) fn on_write_refused(
        &mut self,
        cx: &mut Cx<'_>,
        site: &Site,
        id: OperationId,
        from: NodeId,
        refusal: Refusal,
    ) -> Progress {
        let Phase::Writing(writing) = &mut self.phase else { return Progress::Going };
        if writing.container.is_some() {
            let owner = writing.fallbacks.owner_of(from).unwrap_or(from);
            self.hint(cx, site, id, owner);
            return Progress::Going;
        }
        let Some(minting) = &mut writing.minting else { return Progress::Going };
        // A refusal of what was asked in the read phase says nothing of the write.
        if !minting.asked.contains(&from) {
            return Progress::Going;
        }
        if refusal == Refusal::Late {
            // Nothing was done, and now there is news of the minter's time: it is asked once more. It
            // will rely on it that nobody else is asked for a whole delay from now on. If somebody else
            // has been asked already, or it says so again, another one names the write.
            if minting.asked[..] == [from] && !minting.was_late {
                cx.mark(Mark::LateAskedAgain);
                minting.was_late = true;
                minting.asked.clear();
                minting.next =
                    minting.candidates.iter().position(|&node| node == from).unwrap_or(0);
                self.restart_hedge(cx, site);
                return self.ask_minter(cx, site, id);
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
            cx.mark(Mark::WriteRefused);
            self.reply(cx, Reply::Refused(RequestRefusal::Replica(refusal)));
            return Progress::Over;
        }
        self.ask_minter(cx, site, id)
    }

    /// Some have not answered: ask them again, and somebody else too.
    pub(super) fn hedge_write(
        &mut self,
        cx: &mut Cx<'_>,
        site: &Site,
        id: OperationId,
    ) -> Progress {
        let Phase::Writing(writing) = &self.phase else { return Progress::Going };
        if writing.container.is_none() {
            return self.ask_minter(cx, site, id);
        }
        let owners = site.ring().owners(self.partition).iter().copied();
        let missing: Vec<NodeId> =
            owners.filter(|&owner| !writing.tally.has_answered(owner)).collect();
        if !missing.is_empty() {
            cx.mark(Mark::WriteHedged);
        }
        for owner in missing {
            self.send_container(cx, site, id, owner);
            self.hint(cx, site, id, owner);
        }
        self.look_at_acks(cx, site)
    }

    /// Sends what is to be held to every owner that does not hold it yet.
    pub(super) fn spread(&mut self, cx: &mut Cx<'_>, site: &Site, id: OperationId) -> Progress {
        self.spread_except(cx, site, id, None)
    }

    fn spread_except(
        &mut self,
        cx: &mut Cx<'_>,
        site: &Site,
        id: OperationId,
        holder: Option<NodeId>,
    ) -> Progress {
        for &owner in site.ring().owners(self.partition) {
            if Some(owner) == holder {
                continue;
            }
            self.send_container(cx, site, id, owner);
            let Phase::Writing(writing) = &self.phase else { return Progress::Going };
            let has_stand_in = writing.fallbacks.of(owner).any(|fallback| Some(fallback) == holder);
            if !site.is_up(owner) && !has_stand_in {
                self.hint(cx, site, id, owner);
            }
        }
        self.look_at_acks(cx, site)
    }

    fn look_at_acks(&mut self, cx: &mut Cx<'_>, site: &Site) -> Progress {
        let Phase::Writing(writing) = &self.phase else { return Progress::Going };
        if writing.container.is_none() {
            return Progress::Going;
        }
        if self.client.is_some() && writing.tally.reached() {
            self.on_write_quorum(cx, site);
        }
        let Phase::Writing(writing) = &self.phase else { return Progress::Going };
        let mut owners = site.ring().owners(self.partition).iter();
        if self.client.is_none() && owners.all(|&owner| writing.tally.is_cared_for(owner)) {
            Progress::Over
        } else {
            Progress::Going
        }
    }

    fn send_container(&self, cx: &mut Cx<'_>, site: &Site, id: OperationId, owner: NodeId) {
        let Phase::Writing(Writing { container: Some(container), .. }) = &self.phase else {
            return;
        };
        let (key, container) = (self.key.clone(), container.clone());
        self.send(cx, site, owner, Body::Merge(MergeRequest { operation: id, key, container }));
    }

    /// Has the next fallback keep the write for an owner, unless somebody does who need not count in the
    /// place of another. If nobody keeps it and nobody is left, this node does, and counts for nothing:
    /// the owner gets it sooner than by repair.
    fn hint(&mut self, cx: &mut Cx<'_>, site: &Site, id: OperationId, owner: NodeId) {
        let Phase::Writing(writing) = &mut self.phase else { return };
        let Some(container) = writing.container.clone() else { return };
        let is_kept = writing.tally.is_cared_for(owner);
        if is_kept && !(self.client.is_some() && writing.tally.lacks_stand_in(owner)) {
            return;
        }
        let fallback = match writing.fallbacks.assign(site, self.partition, owner) {
            Some(fallback) => {
                if writing.fallbacks.is_shared(fallback) {
                    cx.mark(Mark::StandInForTwo);
                }
                fallback
            }
            None if is_kept || owner == site.me() => return,
            None if writing.fallbacks.of(owner).any(|kept_by| kept_by == site.me()) => return,
            None => {
                cx.mark(Mark::CoordinatorKeptHint);
                writing.fallbacks.note(owner, site.me());
                site.me()
            }
        };
        let place = place_of(owner, &writing.tally);
        let hint = HintRequest { operation: id, key: self.key.clone(), container, place };
        self.send(cx, site, fallback, Body::Hint(hint));
    }
}

/// For which owner a stand-in takes the write that it is asked to name: one that nobody stands in
/// for yet, rather one that seems down.
fn stood_in_for(
    site: &Site,
    partition: PartitionId,
    writing: &mut Writing,
    minter: NodeId,
) -> NodeId {
    if let Some(owner) = writing.fallbacks.owner_of(minter) {
        return owner;
    }
    let owners = site.ring().owners(partition);
    let free = |&&owner: &&NodeId| writing.fallbacks.of(owner).next().is_none();
    let target = owners
        .iter()
        .filter(free)
        .min_by_key(|&&owner| site.is_up(owner))
        .or(owners.first())
        .copied()
        .expect("a partition has owners");
    writing.fallbacks.note(target, minter);
    target
}

fn place_of(owner: NodeId, tally: &Tally) -> Place {
    Place { owner, copies: u8::try_from(tally.owners_answered()).unwrap_or(u8::MAX) }
}
