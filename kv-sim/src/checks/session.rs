//! Check `session`: no read hides what a monotonic read has shown before it began.
//!
//! Promised where reads are strict and monotonic: such a read is answered only when what it shows
//! stands at so many owners that every read which asks as many meets one of them, whoever asks and
//! through whichever node (CASSANDRA-14740). So the check looks at all clients together, which is
//! more than a session is promised elsewhere. A session's reads of its own writes are a case of
//! `freshness`, which judges them for all clients as well.

use std::collections::BTreeMap;

use kv_core::quorum::Mode;
use kv_core::time::Time;

use super::check::Check;
use super::counted_sets::CountedSets;
use super::datacenters::Datacenters;
use super::findings::Findings;
use super::history::{EventIndex, History};
use super::occasions::{OperationEnd, OperationEnding};
use super::operation::{Operation, Terms};
use super::per_key::PerKey;
use super::story::{Names, when};
use super::{OperationNumber, Setting, WorldView};

/// The `session` check.
#[derive(Clone, Debug, Default)]
pub(super) struct Session {
    /// The findings so far, counted in strict reads that came after a monotonic one of the key.
    findings: Findings,
    /// The siblings that monotonic reads have shown, each with the first that did.
    shown: PerKey<BTreeMap<EventIndex, ShownEvent>>,
}

/// The record that a monotonic read has shown an event.
#[derive(Clone, Debug)]
struct ShownEvent {
    /// The time at which the event was shown.
    at: Time,
    /// The time at which the read began: since then, owners may have answered that they hold the
    /// event.
    since: Time,
    /// The answer's place among all that the checks were told.
    step: u64,
    /// The answers that the read took.
    reads: CountedSets,
    /// The operation that read.
    by: OperationNumber,
}

impl Check for Session {
    const NAME: &'static str = "session";
    const ABOUT: &'static str = "what a monotonic read has shown, no later read hides";

    fn new(_: &Setting) -> Self {
        Self::default()
    }

    fn findings(&self) -> &Findings {
        &self.findings
    }

    fn on_end(&mut self, end: &mut OperationEnd<'_, impl WorldView>) {
        let &mut OperationEnd {
            at,
            step,
            operation: read,
            ref history,
            ref ending,
            world,
            names,
            ..
        } = end;
        let OperationEnding::Value(answer) = ending else { return };
        let Terms { mode: Mode::Strict, reads: Some(reads), monotonic, .. } = &read.terms else {
            return;
        };
        let datacenters = world.datacenters();
        let reach = &answer.reach;
        let shown_before = self.shown.get_mut(history);
        if !shown_before.is_empty() {
            self.findings.examined += 1;
            let hidden = |&event: &EventIndex| {
                let shown = shown_before.get(&event);
                let meets = |shown: &ShownEvent| {
                    reads.meet(&shown.reads.standing(datacenters), datacenters)
                };
                shown.is_some_and(|shown| shown.step < read.step && meets(shown))
            };
            let hidden = reach.unreached.iter().filter(hidden).collect();
            for event in history.without_twins(&reach.standing, hidden) {
                let shown = &shown_before[&event];
                if history.taken_at.is_some_and(|taken_from| taken_from >= shown.since) {
                    self.findings.weakened += 1;
                } else {
                    self.findings.violated_about(
                        || history.subject([event]).with([shown.by]),
                        || story(history, event, shown, (read, reads), at, datacenters, names),
                    );
                }
            }
        }
        if *monotonic {
            for &event in &reach.standing {
                let Operation { number: by, started: since, .. } = *read;
                let shown = || ShownEvent { at, since, step, reads: reads.clone(), by };
                shown_before.entry(event).or_insert_with(shown);
            }
        }
    }
}

fn story(
    history: &History,
    event: EventIndex,
    shown: &ShownEvent,
    (read, reads): (&Operation, &CountedSets),
    at: Time,
    datacenters: &Datacenters,
    names: &Names,
) -> String {
    let Operation { number, coordinator, started, .. } = read;
    format!(
        "a strict read of {:?} hid what a monotonic read had shown before it began\n  \
         write:  {}\n  shown:  at {} by operation {} (R = {})\n  \
         hidden: by operation {number} through {} from {} to {} (R = {})",
        history.key,
        history.describe(history.event(event).write, names),
        when(shown.at),
        shown.by,
        shown.reads.words(datacenters),
        names.node(*coordinator),
        when(*started),
        when(at),
        reads.words(datacenters),
    )
}
