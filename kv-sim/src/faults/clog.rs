//! Clogs: messages wait on their links, and all arrive when it ends.

use serde::Deserialize;
use toml::Table;

use super::keys::NameList;
use super::{ClogOrder, FaultKeys, Inject, LinkEffect, LinkRule, Links, Strike, Target, links};
use crate::scenario::{Cluster, Dice, DrawnCluster, KeyDoc, NodeIndex, Problem, ValueDoc};

/// A clog: all messages wait on its links until it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clog {
    /// The links that are clogged.
    pub links: Links,
    /// The order in which the waiting messages arrive.
    pub order: ClogOrder,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClogKeys {
    order: Option<ClogOrder>,
    from: Option<NameList>,
    to: Option<NameList>,
    messages: Option<NameList>,
}

impl Inject for Clog {
    const NAME: &'static str = "clog";
    const ABOUT: &'static str = "messages wait on their links, and all arrive when it ends";
    const KEYS: &'static [KeyDoc] = &[
        KeyDoc::new(
            "order",
            ValueDoc::Word(&["sent", "drawn"]),
            "the order in which what has waited arrives: as it was sent on each link, or by delays of its own",
        )
        .or("\"sent\""),
        links::FROM_DOC,
        links::TO_DOC,
        links::MESSAGES_DOC,
    ];

    fn parse(keys: &FaultKeys<'_>, cluster: &Cluster) -> Result<Self, Problem> {
        let ClogKeys { order, from, to, messages } = keys.parse()?;
        let links = Links::parse(from.as_ref(), to.as_ref(), messages.as_ref(), cluster)?;
        Ok(Self { links, order: order.unwrap_or(ClogOrder::Sent) })
    }

    fn draw(dice: Dice, cluster: &DrawnCluster, keys: &mut Table) {
        keys.insert("order".to_owned(), dice.one_of("order", &["sent", "drawn"]).into());
        Links::draw(dice, cluster, keys);
    }

    fn describe(&self, cluster: &Cluster) -> String {
        let order = match self.order {
            ClogOrder::Sent => "",
            ClogOrder::Drawn => ", let go in any order",
        };
        format!("{}{order}", self.links.describe(cluster))
    }

    fn may_last(&self) -> bool {
        self.links.messages.are_all()
    }

    fn rule(&self, _victims: &[NodeIndex], _nodes: usize) -> Option<LinkRule> {
        self.links.rule(LinkEffect::Wait(self.order))
    }

    fn end(&self, world: &mut dyn Target, _strike: &Strike) {
        world.let_go(self.order);
    }
}
