//! Rules: the effects of active faults on messages, in the form in which each message asks for
//! them: by node, and not by lists of nodes.

use kv_core::time::Span;

use super::Way;
use crate::scenario::{
    ClogOrder, Cut, FaultKind, Kinds, Links, Misfortune, NodeIndex, Outage, OutageKind, Partition,
    SlowLink, Tail, are_neighbours,
};

/// The effect of an active fault on messages.
#[derive(Clone, Debug)]
pub(super) enum Rule {
    /// Messages are dropped.
    Cut(Parting, Kinds),
    /// Messages wait, until the rule is gone.
    Clogged(Lanes, ClogOrder),
    /// Messages to or from one node wait, until the rule is gone.
    ClogsNode(NodeIndex),
    /// Messages are lost with a probability, in parts per million.
    Loss(Lanes, u32),
    /// Messages arrive twice with a probability, in parts per million.
    Duplicate(Lanes, u32),
    /// Messages are held back with a probability, in parts per million.
    Reorder(Lanes, u32),
    /// Messages are corrupt with a probability, in parts per million.
    Corrupt(Lanes, u32),
    /// Messages take longer.
    Slow { lanes: Lanes, delay_mean: Option<Span>, factor: u32, tail: Option<Tail> },
}

/// The pairs of nodes between which messages are dropped.
#[derive(Clone, Debug)]
pub(super) enum Parting {
    /// The group of each node: nodes of different groups do not hear each other. [`NOWHERE`] hears
    /// all.
    Groups(Box<[u16]>),
    /// The two ends between which messages are dropped, one way.
    OneWay(Ends),
    /// The place of each node in a ring of so many: nodes that are no neighbours do not hear each
    /// other. [`NOWHERE`] hears all.
    Ring(Box<[u16]>, usize),
}

const NOWHERE: u16 = u16::MAX;

/// A set of messages, by the two ends of their way and their kind.
#[derive(Clone, Debug)]
pub(super) struct Lanes {
    ends: Ends,
    kinds: Kinds,
}

/// The two ends of ways: for each node, true if it is one.
#[derive(Clone, Debug)]
pub(super) struct Ends {
    from: Box<[bool]>,
    to: Box<[bool]>,
}

impl Rule {
    /// Makes the rule of a fault among so many nodes; none, if it is no fault of links.
    pub(super) fn of(kind: &FaultKind, nodes: usize) -> Option<Self> {
        let unlikely = |Misfortune { links, probability_ppm }: &Misfortune| {
            (Lanes::of(links, nodes), *probability_ppm)
        };
        Some(match kind {
            FaultKind::Partition(Partition { cut, messages, flap: _ }) => {
                Self::Cut(Parting::of(cut, nodes), *messages)
            }
            FaultKind::Outage(outage @ Outage { how: OutageKind::Network, .. }) => {
                Self::Cut(Parting::of(&outage.cut(nodes), nodes), Kinds::ALL)
            }
            FaultKind::Clog(clog) => Self::Clogged(Lanes::of(&clog.links, nodes), clog.order),
            FaultKind::Loss(misfortune) => {
                let (lanes, ppm) = unlikely(misfortune);
                Self::Loss(lanes, ppm)
            }
            FaultKind::Duplicate(misfortune) => {
                let (lanes, ppm) = unlikely(misfortune);
                Self::Duplicate(lanes, ppm)
            }
            FaultKind::Reorder(misfortune) => {
                let (lanes, ppm) = unlikely(misfortune);
                Self::Reorder(lanes, ppm)
            }
            FaultKind::Corrupt(misfortune) => {
                let (lanes, ppm) = unlikely(misfortune);
                Self::Corrupt(lanes, ppm)
            }
            FaultKind::SlowLink(SlowLink { links, delay_mean, factor, tail }) => Self::Slow {
                lanes: Lanes::of(links, nodes),
                delay_mean: *delay_mean,
                factor: *factor,
                tail: *tail,
            },
            FaultKind::Kill(_)
            | FaultKind::Pause(_)
            | FaultKind::Swizzle(_)
            | FaultKind::ClockStep { .. }
            | FaultKind::ClockDrift { .. }
            | FaultKind::ClockFreeze { .. }
            | FaultKind::Outage(Outage { how: OutageKind::Power, .. })
            | FaultKind::LostSync(_)
            | FaultKind::Disk { .. }
            | FaultKind::Wipe(_) => return None,
        })
    }

    /// Tells whether a message on this way is dropped.
    pub(super) fn cuts(&self, way: Way) -> bool {
        matches!(self, Self::Cut(parting, kinds) if way.is_one_of(*kinds) && parting.parts(way))
    }

    /// The order in which messages on this way wait, if they do.
    pub(super) fn clogs(&self, way: Way) -> Option<ClogOrder> {
        match self {
            Self::Clogged(lanes, order) if lanes.contain(way) => Some(*order),
            Self::ClogsNode(node) if way.touches(*node) => Some(ClogOrder::Sent),
            Self::Clogged(..)
            | Self::ClogsNode(_)
            | Self::Cut(..)
            | Self::Loss(..)
            | Self::Duplicate(..)
            | Self::Reorder(..)
            | Self::Corrupt(..)
            | Self::Slow { .. } => None,
        }
    }

    /// Tells whether a message on this way may not arrive promptly and unharmed.
    pub(super) fn disturbs(&self, way: Way) -> bool {
        match self {
            Self::Cut(..) => self.cuts(way),
            // One copy more does no harm.
            Self::Duplicate(..) => false,
            Self::ClogsNode(node) => way.touches(*node),
            Self::Clogged(lanes, _)
            | Self::Loss(lanes, _)
            | Self::Reorder(lanes, _)
            | Self::Corrupt(lanes, _)
            | Self::Slow { lanes, .. } => lanes.contain(way),
        }
    }
}

impl Parting {
    fn of(cut: &Cut, nodes: usize) -> Self {
        match cut {
            Cut::Groups(groups) => {
                let mut by_node = vec![NOWHERE; nodes].into_boxed_slice();
                for (number, group) in (0..).zip(groups) {
                    for node in group {
                        by_node[node.0] = number;
                    }
                }
                Self::Groups(by_node)
            }
            Cut::OneWay { from, to } => Self::OneWay(Ends::of(Some(from), Some(to), nodes)),
            Cut::Ring(ring) => {
                let mut by_node = vec![NOWHERE; nodes].into_boxed_slice();
                for (place, node) in (0..).zip(ring) {
                    by_node[node.0] = place;
                }
                Self::Ring(by_node, ring.len())
            }
        }
    }

    fn parts(&self, Way { from, to, .. }: Way) -> bool {
        match self {
            Self::Groups(groups) => {
                let (sender, receiver) = (groups[from.0], groups[to.0]);
                sender != receiver && sender != NOWHERE && receiver != NOWHERE
            }
            Self::OneWay(ends) => ends.contain(from, to),
            Self::Ring(ring, places) => {
                let (sender, receiver) = (ring[from.0], ring[to.0]);
                let is_aside = sender == receiver || sender == NOWHERE || receiver == NOWHERE;
                !is_aside && !are_neighbours(sender.into(), receiver.into(), *places)
            }
        }
    }
}

impl Lanes {
    fn of(Links { from, to, messages }: &Links, nodes: usize) -> Self {
        Self { ends: Ends::of(from.as_deref(), to.as_deref(), nodes), kinds: *messages }
    }

    pub(super) fn contain(&self, way: Way) -> bool {
        way.is_one_of(self.kinds) && self.ends.contain(way.from, way.to)
    }
}

impl Ends {
    fn of(from: Option<&[NodeIndex]>, to: Option<&[NodeIndex]>, nodes: usize) -> Self {
        let end = |named: Option<&[NodeIndex]>| {
            let mut by_node = vec![named.is_none(); nodes].into_boxed_slice();
            for node in named.into_iter().flatten() {
                by_node[node.0] = true;
            }
            by_node
        };
        Self { from: end(from), to: end(to) }
    }

    fn contain(&self, from: NodeIndex, to: NodeIndex) -> bool {
        self.from[from.0] && self.to[to.0]
    }
}
