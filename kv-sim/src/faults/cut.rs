//! The pairs of nodes between which messages are dropped.

use crate::scenario::{Cluster, NodeIndex};

/// The pairs of nodes between which a partition drops messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Messages from one group to another are dropped. Nodes in no group, the bridge, hear all
    /// others.
    Groups(Vec<Vec<NodeIndex>>),
    /// Messages from `from` to `to` are dropped. The other way they pass.
    OneWay {
        /// The senders whose messages are dropped.
        from: Vec<NodeIndex>,
        /// The receivers that they do not reach.
        to: Vec<NodeIndex>,
    },
    /// Messages between all of these but neighbours are dropped: each stands between the one before
    /// it and the one after it, and the last beside the first. Other nodes hear all.
    Ring(Vec<NodeIndex>),
}

impl Cut {
    /// Tells whether a message from one node to another is dropped.
    pub fn drops(&self, from: NodeIndex, to: NodeIndex) -> bool {
        match self {
            Self::Groups(groups) => {
                let group_of = |node| groups.iter().position(|group| group.contains(&node));
                match (group_of(from), group_of(to)) {
                    (Some(sender), Some(receiver)) => sender != receiver,
                    (None, _) | (_, None) => false,
                }
            }
            Self::OneWay { from: senders, to: receivers } => {
                senders.contains(&from) && receivers.contains(&to)
            }
            Self::Ring(ring) => {
                let place_of = |node| ring.iter().position(|&other| other == node);
                match (place_of(from), place_of(to)) {
                    (Some(a), Some(b)) => !(a == b || are_neighbours(a, b, ring.len())),
                    (None, _) | (_, None) => false,
                }
            }
        }
    }

    pub(super) fn describe(&self, cluster: &Cluster) -> String {
        match self {
            Self::Groups(groups) => {
                let sides: Vec<_> = groups.iter().map(|group| cluster.names(group)).collect();
                let is_aside = |node: &NodeIndex| !groups.iter().any(|group| group.contains(node));
                let bridge: Vec<_> = cluster.indices().filter(is_aside).collect();
                let bridge = match &bridge[..] {
                    [] => String::new(),
                    bridge => format!(", bridged by {}", cluster.names(bridge)),
                };
                format!("{}{bridge}", sides.join(" | "))
            }
            Self::OneWay { from, to } => {
                format!("from {} to {}, one way", cluster.names(from), cluster.names(to))
            }
            Self::Ring(ring) => {
                let names: Vec<_> =
                    ring.iter().chain(ring.first()).map(|&node| cluster.name(node)).collect();
                format!("each hears its neighbours in {}", names.join(" - "))
            }
        }
    }
}

/// Tells whether two of `places` places in a ring lie side by side.
pub(crate) const fn are_neighbours(a: usize, b: usize, places: usize) -> bool {
    let apart = a.abs_diff(b);
    apart == 1 || apart + 1 == places
}
