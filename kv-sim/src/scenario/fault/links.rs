//! Links, kinds of messages, and the faults that hit single messages on their way.

use kv_core::message::Kind;
use kv_core::time::Span;
use serde::Deserialize;
use toml::Spanned;

use super::super::cluster::{Cluster, NodeIndex};
use super::super::error::Problem;
use super::super::quantity::{count, decimal_milliseconds, parts_per_million};
use super::keys::Names;

/// Messages, by the two ends of their way and by their kind. All must match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Links {
    /// The senders; all if there is no list.
    pub from: Option<Vec<NodeIndex>>,
    /// The receivers; all if there is no list.
    pub to: Option<Vec<NodeIndex>>,
    /// The kinds of messages.
    pub messages: Kinds,
}

/// A set of kinds of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kinds(u64);

/// A probability of bad luck on some links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfortune {
    /// The links that are hit.
    pub links: Links,
    /// The probability in parts per million; at least 1.
    pub probability_ppm: u32,
}

/// A fault that makes links slow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlowLink {
    /// The links that are slow.
    pub links: Links,
    /// The mean delay that replaces the network's own.
    pub delay_mean: Option<Span>,
    /// The factor by which each delay is then multiplied; at least 1.
    pub factor: u32,
    /// The share of the delays that is then made longer still.
    pub tail: Option<Tail>,
}

/// The long tail of a distribution of delays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail {
    /// The share of messages in the tail, in parts per million; at least 1.
    pub share_ppm: u32,
    /// The time that is added to messages in the tail.
    pub longer: Longer,
}

/// The way in which a message of the tail takes longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Longer {
    /// A message takes longer by a drawn time, exponentially distributed with this mean.
    By(Span),
    /// A message takes this many times as long.
    Times(u32),
}

/// A clog: all messages wait on its links until it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clog {
    /// The links that are clogged.
    pub links: Links,
    /// The order in which the waiting messages arrive.
    pub order: ClogOrder,
}

/// The order in which messages arrive that have waited at a clog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClogOrder {
    /// The order in which they were sent on each link, as over one connection.
    Sent,
    /// The order of their own delays, as if each were sent when the clog ends.
    Drawn,
}

/// The keys of a fault that hits messages at random, and those of its links.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MisfortuneKeys {
    probability: Spanned<f64>,
    from: Option<Names>,
    to: Option<Names>,
    messages: Option<Names>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SlowLinkKeys {
    delay_ms_mean: Option<Spanned<f64>>,
    factor: Option<Spanned<u64>>,
    tail_share: Option<Spanned<f64>>,
    tail_ms: Option<Spanned<f64>>,
    tail_factor: Option<Spanned<u64>>,
    from: Option<Names>,
    to: Option<Names>,
    messages: Option<Names>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClogKeys {
    order: Option<ClogOrder>,
    from: Option<Names>,
    to: Option<Names>,
    messages: Option<Names>,
}

impl Kinds {
    /// The set of all kinds.
    pub const ALL: Self = Self::of(Kind::ALL);

    /// Creates the set of these kinds.
    pub const fn of(kinds: &[Kind]) -> Self {
        let (mut bits, mut at) = (0, 0);
        while at < kinds.len() {
            bits |= Self::bit(kinds[at]);
            at += 1;
        }
        Self(bits)
    }

    /// Tells whether a kind is in the set.
    pub const fn contain(self, kind: Kind) -> bool {
        self.0 & Self::bit(kind) != 0
    }

    /// True if every kind is in the set.
    pub const fn are_all(self) -> bool {
        self.0 == Self::ALL.0
    }

    const fn bit(kind: Kind) -> u64 {
        assert!(kind.number() < 64, "a set of kinds has 64 bits");
        1 << kind.number()
    }

    /// Describes the set for people: ` (only hint, read)`, or nothing for every kind.
    pub(super) fn describe(self) -> String {
        if self.are_all() {
            return String::new();
        }
        let kinds = Kind::ALL.iter().filter(|&&kind| self.contain(kind));
        let names: Vec<_> = kinds.map(|kind| kind.name()).collect();
        format!(" (only {})", names.join(", "))
    }
}

impl Links {
    pub(super) fn describe(&self, cluster: &Cluster) -> String {
        let ends = match (&self.from, &self.to) {
            (None, None) => "on all links".to_owned(),
            (Some(from), None) => format!("from {}", cluster.names(from)),
            (None, Some(to)) => format!("to {}", cluster.names(to)),
            (Some(from), Some(to)) => {
                format!("from {} to {}", cluster.names(from), cluster.names(to))
            }
        };
        ends + &self.messages.describe()
    }
}

impl Misfortune {
    pub(super) fn describe(&self, cluster: &Cluster) -> String {
        format!("{} % {}", percent(self.probability_ppm), self.links.describe(cluster))
    }
}

impl SlowLink {
    pub(super) fn describe(&self, cluster: &Cluster) -> String {
        let Self { links, delay_mean, factor, tail } = self;
        let mean = delay_mean.map(|mean| format!("{} ms mean", mean.as_ms()));
        // A factor of one is worth a word only where nothing else is given.
        let says_more = delay_mean.is_none() && tail.is_none();
        let factor = (*factor > 1 || says_more).then(|| format!("{factor} times as long"));
        let tail = tail.map(|Tail { share_ppm, longer }| {
            let longer = match longer {
                Longer::By(mean) => format!("by {} ms more", mean.as_ms()),
                Longer::Times(times) => format!("{times} times as long again"),
            };
            format!("{} % {longer}", percent(share_ppm))
        });
        let words: Vec<_> = [mean, factor, tail].into_iter().flatten().collect();
        format!("{} {}", words.join(", "), links.describe(cluster))
    }
}

impl Clog {
    pub(super) fn describe(&self, cluster: &Cluster) -> String {
        let order = match self.order {
            ClogOrder::Sent => "",
            ClogOrder::Drawn => ", let go in any order",
        };
        format!("{}{order}", self.links.describe(cluster))
    }
}

fn percent(ppm: u32) -> f64 {
    f64::from(ppm) / 10_000.0
}

/// Parses a list of names of kinds; all kinds if there is no list.
pub(super) fn kinds(names: Option<&Names>) -> Result<Kinds, Problem> {
    let Some(names) = names else { return Ok(Kinds::ALL) };
    if names.get_ref().is_empty() {
        return Err(Problem::at(names.span(), "this list names no kind of message")
            .label("empty")
            .help("name at least one kind, or leave the key out for all of them"));
    }
    let mut kinds = Vec::new();
    for name in names.get_ref() {
        let Some(&kind) = Kind::ALL.iter().find(|kind| kind.name() == name.get_ref()) else {
            let known: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
            return Err(Problem::unknown_word(
                name.span(),
                "kind of message",
                name.get_ref(),
                &known,
            ));
        };
        if kinds.contains(&kind) {
            let message = format!("`{}` stands twice", name.get_ref());
            return Err(Problem::at(name.span(), message).label("a second time"));
        }
        kinds.push(kind);
    }
    Ok(Kinds::of(&kinds))
}

fn links(
    from: Option<&Names>,
    to: Option<&Names>,
    messages: Option<&Names>,
    cluster: &Cluster,
) -> Result<Links, Problem> {
    let end = |names: Option<&Names>| names.map(|names| cluster.all_named(names)).transpose();
    Ok(Links { from: end(from)?, to: end(to)?, messages: kinds(messages)? })
}

pub(super) fn misfortune(keys: &MisfortuneKeys, cluster: &Cluster) -> Result<Misfortune, Problem> {
    let MisfortuneKeys { probability, from, to, messages } = keys;
    let probability_ppm = share(probability)?;
    let links = links(from.as_ref(), to.as_ref(), messages.as_ref(), cluster)?;
    Ok(Misfortune { links, probability_ppm })
}

/// Parses a probability above zero, into parts per million.
fn share(probability: &Spanned<f64>) -> Result<u32, Problem> {
    match parts_per_million(probability)? {
        0 => Err(Problem::at(probability.span(), "this fault never happens").label("above zero")),
        ppm => Ok(ppm),
    }
}

pub(super) fn slow_link(
    keys: &SlowLinkKeys,
    span: std::ops::Range<usize>,
    cluster: &Cluster,
) -> Result<SlowLink, Problem> {
    let SlowLinkKeys { delay_ms_mean, factor, from, to, messages, .. } = keys;
    let tail = tail(keys)?;
    if delay_ms_mean.is_none() && factor.is_none() && tail.is_none() {
        return Err(Problem::at(span, "how slow?")
            .label("give delay_ms_mean or factor")
            .help("or tail_share with tail_ms or tail_factor, for a share of the messages"));
    }
    let factor = match factor {
        Some(factor) => count(factor, "factor", 1..=10_000)? as u32,
        None => 1,
    };
    let delay_mean = delay_ms_mean.as_ref().map(decimal_milliseconds).transpose()?;
    let links = links(from.as_ref(), to.as_ref(), messages.as_ref(), cluster)?;
    Ok(SlowLink { links, delay_mean, factor, tail })
}

fn tail(keys: &SlowLinkKeys) -> Result<Option<Tail>, Problem> {
    let SlowLinkKeys { tail_share, tail_ms, tail_factor, .. } = keys;
    let longer = match (tail_ms, tail_factor) {
        (None, None) => None,
        (Some(ms), None) => Some((ms.span(), Longer::By(decimal_milliseconds(ms)?))),
        (None, Some(factor)) => {
            let times = count(factor, "tail_factor", 2..=10_000)? as u32;
            Some((factor.span(), Longer::Times(times)))
        }
        (Some(_), Some(factor)) => {
            return Err(Problem::at(
                factor.span(),
                "the tail is longer either by a time or by a factor",
            )
            .label("tail_ms is given as well"));
        }
    };
    match (tail_share, longer) {
        (None, None) => Ok(None),
        (Some(given), Some((_, longer))) => Ok(Some(Tail { share_ppm: share(given)?, longer })),
        (Some(given), None) => Err(Problem::at(given.span(), "how long is the tail?")
            .label("give tail_ms or tail_factor as well")),
        (None, Some((span, _))) => Err(Problem::at(span, "how many messages are in the tail?")
            .label("give tail_share as well")
            .help("tail_share = 0.01 is one message in a hundred")),
    }
}

pub(super) fn clog(keys: &ClogKeys, cluster: &Cluster) -> Result<Clog, Problem> {
    let ClogKeys { order, from, to, messages } = keys;
    let links = links(from.as_ref(), to.as_ref(), messages.as_ref(), cluster)?;
    Ok(Clog { links, order: order.unwrap_or(ClogOrder::Sent) })
}
