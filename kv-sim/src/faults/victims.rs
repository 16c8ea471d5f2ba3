//! Victims: the nodes that a fault of nodes hits.

use std::ops::Range;

use serde::Deserialize;
use toml::{Spanned, Table};

use super::FaultKeys;
use super::keys::NameList;
use crate::random::address::{Address, Aspect};
use crate::random::draws::Draws;
use crate::scenario::quantity::count;
use crate::scenario::{Cluster, Dice, KeyDoc, NodeIndex, Problem, ValueDoc};

/// The victims of a fault of nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Victims {
    /// The nodes that the scenario names; sorted, never empty.
    These(Vec<NodeIndex>),
    /// So many distinct nodes, drawn from the seed at each occurrence; 1..=nodes.
    Random(usize),
    /// A number of distinct nodes that is drawn too, at least one.
    AnyNumber,
}

/// The key that names the victims.
pub(super) const NODES_DOC: KeyDoc =
    KeyDoc::new("nodes", ValueDoc::Nodes, "the nodes that are hit")
        .or_else("required, unless `random` is given");

/// The key that says how many victims are drawn.
pub(super) const RANDOM_DOC: KeyDoc = KeyDoc::new(
    "random",
    ValueDoc::Whole(1, 10_000),
    "how many nodes are hit, drawn at each occurrence",
)
.or_else("required, unless `nodes` is given");

/// The keys of a fault that takes nothing but its victims.
pub(super) const KEYS_DOC: &[KeyDoc] = &[NODES_DOC, RANDOM_DOC];

/// The keys of a fault that takes nothing but its victims, whose number is drawn if none are named.
pub(super) const ANY_DOC: &[KeyDoc] = &[
    NODES_DOC.or_else("a number of nodes that is drawn too"),
    RANDOM_DOC.or_else("a number that is drawn too"),
];

/// The keys of a fault that takes nothing but its victims, as they stand in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VictimsKeys {
    nodes: Option<NameList>,
    random: Option<Spanned<u64>>,
}

impl Victims {
    /// Parses the victims of a fault that stands in the file at `span`.
    pub(super) fn parse(
        nodes: Option<&NameList>,
        random: Option<&Spanned<u64>>,
        span: Range<usize>,
        cluster: &Cluster,
    ) -> Result<Self, Problem> {
        match (nodes, random) {
            (Some(nodes), None) => Ok(Self::These(cluster.all_named(nodes)?)),
            (None, Some(random)) => {
                let number = count(random, "random", 1..=cluster.nodes.len() as u64)?;
                Ok(Self::Random(number as usize))
            }
            (Some(_), Some(random)) => {
                Err(Problem::at(random.span(), "either nodes are named or they are drawn")
                    .label("nodes is given as well"))
            }
            (None, None) => Err(Problem::at(span, "this fault hits nobody")
                .label("give nodes or random")
                .help("nodes = [\"n1\"], or random = 1 for one drawn from the seed")),
        }
    }

    /// Parses the victims of a fault that takes no other keys.
    pub(super) fn parse_alone(keys: &FaultKeys<'_>, cluster: &Cluster) -> Result<Self, Problem> {
        let VictimsKeys { nodes, random } = keys.parse()?;
        Self::parse(nodes.as_ref(), random.as_ref(), keys.span.clone(), cluster)
    }

    /// Parses the victims as [`Victims::parse_alone`] does; if none are named, their number is
    /// drawn as well.
    pub(super) fn parse_or_any(keys: &FaultKeys<'_>, cluster: &Cluster) -> Result<Self, Problem> {
        match keys.parse()? {
            VictimsKeys { nodes: None, random: None } => Ok(Self::AnyNumber),
            VictimsKeys { nodes, random } => {
                Self::parse(nodes.as_ref(), random.as_ref(), keys.span.clone(), cluster)
            }
        }
    }

    /// Draws the keys of at most so many victims.
    pub(super) fn draw(dice: Dice, most: u64, keys: &mut Table) {
        keys.insert("random".to_owned(), dice.number("victims", (1, most)));
    }

    /// Describes the victims for people.
    pub(super) fn describe(&self, cluster: &Cluster) -> String {
        match self {
            Self::These(nodes) => cluster.names(nodes),
            Self::Random(1) => "one random node".to_owned(),
            Self::Random(number) => format!("{number} random nodes"),
            Self::AnyNumber => "some random nodes".to_owned(),
        }
    }

    /// The number of nodes that a rolling fault goes through, of so many, and the number that it hits
    /// at once.
    pub(crate) fn in_turn(&self, nodes: usize) -> (usize, usize) {
        match self {
            Self::These(victims) => (victims.len(), 1),
            Self::Random(number) => (nodes, *number),
            Self::AnyNumber => (nodes, 1),
        }
    }

    /// The nodes that a rolling fault goes through, in the order in which it does.
    pub(crate) fn order(
        &self,
        draws: &mut Draws,
        address: Address,
        nodes: usize,
    ) -> Vec<NodeIndex> {
        match self {
            Self::These(victims) => victims.clone(),
            Self::Random(_) | Self::AnyNumber => Self::Random(nodes).choose(draws, address, nodes),
        }
    }

    /// Chooses the victims of one occurrence among so many nodes.
    pub(crate) fn choose(
        &self,
        draws: &mut Draws,
        address: Address,
        nodes: usize,
    ) -> Vec<NodeIndex> {
        let mut left: Vec<_> = (0..nodes).map(NodeIndex).collect();
        let number = match self {
            Self::These(nodes) => return nodes.clone(),
            Self::Random(number) => *number,
            Self::AnyNumber => {
                let turn = draws.next(&address);
                1 + draws.index(turn, Aspect::Victims, left.len())
            }
        };
        let draw = |_| {
            let turn = draws.next(&address);
            left.remove(draws.index(turn, Aspect::Only, left.len()))
        };
        (0..number).map(draw).collect()
    }
}
