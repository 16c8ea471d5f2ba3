//! What waits to be sent to one peer: bounded in messages and bytes. A full queue drops its oldest,
//! whose senders are the nearest to having given up; every drop is counted. The core takes a lost
//! message as the network's doing, which it is made for.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kv_core::message::{Body, Message};
use tokio::sync::Notify;

/// How much may wait for one peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// Messages.
    pub messages: usize,
    /// Bytes of keys and values in them, about.
    pub bytes: usize,
}

/// The queue of one peer: the core's thread pushes, the peer's task takes.
#[derive(Debug)]
pub struct Queue {
    limits: QueueLimits,
    waiting: Mutex<Waiting>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    messages: VecDeque<(usize, Message)>,
    bytes: usize,
}

impl Queue {
    /// An empty queue.
    pub fn new(limits: QueueLimits) -> Self {
        Self { limits, waiting: Mutex::default(), filled: Notify::new() }
    }

    /// Appends messages, in their order. Returns how many were dropped to make room.
    pub fn push(&self, messages: impl IntoIterator<Item = Message>) -> u64 {
        let mut dropped = 0;
        let mut waiting = self.lock();
        for message in messages {
            let weight = weight(&message);
            waiting.bytes += weight;
            waiting.messages.push_back((weight, message));
            // The newest stays, even one that is above the limit all by itself.
            while waiting.messages.len() > 1 && waiting.exceeds(self.limits) {
                waiting.pop();
                dropped += 1;
            }
        }
        drop(waiting);
        self.filled.notify_one();
        dropped
    }

    /// Moves waiting messages to `taken`, about so many bytes of them.
    pub fn take(&self, bytes: usize, taken: &mut Vec<Message>) {
        let mut waiting = self.lock();
        let mut sum = 0;
        while sum < bytes {
            let Some((weight, message)) = waiting.pop() else { break };
            sum += weight;
            taken.push(message);
        }
    }

    /// Drops everything. Returns how many messages that were.
    pub fn clear(&self) -> u64 {
        let waiting = std::mem::take(&mut *self.lock());
        waiting.messages.len() as u64
    }

    /// Returns when something may be waiting. Only the peer's task calls it.
    pub async fn filled(&self) {
        self.filled.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing in here panics half way: what a poisoned lock holds is whole.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn pop(&mut self) -> Option<(usize, Message)> {
        let popped = self.messages.pop_front();
        self.bytes -= popped.as_ref().map_or(0, |(weight, _)| *weight);
        popped
    }

    fn exceeds(&self, limits: QueueLimits) -> bool {
        self.messages.len() > limits.messages || self.bytes > limits.bytes
    }
}

/// About how many bytes a message takes.
fn weight(message: &Message) -> usize {
    const FIXED: usize = 200;
    let containers = match &message.body {
        Body::Mint(mint) => {
            mint.key.bytes().len() + mint.content.value().map_or(0, bytes::Bytes::len)
        }
        Body::Minted(minted) => minted.container.weight(),
        Body::Merge(merge) => merge.key.bytes().len() + merge.container.weight(),
        Body::Hint(hint) => hint.key.bytes().len() + hint.container.weight(),
        Body::Read(read) => read.key.bytes().len(),
        Body::ReadReply(reply) => reply.container.weight(),
        Body::HintDelivery(delivery) => weight_of_items(&delivery.items),
        Body::RepairExchange(exchange) => weight_of_items(&exchange.pushed),
        Body::RepairExchanged(exchanged) => weight_of_items(&exchanged.items),
        Body::GossipSyn(_)
        | Body::GossipAck(_)
        | Body::GossipAck2(_)
        | Body::Acked(_)
        | Body::Refused(_)
        | Body::HintDelivered(_)
        | Body::RepairCompare(_)
        | Body::RepairCompared(_)
        | Body::RepairRoots(_)
        | Body::RepairRootsDiffer(_)
        | Body::RepairBranches(_)
        | Body::RepairBranchesDiffer(_)
        | Body::RepairLeaves(_)
        | Body::RepairLeavesDiffer(_)
        | Body::RepairSummaries(_)
        | Body::RepairSummarized(_)
        | Body::FoundingTell(_)
        | Body::FoundingPledge(_)
        | Body::FoundingPledged(_) => 0,
    };
    FIXED + containers
}

fn weight_of_items(items: &[(kv_core::types::Key, kv_core::version::Container)]) -> usize {
    items.iter().map(|(key, container)| key.bytes().len() + container.weight()).sum()
}

#[cfg(test)]
mod tests {
    use kv_core::message::{Acked, Header, OperationId};
    use kv_core::types::{ClusterId, Generation, NodeId, RequestId};

    use super::*;

    fn message(n: u64) -> Message {
        let header = Header {
            cluster: ClusterId(1),
            from: NodeId(1),
            generation: Generation(1),
            to: NodeId(2),
            request: RequestId(n.into()),
            layout: (1, 1),
            fence: 0,
            sent: kv_core::time::Time(0),
        };
        let body = Body::Acked(Acked { operation: OperationId(n), stands_for: None });
        Message { header, body }
    }

    fn taken(queue: &Queue, bytes: usize) -> Vec<u128> {
        let mut taken = Vec::new();
        queue.take(bytes, &mut taken);
        taken.iter().map(|message| message.header.request.0).collect()
    }

    #[test]
    fn messages_leave_in_the_order_in_which_they_came() {
        let queue = Queue::new(QueueLimits { messages: 10, bytes: 10_000 });
        assert_eq!(queue.push((1..=3).map(message)), 0);
        assert_eq!(taken(&queue, 300), [1, 2], "about so many bytes at once");
        assert_eq!(taken(&queue, 300), [3]);
        assert_eq!(taken(&queue, 300), Vec::<u128>::new());
    }

    #[test]
    fn a_full_queue_drops_its_oldest_and_counts_them() {
        let queue = Queue::new(QueueLimits { messages: 2, bytes: 10_000 });
        assert_eq!(queue.push((1..=5).map(message)), 3);
        assert_eq!(taken(&queue, usize::MAX), [4, 5]);
    }

    #[test]
    fn bytes_are_bounded_too_but_the_newest_stays() {
        let queue = Queue::new(QueueLimits { messages: 10, bytes: 10 });
        assert_eq!(queue.push((1..=2).map(message)), 1);
        assert_eq!(taken(&queue, usize::MAX), [2]);
        assert_eq!(queue.push((3..=4).map(message)), 1, "what was taken weighs nothing any more");
        assert_eq!(queue.clear(), 1);
    }
}
