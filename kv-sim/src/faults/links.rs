//! Links, kinds of messages, and the rules that faults make for messages on their way.

use kv_core::message::Kind;
use kv_core::time::Span;
use serde::Deserialize;
use toml::{Spanned, Table};

use super::cut::Cut;
use super::keys::NameList;
use crate::scenario::quantity::parts_per_million;
use crate::scenario::{Cluster, Dice, DrawnCluster, KeyDoc, NodeIndex, Problem, ValueDoc};

/// The key that names the senders.
pub(super) const FROM_DOC: KeyDoc =
    KeyDoc::new("from", ValueDoc::Nodes, "the senders whose messages are hit").or_else("all");

/// The key that names the receivers.
pub(super) const TO_DOC: KeyDoc =
    KeyDoc::new("to", ValueDoc::Nodes, "the receivers whose messages are hit").or_else("all");

/// The key that names the kinds of messages.
pub(super) const MESSAGES_DOC: KeyDoc = KeyDoc::new(
    "messages",
    ValueDoc::Other("a list of kinds of messages, such as `[\"hint\", \"read\"]`"),
    "the kinds of messages that are hit",
)
.or_else("all");

/// A rule that a fault makes: what happens to which messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkRule {
    /// The messages that obey the rule.
    pub ways: Ways,
    /// The effect on each of them.
    pub effect: LinkEffect,
}

/// The messages that a rule is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ways {
    /// The messages of some links.
    On(Links),
    /// The messages of some kinds between nodes that are cut off from each other.
    Across(Cut, Kinds),
}

/// The effect of a rule on a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkEffect {
    /// The message is dropped.
    Drop,
    /// The message waits until the rule is gone.
    Wait(ClogOrder),
    /// The message is lost with this probability, in parts per million.
    Lose(u32),
    /// The message arrives twice with this probability, in parts per million.
    Duplicate(u32),
    /// The message is held back, by up to the network's `reorder_max`, with this probability, in
    /// parts per million.
    HoldBack(u32),
    /// Bits of the message are flipped with this probability, in parts per million.
    Corrupt(u32),
    /// The message takes longer.
    Slow {
        /// The mean delay that replaces the network's own.
        delay_mean: Option<Span>,
        /// The factor by which the delay is then multiplied; at least 1.
        factor: u32,
        /// The share of the delays that is then made longer still.
        tail: Option<Tail>,
    },
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

impl Links {
    /// Parses the links of a fault, by their ends and the kinds of messages.
    pub(super) fn parse(
        from: Option<&NameList>,
        to: Option<&NameList>,
        messages: Option<&NameList>,
        cluster: &Cluster,
    ) -> Result<Self, Problem> {
        let end =
            |names: Option<&NameList>| names.map(|names| cluster.all_named(names)).transpose();
        Ok(Self { from: end(from)?, to: end(to)?, messages: Kinds::parse(messages)? })
    }

    /// Draws the keys of links: all, or those from or to some nodes; of all messages or of some.
    pub(super) fn draw(dice: Dice, cluster: &DrawnCluster, keys: &mut Table) {
        for end in ["from", "to"] {
            let dice = dice.of(end);
            if dice.chance("some", 30) {
                let number = dice.between("how many", (1, cluster.names.len() as u64)) as usize;
                keys.insert(end.to_owned(), dice.some_of("which", &cluster.names, number).into());
            }
        }
        Kinds::draw(dice, keys);
    }

    /// Describes the links for people.
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

    /// Makes the rule by which this happens to the messages of these links.
    pub(super) fn rule(&self, effect: LinkEffect) -> Option<LinkRule> {
        Some(LinkRule { ways: Ways::On(self.clone()), effect })
    }
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

    /// Parses a list of names of kinds; all kinds if there is no list.
    pub(super) fn parse(names: Option<&NameList>) -> Result<Self, Problem> {
        let Some(names) = names else { return Ok(Self::ALL) };
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
        Ok(Self::of(&kinds))
    }

    /// Draws the key of the kinds of messages: all, or one to three of them.
    pub(super) fn draw(dice: Dice, keys: &mut Table) {
        let dice = dice.of("messages");
        if dice.chance("some", 20) {
            let names: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
            let number = dice.between("how many", (1, 3)) as usize;
            keys.insert("messages".to_owned(), dice.some_of("which", &names, number).into());
        }
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

/// Parses a probability above zero, into parts per million.
pub(super) fn share(probability: &Spanned<f64>) -> Result<u32, Problem> {
    match parts_per_million(probability)? {
        0 => Err(Problem::at(probability.span(), "this fault never happens").label("above zero")),
        ppm => Ok(ppm),
    }
}

/// A share in parts per million as a percentage, for people.
pub(super) fn percent(ppm: u32) -> f64 {
    f64::from(ppm) / 10_000.0
}
