//! The owners of every partition: a layout made into a table once, which is then only looked up.
//!
//! In goes a [`Layout`]; out comes, for each partition, its *preference list*: the nodes that keep
//! it, data center by data center. It is a pure function of the layout, so nodes that agree on the
//! layout agree on the owners without a word; and a walk over tokens (Dynamo §4.2, §4.3), so that a
//! layout that differs little moves little. A plain walk loads nodes unevenly, hence the bound
//! (consistent hashing with bounded loads, Mirrokni, Thorup, Zadimoghaddam 2018): partitions are
//! placed in index order, and the walk passes over a node that already carries
//! `ceil(1.05 × its fair share)`.
//!
//! Invariants: each list has exactly N nodes of each data center, no two of them on one machine.
//! Racks are used evenly, and no node carries more than its bound, wherever that can be had: where
//! it cannot, the bound is given up first and the spread over racks second, for that place in the
//! list alone.

mod placement;

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

pub use self::placement::{BOUND_PERCENT, VIRTUAL_NODES_PER_WEIGHT};
use self::placement::{Placement, Walk, indices_of, partition_start};
use crate::layout::{Layout, LayoutError, Member};
use crate::types::{LayoutHash, NodeId, PartitionId, Token};

/// The number of a machine in one ring: nodes have equal ones if and only if they stand on one
/// machine. It means nothing in another ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MachineIndex(pub u32);

/// The owners of every partition under one layout.
#[derive(Clone, Debug)]
pub struct Ring {
    /// The layout; sound, and with its members in the order of their ids.
    layout: Layout,
    hash: LayoutHash,
    /// [`Layout::copies`], computed once.
    copies: usize,
    /// The machine of each member, in the order of the layout.
    machines: Vec<MachineIndex>,
    /// The walk of each data center, in the order of `layout.replication`.
    walks: Vec<Walk>,
    /// The preference lists of all partitions, one after the other, each of `copies` nodes.
    owners: Vec<NodeId>,
    /// The partitions of all members, one member after the other, each in ascending order.
    owned: Vec<PartitionId>,
    /// The index in `owned` at which each member's partitions begin, and the end of the last.
    owned_starts: Vec<usize>,
}

/// The change of one partition's owners from one layout to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// The partition whose owners change.
    pub partition: PartitionId,
    /// The nodes that own the partition after and not before, in the order of preference.
    pub gained: Vec<NodeId>,
    /// The nodes that owned the partition before and not after, in the order of preference.
    pub lost: Vec<NodeId>,
}

impl Ring {
    /// Makes the table of owners of a layout.
    ///
    /// # Errors
    /// The first error that [`Layout::validate`] finds.
    pub fn new(layout: Layout) -> Result<Self, LayoutError> {
        layout.validate()?;
        let layout = layout.canonical();
        let hash = layout.hash();
        let machines = indices_of(layout.members.iter().map(|member| member.machine.as_str()));
        let machines: Vec<_> = machines.into_iter().map(MachineIndex).collect();
        let mut walks = Vec::with_capacity(layout.replication.len());
        let copies = layout.copies();
        let mut owners = vec![NodeId::default(); layout.partitions as usize * copies];
        let mut place = 0;
        for replication in &layout.replication {
            let walk = Walk::new(&layout, &replication.datacenter);
            let mut placement = Placement::new(&layout, &walk, &machines, replication.n);
            for (partition, list) in (0..).zip(owners.chunks_exact_mut(copies)) {
                placement.place(
                    PartitionId(partition),
                    &mut list[place..place + usize::from(replication.n)],
                );
            }
            walks.push(walk);
            place += usize::from(replication.n);
        }
        let (owned, owned_starts) = partitions_by_member(&layout, &owners);
        Ok(Self { layout, hash, copies, machines, walks, owners, owned, owned_starts })
    }

    /// The layout of this table, with its members in the order of their ids.
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The layout's version.
    pub const fn version(&self) -> u64 {
        self.layout.version
    }

    /// The hash of the layout, as [`Layout::hash`] says; computed once.
    pub const fn layout_hash(&self) -> LayoutHash {
        self.hash
    }

    /// All members, in the order of their ids.
    pub fn members(&self) -> &[Member] {
        &self.layout.members
    }

    /// The member with an id, if it is in the layout.
    pub fn member(&self, id: NodeId) -> Option<&Member> {
        self.index_of(id).map(|index| &self.layout.members[index])
    }

    /// The machine of a node, if the node is in the layout.
    pub fn machine(&self, id: NodeId) -> Option<MachineIndex> {
        self.index_of(id).map(|index| self.machines[index])
    }

    /// All partitions, in order.
    pub fn partitions(&self) -> impl Iterator<Item = PartitionId> + use<> {
        (0..self.layout.partitions).map(PartitionId)
    }

    /// The partition in which a token lies: its top bits.
    pub fn partition_of(&self, token: Token) -> PartitionId {
        // One partition has no bits: then the shift is by the whole width.
        let index = token.0.checked_shr(u128::BITS - self.partition_bits()).unwrap_or(0);
        PartitionId(index as u32)
    }

    /// The smallest token of a partition.
    pub fn partition_start(&self, partition: PartitionId) -> Token {
        partition_start(&self.layout, partition.0)
    }

    /// The nodes that keep a partition: data center by data center in the order of
    /// [`Layout::replication`], and in the order of preference within each.
    ///
    /// # Panics
    /// If there is no such partition: partitions come from [`Ring::partition_of`], or have been
    /// checked against [`Layout::partitions`].
    pub fn owners(&self, partition: PartitionId) -> &[NodeId] {
        let start = partition.0 as usize * self.copies;
        &self.owners[start..start + self.copies]
    }

    /// The nodes of one data center that keep a partition, in the order of preference; none if the
    /// data center keeps no copies.
    ///
    /// # Panics
    /// If there is no such partition, as in [`Ring::owners`].
    pub fn owners_in(&self, partition: PartitionId, datacenter: &str) -> &[NodeId] {
        let mut owners = self.owners(partition);
        for replication in &self.layout.replication {
            let (here, elsewhere) = owners.split_at(usize::from(replication.n));
            if replication.datacenter == datacenter {
                return here;
            }
            owners = elsewhere;
        }
        &[]
    }

    /// Tells whether a node keeps a partition.
    ///
    /// # Panics
    /// If there is no such partition, as in [`Ring::owners`].
    pub fn owns(&self, id: NodeId, partition: PartitionId) -> bool {
        self.owners(partition).contains(&id)
    }

    /// The nodes that do not keep a partition, in the order in which they are asked to be
    /// fallbacks: data center by data center as the owners are, and clockwise within each. They are
    /// looked for one by one.
    ///
    /// # Panics
    /// If there is no such partition, as in [`Ring::owners`].
    pub fn fallbacks(&self, partition: PartitionId) -> impl Iterator<Item = NodeId> {
        let owners = self.owners(partition);
        let members = self.members();
        let clockwise =
            self.walks.iter().flat_map(move |walk| walk.distinct_from(partition, members.len()));
        let nodes = clockwise.map(|member| members[member as usize].id);
        nodes.filter(|node| !owners.contains(node))
    }

    /// The partitions that a node keeps, in ascending order; none if it is not in the layout.
    pub fn owned_by(&self, id: NodeId) -> &[PartitionId] {
        match self.index_of(id) {
            Some(index) => &self.owned[self.owned_starts[index]..self.owned_starts[index + 1]],
            None => &[],
        }
    }

    /// The partitions that both nodes keep, in ascending order.
    pub fn shared(&self, a: NodeId, b: NodeId) -> Vec<PartitionId> {
        let kept_by_b = self.owned_by(b);
        let both = |partition: &PartitionId| kept_by_b.binary_search(partition).is_ok();
        self.owned_by(a).iter().copied().filter(both).collect()
    }

    /// The index of a member. Out of line, as it is called in many places.
    #[inline(never)]
    fn index_of(&self, id: NodeId) -> Option<usize> {
        self.layout.members.binary_search_by_key(&id, |member| member.id).ok()
    }

    fn partition_bits(&self) -> u32 {
        self.layout.partitions.ilog2()
    }
}

/// The changes of owners when one layout follows another. Partitions whose owners stay the same, in
/// whatever order, are left out.
///
/// # Panics
/// If the layouts cut the ring differently: [`Layout::validate_after`] refuses that.
pub fn moves(before: &Ring, after: &Ring) -> Vec<Move> {
    let (was, is) = (before.layout.partitions, after.layout.partitions);
    assert_eq!(was, is, "the ring is cut once, when the cluster is created");
    let differing = |partition| {
        let (former, next) = (before.owners(partition), after.owners(partition));
        let gained: Vec<_> = next.iter().filter(|node| !former.contains(node)).copied().collect();
        let lost: Vec<_> = former.iter().filter(|node| !next.contains(node)).copied().collect();
        let same = gained.is_empty() && lost.is_empty();
        (!same).then_some(Move { partition, gained, lost })
    };
    after.partitions().filter_map(differing).collect()
}

/// The partitions of each member, as [`Ring::owned`] and [`Ring::owned_starts`] hold them.
fn partitions_by_member(layout: &Layout, owners: &[NodeId]) -> (Vec<PartitionId>, Vec<usize>) {
    let mut partitions: BTreeMap<NodeId, Vec<PartitionId>> =
        layout.members.iter().map(|member| (member.id, Vec::new())).collect();
    for (partition, list) in (0..).zip(owners.chunks_exact(layout.copies())) {
        for owner in list {
            partitions.entry(*owner).or_default().push(PartitionId(partition));
        }
    }
    let mut owned = Vec::with_capacity(owners.len());
    let mut owned_starts = vec![0];
    for partitions in partitions.values() {
        owned.extend_from_slice(partitions);
        owned_starts.push(owned.len());
    }
    (owned, owned_starts)
}

#[cfg(test)]
mod tests;
