//! What holds of the operations in flight between two inputs.

use super::Coordinator;
use super::fallbacks::{Assignment, Fallbacks};
use super::operation::{Kind, Operation, Phase};
use super::reading::Reading;
use super::writing::{Minting, Writing};
use crate::cx::NodeContext;
use crate::quorum::Mode;
use crate::tally::distinct;
use crate::types::NodeId;

impl Coordinator {
    /// Checks the table of operations, and each operation in it.
    ///
    /// # Panics
    /// If what must hold does not.
    pub fn invariants(&self, local: &NodeContext) {
        let Self { operations, wakes, requests, gathered: _ } = self;
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
                wakes.contains(&(operation.wake_at, id)),
                "operation {:?} is not called at the time that it wants",
                operation.request
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
        let request = self.request;
        assert!(local.belongs(&self.key, self.partition), "{request:?} is in the wrong partition");
        assert!(self.wake_at <= self.expires_at, "{request:?} wants to be called after its end");
        assert!(self.hedge >= local.config.hedge(), "{request:?} hedges too soon");
        let is_answered = self.client.is_none();
        match &self.phase {
            Phase::Reading(reading) => {
                reading.invariants(local, self.mode);
                match &self.kind {
                    Kind::Get { stand, answered } => {
                        assert!(
                            answered.is_none(),
                            "{request:?} has what it answers with, and reads on"
                        );
                        // A monotonic read that has its quorum either writes back or replies.
                        assert!(
                            is_answered == reading.reached,
                            "{request:?} reads: it is answered if and only if it has its quorum"
                        );
                        assert!(
                            stand.is_none() || !is_answered,
                            "{request:?} was answered before the answer was made to stand"
                        );
                    }
                    Kind::Put { write } => {
                        assert!(write.is_some(), "{request:?} reads, and its write is gone");
                        assert!(!is_answered, "{request:?} was answered before it wrote");
                        assert!(!reading.reached, "{request:?} has read and does not write");
                    }
                    Kind::Gather { asked: _ } => {
                        assert!(is_answered, "a client waits for {request:?}, a gathering");
                        assert!(!reading.reached, "{request:?} has gathered and goes on");
                        assert!(self.mode == Mode::Strict, "{request:?} gathers from fallbacks");
                        assert!(
                            !reading.asks(local.me()),
                            "{request:?} asks this node for what is corrupt here"
                        );
                    }
                }
            }
            Phase::Writing(writing) => {
                writing.invariants(local);
                let has_quorum = writing.container.is_some() && writing.tally.reached();
                assert!(
                    is_answered == has_quorum,
                    "{request:?} writes: it is answered if and only if it has its quorum"
                );
                match &self.kind {
                    Kind::Get { stand, answered } => {
                        assert!(writing.minting.is_none(), "{request:?} reads, and mints");
                        assert!(stand.is_none(), "{request:?} makes its answer stand twice");
                        assert!(
                            answered.is_some() != is_answered,
                            "{request:?} keeps an answer if and only if its client waits"
                        );
                    }
                    Kind::Put { write } => {
                        assert!(write.is_none(), "{request:?} has begun to write, and not begun");
                    }
                    Kind::Gather { asked: _ } => panic!("{request:?} is a gathering, and writes"),
                }
            }
        }
    }
}

impl Reading {
    fn asks(&self, node: NodeId) -> bool {
        self.tally.sets().iter().any(|set| set.owners.contains(&node))
    }

    fn invariants(&self, local: &NodeContext, mode: Mode) {
        let Self { tally, answers, refused, corrupt, behind, fallbacks, reached } = self;
        tally.invariants();
        fallbacks.invariants(local);
        answers.iter().for_each(|(_, container)| container.invariants());
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
        match mode {
            Mode::Sloppy => {}
            Mode::Strict => {
                assert!(fallbacks.assigned().is_empty(), "a strict read asks fallbacks");
            }
        }
        assert!(*reached == tally.reached(), "a read phase has not noticed that it has its quorum");
    }
}

impl Writing {
    fn invariants(&self, local: &NodeContext) {
        let Self { tally, container, minting, fallbacks } = self;
        tally.invariants();
        fallbacks.invariants(local);
        if let Some(container) = container {
            container.invariants();
            assert!(!container.is_empty(), "a write spreads nothing");
        }
        assert!(container.is_some() || minting.is_some(), "nobody is asked to mint a write");
        if let Some(minting) = minting {
            minting.invariants();
        }
    }
}

impl Minting {
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
