//! The write phase: have one replica mint a dot, send what it holds then to all others, wait
//! for as many durable copies as are needed, and see that whoever missed it gets it later.

use alloc::vec::Vec;

use super::acks::{Acks, WriteProgress};
use super::minter_search::MinterSearch;
use super::request::{OperationCx, Request};
use super::spread::{ContainerSpread, WriteFor};
use crate::client::Achieved;
use crate::cx::NodeContext;
use crate::probe::Probe;
use crate::store::Refusal;
use crate::tally::{OwnerSet, Tally};
use crate::types::NodeId;
use crate::version::Container;
use crate::write::Write;

/// A write phase in flight.
#[derive(Clone, Debug)]
pub(super) struct WritePhase {
    pub(super) acks: Acks,
    pub(super) state: WriteState,
}

/// The state of a write phase.
#[derive(Clone, Debug)]
pub(super) enum WriteState {
    /// A replica is asked to mint.
    Search(MinterSearch),
    /// All owners are sent the container.
    Spread(ContainerSpread),
}

impl WritePhase {
    /// Makes the write of a client, which a replica is to mint.
    pub(super) fn mint(
        local: &NodeContext,
        request: &Request,
        write: Write,
        sets: Vec<OwnerSet>,
    ) -> Self {
        let search = MinterSearch::new(local, request, write);
        let acks = Acks::new(Tally::new(request.mode, sets));
        Self { acks, state: WriteState::Search(search) }
    }

    /// Makes the write of what a read found, which the nodes in the tally hold already.
    pub(super) fn write_back(tally: Tally, container: Container, answered: Achieved) -> Self {
        let spread = ContainerSpread { container, purpose: WriteFor::WriteBack { answered } };
        Self { acks: Acks::new(tally), state: WriteState::Spread(spread) }
    }

    /// Tells whether an answer of a node is awaited.
    pub(super) fn waits_for(&self, node: NodeId) -> bool {
        let Acks { tally, fallbacks } = &self.acks;
        let asked = match &self.state {
            WriteState::Search(search) => search.asked.contains(&node),
            WriteState::Spread(_) => tally.sets().iter().any(|set| set.owners.contains(&node)),
        };
        (asked || fallbacks.owner_of(node).is_some()) && !tally.has_answered(node)
    }

    pub(super) fn start(&mut self, op: &mut OperationCx<'_, '_>) -> WriteProgress {
        match &mut self.state {
            WriteState::Search(search) => search.ask_next(op, &mut self.acks),
            WriteState::Spread(spread) => spread.send_to_owners(op, &mut self.acks, None),
        }
    }

    pub(super) fn on_minted(
        &mut self,
        op: &mut OperationCx<'_, '_>,
        from: NodeId,
        container: Container,
    ) -> WriteProgress {
        match &mut self.state {
            WriteState::Search(_) => {
                if !op.owns(from) {
                    op.cx.probe(Probe::FallbackMinted);
                }
                op.shorten_hedge();
                let spread = ContainerSpread { container, purpose: WriteFor::Put };
                let progress = spread.send_to_owners(op, &mut self.acks, Some(from));
                self.state = WriteState::Spread(spread);
                progress
            }
            WriteState::Spread(spread) => spread.on_minted_again(op, &mut self.acks, &container),
        }
    }

    pub(super) fn on_acked(
        &mut self,
        op: &mut OperationCx<'_, '_>,
        from: NodeId,
        for_owner: NodeId,
    ) -> WriteProgress {
        self.acks.record(op.local, from, for_owner);
        match &self.state {
            // An ack may overtake the container that it is for; it counts when that comes.
            WriteState::Search(_) => WriteProgress::Going,
            WriteState::Spread(spread) => spread.look_at_acks(op, &self.acks),
        }
    }

    pub(super) fn on_refused(
        &mut self,
        op: &mut OperationCx<'_, '_>,
        from: NodeId,
        refusal: Refusal,
    ) -> WriteProgress {
        match &mut self.state {
            WriteState::Search(search) => search.on_refused(op, &mut self.acks, from, refusal),
            WriteState::Spread(spread) => spread.on_refused(op, &mut self.acks, from),
        }
    }

    /// Asks the next minter or, once the write is minted, the missing owners again and fallbacks
    /// too.
    pub(super) fn hedge(&mut self, op: &mut OperationCx<'_, '_>) -> WriteProgress {
        match &mut self.state {
            WriteState::Search(search) => search.ask_next(op, &mut self.acks),
            WriteState::Spread(spread) => spread.hedge(op, &mut self.acks),
        }
    }
}
