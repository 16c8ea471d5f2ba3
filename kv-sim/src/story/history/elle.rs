//! A history for Elle: an EDN map a line for each beginning and each end, as Jepsen writes them, of
//! transactions with one read or one write of a register (`elle.rw-register`).
//!
//! A read shows the newest sibling, under `:value`; all of them stand under `:siblings`, which Elle
//! does not look at. `:ok` has happened, `:fail` certainly has not, and of `:info` nobody knows. A
//! process of which that is so never asks again, so its client goes on as another process.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::{LoggedAct, LoggedEnding, LoggedOperation, OperationLog};
use crate::cluster::world_time::WorldTime;

/// One line, in the order of the history.
struct HistoryLine<'a> {
    step: u64,
    at: WorldTime,
    word: &'static str,
    operation: &'a LoggedOperation,
    ending: Option<&'a LoggedEnding>,
}

/// Writes a history.
pub(super) fn written(log: &OperationLog) -> String {
    let mut lines: Vec<_> = log.operations.iter().flat_map(lines).collect();
    lines.sort_unstable_by_key(|line| line.step);
    let clients: BTreeSet<_> = log.operations.iter().map(|operation| operation.client).collect();
    let count = clients.last().map_or(1, |last| u64::from(*last) + 1);
    let mut processes: BTreeMap<u32, u64> = BTreeMap::new();
    let mut text = String::new();
    for (index, line) in lines.iter().enumerate() {
        let HistoryLine { at, word, operation, ending, .. } = line;
        let process = processes.entry(operation.client).or_insert(operation.client.into());
        let value = value(operation, *ending);
        let _ = write!(
            text,
            "{{:type :{word}, :f :txn, :value [{value}], :time {}, :process {process}, :index {index}",
            at.0 * 1_000,
        );
        if let Some(LoggedEnding::Answered { siblings, .. }) = ending {
            let siblings: Vec<_> = siblings.iter().map(u64::to_string).collect();
            let _ = write!(text, ", :siblings [{}]", siblings.join(" "));
        }
        text.push_str("}\n");
        if *word == "info" {
            *process += count;
        }
    }
    text
}

/// The beginning of an operation, and its end if it has one.
fn lines(operation: &LoggedOperation) -> impl Iterator<Item = HistoryLine<'_>> {
    let (at, step) = operation.called;
    let begun = HistoryLine { step, at, word: "invoke", operation, ending: None };
    let ended = operation.ended.as_ref().map(|(at, step, ending)| {
        let word = match ending {
            LoggedEnding::Answered { .. } => "ok",
            LoggedEnding::Refused => "fail",
            LoggedEnding::Unknown => "info",
        };
        HistoryLine { step: *step, at: *at, word, operation, ending: Some(ending) }
    });
    std::iter::once(begun).chain(ended)
}

/// The one part of the transaction: `[:w "k1" 7]`, `[:r "k1" nil]`.
fn value(operation: &LoggedOperation, ending: Option<&LoggedEnding>) -> String {
    let key = quoted(&operation.key.to_string());
    match (&operation.act, ending) {
        (LoggedAct::Write { number, .. }, _) => format!("[:w {key} {number}]"),
        (LoggedAct::Read, Some(LoggedEnding::Answered { newest: Some(newest), .. })) => {
            format!("[:r {key} {newest}]")
        }
        (LoggedAct::Read, _) => format!("[:r {key} nil]"),
    }
}

/// A text as EDN spells it.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
