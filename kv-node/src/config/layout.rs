//! From `[cluster]` and `[[member]]` to the cluster's first layout.

use std::collections::BTreeMap;
use std::ops::Range;

use kv_core::layout::{Layout, LayoutError, Member, Replication};
use kv_core::ring::Ring;
use kv_core::types::{ContentHash, NodeId};
use toml::Spanned;

use super::address::PeerAddress;
use super::problem::ConfigProblem;
use super::table::{ClusterKeys, MemberKeys, Table, check_member, keep};

/// The id of a member of a cluster's first layout: the first 64 bits of SHA-256 over the lengths
/// and the names of cluster and member.
pub fn founder_id(cluster: &str, member: &str) -> NodeId {
    let length = |text: &str| (text.len() as u64).to_be_bytes();
    let parts = [&length(cluster)[..], cluster.as_bytes(), &length(member)[..], member.as_bytes()];
    NodeId(ContentHash::of(&parts).high())
}

/// One `[[member]]`, with the parts of it that could be read.
pub(super) struct ReadMember {
    pub(super) member: Member,
    /// The member's address; `None`, if no valid one was given.
    pub(super) address: Option<(PeerAddress, Spanned<String>)>,
    name_span: Range<usize>,
}

/// The parts of the configuration that all nodes of a cluster share.
pub(super) struct SharedConfig {
    pub(super) cluster: String,
    pub(super) ring: Ring,
    pub(super) addresses: BTreeMap<NodeId, String>,
}

/// Reads one member. Errors are reported and replaced by defaults, so that the layout can be
/// checked.
pub(super) fn member(
    cluster: &str,
    table: Table<'_>,
    problems: &mut Vec<ConfigProblem>,
) -> ReadMember {
    let at = table.span();
    let (keys, spans) = table.read(problems, check_member);
    let MemberKeys { name, address, machine, rack, datacenter, weight, id } = keys;
    for key in ["name", "address"].into_iter().filter(|key| !spans.contains_key(*key)) {
        let message = format!("the key `{key}` is missing");
        problems.push(ConfigProblem::at(Some(at.clone()), message, format!("this needs `{key}`")));
    }
    let address = address.and_then(|text| {
        let address = PeerAddress::parse(text.get_ref()).map_err(|error| {
            let message = format!("`{}` is no address of a peer", text.get_ref());
            ConfigProblem::at(Some(text.span()), message, error.label)
        });
        Some((keep(problems, address)?, text))
    });
    let name = name.unwrap_or_else(|| Spanned::new(at.clone(), format!("(at byte {})", at.start)));
    let name_span = name.span();
    let name = name.into_inner();
    let id = id.and_then(|id| keep(problems, given_id(&id)));
    let machine = machine.map_or_else(|| name.clone(), Spanned::into_inner);
    let member = Member {
        id: id.unwrap_or_else(|| founder_id(cluster, &name)),
        weight: weight.map_or(1, Spanned::into_inner),
        rack: rack.map_or_else(|| machine.clone(), Spanned::into_inner),
        datacenter: datacenter.map_or_else(|| "dc1".to_owned(), Spanned::into_inner),
        machine,
        name,
    };
    ReadMember { member, address, name_span }
}

fn given_id(id: &Spanned<String>) -> Result<NodeId, ConfigProblem> {
    let digits = id.get_ref();
    let number = u64::from_str_radix(digits, 16).ok();
    number.filter(|_| digits.len() == 16 && !digits.starts_with('+')).map(NodeId).ok_or_else(|| {
        let message = format!("`{digits}` is no id of a node");
        ConfigProblem::at(Some(id.span()), message, "expected 16 hexadecimal digits")
    })
}

/// Makes the cluster's first layout, and the addresses of its members.
pub(super) fn shared(
    keys: &ClusterKeys,
    members: &[ReadMember],
    problems: &mut Vec<ConfigProblem>,
) -> Option<SharedConfig> {
    let name = keys.name.as_ref()?;
    let mut layout = Layout {
        version: 1,
        partitions: keys.partitions.as_ref().map_or(4_096, |partitions| *partitions.get_ref()),
        replication: Vec::new(),
        members: Vec::new(),
    };
    let mut addresses = BTreeMap::new();
    for ReadMember { member, address, name_span: _ } in members {
        let datacenter = &member.datacenter;
        if !layout.replication.iter().any(|replication| replication.datacenter == *datacenter) {
            let n = keys.n.as_ref().map_or(3, |n| *n.get_ref());
            layout.replication.push(Replication { datacenter: datacenter.clone(), n });
        }
        if let Some((_, text)) = address {
            addresses.insert(member.id, text.get_ref().clone());
        }
        layout.members.push(member.clone());
    }
    layout.replication.sort_by(|left, right| left.datacenter.cmp(&right.datacenter));
    let mut errors = layout.errors();
    // Two members of one name have one machine too, if nothing else is said: that is no second problem.
    let is_twin = |error: &LayoutError| {
        matches!(error, LayoutError::DuplicateId { .. } | LayoutError::DuplicateName { .. })
    };
    if errors.iter().any(is_twin) {
        errors.retain(|error| !matches!(error, LayoutError::TooFewMachines { .. }));
    }
    let problem = |error: &LayoutError| at_its_key(error, keys, name, members);
    problems.extend(errors.iter().map(problem));
    if !errors.is_empty() {
        return None;
    }
    let ring = Ring::new(layout).map_err(|error| problem(&error));
    Some(SharedConfig { cluster: name.get_ref().clone(), ring: keep(problems, ring)?, addresses })
}

/// Places an error of the layout at the key that it is about, as far as one is.
fn at_its_key(
    error: &LayoutError,
    keys: &ClusterKeys,
    cluster: &Spanned<String>,
    members: &[ReadMember],
) -> ConfigProblem {
    let named = |name: &str| {
        let mut named = members.iter().filter(|member| member.member.name == name);
        named.next_back().map(|member| member.name_span.clone())
    };
    if let LayoutError::DuplicateId { first, second, .. } = error
        && first == second
    {
        let message = format!("two members are called `{first}`");
        return ConfigProblem::at(named(first), message, "the second one");
    }
    let span = match error {
        LayoutError::DuplicateId { second: name, .. }
        | LayoutError::DuplicateName { name, .. }
        | LayoutError::NoWeight { name }
        | LayoutError::UnknownDatacenter { name, .. }
        | LayoutError::MachineInTwoPlaces { second: name, .. } => named(name),
        LayoutError::TooFewMachines { .. } => keys.n.as_ref().map(Spanned::span),
        LayoutError::Partitions { .. } => keys.partitions.as_ref().map(Spanned::span),
        LayoutError::NoMembers
        | LayoutError::NoReplication
        | LayoutError::WeightSum { .. }
        | LayoutError::DuplicateDatacenter { .. }
        | LayoutError::NoCopies { .. }
        | LayoutError::PartitionsChanged { .. }
        | LayoutError::VersionNotGreater { .. } => None,
    };
    // A key that is not given stands nowhere.
    let span = span.unwrap_or_else(|| cluster.span());
    ConfigProblem::at(Some(span), error.to_string(), "here")
}
