//! Check `last-write`: in a bucket in which the last write wins, a read shows the one sibling that
//! is later than all others.
//!
//! Later than a version is what is stamped with a greater time, or with the same and a greater dot.
//! Later is also every version whose writer had seen it, or had seen one that is later: so the last of
//! a chain of writes, each of which began when the one before was known, is later than everything that
//! any of the chain is later than, whatever the clocks of those show who minted. Whether the chain is
//! unbroken, and whether a read meets its end, are matters of `order` and `freshness`.
//!
//! A write that was asked for once may be minted twice, the second time long after others have
//! overwritten it. Then the twin is no later than the write that it is a twin of: whoever has seen the
//! one is later than the other, unless that knew of something later still.
//!
//! The times are those with which versions were stamped when they were minted, not those that they
//! are shown with.

use kv_core::config::{Config, Resolve};
use kv_core::time::{HybridTime, Time};
use kv_core::types::NodeId;
use kv_core::version::{Container, Dot};

use super::check::Check;
use super::findings::Findings;
use super::history::{EventIndex, History};
use super::occasions::{OperationEnd, OperationEnding};
use super::story::{Names, when};
use super::{Setting, WorldView};

/// The `last-write` check.
#[derive(Clone, Debug)]
pub(super) struct LastWrite {
    /// The findings so far, counted in reads that were shown something.
    findings: Findings,
    /// The configuration of all nodes, which says how siblings are shown.
    config: Config,
}

impl Check for LastWrite {
    const NAME: &'static str = "last-write";
    const ABOUT: &'static str = "where the last write wins, a read shows the latest sibling";

    fn new(setting: &Setting) -> Self {
        Self { findings: Findings::default(), config: setting.config.clone() }
    }

    fn findings(&self) -> &Findings {
        &self.findings
    }

    fn on_end(&mut self, end: &mut OperationEnd<'_, impl WorldView>) {
        let &mut OperationEnd { at, operation, ref history, ref ending, names, .. } = end;
        let OperationEnding::Value(answer) = ending else { return };
        let resolve = self.config.resolve(history.key.bytes());
        if resolve != Resolve::Lww || answer.reach.standing.is_empty() {
            return;
        }
        self.findings.examined += 1;
        let standing = &answer.reach.standing;
        let shown = shown(resolve, answer.container);
        let is_latest = shown
            .and_then(|dot| history.named(dot))
            .is_some_and(|shown| standing.iter().all(|&other| !is_later(history, other, shown)));
        if !is_latest {
            let place = (operation.coordinator, at);
            self.findings.violated_about(
                || history.subject(standing.iter().copied()),
                || story(history, standing, shown, place, names),
            );
        }
    }
}

/// The dot of the one version that a reader is shown; none if there are several, or if the value that
/// a reader is given who knows nothing of siblings is not the version's.
fn shown(resolve: Resolve, container: &Container) -> Option<Dot> {
    match resolve.shown(container)[..] {
        [(dot, version)] if resolve.single(container) == version.content.value() => Some(*dot),
        _ => None,
    }
}

/// Tells whether one event is later than another.
fn is_later(history: &History, one: EventIndex, other: EventIndex) -> bool {
    let stamp = |event| (history.event(event).stamp, history.dot(event));
    history.is_ancestor(other, one)
        || history.event(one).stamp_known > history.event(other).stamp
        || has_seen_twin(history, one, other)
        || stamp(one) > stamp(other) && one != other
}

/// Tells whether the writer of one event had seen a twin of another one, which itself knew of nothing
/// later.
fn has_seen_twin(history: &History, one: EventIndex, other: EventIndex) -> bool {
    let write = history.write_of(other);
    write.asked_once().is_some()
        && write.events.iter().any(|&twin| history.is_ancestor(twin, one))
        && history.event(other).stamp_known.next() < history.event(one).stamp
}

fn story(
    history: &History,
    standing: &[EventIndex],
    shown: Option<Dot>,
    (coordinator, at): (NodeId, Time),
    names: &Names,
) -> String {
    let siblings = standing.iter().map(|&event| {
        let (stamp, known) = (history.event(event).stamp, history.event(event).stamp_known);
        let above = match known {
            HybridTime(0) => String::new(),
            HybridTime(known) => format!(", its writer knew of {known}"),
        };
        let write = history.describe(history.event(event).write, names);
        format!("\n  sibling: {write}, stamped {}{above}", stamp.0)
    });
    let siblings: String = siblings.collect();
    format!(
        "a read of {:?}, where the last write wins, did not show the last{siblings}\n  shown:   {} \
         through {} at {}",
        history.key,
        names.dots(shown),
        names.node(coordinator),
        when(at),
    )
}
