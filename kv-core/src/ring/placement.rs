//! The walk: which nodes a partition meets first, going clockwise, and which of them it takes.
//!
//! One [`Walk`] and one [`Placement`] for each data center. The walk is kept, for fallbacks; what
//! each node carries is forgotten once all partitions have been placed.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use super::MachineIndex;
use crate::layout::{Layout, Member};
use crate::types::{NodeId, PartitionId, Token};

/// The number of virtual nodes per unit of a member's weight.
pub const VIRTUAL_NODES_PER_WEIGHT: u32 = 128;

/// The most that a node carries where that is possible, in hundredths of its fair share.
pub const BOUND_PERCENT: u64 = 105;

/// The virtual nodes of one data center in clockwise order.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    /// The members at the virtual nodes, in clockwise order, as indices into `layout.members`.
    stops: Vec<u32>,
    /// The first stop at or after the start of each partition.
    first_stops: Vec<u32>,
    /// The number of members of the data center.
    members: usize,
}

/// The placing of all partitions in one data center, with what each node carries so far.
pub(super) struct Placement<'a> {
    layout: &'a Layout,
    walk: &'a Walk,
    machines: &'a [MachineIndex],
    /// The rack of each member of the layout; only those of this data center are looked at.
    racks: Vec<u32>,
    /// The number of racks of the data center.
    racks_count: usize,
    /// The members of this data center, as indices into the layout.
    here: Vec<u32>,
    /// The number of partitions that each member of the layout carries so far.
    carried: Vec<u64>,
    /// The number of partitions that each member of the layout should carry at most.
    bounds: Vec<u64>,
    /// The members already chosen for the list at hand.
    chosen: Vec<u32>,
}

/// The demands on the next node besides a distinct machine, in the order in which they are given
/// up.
#[derive(Clone, Copy)]
enum Insist {
    BoundAndRacks,
    Racks,
    Nothing,
}

impl Walk {
    pub(super) fn new(layout: &Layout, datacenter: &str) -> Self {
        let here = |(_, member): &(u32, &Member)| member.datacenter == datacenter;
        let members: Vec<_> = (0..).zip(&layout.members).filter(here).collect();
        let mut virtual_nodes = Vec::new();
        for &(index, member) in &members {
            let numbers = 0..u32::from(member.weight) * VIRTUAL_NODES_PER_WEIGHT;
            virtual_nodes.extend(numbers.map(|number| (virtual_node(member.id, number), index)));
        }
        // Members are in the order of their ids, so that ids decide where two tokens meet.
        virtual_nodes.sort_unstable();
        let first_stop = |partition| {
            let start = partition_start(layout, partition);
            let stop = virtual_nodes.partition_point(|&(token, _)| token < start);
            // Past the last one, the walk goes on at the first.
            (stop % virtual_nodes.len()) as u32
        };
        Self {
            first_stops: (0..layout.partitions).map(first_stop).collect(),
            stops: virtual_nodes.iter().map(|&(_, index)| index).collect(),
            members: members.len(),
        }
    }

    /// The members at the virtual nodes of one lap from a partition's start, once per virtual node.
    fn lap_from(&self, partition: PartitionId) -> impl Iterator<Item = u32> {
        let first_stop = self.first_stops[partition.0 as usize] as usize;
        let (before, after) = self.stops.split_at(first_stop);
        after.iter().chain(before).copied()
    }

    /// The members of the data center in the order in which a lap from a partition's start first
    /// meets them. `layout_members` is the number of members of the whole layout.
    pub(super) fn distinct_from(
        &self,
        partition: PartitionId,
        layout_members: usize,
    ) -> impl Iterator<Item = u32> {
        let mut met = vec![false; layout_members];
        let first = move |member: &u32| !core::mem::replace(&mut met[*member as usize], true);
        // All have been met long before the lap is over.
        self.lap_from(partition).filter(first).take(self.members)
    }
}

impl<'a> Placement<'a> {
    pub(super) fn new(
        layout: &'a Layout,
        walk: &'a Walk,
        machines: &'a [MachineIndex],
        n: u8,
    ) -> Self {
        let mut here = walk.stops.clone();
        here.sort_unstable();
        here.dedup();
        let weight = |&member: &u32| u64::from(layout.members[member as usize].weight);
        let weight_sum: u64 = here.iter().map(weight).sum();
        let copies = u64::from(layout.partitions) * u64::from(n);
        let mut bounds = vec![0; layout.members.len()];
        for member in &here {
            let bound = (copies * weight(member) * BOUND_PERCENT).div_ceil(weight_sum * 100);
            bounds[*member as usize] = bound;
        }
        let racks = indices_of(layout.members.iter().map(|member| member.rack.as_str()));
        let mut distinct_racks: Vec<_> = here.iter().map(|&at| racks[at as usize]).collect();
        distinct_racks.sort_unstable();
        distinct_racks.dedup();
        Self {
            layout,
            walk,
            machines,
            racks,
            racks_count: distinct_racks.len(),
            here,
            carried: vec![0; layout.members.len()],
            bounds,
            chosen: Vec::new(),
        }
    }

    /// Fills the preference list of one partition in this data center.
    pub(super) fn place(&mut self, partition: PartitionId, list: &mut [NodeId]) {
        self.chosen.clear();
        for place in list {
            let member = self.next(partition);
            self.chosen.push(member);
            self.carried[member as usize] += 1;
            *place = self.layout.members[member as usize].id;
        }
    }

    /// The first member clockwise that may stand next in the list.
    fn next(&self, partition: PartitionId) -> u32 {
        let attempts = [Insist::BoundAndRacks, Insist::Racks, Insist::Nothing];
        let next = attempts.into_iter().find_map(|insist| {
            // Asking the members first spares a lap over all their virtual nodes in vain.
            self.here.iter().find(|&&member| self.may_stand_next(member, insist))?;
            self.walk.lap_from(partition).find(|&member| self.may_stand_next(member, insist))
        });
        // A sound layout has at least as many machines as copies, so one is always left.
        next.expect("there are as many machines as copies")
    }

    fn may_stand_next(&self, member: u32, insist: Insist) -> bool {
        let within_bound = || self.carried[member as usize] < self.bounds[member as usize];
        let insisted_upon = match insist {
            Insist::BoundAndRacks => within_bound() && self.spreads_over_racks(member),
            Insist::Racks => self.spreads_over_racks(member),
            Insist::Nothing => true,
        };
        let machine = |member: u32| self.machines[member as usize];
        insisted_upon && self.chosen.iter().all(|&other| machine(other) != machine(member))
    }

    /// Tells whether the member's rack is one of those used least: a rack is used again only when
    /// every rack has been used as often.
    fn spreads_over_racks(&self, member: u32) -> bool {
        let rack = |member: u32| self.racks[member as usize];
        let used = self.chosen.iter().filter(|&&other| rack(other) == rack(member)).count();
        used <= self.chosen.len() / self.racks_count
    }
}

/// The smallest token of a partition.
pub(super) fn partition_start(layout: &Layout, partition: u32) -> Token {
    // One partition has no bits and starts at 0: then the shift is by the whole width.
    let shift = u128::BITS - layout.partitions.ilog2();
    Token(u128::from(partition).checked_shl(shift).unwrap_or(0))
}

/// The token of a virtual node: the hash of the node's id and of the virtual node's number among
/// those of the node, 8 and 4 bytes, big-endian.
fn virtual_node(id: NodeId, number: u32) -> Token {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&id.0.to_be_bytes());
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    Token::of(&bytes)
}

/// Numbers the labels: equal for equal labels, and consecutive from 0 in the order of the labels.
pub(super) fn indices_of<'a>(labels: impl Iterator<Item = &'a str> + Clone) -> Vec<u32> {
    let mut index_by_label: BTreeMap<&str, u32> = labels.clone().map(|label| (label, 0)).collect();
    for (number, index) in (0..).zip(index_by_label.values_mut()) {
        *index = number;
    }
    labels.map(|label| index_by_label[label]).collect()
}
