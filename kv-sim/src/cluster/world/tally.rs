//! The counts of a run.

use std::collections::BTreeMap;

use kv_core::message::Kind;

use super::World;
use crate::cluster::probes::ProbeCounts;
use crate::random::address::Choice;
use crate::random::draws::Decision;
use crate::story::result::{Moment, RunDigest, RunResult};

/// The counts of a run so far.
#[derive(Clone, Debug, Default)]
pub(super) struct RunTally {
    /// The number of inputs that cores and clients handled.
    pub(super) events: u64,
    pub(super) traffic: SentMessages,
    /// The number of messages that did not arrive.
    pub(super) lost: u64,
    /// The number of containers that owners joined into their copies.
    pub(super) merges: u64,
    pub(super) faults: BTreeMap<&'static str, u64>,
    pub(super) probes: ProbeCounts,
    pub(super) timeline: Vec<Moment>,
}

/// The messages that nodes sent to each other, counted by kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentMessages {
    /// The number of messages and of their bytes, by the number of the kind.
    kinds: [(u64, u64); KINDS],
}

const KINDS: usize = 64;

impl SentMessages {
    pub(super) const fn count(&mut self, kind: Kind, bytes: u64) {
        let (messages, sum) = &mut self.kinds[kind.number() as usize];
        *messages += 1;
        *sum += bytes;
    }

    /// The number of messages of a kind.
    pub const fn messages(&self, kind: Kind) -> u64 {
        self.kinds[kind.number() as usize].0
    }

    /// The number of bytes in messages of a kind.
    pub const fn bytes(&self, kind: Kind) -> u64 {
        self.kinds[kind.number() as usize].1
    }

    /// The number of messages of all kinds.
    pub fn total(&self) -> u64 {
        self.kinds.iter().map(|(messages, _)| messages).sum()
    }

    /// The numbers of messages that were sent since an earlier count, for the kinds that were sent
    /// at all.
    pub(super) fn since(&self, earlier: &Self) -> BTreeMap<Kind, u64> {
        let sent = |kind| self.messages(kind) - earlier.messages(kind);
        Kind::ALL.iter().map(|&kind| (kind, sent(kind))).filter(|(_, sent)| *sent > 0).collect()
    }
}

impl Default for SentMessages {
    fn default() -> Self {
        Self { kinds: [(0, 0); KINDS] }
    }
}

impl World {
    /// Writes the results so far: every number, and the findings of the checks that the scenario
    /// asks for.
    pub fn report(&self, result: &mut RunResult) {
        let RunTally { events, traffic, lost: _, merges, faults, probes, timeline } = &self.tally;
        result.digest = RunDigest(self.digest());
        result.events = *events;
        result.messages = traffic.total();
        result.merges = *merges;
        result.operations = self.clients.operations;
        result.outcomes = self.clients.outcomes;
        result.acknowledged = result.outcomes.acknowledged;
        result.simulated_ms = self.scene.now.0 / 1_000;
        result.faults = faults.iter().map(|(&name, &count)| (name.to_owned(), count)).collect();
        result.probes = probes.counts();
        result.timeline.clone_from(timeline);
        let by_kind = traffic.since(&SentMessages::default());
        result.messages_by_kind =
            by_kind.into_iter().map(|(kind, sent)| (kind.name().to_owned(), sent)).collect();
        let decision = |(choice, value): &(Choice, u64)| Decision {
            at: choice.text(&self.scene.cluster),
            value: *value,
        };
        result.misfortunes = self.draws.misfortunes().iter().map(decision).collect();
        let Some(checks) = &self.checks else { return };
        for &check in &self.expect.checks {
            let found = checks.findings(check).result();
            result.checks.insert(check.name().to_owned(), found);
        }
    }
}
