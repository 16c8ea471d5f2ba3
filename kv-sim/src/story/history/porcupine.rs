//! A history for Porcupine: one JSON object a line, with the fields of its type `Operation`
//! (`ClientId`, `Input`, `Call`, `Output`, `Return`), so that Go reads a line by `json.Unmarshal`.
//!
//! Times are in nanoseconds. What certainly did not happen is left out, and so is a read without an
//! answer. A write of which nobody knows whether it happened may do so until the end: it returns
//! there.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{LoggedAct, LoggedEnding, LoggedOperation, OperationLog};
use crate::cluster::world_time::WorldTime;

/// Writes a history.
pub(super) fn written(log: &OperationLog) -> String {
    let called = log.operations.iter().map(|operation| operation.called.0);
    let ended = log.operations.iter().filter_map(|operation| operation.ended.as_ref());
    let last = called.chain(ended.map(|(at, ..)| *at)).max().unwrap_or(WorldTime(0));
    let mut text = String::new();
    for line in log.operations.iter().filter_map(|operation| line(operation, last)) {
        let _ = writeln!(text, "{line}");
    }
    text
}

/// An operation as a line; none, if it is left out. `last` is the time of the last beginning or end.
fn line(operation: &LoggedOperation, last: WorldTime) -> Option<Value> {
    let LoggedOperation { client, key, act, called, ended } = operation;
    let (output, at) = match ended {
        Some((at, _, LoggedEnding::Answered { siblings, newest })) => {
            (json!({ "value": newest, "siblings": siblings }), *at)
        }
        Some((_, _, LoggedEnding::Refused)) => return None,
        Some((_, _, LoggedEnding::Unknown)) | None => {
            let open = || (Value::Null, WorldTime(last.0 + 1));
            matches!(act, LoggedAct::Write { .. }).then(open)?
        }
    };
    let key = key.to_string();
    let input = match act {
        LoggedAct::Read => json!({ "op": "read", "key": key }),
        LoggedAct::Write { number, is_delete, seen } => {
            let op = if *is_delete { "delete" } else { "write" };
            json!({ "op": op, "key": key, "value": number, "seen": seen })
        }
    };
    Some(json!({
        "ClientId": client,
        "Input": input,
        "Call": nanoseconds(called.0),
        "Output": output,
        "Return": nanoseconds(at),
    }))
}

fn nanoseconds(at: WorldTime) -> u64 {
    at.0 * 1_000
}
