//! How slow the network and the disks were where no fault made them so.
//!
//! A promise to answer in time stands as far as messages and disks are fast enough for it, and how fast
//! they are is a matter of the scenario. So it is noted what in fact took long. What took less than
//! the floors is taken to have taken as long as they say: next to time-outs of half a second and more that
//! is little, and it need not be noted.

use std::collections::VecDeque;

use kv_core::time::{Span, Time};

/// Messages that take no longer are not noted.
pub const TRIP_FLOOR: Span = Span::from_ms(20);

/// Storage commands that take no longer are not noted.
pub const DISK_FLOOR: Span = Span::from_ms(20);

/// How long it is remembered how slow disks were: longer than any operation goes on.
const REMEMBERED: Span = Span::from_ms(120_000);

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    /// How long nodes wait for an answer in a repair.
    repair_timeout: Span,
    /// Storage commands that took long: when each was done, and how long it took.
    commands: VecDeque<(Time, Span)>,
    /// When something last took so long that a repair may have waited in vain for it.
    hindered_at: Option<Time>,
}

impl Pace {
    /// The pace of nodes that wait for so long for an answer in a repair.
    pub(super) const fn new(repair_timeout: Span) -> Self {
        Self { repair_timeout, commands: VecDeque::new(), hindered_at: None }
    }

    /// A message takes so long.
    pub(super) fn on_message(&mut self, at: Time, takes: Span) {
        self.note(at, takes);
    }

    /// A storage command was done, or is durable, so long after it was given.
    pub(super) fn on_command(&mut self, at: Time, took: Span) {
        let is_past = |&(done, _): &(Time, Span)| done + REMEMBERED < at;
        while self.commands.front().is_some_and(is_past) {
            self.commands.pop_front();
        }
        self.commands.push_back((at, took));
        self.note(at, took);
    }

    /// The longest that a storage command has taken that was done since then; at least the floor.
    pub(super) fn command_max(&self, since: Time) -> Span {
        let recent = self.commands.iter().rev().take_while(|&&(done, _)| done >= since);
        recent.map(|&(_, took)| took).max().unwrap_or_default().max(DISK_FLOOR)
    }

    /// Whether a repair may have waited in vain since then: the way there, the way back or the disk
    /// in between took half of the time or more.
    pub(super) fn hinders_repair(&self, since: Time) -> bool {
        self.hindered_at.is_some_and(|at| at >= since)
    }

    fn note(&mut self, at: Time, took: Span) {
        if took.times(2) >= self.repair_timeout {
            self.hindered_at = Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Span {
        Span::from_ms(ms)
    }

    #[test]
    fn the_slowest_command_counts_of_those_that_were_done_since_a_moment() {
        let mut pace = Pace::new(ms(2_000));
        let at = |ms: u64| Time(ms * 1_000);
        assert_eq!(pace.command_max(at(0)), DISK_FLOOR);
        for (done, took) in [(100, 90), (200, 40), (300, 60)] {
            pace.on_command(at(done), ms(took));
        }
        assert_eq!(pace.command_max(at(0)), ms(90));
        assert_eq!(pace.command_max(at(101)), ms(60));
        assert_eq!(pace.command_max(at(301)), DISK_FLOOR);
    }

    #[test]
    fn what_took_half_of_the_time_of_a_repair_hinders_it() {
        let mut pace = Pace::new(ms(2_000));
        pace.on_message(Time(5), ms(999));
        assert!(!pace.hinders_repair(Time(0)));
        pace.on_message(Time(6), ms(1_000));
        assert!(pace.hinders_repair(Time(6)) && !pace.hinders_repair(Time(7)));
        pace.on_command(Time(8), ms(1_000));
        assert!(pace.hinders_repair(Time(7)));
    }
}
