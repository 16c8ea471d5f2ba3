//! The layout: the cluster's members, the place of each, and the copies that each data center
//! keeps.
//!
//! A layout is a value with a version, written by an operator and carried by gossip. It is raw
//! input: [`Layout::validate`] says what is wrong with it, and [`crate::ring::Ring::new`] turns it
//! into a table of owners, so that whoever holds a ring holds a layout that makes sense.
//!
//! Two layouts are the same only if version *and* content agree (semantics.md §7): [`Layout::hash`]
//! stands for the content. The order in which members are listed is no part of it.

mod difference;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::codec::{Codec, codec};
use crate::types::{ContentHash, LayoutHash, NodeId};

pub use difference::Difference;

/// The most partitions that a ring may be cut into.
pub const PARTITIONS_MAX: u32 = 1 << 20;

/// The most weight that the members of a layout may have together: it bounds the virtual nodes.
pub const WEIGHT_SUM_MAX: u64 = 1 << 14;

/// One version of the cluster's members, their places, and the number of copies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layout {
    /// The number of this version, which rises with every change.
    pub version: u64,
    /// The number of equal slices into which the ring is cut: a power of two, at most
    /// [`PARTITIONS_MAX`], the same for the life of the cluster.
    pub partitions: u32,
    /// The data centers that keep copies. Their order is that of each list of owners.
    pub replication: Vec<Replication>,
    /// The nodes, in any order; canonically by id.
    pub members: Vec<Member>,
}

codec!(struct Layout { version, partitions, replication, members });

/// The number of copies of everything that one data center keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replication {
    /// The data center's name.
    pub datacenter: String,
    /// The number of copies, N: at least 1, at most the number of machines in the data center.
    pub n: u8,
}

codec!(struct Replication { datacenter, n });

/// One node of the cluster, and its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// The node's id, never reused.
    pub id: NodeId,
    /// The name that people use; unique in the layout.
    pub name: String,
    /// The member's share of the data, relative to the others of its data center; at least 1.
    pub weight: u16,
    /// The machine, which fails as one: no two copies of a key lie on one.
    pub machine: String,
    /// The rack within its data center, which may fail together: copies are spread over racks.
    pub rack: String,
    /// The data center: one that [`Layout::replication`] names.
    pub datacenter: String,
}

codec!(struct Member { id, name, weight, machine, rack, datacenter });

/// An error in a layout, with how to correct it. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LayoutError {
    /// The number of partitions is none that a ring can be cut into.
    #[error(
        "a ring cannot be cut into {partitions} partitions: choose a power of two from 1 to {max}",
        max = PARTITIONS_MAX
    )]
    Partitions {
        /// The number that was given.
        partitions: u32,
    },
    /// The layout has no nodes.
    #[error("the layout has no members: add at least one node")]
    NoMembers,
    /// The layout has no data center that keeps copies.
    #[error("the layout keeps no copies: name at least one data center under `replication`")]
    NoReplication,
    /// Two members have one id.
    #[error("node id {id} stands twice, as `{first}` and as `{second}`: remove one of them")]
    DuplicateId {
        /// The id that both members have.
        id: NodeId,
        /// The name of the member that is listed first.
        first: String,
        /// The name of the member that is listed second.
        second: String,
    },
    /// Two members have one name.
    #[error("nodes {first} and {second} are both called `{name}`: rename one of them")]
    DuplicateName {
        /// The name that both members have.
        name: String,
        /// The smaller of the two ids.
        first: NodeId,
        /// The greater of the two ids.
        second: NodeId,
    },
    /// A member has no weight, and would own nothing.
    #[error("node `{name}` has weight 0: give it at least 1, or remove it from the layout")]
    NoWeight {
        /// The member's name.
        name: String,
    },
    /// The ring would have too many virtual nodes.
    #[error("the weights add up to {sum}: divide them all, so that they add up to {max} at most", max = WEIGHT_SUM_MAX)]
    WeightSum {
        /// The sum of all weights.
        sum: u64,
    },
    /// A member's data center keeps no copies.
    #[error(
        "node `{name}` is in data center `{datacenter}`, which `replication` does not name: \
         add the data center there, or correct the node's"
    )]
    UnknownDatacenter {
        /// The member's name.
        name: String,
        /// The member's data center.
        datacenter: String,
    },
    /// A data center stands twice under `replication`.
    #[error("data center `{datacenter}` stands twice under `replication`: remove one of them")]
    DuplicateDatacenter {
        /// The name of the data center.
        datacenter: String,
    },
    /// A data center keeps no copies though it is listed.
    #[error("data center `{datacenter}` has n = 0: give it at least 1, or remove it and its nodes")]
    NoCopies {
        /// The name of the data center.
        datacenter: String,
    },
    /// A data center has fewer machines than copies.
    #[error(
        "data center `{datacenter}` has n = {n} but only {machines} distinct machines: lower n, \
         or add nodes on other machines"
    )]
    TooFewMachines {
        /// The name of the data center.
        datacenter: String,
        /// The number of copies asked for.
        n: u8,
        /// The number of distinct machines in the data center.
        machines: usize,
    },
    /// One machine would stand in two racks or two data centers.
    #[error(
        "machine `{machine}` stands in two places, by nodes `{first}` and `{second}`: give them \
         one rack and one data center, or two machines"
    )]
    MachineInTwoPlaces {
        /// The machine's label.
        machine: String,
        /// The member with the smaller id.
        first: String,
        /// The member with the greater id.
        second: String,
    },
    /// The successor of a layout cuts the ring in another way.
    #[error(
        "the ring was cut into {was} partitions when the cluster was created and cannot be cut \
         into {partitions}: keep {was}, or copy the data into a new cluster"
    )]
    PartitionsChanged {
        /// The number of partitions before.
        was: u32,
        /// The number of partitions asked for.
        partitions: u32,
    },
    /// The successor of a layout has no greater version.
    #[error("version {version} does not follow version {was}: give the layout a greater one")]
    VersionNotGreater {
        /// The version before.
        was: u64,
        /// The version asked for.
        version: u64,
    },
}

impl Layout {
    /// Makes the first layout of one data center, `dc1`, with nodes of equal weight, each on a
    /// machine and in a rack of its own.
    pub fn single_datacenter(
        partitions: u32,
        n: u8,
        nodes: impl IntoIterator<Item = (NodeId, String)>,
    ) -> Self {
        const DATACENTER: &str = "dc1";
        let member = |(id, name): (NodeId, String)| Member {
            id,
            weight: 1,
            machine: name.clone(),
            rack: name.clone(),
            datacenter: DATACENTER.into(),
            name,
        };
        let replication = vec![Replication { datacenter: DATACENTER.into(), n }];
        let members = nodes.into_iter().map(member).collect();
        Self { version: 1, partitions, replication, members }.canonical()
    }

    /// The same layout with its members in the order of their ids.
    #[must_use]
    pub fn canonical(mut self) -> Self {
        self.members.sort_by_key(|member| member.id);
        self
    }

    /// The hash of the whole content, version included, whatever the order of the members.
    pub fn hash(&self) -> LayoutHash {
        let canonical = self.clone().canonical();
        let mut bytes = Vec::new();
        canonical.encode(&mut bytes);
        LayoutHash(ContentHash::of(&[&bytes]).high())
    }

    /// The number of copies of everything, over all data centers.
    pub fn copies(&self) -> usize {
        self.replication.iter().map(|replication| usize::from(replication.n)).sum()
    }

    /// Checks that a ring can be made of this layout.
    ///
    /// # Errors
    /// The first of [`Layout::errors`].
    pub fn validate(&self) -> Result<(), LayoutError> {
        self.errors().into_iter().next().map_or(Ok(()), Err)
    }

    /// All errors because of which no ring can be made of this layout; empty if one can.
    pub fn errors(&self) -> Vec<LayoutError> {
        let mut errors = Vec::new();
        if !self.partitions.is_power_of_two() || self.partitions > PARTITIONS_MAX {
            errors.push(LayoutError::Partitions { partitions: self.partitions });
        }
        self.look_at_identities(&mut errors);
        self.look_at_weights(&mut errors);
        self.look_at_places(&mut errors);
        self.look_at_replication(&mut errors);
        errors
    }

    /// Checks that this layout can take over from `former`.
    ///
    /// # Errors
    /// [`LayoutError::PartitionsChanged`] or [`LayoutError::VersionNotGreater`], or the first error
    /// that [`Layout::validate`] finds.
    pub fn validate_after(&self, former: &Self) -> Result<(), LayoutError> {
        self.validate()?;
        if self.partitions != former.partitions {
            let was = former.partitions;
            return Err(LayoutError::PartitionsChanged { was, partitions: self.partitions });
        }
        if self.version <= former.version {
            let was = former.version;
            return Err(LayoutError::VersionNotGreater { was, version: self.version });
        }
        Ok(())
    }

    fn look_at_identities(&self, errors: &mut Vec<LayoutError>) {
        if self.members.is_empty() {
            errors.push(LayoutError::NoMembers);
        }
        let mut name_by_id = BTreeMap::new();
        for member in &self.members {
            if let Some(first) = name_by_id.insert(member.id, &member.name) {
                let (first, second) = (first.clone(), member.name.clone());
                errors.push(LayoutError::DuplicateId { id: member.id, first, second });
            }
        }
        let mut id_by_name = BTreeMap::new();
        for (&id, &name) in &name_by_id {
            if let Some(first) = id_by_name.insert(name, id) {
                errors.push(LayoutError::DuplicateName { name: name.clone(), first, second: id });
            }
        }
    }

    fn look_at_weights(&self, errors: &mut Vec<LayoutError>) {
        let weightless = self.members.iter().filter(|member| member.weight == 0);
        errors.extend(weightless.map(|member| LayoutError::NoWeight { name: member.name.clone() }));
        let sum = self.members.iter().map(|member| u64::from(member.weight)).sum();
        if sum > WEIGHT_SUM_MAX {
            errors.push(LayoutError::WeightSum { sum });
        }
    }

    fn look_at_places(&self, errors: &mut Vec<LayoutError>) {
        if self.replication.is_empty() {
            errors.push(LayoutError::NoReplication);
        }
        let datacenters: BTreeSet<&String> =
            self.replication.iter().map(|replication| &replication.datacenter).collect();
        let mut member_by_machine: BTreeMap<&String, &Member> = BTreeMap::new();
        for member in &self.members {
            if !datacenters.contains(&member.datacenter) {
                let (name, datacenter) = (member.name.clone(), member.datacenter.clone());
                errors.push(LayoutError::UnknownDatacenter { name, datacenter });
            }
            let first = *member_by_machine.entry(&member.machine).or_insert(member);
            if (&first.rack, &first.datacenter) != (&member.rack, &member.datacenter) {
                errors.push(LayoutError::MachineInTwoPlaces {
                    machine: member.machine.clone(),
                    first: first.name.clone(),
                    second: member.name.clone(),
                });
            }
        }
    }

    fn look_at_replication(&self, errors: &mut Vec<LayoutError>) {
        let mut datacenters = BTreeSet::new();
        for Replication { datacenter, n } in &self.replication {
            let (datacenter, n) = (datacenter.clone(), *n);
            let machines = self.machines_in(&datacenter);
            if n == 0 {
                errors.push(LayoutError::NoCopies { datacenter: datacenter.clone() });
            } else if usize::from(n) > machines {
                let datacenter = datacenter.clone();
                errors.push(LayoutError::TooFewMachines { datacenter, n, machines });
            }
            if let Some(datacenter) = datacenters.replace(datacenter) {
                errors.push(LayoutError::DuplicateDatacenter { datacenter });
            }
        }
    }

    fn machines_in(&self, datacenter: &str) -> usize {
        let here = self.members.iter().filter(|member| member.datacenter == datacenter);
        here.map(|member| &member.machine).collect::<BTreeSet<_>>().len()
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString;

    use super::*;

    fn three_nodes() -> Layout {
        let node = |id| (NodeId(id), format!("n{id}"));
        Layout::single_datacenter(16, 3, (1..=3).map(node))
    }

    /// The error that is found after a change of a sound layout of three nodes.
    fn error_after(change: impl FnOnce(&mut Layout)) -> LayoutError {
        let mut layout = three_nodes();
        change(&mut layout);
        layout.validate().expect_err("the change breaks the layout")
    }

    #[test]
    fn a_sound_layout_is_accepted() {
        assert_eq!(three_nodes().validate(), Ok(()));
        assert_eq!(three_nodes().copies(), 3);
    }

    #[test]
    fn only_powers_of_two_cut_the_ring() {
        for partitions in [0, 3, 12, PARTITIONS_MAX + 1, PARTITIONS_MAX * 2] {
            let error = error_after(|layout| layout.partitions = partitions);
            assert_eq!(error, LayoutError::Partitions { partitions });
        }
        for partitions in [1, 2, PARTITIONS_MAX] {
            assert_eq!(Layout { partitions, ..three_nodes() }.validate(), Ok(()));
        }
    }

    #[test]
    fn ids_and_names_are_unique() {
        let error = error_after(|layout| layout.members[2].id = NodeId(1));
        let (first, second) = ("n1".to_string(), "n3".to_string());
        assert_eq!(error, LayoutError::DuplicateId { id: NodeId(1), first, second });
        let error = error_after(|layout| layout.members[0].name = "n2".into());
        let (first, second) = (NodeId(1), NodeId(2));
        assert_eq!(error, LayoutError::DuplicateName { name: "n2".into(), first, second });
    }

    #[test]
    fn there_are_members_and_copies() {
        assert_eq!(error_after(|layout| layout.members.clear()), LayoutError::NoMembers);
        let error = error_after(|layout| layout.replication[0].n = 0);
        assert_eq!(error, LayoutError::NoCopies { datacenter: "dc1".into() });
        assert_eq!(error_after(|layout| layout.replication.clear()), LayoutError::NoReplication);
    }

    #[test]
    fn copies_need_distinct_machines() {
        let error = error_after(|layout| {
            layout.members[1].machine = "n1".into();
            layout.members[1].rack = "n1".into();
        });
        let datacenter = "dc1".to_string();
        assert_eq!(error, LayoutError::TooFewMachines { datacenter, n: 3, machines: 2 });
    }

    #[test]
    fn a_machine_stands_in_one_place() {
        let error = error_after(|layout| layout.members[2].machine = "n1".into());
        let (first, second) = ("n1".to_string(), "n3".to_string());
        let machine = "n1".to_string();
        assert_eq!(error, LayoutError::MachineInTwoPlaces { machine, first, second });
    }

    #[test]
    fn data_centers_are_known_and_named_once() {
        let error = error_after(|layout| layout.members[1].datacenter = "dc2".into());
        let (name, datacenter) = ("n2".to_string(), "dc2".to_string());
        assert_eq!(error, LayoutError::UnknownDatacenter { name, datacenter });
        let error = error_after(|layout| {
            layout.replication.push(Replication { datacenter: "dc1".into(), n: 1 });
        });
        assert_eq!(error, LayoutError::DuplicateDatacenter { datacenter: "dc1".into() });
        let error = error_after(|layout| {
            layout.replication.push(Replication { datacenter: "dc2".into(), n: 1 });
        });
        let datacenter = "dc2".to_string();
        assert_eq!(error, LayoutError::TooFewMachines { datacenter, n: 1, machines: 0 });
    }

    #[test]
    fn weights_are_positive_and_bounded() {
        let error = error_after(|layout| layout.members[1].weight = 0);
        assert_eq!(error, LayoutError::NoWeight { name: "n2".into() });
        let error = error_after(|layout| layout.members[1].weight = 1 << 14);
        assert_eq!(error, LayoutError::WeightSum { sum: (1 << 14) + 2 });
    }

    #[test]
    fn a_successor_has_a_greater_version_and_the_same_partitions() {
        let former = three_nodes();
        let next = Layout { version: 2, ..three_nodes() };
        assert_eq!(next.validate_after(&former), Ok(()));
        let error = former.validate_after(&former).expect_err("the version has not risen");
        assert_eq!(error, LayoutError::VersionNotGreater { was: 1, version: 1 });
        let finer = Layout { partitions: 32, ..next };
        let error = finer.validate_after(&former).expect_err("the ring is cut anew");
        assert_eq!(error, LayoutError::PartitionsChanged { was: 16, partitions: 32 });
    }

    #[test]
    fn the_hash_stands_for_the_content_and_not_for_the_order_of_members() {
        let layout = three_nodes();
        let mut reordered = layout.clone();
        reordered.members.reverse();
        assert_eq!(reordered.hash(), layout.hash());
        assert_eq!(reordered.canonical(), layout);

        let changes: [fn(&mut Layout); 6] = [
            |layout| layout.version = 2,
            |layout| layout.partitions = 32,
            |layout| layout.replication[0].n = 2,
            |layout| layout.members[0].weight = 2,
            |layout| layout.members[0].rack = "elsewhere".into(),
            |layout| drop(layout.members.pop()),
        ];
        for change in changes {
            let mut changed = layout.clone();
            change(&mut changed);
            assert_ne!(changed.hash(), layout.hash());
        }
    }

    #[test]
    fn the_hash_is_what_it_always_was() {
        assert_eq!(format!("{}", three_nodes().hash()), "00ee07bdf53b85ed");
    }
}
