//! The planned events of a world, and their times. Of two events at one time, the one that was
//! planned first happens first.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

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

/// The events of a world in order.
#[derive(Clone, Debug, Default)]
pub struct EventQueue {
    now: WorldTime,
    planned: BinaryHeap<Planned>,
    /// The number of the next event that is planned.
    next: u64,
}

/// A planned event. The greatest is the one that happens first.
#[derive(Clone, Copy, Debug)]
struct Planned {
    at: WorldTime,
    number: u64,
    what: SimEvent,
}

impl Planned {
    /// The place of the event in the order of all: by time, then by number, as one number, since
    /// nothing else is done as often as comparing two of them.
    fn place(&self) -> u128 {
        u128::from(self.at.0) << 64 | u128::from(self.number)
    }
}

impl PartialEq for Planned {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl Eq for Planned {}

impl PartialOrd for Planned {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Planned {
    fn cmp(&self, other: &Self) -> Ordering {
        other.place().cmp(&self.place())
    }
}

impl EventQueue {
    /// Plans an event.
    ///
    /// # Panics
    /// If the time has passed.
    pub fn plan(&mut self, at: WorldTime, what: SimEvent) {
        assert!(at >= self.now, "nothing can be planned for the past");
        self.planned.push(Planned { at, number: self.next, what });
        self.next += 1;
    }

    /// The time at which the next event happens.
    pub fn next_at(&self) -> Option<WorldTime> {
        self.planned.peek().map(|planned| planned.at)
    }

    /// Takes the next event, with its time.
    pub fn pop(&mut self) -> Option<(WorldTime, SimEvent)> {
        let Planned { at, number: _, what } = self.planned.pop()?;
        self.now = at;
        Some((at, what))
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
}
