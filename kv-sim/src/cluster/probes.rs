//! Rare branches that a run has taken: those of the core ([`Probe`]), and those of the world around
//! it.
//!
//! A sweep that never gets to a branch has not tested it. A scenario may declare a branch reachable
//! within so many seeds ([`Reachable`]); a sweep of at least so many is judged by it.

use std::collections::BTreeMap;

use kv_core::event::Event;
use kv_core::probe::Probe;

use crate::faults::StorageStep;
use crate::scenario::former_names;

/// A rare branch, of the core or of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Branch {
    /// A branch of the core.
    Core(Probe),
    /// A branch of the world.
    World(WorldProbe),
}

/// A rare event that the world brings about, or finds at a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WorldProbe {
    /// A message waited on a clogged link.
    MessageHeld,
    /// A message was corrupted on its way.
    MessageCorrupted,
    /// A corrupt message would have passed for another one without its checksum.
    CorruptionUndetected,
    /// A node died before its disk executed a command.
    DiedBeforeExecute,
    /// A node died before a sync ended.
    DiedBeforeSync,
    /// A node died before it was told of a sync.
    DiedBeforeAnswer,
    /// A node did not start, because the data on its disk was another's.
    ForeignData,
}

/// The declaration that a branch is reached at least once within so many seeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reachable {
    /// The branch that is declared reachable.
    pub branch: Branch,
    /// The number of seeds; at least 1.
    pub within: u64,
}

impl WorldProbe {
    /// All probes of the world.
    pub const ALL: &'static [Self] = &[
        Self::MessageHeld,
        Self::MessageCorrupted,
        Self::CorruptionUndetected,
        Self::DiedBeforeExecute,
        Self::DiedBeforeSync,
        Self::DiedBeforeAnswer,
        Self::ForeignData,
    ];

    /// The probe for a node that dies at a step of its disk.
    pub const fn died_at(step: StorageStep) -> Self {
        match step {
            StorageStep::Execute => Self::DiedBeforeExecute,
            StorageStep::Sync => Self::DiedBeforeSync,
            StorageStep::Answer => Self::DiedBeforeAnswer,
        }
    }

    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::MessageHeld => ("message-held", "A message waited on a clogged link."),
            Self::MessageCorrupted => ("message-corrupted", "A message was corrupted on its way."),
            Self::CorruptionUndetected => (
                "corruption-not-seen-by-decoder",
                "Such a message would have passed for another one without its checksum.",
            ),
            Self::DiedBeforeExecute => {
                ("died-before-execute", "A node died before its disk executed a command.")
            }
            Self::DiedBeforeSync => ("died-before-sync", "A node died before a sync ended."),
            Self::DiedBeforeAnswer => {
                ("died-before-answer", "A node died before it was told of a sync.")
            }
            Self::ForeignData => (
                "foreign-data-refused",
                "A node did not start, because the data on its disk was another's.",
            ),
        }
    }
}

impl Branch {
    /// All branches: those of the core, then those of the world.
    pub fn all() -> impl Iterator<Item = Self> {
        let core = Probe::ALL.iter().map(|&probe| Self::Core(probe));
        core.chain(WorldProbe::ALL.iter().map(|&probe| Self::World(probe)))
    }

    /// Finds the branch of this name, which may be a former one.
    pub fn named(name: &str) -> Option<Self> {
        let name = former_names::probe(name);
        Self::all().find(|branch| branch.name() == name)
    }

    /// The name of the branch.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Core(probe) => probe.name(),
            Self::World(probe) => probe.words().0,
        }
    }

    /// The branch in a sentence.
    pub const fn about(self) -> &'static str {
        match self {
            Self::Core(probe) => probe.about(),
            Self::World(probe) => probe.words().1,
        }
    }
}

/// The number of times that each branch was taken.
#[derive(Clone, Debug)]
pub struct ProbeCounts {
    core: [u64; Probe::ALL.len()],
    world: [u64; WorldProbe::ALL.len()],
}

impl ProbeCounts {
    /// Counts an event of a node, if it is a rare branch.
    pub const fn on_event(&mut self, event: &Event) {
        if let Some(probe) = event.probe() {
            self.core[probe as usize] += 1;
        }
    }

    /// Counts a rare event of the world.
    pub const fn count(&mut self, probe: WorldProbe) {
        self.world[probe as usize] += 1;
    }

    /// The numbers of times that branches were taken, by name; only those that were.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        let counts = Branch::all().zip(self.core.iter().chain(&self.world));
        let taken = counts.filter(|(_, count)| **count > 0);
        taken.map(|(branch, count)| (branch.name().to_owned(), *count)).collect()
    }
}

impl Default for ProbeCounts {
    fn default() -> Self {
        Self { core: [0; Probe::ALL.len()], world: [0; WorldProbe::ALL.len()] }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_branch_is_found_by_its_name_and_no_two_share_one() {
        let names: BTreeSet<_> = Branch::all().map(Branch::name).collect();
        assert_eq!(names.len(), Branch::all().count());
        for branch in Branch::all() {
            assert_eq!(Branch::named(branch.name()), Some(branch));
        }
    }

    #[test]
    fn what_is_counted_is_told_by_its_name() {
        let mut probes = ProbeCounts::default();
        for probe in Probe::ALL {
            probes.on_event(&Event::Probe(*probe));
        }
        probes.on_event(&Event::StoreFailed);
        WorldProbe::ALL.iter().for_each(|&probe| probes.count(probe));
        let counts = probes.counts();
        assert_eq!(counts.len(), Branch::all().count());
        assert_eq!((counts["store-failed"], counts["busy"]), (2, 1));
        assert!(ProbeCounts::default().counts().is_empty());
    }
}
