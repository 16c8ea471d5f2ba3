//! A table of entries that await an answer, by ids that it hands out itself.
//!
//! Ids rise by one and are never handed out twice, so the entries lie in a ring buffer from the
//! oldest unanswered one on: every operation but iteration costs O(1), and nothing is hashed. The
//! price is a slot for each id between the oldest entry and the newest, so whoever inserts gives
//! each entry a deadline.
//!
//! Invariants: the first slot, if there is one, is taken; the id of a slot is `base` plus its
//! place; `taken` counts the taken slots.

use alloc::collections::VecDeque;

/// A table of entries that await an answer, by ids that it hands out itself.
#[derive(Clone, Debug)]
pub struct InFlight<T> {
    base: u64,
    slots: VecDeque<Option<T>>,
    taken: usize,
}

impl<T> InFlight<T> {
    /// Makes an empty table whose first id is 0.
    pub const fn new() -> Self {
        Self::starting_at(0)
    }

    /// Makes an empty table whose first id is `id`, so that ids do not meet those of an earlier
    /// life. There are as many ids as numbers from `id` up to the largest.
    pub const fn starting_at(id: u64) -> Self {
        Self { base: id, slots: VecDeque::new(), taken: 0 }
    }

    /// The entry with an id, unless it has been removed or never was.
    pub fn get(&self, id: u64) -> Option<&T> {
        self.slots.get(self.place(id)?)?.as_ref()
    }

    /// The entry with an id, to be changed, unless it has been removed or never was.
    pub fn get_mut(&mut self, id: u64) -> Option<&mut T> {
        let place = self.place(id)?;
        self.slots.get_mut(place)?.as_mut()
    }

    /// The number of entries.
    pub const fn len(&self) -> usize {
        self.taken
    }

    /// Tells whether there is no entry.
    pub const fn is_empty(&self) -> bool {
        self.taken == 0
    }

    /// The id that the next entry will get.
    pub fn next_id(&self) -> u64 {
        self.base + self.slots.len() as u64
    }

    /// The entries with their ids, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        (self.base..).zip(&self.slots).filter_map(|(id, slot)| Some((id, slot.as_ref()?)))
    }

    /// The entries with their ids, to be changed, oldest first.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (u64, &mut T)> {
        (self.base..).zip(&mut self.slots).filter_map(|(id, slot)| Some((id, slot.as_mut()?)))
    }

    /// Adds an entry and returns its id.
    pub fn insert(&mut self, entry: T) -> u64 {
        let id = self.next_id();
        self.slots.push_back(Some(entry));
        self.taken += 1;
        id
    }

    /// Takes the entry with an id out, unless it has been removed or never was: a late or repeated
    /// answer finds nothing.
    pub fn remove(&mut self, id: u64) -> Option<T> {
        let place = self.place(id)?;
        let entry = self.slots.get_mut(place)?.take()?;
        self.taken -= 1;
        while let Some(None) = self.slots.front() {
            self.slots.pop_front();
            self.base += 1;
        }
        Some(entry)
    }

    /// Checks what the header states.
    ///
    /// # Panics
    /// If it does not hold.
    pub fn invariants(&self) {
        let first = self.slots.front();
        assert!(first.is_none_or(Option::is_some), "the first slot of a table holds an entry");
        let taken = self.slots.iter().flatten().count();
        assert!(self.taken == taken, "a table counts {} entries and has {taken}", self.taken);
    }

    fn place(&self, id: u64) -> Option<usize> {
        usize::try_from(id.checked_sub(self.base)?).ok()
    }
}

impl<T> Default for InFlight<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_rise_from_the_start_and_are_never_handed_out_twice() {
        let mut table = InFlight::starting_at(7);
        assert_eq!((table.insert('a'), table.insert('b')), (7, 8));
        table.remove(7);
        table.remove(8);
        assert_eq!(table.next_id(), 9);
        assert_eq!(table.insert('c'), 9);
    }

    #[test]
    fn a_late_or_repeated_answer_finds_nothing() {
        let mut table = InFlight::new();
        let id = table.insert('a');
        assert_eq!(table.remove(id), Some('a'));
        assert_eq!(table.remove(id), None);
        assert_eq!(table.remove(99), None);
        assert_eq!(table.get(id), None);
        assert_eq!(table.get_mut(99), None);
    }

    #[test]
    fn memory_follows_the_oldest_entry() {
        let mut table = InFlight::new();
        let ids: Vec<u64> = (0..1_000).map(|number| table.insert(number)).collect();
        for &id in &ids[1..] {
            table.remove(id);
        }
        assert_eq!((table.len(), table.slots.len()), (1, 1_000));
        table.remove(ids[0]);
        assert_eq!((table.len(), table.slots.len()), (0, 0));
        assert!(table.is_empty());
    }

    #[derive(Clone, Debug)]
    enum FlightStep {
        Insert(u8),
        Remove(u64),
        Change(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<FlightStep>> {
        let step = prop_oneof![
            2 => any::<u8>().prop_map(FlightStep::Insert),
            2 => (0_u64..60).prop_map(FlightStep::Remove),
            1 => (0_u64..60).prop_map(FlightStep::Change),
        ];
        prop::collection::vec(step, 0..80)
    }

    proptest! {
        #[test]
        fn the_table_behaves_like_a_map(start in 0_u64..10, steps in steps()) {
            let mut table = InFlight::starting_at(start);
            let mut map = BTreeMap::new();
            let mut next = start;
            for step in steps {
                match step {
                    FlightStep::Insert(entry) => {
                        prop_assert_eq!(table.insert(entry), next);
                        map.insert(next, entry);
                        next += 1;
                    }
                    FlightStep::Remove(id) => prop_assert_eq!(table.remove(id), map.remove(&id)),
                    FlightStep::Change(id) => {
                        prop_assert_eq!(table.get(id), map.get(&id));
                        if let Some(entry) = table.get_mut(id) {
                            *entry = entry.wrapping_add(1);
                        }
                        map.entry(id).and_modify(|entry| *entry = entry.wrapping_add(1));
                    }
                }
                prop_assert_eq!(table.len(), map.len());
                prop_assert_eq!(table.is_empty(), map.is_empty());
                prop_assert_eq!(table.next_id(), next);
                prop_assert!(!matches!(table.slots.front(), Some(None)));
            }
            prop_assert!(table.iter().eq(map.iter().map(|(&id, entry)| (id, entry))));
            prop_assert!(table.iter_mut().eq(map.iter_mut().map(|(&id, entry)| (id, entry))));
        }
    }
}
