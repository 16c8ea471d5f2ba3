//! Check `session`: no read hides what a monotonic read has shown before it began.
//!
//! Promised where reads are strict and monotonic: such a read is answered only when what it shows
//! stands at so many owners that every read which asks as many meets one of them, whoever asks and
//! through whichever node (CASSANDRA-14740). So the check looks at all clients together, which is
//! more than a session is promised elsewhere. A session's reads of its own writes are a case of
//! `freshness`, which judges them for all clients as well.

use kv_core::quorum::Mode;
use kv_core::time::Time;

use super::findings::Findings;
use super::history::{EventIndex, History, Reach, Shown};
use super::operation::{Operation, Terms};
use super::story::{Names, when};

/// The `session` check.
#[derive(Clone, Debug, Default)]
pub(super) struct Session {
    /// The findings so far, counted in strict reads that came after a monotonic one of the key.
    pub(super) findings: Findings,
}

impl Session {
    /// Judges a read that was answered with a container that reaches this far.
    pub(super) fn on_read(
        &mut self,
        history: &mut History,
        reach: &Reach,
        read: &Operation,
        at: Time,
        step: u64,
        names: &Names,
    ) {
        let Terms { mode: Mode::Strict, reads: Some(reads), monotonic, .. } = read.terms else {
            return;
        };
        if history.has_shown() {
            self.findings.examined += 1;
            let hidden = |&event: &EventIndex| {
                let shown = history.shown(event);
                shown.is_some_and(|shown| shown.step < read.step && reads >= shown.reads)
            };
            let hidden = reach.unreached.iter().filter(hidden).collect();
            for event in history.without_twins(reach, hidden) {
                let shown = history.shown(event).expect("it is one of those that were shown");
                if history.taken_at.is_some_and(|taken_from| taken_from >= shown.since) {
                    self.findings.weakened += 1;
                } else {
                    self.findings.violated_about(
                        || history.subject([event]),
                        || story(history, event, shown, read, at, names),
                    );
                }
            }
        }
        if monotonic {
            for &event in &reach.standing {
                let Operation { number: by, started: since, .. } = *read;
                history.show(event, Shown { at, since, step, reads, by });
            }
        }
    }
}

fn story(
    history: &History,
    event: EventIndex,
    shown: &Shown,
    read: &Operation,
    at: Time,
    names: &Names,
) -> String {
    let Operation { number, coordinator, started, terms, .. } = read;
    format!(
        "a strict read of {:?} hid what a monotonic read had shown before it began\n  \
         write:  {}\n  shown:  at {} by operation {} (R = {})\n  \
         hidden: by operation {number} through {} from {} to {} (R = {})",
        history.key,
        history.describe(history.event(event).write, names),
        when(shown.at),
        shown.by,
        shown.reads,
        names.node(*coordinator),
        when(*started),
        when(at),
        terms.reads.unwrap_or_default(),
    )
}
