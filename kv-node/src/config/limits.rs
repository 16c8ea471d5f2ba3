//! The table `[limits]`: the loads at which a node refuses work, or makes others wait.

use kv_core::config::{Knob, OutOfRange};
use serde::Deserialize;

macro_rules! limits {
    ($($(#[doc = $doc:literal])* $knob:ident = $default:literal in $min:literal..=$max:literal,)*) => {
        /// Every limit of the shell around the core; those of the core itself are
        /// [`kv_core::config::Config`].
        #[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Limits {
            $($(#[doc = $doc])* pub $knob: usize,)*
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($knob: $default,)* }
            }
        }

        impl Limits {
            /// Every limit with its range.
            pub const KNOBS: &'static [Knob] = &[
                $(Knob {
                    name: stringify!($knob),
                    about: concat!($($doc),*).trim_ascii(),
                    default: $default,
                    min: $min,
                    max: $max,
                },)*
            ];

            fn values(&self) -> [usize; Self::KNOBS.len()] {
                [$(self.$knob,)*]
            }
        }
    };
}

limits! {
    /// The number of connections of Redis clients at once; one more is told so and closed.
    connections = 10_000 in 1..=1_000_000,
    /// The number of commands of one connection that are read before the first of them is answered.
    /// More wait in the socket.
    pipeline = 1_024 in 1..=65_536,
    /// The number of arguments of one Redis command. The default is that of Redis.
    arguments = 1_048_576 in 16..=16_777_216,
    /// The bytes that all connections of Redis clients may hold together: requests that arrive or
    /// wait, values gathered for replies, and replies that were not taken. Reads in the core may
    /// hold one eighth of it more.
    client_bytes = 268_435_456 in 16_777_216..=1_099_511_627_776,
    /// The bytes that one connection may hold, in commands that wait and in replies that it has not
    /// read, before no more of its commands are read. Not above `client_bytes`.
    held_bytes = 134_217_728 in 65_536..=1_073_741_824,
    /// The bytes of all values in one reply. Not above `client_bytes`.
    reply_bytes = 134_217_728 in 1_048_576..=4_294_967_296,
    /// The bytes from which a client that makes no progress is dropped after `stalled_ms`.
    stalled_bytes = 1_048_576 in 65_536..=1_073_741_824,
    /// The time in milliseconds for which a client that holds `stalled_bytes` may neither send the
    /// rest of a request nor take a reply.
    stalled_ms = 30_000 in 1_000..=3_600_000,
    /// The time in milliseconds for which a client may send no command; 0: without limit.
    idle_timeout_ms = 0 in 0..=4_294_967_295,
    /// The silence in milliseconds after which the system asks whether a client's connection still
    /// stands (TCP keepalive); 0: it never asks.
    keepalive_ms = 300_000 in 0..=86_400_000,
    /// The number of keys whose last version one connection remembers, so that its writes stay in
    /// order.
    session_keys = 1_024 in 0..=65_536,
    /// The number of batches of clients and peers that may wait for the core.
    core_queue = 1_024 in 1..=65_536,
    /// The number of commands that wait for the storage before clients and peers have to wait.
    storage_queue = 16_384 in 1..=1_048_576,
    /// The bytes that are executed and not yet on the disk before the storage waits for it.
    unsynced_bytes = 67_108_864 in 65_536..=4_294_967_296,
    /// The bytes of records that are held in memory before they lie in tables; a table takes a third of
    /// them. Also bounds what a start reads of the log.
    memory_bytes = 100_663_296 in 1_048_576..=1_099_511_627_776,
    /// The bytes of the disk that are left free: with less, writes are refused until there is more
    /// again. The storage needs them for the tables that it owes.
    disk_reserve_bytes = 67_108_864 in 0..=1_099_511_627_776,
    /// The bytes of the storage's cache of blocks.
    cache_bytes = 67_108_864 in 1_048_576..=1_099_511_627_776,
    /// The number of messages that may wait for one peer; beyond it the oldest is dropped.
    peer_queue_messages = 65_536 in 16..=1_048_576,
    /// The bytes that may wait for one peer; beyond them the oldest message is dropped. At least
    /// `peer_frame_bytes`.
    peer_queue_bytes = 134_217_728 in 65_536..=4_294_967_296,
    /// The bytes that may wait for all peers together; beyond them each peer keeps its equal share,
    /// and the oldest messages above that are dropped.
    peer_queue_bytes_total = 268_435_456 in 65_536..=1_099_511_627_776,
    /// The largest message that is accepted of a peer, in bytes. A node accepts more if its own
    /// `siblings_max` and `value_bytes_max` need more.
    peer_frame_bytes = 134_217_728 in 1_048_576..=1_073_741_824,
    /// The bytes of large messages of all peers together, from the first part until the core has
    /// them. One message may go beyond; parts of more wait, and then their message is discarded.
    peer_receive_bytes = 268_435_456 in 1_048_576..=1_099_511_627_776,
    /// The number of connections to the port for peers that have not said hello yet. Each member
    /// may have one more, whatever this says.
    peer_connections = 1_024 in 1..=65_536,
    /// The number of connections to the HTTP interface at once; one more closes the one that has
    /// been idle for longest.
    http_connections = 256 in 1..=65_536,
    /// The time in milliseconds for which a clean stop waits for replies that clients are still
    /// owed.
    stop_ms = 5_000 in 0..=600_000,
}

impl Limits {
    /// Every limit that is out of its range.
    pub fn out_of_range(&self) -> impl Iterator<Item = OutOfRange> {
        let values = self.values().map(|value| value as u64);
        Self::KNOBS.iter().zip(values).filter_map(|(knob, value)| knob.check(value).err())
    }
}
