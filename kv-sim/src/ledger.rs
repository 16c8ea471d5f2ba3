//! A table whose entries are mostly looked up soon after they came, if at all.
//!
//! Entries lie in the order in which they came, and apart from them, in four bytes each, the places
//! that their keys are hashed to. So entries that came one after the other lie side by side.
//! Nothing is ever taken out.
//!
//! It stands in for `indexmap::IndexMap`, which keeps the hash of each entry beside it and takes
//! eight bytes for a place. With that in its stead, a run of the bench's scenario took 1.03 and 1.06
//! times the processor time (medians of 30 and of 40 pairs of runs in turns), for as many
//! instructions. `cpu_ms` of `cargo sim bench --json`, with one and the other, repeats that. Should it
//! gain less than 3 %, it goes.

use std::borrow::Borrow;
use std::hash::{BuildHasher as _, BuildHasherDefault, Hash, Hasher};

use hashbrown::HashTable;

use crate::hashing::FoldHasher;

/// A table that keeps its entries in the order in which they came.
#[derive(Clone, Debug)]
pub(crate) struct Ledger<K, V, H = FoldHasher> {
    entries: Vec<(K, V)>,
    places: HashTable<LedgerPlace>,
    hasher: BuildHasherDefault<H>,
}

/// The number of entries that came before one. It never changes.
pub(crate) type LedgerPlace = u32;

impl<K: Hash + Eq, V, H: Hasher + Default> Ledger<K, V, H> {
    /// Creates an empty table with room for so many entries.
    pub(crate) fn with_room(entries: usize) -> Self {
        let (entries, places) = (Vec::with_capacity(entries), HashTable::with_capacity(entries));
        Self { entries, places, hasher: BuildHasherDefault::default() }
    }

    /// Makes room for so many more entries.
    pub(crate) fn reserve(&mut self, entries: usize) {
        let hash_of = |&place: &LedgerPlace| self.hasher.hash_one(&self.entries[place as usize].0);
        self.places.reserve(entries, hash_of);
        self.entries.reserve(entries);
    }

    /// The place of a key, if it is there.
    pub(crate) fn find<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<LedgerPlace>
    where
        K: Borrow<Q>,
    {
        self.find_hashed(self.hasher.hash_one(key), key)
    }

    /// The value of a key, if it is there.
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.find(key).map(|place| self.at(place).1)
    }

    /// The value of a key; if it is not there, it is added with the value that `make` returns.
    pub(crate) fn get_or_add_with(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        let hash = self.hasher.hash_one(&key);
        let place = match self.find_hashed(hash, &key) {
            Some(place) => place,
            None => self.add_hashed(hash, key, make()),
        };
        self.at_mut(place).1
    }

    /// Adds a key that is not there, and returns its place.
    ///
    /// # Panics
    /// If there are more than 2^32 entries.
    pub(crate) fn add(&mut self, key: K, value: V) -> LedgerPlace {
        self.add_hashed(self.hasher.hash_one(&key), key, value)
    }

    /// The entry at a place.
    ///
    /// # Panics
    /// If there is no entry.
    pub(crate) fn at(&self, place: LedgerPlace) -> (&K, &V) {
        let (key, value) = &self.entries[place as usize];
        (key, value)
    }

    /// The entry at a place, with its value to be changed. Panics as [`Ledger::at`] does.
    pub(crate) fn at_mut(&mut self, place: LedgerPlace) -> (&K, &mut V) {
        let (key, value) = &mut self.entries[place as usize];
        (key, value)
    }

    fn find_hashed<Q: Eq + ?Sized>(&self, hash: u64, key: &Q) -> Option<LedgerPlace>
    where
        K: Borrow<Q>,
    {
        let is_it = |&place: &LedgerPlace| self.entries[place as usize].0.borrow() == key;
        self.places.find(hash, is_it).copied()
    }

    fn add_hashed(&mut self, hash: u64, key: K, value: V) -> LedgerPlace {
        let Self { entries, places, hasher } = self;
        let place = LedgerPlace::try_from(entries.len()).expect("entries are counted in 32 bits");
        entries.push((key, value));
        places.insert_unique(hash, place, |&place| hasher.hash_one(&entries[place as usize].0));
        place
    }
}

impl<K: Hash + Eq, V, H: Hasher + Default> Default for Ledger<K, V, H> {
    fn default() -> Self {
        Self::with_room(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_found_by_its_key_and_at_its_place() {
        for room in [0, 100] {
            let mut ledger = Ledger::<String, usize>::with_room(room);
            for number in 0..1_000 {
                assert_eq!(ledger.find(number.to_string().as_str()), None);
                assert_eq!(ledger.add(number.to_string(), number) as usize, number);
            }
            for number in 0..1_000 {
                let key = number.to_string();
                ledger.reserve(number / 10);
                assert_eq!(ledger.get(&key), Some(&number));
                assert_eq!(*ledger.get_or_add_with(key.clone(), || panic!("it is there")), number);
                *ledger.at_mut(number as LedgerPlace).1 += 1;
                assert_eq!(ledger.at(number as LedgerPlace), (&key, &(number + 1)));
            }
            assert_eq!(*ledger.get_or_add_with("new".to_owned(), || 7), 7);
            assert_eq!(ledger.find("new"), Some(1_000));
        }
    }
}
