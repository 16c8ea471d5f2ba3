//! The part of a story that disks know: how copies of a write came and went.

use kv_core::version::Dot;

use super::Report;
use super::line::{Doubt, DoubtWeight, Line, Sort};
use crate::cluster::world_time::WorldTime;
use crate::scenario::NodeIndex;
use crate::story::record::Record;
use crate::story::record::fact::{
    Copy, CopyChange, RecordedFault, RecordedMessage, RecordedOutage, RecordedWrite,
};

/// The changes of all nodes' copies of one key.
#[derive(Clone, Debug)]
pub(super) struct CopyHistory<'a> {
    changes: Vec<&'a CopyChange>,
}

impl<'a> CopyHistory<'a> {
    /// Collects the changes of a followed key.
    pub(super) fn of(record: &'a Record, key: Option<usize>) -> Self {
        let changes = record.copies.iter().filter(|change| Some(change.key) == key);
        Self { changes: changes.collect() }
    }

    fn of_node(&self, node: NodeIndex) -> impl DoubleEndedIterator<Item = &'a CopyChange> {
        self.changes.iter().copied().filter(move |change| change.node == node)
    }

    fn copy_at(&self, node: NodeIndex, at: WorldTime) -> Option<&'a Copy> {
        let last = self.of_node(node).rfind(|change| change.at <= at);
        last.map(|change| &change.copy)
    }

    /// The bits of the writes that a node's copy accounts for at a moment.
    pub(super) fn known(&self, node: NodeIndex, at: WorldTime) -> u8 {
        self.copy_at(node, at).map_or(0, |copy| copy.knows)
    }

    /// The bits of the writes for which a node's copy would account after a crash at a moment.
    pub(super) fn durable(&self, node: NodeIndex, at: WorldTime) -> u8 {
        self.copy_at(node, at).map_or(0, |copy| copy.keeps)
    }

    /// The moment from which on a node holds one of these writes durably, after another moment; none,
    /// if it never does.
    pub(super) fn durable_from(
        &self,
        node: NodeIndex,
        after: WorldTime,
        bits: u8,
    ) -> Option<WorldTime> {
        let mut later = self.of_node(node).filter(|change| change.at > after);
        later.find(|change| change.copy.keeps & bits != 0).map(|change| change.at)
    }

    /// Of these writes, one that a node held durably before a moment and holds no more, as its bit, and
    /// the time at which it went.
    pub(super) fn last_durable(
        &self,
        node: NodeIndex,
        at: WorldTime,
        bits: u8,
    ) -> Option<(usize, WorldTime)> {
        let mut held = 0;
        let mut gone = None;
        for change in self.of_node(node).take_while(|change| change.at <= at) {
            let lost = held & !change.copy.keeps;
            if lost != 0 {
                gone = Some((lost.trailing_zeros() as usize, change.at));
            }
            held = change.copy.keeps & bits;
        }
        gone.filter(|(bit, _)| held >> bit & 1 == 0)
    }
}

/// A node's knowledge of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Knowledge {
    Nothing,
    Fresh,
    Durable,
    Overwritten,
}

impl Report<'_> {
    /// Tells how the copies of a write came and went.
    pub(super) fn tell_copies(&self, dot: Dot, copies: &CopyHistory<'_>, lines: &mut Vec<Line>) {
        let Some(bit) = self.record.focus.dots.iter().position(|&other| other == dot) else {
            return;
        };
        let name = self.write(dot);
        let minted = self.record.writes.iter().find(|write| write.dot == dot);
        let mut before = vec![Knowledge::Nothing; self.plan.scenario.cluster.nodes.len()];
        for change in &copies.changes {
            let now = standing(&change.copy, dot, bit);
            let then = std::mem::replace(&mut before[change.node.0], now);
            if now == then {
                continue;
            }
            let node = self.node(change.node);
            let is_owner = |owners: &Vec<NodeIndex>| owners.contains(&change.node);
            let role = match self.owners.get(change.key).is_some_and(is_owner) {
                true => "",
                false => " for an owner",
            };
            let mut doubt = None;
            let text = match now {
                Knowledge::Fresh => {
                    let is_mint =
                        |write: &RecordedWrite| (write.at, write.node) == (change.at, change.node);
                    if minted.is_some_and(is_mint) {
                        continue;
                    }
                    format!("{node} holds {name}{role}, not durably yet")
                }
                Knowledge::Durable => format!("{node} holds {name} durably{role}"),
                Knowledge::Overwritten => {
                    doubt = self.untrue_overwriting(dot);
                    let live = self.writes(&change.copy.live);
                    format!("{node} knows of {name}, and does not hold it: {live} stands there")
                }
                Knowledge::Nothing => {
                    let why = self.why_gone(change.node, change.at);
                    if why.is_none() && role.is_empty() {
                        let truth = "nothing that was done to the node explains that".to_owned();
                        doubt = Some(Doubt { weight: DoubtWeight::Disappearance, truth });
                    }
                    format!("{node} holds {name} no more{}", why.unwrap_or_default())
                }
            };
            lines.push(Line::new(change.at, Sort::Copy, text).doubted(doubt));
        }
    }

    /// Tells whether nobody ever wrote in place of a write of which a sibling is lost.
    fn untrue_overwriting(&self, dot: Dot) -> Option<Doubt> {
        if self.violations.first()?.check != "causality" {
            return None;
        }
        let is_replaced = |write: &RecordedWrite| write.replaced.contains(&dot);
        let is_covered = |message: &RecordedMessage| {
            message.content.context.as_ref().is_some_and(|context| context.covers(dot))
        };
        if self.record.writes.iter().any(is_replaced) || self.record.messages.iter().any(is_covered)
        {
            return None;
        }
        let truth = "nobody wrote in place of it: who knows of it must hold it".to_owned();
        Some(Doubt { weight: DoubtWeight::Disappearance, truth })
    }

    /// The cause for which a copy went, as far as something was done to the node then.
    fn why_gone(&self, node: NodeIndex, at: WorldTime) -> Option<String> {
        let has_hit = |fault: &&RecordedFault| {
            (fault.from == at || fault.until == Some(at)) && fault.nodes.contains(&node)
        };
        if let Some(fault) = self.record.faults.iter().find(has_hit) {
            return Some(format!(": the {} takes it", fault.kind));
        }
        let went_down = |outage: &RecordedOutage| outage.node == node && outage.from == at;
        let is_down = self.record.outages.iter().any(went_down);
        is_down.then(|| ": it goes down, and loses it".to_owned())
    }
}

fn standing(copy: &Copy, dot: Dot, bit: usize) -> Knowledge {
    if copy.knows >> bit & 1 == 0 {
        Knowledge::Nothing
    } else if !copy.live.contains(&dot) {
        Knowledge::Overwritten
    } else if copy.durable.contains(&dot) {
        Knowledge::Durable
    } else {
        Knowledge::Fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: NodeIndex = NodeIndex(1);

    fn change(at: u64, knows: u8, keeps: u8) -> CopyChange {
        let copy = Copy { knows, keeps, ..Copy::default() };
        CopyChange { at: WorldTime(at), node: NODE, key: 0, copy }
    }

    #[test]
    fn what_a_node_held_durably_and_lost_is_known_with_the_time() {
        let changes = [change(10, 1, 0), change(20, 1, 1), change(30, 0, 0), change(40, 1, 1)];
        let copies = CopyHistory { changes: changes.iter().collect() };
        let lost = |at| copies.last_durable(NODE, WorldTime(at), 1);
        assert_eq!(lost(25), None, "it holds it");
        assert_eq!(lost(35), Some((0, WorldTime(30))));
        assert_eq!(lost(45), None, "it has it back");
        assert_eq!(copies.last_durable(NodeIndex(0), WorldTime(35), 1), None);
        assert_eq!(copies.last_durable(NODE, WorldTime(35), 2), None, "another write");
    }

    #[test]
    fn what_is_not_durable_yet_is_known_with_the_time_from_which_it_is() {
        let changes = [change(10, 1, 0), change(20, 1, 1)];
        let copies = CopyHistory { changes: changes.iter().collect() };
        let at = WorldTime(15);
        assert_eq!((copies.known(NODE, at), copies.durable(NODE, at)), (1, 0));
        assert_eq!(copies.durable_from(NODE, at, 1), Some(WorldTime(20)));
        assert_eq!(copies.durable_from(NODE, at, 2), None);
    }
}
