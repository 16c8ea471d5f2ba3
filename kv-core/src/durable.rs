//! Things that wait for the disk: they may be said only when everything up to a position of the
//! store is durable.

use alloc::collections::VecDeque;

use crate::types::Seq;

/// A queue of things, each waiting for a position to become durable.
#[derive(Clone, Debug)]
pub struct DurableQueue<T> {
    durable: Seq,
    waiting: VecDeque<(Seq, T)>,
}

impl<T> DurableQueue<T> {
    /// Makes an empty queue at a store of which nothing new is durable yet.
    pub const fn new() -> Self {
        Self { durable: Seq(0), waiting: VecDeque::new() }
    }

    /// Adds a thing that waits for a position. The queue keeps the order of positions, and of
    /// arrival within one.
    pub fn push(&mut self, seq: Seq, thing: T) {
        let at = self.waiting.iter().rposition(|&(before, _)| before <= seq).map_or(0, |at| at + 1);
        self.waiting.insert(at, (seq, thing));
    }

    /// Learns that everything up to a position is durable.
    pub fn on_durable(&mut self, seq: Seq) {
        self.durable = self.durable.max(seq);
    }

    /// Takes the first thing out, if its position is durable.
    pub fn pop(&mut self) -> Option<T> {
        let ready = self.waiting.front().is_some_and(|&(seq, _)| seq <= self.durable);
        if ready { self.waiting.pop_front().map(|(_, thing)| thing) } else { None }
    }

    /// The number of things that wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The things that wait, in the order in which they come out.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.waiting.iter().map(|(_, thing)| thing)
    }

    /// Checks that positions rise, and that whoever keeps the queue has taken out what is durable:
    /// to be called between two inputs of that one.
    ///
    /// # Panics
    /// If it is not so.
    pub fn invariants(&self) {
        assert!(
            self.waiting.iter().is_sorted_by_key(|&(seq, _)| seq),
            "what waits for the disk stands in the order of positions"
        );
        let first = self.waiting.front();
        assert!(
            first.is_none_or(|&(seq, _)| seq > self.durable),
            "what is durable already waits for the disk"
        );
    }

    /// Tells whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

impl<T> Default for DurableQueue<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_come_out_in_order_and_only_when_their_position_is_durable() {
        let mut queue = DurableQueue::new();
        queue.push(Seq(2), "second");
        queue.push(Seq(1), "first");
        queue.push(Seq(2), "third");
        assert_eq!(queue.pop(), None);
        queue.on_durable(Seq(1));
        assert_eq!((queue.pop(), queue.pop()), (Some("first"), None));
        queue.on_durable(Seq(2));
        assert_eq!((queue.pop(), queue.pop(), queue.pop()), (Some("second"), Some("third"), None));
    }

    #[test]
    fn a_thing_whose_position_is_durable_already_waits_for_nothing() {
        let mut queue = DurableQueue::new();
        queue.on_durable(Seq(5));
        queue.push(Seq(4), "at once");
        assert_eq!(queue.pop(), Some("at once"));
    }
}
