//! The part of a story that nodes say: to each other, and to themselves.

use std::collections::BTreeSet;

use kv_core::message::{CoordinatorKind, HandoffKind, Kind, RepairKind, ReplicaKind};
use kv_core::types::{Key, RequestId};

use super::Report;
use super::copies::CopyHistory;
use super::line::{Doubt, DoubtWeight, Line, Sort};
use crate::cluster::world_time::WorldTime;
use crate::scenario::NodeIndex;
use crate::story::record::fact::RecordedMessage;

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
    /// nodes beside them.
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
            let carries = message.key.as_ref() == Some(key) && is_carrier(message.kind);
            if !is_write && !is_named && !carries {
                continue;
            }
            let Some(text) = self.said(message) else { continue };
            let doubt = match message.kind {
                Kind::Coordinator(CoordinatorKind::Acked) if is_write => {
                    self.untrue_acknowledgement(message, copies, violated)
                }
                Kind::Coordinator(CoordinatorKind::ReadReply) if is_named => {
                    self.forgetful_answer(message, copies)
                }
                _ => None,
            };
            let line = Line::new(message.sent, Sort::Said, text).doubted(doubt);
            lines.push(if carries && message.lost.is_some() { line.aside() } else { line });
        }
    }

    /// A message in words, if it is worth a line of the story.
    fn said(&self, message: &RecordedMessage) -> Option<String> {
        let RecordedMessage { from, to, kind, ended, lost, content, .. } = message;
        let (is_own, sender) = (from == to, self.node(*from));
        let receiver = if is_own { "itself" } else { self.node(*to) };
        let carried = content.siblings.as_ref().map(|dots| self.writes(dots));
        let holds = carried.as_deref().unwrap_or("nothing");
        let words = &content.words;
        let note = if words.is_empty() { String::new() } else { format!(", {words}") };
        let said = match kind {
            Kind::Replica(ReplicaKind::Mint) => {
                format!("{sender} asks {receiver} to store the write and mint for it{note}")
            }
            Kind::Replica(ReplicaKind::Hint) => {
                format!("{sender} sends {receiver} {holds}{note}")
            }
            Kind::Replica(ReplicaKind::Merge) if is_own || lost.is_some() => {
                format!("{sender} sends {receiver} {holds}")
            }
            Kind::Replica(ReplicaKind::Read) if lost.is_some() => {
                format!("{sender} asks {receiver} what it holds")
            }
            Kind::Replica(ReplicaKind::Merge | ReplicaKind::Read) => return None,
            Kind::Coordinator(CoordinatorKind::Minted) if lost.is_some() => {
                format!("{sender} tells {receiver} that it has stored the write")
            }
            Kind::Coordinator(CoordinatorKind::Minted) => return None,
            Kind::Coordinator(CoordinatorKind::Acked) => {
                format!("{sender} tells {receiver} that it holds the write durably{note}")
            }
            Kind::Coordinator(CoordinatorKind::Refused) => {
                format!("{sender} refuses what {receiver} asked: {words}")
            }
            Kind::Coordinator(CoordinatorKind::ReadReply) => {
                format!("{sender} answers {receiver}: it holds {holds}")
            }
            Kind::Handoff(HandoffKind::Deliver) => {
                format!("{sender} hands {receiver} the hint that it kept for it: {holds}")
            }
            Kind::Handoff(HandoffKind::Delivered) => {
                format!("{sender} tells {receiver} that it holds the hints durably")
            }
            Kind::Repair(RepairKind::Exchange) => {
                format!("{sender} compares itself with {receiver}, and sends {holds}")
            }
            Kind::Repair(RepairKind::Exchanged) => {
                format!("{sender} answers the comparison of {receiver} with {holds}")
            }
            Kind::Repair(_) | Kind::Gossip(_) | Kind::Founding(_) => return None,
        };
        Some(match lost {
            None if is_own => said,
            None => format!("{said} (there at {ended})"),
            Some(how) => format!("{said}: the message {how}"),
        })
    }

    /// Tells whether a node says that it holds a write durably, and does not.
    fn untrue_acknowledgement(
        &self,
        message: &RecordedMessage,
        copies: &CopyHistory<'_>,
        violated: WorldTime,
    ) -> Option<Doubt> {
        let bits = self.bits_of(message.request);
        if bits == 0 || copies.durable(message.from, message.sent) & bits != 0 {
            return None;
        }
        let node = self.node(message.from);
        let later = copies.durable_from(message.from, message.sent, bits);
        let is_in_time = later.is_some_and(|later| later <= violated);
        let weight = if is_in_time { DoubtWeight::TooEarly } else { DoubtWeight::Statement };
        let truth = match later {
            Some(later) => {
                format!("{node} does not, before {later}: until then a crash would take it")
            }
            None if copies.known(message.from, message.sent) & bits != 0 => {
                format!("{node} does not: it holds it, and a crash would take it")
            }
            None => format!("{node} does not hold it at all"),
        };
        Some(Doubt { weight, truth })
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
        let is_of = |dot: &kv_core::version::Dot| {
            self.record.writes.iter().any(|write| write.dot == *dot && write.request == request)
        };
        self.bits(is_of)
    }

    /// The bits of the dots that the first violation is about.
    fn bits_in_question(&self) -> u8 {
        let subject = self.violations.first().and_then(|violation| violation.subject.as_ref());
        self.bits(|dot| subject.is_some_and(|subject| subject.dots.contains(dot)))
    }

    fn bits(&self, is_it: impl Fn(&kv_core::version::Dot) -> bool) -> u8 {
        let dots = self.record.focus.dots.iter().enumerate();
        dots.filter(|(_, dot)| is_it(dot)).map(|(bit, _)| 1 << bit).sum()
    }
}

/// Tells whether messages of a kind bring copies to nodes beside what clients ask for.
const fn is_carrier(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Handoff(HandoffKind::Deliver)
            | Kind::Repair(RepairKind::Exchange | RepairKind::Exchanged)
    )
}
