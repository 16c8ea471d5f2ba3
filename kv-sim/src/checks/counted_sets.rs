//! The owners that a level counts, and how many answers it takes of them: sets of owners with a number
//! each, of which all have to be reached.
//!
//! They are told from the layout alone. A coordinator that plans otherwise is found out.

use kv_core::quorum::Level;
use kv_core::types::NodeId;
use smallvec::{SmallVec, smallvec};

use super::datacenters::{Among, Datacenters};

/// The owners among which answers are counted, and the number of answers that are needed of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CountedSet {
    /// The owners.
    pub(super) among: Among,
    needed: u16,
}

/// The sets that a level counts, all of which have to be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CountedSets(SmallVec<[CountedSet; 2]>);

impl CountedSet {
    fn new(among: Among, needed: usize) -> Self {
        Self { among, needed: u16::try_from(needed).expect("a key has few owners") }
    }

    /// The number of answers that are needed.
    pub(super) fn needed(self) -> usize {
        self.needed.into()
    }
}

impl CountedSets {
    /// The sets of a level for an operation of this coordinator.
    pub(super) fn of(level: Level, coordinator: NodeId, datacenters: &Datacenters) -> Self {
        let all = datacenters.copies(Among::All);
        let majority = |among| CountedSet::new(among, datacenters.copies(among) / 2 + 1);
        let counted = |needed| Self(smallvec![CountedSet::new(Among::All, needed)]);
        match level {
            Level::Count(count) => counted(count.into()),
            Level::One => counted(1),
            Level::Quorum => Self(smallvec![majority(Among::All)]),
            Level::All => counted(all),
            Level::LocalQuorum => {
                Self(smallvec![majority(Among::Datacenter(datacenters.of(coordinator)))])
            }
            Level::EachQuorum => {
                Self(datacenters.with_copies().map(Among::Datacenter).map(majority).collect())
            }
        }
    }

    /// Tells whether every set is reached, if so many answers count towards the one of these owners.
    pub(super) fn are_reached(&self, count: impl Fn(Among) -> usize) -> bool {
        self.0.iter().all(|set| count(set.among) >= set.needed())
    }

    /// Tells whether there are as many owners as each set needs, and each needs one.
    pub(super) fn can_be_reached(&self, datacenters: &Datacenters) -> bool {
        let exists = |set: &CountedSet| (1..=datacenters.copies(set.among)).contains(&set.needed());
        self.0.iter().all(exists)
    }

    /// True if a single answer is enough for each set.
    pub(super) fn ask_for_one(&self) -> bool {
        self.0.iter().all(|set| set.needed == 1)
    }

    /// The number of answers that are needed of all owners together.
    pub(super) fn total(&self) -> usize {
        self.0.iter().map(|set| set.needed()).sum()
    }

    /// The number of these owners that are sure to be among those who answered, whoever did.
    pub(super) fn least(&self, among: Among, datacenters: &Datacenters) -> usize {
        let of_set = |set: &CountedSet| match (set.among, among) {
            (Among::All | Among::Datacenter(_), Among::All) => set.needed(),
            (Among::Datacenter(of), Among::Datacenter(wanted)) if of == wanted => set.needed(),
            (Among::Datacenter(_), Among::Datacenter(_)) => 0,
            // All the others may have been owners elsewhere.
            (Among::All, Among::Datacenter(_)) => {
                let elsewhere = datacenters.copies(Among::All) - datacenters.copies(among);
                set.needed().saturating_sub(elsewhere)
            }
        };
        // The sets of one level are all owners, or owners of different data centers.
        self.0.iter().map(of_set).sum()
    }

    /// Tells whether those who answered here and those who answered there have an owner in common,
    /// whoever did.
    pub(super) fn meet(&self, others: &Self, datacenters: &Datacenters) -> bool {
        datacenters.all().any(|among| {
            let least = self.least(among, datacenters) + others.least(among, datacenters);
            least > datacenters.copies(among)
        })
    }

    /// The sets that must hold what is read with these, so that each later read with the same ones
    /// meets it.
    pub(super) fn standing(&self, datacenters: &Datacenters) -> Self {
        let stand = |set: &CountedSet| {
            let missed = datacenters.copies(set.among).saturating_sub(set.needed());
            CountedSet::new(set.among, missed + 1)
        };
        Self(self.0.iter().map(stand).collect())
    }

    /// The numbers in words: `2`, or `1 in east and 1 in west`.
    pub(super) fn words(&self, datacenters: &Datacenters) -> String {
        let words = self.0.iter().map(|set| match set.among {
            Among::All => set.needed.to_string(),
            Among::Datacenter(datacenter) => {
                format!("{} in {}", set.needed, datacenters.name(datacenter))
            }
        });
        words.collect::<Vec<_>>().join(" and ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EAST: NodeId = NodeId(1);
    const WEST: NodeId = NodeId(2);

    fn datacenters(east: usize, west: usize) -> Datacenters {
        let nodes = [(EAST, "east"), (WEST, "west")];
        Datacenters::new(nodes, |name| if name == "east" { east } else { west })
    }

    fn words(level: Level, coordinator: NodeId, datacenters: &Datacenters) -> String {
        CountedSets::of(level, coordinator, datacenters).words(datacenters)
    }

    #[test]
    fn a_level_takes_answers_of_all_owners_or_of_those_in_data_centers() {
        let layout = datacenters(3, 2);
        let of = |level, coordinator| words(level, coordinator, &layout);
        assert_eq!(of(Level::Count(4), EAST), "4");
        assert_eq!(of(Level::Quorum, WEST), "3");
        assert_eq!(of(Level::All, WEST), "5");
        assert_eq!(of(Level::LocalQuorum, EAST), "2 in east");
        assert_eq!(of(Level::LocalQuorum, WEST), "2 in west");
        assert_eq!(of(Level::EachQuorum, WEST), "2 in east and 2 in west");
        assert_eq!(words(Level::EachQuorum, WEST, &datacenters(3, 0)), "2 in east");
    }

    /// Tells whether a choice of owners, of which those below `east` stand in the one data center,
    /// reaches all sets.
    fn reaches(sets: &CountedSets, chosen: u32, east: u32, layout: &Datacenters) -> bool {
        let here = (1 << east) - 1;
        let count = |among| match among {
            Among::All => chosen.count_ones(),
            Among::Datacenter(at) if at == layout.of(EAST) => (chosen & here).count_ones(),
            Among::Datacenter(_) => (chosen & !here).count_ones(),
        };
        sets.are_reached(|among| count(among) as usize)
    }

    #[test]
    fn two_levels_meet_if_and_only_if_any_two_choices_that_reach_them_do() {
        for (east, west) in [(1, 1), (2, 1), (2, 2), (3, 2)] {
            let layout = datacenters(east as usize, west as usize);
            let counts = (1..=(east + west) as u8).map(Level::Count);
            let levels: Vec<_> = counts.chain([Level::LocalQuorum, Level::EachQuorum]).collect();
            let all = || 0..1 << (east + west);
            for (&one, &other) in
                levels.iter().flat_map(|one| levels.iter().map(move |two| (one, two)))
            {
                for coordinator in [EAST, WEST] {
                    let reads = CountedSets::of(one, EAST, &layout);
                    let writes = CountedSets::of(other, coordinator, &layout);
                    let meet =
                        all().filter(|&read| reaches(&reads, read, east, &layout)).all(|read| {
                            let written = |&write: &u32| reaches(&writes, write, east, &layout);
                            all().filter(written).all(|write| read & write != 0)
                        });
                    assert_eq!(
                        reads.meet(&writes, &layout),
                        meet,
                        "{one:?} and {other:?} of {east} and {west}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_stands_is_met_by_every_later_read_of_the_same_level() {
        for (east, west) in [(1, 1), (2, 1), (2, 2), (3, 2), (4, 3)] {
            let layout = datacenters(east, west);
            for level in [Level::One, Level::Count(2), Level::LocalQuorum, Level::EachQuorum] {
                let reads = CountedSets::of(level, EAST, &layout);
                assert!(reads.standing(&layout).meet(&reads, &layout), "{level:?}");
            }
        }
        let reads = CountedSets::of(Level::EachQuorum, EAST, &datacenters(2, 3));
        assert_eq!(
            reads.standing(&datacenters(2, 3)).words(&datacenters(2, 3)),
            "1 in east and 2 in west"
        );
    }
}
