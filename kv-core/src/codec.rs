//! The encoding of values as bytes: messages, records and tokens are made of these.
//!
//! The layout is that of postcard, which other programs can read: numbers of more than eight bits
//! take seven bits a byte, the lowest first; what has a length says it first; a choice is the
//! number of what was chosen; fields follow each other in order, without names. Numbers that are
//! drawn or hashed are seldom small: they take the bytes that they have, the lowest first
//! (`fixint::le`). A value has one form: a number of the first kind in more bytes than it needs is
//! malformed.
//!
//! The encoded types are frozen per format version. Decoding never panics, never recurses with the
//! input, and reserves little before it has seen what it reserves for.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;
use smallvec::SmallVec;
use thiserror::Error;

/// The error of bytes that are cut short, out of range, or not in their one form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the bytes are malformed")]
pub struct Malformed;

/// A value that can be written as bytes and read back.
pub trait Codec: Sized {
    /// Appends the bytes of the value.
    fn encode(&self, out: &mut Vec<u8>);

    /// Reads a value, and leaves the bytes behind it.
    ///
    /// # Errors
    /// [`Malformed`], if the bytes begin with no such value.
    fn decode(input: &mut Reader<'_>) -> Result<Self, Malformed>;
}

/// The bytes that are left to be read.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    pieces: Pieces<'a>,
}

/// The treatment of byte values that are read.
#[derive(Clone, Copy, Debug)]
enum Pieces<'a> {
    Copied,
    /// The pieces share these bytes, of which `rest` is a part.
    Shared(&'a Bytes),
    /// The pieces are read over, and come out empty.
    Skipped,
}

/// The most by which a whole may be larger than a piece that shares it, and so keeps it in memory.
/// Smaller pieces are copied, unless the whole is at most [`FEW_BYTES`] long.
const SHARED_PART_MIN: usize = 8;
const FEW_BYTES: usize = 1_024;

/// The most elements that room is reserved for because the input says so; for more, only once they
/// are read.
const RESERVED_MAX: usize = 4;

/// The bits of a number in eight bytes of it, and the bits that say that another byte follows.
const GROUP_BITS: u32 = 56;
const GROUP_MAX: u64 = (1 << GROUP_BITS) - 1;
const MORE: u64 = 0x8080_8080_8080_8080;

impl<'a> Reader<'a> {
    /// Reads bytes, and copies the byte values in them.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, pieces: Pieces::Copied }
    }

    /// Reads bytes, with which the byte values in them share memory.
    pub fn sharing(whole: &'a Bytes) -> Self {
        Self { rest: whole, pieces: Pieces::Shared(whole) }
    }

    /// Reads bytes for what is said about byte values: these themselves come out empty.
    pub(crate) const fn skimming(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, pieces: Pieces::Skipped }
    }

    /// The bytes that have not been read.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Reads so many bytes.
    ///
    /// # Errors
    /// [`Malformed`], if fewer are left.
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Malformed)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Reads a fixed number of bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (&array, rest) = self.rest.split_first_chunk().ok_or(Malformed)?;
        self.rest = rest;
        Ok(array)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        let (&byte, rest) = self.rest.split_first().ok_or(Malformed)?;
        self.rest = rest;
        Ok(byte)
    }

    /// Reads the number of things that follow, each of which takes at least a byte.
    pub(crate) fn count(&mut self) -> Result<usize, Malformed> {
        let count = usize::try_from(u64::decode(self)?).map_err(|_| Malformed)?;
        if count <= self.rest.len() { Ok(count) } else { Err(Malformed) }
    }

    /// Reads so many bytes as a value of their own, as [`Pieces`] says.
    pub(crate) fn piece(&mut self, length: usize) -> Result<Bytes, Malformed> {
        let piece = self.take(length)?;
        match self.pieces {
            Pieces::Skipped => Ok(Bytes::new()),
            Pieces::Shared(whole)
                if whole.len() <= FEW_BYTES || whole.len() / SHARED_PART_MIN <= piece.len() =>
            {
                let end = whole.len() - self.rest.len();
                Ok(whole.slice(end - length..end))
            }
            Pieces::Shared(_) | Pieces::Copied => Ok(Bytes::copy_from_slice(piece)),
        }
    }

    /// Reads a number that takes more than one byte.
    #[inline(never)]
    fn large(&mut self) -> Result<u64, Malformed> {
        let (low, more) = self.group()?;
        if !more {
            return Ok(low);
        }
        // Eight bits are left: one byte, or two of which the second is 1.
        let (high, length) = match *self.rest {
            [high @ 1..0x80, ..] => (high, 1),
            [high @ 0x80..=0xff, 1, ..] => (high, 2),
            _ => return Err(Malformed),
        };
        self.rest = &self.rest[length..];
        Ok(u64::from(high) << GROUP_BITS | low)
    }

    /// Reads the next eight bytes of a number, or those up to its last one: up to 56 bits of it,
    /// and whether there are more.
    fn group(&mut self) -> Result<(u64, bool), Malformed> {
        let word = match self.rest.split_first_chunk::<8>() {
            Some((&chunk, rest)) => {
                let word = u64::from_le_bytes(chunk);
                if !word & MORE == 0 {
                    self.rest = rest;
                    return Ok((gather(word), true));
                }
                word
            }
            None => self.rest.iter().rev().fold(MORE, |word, &byte| word << 8 | u64::from(byte)),
        };
        let ends = !word & MORE;
        if ends == 0 {
            return Err(Malformed);
        }
        let length = ends.trailing_zeros() / 8 + 1;
        self.take(length as usize)?;
        let value = gather(word & (u64::MAX >> (64 - 8 * length)));
        // A last byte of nothing could have been left out.
        if value >> (7 * (length - 1)) == 0 { Err(Malformed) } else { Ok((value, false)) }
    }
}

/// Puts seven bits of a number into each byte.
const fn spread(value: u64) -> u64 {
    let x = (value & 0x00ff_ffff_f000_0000) << 4 | value & 0x0000_0000_0fff_ffff;
    let x = (x & 0x0fff_c000_0fff_c000) << 2 | x & 0x0000_3fff_0000_3fff;
    (x & 0x3f80_3f80_3f80_3f80) << 1 | x & 0x007f_007f_007f_007f
}

/// Undoes [`spread`], whatever the top bit of each byte is.
const fn gather(word: u64) -> u64 {
    let x = (word & 0x7f00_7f00_7f00_7f00) >> 1 | word & 0x007f_007f_007f_007f;
    let x = (x & 0x3fff_0000_3fff_0000) >> 2 | x & 0x0000_3fff_0000_3fff;
    (x & 0x0fff_ffff_0000_0000) >> 4 | x & 0x0000_0000_0fff_ffff
}

/// Appends the end of a number, of at most 56 bits.
fn put_end(out: &mut Vec<u8>, value: u64) {
    let bits = u64::BITS - (value | 1).leading_zeros();
    let length = bits.div_ceil(7);
    let more = MORE & !(u64::MAX << (8 * (length - 1)));
    let end = out.len() + length as usize;
    // Eight bytes are written always, and those behind the last one cut off.
    out.extend_from_slice(&(spread(value) | more).to_le_bytes());
    out.truncate(end);
}

/// Appends a number that takes more than one byte.
#[inline(never)]
fn put_large(out: &mut Vec<u8>, value: u64) {
    if value <= GROUP_MAX {
        return put_end(out, value);
    }
    let high = value >> GROUP_BITS;
    let mut bytes = [0; 10];
    bytes[..8].copy_from_slice(&(spread(value & GROUP_MAX) | MORE).to_le_bytes());
    let last = high >> 7;
    bytes[8] = high as u8 & 0x7f | (last << 7) as u8;
    bytes[9] = last as u8;
    let end = out.len() + 9 + last as usize;
    out.extend_from_slice(&bytes);
    out.truncate(end);
}

// Nearly all numbers that are written this way are small: lengths, counters of one key, choices.
impl Codec for u64 {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            small @ 0..0x80 => out.push(small as u8),
            value => put_large(out, value),
        }
    }

    #[inline]
    fn decode(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        match input.rest.split_first() {
            Some((&small @ 0..0x80, rest)) => {
                input.rest = rest;
                Ok(small.into())
            }
            _ => input.large(),
        }
    }
}

impl Codec for u8 {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(*self);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        input.byte()
    }
}

impl Codec for bool {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push((*self).into());
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        match input.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed),
        }
    }
}

macro_rules! numbers {
    ($($number:ident)*) => {$(
        impl Codec for $number {
            fn encode(&self, out: &mut Vec<u8>) {
                u64::from(*self).encode(out);
            }

            fn decode(input: &mut Reader<'_>) -> Result<Self, Malformed> {
                Self::try_from(u64::decode(input)?).map_err(|_| Malformed)
            }
        }
    )*};
}

numbers!(u16 u32);

// Signed numbers take turns, 0, -1, 1, -2 and so on, so that small ones stay small.
impl Codec for i64 {
    fn encode(&self, out: &mut Vec<u8>) {
        ((self << 1 ^ self >> 63) as u64).encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        u64::decode(input).map(|turn| (turn >> 1) as Self ^ -((turn & 1) as Self))
    }
}

impl Codec for i128 {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut rest = (self << 1 ^ self >> 127) as u128;
        while rest >= 0x80 {
            out.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        out.push(rest as u8);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut turn = 0_u128;
        for shift in (0..u128::BITS).step_by(7) {
            let byte = input.byte()?;
            let bits = u128::from(byte & 0x7f);
            // Bits that fall off the end, and a last byte of nothing.
            if bits << shift >> shift != bits || byte == 0 && shift > 0 {
                return Err(Malformed);
            }
            turn |= bits << shift;
            if byte < 0x80 {
                return Ok((turn >> 1) as Self ^ -((turn & 1) as Self));
            }
        }
        Err(Malformed)
    }
}

/// Appends bytes behind their length.
pub(crate) fn encode_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    (bytes.len() as u64).encode(out);
    out.extend_from_slice(bytes);
}

impl Codec for Bytes {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_bytes(self, out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        let length = input.count()?;
        input.piece(length)
    }
}

impl Codec for String {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_bytes(self.as_bytes(), out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        let length = input.count()?;
        let text = core::str::from_utf8(input.take(length)?).map_err(|_| Malformed)?;
        Ok(text.into())
    }
}

impl<T: Codec> Codec for Option<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.is_some().encode(out);
        if let Some(value) = self {
            value.encode(out);
        }
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        if bool::decode(input)? { T::decode(input).map(Some) } else { Ok(None) }
    }
}

impl<T: Codec> Codec for Vec<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_list(self, out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        let count = input.count()?;
        let mut values = Self::with_capacity(count.min(RESERVED_MAX));
        for _ in 0..count {
            values.push(T::decode(input)?);
        }
        Ok(values)
    }
}

/// Appends the bytes of a list, whether it is in place or on the heap.
pub(crate) fn encode_list<T: Codec>(values: &[T], out: &mut Vec<u8>) {
    (values.len() as u64).encode(out);
    for value in values {
        value.encode(out);
    }
}

/// Reads a list onto the end of another, so that a list in place is not moved.
pub(crate) fn decode_onto<A: smallvec::Array<Item: Codec>>(
    values: &mut SmallVec<A>,
    input: &mut Reader<'_>,
) -> Result<(), Malformed> {
    let count = input.count()?;
    values.reserve(count.min(RESERVED_MAX));
    for _ in 0..count {
        values.push(A::Item::decode(input)?);
    }
    Ok(())
}

impl<T: Codec + Copy + Default, const N: usize> Codec for [T; N] {
    fn encode(&self, out: &mut Vec<u8>) {
        for value in self {
            value.encode(out);
        }
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut values = [T::default(); N];
        for value in &mut values {
            *value = T::decode(input)?;
        }
        Ok(values)
    }
}

impl<T: Codec> Codec for Box<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        (**self).encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        T::decode(input).map(Self::new)
    }
}

impl<A: Codec, B: Codec> Codec for (A, B) {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
        self.1.encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok((A::decode(input)?, B::decode(input)?))
    }
}

/// Implements [`Codec`] for types of which all parts have it: `struct Name { fields }` in the order
/// in which they are written, `struct Name(_)` for a name around a number, `fixed Name(u64)` for
/// one around a number that is as likely to be large as small, `enum Name { number =>
/// Variant(parts) }`. A field or a variant that is forgotten does not compile.
macro_rules! codec {
    (struct $($name:ident(_)),+ $(,)?) => {$(
        impl $crate::codec::Codec for $name {
            fn encode(&self, out: &mut alloc::vec::Vec<u8>) {
                { self.0 }.encode(out);
            }

            fn decode(
                input: &mut $crate::codec::Reader<'_>,
            ) -> Result<Self, $crate::codec::Malformed> {
                $crate::codec::Codec::decode(input).map(Self)
            }
        }
    )+};
    ($(fixed $name:ident($number:ident)),+ $(,)?) => {$(
        impl $crate::codec::Codec for $name {
            fn encode(&self, out: &mut alloc::vec::Vec<u8>) {
                out.extend_from_slice(&{ self.0 }.to_le_bytes());
            }
            fn decode(
                input: &mut $crate::codec::Reader<'_>,
            ) -> Result<Self, $crate::codec::Malformed> {
                input.array().map(|bytes| Self($number::from_le_bytes(bytes)))
            }
        }
    )+};
    (struct $name:ident { $($field:ident),+ $(,)? }) => {
        impl $crate::codec::Codec for $name {
            fn encode(&self, out: &mut alloc::vec::Vec<u8>) {
                let Self { $($field),+ } = self;
                $($field.encode(out);)+
            }

            fn decode(
                input: &mut $crate::codec::Reader<'_>,
            ) -> Result<Self, $crate::codec::Malformed> {
                Ok(Self { $($field: $crate::codec::Codec::decode(input)?),+ })
            }
        }
    };
    (enum $name:ident {
        $($number:literal => $variant:ident $(($part:ident))? $({ $field:ident })?),+ $(,)?
    }) => {
        impl $crate::codec::Codec for $name {
            fn encode(&self, out: &mut alloc::vec::Vec<u8>) {
                match self {
                    $(Self::$variant $(($part))? $({ $field })? => {
                        out.push($number);
                        $($part.encode(out);)?
                        $($field.encode(out);)?
                    })+
                }
            }

            fn decode(
                input: &mut $crate::codec::Reader<'_>,
            ) -> Result<Self, $crate::codec::Malformed> {
                match u8::decode(input)? {
                    $($number => {
                        $(let $part = $crate::codec::Codec::decode(input)?;)?
                        $(let $field = $crate::codec::Codec::decode(input)?;)?
                        Ok(Self::$variant $(($part))? $({ $field })?)
                    })+
                    _ => Err($crate::codec::Malformed),
                }
            }
        }
    };
}

pub(crate) use codec;

#[cfg(test)]
mod tests;
