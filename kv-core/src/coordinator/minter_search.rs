//! The search for a replica that mints: one after another is asked, the best first.

use super::acks::{Acks, WriteProgress};
use super::request::{OperationCx, Request};
use crate::client::{Reply, RequestRefusal};
use crate::cx::NodeContext;
use crate::message::{MintRequest, ReplicaMessage};
use crate::probe::Probe;
use crate::quorum::Mode;
use crate::store::Refusal;
use crate::tally::Nodes;
use crate::types::{NodeId, PartitionId};
use crate::write::Write;

/// The search for a replica that mints a client's write.
#[derive(Clone, Debug)]
pub(super) struct MinterSearch {
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

impl MinterSearch {
    pub(super) fn new(local: &NodeContext, request: &Request, write: Write) -> Self {
        let candidates = candidates(local, request.partition, request.mode);
        let (asked, refused) = (Nodes::new(), Nodes::new());
        Self { write, candidates, next: 0, asked, refused, was_late: false }
    }

    /// Asks the next candidate to mint.
    pub(super) fn ask_next(
        &mut self,
        op: &mut OperationCx<'_, '_>,
        acks: &mut Acks,
    ) -> WriteProgress {
        let count = self.candidates.len();
        let mut in_turn = (self.next..self.next + count).map(|at| at % count);
        let willing = |&at: &usize| !self.refused.contains(&self.candidates[at]);
        let Some(at) = in_turn.find(willing) else { return WriteProgress::Going };
        let minter = self.candidates[at];
        self.next = at + 1;
        let is_first = self.asked.is_empty();
        if !self.asked.contains(&minter) {
            self.asked.push(minter);
        }
        let mut write = self.write.clone();
        if !is_first {
            op.cx.probe(Probe::AnotherMinterAsked);
            write.basis = write.basis.of_a_spare();
        }
        let fallback_for = (!op.owns(minter)).then(|| {
            let owner = replaced_by(minter, op, acks);
            acks.place_of(owner)
        });
        let (operation, key) = (op.operation, op.request.key.clone());
        let echo = op.local.peers.echoes.get(&minter).copied();
        let mint = MintRequest { operation, key, write, fallback_for, echo };
        op.send(minter, ReplicaMessage::Mint(mint.into()));
        WriteProgress::Going
    }

    pub(super) fn on_refused(
        &mut self,
        op: &mut OperationCx<'_, '_>,
        acks: &mut Acks,
        from: NodeId,
        refusal: Refusal,
    ) -> WriteProgress {
        // A refusal of what was asked in the read phase says nothing of the write.
        if !self.asked.contains(&from) {
            return WriteProgress::Going;
        }
        if refusal == Refusal::Late {
            return self.on_late(op, acks, from);
        }
        if !self.refused.contains(&from) {
            self.refused.push(from);
        }
        // A limit that the key has reached is no better elsewhere; anything else may be.
        let final_word = matches!(refusal, Refusal::TooManySiblings { .. });
        let nobody_left = self.refused.len() == self.candidates.len();
        let all_refused = self.asked.iter().all(|node| self.refused.contains(node));
        if all_refused && (final_word || nobody_left) {
            op.cx.probe(Probe::WriteRefused);
            op.reply(Reply::Refused(RequestRefusal::Replica(refusal)));
            return WriteProgress::Over;
        }
        self.ask_next(op, acks)
    }

    /// Asks a minter once more for whom the request was late. Nothing was done, and now there is
    /// news of the minter's time. It will rely on it that nobody else is asked for a whole delay
    /// from now on. If somebody else has been asked already, or it says so again, another one mints.
    fn on_late(
        &mut self,
        op: &mut OperationCx<'_, '_>,
        acks: &mut Acks,
        from: NodeId,
    ) -> WriteProgress {
        if self.asked[..] != [from] || self.was_late {
            return WriteProgress::Going;
        }
        op.cx.probe(Probe::LateAskedAgain);
        self.was_late = true;
        self.asked.clear();
        self.next = self.candidates.iter().position(|&node| node == from).unwrap_or(0);
        op.restart_hedge();
        self.ask_next(op, acks)
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

/// The owner for which a minting fallback takes the write: one that has no fallback yet, preferably
/// one that seems down.
fn replaced_by(minter: NodeId, op: &OperationCx<'_, '_>, acks: &mut Acks) -> NodeId {
    if let Some(owner) = acks.fallbacks.owner_of(minter) {
        return owner;
    }
    let owners = op.owners();
    let free = |&&owner: &&NodeId| acks.fallbacks.of(owner).next().is_none();
    let target = owners
        .iter()
        .filter(free)
        .min_by_key(|&&owner| op.local.is_up(owner))
        .or(owners.first())
        .copied()
        .expect("a partition has owners");
    acks.fallbacks.note(target, minter);
    target
}
