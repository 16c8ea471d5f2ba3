//! The limits on the traffic with peers.

use kv_core::config::Config;
use kv_core::types::KEY_BYTES_MAX;

use super::queue::QueueLimits;
use crate::config::Limits;

/// The limits on the traffic with peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerLimits {
    /// The limits on the queue of one peer.
    pub queue: QueueLimits,
    /// The bytes that may wait for all peers together.
    pub queues_bytes: usize,
    /// The largest message, in bytes.
    pub message_bytes: usize,
    /// The bytes of large messages, of all peers together, that are being received or wait for the
    /// core.
    pub receive_bytes: usize,
    /// The number of connections whose peers have not said hello yet.
    pub connections: usize,
}

impl PeerLimits {
    /// Takes the limits of a node, and raises them so that no message of its core is too large: a
    /// container of as many siblings as a key may have, and twice as many where replicas that had
    /// different ones meet, in the last place of a batch.
    pub fn new(limits: &Limits, core: &Config) -> Self {
        /// Room for names, times and vectors beside each value.
        const VERSION_BYTES: u64 = 1_024;
        let version = core.value_bytes_max.saturating_add(VERSION_BYTES);
        let container = core.siblings_max.saturating_mul(2).saturating_mul(version);
        let batch = core.hint_batch_bytes.max(core.repair_batch_bytes);
        let largest = container.saturating_add(batch).saturating_add(2 * KEY_BYTES_MAX as u64);
        let largest = usize::try_from(largest).unwrap_or(usize::MAX);
        Self {
            queue: QueueLimits {
                messages: limits.peer_queue_messages,
                bytes: limits.peer_queue_bytes,
            },
            queues_bytes: limits.peer_queue_bytes_total,
            message_bytes: largest.max(limits.peer_frame_bytes),
            receive_bytes: limits.peer_receive_bytes,
            connections: limits.peer_connections,
        }
    }
}
