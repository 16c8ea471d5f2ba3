//! What is going to happen in a world, and when. Of two things at one time, that which was planned
//! first happens first.

use crate::world_time::WorldTime;

/// What can be planned. Nodes, clients and parcels are numbers, so that the heap moves little.
///
/// A `life` says in which run of its node something was planned; a node that was killed meanwhile
/// has another, and what was planned for the old one is void.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// A message arrives at the machine of its addressee.
    Arrive {
        /// Which message.
        parcel: u32,
    },
    /// A node reads a message that arrived.
    Receive {
        /// Which message.
        parcel: u32,
    },
    /// A node learns that the connection to a peer stands again, or that it broke.
    Link {
        /// The node that learns.
        node: u32,
        /// The peer.
        peer: u32,
        /// Whether it stands.
        up: bool,
    },
    /// A disk executes the next command.
    Execute {
        /// The node.
        node: u32,
        /// Its life.
        life: u32,
    },
    /// A disk ends a sync.
    SyncEnds {
        /// The node.
        node: u32,
        /// Its life.
        life: u32,
    },
    /// A node hears the next answer of its disk.
    Answer {
        /// The node.
        node: u32,
        /// Its life.
        life: u32,
    },
    /// A node's deadline may have come.
    Deadline {
        /// The node.
        node: u32,
        /// Its life.
        life: u32,
    },
    /// A client begins its next operation.
    Begin {
        /// The client.
        client: u32,
    },
    /// An operation arrives at a node.
    Ask {
        /// The client.
        client: u32,
        /// Its operation.
        operation: u32,
    },
    /// A reply arrives at a client.
    Reply {
        /// The client.
        client: u32,
        /// Its operation.
        operation: u32,
    },
    /// A client learns that its connection broke.
    Reset {
        /// The client.
        client: u32,
        /// Its operation.
        operation: u32,
    },
    /// A client learns that nobody listens.
    Refuse {
        /// The client.
        client: u32,
        /// Its operation.
        operation: u32,
    },
    /// A client's patience may be at its end.
    Patience {
        /// The client.
        client: u32,
    },
    /// A fault begins.
    FaultBegins {
        /// Its position in the scenario.
        fault: u32,
        /// Which time that it happens.
        occurrence: u32,
    },
    /// A fault that has steps takes the next one.
    FaultStep {
        /// Its position in the scenario.
        fault: u32,
        /// Which time that it happens.
        occurrence: u32,
        /// Which step.
        step: u32,
    },
    /// A fault ends.
    FaultEnds {
        /// Its position in the scenario.
        fault: u32,
        /// Which time that it happens.
        occurrence: u32,
    },
    /// The world's own appointment: to change the phase, or to look whether it may.
    Milestone,
}

/// The plan of a world: a hierarchical timing wheel (Varghese, Lauck 1987) that skips what is empty.
/// It compares no entries, as time only moves on.
///
/// A time is read as digits. An entry lies on the wheel of the highest digit in which its time differs
/// from now, in the slot of that digit; it comes to lower wheels as now comes near.
///
/// Invariants: entries of one time lie in one place, in the order in which they were planned; a bit of
/// `occupied` is set where a slot is not empty.
#[derive(Clone, Debug)]
pub struct Agenda {
    now: WorldTime,
    /// What happens now, and how much of it has happened.
    due: Vec<Entry>,
    taken: usize,
    wheels: [Wheel; WHEELS],
}

const DIGIT_BITS: u32 = 7;
const SLOTS: usize = 1 << DIGIT_BITS;
const WHEELS: usize = u64::BITS.div_ceil(DIGIT_BITS) as usize;

#[derive(Clone, Debug)]
struct Wheel {
    occupied: u128,
    slots: [Vec<Entry>; SLOTS],
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    at: WorldTime,
    what: Happening,
}

impl Agenda {
    /// Plans something.
    ///
    /// # Panics
    /// If the time has passed.
    pub fn plan(&mut self, at: WorldTime, what: Happening) {
        assert!(at >= self.now, "nothing can be planned for the past");
        self.put(Entry { at, what });
    }

    /// When something happens next.
    pub fn next_at(&self) -> Option<WorldTime> {
        if let Some(entry) = self.due.get(self.taken) {
            return Some(entry.at);
        }
        let (_, slot) = self.first_slot()?;
        slot.iter().map(|entry| entry.at).min()
    }

    /// Takes what happens next.
    pub fn pop(&mut self) -> Option<(WorldTime, Happening)> {
        if self.taken == self.due.len() {
            self.move_on()?;
        }
        let Entry { at, what } = self.due[self.taken];
        self.taken += 1;
        Some((at, what))
    }

    fn put(&mut self, entry: Entry) {
        let Some(highest) = (entry.at.0 ^ self.now.0).checked_ilog2() else {
            return self.due.push(entry);
        };
        let wheel = highest / DIGIT_BITS;
        let slot = (entry.at.0 >> (wheel * DIGIT_BITS)) as usize % SLOTS;
        let wheel = &mut self.wheels[wheel as usize];
        wheel.occupied |= 1 << slot;
        wheel.slots[slot].push(entry);
    }

    /// The place of the next entries that are not due: what is on lower wheels comes first, and on one
    /// wheel what is in lower slots.
    fn first_slot(&self) -> Option<((usize, usize), &[Entry])> {
        let at = self.wheels.iter().position(|wheel| wheel.occupied != 0)?;
        let slot = self.wheels[at].occupied.trailing_zeros() as usize;
        Some(((at, slot), &self.wheels[at].slots[slot]))
    }

    /// Lets it be the time of the next entry. Nothing, if there is none.
    fn move_on(&mut self) -> Option<()> {
        self.taken = 0;
        self.due.clear();
        let ((at, slot), _) = self.first_slot()?;
        let wheel = &mut self.wheels[at];
        wheel.occupied &= !(1 << slot);
        let mut entries = std::mem::take(&mut wheel.slots[slot]);
        self.now = entries.iter().map(|entry| entry.at).min()?;
        for entry in entries.drain(..) {
            self.put(entry);
        }
        // Kept for its room.
        self.wheels[at].slots[slot] = entries;
        Some(())
    }
}

impl Default for Agenda {
    fn default() -> Self {
        let wheel = |_| Wheel { occupied: 0, slots: std::array::from_fn(|_| Vec::new()) };
        Self { now: WorldTime(0), due: Vec::new(), taken: 0, wheels: std::array::from_fn(wheel) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_planned_for_one_time_happens_in_the_order_of_planning() {
        let mut agenda = Agenda::default();
        agenda.plan(WorldTime(2), Happening::Begin { client: 0 });
        agenda.plan(WorldTime(1), Happening::Begin { client: 1 });
        agenda.plan(WorldTime(1), Happening::Begin { client: 2 });
        let order: Vec<_> = std::iter::from_fn(|| agenda.pop()).map(|(_, what)| what).collect();
        assert_eq!(order, [1, 2, 0].map(|client| Happening::Begin { client }));
    }

    proptest! {
        #[test]
        fn the_agenda_agrees_with_a_list_that_is_sorted_at_every_step(
            steps in proptest::collection::vec((0_u64..70, 0_u32..40), 0..200),
        ) {
            let (mut agenda, mut list, mut now) = (Agenda::default(), Vec::new(), 0);
            for (number, (after, shift)) in (0_u32..).zip(steps) {
                if after % 7 < 3 {
                    list.sort_by_key(|&(at, _)| at);
                    let next = (!list.is_empty()).then(|| list.remove(0));
                    prop_assert_eq!(agenda.next_at(), next.map(|(at, _)| at));
                    prop_assert_eq!(agenda.pop(), next);
                    now = next.map_or(now, |(WorldTime(at), _)| at);
                }
                let at = WorldTime(now + (after << shift >> 20));
                let what = Happening::Begin { client: number };
                agenda.plan(at, what);
                list.push((at, what));
            }
        }
    }

    #[test]
    fn an_entry_stays_small() {
        assert!(size_of::<Entry>() <= 24);
    }
}
