//! The planned events of a world, and their times. Of two events at one time, the one that was
//! planned first happens first.

use std::num::NonZeroU32;

use crate::cluster::world_time::WorldTime;

/// An event that can be planned. Nodes, clients and messages are numbers, so that an event is
/// small.
///
/// A `life` is the run of its node in which the event was planned; a node that was killed meanwhile
/// has another, and the event is void.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SimEvent {
    /// A message arrives at the machine of its addressee.
    Arrive {
        /// The number of the message.
        message: u32,
    },
    /// A node reads a message that arrived.
    Receive {
        /// The number of the message.
        message: u32,
    },
    /// A node learns that the connection to a peer stands again, or that it broke.
    Link {
        /// The node that learns.
        node: u32,
        /// The peer of the connection.
        peer: u32,
        /// True if the connection stands.
        up: bool,
    },
    /// A disk executes the next command.
    Execute {
        /// The node of the disk.
        node: u32,
        /// The life of the node.
        life: u32,
    },
    /// A disk ends a sync.
    SyncEnds {
        /// The node of the disk.
        node: u32,
        /// The life of the node.
        life: u32,
    },
    /// A node hears the next answer of its disk.
    Answer {
        /// The node that hears.
        node: u32,
        /// The life of the node.
        life: u32,
    },
    /// A node's deadline may have come.
    Deadline {
        /// The node that may be called.
        node: u32,
        /// The life of the node.
        life: u32,
    },
    /// A client begins its next operation.
    Begin {
        /// The client that begins.
        client: u32,
    },
    /// An operation arrives at a node.
    Ask {
        /// The client that asks.
        client: u32,
        /// The client's number for the operation.
        operation: u32,
    },
    /// A reply arrives at a client.
    Reply {
        /// The client that is answered.
        client: u32,
        /// The client's number for the operation.
        operation: u32,
    },
    /// A client learns that its connection broke.
    Reset {
        /// The client that learns.
        client: u32,
        /// The client's number for the operation.
        operation: u32,
    },
    /// A client learns that no node listens.
    Refuse {
        /// The client that learns.
        client: u32,
        /// The client's number for the operation.
        operation: u32,
    },
    /// A client's timeout may have come.
    ClientTimeout {
        /// The client that waits.
        client: u32,
    },
    /// An operator tells a node to found the cluster.
    Init {
        /// The position of the order in the scenario.
        order: u32,
    },
    /// A fault begins.
    FaultBegins {
        /// The position of the fault in the scenario.
        fault: u32,
        /// The number of the occurrence, from 0.
        occurrence: u32,
    },
    /// A fault that has steps takes the next one.
    FaultStep {
        /// The position of the fault in the scenario.
        fault: u32,
        /// The number of the occurrence, from 0.
        occurrence: u32,
        /// The number of the step, from 0.
        step: u32,
    },
    /// A fault ends.
    FaultEnds {
        /// The position of the fault in the scenario.
        fault: u32,
        /// The number of the occurrence, from 0.
        occurrence: u32,
    },
    /// The world's own appointment: to change the phase, or to look whether it may.
    Milestone,
}

/// The events of a world in order: a hierarchical timing wheel (Varghese, Lauck 1987) that skips
/// empty slots. It compares no entries, as time only moves on.
///
/// A time is read as digits. An entry lies on the wheel of the highest digit in which its time
/// differs from now, in the slot of that digit; it comes to lower wheels as now comes near. Slots
/// are linked lists through one store of entries, so that moving an entry moves only links.
///
/// Invariants: entries of one time lie in one list, in the order in which they were planned; a bit
/// of `occupied` is set where a slot is not empty; each entry of the store is in one list, or free.
#[derive(Clone, Debug)]
pub struct EventQueue {
    now: WorldTime,
    /// The entries that happen now and have not happened yet.
    due: List,
    wheels: [Wheel; WHEELS],
    entries: Vec<Entry>,
    /// The first of the free entries: the one that was freed last.
    free: Option<Place>,
}

const DIGIT_BITS: u32 = 7;
const SLOTS: usize = 1 << DIGIT_BITS;
const WHEELS: usize = u64::BITS.div_ceil(DIGIT_BITS) as usize;

#[derive(Clone, Debug)]
struct Wheel {
    occupied: u128,
    slots: [List; SLOTS],
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    at: WorldTime,
    what: SimEvent,
    /// The next entry in the same list.
    next: Option<Place>,
}

/// The place of an entry in the store, plus one.
type Place = NonZeroU32;

/// The first and the last entry of a list, if it has any.
#[derive(Clone, Copy, Debug, Default)]
struct List(Option<(Place, Place)>);

impl EventQueue {
    /// Plans an event.
    ///
    /// # Panics
    /// If the time has passed.
    pub fn plan(&mut self, at: WorldTime, what: SimEvent) {
        assert!(at >= self.now, "nothing can be planned for the past");
        let place = match self.free {
            Some(place) => {
                // Written in place, and not as a new entry that is then copied.
                let entry = &mut self.entries[index(place)];
                self.free = entry.next.take();
                entry.at = at;
                entry.what = what;
                place
            }
            None => {
                self.entries.push(Entry { at, what, next: None });
                let places = u32::try_from(self.entries.len()).ok().and_then(Place::new);
                places.expect("what is planned at one time fits 32 bits")
            }
        };
        self.put(place);
    }

    /// The time at which the next event happens.
    pub fn next_at(&self) -> Option<WorldTime> {
        let list = if self.due.is_empty() { self.first_slot()?.1 } else { self.due };
        self.earliest(list)
    }

    /// Takes the next event, with its time.
    pub fn pop(&mut self) -> Option<(WorldTime, SimEvent)> {
        if self.due.is_empty() {
            self.move_on()?;
        }
        let place = self.due.pop(&self.entries)?;
        let Entry { at, what, next } = &mut self.entries[index(place)];
        *next = self.free.replace(place);
        Some((*at, *what))
    }

    fn put(&mut self, place: Place) {
        let at = self.entries[index(place)].at.0;
        let Some(highest) = (at ^ self.now.0).checked_ilog2() else {
            return self.due.push(place, &mut self.entries);
        };
        let wheel = highest / DIGIT_BITS;
        let slot = (at >> (wheel * DIGIT_BITS)) as usize % SLOTS;
        let wheel = &mut self.wheels[wheel as usize];
        wheel.occupied |= 1 << slot;
        wheel.slots[slot].push(place, &mut self.entries);
    }

    /// Finds the list of the next entries that are not due: those on lower wheels come first, and
    /// on one wheel those in lower slots.
    fn first_slot(&self) -> Option<((usize, usize), List)> {
        let at = self.wheels.iter().position(|wheel| wheel.occupied != 0)?;
        let slot = self.wheels[at].occupied.trailing_zeros() as usize;
        Some(((at, slot), self.wheels[at].slots[slot]))
    }

    /// The earliest time in a list.
    fn earliest(&self, mut list: List) -> Option<WorldTime> {
        let mut earliest = self.entries[index(list.pop(&self.entries)?)].at;
        while let Some(place) = list.pop(&self.entries) {
            earliest = earliest.min(self.entries[index(place)].at);
        }
        Some(earliest)
    }

    /// Moves the time on to that of the next entry. None, if there is none.
    fn move_on(&mut self) -> Option<()> {
        let ((at, slot), mut list) = self.first_slot()?;
        let wheel = &mut self.wheels[at];
        wheel.occupied &= !(1 << slot);
        wheel.slots[slot] = List::default();
        self.now = self.earliest(list)?;
        if at == 0 || list.is_single() {
            // All entries of the list have one time.
            self.due = list;
            return Some(());
        }
        while let Some(place) = list.pop(&self.entries) {
            self.put(place);
        }
        Some(())
    }
}

impl List {
    const fn is_empty(self) -> bool {
        self.0.is_none()
    }

    fn is_single(self) -> bool {
        self.0.is_some_and(|(first, last)| first == last)
    }

    /// Takes the first entry.
    fn pop(&mut self, entries: &[Entry]) -> Option<Place> {
        let (first, last) = self.0?;
        self.0 = if first == last {
            None
        } else {
            entries[index(first)].next.map(|second| (second, last))
        };
        Some(first)
    }

    /// Adds an entry behind the last.
    fn push(&mut self, place: Place, entries: &mut [Entry]) {
        let first = match self.0 {
            Some((first, last)) => {
                entries[index(last)].next = Some(place);
                first
            }
            None => place,
        };
        self.0 = Some((first, place));
    }
}

/// The index of an entry in the store.
const fn index(place: Place) -> usize {
    place.get() as usize - 1
}

impl Default for EventQueue {
    fn default() -> Self {
        let wheel = |_| Wheel { occupied: 0, slots: [List::default(); SLOTS] };
        Self {
            now: WorldTime(0),
            due: List::default(),
            wheels: std::array::from_fn(wheel),
            entries: Vec::new(),
            free: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_planned_for_one_time_happens_in_the_order_of_planning() {
        let mut event_queue = EventQueue::default();
        event_queue.plan(WorldTime(2), SimEvent::Begin { client: 0 });
        event_queue.plan(WorldTime(1), SimEvent::Begin { client: 1 });
        event_queue.plan(WorldTime(1), SimEvent::Begin { client: 2 });
        let order: Vec<_> =
            std::iter::from_fn(|| event_queue.pop()).map(|(_, what)| what).collect();
        assert_eq!(order, [1, 2, 0].map(|client| SimEvent::Begin { client }));
    }

    proptest! {
        #[test]
        fn the_event_queue_agrees_with_a_list_that_is_sorted_at_every_step(
            steps in proptest::collection::vec((0_u64..70, 0_u32..40), 0..200),
        ) {
            let (mut event_queue, mut list, mut now) = (EventQueue::default(), Vec::new(), 0);
            for (number, (after, shift)) in (0_u32..).zip(steps) {
                if after % 7 < 3 {
                    list.sort_by_key(|&(at, _)| at);
                    let next = (!list.is_empty()).then(|| list.remove(0));
                    prop_assert_eq!(event_queue.next_at(), next.map(|(at, _)| at));
                    prop_assert_eq!(event_queue.pop(), next);
                    now = next.map_or(now, |(WorldTime(at), _)| at);
                }
                let at = WorldTime(now + (after << shift >> 20));
                let what = SimEvent::Begin { client: number };
                event_queue.plan(at, what);
                list.push((at, what));
            }
        }
    }

    #[test]
    fn an_entry_stays_small() {
        assert!(size_of::<Entry>() <= 32);
        assert!(size_of::<List>() == 8);
    }
}
