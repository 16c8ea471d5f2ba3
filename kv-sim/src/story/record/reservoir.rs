//! Bounded room for facts: those that matter are kept, and an even sample of the rest.
//!
//! Takes facts in the order of time, each with its weight; returns, in that order, as many as there
//! is room for. Facts about the subject of a failure, and those near it in time, have room of their
//! own, in which the nearest to a moment win. A fact that finds no room there competes with the
//! rest, of which every 2^k-th is kept. So memory is bounded however long a run is, and the same
//! run keeps the same.

use std::collections::VecDeque;

use crate::cluster::world_time::WorldTime;

/// The weight of a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// A fact that matters no more than others.
    Rest,
    /// A fact near the failure in time.
    Near,
    /// A fact about what failed.
    About,
}

/// The number of facts that there is room for, by their weight.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// The room for facts about what failed.
    pub about: usize,
    /// The room for facts near the failure.
    pub near: usize,
    /// The room for all other facts.
    pub rest: usize,
}

/// A reservoir for facts of one sort.
#[derive(Clone, Debug)]
pub struct Reservoir<T> {
    about: Around<T>,
    near: Around<T>,
    rest: Thinned<T>,
    offered: u64,
}

/// A fact that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept<T> {
    /// The weight of the fact.
    pub weight: Weight,
    /// The fact itself.
    pub fact: T,
}

impl<T> Reservoir<T> {
    /// Creates an empty reservoir. Where room is short, the nearest to `pivot` win; without one,
    /// all have the same chance.
    pub fn new(room: Room, pivot: Option<WorldTime>) -> Self {
        Self {
            about: Around::new(room.about, pivot),
            near: Around::new(room.near, pivot),
            rest: Thinned::new(room.rest),
            offered: 0,
        }
    }

    /// Takes a fact of this moment, which is not before that of the last one.
    pub fn put(&mut self, at: WorldTime, weight: Weight, fact: T) {
        let number = self.offered;
        self.offered += 1;
        let left_over = match weight {
            Weight::About => self.about.put(at, number, fact),
            Weight::Near => self.near.put(at, number, fact),
            Weight::Rest => Some((number, fact)),
        };
        if let Some((number, fact)) = left_over {
            self.rest.put(number, fact);
        }
    }

    /// The number of facts that were put.
    pub const fn offered(&self) -> u64 {
        self.offered
    }

    /// The facts that are kept, in the order in which they happened.
    pub fn into_kept(self) -> Vec<Kept<T>> {
        let of = |weight, facts: VecDeque<(u64, T)>| {
            facts.into_iter().map(move |(number, fact)| (number, Kept { weight, fact }))
        };
        let mut kept: Vec<_> = of(Weight::About, self.about.all())
            .chain(of(Weight::Near, self.near.all()))
            .chain(of(Weight::Rest, self.rest.facts))
            .collect();
        kept.sort_by_key(|&(number, _)| number);
        kept.into_iter().map(|(_, kept)| kept).collect()
    }
}

/// The facts nearest to a moment: the latest of those before it, and the first of those after it.
#[derive(Clone, Debug)]
enum Around<T> {
    Moment { at: WorldTime, max: usize, facts: VecDeque<(u64, T)> },
    Nothing(Thinned<T>),
}

impl<T> Around<T> {
    fn new(max: usize, pivot: Option<WorldTime>) -> Self {
        match pivot {
            Some(at) => Self::Moment { at, max, facts: VecDeque::new() },
            None => Self::Nothing(Thinned::new(max)),
        }
    }

    /// Takes a fact. Returns the one that has no room because of it.
    fn put(&mut self, now: WorldTime, number: u64, fact: T) -> Option<(u64, T)> {
        match self {
            Self::Moment { at, max, facts } => {
                // A fifth of the room is for facts after the moment.
                let max = if now <= *at { *max * 4 / 5 } else { *max };
                if now > *at && facts.len() >= max {
                    return Some((number, fact));
                }
                facts.push_back((number, fact));
                if facts.len() > max { facts.pop_front() } else { None }
            }
            Self::Nothing(thinned) => {
                thinned.put(number, fact);
                None
            }
        }
    }

    fn all(self) -> VecDeque<(u64, T)> {
        match self {
            Self::Moment { facts, .. } => facts,
            Self::Nothing(thinned) => thinned.facts,
        }
    }
}

/// An even sample of facts: every so many-th is kept.
#[derive(Clone, Debug)]
struct Thinned<T> {
    facts: VecDeque<(u64, T)>,
    max: usize,
    /// The number of facts of which one is kept.
    every: u64,
    seen: u64,
}

impl<T> Thinned<T> {
    const fn new(max: usize) -> Self {
        Self { facts: VecDeque::new(), max, every: 1, seen: 0 }
    }

    fn put(&mut self, number: u64, fact: T) {
        let turn = self.seen;
        self.seen += 1;
        if self.max == 0 || !turn.is_multiple_of(self.every) {
            return;
        }
        self.facts.push_back((number, fact));
        if self.facts.len() > self.max {
            let mut place = 0_u64;
            self.facts.retain(|_| {
                place += 1;
                !place.is_multiple_of(2)
            });
            self.every *= 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ROOM: Room = Room { about: 50, near: 20, rest: 30 };

    fn kept(reservoir: Reservoir<u64>) -> Vec<u64> {
        reservoir.into_kept().into_iter().map(|kept| kept.fact).collect()
    }

    #[test]
    fn where_there_is_room_everything_is_kept_in_its_order() {
        let mut reservoir = Reservoir::new(ROOM, Some(WorldTime(5)));
        let weights = [Weight::Rest, Weight::About, Weight::Near];
        for at in 0..20 {
            reservoir.put(WorldTime(at), weights[at as usize % 3], at);
        }
        assert_eq!((reservoir.offered(), kept(reservoir)), (20, (0..20).collect()));
    }

    #[test]
    fn of_what_is_about_the_failure_the_nearest_to_it_win() {
        let mut reservoir = Reservoir::new(Room { rest: 0, ..ROOM }, Some(WorldTime(1_000)));
        for at in 0..2_000 {
            reservoir.put(WorldTime(at), Weight::About, at);
        }
        assert_eq!(kept(reservoir), (961..=1_010).collect::<Vec<_>>());
    }

    #[test]
    fn of_the_rest_an_even_sample_is_kept() {
        let mut reservoir = Reservoir::new(ROOM, None);
        for at in 0..1_000 {
            reservoir.put(WorldTime(at), Weight::Rest, at);
        }
        let kept = kept(reservoir);
        assert!((15..=30).contains(&kept.len()), "{kept:?}");
        let steps: Vec<_> = kept.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(steps.iter().all(|step| *step == steps[0]), "{steps:?}");
    }

    #[test]
    fn a_million_facts_take_no_more_room_than_was_given() {
        for pivot in [None, Some(WorldTime(500_000)), Some(WorldTime(1_000_000))] {
            let mut reservoir = Reservoir::new(ROOM, pivot);
            for at in 0..1_000_000 {
                let weights = [Weight::Rest, Weight::Near, Weight::About];
                reservoir.put(WorldTime(at), weights[at as usize % 3], at);
                assert!(reservoir.rest.facts.len() <= ROOM.rest);
            }
            assert!(kept(reservoir).len() <= 100);
        }
    }

    proptest! {
        #[test]
        fn what_is_kept_was_there_once_and_in_this_order(
            weights in proptest::collection::vec(0_usize..3, 0..500),
            pivot in proptest::option::of(0_u64..500),
        ) {
            let mut reservoir = Reservoir::new(ROOM, pivot.map(WorldTime));
            for (at, &weight) in (0_u64..).zip(&weights) {
                let weights = [Weight::Rest, Weight::Near, Weight::About];
                reservoir.put(WorldTime(at), weights[weight], at);
            }
            let kept = kept(reservoir);
            prop_assert!(kept.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(kept.iter().all(|&at| at < weights.len() as u64));
            prop_assert!(kept.len() <= ROOM.about + ROOM.near + ROOM.rest);
        }
    }
}
