//! The configuration that must not change as long as there is data: all that decides where a key
//! lies and how it is written. It stands beside the data, is written when that is begun, and is
//! compared at each start.
//!
//! A node that started with 32 partitions on the data of 64 would find nothing where it looks, and
//! answer so. The file is the same on all nodes of a cluster; where peers are reached is no part of
//! it.

use kv_core::layout::{Difference, Layout, Member, Replication};
use kv_core::store::RECORD_FORMAT;
use kv_core::types::{HASH, NodeId};
use serde::{Deserialize, Serialize};

use super::engine::ENGINE_FORMAT;
use super::sealed::{SealError, seal, unseal};

/// The format that is written. Files of other formats are refused.
pub(super) const FORMAT: u32 = 1;

const HEADER: &str = "\
# What must not change as long as there is data: it decides where each key lies and how it is written.
# kv-node wrote this file when the data was begun, and compares it at each start. Do not edit it. It is
# the same on all nodes of a cluster: if it is lost, copy it from another one.
";

/// The configuration under which data was begun, or is served now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinned {
    cluster: String,
    hash: String,
    record_format: u32,
    engine: String,
    layout: Layout,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PinnedFile {
    format: u32,
    cluster: String,
    hash: String,
    record_format: u32,
    engine: String,
    layout_version: u64,
    partitions: u32,
    replication: Vec<Replication>,
    member: Vec<PinnedMember>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PinnedMember {
    name: String,
    id: String,
    weight: u16,
    machine: String,
    rack: String,
    datacenter: String,
}

impl Pinned {
    /// Collects the values for a cluster of this name and layout, and for this software.
    pub fn of(cluster: &str, layout: &Layout) -> Self {
        Self {
            cluster: cluster.into(),
            hash: HASH.into(),
            record_format: RECORD_FORMAT,
            engine: ENGINE_FORMAT.into(),
            layout: layout.clone().canonical(),
        }
    }

    /// The cluster's name.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// Lists in words the differences for which data that was begun so cannot serve a node that is
    /// started with `now`; empty, if it can.
    pub fn differences(&self, now: &Self) -> Vec<String> {
        let mut found = Vec::new();
        if self.cluster != now.cluster {
            let (was, is) = (self.cluster.clone(), now.cluster.clone());
            found.push(Difference { what: "cluster".into(), was: Some(was), is: Some(is) });
        }
        found.extend(self.layout.differences(&now.layout));
        let mut found: Vec<_> = found.iter().map(by_configuration).collect();
        let formats = [
            ("hash", self.hash.clone(), now.hash.clone()),
            ("record_format", self.record_format.to_string(), now.record_format.to_string()),
            ("engine", self.engine.clone(), now.engine.clone()),
        ];
        let changed = formats.into_iter().filter(|(_, was, is)| was != is);
        found.extend(changed.map(|(what, was, is)| {
            format!("{what}: the data was made with {was}, this version of kv-node has {is}")
        }));
        found
    }

    pub(super) fn encode(&self) -> String {
        let Self { cluster, hash, record_format, engine, layout } = self.clone();
        let Layout { version, partitions, replication, members } = layout;
        let file = PinnedFile {
            format: FORMAT,
            cluster,
            hash,
            record_format,
            engine,
            layout_version: version,
            partitions,
            replication,
            member: members.into_iter().map(PinnedMember::from).collect(),
        };
        seal(HEADER, &file)
    }

    pub(super) fn decode(text: &str) -> Result<Self, SealError> {
        let file: PinnedFile = unseal(text, FORMAT)?;
        let PinnedFile { format: _, cluster, hash, record_format, engine, .. } = file;
        let members = file.member.into_iter().map(Member::try_from).collect::<Result<_, _>>()?;
        let layout = Layout {
            version: file.layout_version,
            partitions: file.partitions,
            replication: file.replication,
            members,
        };
        Ok(Self { cluster, hash, record_format, engine, layout })
    }
}

fn by_configuration(Difference { what, was, is }: &Difference) -> String {
    match (was, is) {
        (Some(was), Some(is)) => {
            format!("{what}: the data was made with {was}, the configuration says {is}")
        }
        (Some(_), None) => format!("{what}: the data was made with it, the configuration lacks it"),
        (None, _) => format!("{what}: the data was made without it, the configuration has it"),
    }
}

impl From<Member> for PinnedMember {
    fn from(member: Member) -> Self {
        let Member { id, name, weight, machine, rack, datacenter } = member;
        Self { name, id: id.to_string(), weight, machine, rack, datacenter }
    }
}

impl TryFrom<PinnedMember> for Member {
    type Error = SealError;

    fn try_from(keys: PinnedMember) -> Result<Self, SealError> {
        let PinnedMember { name, id, weight, machine, rack, datacenter } = keys;
        let id = u64::from_str_radix(&id, 16)
            .map_err(|error| SealError::Content(format!("`{id}` is no id: {error}")))?;
        Ok(Self { id: NodeId(id), name, weight, machine, rack, datacenter })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pinned() -> Pinned {
        let nodes = (1..=3).map(|id| (NodeId(id), format!("n{id}")));
        Pinned::of("blue", &Layout::single_datacenter(64, 3, nodes))
    }

    #[test]
    fn what_is_written_is_read_back_and_people_can_read_it() {
        assert_eq!(Pinned::decode(&pinned().encode()), Ok(pinned()));
        insta::assert_snapshot!(pinned().encode());
    }

    #[test]
    fn the_order_of_the_members_is_no_difference() {
        let mut layout = pinned().layout;
        layout.members.reverse();
        assert_eq!(pinned().differences(&Pinned::of("blue", &layout)), [""; 0]);
    }

    #[test]
    fn every_difference_is_named_with_both_values() {
        let mut now = pinned();
        now.cluster = "green".into();
        now.hash = "xxh3".into();
        now.record_format = 9;
        now.engine = "another".into();
        now.layout.version = 2;
        now.layout.partitions = 32;
        now.layout.replication[0].n = 2;
        now.layout.members[0].weight = 7;
        now.layout.members[1].machine = "m9".into();
        now.layout.members[1].rack = "r9".into();
        now.layout.members[2].name = "n4".into();
        insta::assert_snapshot!(pinned().differences(&now).join("\n"));
        now.layout.members[2] = Member { id: NodeId(9), ..now.layout.members[2].clone() };
        now.layout.members[0].id = NodeId(10);
        insta::assert_snapshot!(pinned().differences(&now).join("\n"));
    }
}
