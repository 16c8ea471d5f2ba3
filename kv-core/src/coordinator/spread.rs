//! The spread of a container: all owners are sent it, and whoever missed it gets it later.

use alloc::vec::Vec;

use super::operation::{Progress, achieved};
use super::request::Step;
use super::write_phase::Acks;
use crate::client::Achieved;
use crate::message::{HintRequest, MergeRequest, ReplicaMessage};
use crate::probe::Probe;
use crate::types::NodeId;
use crate::version::Container;

/// The spread of a container to all owners.
#[derive(Clone, Debug)]
pub(super) struct Spread {
    pub(super) container: Container,
    pub(super) purpose: WriteFor,
}

/// The purpose of a write phase, with what its reply needs.
#[derive(Clone, Debug)]
pub(super) enum WriteFor {
    /// A client's write is to be stored.
    Put,
    /// The answer of a read is to stand before it is given.
    WriteBack {
        /// The nodes whose answers made the reply.
        answered: Achieved,
    },
}

impl Spread {
    /// Sends the container to every owner but the one that is known to hold it.
    pub(super) fn send_to_owners(
        &self,
        step: &mut Step<'_, '_>,
        acks: &mut Acks,
        holder: Option<NodeId>,
    ) -> Progress {
        for &owner in step.owners() {
            if Some(owner) == holder {
                continue;
            }
            self.send(step, owner);
            let has_fallback = acks.fallbacks.of(owner).any(|fallback| Some(fallback) == holder);
            if !step.local.is_up(owner) && !has_fallback {
                self.hint(step, acks, owner);
            }
        }
        self.look_at_acks(step, acks)
    }

    /// Two replicas minted for the write, because the first one's answer was late. What both hold
    /// together goes to everybody.
    pub(super) fn on_minted_again(
        &mut self,
        step: &mut Step<'_, '_>,
        acks: &mut Acks,
        container: &Container,
    ) -> Progress {
        if self.container == *container {
            return Progress::Going;
        }
        step.cx.probe(Probe::TwinsMinted);
        self.container.join(container);
        self.send_to_owners(step, acks, None)
    }

    pub(super) fn on_refused(
        &self,
        step: &mut Step<'_, '_>,
        acks: &mut Acks,
        from: NodeId,
    ) -> Progress {
        let owner = acks.fallbacks.owner_of(from).unwrap_or(from);
        self.hint(step, acks, owner);
        Progress::Going
    }

    /// Sends the container to the missing owners again, and to fallbacks too.
    pub(super) fn hedge(&self, step: &mut Step<'_, '_>, acks: &mut Acks) -> Progress {
        let owners = step.owners().iter().copied();
        let missing: Vec<NodeId> =
            owners.filter(|&owner| !acks.tally.has_answered(owner)).collect();
        if !missing.is_empty() {
            step.cx.probe(Probe::WriteHedged);
        }
        for owner in missing {
            self.send(step, owner);
            self.hint(step, acks, owner);
        }
        self.look_at_acks(step, acks)
    }

    /// Answers the client once there is a quorum, and ends once every owner is cared for.
    pub(super) fn look_at_acks(&self, step: &mut Step<'_, '_>, acks: &Acks) -> Progress {
        if step.client_waits() && acks.tally.reached() {
            let container = self.container.clone();
            match &self.purpose {
                WriteFor::Put => step.reply_stored(container, achieved(&acks.tally)),
                WriteFor::WriteBack { answered } => step.reply_value(container, answered.clone()),
            }
        }
        let mut owners = step.owners().iter();
        if !step.client_waits() && owners.all(|&owner| acks.tally.is_cared_for(owner)) {
            Progress::Over
        } else {
            Progress::Going
        }
    }

    fn send(&self, step: &mut Step<'_, '_>, owner: NodeId) {
        let (operation, key) = (step.operation, step.request.key.clone());
        let merge = MergeRequest { operation, key, container: self.container.clone() };
        step.send(owner, ReplicaMessage::Merge(merge));
    }

    /// Has the next fallback keep the write for an owner, unless one keeps it already that need not
    /// count in the place of another. If nobody is left, this node keeps it, and counts for
    /// nothing: the owner gets it sooner than by repair.
    fn hint(&self, step: &mut Step<'_, '_>, acks: &mut Acks, owner: NodeId) {
        let Acks { tally, fallbacks } = acks;
        let is_kept = tally.is_cared_for(owner);
        if is_kept && !(step.client_waits() && tally.lacks_fallback(owner)) {
            return;
        }
        let me = step.local.me();
        let fallback = match fallbacks.assign(step.local, step.request.partition, owner) {
            Some(fallback) => {
                if fallbacks.is_shared(fallback) {
                    step.cx.probe(Probe::FallbackForTwo);
                }
                fallback
            }
            None if is_kept || owner == me => return,
            None if fallbacks.of(owner).any(|kept_by| kept_by == me) => return,
            None => {
                step.cx.probe(Probe::CoordinatorKeptHint);
                fallbacks.note(owner, me);
                me
            }
        };
        let (operation, key) = (step.operation, step.request.key.clone());
        let (container, fallback_for) = (self.container.clone(), acks.place_of(owner));
        let hint = HintRequest { operation, key, container, fallback_for };
        step.send(fallback, ReplicaMessage::Hint(hint));
    }
}
