//! Check `availability`: an operation succeeds while as many machines as it needs are reachable.
//!
//! Takes operations that ended without success: nobody knows how, or they were refused. What is owed
//! is a matter of the operation alone: its coordinator, and those of the owners and other nodes that
//! were well, and reachable from it, from its beginning to its end. If these are enough, and the time
//! that it had is long enough for the longest way on which it may have to find them, it must
//! succeed, whatever happens elsewhere. Nodes that do not answer make that way longer; 5 s after
//! they fell silent the coordinator must know them for down (semantics.md §6), and they do no more.
//! Fallbacks are owed only from then on, as a coordinator asks those alone whom it takes for up.
//!
//! The world says who was well, and since when; the pace, whether messages and disks were fast enough.
//!
//! A refusal is no excuse by itself: that one replica has a reason is nothing to the client while
//! others could have taken the request. Only some reasons are the request's own, or protect what
//! is there, and excuse it: `refusals` judges whether they are true. What protects what is there
//! excuses the operation also if its client learns nothing of it, since another replica that was asked
//! is silent and may have taken the write.

use kv_core::client::RequestRefusal;
use kv_core::quorum::Mode;
use kv_core::store::Refusal;
use kv_core::time::Span;

use super::check::Check;
use super::counted_sets::CountedSets;
use super::critical_path::CriticalPath;
use super::findings::Findings;
use super::history::History;
use super::occasions::{OperationEnd, OperationEnding};
use super::operation::{Operation, Terms};
use super::pace::{Pace, TRIP_FLOOR};
use super::responses::Responses;
use super::story::when;
use super::{Names, Setting, WorldView};

/// The `availability` check.
#[derive(Clone, Debug)]
pub(super) struct Availability {
    /// The findings so far, counted in operations that ended.
    findings: Findings,
    /// The time within which opinions of who is up catch up with a change.
    suspect: Span,
    /// The shortest timeout of an operation that must succeed.
    timeout: Span,
    /// The silence after which a coordinator asks another node too.
    hedge: Span,
}

impl Check for Availability {
    const NAME: &'static str = "availability";
    const ABOUT: &'static str = "an operation succeeds while enough machines can be reached";

    fn new(setting: &Setting) -> Self {
        let Setting { suspect, timeout, ref config, .. } = *setting;
        Self { findings: Findings::default(), suspect, timeout, hedge: config.hedge() }
    }

    fn findings(&self) -> &Findings {
        &self.findings
    }

    fn on_end(&mut self, end: &mut OperationEnd<'_, impl WorldView>) {
        self.findings.examined += 1;
        match &end.ending {
            OperationEnding::Value(_) | OperationEnding::Stored(..) => {}
            OperationEnding::Refused(refusal) if is_excuse(refusal) => {}
            OperationEnding::Refused(refusal) => self.judge(end, Some(refusal)),
            OperationEnding::Unknown => self.judge(end, None),
        }
    }
}

impl Availability {
    /// Judges an operation that did not succeed, and was refused or not.
    fn judge(&mut self, end: &OperationEnd<'_, impl WorldView>, refusal: Option<&RequestRefusal>) {
        let &OperationEnd { at, operation, ref history, pace, world, names, .. } = end;
        let responses = Responses::to(operation, history, self.suspect, world);
        let would_lose = operation.refusals.iter().any(|(_, refusal)| protects(refusal));
        if operation.is_disturbed || would_lose || !self.is_owed(operation, &responses, world, pace)
        {
            self.findings.weakened += 1;
            return;
        }
        let able = responses.able();
        let since = able.iter().map(|&node| {
            world.node_changed(node).max(world.link_changed(operation.coordinator, node))
        });
        let since = since.max().unwrap_or_default();
        self.findings.violated_about(
            || history.subject([]),
            || {
                let Operation { number, coordinator, started, terms, .. } = operation;
                format!(
                    "an operation on {:?} failed though all that it needed was there\n  \
                 operation: {number} through {} from {} to {}{}\n  \
                 needed:    {}\n  \
                 reachable: {}, unchanged since {}",
                    history.key,
                    names.node(*coordinator),
                    when(*started),
                    when(at),
                    refusal.map_or_else(String::new, |refusal| format!(", refused: {refusal}")),
                    needs(terms, history, world, names),
                    names.nodes(&able),
                    when(since),
                )
            },
        );
    }

    /// Tells whether an operation could succeed in its time, given how nodes respond and the pace of
    /// its messages and the disks.
    fn is_owed(
        &self,
        operation: &Operation,
        responses: &Responses,
        world: &impl WorldView,
        pace: &Pace,
    ) -> bool {
        let Operation { coordinator, started, ref terms, ref trips, .. } = *operation;
        let lasts = |span| world.lasts(coordinator, span);
        let (Some(timeout), Some(hedge)) = (lasts(terms.timeout), lasts(self.hedge)) else {
            return false;
        };
        let command = pace.command_max(started).max(world.slowest_command());
        let there_and_back = trips_max(trips, 2) + command;
        let is_slow = there_and_back.times(2) > hedge;
        let path = CriticalPath::of(terms, coordinator, responses, is_slow, world);
        let Some(CriticalPath { trips: count, commands, hedges, is_late }) = path else {
            return false;
        };
        let waits = if is_late { Span(timeout.max(terms.timeout).0 / 2) } else { Span::ZERO };
        let needed =
            waits + trips_max(trips, count) + command.times(commands.into()) + hedge.times(hedges);
        terms.timeout >= self.timeout && needed < timeout.min(terms.timeout)
    }
}

/// Tells whether a refusal excuses itself, if it is true: the client asked for what cannot be, asked
/// too much of this node, or would lose what others wrote.
const fn is_excuse(refusal: &RequestRefusal) -> bool {
    match refusal {
        RequestRefusal::Context(_)
        | RequestRefusal::Quorum(_)
        | RequestRefusal::Key { .. }
        | RequestRefusal::Value { .. }
        | RequestRefusal::Busy { .. } => true,
        RequestRefusal::Replica(refusal) => protects(refusal),
        RequestRefusal::NotFounded | RequestRefusal::Stopping | RequestRefusal::StoreFailed => {
            false
        }
    }
}

/// Tells whether a replica that refuses with this reason protects what others wrote.
const fn protects(refusal: &Refusal) -> bool {
    match refusal {
        Refusal::TooManySiblings { .. } => true,
        Refusal::Corrupt
        | Refusal::Incomplete
        | Refusal::DiskFull
        | Refusal::DiskFailed
        | Refusal::HintsFull
        | Refusal::Layout
        | Refusal::Late
        | Refusal::OutOfFiles => false,
    }
}

/// The answers that an operation needs, in words.
fn needs(terms: &Terms, history: &History, world: &impl WorldView, names: &Names) -> String {
    let Terms { mode, reads, writes, .. } = terms;
    let needed = |letter, sets: &Option<CountedSets>| {
        let words = |sets: &CountedSets| format!("{letter} = {} ", sets.words(world.datacenters()));
        sets.as_ref().map_or_else(String::new, words)
    };
    let whom = match mode {
        Mode::Sloppy => "any machines".to_owned(),
        Mode::Strict => format!("owners {}", names.nodes(world.owners(&history.key))),
    };
    format!("{}{}of {whom}", needed("R", reads), needed("W", writes))
}

/// Sums up how long `count` messages of an operation took at most, of which the slow ones took
/// `slow`.
fn trips_max(slow: &[Span], count: usize) -> Span {
    let mut slow = slow.to_vec();
    slow.sort_unstable();
    let slowest = slow.iter().rev().copied().chain(std::iter::repeat(TRIP_FLOOR));
    slowest.take(count).fold(Span::ZERO, |sum, trip| sum + trip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_messages_count_and_the_others_as_the_floor_says() {
        let ms = Span::from_ms;
        let slow = [ms(30), ms(500), ms(70)];
        assert_eq!(trips_max(&slow, 1), ms(500));
        assert_eq!(trips_max(&slow, 3), ms(600));
        assert_eq!(trips_max(&slow, 5), ms(640));
        assert_eq!(trips_max(&[], 2), ms(40));
    }
}
