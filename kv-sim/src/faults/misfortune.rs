//! Misfortunes of single messages, each with a probability: they are lost, arrive twice, are held
//! back, or are corrupted.

use serde::Deserialize;
use toml::{Spanned, Table};

use super::keys::NameList;
use super::links::{percent, share};
use super::{FaultKeys, Inject, LinkEffect, LinkRule, Links, links};
use crate::scenario::{Cluster, Dice, DrawnCluster, KeyDoc, NodeIndex, Problem};

/// A probability of bad luck on some links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfortune {
    /// The links that are hit.
    pub links: Links,
    /// The probability in parts per million; at least 1.
    pub probability_ppm: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MisfortuneKeys {
    probability: Spanned<f64>,
    from: Option<NameList>,
    to: Option<NameList>,
    messages: Option<NameList>,
}

macro_rules! misfortunes {
    ($($(#[$doc:meta])* $Kind:ident($effect:path) $name:literal: $about:literal,)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $Kind(pub Misfortune);

        impl Inject for $Kind {
            const NAME: &'static str = $name;
            const ABOUT: &'static str = $about;
            const KEYS: &'static [KeyDoc] = &[
                KeyDoc::probability("probability", "the chance of each message; above zero"),
                links::FROM_DOC,
                links::TO_DOC,
                links::MESSAGES_DOC,
            ];
            const IS_MISFORTUNE: bool = true;

            fn parse(keys: &FaultKeys<'_>, cluster: &Cluster) -> Result<Self, Problem> {
                Misfortune::parse(keys, cluster).map(Self)
            }

            fn draw(dice: Dice, cluster: &DrawnCluster, keys: &mut Table) {
                keys.insert("probability".to_owned(), dice.share("probability", (10, 500)));
                Links::draw(dice, cluster, keys);
            }

            fn describe(&self, cluster: &Cluster) -> String {
                let Misfortune { links, probability_ppm } = &self.0;
                format!("{} % {}", percent(*probability_ppm), links.describe(cluster))
            }

            fn rule(&self, _victims: &[NodeIndex], _nodes: usize) -> Option<LinkRule> {
                self.0.links.rule($effect(self.0.probability_ppm))
            }
        }
    )*};
}

misfortunes! {
    /// Messages are lost.
    Loss(LinkEffect::Lose) "loss": "messages are lost with a probability",
    /// Messages arrive twice.
    Duplicate(LinkEffect::Duplicate) "duplicate": "messages arrive twice with a probability",
    /// Messages are held back by up to the network's `reorder_max`.
    Reorder(LinkEffect::HoldBack) "reorder":
        "messages are held back with a probability, so that later ones overtake",
    /// Bits of messages are flipped on their way. The checksum of a frame notices, as between real
    /// nodes, and the message is dropped.
    Corrupt(LinkEffect::Corrupt) "corrupt":
        "bits of messages are flipped with a probability: the checksum of the link notices",
}

impl Misfortune {
    fn parse(keys: &FaultKeys<'_>, cluster: &Cluster) -> Result<Self, Problem> {
        let MisfortuneKeys { probability, from, to, messages } = keys.parse()?;
        let probability_ppm = share(&probability)?;
        let links = Links::parse(from.as_ref(), to.as_ref(), messages.as_ref(), cluster)?;
        Ok(Self { links, probability_ppm })
    }
}
