//! The nodes of a scenario: their names and where they stand.
//!
//! In the file, `nodes` is either a number (`nodes = 5` makes `n1` to `n5`, each on a machine of
//! its own) or a list of tables with a name and places. Everything after this module speaks of a
//! node by its [`NodeIndex`]; [`Cluster::named`] is the one place where a name is looked up.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Unexpected, Visitor};
use toml::Spanned;

use super::error::{Problem, nearest};
use super::key_doc::{KeyDoc, ValueDoc};
use super::quantity::count;

/// The most nodes that a scenario may have.
pub const NODES_MAX: u64 = 10_000;

/// The most layouts that may be live at once.
pub(super) const LAYOUTS_MAX: u64 = 3;

/// The most partitions that a ring may be cut into.
pub(super) const PARTITIONS_MAX: u64 = 16_384;

/// A node of the scenario: its position in [`Cluster::nodes`], from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeIndex(pub usize);

/// The nodes, and the number of slices that the ring is cut into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// The nodes in the order of the file; never empty, no name twice.
    pub nodes: Vec<Place>,
    /// The number of equal slices of the ring: a power of two of at most 16,384.
    pub partitions: u32,
    /// The number of live layouts, which have one content. Default 1.
    pub layouts: u8,
}

/// One node: its name and the places that it shares with others when something fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The name that the scenario and its reports use.
    pub name: String,
    /// The machine: copies of a key lie on distinct ones. By default each node has one of its own.
    pub machine: String,
    /// The rack: copies are spread over racks where possible. Default `r1`.
    pub rack: String,
    /// The data center, for each of which N is given. Default `dc1`.
    pub datacenter: String,
    /// The share of the ring relative to that of other nodes, 1..=64. Default 1.
    pub weight: u16,
}

impl Cluster {
    /// All nodes, in the order of the file.
    pub fn indices(&self) -> impl Iterator<Item = NodeIndex> + use<> {
        (0..self.nodes.len()).map(NodeIndex)
    }

    /// The name of a node.
    pub fn name(&self, node: NodeIndex) -> &str {
        &self.nodes[node.0].name
    }

    /// The names of some nodes, for people: `n1, n2`.
    pub fn names(&self, nodes: &[NodeIndex]) -> String {
        nodes.iter().map(|node| self.name(*node)).collect::<Vec<_>>().join(", ")
    }

    /// The number of distinct machines in each data center, in the order of their names.
    pub fn machines(&self) -> BTreeMap<&str, u64> {
        let mut machines: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for place in &self.nodes {
            machines.entry(&place.datacenter).or_default().insert(&place.machine);
        }
        machines.into_iter().map(|(datacenter, set)| (datacenter, set.len() as u64)).collect()
    }

    /// Finds the node of this name.
    ///
    /// # Errors
    /// A text that lists the names there are, if none is this one.
    pub fn find(&self, name: &str) -> Result<NodeIndex, String> {
        let found = self.nodes.iter().position(|place| place.name == name);
        found.map(NodeIndex).ok_or_else(|| {
            let known: Vec<_> = self.nodes.iter().map(|place| place.name.as_str()).collect();
            let meant = nearest(name, known.iter().copied());
            let meant = meant.map_or_else(String::new, |name| format!(" (did you mean `{name}`?)"));
            format!("there is no node `{name}`{meant}: known here: {}", known.join(", "))
        })
    }

    /// Finds the node that is named in a scenario.
    pub(crate) fn named(&self, name: &Spanned<String>) -> Result<NodeIndex, Problem> {
        let found = self.nodes.iter().position(|place| place.name == *name.get_ref());
        found.map(NodeIndex).ok_or_else(|| {
            let known: Vec<_> = self.nodes.iter().map(|place| &place.name).collect();
            Problem::unknown_word(name.span(), "node", name.get_ref(), &known)
        })
    }

    /// Finds the nodes of a list of names, which is not empty and has no name twice. Sorted.
    pub(crate) fn all_named(
        &self,
        names: &Spanned<Vec<Spanned<String>>>,
    ) -> Result<Vec<NodeIndex>, Problem> {
        if names.get_ref().is_empty() {
            return Err(Problem::at(names.span(), "this list names no node")
                .label("empty")
                .help("name at least one node, or leave the key out"));
        }
        let mut nodes = BTreeSet::new();
        for name in names.get_ref() {
            if !nodes.insert(self.named(name)?) {
                return Err(Problem::at(name.span(), format!("`{}` stands twice", name.get_ref()))
                    .label("a second time"));
            }
        }
        Ok(nodes.into_iter().collect())
    }
}

/// `nodes` as it stands in the file.
pub(super) enum NodesKey {
    Count(u64),
    Named(Vec<PlaceKeys>),
}

/// The keys of a table `[[nodes]]`.
pub(super) const KEYS_DOC: &[KeyDoc] = &[
    KeyDoc::new("name", ValueDoc::Text, "the node's name, one word; no name twice"),
    KeyDoc::new("machine", ValueDoc::Text, "the machine: copies of a key lie on distinct ones")
        .or_else("one of its own"),
    KeyDoc::new("rack", ValueDoc::Text, "the rack: copies are spread over racks where possible")
        .or("\"r1\""),
    KeyDoc::new("datacenter", ValueDoc::Text, "the data center, for each of which N is given")
        .or("\"dc1\""),
    KeyDoc::new(
        "weight",
        ValueDoc::Whole(1, 64),
        "the share of the ring, relative to that of other nodes",
    )
    .or("1"),
];

/// One table of `[[nodes]]` as it stands in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlaceKeys {
    name: Spanned<String>,
    machine: Option<Spanned<String>>,
    rack: Option<Spanned<String>>,
    datacenter: Option<Spanned<String>>,
    weight: Option<Spanned<u64>>,
}

/// Makes the cluster that the keys describe.
pub(super) fn parse(
    nodes: &Spanned<NodesKey>,
    partitions: Option<&Spanned<u64>>,
    layouts: Option<&Spanned<u64>>,
) -> Result<Cluster, Problem> {
    let places = match nodes.get_ref() {
        NodesKey::Count(wanted) => {
            let wanted = count(&Spanned::new(nodes.span(), *wanted), "nodes", 1..=NODES_MAX)?;
            (1..=wanted).map(|number| numbered(&format!("n{number}"))).collect()
        }
        NodesKey::Named(tables) => named(tables, nodes)?,
    };
    let partitions = match partitions {
        None => 64,
        Some(given) if !given.get_ref().is_power_of_two() => {
            return Err(Problem::at(given.span(), "the ring is cut into a power of two")
                .label("not a power of two")
                .help(format!("such as {}", given.get_ref().next_power_of_two())));
        }
        Some(given) => count(given, "partitions", 1..=PARTITIONS_MAX)? as u32,
    };
    let layouts = match layouts {
        None => 1,
        Some(given) => count(given, "layouts", 1..=LAYOUTS_MAX)? as u8,
    };
    Ok(Cluster { nodes: places, partitions, layouts })
}

fn numbered(name: &str) -> Place {
    Place {
        name: name.to_owned(),
        machine: name.to_owned(),
        rack: "r1".to_owned(),
        datacenter: "dc1".to_owned(),
        weight: 1,
    }
}

fn named(tables: &[PlaceKeys], nodes: &Spanned<NodesKey>) -> Result<Vec<Place>, Problem> {
    if tables.is_empty() || tables.len() as u64 > NODES_MAX {
        return Err(Problem::at(nodes.span(), format!("{} nodes", tables.len()))
            .label(format!("a cluster has 1..={NODES_MAX}")));
    }
    let mut places: Vec<Place> = Vec::new();
    for table in tables {
        let given = |key: &Option<Spanned<String>>, default: &str| match key {
            Some(label) => word(label),
            None => Ok(default.to_owned()),
        };
        let default = numbered(&word(&table.name)?);
        if places.iter().any(|place| place.name == default.name) {
            let message = format!("two nodes are called `{}`", default.name);
            return Err(Problem::at(table.name.span(), message).label("the second one"));
        }
        places.push(Place {
            machine: given(&table.machine, &default.machine)?,
            rack: given(&table.rack, &default.rack)?,
            datacenter: given(&table.datacenter, &default.datacenter)?,
            weight: match &table.weight {
                Some(weight) => count(weight, "weight", 1..=64)? as u16,
                None => default.weight,
            },
            name: default.name,
        });
    }
    Ok(places)
}

/// Checks a label: not empty and without white space, so that it can be quoted in a report.
fn word(label: &Spanned<String>) -> Result<String, Problem> {
    let text = label.get_ref();
    if text.is_empty() || text.contains(char::is_whitespace) {
        return Err(
            Problem::at(label.span(), "a name is one word").label("empty, or with white space")
        );
    }
    Ok(text.clone())
}

impl<'de> Deserialize<'de> for NodesKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EitherForm;

        impl<'de> Visitor<'de> for EitherForm {
            type Value = NodesKey;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of nodes, or a [[nodes]] table for each")
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<NodesKey, E> {
                u64::try_from(number)
                    .map(NodesKey::Count)
                    .map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut tables: A) -> Result<NodesKey, A::Error> {
                let mut places = Vec::new();
                while let Some(place) = tables.next_element()? {
                    places.push(place);
                }
                Ok(NodesKey::Named(places))
            }
        }

        deserializer.deserialize_any(EitherForm)
    }
}
