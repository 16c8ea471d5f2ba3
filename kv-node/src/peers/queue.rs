//! The messages that wait for one peer: bounded in messages and bytes, and in bytes over all peers.
//! A full queue drops the oldest message of its fullest lane; every drop is counted. The core takes
//! a lost message as the network's doing, which it is made for.
//!
//! Messages wait in three lanes, and each lane keeps its order: what must never wait for data
//! (heartbeats, answers that hold none), ordinary messages, and large ones, which are sent in
//! parts. Between lanes messages overtake each other; the core is made for that too.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kv_core::message::Message;
use tokio::sync::Notify;

use super::frame::PART_BYTES;

/// The limits on the messages that wait for one peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// The number of messages that may wait.
    pub messages: usize,
    /// The estimated bytes of keys and values in the messages that may wait.
    pub bytes: usize,
}

/// The bytes that wait for all peers together.
#[derive(Debug)]
pub struct Sum {
    bytes: AtomicUsize,
    max: usize,
    /// The bytes that each peer may keep waiting even when the sum is exceeded.
    share: usize,
}

impl Sum {
    /// Creates a bound for so many peers together.
    pub fn new(bytes_max: usize, peers: usize) -> Self {
        Self { bytes: AtomicUsize::new(0), max: bytes_max, share: bytes_max / peers.max(1) }
    }

    fn is_exceeded(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) > self.max
    }
}

/// The bytes that a message adds to the sum, until it is dropped.
#[derive(Debug)]
pub struct Weight {
    bytes: usize,
    sum: Arc<Sum>,
}

impl Weight {
    fn new(bytes: usize, sum: &Arc<Sum>) -> Self {
        sum.bytes.fetch_add(bytes, Ordering::Relaxed);
        Self { bytes, sum: Arc::clone(sum) }
    }
}

impl Drop for Weight {
    fn drop(&mut self) {
        self.sum.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A message that waits or is being sent.
#[derive(Debug)]
pub struct Waiting {
    /// The message that is to be sent.
    pub message: Message,
    /// The message's part in the sum of all peers.
    pub weight: Weight,
}

/// The queue of one peer: the core's task pushes, the peer's task takes.
#[derive(Debug)]
pub struct Queue {
    limits: QueueLimits,
    sum: Arc<Sum>,
    lanes: Mutex<Lanes>,
    filled: Notify,
}

/// The lane of a message, which decides what it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lane {
    /// Messages that wait only for others of this lane.
    Urgent,
    /// Messages that wait for urgent ones.
    Ordinary,
    /// Messages that wait for other large ones, and between their parts for all others.
    Large,
}

#[derive(Debug, Default)]
struct Lanes([LaneQueue; 3]);

#[derive(Debug, Default)]
struct LaneQueue {
    messages: VecDeque<Waiting>,
    bytes: usize,
}

impl Queue {
    /// Creates an empty queue.
    pub fn new(limits: QueueLimits, sum: Arc<Sum>) -> Self {
        Self { limits, sum, lanes: Mutex::default(), filled: Notify::new() }
    }

    /// Appends messages, in their order. Returns the number that were dropped to make room.
    pub fn push(&self, messages: impl IntoIterator<Item = Message>) -> u64 {
        let mut dropped = 0;
        let mut lanes = self.lock();
        for message in messages {
            let (lane, bytes) = weigh(&message);
            lanes.0[lane as usize].push(Waiting { message, weight: Weight::new(bytes, &self.sum) });
            while lanes.make_room(self.limits, &self.sum) {
                dropped += 1;
            }
        }
        drop(lanes);
        self.filled.notify_one();
        dropped
    }

    /// Moves about so many bytes of waiting messages to `taken`, the urgent first and no large
    /// ones.
    pub fn take(&self, bytes: usize, taken: &mut Vec<Waiting>) {
        let mut lanes = self.lock();
        let mut sum = 0;
        for lane in [Lane::Urgent, Lane::Ordinary] {
            while sum < bytes {
                let Some(waiting) = lanes.0[lane as usize].pop() else { break };
                sum += waiting.weight.bytes;
                taken.push(waiting);
            }
        }
    }

    /// Takes the large message that has waited the longest.
    pub fn take_large(&self) -> Option<Waiting> {
        self.lock().0[Lane::Large as usize].pop()
    }

    /// Drops all messages. Returns the number of them.
    pub fn clear(&self) -> u64 {
        let lanes = std::mem::take(&mut *self.lock());
        lanes.messages() as u64
    }

    /// Waits until a message may be waiting. Only the peer's task calls it.
    pub async fn filled(&self) {
        self.filled.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Lanes> {
        // Nothing in here panics half way: what a poisoned lock holds is whole.
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LaneQueue {
    fn push(&mut self, waiting: Waiting) {
        self.bytes += waiting.weight.bytes;
        self.messages.push_back(waiting);
    }

    fn pop(&mut self) -> Option<Waiting> {
        let popped = self.messages.pop_front();
        self.bytes -= popped.as_ref().map_or(0, |waiting| waiting.weight.bytes);
        popped
    }
}

impl Lanes {
    fn messages(&self) -> usize {
        self.0.iter().map(|lane| lane.messages.len()).sum()
    }

    fn bytes(&self) -> usize {
        self.0.iter().map(|lane| lane.bytes).sum()
    }

    /// Drops the oldest message of the lane that fills the queue, if the queue is too full. The
    /// last one of a lane stays, even one that is above the limit all by itself.
    fn make_room(&mut self, limits: QueueLimits, sum: &Sum) -> bool {
        let bytes = self.bytes();
        let fullest = if self.messages() > limits.messages {
            self.0.iter_mut().max_by_key(|lane| lane.messages.len())
        } else if bytes > limits.bytes || (sum.is_exceeded() && bytes > sum.share) {
            self.0.iter_mut().max_by_key(|lane| lane.bytes)
        } else {
            return false;
        };
        let fullest = fullest.filter(|lane| lane.messages.len() > 1);
        fullest.and_then(LaneQueue::pop).is_some()
    }
}

/// Returns the lane of a message, and about how many bytes it takes.
fn weigh(message: &Message) -> (Lane, usize) {
    /// The header of a message, and small payloads.
    const FIXED: usize = 200;
    let bytes = FIXED + message.body.weight();
    let lane = match message.body.is_urgent() {
        _ if bytes > PART_BYTES => Lane::Large,
        true => Lane::Urgent,
        false => Lane::Ordinary,
    };
    (lane, bytes)
}

#[cfg(test)]
mod tests {
    use kv_core::message::{
        Acked, Body, CoordinatorMessage, Header, MergeRequest, OperationId, ReplicaMessage,
    };
    use kv_core::types::{ClusterId, Generation, Key, LayoutHash, NodeId, RequestId};
    use kv_core::version::Container;

    use super::*;

    fn message(n: u64) -> Message {
        let header = Header {
            cluster: ClusterId(1),
            from: NodeId(1),
            generation: Generation(1),
            to: NodeId(2),
            request: RequestId(n.into()),
            layout: (1, LayoutHash(1)),
            fence: 0,
            sent: kv_core::time::Time(0),
        };
        let body = Body::Coordinator(CoordinatorMessage::Acked(Acked {
            operation: OperationId(n),
            for_owner: None,
            log: kv_core::types::LogPosition(0),
        }));
        Message { header, body }
    }

    /// Makes a message with a key of so many bytes.
    fn data(n: u64, bytes: usize) -> Message {
        let Message { header, .. } = message(n);
        let key = Key::from(vec![b'k'; bytes]);
        let (operation, container) = (OperationId(n), Container::default());
        Message {
            header,
            body: Body::Replica(ReplicaMessage::Merge(MergeRequest { operation, key, container })),
        }
    }

    fn queue(messages: usize, bytes: usize) -> Queue {
        Queue::new(QueueLimits { messages, bytes }, Arc::new(Sum::new(usize::MAX, 1)))
    }

    fn taken(queue: &Queue, bytes: usize) -> Vec<u128> {
        let mut taken = Vec::new();
        queue.take(bytes, &mut taken);
        taken.iter().map(|waiting| waiting.message.header.request.0).collect()
    }

    #[test]
    fn messages_of_a_kind_leave_in_the_order_in_which_they_came() {
        let queue = queue(10, 10_000);
        assert_eq!(queue.push((1..=3).map(message)), 0);
        assert_eq!(taken(&queue, 300), [1, 2], "about so many bytes at once");
        assert_eq!(taken(&queue, 300), [3]);
        assert_eq!(taken(&queue, 300), Vec::<u128>::new());
    }

    #[test]
    fn what_is_urgent_overtakes_data_and_large_messages_keep_nobody_waiting() {
        let queue = queue(10, 1 << 30);
        let large = PART_BYTES;
        queue.push([data(1, large), data(2, 100), data(3, large), message(4)]);
        assert_eq!(taken(&queue, usize::MAX), [4, 2]);
        let next = || queue.take_large().map(|waiting| waiting.message.header.request.0);
        assert_eq!([next(), next(), next()], [Some(1), Some(3), None]);
    }

    #[test]
    fn a_full_queue_drops_its_oldest_and_counts_them() {
        let queue = queue(2, 10_000);
        assert_eq!(queue.push((1..=5).map(message)), 3);
        assert_eq!(taken(&queue, usize::MAX), [4, 5]);
    }

    #[test]
    fn bytes_are_bounded_too_but_the_newest_stays() {
        let queue = queue(10, 10);
        assert_eq!(queue.push((1..=2).map(message)), 1);
        assert_eq!(taken(&queue, usize::MAX), [2]);
        assert_eq!(queue.push((3..=4).map(message)), 1, "what was taken weighs nothing any more");
        assert_eq!(queue.clear(), 1);
    }

    #[test]
    fn data_that_fills_the_queue_makes_room_and_not_what_is_urgent() {
        let queue = queue(100, 10_000);
        queue.push([message(1), message(2)]);
        assert_eq!(queue.push((3..=9).map(|n| data(n, 3_000))), 4);
        assert_eq!(taken(&queue, usize::MAX), [1, 2, 7, 8, 9]);
    }

    #[test]
    fn the_queues_of_all_peers_are_bounded_in_sum_and_each_keeps_its_share() {
        let sum = Arc::new(Sum::new(10_000, 2));
        let limits = QueueLimits { messages: 100, bytes: 1 << 30 };
        let queues = [1, 2].map(|_| Queue::new(limits, Arc::clone(&sum)));
        let fill = |queue: &Queue| queue.push((1..=20).map(|n| data(n, 800)));
        assert_eq!(fill(&queues[0]), 10, "one alone may have it all");
        assert_eq!(fill(&queues[1]), 15, "the other has its share even then");
        assert_eq!(sum.bytes.load(Ordering::Relaxed), 15_000);
        fill(&queues[0]);
        assert_eq!(sum.bytes.load(Ordering::Relaxed), 10_000, "whoever has more gives way");
        drop(queues);
        assert_eq!(sum.bytes.load(Ordering::Relaxed), 0);
    }
}
