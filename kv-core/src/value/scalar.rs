//! A text, or a number that is counted: what a field of a hash is, and a key under the `INCR` family.
//!
//! A text that is written is a base, and increments add up on it (see `accumulator.rs`). A
//! text to which nothing was added is read as it was written; else what is read is a number.

use bytes::Bytes;

use super::accumulator::{Accumulator, Summand};
use super::answer::ChangeError;
use super::dot_store::{Weighted, dot_store};
use super::integer::parse_integer;
use super::score::Score;
use super::write_stamp::WriteStamp;
use crate::codec::codec;

/// A text, or a number to which concurrent increments add up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scalar(Accumulator<Bytes, Increments>);

/// The value of a scalar as it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalarValue<'a> {
    /// A text as it was written.
    Text(&'a Bytes),
    /// A number that was counted in integers. It stops at the ends of 64 bits, which increments
    /// that were made apart may pass together.
    Integer(i64),
    /// A number of which a part was counted in fractions.
    Float(Score),
}

/// A change of a key that holds a number, or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScalarChange {
    /// Adds an integer to what must be one (`INCRBY`). The answer is the new number.
    Increment(i64),
    /// Adds a score to what must be a number (`INCRBYFLOAT`). The answer is the new number.
    IncrementFloat(Score),
}

codec!(enum ScalarChange { 0 => Increment(by), 1 => IncrementFloat(by) });

/// What was added to a number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Increments {
    integer: i128,
    /// None if nothing was added as a fraction, so that the number is an integer.
    float: Option<Score>,
}

codec!(struct Increments { integer, float });

impl Scalar {
    /// The value; none of a scalar that is empty, as only a new one is.
    pub fn value(&self) -> Option<ScalarValue<'_>> {
        let base = self.0.base();
        let Some(Increments { integer, float }) = self.0.sum() else {
            return base.map(ScalarValue::Text);
        };
        // An increment that was accepted has an integer or a number for a base.
        Some(match float {
            None => {
                let base = base.and_then(|text| parse_integer(text)).unwrap_or(0);
                let sum = integer.saturating_add(base.into());
                ScalarValue::Integer(sum.clamp(i64::MIN.into(), i64::MAX.into()) as i64)
            }
            Some(float) => {
                let base = base.and_then(|text| Score::parse(text)).unwrap_or_default();
                let sum = base.merged_with(Score::from_integer(integer));
                ScalarValue::Float(sum.merged_with(float))
            }
        })
    }

    /// Writes a text in the place of all that stands.
    pub(crate) fn assign(&mut self, text: Bytes, at: WriteStamp) {
        self.0.assign(text, at);
    }

    /// Adds an integer, and returns the new number.
    pub(crate) fn increment(&mut self, by: i64, at: WriteStamp) -> Result<i64, ChangeError> {
        let before = match self.value() {
            None => Some(0),
            Some(ScalarValue::Text(text)) => parse_integer(text),
            Some(ScalarValue::Integer(number)) => Some(number),
            Some(ScalarValue::Float(score)) => score.to_integer(),
        };
        let after = before.ok_or(ChangeError::NotAnInteger)?.checked_add(by);
        let after = after.ok_or(ChangeError::Overflow)?;
        let mut incremented = self.clone();
        incremented.0.add(&Increments { integer: by.into(), float: None }, at);
        // The answer is what is read from now on: where increments that were made apart have passed
        // the end, the number still stops there; and one with fractions has 53 bits.
        let after = match incremented.value() {
            Some(ScalarValue::Integer(number)) => number,
            Some(ScalarValue::Float(score)) => score.to_integer().ok_or(ChangeError::Overflow)?,
            Some(ScalarValue::Text(_)) | None => after,
        };
        *self = incremented;
        Ok(after)
    }

    /// Adds a score, and returns the new number.
    pub(crate) fn increment_float(
        &mut self,
        by: Score,
        at: WriteStamp,
    ) -> Result<Score, ChangeError> {
        let before = match self.value() {
            None => Some(Score::ZERO),
            Some(ScalarValue::Text(text)) => Score::parse(text),
            Some(ScalarValue::Integer(number)) => Some(Score::from_integer(number.into())),
            Some(ScalarValue::Float(score)) => Some(score),
        };
        before.ok_or(ChangeError::NotANumber)?;
        let mut incremented = self.clone();
        incremented.0.add(&Increments { integer: 0, float: Some(by) }, at);
        // Asked anew, since sums of fractions depend on the order.
        let after = match incremented.value() {
            Some(ScalarValue::Float(after)) if after.is_finite() => after,
            _ => return Err(ChangeError::NotFinite),
        };
        *self = incremented;
        Ok(after)
    }
}

impl Summand for Increments {
    fn plus(&self, other: &Self) -> Self {
        let float = match (self.float, other.float) {
            (Some(a), Some(b)) => Some(a.merged_with(b)),
            (a, b) => a.or(b),
        };
        Self { integer: self.integer.saturating_add(other.integer), float }
    }
}

impl Weighted for Increments {
    fn weight(&self) -> usize {
        5 + self.float.map_or(0, |float| float.weight())
    }
}

dot_store!(Scalar);
