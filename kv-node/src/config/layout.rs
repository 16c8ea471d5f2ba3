//! From `[cluster]` and `[[member]]` to the cluster's first layout.

use std::collections::BTreeMap;

use kv_core::layout::{Layout, LayoutError, Member, Replication};
use kv_core::ring::Ring;
use kv_core::types::{Digest, NodeId};

use super::{ClusterKeys, MemberKeys, Problem};

/// The id of a member of a cluster's first layout: the first 64 bits of SHA-256 over the lengths
/// and the names of cluster and member.
pub fn founder_id(cluster: &str, member: &str) -> NodeId {
    let length = |text: &str| (text.len() as u64).to_be_bytes();
    let parts = [&length(cluster)[..], cluster.as_bytes(), &length(member)[..], member.as_bytes()];
    NodeId(Digest::of(&parts).high())
}

/// The cluster's first layout, and where its members are reached.
pub(super) fn layout(
    cluster: &ClusterKeys,
    members: &[MemberKeys],
) -> Result<(Ring, BTreeMap<NodeId, String>), Problem> {
    let mut layout = Layout {
        version: 1,
        partitions: *cluster.partitions.get_ref(),
        replication: Vec::new(),
        members: Vec::new(),
    };
    let mut addresses = BTreeMap::new();
    for keys in members {
        let member = member(cluster.name.get_ref(), keys)?;
        let datacenter = &member.datacenter;
        if !layout.replication.iter().any(|replication| replication.datacenter == *datacenter) {
            let (datacenter, n) = (datacenter.clone(), *cluster.n.get_ref());
            layout.replication.push(Replication { datacenter, n });
        }
        addresses.insert(member.id, keys.address.get_ref().clone());
        layout.members.push(member);
    }
    layout.replication.sort_by(|left, right| left.datacenter.cmp(&right.datacenter));
    let ring = Ring::new(layout).map_err(|error| at_its_key(&error, cluster, members))?;
    Ok((ring, addresses))
}

fn member(cluster: &str, keys: &MemberKeys) -> Result<Member, Problem> {
    let name = keys.name.get_ref().clone();
    let id = match &keys.id {
        None => founder_id(cluster, &name),
        Some(id) => u64::from_str_radix(id.get_ref(), 16)
            .ok()
            .filter(|_| id.get_ref().len() == 16)
            .map(NodeId)
            .ok_or_else(|| {
                let message = format!("`{}` is no id of a node", id.get_ref());
                Problem::at(Some(id.span()), message, "expected 16 hexadecimal digits")
            })?,
    };
    let machine = keys.machine.clone().unwrap_or_else(|| name.clone());
    Ok(Member {
        id,
        weight: keys.weight.as_ref().map_or(1, |weight| *weight.get_ref()),
        rack: keys.rack.clone().unwrap_or_else(|| machine.clone()),
        datacenter: keys.datacenter.clone().unwrap_or_else(|| "dc1".to_owned()),
        machine,
        name,
    })
}

/// An error of the layout, at the key that it is about, as far as one is.
fn at_its_key(error: &LayoutError, cluster: &ClusterKeys, members: &[MemberKeys]) -> Problem {
    let named = |name: &str| {
        let mut named = members.iter().filter(|member| member.name.get_ref() == name);
        named.next_back().map(|member| member.name.span())
    };
    let span = match error {
        LayoutError::DuplicateId { second: name, .. }
        | LayoutError::DuplicateName { name, .. }
        | LayoutError::NoWeight { name }
        | LayoutError::UnknownDatacenter { name, .. }
        | LayoutError::MachineInTwoPlaces { second: name, .. } => named(name),
        LayoutError::TooFewMachines { .. } => Some(cluster.n.span()),
        LayoutError::Partitions { .. } => Some(cluster.partitions.span()),
        LayoutError::NoMembers
        | LayoutError::NoReplication
        | LayoutError::WeightSum { .. }
        | LayoutError::DuplicateDatacenter { .. }
        | LayoutError::NoCopies { .. }
        | LayoutError::PartitionsChanged { .. }
        | LayoutError::VersionNotGreater { .. } => None,
    };
    // A key that is not given stands nowhere.
    let span = span.filter(|span| !span.is_empty()).or_else(|| Some(cluster.name.span()));
    Problem::at(span, error.to_string(), "here")
}
