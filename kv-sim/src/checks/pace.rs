//! The pace of the network and of the disks where no fault makes them slow.
//!
//! A promise to answer in time stands as far as messages and disks are fast enough for it, and how
//! fast they are is a matter of the scenario. So things that took long are noted. Those that took
//! less than the floors are taken to have taken as long as the floors: next to timeouts of half a
//! second and more that is little, and they need not be noted.

use std::collections::VecDeque;

use kv_core::time::{Span, Time};

/// The time up to which messages are not noted.
pub const TRIP_FLOOR: Span = Span::from_ms(20);

/// The time up to which storage commands are not noted.
pub const DISK_FLOOR: Span = Span::from_ms(20);

/// The time for which slow disks are remembered: longer than any operation goes on.
const REMEMBERED: Span = Span::from_ms(120_000);

/// The pace of the network and the disks where no fault slows them down.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    /// The time that nodes wait for an answer in a repair.
    repair_timeout: Span,
    /// The storage commands that took long: when each was done, and how long it took.
    commands: VecDeque<(Time, Span)>,
    /// True if anything took longer than the floors.
    was_slow: bool,
    /// The time at which something last took so long that a repair may have waited in vain for it.
    hindered_at: Option<Time>,
}

impl Pace {
    /// Creates the pace of nodes that wait this long for an answer in a repair.
    pub(super) const fn new(repair_timeout: Span) -> Self {
        Self { repair_timeout, commands: VecDeque::new(), was_slow: false, hindered_at: None }
    }

    /// Notes how long a message takes.
    pub(super) fn on_message(&mut self, at: Time, takes: Span) {
        self.note(at, takes);
    }

    /// Notes how long after it was given a storage command was done or durable.
    pub(super) fn on_command(&mut self, at: Time, took: Span) {
        let is_past = |&(done, _): &(Time, Span)| done + REMEMBERED < at;
        while self.commands.front().is_some_and(is_past) {
            self.commands.pop_front();
        }
        self.commands.push_back((at, took));
        self.note(at, took);
    }

    /// The longest time that a storage command done since then has taken; at least the floor.
    pub(super) fn command_max(&self, since: Time) -> Span {
        let recent = self.commands.iter().rev().take_while(|&&(done, _)| done >= since);
        recent.map(|&(_, took)| took).max().unwrap_or_default().max(DISK_FLOOR)
    }

    /// Tells whether a repair may have waited in vain since then: the way there, the way back or
    /// the disk in between took half of the time or more.
    pub(super) fn hinders_repair(&self, since: Time) -> bool {
        self.hindered_at.is_some_and(|at| at >= since)
    }

    /// True if everything took less than the floors so far.
    pub(super) const fn was_quick(&self) -> bool {
        !self.was_slow
    }

    fn note(&mut self, at: Time, took: Span) {
        self.was_slow = true;
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
