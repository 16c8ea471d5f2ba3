//! Choices that are the same in every run, and changes that are made of them.

use alloc::string::ToString;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::sampling::{below, mix};
use crate::value::*;

/// Draws from a seed.
pub(super) struct Dice {
    seed: u64,
    drawn: u64,
}

/// The types that changes are drawn for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drawn {
    Scalar,
    Set,
    Hash,
    SortedSet,
    List,
    HyperLogLog,
}

pub(super) const ALL_TYPES: [Drawn; 6] =
    [Drawn::Scalar, Drawn::Set, Drawn::Hash, Drawn::SortedSet, Drawn::List, Drawn::HyperLogLog];

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    pub(super) fn draw(&mut self) -> u64 {
        self.drawn += 1;
        mix(&[self.seed, self.drawn])
    }

    pub(super) fn below(&mut self, n: u64) -> u64 {
        below(self.draw(), n)
    }

    pub(super) fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).expect("it is below a length")
    }

    pub(super) fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.index(all.len())]
    }

    /// A name of which there are few, so that changes meet.
    pub(super) fn name(&mut self) -> Bytes {
        Bytes::from_static(self.one_of(&[b"a", b"b", b"c", b"d", b""]))
    }

    fn names(&mut self) -> Vec<Bytes> {
        (0..self.below(4)).map(|_| self.name()).collect()
    }

    /// A text, which is a number more often than not.
    fn text(&mut self) -> Bytes {
        match self.below(5) {
            0 => self.name(),
            1 => Bytes::from_static(b"1.5"),
            _ => (self.below(20) as i64 - 10).to_string().into(),
        }
    }

    fn integer(&mut self) -> i64 {
        match self.below(12) {
            0 => i64::MAX - 3,
            1 => i64::MIN + 3,
            _ => self.below(20) as i64 - 10,
        }
    }

    /// A multiple of a half: sums of such are exact, whatever their order.
    pub(super) fn score(&mut self) -> Score {
        let halves = self.below(8) as f64 - 4.0;
        let number = match self.below(40) {
            0 => f64::INFINITY,
            1 => f64::NEG_INFINITY,
            _ => halves / 2.0,
        };
        Score::from_bits(number.to_bits()).expect("it is a number")
    }

    fn small_index(&mut self) -> i64 {
        self.below(14) as i64 - 7
    }

    /// A change of a type.
    pub(super) fn change(&mut self, of: Drawn) -> ValueChange {
        if self.below(25) == 0 {
            return ValueChange::Clear;
        }
        match of {
            Drawn::Scalar => ValueChange::Scalar(match self.below(4) {
                0 => ScalarChange::IncrementFloat(self.score()),
                _ => ScalarChange::Increment(self.integer()),
            }),
            Drawn::Set => ValueChange::Set(match self.below(10) {
                0 => SetChange::Replace(self.names()),
                1..=2 => SetChange::Take(self.names()),
                3..=5 => SetChange::Remove(self.names()),
                _ => SetChange::Add(self.names()),
            }),
            Drawn::Hash => ValueChange::Hash(self.hash_change()),
            Drawn::SortedSet => ValueChange::SortedSet(self.sorted_set_change()),
            Drawn::List => ValueChange::List(self.list_change()),
            Drawn::HyperLogLog => ValueChange::HyperLogLog(match self.below(4) {
                0 => {
                    let mut other = Registers::default();
                    other.add(&self.name());
                    HyperLogLogChange::Merge([other].into())
                }
                _ => HyperLogLogChange::Add(self.names()),
            }),
        }
    }

    fn hash_change(&mut self) -> HashChange {
        let fields = |dice: &mut Self| {
            let names = dice.names();
            names.into_iter().map(|name| (name, dice.text())).collect()
        };
        match self.below(12) {
            0 => HashChange::Replace(fields(self)),
            1 => HashChange::SetIfAbsent((self.name(), self.text())),
            2..=3 => HashChange::Remove(self.names()),
            4..=7 => HashChange::Increment((self.name(), self.integer())),
            8 => HashChange::IncrementFloat((self.name(), self.score())),
            _ => HashChange::Set(fields(self)),
        }
    }

    fn sorted_set_change(&mut self) -> SortedSetChange {
        let members = |dice: &mut Self| {
            let names = dice.names();
            names.into_iter().map(|name| (name, dice.score())).collect()
        };
        let condition = ScoreCondition {
            presence: self.one_of(&[
                Presence::Any,
                Presence::Any,
                Presence::Absent,
                Presence::Present,
            ]),
            comparison: self.one_of(&[
                Comparison::Any,
                Comparison::Any,
                Comparison::Greater,
                Comparison::Less,
            ]),
        };
        match self.below(12) {
            0 => SortedSetChange::Replace(members(self)),
            1..=2 => SortedSetChange::Remove(self.names()),
            3 => SortedSetChange::PopLowest(self.below(3)),
            4 => SortedSetChange::PopHighest(self.below(3)),
            5..=7 => SortedSetChange::Increment(IncrementScore {
                condition,
                member: self.name(),
                by: self.score(),
            }),
            _ => SortedSetChange::Add(AddScores { condition, members: members(self) }),
        }
    }

    fn list_change(&mut self) -> ListChange {
        let end = self.one_of(&[ListEnd::Left, ListEnd::Right]);
        match self.below(16) {
            0 => ListChange::Replace(self.names()),
            1 => ListChange::Trim((self.small_index(), self.small_index())),
            2 => ListChange::Pop(ListPop { end, count: self.below(3) }),
            3..=4 => ListChange::Remove((self.below(5) as i64 - 2, self.name())),
            5..=6 => ListChange::Set((self.small_index(), self.name())),
            7..=9 => ListChange::Insert(ListInsert {
                side: self.one_of(&[PivotSide::Before, PivotSide::After]),
                pivot: self.name(),
                element: self.name(),
            }),
            _ => ListChange::Push(ListPush {
                end,
                if_absent: self.one_of(&[IfAbsent::Create, IfAbsent::Create, IfAbsent::Skip]),
                elements: self.names(),
            }),
        }
    }
}
