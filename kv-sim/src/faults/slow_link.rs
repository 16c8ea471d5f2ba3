//! Slow links: messages take longer, by a factor or to a new mean, or in a long tail.

use kv_core::time::Span;
use serde::Deserialize;
use toml::{Spanned, Table};

use super::keys::NameList;
use super::links::{percent, share};
use super::{FaultKeys, Inject, LinkEffect, LinkRule, Links, Longer, Tail, links};
use crate::scenario::quantity::{count, decimal_milliseconds};
use crate::scenario::{Cluster, Dice, DrawnCluster, KeyDoc, NodeIndex, Problem, ValueDoc, integer};

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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SlowLinkKeys {
    delay_ms_mean: Option<Spanned<f64>>,
    factor: Option<Spanned<u64>>,
    tail_share: Option<Spanned<f64>>,
    tail_ms: Option<Spanned<f64>>,
    tail_factor: Option<Spanned<u64>>,
    from: Option<NameList>,
    to: Option<NameList>,
    messages: Option<NameList>,
}

impl Inject for SlowLink {
    const NAME: &'static str = "slow-link";
    const ABOUT: &'static str =
        "links take longer, by a factor or to a new mean, or in a long tail";
    const KEYS: &'static [KeyDoc] = &[
        KeyDoc::decimal_ms("delay_ms_mean", "the time that a message takes on average")
            .or_else("the network's own"),
        KeyDoc::new("factor", ValueDoc::Whole(1, 10_000), "by how much it then takes longer")
            .or_else("1"),
        KeyDoc::probability("tail_share", "the share of the messages that take longer still")
            .optional(),
        KeyDoc::decimal_ms("tail_ms", "the time by which these take longer on average")
            .or_else("one of the two, if there is a tail"),
        KeyDoc::new(
            "tail_factor",
            ValueDoc::Whole(2, 10_000),
            "the factor by which these take longer",
        )
        .or_else("one of the two, if there is a tail"),
        links::FROM_DOC,
        links::TO_DOC,
        links::MESSAGES_DOC,
    ];

    fn parse(keys: &FaultKeys<'_>, cluster: &Cluster) -> Result<Self, Problem> {
        let own: SlowLinkKeys = keys.parse()?;
        let SlowLinkKeys { delay_ms_mean, factor, from, to, messages, .. } = &own;
        let tail = tail(&own)?;
        if delay_ms_mean.is_none() && factor.is_none() && tail.is_none() {
            return Err(Problem::at(keys.span.clone(), "how slow?")
                .label("give delay_ms_mean or factor")
                .help("or tail_share with tail_ms or tail_factor, for a share of the messages"));
        }
        let factor = match factor {
            Some(factor) => count(factor, "factor", 1..=10_000)? as u32,
            None => 1,
        };
        let delay_mean = delay_ms_mean.as_ref().map(decimal_milliseconds).transpose()?;
        let links = Links::parse(from.as_ref(), to.as_ref(), messages.as_ref(), cluster)?;
        Ok(Self { links, delay_mean, factor, tail })
    }

    fn draw(dice: Dice, cluster: &DrawnCluster, keys: &mut Table) {
        if dice.chance("long tail", 40) {
            keys.insert("tail_share".to_owned(), dice.share("tail share", (5, 200)));
            keys.insert("tail_ms".to_owned(), integer(dice.magnitude("tail", (10, 2_000))));
        } else {
            keys.insert("factor".to_owned(), integer(dice.magnitude("factor", (2, 100))));
        }
        Links::draw(dice, cluster, keys);
    }

    fn describe(&self, cluster: &Cluster) -> String {
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

    fn rule(&self, _victims: &[NodeIndex], _nodes: usize) -> Option<LinkRule> {
        let &Self { ref links, delay_mean, factor, tail } = self;
        links.rule(LinkEffect::Slow { delay_mean, factor, tail })
    }
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
