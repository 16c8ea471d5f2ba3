//! Keys of which this owner's record was corrupt, and how they are repaired.
//!
//! ```text
//!   lost ──▶ gathered ──────────▶ joined ──▶ durable ──▶ repaired
//!            (enough of the others, by a coordinator)    (readers are answered again)
//! ```
//!
//! A single other owner is not enough: it may itself be behind, and an acknowledged write may have
//! stood here and on a third. Until enough of them have answered, *after* the corruption was found, the
//! key is refused to readers.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::{CorruptKeySnapshot, Repair};
use crate::cx::{Cx, NodeContext};
use crate::event::Event;
use crate::probe::Probe;
use crate::store::{CorruptKey, JoinFor, Refusal, RepairCommand};
use crate::time::{Span, Time};
use crate::types::{Key, PartitionId};
use crate::version::Container;

/// The most keys that are asked for in a round.
const KEYS_PER_ROUND: usize = 32;

/// The keys that are to be repaired.
#[derive(Clone, Debug, Default)]
pub(super) struct CorruptKeys {
    pub(super) keys: BTreeMap<Key, KeyRepair>,
}

/// The repair of one key.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeyRepair {
    /// The number of the corruption: an answer to a question from before it counts for nothing.
    pub(super) number: u64,
    /// The time before which the other owners are not asked again.
    ask_at: Time,
}

impl CorruptKeys {
    fn add(&mut self, CorruptKey { key, number }: CorruptKey) {
        self.keys.insert(key, KeyRepair { number, ask_at: Time(0) });
    }

    /// The keys that the others are to be asked for now.
    pub(super) fn ask(&mut self, now: Time, timeout: Span) -> Vec<CorruptKey> {
        let due = self.keys.iter_mut().filter(|(_, repair)| repair.ask_at <= now);
        due.take(KEYS_PER_ROUND)
            .map(|(key, repair)| {
                repair.ask_at = now + timeout;
                CorruptKey { key: key.clone(), number: repair.number }
            })
            .collect()
    }

    /// The keys of a partition.
    pub(super) fn of(&self, local: &NodeContext, partition: PartitionId) -> Vec<CorruptKey> {
        let of = self.keys.iter().filter(|(key, _)| local.belongs(key, partition));
        of.map(|(key, repair)| CorruptKey { key: key.clone(), number: repair.number }).collect()
    }

    /// The number of keys.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Every key that is to be repaired.
    pub(super) fn inspect(&self) -> Vec<CorruptKeySnapshot> {
        let keys = self.keys.iter();
        keys.map(|(key, repair)| CorruptKeySnapshot { key: key.clone(), ask_at: repair.ask_at })
            .collect()
    }

    fn find(&self, number: u64) -> Option<&Key> {
        self.keys.iter().find(|(_, repair)| repair.number == number).map(|(key, _)| key)
    }
}

impl Repair {
    /// Records of these keys were found to be corrupt.
    pub fn on_corrupt(&mut self, keys: impl IntoIterator<Item = CorruptKey>) {
        for key in keys {
            self.corrupt_keys.add(key);
        }
    }

    /// Enough of the other owners have said what they hold of a key that is wanted.
    pub fn on_gathered(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        number: u64,
        container: Container,
    ) {
        let Some(key) = self.corrupt_keys.find(number).cloned() else { return };
        if container.is_empty() {
            return self.mark_repaired(cx, local, CorruptKey { key, number }, true);
        }
        let partition = local.topology().partition_of(key.token());
        let (items, whose) = ([(key, container)].into(), JoinFor::CorruptKey(number));
        self.access.store(cx, partition, RepairCommand::Join { items, whose });
    }

    /// Takes note that what was joined is durable: what can be read here is whole now.
    pub(super) fn on_joined_durably(&mut self, cx: &mut Cx<'_>, local: &NodeContext, number: u64) {
        if let Some(key) = self.corrupt_keys.find(number).cloned() {
            self.mark_repaired(cx, local, CorruptKey { key, number }, false);
        }
    }

    pub(super) fn mark_repaired(
        &mut self,
        cx: &mut Cx<'_>,
        local: &NodeContext,
        corrupt: CorruptKey,
        is_unknown: bool,
    ) {
        let partition = local.topology().partition_of(corrupt.key.token());
        let command = RepairCommand::MarkRepaired { corrupt, is_unknown };
        self.access.store(cx, partition, command);
    }

    pub(super) fn on_marked_repaired(
        &mut self,
        cx: &mut Cx<'_>,
        number: u64,
        result: Result<bool, Refusal>,
    ) {
        match result {
            Ok(true) => {
                if let Some(key) = self.corrupt_keys.find(number).cloned() {
                    self.corrupt_keys.keys.remove(&key);
                    cx.observe(Event::KeyRepaired { key });
                }
            }
            Ok(false) => cx.probe(Probe::RepairedInVain),
            Err(_) => {}
        }
    }
}
