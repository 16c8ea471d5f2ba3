//! The data centers of the layout: which of them a node stands in, and how many copies of a key each
//! of them keeps.

use std::collections::BTreeMap;

use kv_core::types::NodeId;

/// The place of a data center in the order of their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DatacenterIndex(u8);

/// The owners of a key among which something is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Among {
    /// All owners.
    All,
    /// The owners in one data center.
    Datacenter(DatacenterIndex),
}

/// The data centers of a cluster.
#[derive(Clone, Debug, Default)]
pub struct Datacenters {
    /// Each data center with the number of copies of a key that it keeps, in the order of names.
    copies: Vec<(String, usize)>,
    /// The data center of each node; nothing, while there is but one.
    of: BTreeMap<NodeId, DatacenterIndex>,
}

impl Datacenters {
    /// Creates the data centers of these nodes. `copies` are those that each keeps of a key: none,
    /// if it is not named.
    pub fn new<'a>(
        nodes: impl IntoIterator<Item = (NodeId, &'a str)>,
        copies: impl Fn(&str) -> usize,
    ) -> Self {
        let nodes: Vec<_> = nodes.into_iter().collect();
        let mut names: Vec<_> = nodes.iter().map(|&(_, name)| name).collect();
        names.sort_unstable();
        names.dedup();
        let index = |name: &str| {
            let at = names.binary_search(&name).expect("it is the name of one of them");
            DatacenterIndex(u8::try_from(at).expect("there are few data centers"))
        };
        let of = nodes.iter().map(|&(node, name)| (node, index(name)));
        let of = if names.len() > 1 { of.collect() } else { BTreeMap::new() };
        Self { of, copies: names.iter().map(|&name| (name.to_owned(), copies(name))).collect() }
    }

    /// The data center that a node stands in.
    pub fn of(&self, node: NodeId) -> DatacenterIndex {
        self.of.get(&node).copied().unwrap_or(DatacenterIndex(0))
    }

    /// The number of owners of a key that are among these.
    pub fn copies(&self, among: Among) -> usize {
        match among {
            Among::All => self.copies.iter().map(|(_, copies)| copies).sum(),
            Among::Datacenter(DatacenterIndex(at)) => {
                self.copies.get(usize::from(at)).map_or(0, |(_, copies)| *copies)
            }
        }
    }

    /// Tells whether an owner is among these.
    pub fn is_among(&self, among: Among, owner: NodeId) -> bool {
        match among {
            Among::All => true,
            Among::Datacenter(datacenter) => self.of(owner) == datacenter,
        }
    }

    /// Each data center that keeps copies.
    pub fn with_copies(&self) -> impl Iterator<Item = DatacenterIndex> + '_ {
        let numbered = (0..).map(DatacenterIndex).zip(&self.copies);
        numbered.filter(|(_, (_, copies))| *copies > 0).map(|(datacenter, _)| datacenter)
    }

    /// All owners, and those of each data center that keeps copies.
    pub fn all(&self) -> impl Iterator<Item = Among> + '_ {
        std::iter::once(Among::All).chain(self.with_copies().map(Among::Datacenter))
    }

    /// The name of a data center.
    pub fn name(&self, DatacenterIndex(at): DatacenterIndex) -> &str {
        self.copies.get(usize::from(at)).map_or("", |(name, _)| name)
    }
}
