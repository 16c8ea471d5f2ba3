//! Lists of elements, in one order everywhere (dense positions, as in Logoot: Weiss, Urso and Molli
//! 2009; removal by what was seen, without tombstones).
//!
//! What both sides of a partition have pushed stands in one order after a join, and what one command
//! has pushed stands together. An element that both sides have popped was given to both: pops are
//! at least once. An element that is set concurrently is one element, and the greatest (time, dot)
//! is read; set concurrently with its removal, it stays.

use alloc::vec::Vec;

use bytes::Bytes;

use super::answer::{Applied, ChangeError, ValueAnswer};
use super::dot_map::DotMap;
use super::dot_store::{DotFun, dot_store};
use super::index::{element_at, elements_between};
use super::position::Position;
use super::write_stamp::{Timed, WriteStamp};
use crate::codec::codec;
use crate::version::VersionVector;

/// A list of elements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List(DotMap<Position, Element>);

dot_store!(List);

/// The texts of one element that stand: one, but for concurrent writes.
type Element = DotFun<Timed<Bytes>>;

/// A change of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListChange {
    /// Pushes elements, one after the other. The answer is the length of the list.
    Push(ListPush),
    /// Inserts an element beside the first one that is equal to a pivot. The answer is the length of
    /// the list, 0 if there is none, or that there is no pivot.
    Insert(ListInsert),
    /// Sets the element at an index to a text. It must be there.
    Set((i64, Bytes)),
    /// Removes elements that are equal to a text: so many of the first ones, of the last ones if the
    /// number is negative, all of them if it is 0. The answer is the number of those removed.
    Remove((i64, Bytes)),
    /// Removes all elements but those from one index to another, which is kept.
    Trim((i64, i64)),
    /// Takes out so many elements at an end. The answer is the elements.
    Pop(ListPop),
    /// Puts a list of these elements in the place of whatever the key holds. The answer is the
    /// length of the list.
    Replace(Vec<Bytes>),
}

codec!(enum ListChange {
    0 => Push(push),
    1 => Insert(insert),
    2 => Set(set),
    3 => Remove(remove),
    4 => Trim(bounds),
    5 => Pop(pop),
    6 => Replace(elements),
});

/// An end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListEnd {
    /// The left one, where the first element is.
    Left,
    /// The right one, where the last element is.
    Right,
}

codec!(enum ListEnd { 0 => Left, 1 => Right });

/// Elements that are to be pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListPush {
    /// The end at which they are pushed.
    pub end: ListEnd,
    /// What is done where there is no list.
    pub if_absent: IfAbsent,
    /// The elements. The one that is pushed last lies at the end.
    pub elements: Vec<Bytes>,
}

codec!(struct ListPush { end, if_absent, elements });

/// What a push does where there is no list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfAbsent {
    /// It makes one (`LPUSH`, `RPUSH`).
    Create,
    /// It does nothing (`LPUSHX`, `RPUSHX`).
    Skip,
}

codec!(enum IfAbsent { 0 => Create, 1 => Skip });

/// An element that is to be inserted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListInsert {
    /// The side of the pivot on which it is inserted.
    pub side: PivotSide,
    /// The text of the element beside which it is inserted; of several equal ones the first counts.
    pub pivot: Bytes,
    /// The element.
    pub element: Bytes,
}

codec!(struct ListInsert { side, pivot, element });

/// A side of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PivotSide {
    /// The left side, towards the first element.
    Before,
    /// The right side, towards the last element.
    After,
}

codec!(enum PivotSide { 0 => Before, 1 => After });

/// Elements that are to be taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListPop {
    /// The end at which they are taken, the outermost first.
    pub end: ListEnd,
    /// The number of elements; the list may have fewer.
    pub count: u64,
}

codec!(struct ListPop { end, count });

impl List {
    /// The number of elements.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells whether there is no element, as only in a new list.
    pub fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    /// The elements, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Bytes> + ExactSizeIterator {
        self.0.iter().map(|(_, element)| text_of(element))
    }

    /// The element at an index, which counts from the end if it is negative.
    pub fn get(&self, index: i64) -> Option<&Bytes> {
        self.iter().nth(element_at(index, self.len())?)
    }

    /// The elements from one index to another, which is included. Indexes count from the end if they
    /// are negative.
    pub fn range(&self, start: i64, stop: i64) -> impl ExactSizeIterator<Item = &Bytes> {
        let range = elements_between(start, stop, self.len());
        self.iter().skip(range.start).take(range.len())
    }

    /// Executes a change. [`ListChange::Replace`] is executed on an empty list.
    pub(crate) fn apply(
        &mut self,
        change: &ListChange,
        at: WriteStamp,
    ) -> Result<Applied, ChangeError> {
        match change {
            ListChange::Push(ListPush { if_absent: IfAbsent::Skip, .. }) if self.is_empty() => {
                Ok(Applied::unchanged(ValueAnswer::Count(0)))
            }
            ListChange::Push(ListPush { end, if_absent: _, elements }) => {
                self.push(*end, elements, at)
            }
            ListChange::Replace(elements) => self.push(ListEnd::Right, elements, at),
            ListChange::Insert(insert) => self.insert(insert, at),
            ListChange::Set((index, text)) => self.set(*index, text, at),
            ListChange::Remove((count, text)) => Ok(self.remove_equal(*count, text)),
            ListChange::Trim((start, stop)) => Ok(self.trim(*start, *stop)),
            ListChange::Pop(ListPop { end, count }) => Ok(self.pop(*end, *count)),
        }
    }

    fn push(
        &mut self,
        end: ListEnd,
        elements: &[Bytes],
        at: WriteStamp,
    ) -> Result<Applied, ChangeError> {
        let outermost = match end {
            ListEnd::Left => self.0.iter().next(),
            ListEnd::Right => self.0.iter().next_back(),
        };
        let outermost = outermost.map(|(position, _)| position);
        let first = match end {
            ListEnd::Left => Position::between(None, outermost, at.dot),
            ListEnd::Right => Position::between(outermost, None, at.dot),
        };
        let first = first.ok_or(ChangeError::NoPosition)?;
        match end {
            ListEnd::Left => self.put(&first, elements.iter().rev(), at),
            ListEnd::Right => self.put(&first, elements.iter(), at),
        }
        let answer = ValueAnswer::Count(self.len() as u64);
        Ok(Applied { answer, has_changed: !elements.is_empty() })
    }

    /// Puts elements at a new position and those that follow it within the write.
    fn put<'a>(
        &mut self,
        first: &Position,
        elements: impl Iterator<Item = &'a Bytes>,
        at: WriteStamp,
    ) {
        for (index, text) in (0..).zip(elements) {
            self.0.write(first.with_index(index), |element| element.overwrite(text.clone(), at));
        }
    }

    fn insert(&mut self, insert: &ListInsert, at: WriteStamp) -> Result<Applied, ChangeError> {
        let ListInsert { side, pivot, element } = insert;
        if self.is_empty() {
            return Ok(Applied::unchanged(ValueAnswer::Count(0)));
        }
        let Some(at_pivot) = self.iter().position(|text| text == pivot) else {
            return Ok(Applied::unchanged(ValueAnswer::NoPivot));
        };
        let (skipped, has_left) = match side {
            PivotSide::Before => (at_pivot.saturating_sub(1), at_pivot > 0),
            PivotSide::After => (at_pivot, true),
        };
        let mut positions = self.0.iter().map(|(position, _)| position).skip(skipped);
        let left = if has_left { positions.next() } else { None };
        let between = Position::between(left, positions.next(), at.dot);
        drop(positions);
        let between = between.ok_or(ChangeError::NoPosition)?;
        self.put(&between, core::iter::once(element), at);
        Ok(Applied::changed(ValueAnswer::Count(self.len() as u64)))
    }

    fn set(&mut self, index: i64, text: &Bytes, at: WriteStamp) -> Result<Applied, ChangeError> {
        if self.is_empty() {
            return Err(ChangeError::NoSuchKey);
        }
        let index = element_at(index, self.len()).ok_or(ChangeError::OutOfBounds)?;
        let (position, _) = self.0.iter().nth(index).ok_or(ChangeError::OutOfBounds)?;
        let position = position.clone();
        self.0.write(position, |element| element.overwrite(text.clone(), at));
        Ok(Applied::changed(ValueAnswer::Done))
    }

    fn remove_equal(&mut self, count: i64, text: &Bytes) -> Applied {
        let equal = self.0.iter().filter(|(_, element)| text_of(element) == text);
        let equal = equal.map(|(position, _)| position.clone());
        let count_max = match count {
            0 => usize::MAX,
            count => usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX),
        };
        let removed: Vec<Position> = if count < 0 {
            equal.rev().take(count_max).collect()
        } else {
            equal.take(count_max).collect()
        };
        for position in &removed {
            self.0.remove(position);
        }
        let answer = ValueAnswer::Count(removed.len() as u64);
        Applied { answer, has_changed: !removed.is_empty() }
    }

    fn trim(&mut self, start: i64, stop: i64) -> Applied {
        let kept = elements_between(start, stop, self.len());
        let (left, right) = (kept.start, self.len() - kept.end);
        for _ in 0..left {
            self.0.pop_first();
        }
        for _ in 0..right {
            self.0.pop_last();
        }
        Applied { answer: ValueAnswer::Done, has_changed: left + right > 0 }
    }

    fn pop(&mut self, end: ListEnd, count: u64) -> Applied {
        let count = usize::try_from(count).unwrap_or(usize::MAX).min(self.len());
        let pop = |_| match end {
            ListEnd::Left => self.0.pop_first(),
            ListEnd::Right => self.0.pop_last(),
        };
        let popped = (0..count).filter_map(pop);
        let popped: Vec<Bytes> = popped.map(|(_, element)| text_of(&element).clone()).collect();
        Applied { has_changed: !popped.is_empty(), answer: ValueAnswer::Elements(popped) }
    }

    /// Tells whether the dots of all positions are covered by what the state has seen.
    pub(crate) fn has_seen_positions(&self, seen: &VersionVector) -> bool {
        self.0.iter().all(|(position, _)| position.is_covered_by(seen))
    }

    /// The writes that put the elements there, and their indexes within these, in order.
    #[cfg(test)]
    pub(crate) fn ids(&self) -> Vec<(crate::version::Dot, u64)> {
        self.0.iter().map(|(position, _)| position.id()).collect()
    }

    /// The most levels of a position.
    #[cfg(test)]
    pub(crate) fn depth_max(&self) -> usize {
        self.0.iter().map(|(position, _)| position.depth()).max().unwrap_or(0)
    }
}

/// The text of an element that is read.
fn text_of(element: &Element) -> &Bytes {
    let latest = element.latest();
    // An invariant of the map: something stands of each key.
    latest.map(|(_, text)| text).expect("an element that stands has a text")
}
