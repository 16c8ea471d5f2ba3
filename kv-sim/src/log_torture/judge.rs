//! What a start may show, by what the node was told and by what lies in the files: neither the frames'
//! checksums nor the log's own reckoning are asked.

use kv_core::log::{CorruptPlace, LogPosition, LogVerdict};

use super::node::{AppendedBatch, TortureNode};

/// The way in which the last run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RunEnding {
    /// By a clean stop.
    Stopped,
    /// The process died; what it had written is still in the system's memory.
    ProcessDied,
    /// The power failed.
    PowerFailed,
}

/// The findings of one start of a node on its log.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) verdict: LogVerdict,
    pub(super) batches: Vec<(LogPosition, Vec<u8>)>,
}

/// A rule that was broken: the name of a check, and what happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The name of the check.
    pub check: &'static str,
    /// The rule that was broken, in words.
    pub story: String,
}

/// The kind of a start that broke no rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Judged {
    /// True if something is missing that was promised, and nothing in the files says so.
    pub(super) is_unwitnessed: bool,
    /// True if batches were shown that had been undone.
    pub(super) is_of_another_past: bool,
}

/// Judges a start.
pub(super) fn judge(
    node: &TortureNode,
    ending: RunEnding,
    shown: &Shown,
) -> Result<Judged, Broken> {
    let may_be_corrupt = node.faults.met.keys().any(|fault| fault.costs_promises());
    let from = node.disk.replay_from.position;
    let expected: Vec<_> = node.appended.iter().filter(|batch| batch.end > from).collect();
    let is_corrupt = matches!(shown.verdict, LogVerdict::Corrupt(_));
    if is_corrupt && !may_be_corrupt {
        return Err(broken("false-alarm", format!("nothing was wrong: {}", said(&shown.verdict))));
    }
    let is_clean = shown.verdict == LogVerdict::Clean;
    if !may_be_corrupt && is_clean != (ending == RunEnding::Stopped) {
        return Err(broken("clean-stop", format!("{ending:?} is {}", said(&shown.verdict))));
    }
    let Some(missing) = missing(&expected, shown) else {
        return judge_another_past(node, &expected, shown);
    };
    let Some(&first) = missing.first() else { return Ok(Judged::default()) };
    if !is_corrupt && missing.len() < expected.len() - first {
        return Err(broken(
            "unnamed-hole",
            "what comes behind it is there, and it is not named".to_owned(),
        ));
    }
    let promised = match (ending, may_be_corrupt) {
        (RunEnding::PowerFailed | RunEnding::Stopped, _) | (_, true) => node.synced,
        (RunEnding::ProcessDied, false) => node.written,
    };
    let first = expected[first];
    if first.end > promised || is_corrupt {
        return Ok(Judged::default());
    }
    let lost =
        format!("the batch at {} is gone, and the log is {}", first.end, said(&shown.verdict));
    if !may_be_corrupt {
        return Err(broken("durability", lost));
    }
    // What took the place of the lost batch may reach further than that.
    let beyond = match shown.verdict {
        LogVerdict::Torn { at } if node.may_show_what_was_undone() => LogPosition(at.0 + 1),
        LogVerdict::Torn { .. } | LogVerdict::Clean | LogVerdict::Corrupt(_) => first.end,
    };
    match witness(node, beyond.max(first.end)) {
        Some(witness) => Err(broken("silent-loss", format!("{lost}, though {witness}"))),
        None => Ok(Judged { is_unwitnessed: true, is_of_another_past: false }),
    }
}

/// Judges a start that shows what was undone. That can only be if an image brought it back, and if
/// nothing says that it is out of place: nothing of this past follows it, and no witness lies beyond it.
fn judge_another_past(
    node: &TortureNode,
    expected: &[&AppendedBatch],
    shown: &Shown,
) -> Result<Judged, Broken> {
    let is_right = |(end, bytes): &(LogPosition, Vec<u8>)| {
        let past = expected.iter().copied().chain(&node.missed);
        past.into_iter().any(|batch| batch.end == *end && batch.bytes == *bytes)
    };
    let was_made = shown.batches.iter().all(|(end, bytes)| node.has_ever_appended(*end, bytes));
    let from_wrong = shown.batches.iter().skip_while(|batch| is_right(batch));
    let right_follows = from_wrong.into_iter().any(is_right);
    let beyond = match shown.verdict {
        LogVerdict::Torn { at } => witness(node, LogPosition(at.0 + 1)),
        LogVerdict::Clean | LogVerdict::Corrupt(_) => None,
    };
    let is_corrupt = matches!(shown.verdict, LogVerdict::Corrupt(_));
    let is_excused = is_corrupt || (!right_follows && beyond.is_none());
    if !node.may_show_what_was_undone() || !is_excused || !was_made {
        let verdict = said(&shown.verdict);
        let wrong = format!("a batch that was not appended, or in another order: {verdict}");
        return Err(broken("invented", wrong));
    }
    Ok(Judged { is_of_another_past: true, is_unwitnessed: !is_corrupt })
}

/// The indices of the batches that are not shown; nothing, if what is shown is not a part of them in
/// their order.
fn missing(expected: &[&AppendedBatch], shown: &Shown) -> Option<Vec<usize>> {
    let mut missing = Vec::new();
    let mut shown = shown.batches.iter().peekable();
    for (at, batch) in expected.iter().enumerate() {
        match shown.peek() {
            Some((end, bytes)) if *end == batch.end && *bytes == batch.bytes => {
                shown.next();
            }
            Some(_) | None => missing.push(at),
        }
    }
    shown.next().is_none().then_some(missing)
}

/// The bytes in the files that lie as they were written, and say that the log was durable up to this position.
fn witness(node: &TortureNode, end: LogPosition) -> Option<String> {
    let is_marked = node.marker.is_some() && node.disk.marker == node.marker;
    if is_marked && node.stopped_at >= end {
        return Some(format!("the marker says that the log goes on to {}", node.stopped_at));
    }
    let size = node.segment_bytes();
    let first = node.identity.segment_bytes.segment_before(node.disk.replay_from.position).0;
    let files: Vec<_> = node.disk.files.range(first..).collect();
    if let Some((number, _)) = files.iter().find(|(_, file)| file.live.len() < size) {
        return Some(format!("the file of segment {number} is short"));
    }
    if let Some((_, (number, _))) =
        (first..).zip(&files).find(|&(expected, &(&number, _))| number != expected)
    {
        return Some(format!("there is no file before that of segment {number}"));
    }
    let made = node.made.iter().find(|made| made.knew >= end && node.disk.holds(&made.write));
    made.map(|made| {
        let (segment, offset) = (made.write.segment, made.write.offset);
        format!("what lies in segment {segment} at {offset} knows it durable up to {}", made.knew)
    })
}

fn broken(check: &'static str, story: String) -> Broken {
    Broken { check, story }
}

fn said(verdict: &LogVerdict) -> String {
    match verdict {
        LogVerdict::Clean => "clean".to_owned(),
        LogVerdict::Torn { at } => format!("torn at {at}"),
        LogVerdict::Corrupt(corruption) => {
            let places = corruption.found.iter().map(CorruptPlace::to_string);
            format!("corrupt: {}", places.collect::<Vec<_>>().join("; "))
        }
    }
}
