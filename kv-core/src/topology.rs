//! The layouts that are live, taken together: the parts of the core ask them instead of a ring.
//!
//! While data moves from one layout to the next, both are live (semantics.md §7). A node owns what it
//! owns in any of them, and a quorum is one in each of them: so a plan has the owner sets of all.
//! Layouts follow each other with rising versions and cut the ring alike.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use thiserror::Error;

use crate::layout::Member;
use crate::quorum::Level;
use crate::ring::{MachineIndex, Ring};
use crate::tally::{OwnerSet, QuorumError};
use crate::types::{LayoutHash, NodeId, PartitionId, Token};

/// The version and the content hash of a layout, as messages name the one that they were planned under.
pub type LayoutName = (u64, LayoutHash);

/// The layouts that are live.
#[derive(Clone, Debug)]
pub struct Topology {
    newest: Arc<Ring>,
    /// The other live layouts, in the order of falling versions.
    older: Vec<Arc<Ring>>,
    /// The union of all live layouts, if there is more than one.
    union: Option<Union>,
}

/// The ownership in any of several layouts. Lists are in the order of the newest layout, and behind
/// it of the older ones.
#[derive(Clone, Debug)]
struct Union {
    /// The owners of each partition.
    owners: Vec<Vec<NodeId>>,
    /// The partitions of each node, in ascending order.
    owned: BTreeMap<NodeId, Vec<PartitionId>>,
    /// The members, in the order of ids.
    members: Vec<Member>,
}

/// The plan of a request for one partition: it keeps to this whatever becomes of the layouts
/// meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The newest layout.
    pub layout: LayoutName,
    /// The sets of owners of all live layouts, each of which has to be reached.
    pub sets: Vec<OwnerSet>,
}

/// The completeness of an owner in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// The owner has yet to copy some of what it must hold, and answers no reads.
    Incomplete,
    /// The owner holds all that it must.
    Complete,
}

/// The reason why layouts cannot be live together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TopologyError {
    /// There is no layout.
    #[error("no layout is live")]
    Empty,
    /// Two layouts have one version, or they are not in order.
    #[error("layouts follow each other with rising versions, and {first} is followed by {second}")]
    Versions {
        /// A version.
        first: u64,
        /// The version behind it.
        second: u64,
    },
    /// Two layouts cut the ring differently.
    #[error(
        "the ring is cut once, when the cluster is created: into {first} partitions, and not {second}"
    )]
    Partitions {
        /// The partitions of a layout.
        first: u32,
        /// The partitions of the layout behind it.
        second: u32,
    },
}

impl Topology {
    /// The topology of one layout.
    pub const fn new(ring: Arc<Ring>) -> Self {
        Self { newest: ring, older: Vec::new(), union: None }
    }

    /// The topology of these live layouts, the oldest first.
    ///
    /// # Errors
    /// [`TopologyError`], if they cannot be live together.
    pub fn of(rings: Vec<Arc<Ring>>) -> Result<Self, TopologyError> {
        for pair in rings.windows(2) {
            let (first, second) = (pair[0].version(), pair[1].version());
            if first >= second {
                return Err(TopologyError::Versions { first, second });
            }
            let (first, second) = (pair[0].layout().partitions, pair[1].layout().partitions);
            if first != second {
                return Err(TopologyError::Partitions { first, second });
            }
        }
        let mut older = rings;
        let newest = older.pop().ok_or(TopologyError::Empty)?;
        older.reverse();
        let union = (!older.is_empty()).then(|| Union::of(&newest, &older));
        Ok(Self { newest, older, union })
    }

    fn rings(&self) -> impl Iterator<Item = &Ring> {
        core::iter::once(&*self.newest).chain(self.older.iter().map(|ring| &**ring))
    }

    /// The newest layout's table, for drivers that show it.
    pub const fn newest(&self) -> &Arc<Ring> {
        &self.newest
    }

    /// The layout that requests are planned under: the newest.
    pub fn layout(&self) -> LayoutName {
        (self.newest.version(), self.newest.layout_hash())
    }

    /// Tells whether requests that were planned under a layout are served.
    pub fn serves(&self, layout: LayoutName) -> bool {
        self.rings().any(|ring| (ring.version(), ring.layout_hash()) == layout)
    }

    /// The members of all live layouts, in the order of their ids.
    pub fn members(&self) -> &[Member] {
        self.union.as_ref().map_or_else(|| self.newest.members(), |union| &union.members)
    }

    /// The member with an id, if it is in a live layout.
    pub fn member(&self, id: NodeId) -> Option<&Member> {
        self.rings().find_map(|ring| ring.member(id))
    }

    /// The machine of a node, if the node is in a live layout.
    pub fn machine(&self, id: NodeId) -> Option<MachineIndex> {
        // Numbers of one ring mean nothing in another, and machines of several are not compared.
        self.newest.machine(id).or_else(|| {
            let at = self.members().binary_search_by_key(&id, |member| member.id).ok()?;
            let known = self.newest.members().len();
            Some(MachineIndex(u32::try_from(known + at).expect("members are counted in 32 bits")))
        })
    }

    /// Every partition, in order.
    pub fn partitions(&self) -> impl Iterator<Item = PartitionId> + use<> {
        self.newest.partitions()
    }

    /// The partition in which a token lies.
    pub fn partition_of(&self, token: Token) -> PartitionId {
        self.newest.partition_of(token)
    }

    /// The nodes that keep a partition under any live layout, in the order of preference.
    ///
    /// # Panics
    /// If there is no such partition, as in [`Ring::owners`].
    pub fn owners(&self, partition: PartitionId) -> &[NodeId] {
        match &self.union {
            None => self.newest.owners(partition),
            Some(union) => &union.owners[partition.0 as usize],
        }
    }

    /// Tells whether a node keeps a partition under any live layout.
    ///
    /// # Panics
    /// If there is no such partition, as in [`Ring::owners`].
    pub fn owns(&self, id: NodeId, partition: PartitionId) -> bool {
        self.owners(partition).contains(&id)
    }

    /// The nodes that keep a partition under no live layout, in the order in which they are asked to be
    /// fallbacks.
    ///
    /// # Panics
    /// If there is no such partition, as in [`Ring::owners`].
    pub fn fallbacks(&self, partition: PartitionId) -> impl Iterator<Item = NodeId> {
        let owners = self.owners(partition);
        self.newest.fallbacks(partition).filter(|node| !owners.contains(node))
    }

    /// The partitions that a node keeps under any live layout, in ascending order.
    pub fn owned_by(&self, id: NodeId) -> &[PartitionId] {
        match &self.union {
            None => self.newest.owned_by(id),
            Some(union) => union.owned.get(&id).map_or(&[], |owned| owned),
        }
    }

    /// The partitions that both nodes keep, in ascending order.
    pub fn shared(&self, a: NodeId, b: NodeId) -> Vec<PartitionId> {
        let kept_by_b = self.owned_by(b);
        let both = |partition: &PartitionId| kept_by_b.binary_search(partition).is_ok();
        self.owned_by(a).iter().copied().filter(both).collect()
    }

    /// Plans a request: the quorums of its level in every live layout.
    ///
    /// # Errors
    /// [`QuorumError`], if the level cannot be met in one of them.
    ///
    /// # Panics
    /// If there is no such partition, as in [`Ring::owners`].
    pub fn plan(
        &self,
        partition: PartitionId,
        level: Level,
        coordinator: NodeId,
    ) -> Result<Plan, QuorumError> {
        let own = self.member(coordinator).map_or("", |member| &member.datacenter);
        let mut sets = Vec::new();
        for ring in self.rings() {
            sets.extend(level.owner_sets(ring, partition, own)?);
        }
        Ok(Plan { layout: self.layout(), sets })
    }
}

impl Union {
    fn of(newest: &Ring, older: &[Arc<Ring>]) -> Self {
        let rings = || core::iter::once(newest).chain(older.iter().map(|ring| &**ring));
        let owners: Vec<Vec<NodeId>> = newest
            .partitions()
            .map(|partition| {
                let mut owners = Vec::new();
                for &owner in rings().flat_map(|ring| ring.owners(partition)) {
                    if !owners.contains(&owner) {
                        owners.push(owner);
                    }
                }
                owners
            })
            .collect();
        let mut owned: BTreeMap<NodeId, BTreeSet<PartitionId>> = BTreeMap::new();
        for (partition, owners) in (0..).map(PartitionId).zip(&owners) {
            for owner in owners {
                owned.entry(*owner).or_default().insert(partition);
            }
        }
        let owned =
            owned.into_iter().map(|(node, all)| (node, all.into_iter().collect())).collect();
        let mut members: BTreeMap<NodeId, Member> = BTreeMap::new();
        for member in rings().flat_map(Ring::members) {
            members.entry(member.id).or_insert_with(|| member.clone());
        }
        Self { owners, owned, members: members.into_values().collect() }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;
    use alloc::vec;

    use super::*;
    use crate::layout::Layout;

    fn ring(version: u64, nodes: core::ops::RangeInclusive<u64>) -> Arc<Ring> {
        let members = nodes.map(|id| (NodeId(id), id.to_string()));
        let layout = Layout { version, ..Layout::single_datacenter(16, 3, members) };
        Arc::new(Ring::new(layout).expect("it is sound"))
    }

    #[test]
    fn two_layouts_of_equal_content_own_what_one_does_and_need_two_quorums() {
        let one = Topology::new(ring(1, 1..=5));
        let two = Topology::of(vec![ring(1, 1..=5), ring(2, 1..=5)]).expect("they follow");
        for partition in one.partitions() {
            assert_eq!(two.owners(partition), one.owners(partition));
            assert!(two.fallbacks(partition).eq(one.fallbacks(partition)));
            let plan = |topology: &Topology| {
                topology.plan(partition, Level::Quorum, NodeId(1)).expect("there are three")
            };
            let sets = plan(&one).sets;
            assert_eq!(plan(&two).sets, [&sets[..], &sets[..]].concat());
            assert_eq!(plan(&two).layout.0, 2, "requests are planned under the newest");
        }
        for node in (1..=5).map(NodeId) {
            assert_eq!(two.owned_by(node), one.owned_by(node));
            assert_eq!(two.machine(node), one.machine(node));
        }
        assert!(two.serves(one.layout()) && two.serves(two.layout()));
        assert!(!one.serves(two.layout()));
    }

    #[test]
    fn of_two_layouts_a_node_owns_what_it_owns_in_either() {
        let (former, next) = (ring(1, 1..=4), ring(2, 2..=5));
        let both = Topology::of(vec![Arc::clone(&former), Arc::clone(&next)]).expect("they follow");
        for partition in both.partitions() {
            for node in (1..=5).map(NodeId) {
                let owns = former.owns(node, partition) || next.owns(node, partition);
                assert_eq!(both.owns(node, partition), owns);
                assert_eq!(both.owned_by(node).contains(&partition), owns);
                assert!(!owns || both.fallbacks(partition).all(|fallback| fallback != node));
            }
        }
        assert_eq!(both.members().len(), 5);
        let machines: BTreeSet<_> = (1..=5).map(|node| both.machine(NodeId(node))).collect();
        assert_eq!(machines.len(), 5, "machines are told apart");
        assert_eq!(both.machine(NodeId(6)), None);
    }

    #[test]
    fn layouts_that_do_not_follow_each_other_are_refused() {
        let refused = |rings| Topology::of(rings).err();
        assert_eq!(refused(vec![]), Some(TopologyError::Empty));
        let twice = vec![ring(1, 1..=3), ring(1, 1..=3)];
        assert_eq!(refused(twice), Some(TopologyError::Versions { first: 1, second: 1 }));
        let members = (1..=3).map(|id| (NodeId(id), id.to_string()));
        let layout = Layout { version: 2, ..Layout::single_datacenter(32, 3, members) };
        let cut = vec![ring(1, 1..=3), Arc::new(Ring::new(layout).expect("it is sound"))];
        assert_eq!(refused(cut), Some(TopologyError::Partitions { first: 16, second: 32 }));
    }
}
