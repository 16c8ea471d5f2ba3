//! What holds of the operations in flight between two inputs.

use super::Coordinator;
use super::acks::Acks;
use super::fallbacks::{Assignment, Fallbacks};
use super::minter_search::MinterSearch;
use super::operation::{Operation, Phase};
use super::read_phase::{ReadFor, ReadPhase};
use super::request::Request;
use super::spread::ContainerSpread;
use super::write_phase::{WritePhase, WriteState};
use crate::cx::NodeContext;
use crate::quorum::Mode;
use crate::tally::distinct;
use crate::time::Span;
use crate::types::NodeId;

impl Coordinator {
    /// Checks the table of operations, and each operation in it.
    ///
    /// # Panics
    /// If what must hold does not.
    pub fn invariants(&self, local: &NodeContext) {
        let Self { operations, wakes, requests, hedging: _, gathered: _ } = self;
        operations.invariants();
        assert!(
            operations.is_empty() || operations.next_id() > 0,
            "operations are in flight under ids of an earlier life"
        );
        assert!(
            wakes.len() == operations.len(),
            "{} operations wait for {} calls",
            operations.len(),
            wakes.len()
        );
        assert!(requests.made == 0 || requests.half.is_some(), "a request id has no random half");
        assert!(
            self.requests() as u64 <= local.config.requests_max,
            "{} requests are in flight, more than are allowed",
            self.requests()
        );
        for (id, operation) in operations.iter() {
            assert!(
                wakes.contains(&(operation.request.wake_at, id)),
                "operation {:?} is not called at the time that it wants",
                operation.request.id
            );
            operation.invariants(local);
        }
    }

    /// Tells whether something was gathered that nobody has taken.
    pub fn has_gathered(&self) -> bool {
        !self.gathered.is_empty()
    }
}

impl Operation {
    fn invariants(&self, local: &NodeContext) {
        let Self { request, phase } = self;
        request.invariants(local);
        match phase {
            Phase::Read(read) => read.invariants(local, request),
            Phase::Write(write) => write.invariants(local, request),
        }
    }
}

impl Request {
    fn invariants(&self, local: &NodeContext) {
        let Self { id, key, partition, mode: _, client: _, wake_at, expires_at, late_at, hedge } =
            self;
        assert!(local.belongs(key, *partition), "{id:?} is in the wrong partition");
        assert!(wake_at <= expires_at, "{id:?} wants to be called after its end");
        assert!(late_at <= expires_at, "{id:?} is late after its end");
        assert!(*hedge > Span::ZERO, "{id:?} hedges without a pause");
    }
}

impl ReadPhase {
    fn invariants(&self, local: &NodeContext, request: &Request) {
        let Self {
            purpose,
            tally,
            asked,
            is_late: _,
            answers,
            refused,
            corrupt,
            behind,
            fallbacks,
        } = self;
        let (id, is_answered) = (request.id, request.client.is_none());
        let has_quorum = match purpose {
            ReadFor::Answer { stand: _ } | ReadFor::Overwrite { write: _, sets: _ } => {
                assert!(!is_answered, "{id:?} was answered before it has its quorum");
                false
            }
            ReadFor::Gather { asked: _ } => {
                assert!(is_answered, "a client waits for {id:?}, a gathering");
                assert!(request.mode == Mode::Strict, "{id:?} gathers from fallbacks");
                assert!(!self.asks(local.me()), "{id:?} asks this node for what is corrupt here");
                false
            }
            ReadFor::Repair => {
                assert!(is_answered, "{id:?} has its quorum, and its client waits");
                true
            }
        };
        assert!(has_quorum == tally.reached(), "{id:?} has not noticed that it has its quorum");
        tally.invariants();
        fallbacks.invariants(local);
        answers.iter().for_each(|(_, container)| container.invariants());
        assert!(
            distinct(asked.iter().map(|&(owner, _)| owner)) == asked.len(),
            "an owner stands twice among those that were asked"
        );
        let said = answers.iter().map(|&(node, _)| node).chain(refused.iter().copied());
        assert!(
            distinct(said) == answers.len() + refused.len(),
            "a node has answered a read twice, or answered it and refused it"
        );
        let has_said = |node: &NodeId| answers.iter().any(|(from, _)| from == node);
        assert!(
            corrupt.iter().all(|node| refused.contains(node)),
            "a corrupt copy was not refused"
        );
        for answer in tally.answers().iter().chain(behind) {
            assert!(has_said(&answer.by), "{:?} counts, and has said nothing", answer.by);
        }
        assert!(
            behind.iter().all(|doubted| !tally.answers().contains(doubted)),
            "an answer is counted and in doubt"
        );
        assert!(
            behind.is_empty() || tally.sets().iter().all(|set| set.needed == 1),
            "an answer is in doubt although more than one is asked for"
        );
        match request.mode {
            Mode::Sloppy => {}
            Mode::Strict => {
                assert!(fallbacks.assigned().is_empty(), "a strict read asks fallbacks");
            }
        }
    }
}

impl WritePhase {
    fn invariants(&self, local: &NodeContext, request: &Request) {
        let Self { acks: Acks { tally, fallbacks }, state } = self;
        tally.invariants();
        fallbacks.invariants(local);
        let has_quorum = match state {
            WriteState::Search(search) => {
                search.invariants();
                false
            }
            WriteState::Spread(ContainerSpread { container, purpose: _ }) => {
                container.invariants();
                assert!(!container.is_empty(), "a write spreads nothing");
                tally.reached()
            }
        };
        assert!(
            request.client.is_none() == has_quorum,
            "{:?} writes: it is answered if and only if it has its quorum",
            request.id
        );
    }
}

impl MinterSearch {
    fn invariants(&self) {
        let Self { write: _, candidates, next, asked, refused, was_late: _ } = self;
        let is_set = |nodes: &[NodeId]| distinct(nodes.iter()) == nodes.len();
        assert!(
            is_set(candidates) && is_set(asked) && is_set(refused),
            "a node stands twice among those that may mint"
        );
        assert!(!asked.is_empty(), "a write waits for a minter, and nobody was asked");
        assert!(*next <= candidates.len(), "the turn of minters is past its end");
        assert!(
            asked.iter().all(|node| candidates.contains(node)),
            "who may not mint was asked to"
        );
        assert!(
            refused.iter().all(|node| asked.contains(node)),
            "who was not asked refused to mint"
        );
        assert!(
            refused.len() < candidates.len(),
            "all have refused to mint, and the write goes on"
        );
    }
}

impl Fallbacks {
    fn invariants(&self, local: &NodeContext) {
        let Self { candidates, assigned } = self;
        for (at, one) in assigned.iter().enumerate() {
            let Assignment { owner, fallback } = one;
            assert!(owner != fallback, "{owner:?} is its own fallback");
            assert!(
                !assigned[at + 1..].contains(one),
                "{fallback:?} is assigned to {owner:?} twice"
            );
        }
        let candidates = candidates.iter().flatten();
        assert!(
            distinct(candidates.clone()) == candidates.count(),
            "a node is twice a fallback of one key"
        );
        // Whoever owns the key holds it for itself; only the coordinator keeps a hint all the same.
        for Assignment { owner, fallback } in assigned {
            assert!(
                *fallback == local.me() || assigned.iter().all(|one| one.owner != *fallback),
                "{fallback:?} is an owner, and the fallback of {owner:?}"
            );
        }
    }
}
