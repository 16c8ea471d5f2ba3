//! Which keys a trial asks for, as its command line says it.

use clap::ValueEnum;

use crate::load::KeyChoice;

/// The most bytes of all values together. Large values have fewer keys.
const DATA_BYTES_MAX: u64 = 256 << 20;

/// How often each key is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Popularity {
    /// As often as any other
    Uniform,
    /// By Zipf's law
    Zipfian,
}

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct KeyArguments {
    /// How often each key is asked for
    #[arg(long, value_enum, default_value_t = Popularity::Uniform)]
    keys: Popularity,
    /// Different keys; fewer, where their values would be more than 256 MiB together
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    key_count: u64,
    /// The exponent of Zipf's law; YCSB has 0.99
    #[arg(long, default_value_t = 0.99, value_parser = positive)]
    zipf_exponent: f64,
}

impl KeyArguments {
    /// How many keys there are with values of so many bytes.
    pub(crate) fn count(&self, value_bytes: usize) -> u64 {
        self.key_count.min(DATA_BYTES_MAX / value_bytes.max(1) as u64).max(1)
    }

    /// How keys are chosen that have values of so many bytes.
    pub(crate) fn choice(&self, value_bytes: usize) -> KeyChoice {
        let count = self.count(value_bytes);
        match self.keys {
            Popularity::Uniform => KeyChoice::Uniform { count },
            Popularity::Zipfian => KeyChoice::zipfian(count, self.zipf_exponent),
        }
    }

    /// The same in words.
    pub(crate) fn words(&self, value_bytes: usize) -> String {
        let count = self.count(value_bytes);
        match self.keys {
            Popularity::Uniform => format!("{count} keys by chance"),
            Popularity::Zipfian => {
                format!("{count} keys by Zipf's law with exponent {}", self.zipf_exponent)
            }
        }
    }
}

/// Parses a number above 0.
pub(crate) fn positive(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| format!("{text:?} is no number"))?;
    if number.is_finite() && number > 0.0 {
        Ok(number)
    } else {
        Err(format!("{text} is not above 0"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_values_have_fewer_keys() {
        let keys = Popularity::Uniform;
        let arguments = KeyArguments { keys, key_count: 100_000, zipf_exponent: 0.99 };
        assert_eq!(
            [100, 1_024, 102_400, 1 << 20].map(|bytes| arguments.count(bytes)),
            [100_000, 100_000, 2_621, 256]
        );
        assert_eq!(arguments.count(1 << 30), 1);
    }

    #[test]
    fn only_numbers_above_zero_are_taken() {
        assert_eq!(positive("0.99"), Ok(0.99));
        for text in ["0", "-1", "inf", "NaN", "much"] {
            assert!(positive(text).is_err(), "{text}");
        }
    }
}
