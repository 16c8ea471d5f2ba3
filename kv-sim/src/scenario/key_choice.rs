//! The choice of keys: which keys clients prefer.

use serde::Deserialize;
use toml::Spanned;

use super::error::Problem;
use super::quantity::{PPM, count, parts_per_million};

/// The way in which the clients of a workload choose their keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyChoice {
    /// Each key is as likely as another.
    Uniform,
    /// The first key is the likeliest, and the k-th less so by the factor `1 / k^exponent` (Zipf).
    Zipfian {
        /// The exponent, in parts per million.
        exponent_ppm: u32,
    },
    /// Each client writes one key after the other, and reads by Zipf's law those that it wrote last.
    Latest {
        /// The exponent, in parts per million.
        exponent_ppm: u32,
    },
    /// The operations of all clients take the keys one after the other, in a circle.
    InTurn,
    /// Some keys get a share of all operations, and the others get the rest.
    Hot {
        /// The number of these keys, which are the first; less than there are.
        keys: u32,
        /// Their share, in parts per million.
        share_ppm: u32,
    },
}

/// The word for a choice in a scenario.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum DistributionKey {
    #[default]
    Uniform,
    Zipfian,
    Latest,
    InTurn,
    Hot,
}

/// The keys of a workload that say how it chooses its keys, as they stand in the file.
pub(super) struct KeyChoiceKeys<'a> {
    pub(super) distribution: Option<DistributionKey>,
    pub(super) exponent: Option<&'a Spanned<f64>>,
    pub(super) hot_keys: Option<&'a Spanned<u64>>,
    pub(super) hot_share: Option<&'a Spanned<f64>>,
}

/// The exponent of Zipf's law that is taken if none is given: that of YCSB.
const EXPONENT_PPM: u32 = 990_000;

/// The largest exponent. With it, nearly all operations are on the first key.
pub(super) const EXPONENT_MAX: f64 = 10.0;

/// The most keys among which is chosen by Zipf's law: the chance of each is kept.
pub(super) const ZIPFIAN_KEYS_MAX: u32 = 1_000_000;

/// Parses the choice among so many keys. `span` is the place of the workload in the file.
pub(super) fn parse(given: &KeyChoiceKeys<'_>, keys: &Spanned<u64>) -> Result<KeyChoice, Problem> {
    let distribution = given.distribution.unwrap_or_default();
    let (is_zipfs, is_hot) = match distribution {
        DistributionKey::Uniform | DistributionKey::InTurn => (false, false),
        DistributionKey::Zipfian | DistributionKey::Latest => (true, false),
        DistributionKey::Hot => (false, true),
    };
    if let Some(exponent) = given.exponent.filter(|_| !is_zipfs) {
        return Err(Problem::at(exponent.span(), "this choice of keys has no exponent")
            .label("give distribution = \"zipfian\" or \"latest\" as well"));
    }
    let hot = [given.hot_keys.map(Spanned::span), given.hot_share.map(Spanned::span)];
    if let Some(span) = hot.into_iter().flatten().next().filter(|_| !is_hot) {
        return Err(
            Problem::at(span, "no key is hot here").label("give distribution = \"hot\" as well")
        );
    }
    if is_zipfs && *keys.get_ref() > ZIPFIAN_KEYS_MAX.into() {
        return Err(Problem::at(keys.span(), "too many keys to choose by Zipf's law")
            .label(format!("at most {ZIPFIAN_KEYS_MAX}")));
    }
    let exponent_ppm = given.exponent.map_or(Ok(EXPONENT_PPM), exponent)?;
    Ok(match distribution {
        DistributionKey::Uniform => KeyChoice::Uniform,
        DistributionKey::Zipfian => KeyChoice::Zipfian { exponent_ppm },
        DistributionKey::Latest => KeyChoice::Latest { exponent_ppm },
        DistributionKey::InTurn => KeyChoice::InTurn,
        DistributionKey::Hot => {
            let others = keys.get_ref().saturating_sub(1);
            if others == 0 {
                return Err(Problem::at(keys.span(), "a hot key among others needs others")
                    .label("at least 2"));
            }
            let hot_keys = given.hot_keys.map_or(Ok(1), |key| count(key, "hot_keys", 1..=others));
            let share_ppm = given.hot_share.map_or(Ok(PPM / 2), parts_per_million)?;
            KeyChoice::Hot { keys: hot_keys? as u32, share_ppm }
        }
    })
}

fn exponent(given: &Spanned<f64>) -> Result<u32, Problem> {
    let exponent = *given.get_ref();
    if (0.0..=EXPONENT_MAX).contains(&exponent) {
        return Ok((exponent * f64::from(PPM)).round() as u32);
    }
    Err(Problem::at(given.span(), format!("{exponent} is no exponent"))
        .label(format!("must lie in 0..={EXPONENT_MAX}")))
}
