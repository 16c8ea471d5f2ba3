//! Sets whose members are added and removed (observed-remove sets without tombstones: Bieniusa et
//! al. 2012).
//!
//! A removal takes away the additions that it has seen. One that is concurrent stands, and the
//! member with it.

use alloc::vec::Vec;

use bytes::Bytes;

use super::answer::{Applied, ValueAnswer};
use super::dot_map::DotMap;
use super::dot_store::{DotFun, dot_store};
use super::write_stamp::WriteStamp;
use crate::codec::codec;

/// A set of members, in the order of their bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set(DotMap<Bytes, DotFun<()>>);

dot_store!(Set);

/// A change of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetChange {
    /// Adds members. The answer is the number of those that were not there. Those that were are
    /// added anew, so that a concurrent removal does not take them away.
    Add(Vec<Bytes>),
    /// Removes members. The answer is the number of those that were there.
    Remove(Vec<Bytes>),
    /// Takes members out. The answer is those that were there.
    Take(Vec<Bytes>),
    /// Puts a set of these members in the place of whatever the key holds. The answer is the number
    /// of its members.
    Replace(Vec<Bytes>),
}

codec!(enum SetChange {
    0 => Add(members),
    1 => Remove(members),
    2 => Take(members),
    3 => Replace(members),
});

impl Set {
    /// The number of members.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells whether there is no member, as only in a new set.
    pub fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    /// Tells whether a member is there.
    pub fn contains(&self, member: &Bytes) -> bool {
        self.0.get(member).is_some()
    }

    /// The members, in the order of their bytes.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Bytes> + ExactSizeIterator {
        self.0.iter().map(|(member, _)| member)
    }

    /// Executes a change. [`SetChange::Replace`] is executed on an empty set.
    pub(crate) fn apply(&mut self, change: &SetChange, at: WriteStamp) -> Applied {
        match change {
            SetChange::Add(members) | SetChange::Replace(members) => {
                let mut added = 0;
                for member in members {
                    added +=
                        u64::from(self.0.write(member.clone(), |dots| dots.replace(at.dot, ())));
                }
                let answer = ValueAnswer::Count(added);
                Applied { answer, has_changed: !members.is_empty() }
            }
            SetChange::Remove(members) => {
                let removed = self.take(members).len() as u64;
                Applied { answer: ValueAnswer::Count(removed), has_changed: removed > 0 }
            }
            SetChange::Take(members) => {
                let taken = self.take(members);
                Applied { has_changed: !taken.is_empty(), answer: ValueAnswer::Elements(taken) }
            }
        }
    }

    fn take(&mut self, members: &[Bytes]) -> Vec<Bytes> {
        members.iter().filter(|member| self.0.remove(member).is_some()).cloned().collect()
    }
}
