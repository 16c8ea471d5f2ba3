//! Numbers of a scenario as they stand in the file, and how they become the simulator's units:
//! times become microseconds, probabilities become whole parts per million. From there on nothing
//! is a floating-point number, so nothing differs between platforms.

use std::fmt;

use kv_core::time::Span;
use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Unexpected, Visitor};
use toml::Spanned;

use super::error::Problem;
use super::key_doc::MS_MAX;

/// The probability one, in parts per million.
pub const PPM: u32 = 1_000_000;

/// Parses a time in whole milliseconds, of at most thirty days.
pub(crate) fn milliseconds(value: &Spanned<u64>) -> Result<Span, Problem> {
    if *value.get_ref() <= MS_MAX {
        return Ok(Span::from_ms(*value.get_ref()));
    }
    Err(Problem::at(value.span(), format!("{} ms are more than thirty days", value.get_ref()))
        .label("too long")
        .help(format!("times are in milliseconds, of at most {MS_MAX}")))
}

/// Parses a time in milliseconds, with a decimal point where wanted.
pub(crate) fn decimal_milliseconds(value: &Spanned<f64>) -> Result<Span, Problem> {
    let ms = *value.get_ref();
    if (0.0..=MS_MAX as f64).contains(&ms) {
        return Ok(Span((ms * 1_000.0).round() as u64));
    }
    Err(Problem::at(value.span(), format!("{ms} is no time in milliseconds"))
        .label(format!("must lie in 0..={MS_MAX}")))
}

/// Parses a time in whole microseconds.
pub(crate) fn microseconds(value: &Spanned<u64>) -> Result<Span, Problem> {
    if *value.get_ref() <= MS_MAX {
        return Ok(Span(*value.get_ref()));
    }
    Err(Problem::at(value.span(), format!("{} us is too long", value.get_ref()))
        .label(format!("must lie in 0..={MS_MAX}")))
}

/// Parses a probability in 0..=1, into parts per million.
pub(crate) fn parts_per_million(value: &Spanned<f64>) -> Result<u32, Problem> {
    let probability = *value.get_ref();
    if !(0.0..=1.0).contains(&probability) {
        return Err(Problem::at(value.span(), format!("{probability} is no probability"))
            .label("must lie in 0..=1")
            .help("5 % is written 0.05"));
    }
    let parts = (probability * f64::from(PPM)).round() as u32;
    if parts == 0 && probability > 0.0 {
        return Err(Problem::at(value.span(), format!("{probability} would be rounded to zero"))
            .label("the smallest probability is 0.000001"));
    }
    Ok(parts)
}

/// Parses a count in the given range.
pub(crate) fn count(
    value: &Spanned<u64>,
    key: &str,
    range: std::ops::RangeInclusive<u64>,
) -> Result<u64, Problem> {
    if range.contains(value.get_ref()) {
        return Ok(*value.get_ref());
    }
    let (min, max) = range.into_inner();
    Err(Problem::at(value.span(), format!("{key} = {} is out of range", value.get_ref()))
        .label(format!("must lie in {min}..={max}")))
}

/// Parses a smallest and a mean value. If just one of them is given, the other one's default makes
/// room.
pub(crate) fn min_and_mean<T>(
    (min_key, min_default): (Option<&Spanned<T>>, Span),
    (mean_key, mean_default): (Option<&Spanned<T>>, Span),
    convert: impl Fn(&Spanned<T>) -> Result<Span, Problem>,
) -> Result<(Span, Span), Problem> {
    let min = min_key.map(&convert).transpose()?;
    let mean = mean_key.map(&convert).transpose()?;
    match (min, mean, mean_key) {
        (Some(min), Some(mean), Some(key)) if mean < min => {
            Err(Problem::at(key.span(), "the mean is below the smallest value")
                .label("raise this, or lower the smallest value"))
        }
        (Some(min), Some(mean), _) => Ok((min, mean)),
        (Some(min), None, _) => Ok((min, mean_default.max(min))),
        (None, Some(mean), _) => Ok((min_default.min(mean), mean)),
        (None, None, _) => Ok((min_default, mean_default)),
    }
}

/// A number in the file, or the smallest and the largest of several: `16`, `[0, 4096]`.
pub(crate) enum NumberOrRange {
    One(u64),
    Between(u64, u64),
}

impl NumberOrRange {
    /// Parses the bounds, both of which lie in `range`.
    pub(crate) fn within(
        value: &Spanned<Self>,
        key: &str,
        range: std::ops::RangeInclusive<u64>,
    ) -> Result<(u64, u64), Problem> {
        let bound = |number| count(&Spanned::new(value.span(), number), key, range.clone());
        match *value.get_ref() {
            Self::One(number) => Ok((bound(number)?, number)),
            Self::Between(min, max) if min > max => {
                Err(Problem::at(value.span(), format!("no number is in {min}..={max}"))
                    .label("the smaller one stands first"))
            }
            Self::Between(min, max) => Ok((bound(min)?, bound(max)?)),
        }
    }
}

impl<'de> Deserialize<'de> for NumberOrRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EitherForm;

        impl<'de> Visitor<'de> for EitherForm {
            type Value = NumberOrRange;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number, or a list of the smallest and the largest")
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<NumberOrRange, E> {
                u64::try_from(number)
                    .map(NumberOrRange::One)
                    .map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
            }

            fn visit_seq<A: SeqAccess<'de>>(
                self,
                mut numbers: A,
            ) -> Result<NumberOrRange, A::Error> {
                let bounds = (numbers.next_element()?, numbers.next_element()?);
                let (Some(min), Some(max)) = bounds else {
                    return Err(serde::de::Error::invalid_length(1, &self));
                };
                match numbers.next_element::<u64>()? {
                    None => Ok(NumberOrRange::Between(min, max)),
                    Some(_) => Err(serde::de::Error::invalid_length(3, &self)),
                }
            }
        }

        deserializer.deserialize_any(EitherForm)
    }
}
