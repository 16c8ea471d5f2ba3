//! What is going to happen in a world, and when. Of two things at one time, that which was planned
//! first happens first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

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

/// The plan of a world.
#[derive(Clone, Debug, Default)]
pub struct Agenda {
    entries: BinaryHeap<Reverse<Entry>>,
    planned: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// The time in the high half, and in the low one how much was planned before: one number, since
    /// the heap does little but compare.
    order: u128,
    what: Happening,
}

impl Agenda {
    /// Plans something.
    pub fn plan(&mut self, at: WorldTime, what: Happening) {
        self.planned += 1;
        let order = u128::from(at.0) << 64 | u128::from(self.planned);
        self.entries.push(Reverse(Entry { order, what }));
    }

    /// When something happens next.
    pub fn next_at(&self) -> Option<WorldTime> {
        let Reverse(Entry { order, .. }) = self.entries.peek()?;
        Some(WorldTime((order >> 64) as u64))
    }

    /// Takes what happens next.
    pub fn pop(&mut self) -> Option<(WorldTime, Happening)> {
        let Reverse(Entry { order, what }) = self.entries.pop()?;
        Some((WorldTime((order >> 64) as u64), what))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order.cmp(&other.order)
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn an_entry_stays_small() {
        assert!(size_of::<Entry>() <= 32);
    }
}
