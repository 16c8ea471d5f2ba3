//! Untidiness: what clients do that nobody should and everybody does. Values are empty, requests
//! are asked again, ids are used twice, tokens are passed to keys that they do not belong to.

use serde::Deserialize;
use toml::Spanned;

use super::error::Problem;
use super::quantity::{count, parts_per_million};

/// The untidiness of the clients of a workload. By default they are tidy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Untidiness {
    /// The share of the values that are empty, in parts per million.
    pub empty_ppm: u32,
    /// The number of times that a write of which nobody knows whether it happened is asked for
    /// again, under its id, of another node.
    pub retries: u32,
    /// The share of the operations that ask once more for an earlier write of the client, under its
    /// id, whatever became of it; in parts per million.
    pub repeat_ppm: u32,
    /// The share of the writes that are given the id of an earlier write of the client, in parts
    /// per million.
    pub reuse_ppm: u32,
    /// The share of the operations that make no sense, in parts per million.
    pub misuse_ppm: u32,
    /// The ways in which they make no sense; empty if none does.
    pub misuses: Vec<Misuse>,
}

/// A way in which a request makes no sense. It must be refused before anything is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Misuse {
    /// A write comes with a token of another key.
    OtherKey,
    /// A write comes with a token that was altered or cut.
    CorruptToken,
    /// A write comes with a token of another cluster.
    OtherCluster,
    /// The key has no bytes.
    EmptyKey,
    /// The key has one byte too many.
    LongKey,
    /// The value has one byte too many.
    LongValue,
}

impl Misuse {
    /// Every way, in the order in which they are listed.
    pub const ALL: &'static [Self] = &[
        Self::OtherKey,
        Self::CorruptToken,
        Self::OtherCluster,
        Self::EmptyKey,
        Self::LongKey,
        Self::LongValue,
    ];

    /// The word for the way in a scenario.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OtherKey => "other-key",
            Self::CorruptToken => "corrupt-token",
            Self::OtherCluster => "other-cluster",
            Self::EmptyKey => "empty-key",
            Self::LongKey => "long-key",
            Self::LongValue => "long-value",
        }
    }

    /// The words that say for people with what the request comes.
    pub const fn words(self) -> &'static str {
        match self {
            Self::OtherKey => "a token of another key",
            Self::CorruptToken => "a corrupt token",
            Self::OtherCluster => "a token of another cluster",
            Self::EmptyKey => "a key without bytes",
            Self::LongKey => "a key that is too long",
            Self::LongValue => "a value that is too long",
        }
    }
}

/// The keys of a workload that make its clients untidy, as they stand in the file.
pub(super) struct UntidinessKeys<'a> {
    pub(super) empty_share: Option<&'a Spanned<f64>>,
    pub(super) retries: Option<&'a Spanned<u64>>,
    pub(super) repeat_share: Option<&'a Spanned<f64>>,
    pub(super) reuse_share: Option<&'a Spanned<f64>>,
    pub(super) misuse_share: Option<&'a Spanned<f64>>,
    pub(super) misuses: Option<&'a Spanned<Vec<Misuse>>>,
}

/// The most times that a write may be asked for again.
pub(super) const RETRIES_MAX: u64 = 100;

pub(super) fn parse(keys: &UntidinessKeys<'_>) -> Result<Untidiness, Problem> {
    let share = |key: Option<&Spanned<f64>>| key.map_or(Ok(0), parts_per_million);
    let misuse_ppm = share(keys.misuse_share)?;
    let misuses = match keys.misuses {
        Some(ways) if ways.get_ref().is_empty() || misuse_ppm == 0 => {
            return Err(Problem::at(ways.span(), "no operation makes no sense in these ways")
                .label("give misuse_share, or leave this out")
                .help(
                    "misuse_share = 0.05 and misuses = [\"other-key\"], or all ways without a list",
                ));
        }
        Some(ways) => ways.get_ref().clone(),
        None if misuse_ppm == 0 => Vec::new(),
        None => Misuse::ALL.to_vec(),
    };
    Ok(Untidiness {
        empty_ppm: share(keys.empty_share)?,
        retries: keys.retries.map_or(Ok(0), |key| count(key, "retries", 0..=RETRIES_MAX))? as u32,
        repeat_ppm: share(keys.repeat_share)?,
        reuse_ppm: share(keys.reuse_share)?,
        misuse_ppm,
        misuses,
    })
}
