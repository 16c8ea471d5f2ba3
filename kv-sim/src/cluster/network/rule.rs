//! Rules: the effects of active faults on messages, in the form in which each message asks for
//! them: by node, and not by lists of nodes.

use super::Way;
use crate::faults::{ClogOrder, Cut, Kinds, LinkEffect, LinkRule, Links, Ways, are_neighbours};
use crate::scenario::NodeIndex;

/// A rule: what happens to which messages.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    lanes: Lanes,
    /// The effect on each of the messages.
    pub(super) effect: LinkEffect,
}

/// The messages that a rule is for.
#[derive(Clone, Debug)]
enum Lanes {
    /// Messages of some kinds, by the two ends of their way.
    Between(Ends, Kinds),
    /// Messages of some kinds between nodes that do not hear each other.
    Across(Separation, Kinds),
    /// Messages to or from one node.
    At(NodeIndex),
}

/// The pairs of nodes between which messages are dropped.
#[derive(Clone, Debug)]
enum Separation {
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

/// The two ends of ways: for each node, true if it is one.
#[derive(Clone, Debug)]
struct Ends {
    from: Box<[bool]>,
    to: Box<[bool]>,
}

impl Rule {
    /// Makes the rule of a fault among so many nodes.
    pub(super) fn of(rule: &LinkRule, nodes: usize) -> Self {
        let lanes = match &rule.ways {
            Ways::On(Links { from, to, messages }) => {
                Lanes::Between(Ends::of(from.as_deref(), to.as_deref(), nodes), *messages)
            }
            Ways::Across(cut, messages) => Lanes::Across(Separation::of(cut, nodes), *messages),
        };
        Self { lanes, effect: rule.effect }
    }

    /// Makes the rule by which the messages to and from a node wait, in their order.
    pub(super) const fn clogging(node: NodeIndex) -> Self {
        Self { lanes: Lanes::At(node), effect: LinkEffect::Wait(ClogOrder::Sent) }
    }

    /// Tells whether this is [`Rule::clogging`] for a node.
    pub(super) fn is_clogging(&self, node: NodeIndex) -> bool {
        matches!(self.lanes, Lanes::At(other) if other == node)
    }

    /// Tells whether the rule is for a message on this way.
    pub(super) fn is_for(&self, way: Way) -> bool {
        match &self.lanes {
            Lanes::Between(ends, kinds) => way.is_one_of(*kinds) && ends.contain(way.from, way.to),
            Lanes::Across(parting, kinds) => {
                way.is_one_of(*kinds) && parting.parts(way.from, way.to)
            }
            Lanes::At(node) => way.touches(*node),
        }
    }

    /// Tells whether a message on this way is dropped.
    pub(super) fn cuts(&self, way: Way) -> bool {
        self.effect == LinkEffect::Drop && self.is_for(way)
    }

    /// The order in which messages on this way wait, if they do.
    pub(super) fn clogs(&self, way: Way) -> Option<ClogOrder> {
        match self.effect {
            LinkEffect::Wait(order) if self.is_for(way) => Some(order),
            LinkEffect::Wait(_)
            | LinkEffect::Drop
            | LinkEffect::Lose(_)
            | LinkEffect::Duplicate(_)
            | LinkEffect::HoldBack(_)
            | LinkEffect::Corrupt(_)
            | LinkEffect::Slow { .. } => None,
        }
    }

    /// Tells whether a message on this way may not arrive promptly and unharmed.
    pub(super) fn disturbs(&self, way: Way) -> bool {
        self.does_harm() && self.is_for(way)
    }

    /// Tells whether messages of some kind may not arrive so from one node at another.
    pub(super) fn concerns(&self, from: NodeIndex, to: NodeIndex) -> bool {
        let is_between = match &self.lanes {
            Lanes::Between(ends, _) => ends.contain(from, to),
            Lanes::Across(parting, _) => parting.parts(from, to),
            Lanes::At(node) => from == *node || to == *node,
        };
        self.does_harm() && is_between
    }

    const fn does_harm(&self) -> bool {
        match self.effect {
            // One copy more does no harm.
            LinkEffect::Duplicate(_) => false,
            LinkEffect::Drop
            | LinkEffect::Wait(_)
            | LinkEffect::Lose(_)
            | LinkEffect::HoldBack(_)
            | LinkEffect::Corrupt(_)
            | LinkEffect::Slow { .. } => true,
        }
    }
}

impl Separation {
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

    fn parts(&self, from: NodeIndex, to: NodeIndex) -> bool {
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
