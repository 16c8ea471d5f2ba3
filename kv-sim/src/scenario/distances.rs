//! Distances: how long messages take between places that lie far apart, or near each other.
//!
//! In the file, `between` in `network` is a list of pairs of places, each a data center (`east`) or
//! a rack of one (`east/r1`), with the delays from one to the other. The way back takes as long,
//! unless it is given too. Of several pairs that fit two nodes, the one that names more racks counts,
//! and of these the last.

use std::sync::Arc;

use kv_core::time::Span;
use serde::Deserialize;
use toml::Spanned;

use super::cluster::{Cluster, NodeIndex, Place};
use super::error::Problem;
use super::key_doc::{KeyDoc, ValueDoc};
use super::quantity::{decimal_milliseconds, min_and_mean};

/// The delays of messages on one way between two nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkDelay {
    /// The shortest time that a message takes.
    pub min: Span,
    /// The time that a message takes on average; at least `min`.
    pub mean: Span,
}

/// The delays between the places of a cluster, where they differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distances {
    /// The place of each node, by number.
    places: Arc<[usize]>,
    /// The delays from each place to each, row by row.
    delays: Arc<[LinkDelay]>,
    /// The number of places.
    count: usize,
}

/// The keys of an element of `between`.
pub(super) const KEYS_DOC: &[KeyDoc] = &[
    KeyDoc::new("from", PLACE, "where messages come from"),
    KeyDoc::new("to", PLACE, "where they go; the way back takes as long, unless it is given too"),
    KeyDoc::decimal_ms("delay_ms_min", "shortest time that a message takes")
        .or_else("as elsewhere, or the mean if that is less"),
    KeyDoc::decimal_ms("delay_ms_mean", "time that a message takes on average")
        .or_else("as elsewhere, or the shortest if that is more"),
];

/// The kind of value of a place.
const PLACE: ValueDoc =
    ValueDoc::Other("a data center, `\"east\"`, or a rack of one, `\"east/r1\"`, in quotes");

/// An element of `between` as it stands in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BetweenKeys {
    from: Spanned<String>,
    to: Spanned<String>,
    delay_ms_min: Option<Spanned<f64>>,
    delay_ms_mean: Option<Spanned<f64>>,
}

/// A pair of places with the delays between them.
struct PlacePair<'a> {
    from: PlaceName<'a>,
    to: PlaceName<'a>,
    delay: LinkDelay,
}

/// A data center, or a rack of one.
#[derive(Clone, Copy, PartialEq, Eq)]
struct PlaceName<'a> {
    datacenter: &'a str,
    rack: Option<&'a str>,
}

impl Distances {
    /// The delays of messages from one node to another.
    pub fn between(&self, from: NodeIndex, to: NodeIndex) -> LinkDelay {
        let &Self { ref places, ref delays, count } = self;
        delays[places[from.0] * count + places[to.0]]
    }

    /// The delays that there are.
    pub fn all(&self) -> impl Iterator<Item = LinkDelay> + '_ {
        self.delays.iter().copied()
    }
}

/// Parses the delays between the places of a cluster, elsewhere those of `default`. None if all are
/// the same.
pub(super) fn parse(
    pairs: &[BetweenKeys],
    default: LinkDelay,
    cluster: &Cluster,
) -> Result<Option<Distances>, Problem> {
    if pairs.is_empty() {
        return Ok(None);
    }
    let pairs: Vec<_> = pairs
        .iter()
        .map(|keys| {
            let (min, mean) = min_and_mean(
                (keys.delay_ms_min.as_ref(), default.min),
                (keys.delay_ms_mean.as_ref(), default.mean),
                decimal_milliseconds,
            )?;
            let delay = LinkDelay { min, mean };
            Ok(PlacePair {
                from: place(&keys.from, cluster)?,
                to: place(&keys.to, cluster)?,
                delay,
            })
        })
        .collect::<Result<_, _>>()?;
    let mut names: Vec<(&str, &str)> = Vec::new();
    let mut places = Vec::with_capacity(cluster.nodes.len());
    for Place { datacenter, rack, .. } in &cluster.nodes {
        let name = (datacenter.as_str(), rack.as_str());
        let known = names.iter().position(|&known| known == name);
        places.push(known.unwrap_or(names.len()));
        if known.is_none() {
            names.push(name);
        }
    }
    let ways = names.iter().flat_map(|from| names.iter().map(move |to| (from, to)));
    let delays = ways.map(|(from, to)| delay(&pairs, *from, *to).unwrap_or(default)).collect();
    Ok(Some(Distances { places: places.into(), delays, count: names.len() }))
}

/// Finds the delays from a rack of a data center to another; none, if no pair fits.
fn delay(pairs: &[PlacePair<'_>], from: (&str, &str), to: (&str, &str)) -> Option<LinkDelay> {
    let given = |a: PlaceName<'_>, b: PlaceName<'_>| {
        pairs.iter().any(|pair| pair.from == a && pair.to == b)
    };
    let fitting = pairs.iter().filter_map(|&PlacePair { from: one, to: other, delay }| {
        let fits = one.holds(from) && other.holds(to);
        let fits_back = other.holds(from) && one.holds(to) && !given(other, one);
        (fits || fits_back).then_some((one.racks() + other.racks(), delay))
    });
    fitting.max_by_key(|&(racks, _)| racks).map(|(_, delay)| delay)
}

/// Parses the name of a place that the cluster has.
fn place<'a>(name: &'a Spanned<String>, cluster: &Cluster) -> Result<PlaceName<'a>, Problem> {
    let (datacenter, rack) = match name.get_ref().split_once('/') {
        Some((datacenter, rack)) => (datacenter, Some(rack)),
        None => (name.get_ref().as_str(), None),
    };
    let place = PlaceName { datacenter, rack };
    let holds = |node: &Place| place.holds((&node.datacenter, &node.rack));
    if cluster.nodes.iter().any(holds) {
        return Ok(place);
    }
    let racks = cluster.nodes.iter().map(|node| format!("{}/{}", node.datacenter, node.rack));
    let mut known: Vec<_> =
        racks.chain(cluster.machines().into_keys().map(str::to_owned)).collect();
    known.sort_unstable();
    known.dedup();
    Err(Problem::unknown_word(name.span(), "place", name.get_ref(), &known))
}

impl PlaceName<'_> {
    fn holds(self, (datacenter, rack): (&str, &str)) -> bool {
        self.datacenter == datacenter && self.rack.is_none_or(|own| own == rack)
    }

    fn racks(self) -> usize {
        usize::from(self.rack.is_some())
    }
}
