//! Edits of values that are plain bytes.

use core::ops::Range;

use alloc::vec::Vec;

use bytes::Bytes;
use thiserror::Error;

use super::index::elements_between;

/// The error of an edit after which the value would be longer than it may be. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the value would be longer than {length_max} bytes: nothing was changed")]
pub struct TooLong {
    /// The most bytes that a value may have.
    pub length_max: usize,
}

/// The text with another one behind it (`APPEND`).
///
/// # Errors
/// [`TooLong`], if the whole is longer than `length_max` bytes.
pub fn append(text: &[u8], tail: &[u8], length_max: usize) -> Result<Bytes, TooLong> {
    let whole = check_length(text.len().saturating_add(tail.len()), length_max)?;
    let mut appended = Vec::with_capacity(whole);
    appended.extend_from_slice(text);
    appended.extend_from_slice(tail);
    Ok(appended.into())
}

/// The text with a part written over, from an offset on (`SETRANGE`). Where that lies behind the end,
/// zeros lie between. An empty part changes nothing, wherever it is written.
///
/// # Errors
/// [`TooLong`], if the whole is longer than `length_max` bytes.
pub fn set_range(
    text: &[u8],
    offset: u64,
    part: &[u8],
    length_max: usize,
) -> Result<Bytes, TooLong> {
    if part.is_empty() {
        return Ok(Bytes::copy_from_slice(text));
    }
    let offset = usize::try_from(offset).unwrap_or(usize::MAX);
    let end = check_length(offset.saturating_add(part.len()), length_max)?;
    let mut edited = Vec::with_capacity(end.max(text.len()));
    edited.extend_from_slice(text);
    edited.resize(end.max(text.len()), 0);
    edited[offset..end].copy_from_slice(part);
    Ok(edited.into())
}

/// The part of a text from one index to another, which is included (`GETRANGE`). Indexes count from
/// the end if they are negative; what lies beyond the ends is left out.
pub fn get_range(text: &Bytes, start: i64, stop: i64) -> Bytes {
    let Range { start, end } = elements_between(start, stop, text.len());
    text.slice(start..end)
}

pub(super) const fn check_length(length: usize, length_max: usize) -> Result<usize, TooLong> {
    if length > length_max { Err(TooLong { length_max }) } else { Ok(length) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 16;

    #[test]
    fn a_text_is_appended_up_to_the_most_that_a_value_may_have() {
        assert_eq!(append(b"ab", b"cd", MAX), Ok("abcd".into()));
        assert_eq!(append(b"", b"0123456789abcdef", MAX), Ok("0123456789abcdef".into()));
        assert_eq!(append(b"0", b"0123456789abcdef", MAX), Err(TooLong { length_max: MAX }));
    }

    #[test]
    fn a_part_is_written_over_and_zeros_fill_what_lies_before_it() {
        assert_eq!(set_range(b"Hello World", 6, b"Redis", MAX), Ok("Hello Redis".into()));
        assert_eq!(set_range(b"abcd", 1, b"X", MAX), Ok("aXcd".into()));
        assert_eq!(set_range(b"ab", 4, b"cd", MAX), Ok(Bytes::from_static(b"ab\0\0cd")));
        assert_eq!(set_range(b"", u64::MAX, b"", MAX), Ok(Bytes::new()));
        assert_eq!(set_range(b"", 15, b"x", MAX).map(|text| text.len()), Ok(MAX));
        for offset in [16, u64::MAX] {
            assert_eq!(set_range(b"", offset, b"x", MAX), Err(TooLong { length_max: MAX }));
        }
    }

    #[test]
    fn a_range_counts_from_either_end_and_is_cut_to_the_text() {
        let text = Bytes::from_static(b"This is a string");
        for (start, stop, part) in [
            (0, 3, "This"),
            (-3, -1, "ing"),
            (0, -1, "This is a string"),
            (10, 100, "string"),
            (5, 3, ""),
            (-100, -17, ""),
            (20, 30, ""),
        ] {
            assert_eq!(get_range(&text, start, stop), part, "{start} {stop}");
        }
    }
}
