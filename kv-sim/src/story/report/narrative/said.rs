//! What nodes say to each other, in words.

use kv_core::message::{CoordinatorKind, HandoffKind, Kind, RepairKind, ReplicaKind};

use super::Report;
use crate::story::record::fact::{RecordedMessage, WriteContext};
use crate::story::record::questions::AskedQuestion;

impl Report<'_> {
    /// A message in words, if it is worth a line of a story.
    pub(super) fn said(&self, message: &RecordedMessage) -> Option<String> {
        let RecordedMessage { from, to, kind, ended, lost, content, .. } = message;
        let (is_own, sender) = (from == to, self.node(*from));
        let receiver = if is_own { "itself" } else { self.node(*to) };
        let holds = self.writes(content.siblings.as_deref().unwrap_or_default());
        let words = &content.words;
        let note = if words.is_empty() { String::new() } else { format!(", {words}") };
        let said = match kind {
            Kind::Replica(ReplicaKind::Mint) => {
                let write = self.requested(message.request);
                let context = content.context.as_ref().map(|context| self.mint_context(context));
                let context = context.map(|words| format!(", {words}")).unwrap_or_default();
                let asks = format!("asks {receiver} to store {write} and mint a dot for it");
                match self.silence(message) {
                    Some(silence) => format!("{sender} {silence}, and {asks}{context}{note}"),
                    None => format!("{sender} {asks}{context}{note}"),
                }
            }
            Kind::Replica(ReplicaKind::Hint) => {
                format!("{sender} sends {receiver} {holds}{note}")
            }
            Kind::Replica(ReplicaKind::Merge) => {
                format!("{sender} sends {receiver} {holds} to store")
            }
            Kind::Replica(ReplicaKind::Read) if lost.is_some() => {
                format!("{sender} asks {receiver} what it holds")
            }
            Kind::Replica(ReplicaKind::Read) => return None,
            Kind::Coordinator(CoordinatorKind::Minted) if lost.is_some() => {
                format!("{sender} tells {receiver} that it has stored {holds}")
            }
            Kind::Coordinator(CoordinatorKind::Minted) => return None,
            Kind::Coordinator(CoordinatorKind::Acked) => {
                let write = self.asked_about(message);
                format!("{sender} tells {receiver} that it holds {write} durably{note}")
            }
            Kind::Coordinator(CoordinatorKind::Refused) => {
                let what = match message.content.answered.as_ref().map(|asked| asked.kind) {
                    Some(Kind::Replica(ReplicaKind::Read)) => "to say what it holds".to_owned(),
                    Some(Kind::Replica(ReplicaKind::Hint)) => {
                        format!("to keep {}", self.asked_about(message))
                    }
                    _ => format!("to store {}", self.asked_about(message)),
                };
                let whose = if is_own { "" } else { &format!(" for {receiver}") };
                format!("{sender} refuses {what}{whose}: {words}")
            }
            Kind::Coordinator(CoordinatorKind::ReadReply) => {
                format!("{sender} answers {receiver}: it holds {holds}")
            }
            Kind::Handoff(HandoffKind::Deliver) => {
                format!("{sender} hands {receiver} the hint that it kept for it: {holds}")
            }
            Kind::Handoff(HandoffKind::Delivered) => {
                let hint = self.asked_about(message);
                format!("{sender} tells {receiver} that it holds {hint} durably, as handed over")
            }
            Kind::Repair(RepairKind::Exchange) => {
                let sends = content.siblings.as_ref().map(|_| format!("sends {holds}"));
                let asks = Some(words.clone()).filter(|words| !words.is_empty());
                let parts: Vec<_> = sends.into_iter().chain(asks).collect();
                format!("{sender} compares itself with {receiver}, and {}", parts.join(", and "))
            }
            Kind::Repair(RepairKind::Exchanged) => {
                let pushed = content.answered.as_ref().and_then(|asked| asked.siblings.as_deref());
                let holds_it =
                    pushed.map(|dots| format!("says that it holds {} durably", self.writes(dots)));
                let sends = content.siblings.as_ref().map(|_| format!("sends {holds}"));
                let parts: Vec<_> = sends.into_iter().chain(holds_it).collect();
                format!(
                    "{sender} answers the comparison of {receiver}: it {}",
                    parts.join(", and ")
                )
            }
            Kind::Repair(_) | Kind::Gossip(_) | Kind::Founding(_) | Kind::Recall(_) => {
                return None;
            }
        };
        Some(match lost {
            None if is_own => said,
            None => format!("{said} (there at {ended})"),
            Some(how) => format!("{said}: the message {how}"),
        })
    }

    /// The content of a message in words, with what comes before it; empty if there is nothing to say.
    pub(in super::super) fn content(&self, message: &RecordedMessage) -> String {
        let content = &message.content;
        let carried = content.siblings.as_ref().map(|dots| self.writes(dots));
        let write = match message.kind {
            Kind::Replica(ReplicaKind::Mint) => Some(self.requested(message.request)),
            _ => None,
        };
        let context = content.context.as_ref().map(|context| self.mint_context(context));
        let answered = match message.kind {
            Kind::Coordinator(CoordinatorKind::Acked | CoordinatorKind::Refused) => {
                let kind = content.answered.as_ref().map(|asked| asked.kind.name());
                kind.map(|kind| match self.asked_writes(message) {
                    Some(writes) => format!("the {kind} of {writes}"),
                    None => format!("the {kind}"),
                })
            }
            Kind::Handoff(HandoffKind::Delivered) => self.asked_writes(message),
            Kind::Repair(RepairKind::Exchanged) => {
                let pushed = content.answered.as_ref().and_then(|asked| asked.siblings.as_deref());
                pushed.map(|dots| format!("in answer to {}", self.writes(dots)))
            }
            _ => None,
        };
        let words = (!content.words.is_empty()).then(|| content.words.clone());
        let all = [carried, write, context, answered, words];
        let parts: Vec<_> = all.into_iter().flatten().collect();
        if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) }
    }

    /// The writes that an answer is about: those that the question carried.
    fn asked_about(&self, message: &RecordedMessage) -> String {
        self.asked_writes(message).unwrap_or_else(|| "the write".to_owned())
    }

    fn asked_writes(&self, message: &RecordedMessage) -> Option<String> {
        let AskedQuestion { kind, siblings, .. } = message.content.answered.as_ref()?;
        match (kind, siblings) {
            (_, Some(dots)) => Some(self.writes(dots)),
            (Kind::Replica(ReplicaKind::Mint), None) => Some(self.requested(message.request)),
            (_, None) => None,
        }
    }

    /// The context with which a replica is asked to mint, in words.
    fn mint_context(&self, context: &WriteContext) -> String {
        match context {
            WriteContext::Nothing => "in place of nothing: its context is empty".to_owned(),
            WriteContext::Shown(dots) => {
                format!("in place of {}, and of nothing else", self.writes(dots))
            }
            WriteContext::Latest(dots) if dots.is_empty() => {
                "in place of all that it holds".to_owned()
            }
            WriteContext::Latest(dots) => format!(
                "in place of all that it holds, and of {}, which the writer has seen",
                self.writes(dots)
            ),
        }
    }

    /// The time for which a coordinator has waited for a replica before it asks another one to mint, in
    /// words; none, if it asks the first one, or has been answered.
    fn silence(&self, message: &RecordedMessage) -> Option<String> {
        let is_of = |other: &&RecordedMessage| other.request == message.request;
        let all = || self.record.messages.iter().filter(is_of);
        let is_before = |other: &&RecordedMessage| {
            (other.kind, other.from) == (message.kind, message.from)
                && other.to != message.to
                && other.sent < message.sent
        };
        let before = all().filter(is_before).max_by_key(|other| other.sent)?;
        let is_answer = |other: &RecordedMessage| {
            matches!(other.kind, Kind::Coordinator(_))
                && (other.from, other.to) == (before.to, before.from)
                && other.ended <= message.sent
                && other.lost.is_none()
        };
        if all().any(is_answer) {
            return None;
        }
        let waited_ms = (message.sent.0 - before.sent.0) / 1_000;
        Some(format!("has waited {waited_ms} ms for an answer of {}", self.node(before.to)))
    }
}
