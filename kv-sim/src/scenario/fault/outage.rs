//! Faults of places: all nodes of a data center or of a rack fail at once.

use serde::Deserialize;
use toml::Spanned;

use super::super::cluster::{Cluster, NodeIndex};
use super::super::error::Problem;
use super::partition::Cut;

/// An outage: a place fails, with all nodes that stand there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outage {
    /// The data center that fails.
    pub datacenter: String,
    /// The rack that fails; none if the whole data center does.
    pub rack: Option<String>,
    /// The nodes at the place; sorted, never empty.
    pub nodes: Vec<NodeIndex>,
    /// The part of the place that fails.
    pub how: OutageKind,
}

/// The part of a place that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutageKind {
    /// The power: all nodes there stop dead, lose what was not synced, and restart at the end.
    Power,
    /// The network: the nodes there hear each other, and no node elsewhere.
    Network,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DatacenterKeys {
    datacenter: Spanned<String>,
    how: Option<Spanned<OutageKind>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RackKeys {
    rack: Spanned<String>,
    datacenter: Option<Spanned<String>>,
    how: Option<Spanned<OutageKind>>,
}

impl Outage {
    /// The partition that a failure of the place's network makes, in a cluster of `nodes` nodes.
    pub fn cut(&self, nodes: usize) -> Cut {
        let elsewhere = (0..nodes).map(NodeIndex).filter(|node| !self.nodes.contains(node));
        Cut::Groups(vec![self.nodes.clone(), elsewhere.collect()])
    }

    pub(super) fn describe(&self, cluster: &Cluster) -> String {
        let Self { datacenter, rack, nodes, how } = self;
        let place = match rack {
            None => datacenter.clone(),
            Some(rack) => format!("{rack} of {datacenter}"),
        };
        let what = match how {
            OutageKind::Power => "without power",
            OutageKind::Network => "cut off",
        };
        format!("{place} is {what}: {}", cluster.names(nodes))
    }
}

pub(super) fn datacenter_outage(
    keys: &DatacenterKeys,
    cluster: &Cluster,
) -> Result<Outage, Problem> {
    let DatacenterKeys { datacenter, how } = keys;
    let name = known_datacenter(datacenter, cluster)?;
    outage(name, None, how.as_ref(), cluster)
}

pub(super) fn rack_outage(keys: &RackKeys, cluster: &Cluster) -> Result<Outage, Problem> {
    let RackKeys { rack, datacenter, how } = keys;
    let within = datacenter.as_ref().map(|name| known_datacenter(name, cluster)).transpose()?;
    let is_within = |place: &&super::super::cluster::Place| {
        within.is_none_or(|within| place.datacenter == *within)
    };
    let places: Vec<_> = cluster.nodes.iter().filter(is_within).collect();
    let mut datacenters: Vec<_> = places
        .iter()
        .filter(|place| place.rack == *rack.get_ref())
        .map(|place| place.datacenter.as_str())
        .collect();
    datacenters.sort_unstable();
    datacenters.dedup();
    match datacenters[..] {
        [] => {
            let known = distinct(places.iter().map(|place| place.rack.as_str()));
            Err(Problem::unknown_word(rack.span(), "rack", rack.get_ref(), &known))
        }
        [datacenter] => outage(datacenter, Some(rack.get_ref()), how.as_ref(), cluster),
        _ => {
            let message = format!("several data centers have a rack `{}`", rack.get_ref());
            Err(Problem::at(rack.span(), message)
                .label("give datacenter as well")
                .help(format!("it is in {}", datacenters.join(", "))))
        }
    }
}

fn known_datacenter<'a>(name: &Spanned<String>, cluster: &'a Cluster) -> Result<&'a str, Problem> {
    let datacenters = || cluster.nodes.iter().map(|place| place.datacenter.as_str());
    datacenters().find(|datacenter| datacenter == name.get_ref()).ok_or_else(|| {
        let known = distinct(datacenters());
        Problem::unknown_word(name.span(), "data center", name.get_ref(), &known)
    })
}

fn outage(
    datacenter: &str,
    rack: Option<&String>,
    how: Option<&Spanned<OutageKind>>,
    cluster: &Cluster,
) -> Result<Outage, Problem> {
    let is_there = |node: &NodeIndex| {
        let place = &cluster.nodes[node.0];
        place.datacenter == datacenter && rack.is_none_or(|rack| place.rack == *rack)
    };
    let nodes: Vec<_> = cluster.indices().filter(is_there).collect();
    if let Some(how) = how
        && *how.get_ref() == OutageKind::Network
        && nodes.len() == cluster.nodes.len()
    {
        return Err(Problem::at(
            how.span(),
            "all nodes stand there: nobody is cut off from anybody",
        )
        .label("nobody is elsewhere")
        .help("how = \"power\" stops all of them"));
    }
    let how = how.map_or(OutageKind::Power, |how| *how.get_ref());
    Ok(Outage { datacenter: datacenter.to_owned(), rack: rack.cloned(), nodes, how })
}

fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names.dedup();
    names
}
