//! The scores of sorted sets, which are floating-point numbers: the one place of the core that has
//! such.
//!
//! The core reckons in integers because most functions of floating-point numbers differ between
//! machines. These do not: IEEE 754 says to the bit what an addition, a comparison and a conversion
//! give, and the standard library reads a number from text with the nearest result. So what is done
//! here is the same everywhere, and nothing else is done with scores in the core. Writing them as
//! text is for whoever shows them.

use core::cmp::Ordering;
use core::fmt;

use super::dot_store::Weighted;
use crate::codec::{Codec, Malformed, Reader};

/// A double-precision number that is not NaN, in the order of numbers. There is one zero.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Score(u64);

/// The bit of a negative number.
const SIGN: u64 = 1 << 63;

impl Score {
    /// The score of 0.
    pub const ZERO: Self = Self(0);

    /// The score with these bits (IEEE 754, 64 bits); none if they are not a number. The negative
    /// zero becomes zero.
    pub const fn from_bits(bits: u64) -> Option<Self> {
        if f64::from_bits(bits).is_nan() {
            return None;
        }
        Some(if bits == SIGN { Self::ZERO } else { Self(bits) })
    }

    /// The bits of the score (IEEE 754, 64 bits).
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// The score nearest to an integer.
    pub const fn from_integer(integer: i128) -> Self {
        Self((integer as f64).to_bits())
    }

    /// The score that a text names, as the nearest one; none if the text is no number. Allowed are
    /// decimal digits with a sign, a point and an exponent, and `inf` or `infinity` in letters of
    /// any size.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let number: f64 = core::str::from_utf8(text).ok()?.parse().ok()?;
        Self::from_bits(number.to_bits())
    }

    /// The integer that the score is, if it is one of 64 bits.
    pub fn to_integer(self) -> Option<i64> {
        let number = f64::from_bits(self.0);
        let integer = number as i64;
        // The greatest integer is no double: what is converted to it was greater, but for rounding.
        (integer as f64 == number && integer != i64::MAX).then_some(integer)
    }

    /// Tells whether the score is neither of the infinities.
    pub const fn is_finite(self) -> bool {
        f64::from_bits(self.0).is_finite()
    }

    /// The sum of two scores; none for infinities of opposite signs, whose sum is not a number.
    #[expect(clippy::float_arithmetic, reason = "IEEE 754 says to the bit what a sum is")]
    pub fn plus(self, other: Self) -> Option<Self> {
        let sum = f64::from_bits(self.0) + f64::from_bits(other.0);
        Self::from_bits(sum.to_bits())
    }

    /// The sum of two scores that were written apart; zero for infinities of opposite signs.
    #[must_use]
    pub fn merged_with(self, other: Self) -> Self {
        self.plus(other).unwrap_or(Self::ZERO)
    }

    /// A number that orders as the scores do.
    const fn rank(self) -> u64 {
        if self.0 & SIGN == 0 { self.0 | SIGN } else { !self.0 }
    }
}

impl Ord for Score {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&f64::from_bits(self.0), f)
    }
}

impl Weighted for Score {
    fn weight(&self) -> usize {
        size_of::<u64>()
    }
}

impl Codec for Score {
    fn encode(&self, out: &mut alloc::vec::Vec<u8>) {
        out.extend_from_slice(&self.0.to_le_bytes());
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        let bits = u64::from_le_bytes(input.array()?);
        Self::from_bits(bits).filter(|score| score.0 == bits).ok_or(Malformed)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn score(number: f64) -> Score {
        Score::from_bits(number.to_bits()).expect("it is a number")
    }

    #[test]
    fn there_is_one_zero_and_no_score_that_is_not_a_number() {
        assert_eq!(score(-0.0), Score::ZERO);
        assert_eq!(Score::from_bits(f64::NAN.to_bits()), None);
        assert_eq!(score(f64::INFINITY).plus(score(f64::NEG_INFINITY)), None);
        assert_eq!(score(f64::INFINITY).merged_with(score(f64::NEG_INFINITY)), Score::ZERO);
        assert_eq!(score(-1.5).plus(score(1.5)), Some(Score::ZERO));
        for refused in [f64::NAN.to_bits(), SIGN] {
            let bytes = refused.to_le_bytes();
            assert_eq!(Score::decode(&mut Reader::new(&bytes)), Err(Malformed));
        }
    }

    #[test]
    fn text_is_read_as_the_nearest_score_and_nothing_else_is_read() {
        for (text, number) in [("10.5", 10.5), ("-3e2", -300.0), (".5", 0.5), ("-0", 0.0)] {
            assert_eq!(Score::parse(text.as_bytes()), Some(score(number)), "{text}");
        }
        assert_eq!(Score::parse(b"-inf"), Some(score(f64::NEG_INFINITY)));
        for text in ["", " 1", "1 ", "nan", "0x10", "1,5", "one", "-", "\u{663}"] {
            assert_eq!(Score::parse(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn only_integers_of_64_bits_are_integers() {
        assert_eq!(score(-3.0).to_integer(), Some(-3));
        assert_eq!(score(i64::MIN as f64).to_integer(), Some(i64::MIN));
        for number in [0.5, i64::MAX as f64, f64::INFINITY, -1e300] {
            assert_eq!(score(number).to_integer(), None, "{number}");
        }
        assert_eq!(Score::from_integer(-7), score(-7.0));
    }

    proptest! {
        #[test]
        fn scores_are_ordered_as_numbers_are(a in any::<u64>(), b in any::<u64>()) {
            let (Some(left), Some(right)) = (Score::from_bits(a), Score::from_bits(b)) else {
                return Ok(());
            };
            let numbers = f64::from_bits(a).partial_cmp(&f64::from_bits(b));
            prop_assert_eq!(Some(left.cmp(&right)), numbers);
            let mut bytes = Vec::new();
            left.encode(&mut bytes);
            prop_assert_eq!(Score::decode(&mut Reader::new(&bytes)), Ok(left));
        }
    }
}
