//! The part of a story that nodes say: to each other, and to themselves.

use std::collections::BTreeSet;

use kv_core::message::{CoordinatorKind, HandoffKind, Kind, RepairKind, ReplicaKind};
use kv_core::types::{Key, RequestId};
use kv_core::version::Dot;

use super::Report;
use super::copies::CopyHistory;
use super::line::{Doubt, DoubtWeight, Line, Sort};
use crate::cluster::world_time::WorldTime;
use crate::scenario::NodeIndex;
use crate::story::record::fact::{RecordedMessage, RecordedOperation};

/// The requests of the operations that a story is about.
#[derive(Clone, Debug, Default)]
pub(super) struct Requests {
    /// The requests of the writes in question.
    pub(super) writes: BTreeSet<(u32, u32)>,
    /// The requests of the other operations that the violation names.
    pub(super) named: BTreeSet<(u32, u32)>,
}

impl Report<'_> {
    /// Tells what was said for the operations in question, and what carried copies of the key between
    /// nodes beside them, with the answers.
    pub(super) fn tell_messages(
        &self,
        (key, violated): (&Key, WorldTime),
        requests: &Requests,
        copies: &CopyHistory<'_>,
        lines: &mut Vec<Line>,
    ) {
        for message in self.record.messages.iter() {
            let requester = message.requester();
            let is_of = |all: &BTreeSet<_>| requester.is_some_and(|one| all.contains(&one));
            let (is_write, is_named) = (is_of(&requests.writes), is_of(&requests.named));
            let is_about = message.key.as_ref() == Some(key);
            let carries = is_about && is_carrier(message.kind);
            let carries_it = is_about && self.carries_the_write(message);
            if !is_write && !is_named && !carries && !carries_it {
                continue;
            }
            let Some(text) = self.said(message) else { continue };
            let doubt = match message.kind {
                Kind::Coordinator(CoordinatorKind::ReadReply) if is_named => {
                    self.forgetful_answer(message, copies)
                }
                // One that is lost does no harm.
                Kind::Replica(ReplicaKind::Mint) if message.lost.is_none() => {
                    self.forgotten_context(message)
                }
                kind if claims_durability(kind) => {
                    self.untrue_acknowledgement(message, copies, violated)
                }
                _ => None,
            };
            let line = Line::new(message.sent, Sort::Said, text).doubted(doubt);
            let is_central = is_write || is_named || (carries && message.lost.is_none());
            lines.push(if is_central { line } else { line.aside() });
        }
    }

    /// Tells whether a message brings one of the writes that the violation is about to a replica to be
    /// stored, or is the answer to such a one.
    fn carries_the_write(&self, message: &RecordedMessage) -> bool {
        let carried = match message.kind {
            Kind::Replica(ReplicaKind::Merge | ReplicaKind::Hint) => {
                message.content.siblings.as_ref()
            }
            Kind::Coordinator(CoordinatorKind::Acked | CoordinatorKind::Refused) => {
                message.content.answered.as_ref().and_then(|asked| asked.siblings.as_ref())
            }
            _ => None,
        };
        let subject = self.violations.first().and_then(|violation| violation.subject.as_ref());
        let is_it = |dot| subject.is_some_and(|subject| subject.dots.contains(dot));
        carried.is_some_and(|dots| dots.iter().any(is_it))
    }

    /// Tells whether a node says that it holds a write durably, and does not.
    fn untrue_acknowledgement(
        &self,
        message: &RecordedMessage,
        copies: &CopyHistory<'_>,
        violated: WorldTime,
    ) -> Option<Doubt> {
        let asked = message.content.answered.as_ref();
        let durable = copies.durable(message.from, message.sent);
        let missing = match asked.filter(|asked| asked.siblings.is_some()) {
            // What it was handed it must hold, all of it; the first that it does not is told of.
            Some(asked) => lowest(asked.knows & !durable),
            // Of the dots that were minted for a request, it minted one.
            None => Some(self.bits_of(message.request)).filter(|bits| bits & durable == 0)?,
        };
        if missing == 0 {
            return None;
        }
        let node = self.node(message.from);
        let later = copies.durable_from(message.from, message.sent, missing);
        let is_in_time = later.is_some_and(|later| later <= violated);
        let weight = if is_in_time { DoubtWeight::TooEarly } else { DoubtWeight::Statement };
        let truth = match later {
            Some(later) => format!(
                "{node} does not hold it durably before {later}: until then a crash would take it"
            ),
            None if copies.known(message.from, message.sent) & missing != 0 => {
                format!("{node} does not: it holds it, and a crash would take it")
            }
            None => format!("{node} does not hold it at all"),
        };
        Some(Doubt { weight, truth })
    }

    /// Tells whether a replica is asked to mint with a context that lacks a write in question, which
    /// the client wanted to be overwritten.
    fn forgotten_context(&self, message: &RecordedMessage) -> Option<Doubt> {
        let carried = message.content.context.as_ref()?;
        let asked = message.requester()?;
        let is_it = |operation: &&RecordedOperation| (operation.client, operation.number) == asked;
        let operation = self.record.operations.iter().find(is_it)?;
        let wanted = operation.context.as_ref()?.dots();
        let subject = self.violations.first()?.subject.as_ref()?;
        let is_missing = |dot: &&Dot| subject.dots.contains(dot) && !carried.covers(**dot);
        let missing: Vec<_> = wanted.iter().filter(is_missing).copied().collect();
        let truth = || {
            let (client, writes) = (operation.client, self.writes(&missing));
            format!(
                "client {client} has seen {writes}, and the context that is sent does not say so"
            )
        };
        (!missing.is_empty()).then(|| Doubt { weight: DoubtWeight::Statement, truth: truth() })
    }

    /// Tells whether a node answers a read without a write that it held durably before.
    fn forgetful_answer(
        &self,
        message: &RecordedMessage,
        copies: &CopyHistory<'_>,
    ) -> Option<Doubt> {
        message.content.siblings.as_ref()?;
        let missing = self.bits_in_question() & !message.content.knows;
        let (bit, until) = copies.last_durable(message.from, message.sent, missing)?;
        let (node, write) = (self.node(message.from), self.write(self.record.focus.dots[bit]));
        let truth = format!(
            "{node} held {write} durably until {until}. It has lost that, and answers as if it had \
             never been there"
        );
        Some(Doubt { weight: DoubtWeight::Statement, truth })
    }

    /// Tells whether a node claims to hold again all that it lost, and does not.
    pub(super) fn untrue_completion(
        &self,
        node: NodeIndex,
        at: WorldTime,
        copies: &CopyHistory<'_>,
    ) -> Option<Doubt> {
        let (bit, until) = copies.last_durable(node, at, self.bits_in_question())?;
        let (name, write) = (self.node(node), self.write(self.record.focus.dots[bit]));
        let truth = format!("{name} held {write} durably until {until}, and does not have it back");
        Some(Doubt { weight: DoubtWeight::Statement, truth })
    }

    /// The bits of the dots that were minted for a request.
    fn bits_of(&self, request: RequestId) -> u8 {
        let is_of = |dot: &Dot| {
            self.record.writes.iter().any(|write| write.dot == *dot && write.request == request)
        };
        self.bits(is_of)
    }

    /// The bits of the dots that the first violation is about.
    fn bits_in_question(&self) -> u8 {
        let subject = self.violations.first().and_then(|violation| violation.subject.as_ref());
        self.bits(|dot| subject.is_some_and(|subject| subject.dots.contains(dot)))
    }

    fn bits(&self, is_it: impl Fn(&Dot) -> bool) -> u8 {
        let dots = self.record.focus.dots.iter().enumerate();
        dots.filter(|(_, dot)| is_it(dot)).map(|(bit, _)| 1 << bit).sum()
    }
}

/// The lowest of the bits that are set.
const fn lowest(bits: u8) -> u8 {
    bits & bits.wrapping_neg()
}

/// Tells whether messages of a kind bring copies to nodes beside what clients ask for, or answer those.
const fn is_carrier(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Handoff(HandoffKind::Deliver)
            | Kind::Handoff(HandoffKind::Delivered)
            | Kind::Repair(RepairKind::Exchange | RepairKind::Exchanged)
    )
}

/// Tells whether messages of a kind say that their sender holds something durably.
const fn claims_durability(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Coordinator(CoordinatorKind::Acked)
            | Kind::Handoff(HandoffKind::Delivered)
            | Kind::Repair(RepairKind::Exchanged)
    )
}
