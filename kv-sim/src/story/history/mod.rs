//! The history of a run as other checkers read it: what clients asked, what they were told, and when.
//!
//! Takes the beginnings and ends of operations, in the order in which they happen. A write has a
//! number, the first that was asked for being 1, and stands for its value: that is unique even if the
//! bytes are not. A retry has the number of the write that it repeats. So a read is the numbers of
//! the siblings that it showed, and a delete is a write as any other.
//!
//! `docs/histories.md` says which model fits which mode.

mod elle;
mod porcupine;

use std::collections::BTreeMap;

use kv_core::client::{ClientOperation, Reply, RequestRefusal, Verb};
use kv_core::types::{Key, RequestId};
use kv_core::version::{Container, Dot, Version};

use crate::cluster::client::Ended;
use crate::cluster::world_time::WorldTime;
use crate::hashing::Table;

/// The operations of a run, in the order in which they began.
#[derive(Clone, Debug, Default)]
pub struct OperationLog {
    operations: Vec<LoggedOperation>,
    /// The operation that each client waits for.
    waiting: Table<u32, usize>,
    /// The numbers of writes, by their requests.
    writes: Table<RequestId, u64>,
    /// The numbers of writes, by the dots under which clients were shown them.
    shown: BTreeMap<Dot, u64>,
    /// The number of beginnings and ends so far.
    steps: u64,
}

/// The form in which a history is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistoryFormat {
    /// For Porcupine: a JSON object for each operation, a line each.
    Porcupine,
    /// For Elle: an EDN map for each beginning and each end, a line each, as Jepsen writes them.
    Elle,
}

/// An operation of a client.
#[derive(Clone, Debug)]
struct LoggedOperation {
    client: u32,
    key: Key,
    act: LoggedAct,
    /// The time and the step at which it began.
    called: (WorldTime, u64),
    /// The time and the step at which it ended, with the news; none, if it did not.
    ended: Option<(WorldTime, u64, LoggedEnding)>,
}

/// The content of an operation.
#[derive(Clone, Debug)]
enum LoggedAct {
    Read,
    Write {
        number: u64,
        is_delete: bool,
        /// The writes that the client had seen stand.
        seen: Vec<u64>,
    },
}

/// The news with which an operation ended.
#[derive(Clone, Debug)]
enum LoggedEnding {
    /// It was answered, with these siblings: writes by number.
    Answered {
        siblings: Vec<u64>,
        /// The sibling with the greatest time, which a reader sees who asks for one value.
        newest: Option<u64>,
    },
    /// It certainly did not happen.
    Refused,
    /// Nobody knows whether it happened.
    Unknown,
}

impl OperationLog {
    /// Takes the beginning of an operation. `seen` are the siblings that the client had been shown and
    /// that the operation may overwrite.
    pub(crate) fn on_begun(
        &mut self,
        at: WorldTime,
        client: u32,
        asked: &ClientOperation,
        seen: &[Dot],
    ) {
        let act = match (&asked.verb, asked.options.request) {
            (Verb::Put { content, .. }, Some(request)) => {
                let next = self.writes.len() as u64 + 1;
                let number = *self.writes.entry(request).or_insert(next);
                let seen = seen.iter().filter_map(|dot| self.shown.get(dot).copied()).collect();
                LoggedAct::Write { number, is_delete: content.value().is_none(), seen }
            }
            (Verb::Get | Verb::Put { .. }, _) => LoggedAct::Read,
        };
        let called = (at, self.next_step());
        self.waiting.insert(client, self.operations.len());
        let key = asked.key.clone();
        self.operations.push(LoggedOperation { client, key, act, called, ended: None });
    }

    /// Takes the end of the operation that a client waits for.
    pub(crate) fn on_ended(&mut self, at: WorldTime, client: u32, ended: &Ended) {
        let Some(operation) = self.waiting.remove(&client) else { return };
        let ending = match ended {
            Ended::Replied(Reply::Value { container, .. } | Reply::Stored { container, .. }) => {
                self.answered(container)
            }
            // The network may bring a replica once more what it has refused.
            Ended::Replied(Reply::Refused(RequestRefusal::Replica(_))) => LoggedEnding::Unknown,
            Ended::Replied(Reply::Refused(_)) | Ended::Unreachable => LoggedEnding::Refused,
            Ended::Replied(Reply::Unknown { .. }) | Ended::Unknown => LoggedEnding::Unknown,
        };
        let step = self.next_step();
        self.operations[operation].ended = Some((at, step, ending));
    }

    fn answered(&mut self, container: &Container) -> LoggedEnding {
        let Self { writes, shown, .. } = self;
        for (dot, version) in container.siblings() {
            if let Some(&number) = writes.get(&version.request) {
                shown.insert(*dot, number);
            }
        }
        let number = |(_, version): &(Dot, Version)| writes.get(&version.request).copied();
        LoggedEnding::Answered {
            siblings: container.distinct().into_iter().filter_map(number).collect(),
            newest: container.latest().and_then(number),
        }
    }

    fn next_step(&mut self) -> u64 {
        self.steps += 1;
        self.steps
    }

    /// Writes the history in a form that another checker reads.
    pub fn written(&self, format: HistoryFormat) -> String {
        match format {
            HistoryFormat::Porcupine => porcupine::written(self),
            HistoryFormat::Elle => elle::written(self),
        }
    }
}

#[cfg(test)]
mod tests;
