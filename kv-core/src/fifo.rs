//! A bounded map that forgets the entry that came first: a FIFO cache.
//!
//! Its keys say how they are spread over 64 bits: nothing is hashed here with a seed, and nothing
//! is ever walked through in the order of hashes.

use alloc::collections::VecDeque;

use hashbrown::HashTable;

use crate::sampling;
use crate::types::{RequestId, Token};

/// A key that spreads evenly over 64 bits.
pub(crate) trait Spread: Eq {
    /// The key as 64 bits, each of which differs between half of the keys.
    fn spread(&self) -> u64;
}

/// A bounded map that forgets the entry that came first when it is full.
#[derive(Clone, Debug)]
pub(crate) struct FifoCache<K, V> {
    entries_max: usize,
    /// The entries, in the order in which they came.
    entries: VecDeque<(K, V)>,
    /// The number of each entry, which is how many had ever come before it, in 32 bits: enough to
    /// tell it from those that are still here.
    places: HashTable<u32>,
    forgotten: u32,
}

impl<K: Spread, V> FifoCache<K, V> {
    /// Makes a cache that keeps at most so many entries; at most 2^31.
    pub(crate) const fn new(entries_max: usize) -> Self {
        Self { entries_max, entries: VecDeque::new(), places: HashTable::new(), forgotten: 0 }
    }

    /// Makes a cache with room for some entries from the beginning.
    pub(crate) fn with_room(entries_max: usize, room: usize) -> Self {
        let room = room.min(entries_max);
        let (entries, places) = (VecDeque::with_capacity(room), HashTable::with_capacity(room));
        Self { entries, places, ..Self::new(entries_max) }
    }

    /// The value of a key, if it is here.
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.place(key).map(|place| &self.entries[place].1)
    }

    /// The value of a key, to be changed, if it is here.
    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.place(key).map(|place| &mut self.entries[place].1)
    }

    /// Tells whether an entry was ever forgotten.
    pub(crate) const fn has_forgotten(&self) -> bool {
        self.forgotten > 0
    }

    /// Adds an entry, or changes the value of one where it is.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        if self.entries_max == 0 {
            return;
        }
        if let Some(known) = self.get_mut(&key) {
            *known = value;
            return;
        }
        if self.entries.len() == self.entries_max {
            self.forget_first();
        }
        let Self { entries, places, forgotten, .. } = self;
        let number = forgotten.wrapping_add(entries.len() as u32);
        let hash = key.spread();
        entries.push_back((key, value));
        let spread_of = |&number: &u32| entries[place_of(number, *forgotten)].0.spread();
        places.insert_unique(hash, number, spread_of);
    }

    /// Checks that the cache is within its bound, and that each entry has one place, where it is
    /// found. Only the oldest and the newest entry are looked for: a cache holds thousands.
    ///
    /// # Panics
    /// If it is not so.
    pub(crate) fn invariants(&self) {
        let (count, places) = (self.entries.len(), self.places.len());
        assert!(count <= self.entries_max, "a cache of {} holds {count} entries", self.entries_max);
        assert!(count == places, "a cache holds {count} entries in {places} places");
        for at in [0, count.wrapping_sub(1)] {
            let place = self.entries.get(at).map(|(key, _)| self.place(key));
            assert!(
                place.is_none_or(|place| place == Some(at)),
                "an entry is not found in its place"
            );
        }
    }

    fn forget_first(&mut self) {
        let Some((oldest, _)) = self.entries.pop_front() else { return };
        let number = self.forgotten;
        if let Ok(known) = self.places.find_entry(oldest.spread(), |&known| known == number) {
            known.remove();
        }
        self.forgotten = number.wrapping_add(1);
    }

    fn place(&self, key: &K) -> Option<usize> {
        let place = |&number: &u32| place_of(number, self.forgotten);
        let is_it = |number: &u32| self.entries[place(number)].0 == *key;
        self.places.find(key.spread(), is_it).map(place)
    }
}

/// The index of the entry with a number, if so many entries were forgotten.
const fn place_of(number: u32, forgotten: u32) -> usize {
    number.wrapping_sub(forgotten) as usize
}

impl Spread for Token {
    fn spread(&self) -> u64 {
        // The keys of one partition share the first bits.
        self.0 as u64
    }
}

impl Spread for (RequestId, Token) {
    fn spread(&self) -> u64 {
        self.0.spread() ^ self.1.spread()
    }
}

impl Spread for RequestId {
    fn spread(&self) -> u64 {
        sampling::mix(&[(self.0 >> 64) as u64, self.0 as u64])
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    /// A cache that is searched from end to end.
    struct Model {
        entries_max: usize,
        entries: Vec<(RequestId, u32)>,
    }

    impl Model {
        fn insert(&mut self, key: RequestId, value: u32) {
            if let Some((_, known)) = self.entries.iter_mut().find(|(known, _)| *known == key) {
                *known = value;
                return;
            }
            self.entries.push((key, value));
            if self.entries.len() > self.entries_max {
                self.entries.remove(0);
            }
        }
    }

    proptest! {
        #[test]
        fn it_knows_what_came_last_and_nothing_else(
            entries_max in 0_usize..20,
            forgotten in prop_oneof![Just(0), Just(u32::MAX - 10)],
            keys in prop::collection::vec(0_u128..40, 0..200),
        ) {
            let mut model = Model { entries_max, entries: Vec::new() };
            let mut cache = FifoCache { forgotten, ..FifoCache::new(entries_max) };
            for (value, key) in (0..).zip(keys) {
                model.insert(RequestId(key), value);
                cache.insert(RequestId(key), value);
                for key in (0..40).map(RequestId) {
                    let known = model.entries.iter().find(|(known, _)| *known == key);
                    prop_assert_eq!(cache.get(&key), known.map(|(_, value)| value));
                }
            }
        }
    }
}
