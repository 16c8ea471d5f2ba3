//! The part of a story that clients know: what they asked, with which context, and what they were
//! answered.

use super::line::{Doubt, DoubtWeight, Line, Sort};
use super::{BrokenPromise, Report};
use crate::story::record::fact::{ClientVerb, RecordedEnding, RecordedOperation, WriteContext};

impl Report<'_> {
    /// Tells what a client asked, and what it was answered.
    pub(super) fn tell_operation(
        &self,
        operation: &RecordedOperation,
        doubt: Option<Doubt>,
        lines: &mut Vec<Line>,
    ) {
        let RecordedOperation { client, number, node, begun, ended, ending, .. } = operation;
        let (node, what) = (self.node(*node), self.asked(operation));
        let text = format!("client {client} asks {node} {what} (its operation #{number})");
        lines.push(Line::new(*begun, Sort::Asked, text));
        if *ending == RecordedEnding::Never {
            return;
        }
        let text = format!("client {client} is answered (#{number}): {}", self.ending(operation));
        lines.push(Line::new(*ended, Sort::Told, text).doubted(doubt));
    }

    /// The request of an operation in words, with the context that a write carries.
    pub(in super::super) fn asked(&self, operation: &RecordedOperation) -> String {
        let key = &operation.key;
        let what = match &operation.asked {
            ClientVerb::Get => return format!("to read {key:?}"),
            ClientVerb::Put(value) => format!("to write \"{value}\" to {key:?}"),
            ClientVerb::Delete => format!("to delete {key:?}"),
        };
        match &operation.context {
            None => what,
            Some(context) => format!("{what}, {}", self.context(context)),
        }
    }

    /// The context of a write in words.
    fn context(&self, context: &WriteContext) -> String {
        match context {
            WriteContext::Nothing => "without a context: it knows of no value".to_owned(),
            WriteContext::Shown(dots) if dots.is_empty() => {
                "with the context of an answer that showed nothing".to_owned()
            }
            WriteContext::Shown(dots) => {
                format!("in place of {}, which it was shown", self.writes(dots))
            }
            WriteContext::Latest(dots) if dots.is_empty() => {
                "in place of whatever the replica holds".to_owned()
            }
            WriteContext::Latest(dots) => format!(
                "in place of whatever the replica holds, and of {}, which it has seen",
                self.writes(dots)
            ),
        }
    }

    /// The ending of an operation, in words.
    pub(in super::super) fn ending(&self, operation: &RecordedOperation) -> String {
        match &operation.ending {
            RecordedEnding::Never => "nothing: the run was over".to_owned(),
            RecordedEnding::Unreachable => "nobody listens there: it did not happen".to_owned(),
            RecordedEnding::Unknown { heard } if heard.is_empty() => {
                "no answer in time: it may have happened or not".to_owned()
            }
            RecordedEnding::Unknown { heard } => format!(
                "no answer in time: it may have happened or not; {} had answered by then",
                self.nodes(heard)
            ),
            RecordedEnding::Refused(reason) => format!("refused: {reason}"),
            RecordedEnding::Answered { shown, newest, owners, fallbacks } => {
                let by = match fallbacks.len() {
                    0 => self.nodes(owners),
                    _ => format!(
                        "{}, and {} in the place of owners",
                        self.nodes(owners),
                        self.nodes(fallbacks)
                    ),
                };
                match operation.asked {
                    ClientVerb::Get => {
                        let newest = newest
                            .map(|dot| format!(", of which {} is the newest", self.write(dot)));
                        let newest = newest.unwrap_or_default();
                        format!("it reads {}{newest} (from {by})", self.writes(shown))
                    }
                    ClientVerb::Put(_) | ClientVerb::Delete => {
                        let others = shown.iter().filter(|&&dot| !self.is_of(dot, operation));
                        let beside: Vec<_> = others.copied().collect();
                        let beside = match beside.len() {
                            0 => String::new(),
                            _ => format!(", beside {}", self.writes(&beside)),
                        };
                        format!("done, and durable on {by}{beside}")
                    }
                }
            }
        }
    }

    fn is_of(&self, dot: kv_core::version::Dot, operation: &RecordedOperation) -> bool {
        let asked = Some((operation.client, operation.number));
        self.record.writes.iter().any(|write| {
            write.dot == dot && crate::cluster::client_ids::requester_of(write.request) == asked
        })
    }

    /// What is wrong with the answer to the operation that a violation names.
    pub(super) fn wrong_answer(&self, violation: &BrokenPromise) -> Option<Doubt> {
        let missing = || {
            let subject = violation.subject.as_ref()?;
            Some(self.writes(&subject.dots))
        };
        let truth = match violation.check.as_str() {
            "freshness" => {
                format!("{} was acknowledged before this read began, and is missing", missing()?)
            }
            "session" => format!("{} had been shown before, and is missing", missing()?),
            "deletion" => format!("it had been deleted, by {}", missing()?),
            "linearizability" => {
                "whatever the order of these operations, no register answers so".to_owned()
            }
            "availability" => "all that it needed was there".to_owned(),
            "ownership" => "those nodes do not count as that".to_owned(),
            "causality" => {
                "what it shows, or claims to account for, is not what was written".into()
            }
            "durability" => "not all of these nodes hold it durably".to_owned(),
            _ => return None,
        };
        Some(Doubt { weight: DoubtWeight::Answer, truth })
    }
}
