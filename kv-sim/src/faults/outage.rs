//! Outages of places: all nodes of a data center or of a rack fail at once.

use serde::Deserialize;
use toml::{Spanned, Table};

use super::{
    Cut, DiskLoss, FaultKeys, Inject, Kinds, LinkEffect, LinkRule, Strike, Target, Victims, Ways,
};
use crate::scenario::{Cluster, Dice, DrawnCluster, KeyDoc, NodeIndex, Place, Problem, ValueDoc};

/// A data center fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatacenterOutage(pub Outage);

/// A rack fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RackOutage(pub Outage);

/// An outage: a place fails, with all nodes that stand there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outage {
    /// The data center that fails, or that the rack belongs to.
    pub datacenter: String,
    /// The rack that fails; none if the whole data center does.
    pub rack: Option<String>,
    /// The nodes at the place.
    pub victims: Victims,
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
struct DatacenterKeys {
    datacenter: Spanned<String>,
    how: Option<Spanned<OutageKind>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RackKeys {
    rack: Spanned<String>,
    datacenter: Option<Spanned<String>>,
    how: Option<Spanned<OutageKind>>,
}

impl Inject for DatacenterOutage {
    const NAME: &'static str = "datacenter-outage";
    const ABOUT: &'static str =
        "all nodes of a data center lose their power, or their network to all others";
    const KEYS: &'static [KeyDoc] = &[
        KeyDoc::new("datacenter", ValueDoc::Text, "the data center that fails"),
        KeyDoc::new(
            "how",
            ValueDoc::Word(&["power", "network"]),
            "what fails: the power, or the network to all others",
        )
        .or("\"power\""),
    ];

    fn parse(keys: &FaultKeys<'_>, cluster: &Cluster) -> Result<Self, Problem> {
        let DatacenterKeys { datacenter, how } = keys.parse()?;
        let name = known_datacenter(&datacenter, cluster)?;
        Outage::of(name, None, how.as_ref(), cluster).map(Self)
    }

    fn draw(dice: Dice, cluster: &DrawnCluster, keys: &mut Table) {
        let (datacenter, _) = dice.one_of("place", &cluster.places);
        keys.insert("datacenter".to_owned(), datacenter.into());
        let is_whole = cluster.places.iter().all(|place| place.0 == datacenter);
        draw_how(dice, is_whole, keys);
    }

    fn describe(&self, cluster: &Cluster) -> String {
        self.0.describe(cluster)
    }

    fn may_last(&self) -> bool {
        true
    }

    fn victims_mut(&mut self) -> Option<&mut Victims> {
        Some(&mut self.0.victims)
    }

    fn rule(&self, victims: &[NodeIndex], nodes: usize) -> Option<LinkRule> {
        self.0.rule(victims, nodes)
    }

    fn begin(&self, world: &mut dyn Target, strike: &Strike) {
        self.0.begin(world, strike);
    }

    fn end(&self, world: &mut dyn Target, strike: &Strike) {
        self.0.end(world, strike);
    }
}

impl Inject for RackOutage {
    const NAME: &'static str = "rack-outage";
    const ABOUT: &'static str = "likewise, those of a rack";
    const KEYS: &'static [KeyDoc] = &[
        KeyDoc::new("rack", ValueDoc::Text, "the rack that fails"),
        KeyDoc::new("datacenter", ValueDoc::Text, "the data center that the rack belongs to")
            .or_else("required, if several have a rack of this name"),
        KeyDoc::new(
            "how",
            ValueDoc::Word(&["power", "network"]),
            "what fails: the power, or the network to all others",
        )
        .or("\"power\""),
    ];

    fn parse(keys: &FaultKeys<'_>, cluster: &Cluster) -> Result<Self, Problem> {
        let RackKeys { rack, datacenter, how } = keys.parse()?;
        let within = datacenter.as_ref().map(|name| known_datacenter(name, cluster)).transpose()?;
        let is_within = |place: &&Place| within.is_none_or(|within| place.datacenter == *within);
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
            [datacenter] => {
                Outage::of(datacenter, Some(rack.get_ref()), how.as_ref(), cluster).map(Self)
            }
            _ => {
                let message = format!("several data centers have a rack `{}`", rack.get_ref());
                Err(Problem::at(rack.span(), message)
                    .label("give datacenter as well")
                    .help(format!("it is in {}", datacenters.join(", "))))
            }
        }
    }

    fn draw(dice: Dice, cluster: &DrawnCluster, keys: &mut Table) {
        let (datacenter, rack) = dice.one_of("place", &cluster.places);
        keys.insert("datacenter".to_owned(), datacenter.into());
        keys.insert("rack".to_owned(), rack.into());
        let is_whole = cluster.places.iter().all(|place| *place == (datacenter, rack));
        draw_how(dice, is_whole, keys);
    }

    fn describe(&self, cluster: &Cluster) -> String {
        self.0.describe(cluster)
    }

    fn may_last(&self) -> bool {
        true
    }

    fn victims_mut(&mut self) -> Option<&mut Victims> {
        Some(&mut self.0.victims)
    }

    fn rule(&self, victims: &[NodeIndex], nodes: usize) -> Option<LinkRule> {
        self.0.rule(victims, nodes)
    }

    fn begin(&self, world: &mut dyn Target, strike: &Strike) {
        self.0.begin(world, strike);
    }

    fn end(&self, world: &mut dyn Target, strike: &Strike) {
        self.0.end(world, strike);
    }
}

impl Outage {
    fn of(
        datacenter: &str,
        rack: Option<&String>,
        how: Option<&Spanned<OutageKind>>,
        cluster: &Cluster,
    ) -> Result<Self, Problem> {
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
        let victims = Victims::These(nodes);
        Ok(Self { datacenter: datacenter.to_owned(), rack: rack.cloned(), victims, how })
    }

    fn describe(&self, cluster: &Cluster) -> String {
        let Self { datacenter, rack, victims, how } = self;
        let place = match rack {
            None => datacenter.clone(),
            Some(rack) => format!("{rack} of {datacenter}"),
        };
        let what = match how {
            OutageKind::Power => "without power",
            OutageKind::Network => "cut off",
        };
        format!("{place} is {what}: {}", victims.describe(cluster))
    }

    fn rule(&self, there: &[NodeIndex], nodes: usize) -> Option<LinkRule> {
        match self.how {
            OutageKind::Power => None,
            OutageKind::Network => {
                let elsewhere = (0..nodes).map(NodeIndex).filter(|node| !there.contains(node));
                let cut = Cut::Groups(vec![there.to_vec(), elsewhere.collect()]);
                Some(LinkRule { ways: Ways::Across(cut, Kinds::ALL), effect: LinkEffect::Drop })
            }
        }
    }

    fn begin(&self, world: &mut dyn Target, strike: &Strike) {
        match self.how {
            OutageKind::Power => {
                strike.nodes().for_each(|node| world.take_down(node, DiskLoss::Nothing));
            }
            OutageKind::Network => {}
        }
    }

    fn end(&self, world: &mut dyn Target, strike: &Strike) {
        match self.how {
            OutageKind::Power => strike.nodes().for_each(|node| world.bring_up(node)),
            OutageKind::Network => {}
        }
    }
}

/// Draws the part of a place that fails. The place is not cut off if all nodes stand there.
fn draw_how(dice: Dice, is_whole: bool, keys: &mut Table) {
    let how = if is_whole { "power" } else { dice.one_of("how", &["power", "network"]) };
    keys.insert("how".to_owned(), how.into());
}

fn known_datacenter<'a>(name: &Spanned<String>, cluster: &'a Cluster) -> Result<&'a str, Problem> {
    let datacenters = || cluster.nodes.iter().map(|place| place.datacenter.as_str());
    datacenters().find(|datacenter| datacenter == name.get_ref()).ok_or_else(|| {
        let known = distinct(datacenters());
        Problem::unknown_word(name.span(), "data center", name.get_ref(), &known)
    })
}

fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names.dedup();
    names
}
