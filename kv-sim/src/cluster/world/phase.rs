//! The phases of a run, and how one leads to the next.
//!
//! The chaos phase ends when clients and faults are done; faults that never end are not waited for.
//! From then on the world looks again and again whether the cluster has come to rest; once it has, it is watched twice while it idles.

use std::ops::ControlFlow;

use bytes::Bytes;
use kv_core::store::{Store as _, View};
use kv_core::time::{Span, Time};

use super::watch::{Watch, WatchCounts};
use super::{World, rest};
use crate::checks::{CheckName, IdleWindow, Rest, Restless};
use crate::cluster::event_queue::SimEvent;
use crate::cluster::node::SimNode;
use crate::cluster::world_time::WorldTime;
use crate::scenario::Expect;

/// The time between two looks whether the cluster has come to rest.
const POLL: Span = Span::from_ms(250);
/// The time for which the idle cluster is watched, twice.
const IDLE: Span = Span::from_ms(10_000);
/// The factor by which the pause before hints are tried again grows in the end.
const HINT_PAUSES_GROW_BY: u64 = 64;
/// The time that hints take once they are tried again.
const HINTS_TAKE: Span = Span::from_ms(10_000);
/// The number of messages that a repair sends one after the other once it has begun.
const REPAIR_TRIPS: u64 = 12;

/// The phase of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The nodes start.
    Setup,
    /// Clients work, and faults come and go.
    Chaos {
        /// The time at which the phase began.
        since: WorldTime,
    },
    /// Faults are over, but for what is broken for ever, and the cluster comes to rest.
    Heal {
        /// The time at which the last fault ended, or last broke something for ever.
        since: WorldTime,
        /// True if some of what disks hold could not be read meanwhile.
        had_corrupt: bool,
    },
    /// The cluster idles, and is watched.
    Check(Box<Idle>),
    /// The run is over.
    Over,
}

/// The idle cluster as it is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Idle {
    /// Work that began before the cluster was at rest comes to its end: repairs, and operations
    /// that wait for stragglers.
    Settles,
    /// The first window is watched.
    First {
        /// The counts before the window.
        before: WatchCounts,
    },
    /// The second window is watched.
    Second {
        /// The counts before the window.
        before: WatchCounts,
        /// The first window.
        first: IdleWindow,
    },
}

impl Phase {
    /// The name of the phase.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::Chaos { .. } => "chaos",
            Self::Heal { .. } => "heal",
            Self::Check(_) => "check",
            Self::Over => "over",
        }
    }
}

impl World {
    #[cold]
    #[inline(never)]
    pub(super) fn pass_milestone(&mut self) {
        match &mut self.phase {
            Phase::Setup => self.begin_chaos(),
            Phase::Chaos { .. } => unreachable!("chaos ends when all is done"),
            Phase::Heal { since, .. } => {
                let since = *since;
                self.look_for_rest(since);
            }
            Phase::Check(_) => self.end_window(),
            Phase::Over => {}
        }
    }

    fn begin_chaos(&mut self) {
        let since = self.scene.now;
        self.enter(Phase::Chaos { since });
        for (client, after) in self.clients.beginnings(&self.draws) {
            self.event_queue.plan(since + after, SimEvent::Begin { client });
        }
        self.plan_faults();
        self.plan_orders();
        self.heal_if_all_is_done();
    }

    /// Ends the chaos phase when clients and faults are done.
    pub(super) fn heal_if_all_is_done(&mut self) {
        let is_chaos = matches!(self.phase, Phase::Chaos { .. });
        if !is_chaos || !self.clients.are_done() || !self.chaos.is_done() {
            return;
        }
        self.scene.network.heal();
        self.scene.changed_at = self.scene.now;
        // A message on a slow link or a command on a slow disk is the last that is left of a fault.
        let last = self.in_transit.last_arrival().max(self.disks_busy_until);
        let since = self.scene.now.max(last);
        self.enter(Phase::Heal { since, had_corrupt: false });
        self.event_queue.plan(since + POLL, SimEvent::Milestone);
    }

    fn look_for_rest(&mut self, since: WorldTime) {
        self.found_anew();
        self.accept_losses();
        let waited = self.scene.now.since(since);
        let restless = rest::restless(&self.scene, self.repair_by, waited);
        if let Phase::Heal { had_corrupt, .. } = &mut self.phase {
            *had_corrupt |= restless.as_ref().is_some_and(|restless| !restless.corrupt.is_empty());
        }
        if restless.is_none() {
            self.come_to_rest(&Rest::Converged { after: waited });
        } else if waited < self.time_to_rest(restless.as_ref(), since) {
            self.event_queue.plan(self.scene.now + POLL, SimEvent::Milestone);
        } else if let Some(restless) = restless {
            self.tell_of_rest(&Rest::Restless(restless));
            self.end();
        }
    }

    /// The time after which the cluster must be at rest. If all is well but hints that are still kept,
    /// they may have been tried in vain for long, because their target was heard of all the time and
    /// could not be reached. Then the last delivery may wait for its answer as long as that, up to its
    /// bound, and the pause after it be as long again. What nobody asks for is found to be corrupt when
    /// the disk has been read through once.
    fn time_to_rest(&self, restless: Option<&Restless>, since: WorldTime) -> Span {
        let Expect { converged_within, bounds_hints, .. } = self.expect;
        if bounds_hints {
            return converged_within;
        }
        let within = match self.phase {
            Phase::Heal { had_corrupt: true, .. } => converged_within + self.scrubbing(),
            _ => converged_within,
        };
        if !restless.is_some_and(Restless::is_of_hints) {
            return within;
        }
        let pause = Span::from_ms(self.scene.config.hint_retry_ms).times(HINT_PAUSES_GROW_BY);
        let longest = pause.min(since.since(WorldTime(0)));
        within.max(longest.times(2) + HINTS_TAKE)
    }

    /// The time in which every node that works has read all that it holds: in each round as many bytes
    /// as it may read, and what is left of one partition.
    fn scrubbing(&self) -> Span {
        let config = &self.scene.config;
        let bytes = |node: &SimNode| {
            let mut bytes = 0;
            node.disk.image().scan(View::Live, &[], &[], &mut |key, record| {
                bytes += (key.len() + record.map_or(0, Bytes::len)) as u64;
                ControlFlow::Continue(())
            });
            bytes
        };
        let nodes = self.scene.nodes.iter().filter(|node| node.is_awake());
        let most = nodes.map(bytes).max().unwrap_or(0);
        let partitions = self.scene.ring.partitions().count() as u64;
        let rounds = most / config.scrub_batch_bytes + partitions;
        Span::from_ms(config.repair_interval_ms).times(rounds)
    }

    /// Gives the cluster its time to come to rest from now on, if it heals: a fault that never ends
    /// has just broken something more.
    pub(super) fn wait_anew_if_it_heals(&mut self) {
        if let Phase::Heal { since, .. } = &mut self.phase {
            *since = (*since).max(self.scene.now);
        }
    }

    fn come_to_rest(&mut self, rest: &Rest) {
        self.tell_of_rest(rest);
        if self.expect.checks.contains(&CheckName::Quiescence) {
            self.enter(Phase::Check(Box::new(Idle::Settles)));
            self.event_queue.plan(self.scene.now + self.settling(), SimEvent::Milestone);
        } else {
            self.end();
        }
    }

    /// The time for which work that began before the cluster was at rest may still go on: two
    /// rounds of repair, the last of which may have to be given up, and the longest operation.
    fn settling(&self) -> Span {
        let config = &self.scene.config;
        let rounds = Span::from_ms(2 * config.repair_interval_ms + config.repair_settle_ms);
        let repair_timeout = Span::from_ms(config.repair_timeout_ms);
        let settling = rounds + repair_timeout + self.clients.timeout_max();
        // Answers that come too late to be waited for come all the same.
        let trip = self.scene.network.trip_max();
        let settling = if trip.times(2) > repair_timeout {
            settling + trip.times(REPAIR_TRIPS)
        } else {
            settling
        };
        if self.scene.is_sound() {
            return settling;
        }
        // Work with nodes that are gone for ever is begun until they seem to be.
        let settled_at = self.scene.changed_at + self.settle;
        settled_at.since(self.scene.now) + settling
    }

    fn end_window(&mut self) {
        let Phase::Check(idle) = &self.phase else {
            unreachable!("windows belong to the check phase");
        };
        if let Idle::Settles = **idle {
            let watch = Watch::begin(&self.scene, self.repair_by.off(), IDLE.times(2));
            self.watch = Some(Box::new(watch));
        }
        let watch = self.watch.as_ref().expect("it is watched from here on");
        let now = watch.so_far(self.commits());
        let window = |before: &WatchCounts| watch.since(before, &now, IDLE);
        let next = match &**idle {
            Idle::Settles => Idle::First { before: now },
            Idle::First { before } => {
                let first = window(before);
                Idle::Second { before: now, first }
            }
            Idle::Second { before, first } => {
                let second = window(before);
                if let Some(checks) = &mut self.checks {
                    checks.on_idle(first, &second);
                }
                return self.end();
            }
        };
        self.phase = Phase::Check(Box::new(next));
        self.event_queue.plan(self.scene.now + IDLE, SimEvent::Milestone);
    }

    fn tell_of_rest(&mut self, rest: &Rest) {
        self.trace(|_| format!("the cluster is at rest or not: {rest:?}"));
        if let Some(checks) = &mut self.checks {
            checks.on_rest(Time(self.scene.now.0), rest);
        }
    }

    fn end(&mut self) {
        if let Some(checks) = &mut self.checks {
            checks.at_end(Time(self.scene.now.0), &self.scene);
        }
        self.enter(Phase::Over);
    }

    fn enter(&mut self, phase: Phase) {
        self.record_phase(phase.name());
        self.trace(|_| format!("==== {}", phase.name()));
        self.phase = phase;
    }

    fn commits(&self) -> u64 {
        self.scene.nodes.iter().map(crate::cluster::node::SimNode::commits).sum()
    }
}
