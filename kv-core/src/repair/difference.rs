//! The difference of two replicas in one stretch of keys, from what each says of them.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::store::Summary;
use crate::types::Key;

/// One side's summaries of the keys of a leaf behind some key, as far as it gave them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) entries: Vec<Summary>,
    /// True if there are more behind the last.
    pub(super) more: bool,
}

/// The work that makes both sides equal in a stretch of keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LeafDifference {
    /// Keys of which the other lacks something, in order.
    pub(super) push: VecDeque<Key>,
    /// Keys of which this side lacks something, in order.
    pub(super) want: VecDeque<Key>,
    /// The number of keys that differ.
    pub(super) keys: u64,
    /// The last key of the stretch, if there are more behind it.
    pub(super) until: Option<Key>,
}

impl Page {
    /// Tells whether the keys rise strictly and lie behind `after`, and there is one if there are
    /// more.
    pub(super) fn is_sound(&self, after: Option<&Key>) -> bool {
        let rises = self.entries.windows(2).all(|pair| pair[0].key < pair[1].key);
        let begins =
            self.entries.first().is_none_or(|first| after.is_none_or(|key| first.key > *key));
        rises && begins && !(self.more && self.entries.is_empty())
    }

    /// The last key that the page speaks for; nothing if it speaks for all that follow.
    fn until(&self) -> Option<&Key> {
        self.entries.last().filter(|_| self.more).map(|last| &last.key)
    }
}

impl LeafDifference {
    /// Compares two pages that begin behind the same key, as far as both speak.
    pub(super) fn between(mine: &Page, theirs: &Page) -> Self {
        let until = match (mine.until(), theirs.until()) {
            (Some(mine), Some(theirs)) => Some(mine.min(theirs)),
            (until, None) | (None, until) => until,
        };
        let mut difference = Self { until: until.cloned(), ..Self::default() };
        let within = |entry: &&Summary| until.is_none_or(|until| entry.key <= *until);
        let mut mine = mine.entries.iter().take_while(within).peekable();
        let mut theirs = theirs.entries.iter().take_while(within).peekable();
        loop {
            let order = match (mine.peek(), theirs.peek()) {
                (None, None) => return difference,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(mine), Some(theirs)) => mine.key.cmp(&theirs.key),
            };
            let (mine, theirs) = match order {
                Ordering::Less => (mine.next(), None),
                Ordering::Equal => (mine.next(), theirs.next()),
                Ordering::Greater => (None, theirs.next()),
            };
            difference.add(mine, theirs);
        }
    }

    /// The first of the keys that are wanted, about so many bytes of them; at least one, if there
    /// is one.
    pub(super) fn want_within(&self, bytes_max: u64) -> Vec<Key> {
        let mut bytes = 0;
        let within = |key: &&Key| {
            let has_room = bytes < bytes_max;
            bytes += key.bytes().len() as u64;
            has_room
        };
        self.want.iter().take_while(within).cloned().collect()
    }

    /// Adds what each side knows of one key.
    fn add(&mut self, mine: Option<&Summary>, theirs: Option<&Summary>) {
        let (push, want) = match (mine, theirs) {
            (Some(mine), Some(theirs)) if mine.hash == theirs.hash => (false, false),
            (Some(mine), Some(theirs)) => {
                let push = !theirs.seen.includes(&mine.seen);
                let want = !mine.seen.includes(&theirs.seen);
                // Both know the same events and yet they differ: one is corrupt. Both send.
                if push || want { (push, want) } else { (true, true) }
            }
            (mine, theirs) => (mine.is_some(), theirs.is_some()),
        };
        let Some(key) = mine.or(theirs).map(|summary| &summary.key) else { return };
        self.keys += u64::from(push || want);
        self.push.extend(push.then(|| key.clone()));
        self.want.extend(want.then(|| key.clone()));
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;
    use alloc::string::ToString as _;

    use proptest::prelude::*;

    use super::*;
    use crate::types::{ContentHash, Epoch, NodeId};
    use crate::version::{Actor, Dot};

    /// One key: what it has seen of two actors. The hash follows from that.
    fn summary(key: u8, (a, b): (u64, u64)) -> Summary {
        let dot = |node, n| Dot { actor: Actor { node: NodeId(node), epoch: Epoch(0) }, n };
        Summary {
            key: Key::from(key.to_string().as_str()),
            seen: [dot(1, a), dot(2, b)].into_iter().collect(),
            hash: ContentHash(u128::from(a) << 64 | u128::from(b)),
        }
    }

    fn pages(leaf: &BTreeMap<Key, Summary>, after: Option<&Key>, entries_max: usize) -> Page {
        let mut rest = leaf.values().filter(|entry| after.is_none_or(|after| entry.key > *after));
        let entries = rest.by_ref().take(entries_max).cloned().collect();
        Page { entries, more: rest.next().is_some() }
    }

    #[test]
    fn equal_events_with_unequal_digests_go_both_ways() {
        let mine = summary(1, (1, 1));
        let corrupt = Summary { hash: ContentHash(7), ..mine.clone() };
        let page = |entry| Page { entries: [entry].into(), more: false };
        let difference = LeafDifference::between(&page(mine), &page(corrupt));
        assert_eq!((difference.push.len(), difference.want.len(), difference.keys), (1, 1, 1));
    }

    #[test]
    fn a_page_that_promises_more_and_shows_nothing_is_not_sound() {
        assert!(!Page { entries: [].into(), more: true }.is_sound(None));
        let two = Page { entries: [summary(2, (1, 0)), summary(1, (1, 0))].into(), more: false };
        assert!(!two.is_sound(None));
        let one = Page { entries: [summary(1, (1, 0))].into(), more: false };
        assert!(one.is_sound(None));
        assert!(!one.is_sound(Some(&Key::from("1"))));
    }

    type Leaf = BTreeMap<u8, (u64, u64)>;

    proptest! {
        #[test]
        fn pages_of_any_size_find_what_a_look_at_everything_finds(
            mine in proptest::collection::btree_map(0_u8..30, (1_u64..3, 0_u64..3), 0..20),
            theirs in proptest::collection::btree_map(0_u8..30, (1_u64..3, 0_u64..3), 0..20),
            mine_max in 1_usize..6,
            theirs_max in 1_usize..6,
        ) {
            let leaf = |side: &Leaf| -> BTreeMap<Key, Summary> {
                let entries = side.iter().map(|(&key, &seen)| summary(key, seen));
                entries.map(|entry| (entry.key.clone(), entry)).collect()
            };
            let (mine, theirs) = (leaf(&mine), leaf(&theirs));
            let whole = LeafDifference::between(&pages(&mine, None, 99), &pages(&theirs, None, 99));
            let (mut pieces, mut after) = (LeafDifference::default(), None);
            loop {
                let (own, other) = (pages(&mine, after.as_ref(), mine_max), pages(&theirs, after.as_ref(), theirs_max));
                prop_assert!(own.is_sound(after.as_ref()) && other.is_sound(after.as_ref()));
                let piece = LeafDifference::between(&own, &other);
                pieces.push.extend(piece.push);
                pieces.want.extend(piece.want);
                pieces.keys += piece.keys;
                match piece.until {
                    Some(until) => after = Some(until),
                    None => break,
                }
            }
            prop_assert_eq!(pieces, whole);
        }
    }
}
