//! The real node: a thin shell of sockets, disks and clocks around `kv-core`.
//!
//! It is being built from the edges inwards. Here so far: the Redis protocol as a pure state machine
//! per connection ([`resp`], [`redis`]), and storage ([`storage`]). What joins them to the core (the
//! loop around it, peers, configuration, the binary) is still to come, so `kv-node` does not start yet.

mod nearest;
pub mod redis;
pub mod resp;
pub mod storage;
