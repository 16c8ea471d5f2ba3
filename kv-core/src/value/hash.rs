//! Hashes: maps from fields to texts and numbers.
//!
//! Fields are added and removed as the members of a set are: a field that is written concurrently
//! with its removal stays. Of texts that are written concurrently the greatest (time, dot) is read;
//! increments add up.

use alloc::vec::Vec;

use bytes::Bytes;

use super::answer::{Applied, ChangeError, ValueAnswer};
use super::dot_map::DotMap;
use super::dot_store::dot_store;
use super::scalar::{Scalar, ScalarValue};
use super::score::Score;
use super::write_stamp::WriteStamp;
use crate::codec::codec;

/// A map from fields to texts and numbers, in the order of the fields' bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hash(DotMap<Bytes, Scalar>);

dot_store!(Hash);

/// A change of a hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashChange {
    /// Sets fields to texts. The answer is the number of fields that were not there.
    Set(Vec<(Bytes, Bytes)>),
    /// Sets a field to a text if it is not there. The answer is the number of fields that were set.
    SetIfAbsent((Bytes, Bytes)),
    /// Removes fields. The answer is the number of those that were there.
    Remove(Vec<Bytes>),
    /// Adds an integer to a field that is one. The answer is the new number.
    Increment((Bytes, i64)),
    /// Adds a score to a field that is a number. The answer is the new number.
    IncrementFloat((Bytes, Score)),
    /// Puts a hash of these fields in the place of whatever the key holds. The answer is the number
    /// of its fields.
    Replace(Vec<(Bytes, Bytes)>),
}

codec!(enum HashChange {
    0 => Set(fields),
    1 => SetIfAbsent(field),
    2 => Remove(fields),
    3 => Increment(field),
    4 => IncrementFloat(field),
    5 => Replace(fields),
});

impl Hash {
    /// The number of fields.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells whether there is no field, as only in a new hash.
    pub fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    /// The value of a field, if the field is there.
    pub fn get(&self, field: &Bytes) -> Option<ScalarValue<'_>> {
        self.0.get(field).and_then(Scalar::value)
    }

    /// The fields with their values, in the order of the fields' bytes.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&Bytes, ScalarValue<'_>)> {
        self.0.iter().filter_map(|(field, scalar)| Some((field, scalar.value()?)))
    }

    /// Executes a change. [`HashChange::Replace`] is executed on an empty hash.
    pub(crate) fn apply(
        &mut self,
        change: &HashChange,
        at: WriteStamp,
    ) -> Result<Applied, ChangeError> {
        Ok(match change {
            HashChange::Set(fields) | HashChange::Replace(fields) => {
                let added = self.set(fields, at);
                let answer = ValueAnswer::Count(added);
                Applied { answer, has_changed: !fields.is_empty() }
            }
            HashChange::SetIfAbsent(field) => {
                if self.0.get(&field.0).is_some() {
                    return Ok(Applied::unchanged(ValueAnswer::Count(0)));
                }
                Applied::changed(ValueAnswer::Count(self.set(core::slice::from_ref(field), at)))
            }
            HashChange::Remove(fields) => {
                let there = fields.iter().filter(|field| self.0.remove(field).is_some());
                let removed = there.count() as u64;
                Applied { answer: ValueAnswer::Count(removed), has_changed: removed > 0 }
            }
            HashChange::Increment((field, by)) => {
                let mut scalar = self.0.get(field).cloned().unwrap_or_default();
                let number = scalar.increment(*by, at)?;
                self.0.write(field.clone(), |stored| *stored = scalar);
                Applied::changed(ValueAnswer::Integer(number))
            }
            HashChange::IncrementFloat((field, by)) => {
                let mut scalar = self.0.get(field).cloned().unwrap_or_default();
                let number = scalar.increment_float(*by, at)?;
                self.0.write(field.clone(), |stored| *stored = scalar);
                Applied::changed(ValueAnswer::Score(Some(number)))
            }
        })
    }

    /// Sets fields, and returns the number of those that were not there.
    fn set(&mut self, fields: &[(Bytes, Bytes)], at: WriteStamp) -> u64 {
        let mut added = 0;
        for (field, text) in fields {
            let assign = |scalar: &mut Scalar| scalar.assign(text.clone(), at);
            added += u64::from(self.0.write(field.clone(), assign));
        }
        added
    }
}
