//! Bits of values that are plain bytes. Bit 0 is the highest bit of the first byte.

use core::ops::Range;

use alloc::vec::Vec;

use bytes::Bytes;

use super::index::elements_between;
use super::text::{TooLong, check_length};

/// The value of one bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bit {
    /// The bit is 0.
    Zero,
    /// The bit is 1.
    One,
}

/// The unit in which a range of bits is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BitUnit {
    /// The range counts bytes.
    Byte,
    /// The range counts bits.
    Bit,
}

/// A part of a text, from one index to another, which is included. Indexes count from the end if they
/// are negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BitRange {
    /// The first index.
    pub start: i64,
    /// The last index; none for the end of the text.
    pub stop: Option<i64>,
    /// What the indexes count.
    pub unit: BitUnit,
}

impl BitRange {
    /// The whole of a text.
    pub const ALL: Self = Self { start: 0, stop: None, unit: BitUnit::Byte };

    /// The bits of the range in a text.
    fn within(self, text: &[u8]) -> Range<usize> {
        let Self { start, stop, unit } = self;
        let unit_bits = match unit {
            BitUnit::Byte => 8,
            BitUnit::Bit => 1,
        };
        let units = elements_between(start, stop.unwrap_or(-1), text.len() * 8 / unit_bits);
        units.start * unit_bits..units.end * unit_bits
    }
}

/// The bit at an offset (`GETBIT`). Behind the end of a text all bits are 0.
pub fn get_bit(text: &[u8], offset: u64) -> Bit {
    let byte = usize::try_from(offset / 8).ok().and_then(|at| text.get(at)).copied();
    if byte.is_some_and(|byte| byte & mask(offset) != 0) { Bit::One } else { Bit::Zero }
}

/// The text with a bit set, and the bit that was there (`SETBIT`). A text that ends before it becomes
/// longer.
///
/// # Errors
/// [`TooLong`], if the text would be longer than `length_max` bytes.
pub fn set_bit(
    text: &[u8],
    offset: u64,
    bit: Bit,
    length_max: usize,
) -> Result<(Bytes, Bit), TooLong> {
    let at = usize::try_from(offset / 8).unwrap_or(usize::MAX);
    let length = check_length(at.saturating_add(1), length_max)?.max(text.len());
    let mut edited = Vec::with_capacity(length);
    edited.extend_from_slice(text);
    edited.resize(length, 0);
    match bit {
        Bit::One => edited[at] |= mask(offset),
        Bit::Zero => edited[at] &= !mask(offset),
    }
    Ok((edited.into(), get_bit(text, offset)))
}

/// The number of bits that are 1 in a part of a text (`BITCOUNT`).
pub fn count_ones(text: &[u8], range: BitRange) -> u64 {
    let Range { start, end } = range.within(text);
    bytes_of(text, start..end)
        .map(|(byte, of_range)| u64::from((byte & of_range).count_ones()))
        .sum()
}

/// The offset of the first bit of a value in a part of a text (`BITPOS`); none if there is none.
///
/// If a text has no bit that is 0, and no last index is given, the first one is that behind the end.
pub fn position_of(text: &[u8], bit: Bit, range: BitRange) -> Option<u64> {
    let bits = range.within(text);
    let first = bits.start / 8;
    let found = (first..).zip(bytes_of(text, bits.clone())).find_map(|(at, (byte, of_range))| {
        let wanted = of_range & if bit == Bit::One { byte } else { !byte };
        (wanted != 0).then(|| at as u64 * 8 + u64::from(wanted.leading_zeros()))
    });
    let behind = text.len() as u64 * 8;
    let may_lie_behind = bit == Bit::Zero && range.stop.is_none() && !bits.is_empty();
    found.or(may_lie_behind.then_some(behind))
}

/// The bytes in which bits lie, each with a mask of those of its bits that are among them.
fn bytes_of(text: &[u8], bits: Range<usize>) -> impl Iterator<Item = (u8, u8)> {
    let (first, end) = (bits.start / 8, bits.end.div_ceil(8));
    let bytes = if bits.is_empty() { &[] } else { &text[first..end] };
    (first..).zip(bytes).map(move |(at, &byte)| {
        let from = bits.start.saturating_sub(at * 8);
        let left = bits.end - at * 8;
        let after_end = if left < 8 { 0xff_u8 >> left } else { 0 };
        (byte, 0xff_u8 >> from & !after_end)
    })
}

/// The bit at an offset, in its byte.
const fn mask(offset: u64) -> u8 {
    0x80 >> (offset % 8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAX: usize = 16;

    fn all_bits(text: &[u8]) -> Vec<bool> {
        text.iter().flat_map(|byte| (0..8).map(move |at| byte >> (7 - at) & 1 == 1)).collect()
    }

    fn range(start: i64, stop: Option<i64>, unit: BitUnit) -> BitRange {
        BitRange { start, stop, unit }
    }

    #[test]
    fn a_bit_that_is_set_makes_the_text_as_long_as_it_must_be() {
        assert_eq!(set_bit(b"", 7, Bit::One, MAX), Ok((Bytes::from_static(&[1]), Bit::Zero)));
        let (text, before) = set_bit(&[0xff], 0, Bit::Zero, MAX).expect("it is short");
        assert_eq!((&text[..], before), (&[0x7f][..], Bit::One));
        let longest = set_bit(b"", 127, Bit::Zero, MAX).map(|(text, _)| text.len());
        assert_eq!(longest, Ok(MAX));
        for offset in [128, u64::MAX] {
            let refused = set_bit(b"", offset, Bit::One, MAX);
            assert_eq!(refused, Err(TooLong { length_max: MAX }));
        }
        assert_eq!(get_bit(&[0xff], u64::MAX), Bit::Zero);
    }

    // What Redis 7.0 answers.
    #[test]
    fn a_bit_that_is_0_lies_behind_a_text_of_ones_unless_an_end_is_given() {
        let ones = [0xff; 3];
        assert_eq!(position_of(&ones, Bit::Zero, BitRange::ALL), Some(24));
        assert_eq!(position_of(&ones, Bit::Zero, range(0, None, BitUnit::Byte)), Some(24));
        assert_eq!(position_of(&ones, Bit::Zero, range(0, Some(-1), BitUnit::Byte)), None);
        assert_eq!(position_of(&ones, Bit::Zero, range(5, None, BitUnit::Byte)), None);
        assert_eq!(position_of(&ones, Bit::One, range(2, Some(-1), BitUnit::Bit)), Some(2));
        let mixed = [0, 0xff, 0xf0];
        assert_eq!(position_of(&mixed, Bit::One, range(2, None, BitUnit::Byte)), Some(16));
        assert_eq!(position_of(&mixed, Bit::Zero, range(7, Some(15), BitUnit::Bit)), Some(7));
        assert_eq!(count_ones(&mixed, range(5, Some(30), BitUnit::Bit)), 12);
        assert_eq!(position_of(b"", Bit::Zero, BitRange::ALL), None);
    }

    proptest! {
        #[test]
        fn bits_are_those_of_a_list_of_bits(
            text in proptest::collection::vec(prop_oneof![Just(0), Just(0xff), any::<u8>()], 0..5),
            (start, stop) in (-40_i64..40, -40_i64..40),
            (in_bytes, is_one) in any::<(bool, bool)>(),
        ) {
            let list = all_bits(&text);
            let (unit, unit_bits) = if in_bytes { (BitUnit::Byte, 8) } else { (BitUnit::Bit, 1) };
            let units = (list.len() / unit_bits) as i64;
            let absolute = |index: i64| if index < 0 { index + units } else { index };
            let within = |at: usize| {
                (absolute(start)..=absolute(stop)).contains(&((at / unit_bits) as i64))
            };
            let found: Vec<usize> =
                (0..list.len()).filter(|&at| within(at) && list[at] == is_one).collect();
            let (bit, range) = (if is_one { Bit::One } else { Bit::Zero }, range(start, Some(stop), unit));
            prop_assert_eq!(position_of(&text, bit, range), found.first().map(|&at| at as u64));
            if is_one {
                prop_assert_eq!(count_ones(&text, range), found.len() as u64);
            }
        }

        #[test]
        fn a_bit_is_read_as_it_was_set_and_no_other_changes(
            text in proptest::collection::vec(any::<u8>(), 0..5),
            (offset, is_one) in (0..64_usize, any::<bool>()),
        ) {
            let bit = if is_one { Bit::One } else { Bit::Zero };
            let (edited, _) = set_bit(&text, offset as u64, bit, MAX).expect("it is short");
            let mut list = all_bits(&text);
            list.resize(list.len().max((offset / 8 + 1) * 8), false);
            list[offset] = is_one;
            prop_assert_eq!(get_bit(&edited, offset as u64), bit);
            prop_assert_eq!(all_bits(&edited), list);
        }
    }
}
