//! The spread of a container: all owners are sent it, and whoever missed it gets it later.

use alloc::vec::Vec;

use super::acks::{Acks, WriteProgress};
use super::answers::achieved;
use super::request::OperationCx;
use crate::client::Achieved;
use crate::message::{HintRequest, MergeRequest, ReplicaMessage};
use crate::probe::Probe;
use crate::types::NodeId;
use crate::version::Container;

/// The spread of a container to all owners.
#[derive(Clone, Debug)]
pub(super) struct ContainerSpread {
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

impl ContainerSpread {
    /// Sends the container to every owner but the one that is known to hold it.
    pub(super) fn send_to_owners(
        &self,
        op: &mut OperationCx<'_, '_>,
        acks: &mut Acks,
        holder: Option<NodeId>,
    ) -> WriteProgress {
        for &owner in op.owners() {
            if Some(owner) == holder {
                continue;
            }
            self.send(op, owner);
            let has_fallback = acks.fallbacks.of(owner).any(|fallback| Some(fallback) == holder);
            if !op.local.is_up(owner) && !has_fallback {
                self.hint(op, acks, owner);
            }
        }
        self.look_at_acks(op, acks)
    }

    /// Two replicas minted for the write, because the first one's answer was late. What both hold
    /// together goes to everybody.
    pub(super) fn on_minted_again(
        &mut self,
        op: &mut OperationCx<'_, '_>,
        acks: &mut Acks,
        container: &Container,
    ) -> WriteProgress {
        if self.container == *container {
            return WriteProgress::Going;
        }
        op.cx.probe(Probe::TwinsMinted);
        self.container.join(container);
        self.send_to_owners(op, acks, None)
    }

    pub(super) fn on_refused(
        &self,
        op: &mut OperationCx<'_, '_>,
        acks: &mut Acks,
        from: NodeId,
    ) -> WriteProgress {
        let owner = acks.fallbacks.owner_of(from).unwrap_or(from);
        self.hint(op, acks, owner);
        WriteProgress::Going
    }

    /// Sends the container to the missing owners again, and to fallbacks too.
    pub(super) fn hedge(&self, op: &mut OperationCx<'_, '_>, acks: &mut Acks) -> WriteProgress {
        let owners = op.owners().iter().copied();
        let missing: Vec<NodeId> =
            owners.filter(|&owner| !acks.tally.has_answered(owner)).collect();
        if !missing.is_empty() {
            op.cx.probe(Probe::WriteHedged);
        }
        for owner in missing {
            self.send(op, owner);
            self.hint(op, acks, owner);
        }
        self.look_at_acks(op, acks)
    }

    /// Answers the client once there is a quorum, and ends once every owner is cared for.
    pub(super) fn look_at_acks(&self, op: &mut OperationCx<'_, '_>, acks: &Acks) -> WriteProgress {
        if op.client_waits() && acks.tally.reached() {
            let container = self.container.clone();
            match &self.purpose {
                WriteFor::Put => op.reply_stored(container, achieved(&acks.tally)),
                WriteFor::WriteBack { answered } => op.reply_value(container, answered.clone()),
            }
        }
        let mut owners = op.owners().iter();
        if !op.client_waits() && owners.all(|&owner| acks.tally.is_cared_for(owner)) {
            WriteProgress::Over
        } else {
            WriteProgress::Going
        }
    }

    fn send(&self, op: &mut OperationCx<'_, '_>, owner: NodeId) {
        let (operation, key) = (op.operation, op.request.key.clone());
        let merge = MergeRequest { operation, key, container: self.container.clone() };
        op.send(owner, ReplicaMessage::Merge(merge));
    }

    /// Has the next fallback keep the write for an owner, unless one keeps it already that need not
    /// count in the place of another. If nobody is left, this node keeps it, and counts for
    /// nothing: the owner gets it sooner than by repair.
    fn hint(&self, op: &mut OperationCx<'_, '_>, acks: &mut Acks, owner: NodeId) {
        let Acks { tally, fallbacks } = acks;
        let is_kept = tally.is_cared_for(owner);
        if is_kept && !(op.client_waits() && tally.lacks_fallback(owner)) {
            return;
        }
        let me = op.local.me();
        let fallback = match fallbacks.assign(op.local, op.request.partition, owner) {
            Some(fallback) => {
                if fallbacks.is_shared(fallback) {
                    op.cx.probe(Probe::FallbackForTwo);
                }
                fallback
            }
            None if is_kept || owner == me => return,
            None if fallbacks.of(owner).any(|kept_by| kept_by == me) => return,
            None => {
                op.cx.probe(Probe::CoordinatorKeptHint);
                fallbacks.note(owner, me);
                me
            }
        };
        let (operation, key) = (op.operation, op.request.key.clone());
        let (container, fallback_for) = (self.container.clone(), acks.place_of(owner));
        let hint = HintRequest { operation, key, container, fallback_for };
        op.send(fallback, ReplicaMessage::Hint(hint));
    }
}
