//! Keys of which this owner's record was damaged, and how they become whole again.
//!
//! ```text
//!   lost ──▶ gathered ──────────▶ joined ──▶ durable ──▶ made whole
//!            (enough of the others, by a coordinator)    (readers are answered again)
//! ```
//!
//! A single other owner is not enough: it may itself be behind, and an acknowledged write may have
//! stood here and on a third. Until enough of them have answered, *after* the damage was found, the
//! key is refused to readers.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::{Errand, MendingSnapshot, Repair, Waiting};
use crate::cx::{Cx, Site};
use crate::event::Event;
use crate::mark::Mark;
use crate::store::{Action, Done, Refusal};
use crate::time::{Span, Time};
use crate::types::{Key, PartitionId, Seq};
use crate::version::Container;

/// So many keys are asked for in a round.
const KEYS_PER_ROUND: usize = 32;

/// A key whose other owners are to be asked what they hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The key.
    pub key: Key,
    /// Comes back with the answer ([`Repair::on_gathered`]).
    pub mend: u64,
}

/// The keys that are to be made whole.
#[derive(Clone, Debug, Default)]
pub(super) struct Mending {
    keys: BTreeMap<Key, Mend>,
    mends: u64,
}

/// One key's way back.
#[derive(Clone, Copy, Debug)]
struct Mend {
    /// A new number with each damage: an answer to a question from before it counts for nothing.
    number: u64,
    /// The others are not asked again before.
    ask_at: Time,
}

impl Mending {
    fn lose(&mut self, key: Key) {
        self.mends += 1;
        self.keys.insert(key, Mend { number: self.mends, ask_at: Time(0) });
    }

    /// The keys that the others are to be asked for now.
    pub(super) fn ask(&mut self, now: Time, patience: Span) -> Vec<Wanted> {
        let due = self.keys.iter_mut().filter(|(_, mend)| mend.ask_at <= now);
        due.take(KEYS_PER_ROUND)
            .map(|(key, mend)| {
                mend.ask_at = now + patience;
                Wanted { key: key.clone(), mend: mend.number }
            })
            .collect()
    }

    /// The keys of a partition.
    pub(super) fn of(&self, site: &Site, partition: PartitionId) -> Vec<(Key, u64)> {
        let of = self.keys.iter().filter(|(key, _)| site.belongs(key, partition));
        of.map(|(key, mend)| (key.clone(), mend.number)).collect()
    }

    /// The number of keys.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// All keys.
    pub(super) fn inspect(&self) -> Vec<MendingSnapshot> {
        let keys = self.keys.iter();
        keys.map(|(key, mend)| MendingSnapshot { key: key.clone(), ask_at: mend.ask_at }).collect()
    }

    fn key(&self, number: u64) -> Option<&Key> {
        self.keys.iter().find(|(_, mend)| mend.number == number).map(|(key, _)| key)
    }
}

impl Repair {
    /// Records of these keys were found to be damaged.
    pub fn on_lost(&mut self, keys: impl IntoIterator<Item = Key>) {
        for key in keys {
            self.mending.lose(key);
        }
    }

    /// Enough of the other owners have said what they hold of a key that is wanted.
    pub fn on_gathered(&mut self, cx: &mut Cx<'_>, site: &Site, mend: u64, container: Container) {
        let Some(key) = self.mending.key(mend).cloned() else { return };
        if container.is_empty() {
            return self.make_whole(cx, site, mend, key, true);
        }
        let partition = site.ring().partition_of(key.token());
        let items = [(key, container)].into();
        self.bench.store(cx, Errand::Join(mend), partition, Action::Merge { items });
    }

    /// What was gathered is joined. What was refused is asked for again.
    pub(super) fn on_joined(&mut self, mend: u64, seq: Seq, result: Result<Done, Refusal>) {
        match result {
            Ok(Done::Merged) => self.bench.waiting.push(seq, Waiting::Joined(mend)),
            Ok(other) => panic!("a container was to be joined, not {other:?}"),
            Err(_) => {}
        }
    }

    /// What was joined is durable: what can be read here is whole now.
    pub(super) fn on_joined_durably(&mut self, cx: &mut Cx<'_>, site: &Site, mend: u64) {
        if let Some(key) = self.mending.key(mend).cloned() {
            self.make_whole(cx, site, mend, key, false);
        }
    }

    pub(super) fn make_whole(
        &mut self,
        cx: &mut Cx<'_>,
        site: &Site,
        mend: u64,
        key: Key,
        is_unknown: bool,
    ) {
        let partition = site.ring().partition_of(key.token());
        let action = Action::MakeWhole { key, is_unknown };
        self.bench.store(cx, Errand::MakeWhole(mend), partition, action);
    }

    pub(super) fn on_made_whole(
        &mut self,
        cx: &mut Cx<'_>,
        mend: u64,
        result: Result<Done, Refusal>,
    ) {
        match result {
            Ok(Done::MadeWhole { is_whole: true }) => {
                if let Some(key) = self.mending.key(mend).cloned() {
                    self.mending.keys.remove(&key);
                    cx.observe(Event::Mended { key });
                }
            }
            Ok(Done::MadeWhole { is_whole: false }) => cx.mark(Mark::MendedInVain),
            Err(_) => {}
            Ok(other) => panic!("a key was to be made whole, not {other:?}"),
        }
    }
}
